// One tool call: what goes in, what comes out, and where it waits for a human the question, with the exact arguments.

import { getToolName, type ToolUIPart, type DynamicToolUIPart } from "ai";
import { useId, useRef, useState, type ReactNode } from "react";
import { permitTool } from "../api/kai";
import { told } from "../api/http";
import { Badge, Button, Spinner, type Tone } from "../ui/button";
import { cx } from "../ui/classes";
import { Icon } from "../ui/icons";
import { Json, visible } from "../ui/json";
import { toast } from "../ui/toast";
import type { CallDetail } from "./messages";
import type { WidgetAction } from "../widgets";
import { Form } from "./widget";

export type AnyToolPart = ToolUIPart | DynamicToolUIPart;

export interface ToolActions {
  decide: (approval: string, approved: boolean, reason?: string) => void;
  answer: (tool: string, call: string, output: unknown) => void;
  decline: (tool: string, call: string, reason: string) => void;
  /** Any other action of the widget of this item. */
  act: (item: string, action: WidgetAction) => Promise<void>;
}

interface ToolProps {
  part: AnyToolPart;
  detail: CallDetail | undefined;
  /** The run of this call goes on at this moment. */
  moving: boolean;
  /** The call may still be answered: it belongs to the last message of a thread of one's own. */
  open: boolean;
  actions: ToolActions;
}

export function ToolCall({ part, detail, moving, open, actions }: ToolProps) {
  const name = getToolName(part);
  const asks = part.state === "approval-requested" && open;
  const waits = part.state === "input-available" && !moving && open;
  if (detail?.widget !== undefined && (waits || part.state !== "input-available")) {
    return <FormCall part={part} name={name} widget={detail.widget} waits={waits} actions={actions} />;
  }
  if (asks) return <Approval part={part} name={name} actions={actions} />;
  if (waits && detail?.client) return <PageTool part={part} name={name} actions={actions} />;
  return <Folded part={part} name={name} moving={moving} />;
}

interface StateWords {
  label: string;
  tone: Tone;
}

function wordsOf(part: AnyToolPart, moving: boolean): StateWords {
  const isApproved = part.approval?.approved === true;
  switch (part.state) {
    case "input-streaming":
      return { label: moving ? "preparing" : "cut off", tone: "plain" };
    case "input-available":
      return { label: moving ? "running" : "not finished", tone: moving ? "accent" : "plain" };
    case "approval-requested":
      return { label: "waits for approval", tone: "warn" };
    case "approval-responded":
      return part.approval.approved ? { label: moving ? "approved, running" : "approved", tone: "accent" } : { label: "denied", tone: "plain" };
    case "output-available":
      return { label: part.preliminary ? "running" : isApproved ? "approved · done" : "done", tone: part.preliminary ? "accent" : "good" };
    case "output-error":
      return { label: isApproved ? "approved · failed" : "failed", tone: "bad" };
    case "output-denied":
      return { label: "denied", tone: "plain" };
  }
}

function Folded({ part, name, moving }: { part: AnyToolPart; name: string; moving: boolean }) {
  const [open, setOpen] = useState(false);
  const id = useId();
  const words = wordsOf(part, moving);
  const works = moving && words.tone === "accent";
  const approval = part.approval;
  return (
    <section aria-label={`Tool ${visible(name)}: ${words.label}`} className="overflow-hidden rounded-lg border border-line bg-raised">
      <button
        type="button"
        aria-expanded={open}
        aria-controls={id}
        onClick={() => setOpen(!open)}
        className="flex min-h-10 w-full items-center gap-2 px-3 py-2 text-left hover:bg-hover focus-visible:outline-offset-[-2px]"
      >
        {works ? <Spinner size={15} /> : <Icon name="tool" size={15} className="shrink-0 text-muted" />}
        <ToolName name={name} />
        <span className="min-w-0 flex-1 truncate font-mono text-xs text-muted">{summary(part.input)}</span>
        <Badge tone={words.tone}>{words.label}</Badge>
        <Icon name="chevron" size={14} className={cx("shrink-0 text-muted transition-transform", open && "rotate-90")} />
      </button>
      {open ? (
        <div id={id} className="grid gap-3 border-t border-line p-3">
          <Labelled label="Input">
            <Json value={part.input ?? {}} label="Input" />
          </Labelled>
          {part.state === "output-available" ? (
            <Labelled label="Output">
              <Json value={part.output} label="Output" />
            </Labelled>
          ) : null}
          {approval && typeof approval.approved === "boolean" ? (
            <p className="text-xs text-muted">
              {approval.approved ? "Approved" : "Denied"}
              {approval.reason ? `: ${visible(approval.reason)}` : ""}
            </p>
          ) : null}
        </div>
      ) : null}
      {part.state === "output-error" ? (
        <p dir="auto" className="border-t border-line bg-bad-soft px-3 py-2 text-sm break-words text-bad [overflow-wrap:anywhere]">
          {visible(part.errorText)}
        </p>
      ) : null}
    </section>
  );
}

/** The question before a tool that changes something: what is shown is what will be executed. */
function Approval({ part, name, actions }: { part: AnyToolPart; name: string; actions: ToolActions }) {
  const [busy, setBusy] = useState(false);
  const [asking, setAsking] = useState(false);
  const reason = useRef<HTMLInputElement>(null);
  if (part.state !== "approval-requested") return null;
  const id = part.approval.id;
  const always = async (): Promise<void> => {
    setBusy(true);
    try {
      await permitTool(name, "always_allow");
      toast(`${name} will not ask again.`);
      actions.decide(id, true);
    } catch (error) {
      toast(told(error), "bad");
    } finally {
      setBusy(false);
    }
  };
  return (
    <section
      aria-label={`Approval: ${visible(name)}`}
      data-approval={id}
      tabIndex={-1}
      className="overflow-hidden rounded-lg border border-warn/60 bg-raised shadow-xs ring-3 ring-warn-soft focus:outline-none focus-visible:outline-2"
    >
      <header className="flex items-center gap-2 bg-warn-soft px-3 py-2.5 text-warn">
        <Icon name="lock" size={16} className="shrink-0" />
        <p className="min-w-0 text-sm font-medium">
          May the agent run <ToolName name={name} />?
        </p>
      </header>
      <div className="grid gap-3 p-3">
        <Labelled label="It will run with exactly these arguments">
          <Json value={part.input ?? {}} label="Arguments" whole />
        </Labelled>
        {asking ? (
          <form
            className="flex flex-wrap gap-2"
            onSubmit={(event) => {
              event.preventDefault();
              actions.decide(id, false, reason.current?.value.trim() || undefined);
            }}
          >
            <input
              ref={reason}
              autoFocus
              aria-label="Why it is denied"
              placeholder="Why? The agent is told. (optional)"
              className="h-9 min-w-0 flex-1 basis-48 rounded-md border border-line-strong bg-bg px-3 text-sm"
              onKeyDown={(event) => {
                if (event.key !== "Escape") return;
                event.preventDefault();
                event.stopPropagation();
                setAsking(false);
              }}
            />
            <Button type="submit" look="danger">
              Deny
            </Button>
            <Button look="ghost" onClick={() => setAsking(false)}>
              Back
            </Button>
          </form>
        ) : (
          <div className="grid grid-cols-2 gap-2 sm:flex sm:flex-wrap">
            <Button look="primary" icon="check" disabled={busy} onClick={() => actions.decide(id, true)}>
              Approve
            </Button>
            <Button icon="cross" disabled={busy} onClick={() => setAsking(true)}>
              Deny…
            </Button>
            <Button look="ghost" className="max-sm:col-span-2" busy={busy} onClick={() => void always()} title={`From now on ${visible(name)} runs without asking you`}>
              Always allow this tool
            </Button>
          </div>
        )}
      </div>
    </section>
  );
}

/** A tool that is the page's to run: a human does it. */
function PageTool({ part, name, actions }: { part: AnyToolPart; name: string; actions: ToolActions }) {
  const [text, setText] = useState("{}");
  const [problem, setProblem] = useState<string | null>(null);
  const id = useId();
  return (
    <section aria-label={`Tool for you: ${visible(name)}`} className="overflow-hidden rounded-lg border border-accent/60 bg-raised ring-3 ring-accent-soft">
      <header className="flex items-center gap-2 bg-accent-soft px-3 py-2.5 text-accent">
        <Icon name="tool" size={16} className="shrink-0" />
        <p className="min-w-0 text-sm font-medium">
          The agent asks this page to run <ToolName name={name} />
        </p>
      </header>
      <form
        className="grid gap-3 p-3"
        onSubmit={(event) => {
          event.preventDefault();
          try {
            actions.answer(name, part.toolCallId, JSON.parse(text));
          } catch {
            setProblem("This is not JSON.");
          }
        }}
      >
        <Labelled label="Arguments">
          <Json value={part.input ?? {}} label="Arguments" whole />
        </Labelled>
        <div>
          <label htmlFor={id} className="mb-1 block text-xs font-medium text-muted">
            Output, as JSON
          </label>
          <textarea
            id={id}
            value={text}
            rows={3}
            spellCheck={false}
            aria-invalid={problem !== null}
            onChange={(event) => {
              setText(event.target.value);
              setProblem(null);
            }}
            className="block w-full rounded-md border border-line-strong bg-bg p-2.5 font-mono text-xs"
          />
          {problem !== null ? (
            <p role="alert" className="mt-1 text-xs text-bad">
              {problem}
            </p>
          ) : null}
        </div>
        <div className="flex flex-wrap gap-2">
          <Button type="submit" look="primary">
            Send output
          </Button>
          <Button onClick={() => actions.decline(name, part.toolCallId, "the user declined to run this tool")}>Decline</Button>
        </div>
      </form>
    </section>
  );
}

interface FormCallProps {
  part: AnyToolPart;
  name: string;
  widget: unknown;
  waits: boolean;
  actions: ToolActions;
}

/** A call of a form: its widget while it waits, what came of it afterwards. */
function FormCall({ part, name, widget, waits, actions }: FormCallProps) {
  if (!waits) return <Folded part={part} name={name} moving={false} />;
  return (
    <Form
      widget={widget}
      label={`Form: ${visible(name)}`}
      onSubmit={(values) => actions.answer(name, part.toolCallId, values)}
      onCancel={() => actions.decline(name, part.toolCallId, "the user closed the form without an answer")}
      onAction={(action) => actions.act(part.toolCallId, action)}
    />
  );
}

function ToolName({ name }: { name: string }) {
  return (
    <code dir="ltr" className="shrink-0 font-mono text-[0.8125rem] font-semibold text-text [unicode-bidi:isolate]">
      {visible(name.length > 64 ? `${name.slice(0, 63)}…` : name)}
    </code>
  );
}

function Labelled({ label, children }: { label: string; children: ReactNode }) {
  return (
    <div className="min-w-0">
      <p className="mb-1 text-xs font-medium text-muted">{label}</p>
      {children}
    </div>
  );
}

/** Arguments in one line, for looking at. */
export function summary(input: unknown): string {
  if (typeof input !== "object" || input === null) return visible(String(input ?? ""));
  const words = Object.entries(input)
    .slice(0, 4)
    .map(([name, value]) => `${name}: ${(JSON.stringify(value) ?? "").slice(0, 80)}`);
  return visible(words.join(", ").slice(0, 200));
}
