// Where a message is written: text, files, the agent that is to answer; send or stop.

import { useEffect, useImperativeHandle, useRef, useState, type ClipboardEvent, type DragEvent, type KeyboardEvent, type Ref } from "react";
import type { Agent } from "../api/types";
import { IconButton, Spinner } from "../ui/button";
import { cx } from "../ui/classes";
import { Icon } from "../ui/icons";
import { Menu } from "../ui/menu";
import { bytes } from "../ui/time";
import { visible } from "../ui/visible";
import type { Outgoing } from "./use-conversation";
import { useUploads, type Pending } from "./uploads";

export interface ComposerHandle {
  focus: () => void;
  /** After something else in the thread was done: what is typed next is a message, and no shortcut. */
  goOn: () => void;
  fill: (text: string) => void;
}

interface ComposerProps {
  thread: string;
  agents: readonly Agent[];
  agent: string | null;
  onAgent: (name: string) => void;
  busy: boolean;
  waiting: boolean;
  disabled: boolean;
  onSend: (message: Outgoing) => void;
  onStop: () => void;
  /** The up arrow in an empty field. */
  onEditLast: () => void;
  ref?: Ref<ComposerHandle>;
}

/** What was begun and not sent, by thread, for as long as the page is open. */
const drafts = new Map<string, string>();

export function Composer(props: ComposerProps) {
  const { thread, agents, agent, busy, disabled } = props;
  const [text, setText] = useState(() => drafts.get(thread) ?? "");
  const [dragging, setDragging] = useState(false);
  const field = useRef<HTMLTextAreaElement>(null);
  const chooser = useRef<HTMLInputElement>(null);
  const uploads = useUploads();

  useEffect(() => {
    if (text === "") drafts.delete(thread);
    else drafts.set(thread, text);
  }, [thread, text]);

  useEffect(() => {
    if (matchMedia("(pointer: fine)").matches) field.current?.focus();
  }, [thread]);

  const goOn = (): void => {
    if (matchMedia("(pointer: coarse)").matches) return; // it would open the keyboard
    const { activeElement, body } = document;
    // somebody may have gone elsewhere meanwhile
    if (activeElement === null || activeElement === body || field.current?.closest("section")?.contains(activeElement)) field.current?.focus();
  };

  useImperativeHandle(props.ref, () => ({
    focus: () => field.current?.focus(),
    goOn,
    fill: (given) => {
      setText(given);
      field.current?.focus();
    },
  }));

  const ready = !disabled && !busy && uploads.complete && (text.trim() !== "" || uploads.files.length > 0);
  const send = (): void => {
    if (!ready) return;
    props.onSend({
      text: text.trim() === "" ? "" : text,
      files: uploads.files.flatMap(({ upload }) =>
        upload === null ? [] : [{ type: "file" as const, url: `blob:${upload.id}`, mediaType: upload.mediaType, filename: upload.name }],
      ),
    });
    setText("");
    uploads.clear();
    field.current?.focus();
  };

  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.nativeEvent.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey && !event.altKey) {
      event.preventDefault();
      send();
    } else if (event.key === "ArrowUp" && text === "" && uploads.files.length === 0) {
      event.preventDefault();
      props.onEditLast();
    }
  };

  const onPaste = (event: ClipboardEvent): void => {
    const files = [...event.clipboardData.files];
    if (files.length === 0) return;
    event.preventDefault();
    uploads.add(files);
  };

  const onDrop = (event: DragEvent): void => {
    event.preventDefault();
    setDragging(false);
    uploads.add([...event.dataTransfer.files]);
    goOn();
  };

  return (
    <div
      onDragOver={(event) => {
        if (!event.dataTransfer.types.includes("Files")) return;
        event.preventDefault();
        setDragging(true);
      }}
      onDragLeave={(event) => {
        if (!event.currentTarget.contains(event.relatedTarget as Node | null)) setDragging(false);
      }}
      onDrop={onDrop}
      className={cx(
        "rounded-2xl border bg-raised shadow-sm transition focus-within:border-accent/70 focus-within:ring-3 focus-within:ring-accent-soft",
        dragging ? "border-accent bg-accent-soft" : "border-line-strong",
      )}
    >
      {uploads.files.length > 0 ? (
        <ul aria-label="Files of this message" className="flex flex-wrap gap-2 px-3 pt-3">
          {uploads.files.map((one) => (
            <PendingFile
              key={one.key}
              pending={one}
              onRemove={() => {
                uploads.remove(one.key);
                goOn();
              }}
            />
          ))}
        </ul>
      ) : null}
      <textarea
        ref={field}
        value={text}
        rows={1}
        dir="auto"
        aria-label="Message"
        placeholder={dragging ? "Drop files to attach them" : props.waiting ? "Decide above, or write on to deny" : "Ask something…"}
        disabled={disabled}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={onKeyDown}
        onPaste={onPaste}
        className="block max-h-60 min-h-11 w-full resize-none bg-transparent px-4 pt-3 pb-1 text-[0.9375rem] leading-6 [field-sizing:content] placeholder:text-muted focus:outline-none"
      />
      <div className="flex items-center gap-1 px-2 pb-2">
        <input
          ref={chooser}
          type="file"
          multiple
          className="sr-only"
          tabIndex={-1}
          aria-hidden="true"
          onChange={(event) => {
            uploads.add([...(event.target.files ?? [])]);
            event.target.value = "";
            goOn();
          }}
        />
        <IconButton
          icon="attach"
          label="Attach files"
          disabled={disabled}
          onClick={() => {
            goOn(); // before the dialog opens: when it is cancelled, the focus is where it was
            chooser.current?.click();
          }}
        />
        {agents.length > 0 ? (
          <Menu
            label={`Agent: ${agent ?? "none"}`}
            side="above"
            disabled={disabled}
            className="flex h-9 max-w-48 min-w-0 items-center gap-1 rounded-md px-2 text-sm text-muted hover:bg-hover hover:text-text"
            entries={agents.map((one) => ({
              label: one.name,
              detail: one.description ?? one.model,
              chosen: one.name === agent,
              onChoose: () => {
                props.onAgent(one.name);
                field.current?.focus();
              },
            }))}
          >
            <span className="truncate">{agent ?? "Agent"}</span>
            <Icon name="chevronDown" size={14} className="shrink-0" />
          </Menu>
        ) : null}
        <span className="mr-1 ml-auto text-xs text-muted" aria-hidden="true">
          <span className="hidden sm:inline">{busy ? "Esc stops" : text !== "" ? "Enter sends" : ""}</span>
        </span>
        {busy ? (
          <IconButton icon="stop" label="Stop the answer" look="plain" className="rounded-full!" onClick={props.onStop} />
        ) : (
          <IconButton icon="send" label="Send" look="primary" className="rounded-full!" disabled={!ready} onClick={send} />
        )}
      </div>
    </div>
  );
}

function PendingFile({ pending, onRemove }: { pending: Pending; onRemove: () => void }) {
  const { file, error, upload, done } = pending;
  return (
    <li
      className={cx(
        "relative flex max-w-64 items-center gap-2 overflow-hidden rounded-lg border border-line bg-surface py-1 pr-1 pl-2.5 text-xs",
        error !== null && "border-bad text-bad",
      )}
    >
      {error !== null ? <Icon name="alert" /> : upload === null ? <Spinner size={14} label="Uploading" /> : <Icon name="file" />}
      <span className="min-w-0">
        <span className="block truncate font-medium" dir="auto">
          {visible(file.name)}
        </span>
        <span className={error === null ? "block text-muted" : "block"}>
          {error !== null ? visible(error) : upload === null ? `${Math.round(done * 100)} % of ${bytes(file.size)}` : bytes(file.size)}
        </span>
      </span>
      <IconButton icon="cross" label={`Remove ${visible(file.name)}`} size="small" onClick={onRemove} />
    </li>
  );
}
