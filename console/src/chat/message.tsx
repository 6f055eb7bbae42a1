// One message: what a human wrote, or an answer with its reasoning, tools, files, sources and widgets.

import { isReasoningUIPart, isToolUIPart, type FileUIPart } from "ai";
import { memo, useEffect, useId, useRef, useState, type ReactNode } from "react";
import { under } from "../api/base";
import { local } from "../api/files";
import type { VoteWord } from "../api/kai";
import type { Run } from "../api/types";
import { linkTo, pathTo } from "../app/router";
import { Markdown } from "../markdown";
import { Badge, Button, IconButton } from "../ui/button";
import { cx } from "../ui/classes";
import { Icon } from "../ui/icons";
import { copy, Json, visible } from "../ui/json";
import { faceName } from "../ui/names";
import { amount, duration, exact, timeOfDay } from "../ui/time";
import { textOf, type ChatMessage } from "./messages";
import { ToolCall, type ToolActions } from "./tool";
import type { Outgoing } from "./use-conversation";
import { Shown } from "./widget";

type Part = ChatMessage["parts"][number];

export interface MessageProps {
  message: ChatMessage;
  isLast: boolean;
  /** This answer is being written at this moment. */
  streaming: boolean;
  /** Something is being written in this thread. */
  busy: boolean;
  mine: boolean;
  run: Run | undefined;
  vote: VoteWord | undefined;
  /** The thread shows a failure below, with a button that tries again. */
  hasRetry: boolean;
  /** What the field for changing it begins with; null while it is not being changed. */
  editing: string | null;
  on: MessageActions;
}

export interface MessageActions extends ToolActions {
  retry: (id?: string) => void;
  vote: (id: string, word: VoteWord) => void;
  beginEdit: (id: string | null) => void;
  edit: (id: string, message: Outgoing) => void;
}

export const Message = memo(function Message(props: MessageProps) {
  return (
    <article aria-label={props.message.role === "user" ? "You" : "Answer"} className="group/message mx-auto w-full max-w-3xl px-4 py-1 sm:px-6">
      {props.message.role === "user" ? <Question {...props} /> : <Answer {...props} />}
    </article>
  );
});

// ------------------------------------------------------------------------------------------------- what a human wrote

const FOLD_AFTER = 3_000;

function Question({ message, busy, mine, editing, on }: MessageProps) {
  const [whole, setWhole] = useState(false);
  const text = textOf(message).trimEnd();
  const files = message.parts.filter((part) => part.type === "file");
  if (editing !== null) return <Editor message={message} begin={editing} busy={busy} on={on} />;
  const isLong = text.length > FOLD_AFTER;
  const created = message.metadata?.created;
  return (
    <div className="flex flex-col items-end gap-1 pt-3">
      {files.length > 0 ? (
        <ul aria-label="Attached files" className="flex max-w-full flex-wrap justify-end gap-2">
          {files.map((part, place) => (
            <li key={place} className="max-w-full">
              <FileChip name={part.filename ?? part.mediaType} mediaType={part.mediaType} url={fetchable(part)} />
            </li>
          ))}
        </ul>
      ) : null}
      {text !== "" ? (
        <div className="max-w-[88%] rounded-2xl rounded-br-md bg-accent-soft px-4 py-2.5">
          <p dir="auto" className="text-[0.9375rem] leading-6 break-words whitespace-pre-wrap [overflow-wrap:anywhere]">
            {visible(isLong && !whole ? `${text.slice(0, FOLD_AFTER)}…` : text)}
          </p>
          {isLong ? (
            <Button size="small" look="ghost" className="mt-1 -ml-2" aria-expanded={whole} onClick={() => setWhole(!whole)}>
              {whole ? "Show less" : `Show all ${amount(text.length)} characters`}
            </Button>
          ) : null}
        </div>
      ) : null}
      <Footer className="-mt-1 -mb-2">
        {created !== undefined ? (
          <time dateTime={new Date(created * 1_000).toISOString()} title={exact(created)} className="px-1 text-xs text-muted">
            {timeOfDay(created)}
          </time>
        ) : null}
        <IconButton icon="copy" label="Copy message" size="small" onClick={() => void copy(text)} />
        {mine ? (
          <IconButton icon="edit" label="Edit and send again" size="small" disabled={busy} onClick={() => on.beginEdit(message.id)} />
        ) : null}
      </Footer>
    </div>
  );
}

function Editor({ message, begin, busy, on }: { message: ChatMessage; begin: string; busy: boolean; on: MessageActions }) {
  const [text, setText] = useState(begin);
  const field = useRef<HTMLTextAreaElement>(null);
  const files = message.parts.filter((part) => part.type === "file");
  useEffect(() => {
    const element = field.current;
    element?.focus();
    element?.setSelectionRange(element.value.length, element.value.length);
  }, []);
  const save = (): void => {
    if (busy || (text.trim() === "" && files.length === 0)) return;
    on.edit(message.id, { text, files });
  };
  return (
    <form
      className="rounded-xl border border-accent bg-raised p-3"
      aria-label="Edit message"
      onSubmit={(event) => {
        event.preventDefault();
        save();
      }}
    >
      <textarea
        ref={field}
        value={text}
        rows={2}
        dir="auto"
        aria-label="Message"
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.nativeEvent.isComposing) return;
          if (event.key === "Enter" && !event.shiftKey) {
            event.preventDefault();
            save();
          } else if (event.key === "Escape") {
            event.preventDefault();
            event.stopPropagation();
            on.beginEdit(null);
          }
        }}
        className="block max-h-80 w-full resize-none bg-transparent text-[0.9375rem] leading-6 [field-sizing:content] focus:outline-none"
      />
      <div className="mt-2 flex flex-wrap items-center justify-end gap-2">
        <p className="mr-auto text-xs text-muted">
          {files.length > 0 ? `Its ${files.length === 1 ? "file stays" : "files stay"} attached. ` : ""}All that follows is replaced.
        </p>
        <div className="ml-auto flex gap-2">
          <Button onClick={() => on.beginEdit(null)}>Cancel</Button>
          <Button type="submit" look="primary" disabled={busy}>
            Send
          </Button>
        </div>
      </div>
    </form>
  );
}

// ----------------------------------------------------------------------------------------------------------- an answer

function Answer(props: MessageProps) {
  const { message, isLast, streaming, busy, mine, run, vote, hasRetry, on } = props;
  const sources = message.parts.filter((part) => part.type === "source-url" || part.type === "source-document");
  const text = textOf(message);
  const waits =
    isLast && message.parts.some((part) => isToolUIPart(part) && (part.state === "approval-requested" || part.state === "input-available"));
  const runId = message.metadata?.run ?? run?.id;
  const hasFailed = message.metadata?.interrupted === true && run?.status === "failed";
  return (
    <div className="grid min-w-0 gap-3">
      {message.parts.map((part, place) => (
        <PartView key={keyOf(part, place)} part={part} place={place} {...props} />
      ))}
      {sources.length > 0 ? <Sources parts={sources} /> : null}
      {streaming && isEmpty(message) ? <Writing /> : null}
      {message.metadata?.interrupted && !streaming ? (
        hasFailed ? (
          <Failed text={run?.error?.message ?? "The answer failed."} {...(isLast && mine && !busy ? { onRetry: () => on.retry(message.id) } : {})} />
        ) : (
          <p className="flex items-center gap-1.5 text-xs text-muted">
            <Icon name="stop" size={14} /> This answer was stopped.
          </p>
        )
      ) : null}
      {!streaming ? (
        <Footer shown={isLast}>
          {mine && !waits ? (
            <>
              <IconButton icon="copy" label="Copy answer" size="small" disabled={text === ""} onClick={() => void copy(text)} />
              <VoteButton word="up" given={vote} onVote={(word) => on.vote(message.id, word)} />
              <VoteButton word="down" given={vote} onVote={(word) => on.vote(message.id, word)} />
              {isLast && !hasFailed && !hasRetry ? <IconButton icon="retry" label="Answer again" size="small" disabled={busy} onClick={() => on.retry(message.id)} /> : null}
            </>
          ) : null}
          {runId !== undefined ? (
            <a
              {...linkTo(pathTo("runs", runId))}
              className="inline-flex h-7 items-center gap-1 rounded-md px-1.5 text-xs text-muted hover:bg-hover hover:text-text"
            >
              <Icon name="trace" size={14} />
              <span>Trace</span>
            </a>
          ) : null}
          {run ? <RunFacts run={run} /> : null}
        </Footer>
      ) : null}
    </div>
  );
}

function PartView({ part, place, message, isLast, streaming, busy, mine, on }: MessageProps & { part: Part; place: number }) {
  const isFinal = streaming && place === message.parts.length - 1;
  if (part.type === "text") {
    return part.text === "" ? null : (
      <div className="min-w-0 text-[0.9375rem] leading-7">
        <Markdown text={part.text} streaming={isFinal} />
      </div>
    );
  }
  if (isReasoningUIPart(part)) return <Reasoning text={part.text} thinking={isFinal} />;
  if (isToolUIPart(part)) {
    const detail = message.metadata?.calls?.[part.toolCallId];
    return <ToolCall part={part} detail={detail} moving={streaming} open={isLast && mine && !busy} actions={on} />;
  }
  if (part.type === "file") return <FileChip name={part.filename ?? part.mediaType} mediaType={part.mediaType} url={fetchable(part)} />;
  if (part.type === "data-widget") {
    const item = "id" in part ? String(part.id) : message.id;
    return <Shown widget={part.data} {...(mine ? { onAction: (action) => on.act(item, action) } : {})} />;
  }
  if (part.type.startsWith("data-") && "data" in part) return <Data name={part.type.slice(5)} data={part.data} />;
  return null;
}

function keyOf(part: Part, place: number): string {
  return isToolUIPart(part) ? part.toolCallId : `${part.type}-${place}`;
}

function isEmpty(message: ChatMessage): boolean {
  return !message.parts.some((part) => part.type !== "step-start" && !(part.type === "text" && part.text === ""));
}

/** Why there is no answer, or not all of it. */
export function Failed({ text, onRetry }: { text: string; onRetry?: () => void }) {
  return (
    <div role="alert" className="flex flex-wrap items-center gap-x-3 gap-y-2 rounded-lg border border-bad/40 bg-bad-soft px-3 py-2 text-sm text-bad">
      <Icon name="alert" className="shrink-0" />
      <p dir="auto" className="max-h-40 min-w-0 flex-1 basis-48 overflow-y-auto break-words [overflow-wrap:anywhere]">
        {visible(text)}
      </p>
      {onRetry ? (
        <Button size="small" icon="retry" onClick={onRetry}>
          Try again
        </Button>
      ) : null}
    </div>
  );
}

/** Stands where the first words will be. */
export function Writing({ label = "Thinking" }: { label?: string }) {
  return (
    <p className="flex h-7 items-center gap-2 text-sm text-muted">
      <span className="pulse-dot size-2 rounded-full bg-accent" aria-hidden="true" />
      {label}…
    </p>
  );
}

function Reasoning({ text, thinking }: { text: string; thinking: boolean }) {
  const [open, setOpen] = useState(false);
  const id = useId();
  return (
    <section aria-label="Reasoning">
      <button
        type="button"
        aria-expanded={open}
        aria-controls={id}
        onClick={() => setOpen(!open)}
        className="-ml-1.5 inline-flex h-7 items-center gap-1.5 rounded-md px-1.5 text-sm text-muted hover:bg-hover hover:text-text"
      >
        <Icon name="bulb" size={15} className={thinking ? "pulse-dot" : undefined} />
        {thinking ? "Thinking…" : "Reasoning"}
        <Icon name="chevron" size={14} className={cx("transition-transform", open && "rotate-90")} />
      </button>
      {open ? (
        <div id={id} className="mt-1 ml-1.5 border-l-2 border-line pl-4 text-sm text-muted">
          <Markdown text={text} streaming={thinking} />
        </div>
      ) : null}
    </section>
  );
}

function Sources({ parts }: { parts: readonly Part[] }) {
  return (
    <section aria-label="Sources">
      <p className="mb-1 text-xs font-medium text-muted">Sources</p>
      <ol className="flex flex-wrap gap-1.5">
        {parts.map((part, place) => {
          const title = "title" in part && part.title ? String(part.title) : "url" in part ? String(part.url) : `Source ${place + 1}`;
          const url = part.type === "source-url" ? webAddress(part.url) : null;
          const shown = (
            <>
              <span className="text-muted">{place + 1}</span>
              <span className="truncate" dir="auto">
                {visible(title)}
              </span>
            </>
          );
          const look = "inline-flex h-7 max-w-72 items-center gap-1.5 rounded-full border border-line bg-surface px-2.5 text-xs";
          return (
            <li key={place} className="min-w-0">
              {url !== null ? (
                <a href={url} target="_blank" rel="noopener noreferrer" title={visible(url)} className={cx(look, "hover:bg-hover")}>
                  {shown}
                </a>
              ) : (
                <span className={look}>{shown}</span>
              )}
            </li>
          );
        })}
      </ol>
    </section>
  );
}

/** A link of a model's: http and https only. */
export function webAddress(url: string): string | null {
  try {
    const parsed = new URL(url);
    return parsed.protocol === "https:" || parsed.protocol === "http:" ? parsed.href : null;
  } catch {
    return null;
  }
}

function FileChip({ name, mediaType, url }: { name: string; mediaType: string; url: string }) {
  const address = ownFile(url);
  const isImage = /^image\/(png|jpeg|gif|webp|avif)$/.test(mediaType) && address !== null;
  const label = (
    <>
      <Icon name="file" size={15} className="shrink-0 text-muted" />
      <span className="truncate" dir="auto">
        {visible(name)}
      </span>
      {/\.\w{1,5}$/.test(name) ? null : <span className="shrink-0 text-muted">{visible(mediaType)}</span>}
    </>
  );
  const look = "inline-flex h-8 max-w-full items-center gap-2 rounded-lg border border-line bg-surface px-2.5 text-xs";
  if (address === null) return <span className={look}>{label}</span>;
  return (
    <a href={address} target="_blank" rel="noopener noreferrer" download={visible(name)} className={isImage ? "block max-w-64" : cx(look, "hover:bg-hover")}>
      {isImage ? <img src={address} alt={visible(name)} className="max-h-48 rounded-lg border border-line object-contain" /> : label}
    </a>
  );
}

function fetchable(part: FileUIPart): string {
  const address = part.providerMetadata?.dragoman?.address;
  return typeof address === "string" ? address : part.url;
}

/** The address of a file of this server's, to be fetched from here; null for any other, which is not loaded. */
export function ownFile(url: string): string | null {
  try {
    const path = local(url);
    return path.startsWith(under("/chatkit/files/")) ? path : null;
  } catch {
    return null;
  }
}

function Data({ name, data }: { name: string; data: unknown }) {
  const [open, setOpen] = useState(false);
  return (
    <section aria-label={`Data: ${visible(name)}`} className="rounded-lg border border-line">
      <button type="button" aria-expanded={open} onClick={() => setOpen(!open)} className="flex w-full items-center gap-2 rounded-lg px-3 py-2 text-left text-sm hover:bg-hover">
        <Icon name="models" size={15} className="text-muted" />
        <span className="min-w-0 flex-1 truncate">{visible(name)}</span>
        <Icon name="chevron" size={14} className={cx("text-muted transition-transform", open && "rotate-90")} />
      </button>
      {open ? (
        <div className="border-t border-line p-3">
          <Json value={data} label="Data" />
        </div>
      ) : null}
    </section>
  );
}

function VoteButton({ word, given, onVote }: { word: VoteWord; given: VoteWord | undefined; onVote: (word: VoteWord) => void }) {
  const isGiven = given === word;
  return (
    <IconButton
      icon={word}
      label={word === "up" ? "Good answer" : "Bad answer"}
      size="small"
      aria-pressed={isGiven}
      className={isGiven ? "text-accent!" : undefined}
      onClick={() => onVote(word)}
    />
  );
}

function RunFacts({ run }: { run: Run }) {
  const took = run.started !== null && run.ended !== null ? duration(run.ended - run.started) : null;
  const tokens = run.usage.total_tokens;
  const facts = [run.agent, took, tokens === null ? null : `${amount(tokens)} tokens`].filter((fact) => fact !== null);
  return (
    <span className="flex min-w-0 items-center gap-2 px-1 text-xs text-muted">
      {run.face !== "kai" ? <Badge>{faceName(run.face)}</Badge> : null}
      <span className="truncate">{facts.join(" · ")}</span>
    </span>
  );
}

/** Under a message: on a mouse's page shown when it is pointed at, always at the end of the thread. */
function Footer({ children, shown, className }: { children: ReactNode; shown?: boolean; className?: string }) {
  return (
    <footer
      className={cx(
        "-mx-1.5 flex min-h-7 min-w-0 flex-wrap items-center gap-0.5 transition-opacity",
        !shown && "opacity-0 group-focus-within/message:opacity-100 group-hover/message:opacity-100 pointer-coarse:opacity-100",
        className,
      )}
    >
      {children}
    </footer>
  );
}
