// What is known of one step, one wait or one event of a run.

import { useMemo, useState, type ReactNode } from "react";
import { traceStep } from "../api/journal";
import type { Trace, TraceStep, Wait } from "../api/journal-types";
import { useQuery } from "../api/query";
import { Badge, Button, Spinner, type Tone } from "../ui/button";
import { cx } from "../ui/classes";
import { Figure } from "../ui/frame";
import { Json, visible } from "../ui/json";
import { Long } from "../ui/long";
import { PageState } from "../ui/page-state";
import { amount, bytes, duration, exact } from "../ui/time";
import { callOfKey, kindWord, reasonOf } from "./bars";
import { callsOf, textOf, type RunEvents } from "./events";
import { dollars, seconds } from "./words";

const TONES: Record<string, Tone> = { running: "accent", completed: "good", failed: "bad", cancelled: "plain" };

export function StepDetails({ run, trace, step, events }: { run: string; trace: Trace; step: TraceStep; events: RunEvents }) {
  const { usage } = step;
  return (
    <div className="grid gap-4">
      <dl className="grid grid-cols-2 gap-x-4 gap-y-3 sm:grid-cols-3">
        <Figure label="State">
          <Badge tone={TONES[step.status] ?? "plain"}>{step.status}</Badge>
        </Figure>
        <Figure label="Kind">{kindWord(step.kind)}</Figure>
        {step.model ? <Figure label="Model">{visible(step.model)}</Figure> : null}
        <Figure label="Begins">+{duration(step.start)}</Figure>
        <Figure label="Takes">{step.duration === null ? "under way" : seconds(step.duration)}</Figure>
        {usage.total_tokens === null ? null : (
          <>
            <Figure label="Tokens asked" detail={usage.cache_read_tokens ? `${amount(usage.cache_read_tokens)} from cache` : undefined}>
              {amount(usage.prompt_tokens ?? 0)}
            </Figure>
            <Figure label="Tokens given" detail={usage.reasoning_tokens ? `${amount(usage.reasoning_tokens)} reasoning` : undefined}>
              {amount(usage.completion_tokens ?? 0)}
            </Figure>
          </>
        )}
        {step.cost === null ? null : <Figure label="Cost">{dollars(step.cost)}</Figure>}
        <Figure label="Key" className="col-span-full">
          <span className="font-mono text-xs break-all">{visible(step.key)}</span>
        </Figure>
      </dl>
      {step.attempts.length > 1 || step.attempts.some((one) => one.code !== null) ? <Attempts step={step} /> : null}
      <Payloads run={run} trace={trace} step={step} />
      <FromEvents step={step} events={events} />
    </div>
  );
}

function Attempts({ step }: { step: TraceStep }) {
  return (
    <Section title="Tries">
      <ol className="grid gap-1.5">
        {step.attempts.map((one) => (
          <li key={one.attempt} className="rounded-md border border-line p-2 text-sm">
            <span className="flex items-center gap-2">
              <span className="font-medium">{one.attempt}</span>
              <Badge tone={TONES[one.status] ?? "plain"}>{one.status}</Badge>
              <span className="ml-auto text-xs text-muted tabular-nums">
                +{duration(one.start)} · {seconds(one.duration)}
              </span>
            </span>
            {one.code ? (
              <p className={cx("mt-1 text-xs break-words [overflow-wrap:anywhere]", one.status === "cancelled" ? "text-muted" : "text-bad")}>
                <span className="font-mono">{visible(one.code)}</span>
                {one.message ? <>: <Long text={one.message} /></> : null}
              </p>
            ) : null}
          </li>
        ))}
      </ol>
    </Section>
  );
}

/** What the capture mode kept of what went in and came out. */
function Payloads({ run, trace, step }: { run: string; trace: Trace; step: TraceStep }) {
  const [whole, setWhole] = useState(false);
  const asked = useQuery(whole ? `step:${run}:${step.key}` : null, (signal) => traceStep(run, step.key, signal));
  const shown = asked.data ?? step;
  if (trace.capture !== null && trace.capture !== "full" && step.input === null && step.output === null) {
    return <p className="text-xs text-muted">The flow's capture mode is “{trace.capture}”: what went in and came out is not kept.</p>;
  }
  return (
    <>
      {shown.input === null ? null : (
        <Section title="Input" detail={step.input_bytes === null ? undefined : bytes(step.input_bytes)}>
          <Json value={shown.input} label="Input" />
        </Section>
      )}
      {shown.output === null ? null : (
        <Section title="Output" detail={step.output_bytes === null ? undefined : bytes(step.output_bytes)}>
          <Json value={shown.output} label="Output" />
        </Section>
      )}
      {shown.truncated ? <p className="text-xs text-muted">Some of it was too long to be kept and is cut.</p> : null}
      {step.left_out && asked.data === undefined ? (
        <Button size="small" className="justify-self-start" busy={whole && asked.state === "loading"} onClick={() => setWhole(true)}>
          Show input and output
        </Button>
      ) : null}
      {whole && asked.state !== "ready" && asked.state !== "loading" ? <PageState kind={asked.state} error={asked.error} onRetry={asked.reload} compact /> : null}
    </>
  );
}

/** What an agent's step said and called, from the events. */
function FromEvents({ step, events }: { step: TraceStep; events: RunEvents }) {
  const [asked, setAsked] = useState(false);
  const { version } = events;
  const call = callOfKey(step.key);
  const mine = useMemo(
    () => events.known().filter((event) => (call === null ? event.step === step.key : event.payload.call === call || event.step === step.key)),
    // `version` stands for what has been read
    [events, version, call, step.key],
  );
  const said = textOf(mine).filter((block) => block.text !== "");
  const calls = callsOf(mine);
  if (!events.isWhole()) {
    return (
      <Button
        size="small"
        className="justify-self-start"
        busy={asked && events.state === "ready"}
        onClick={() => {
          setAsked(true);
          void events.wantAll();
        }}
      >
        {asked ? `${amount(events.count)} of ${amount(events.last)} events read` : `Read its events (${amount(events.last)} in the run)`}
      </Button>
    );
  }
  return (
    <>
      {said.map((block, place) => (
        <Section key={place} title={block.kind === "reasoning" ? "Reasoning" : "Text"} detail={`${amount(block.text.length)} characters`}>
          <Json value={block.text} label={block.kind === "reasoning" ? "Reasoning" : "Text"} />
        </Section>
      ))}
      {calls.map((one) => (
        <Section key={one.call} title={call === null ? `Calls ${visible(one.name)}` : "Tool"} detail={call === null ? undefined : visible(one.name)}>
          <div className="grid gap-1.5">
            {one.input === undefined ? null : (
              <>
                <p className="text-xs text-muted">Arguments</p>
                <Json value={one.input} label="Arguments" />
              </>
            )}
            {one.output === undefined ? null : (
              <>
                <p className="mt-1 text-xs text-muted">What came back</p>
                <Json value={one.output} label="What came back" />
              </>
            )}
            {one.problem === undefined ? null : <p className="text-sm break-words text-bad [overflow-wrap:anywhere]"><Long text={one.problem} /></p>}
          </div>
        </Section>
      ))}
    </>
  );
}

export function WaitDetails({ wait }: { wait: Wait }) {
  return (
    <div className="grid gap-4">
      <dl className="grid grid-cols-2 gap-x-4 gap-y-3">
        <Figure label="Why">{reasonOf(wait)}</Figure>
        <Figure label="State">{wait.duration === null ? <Badge tone="warn">waiting</Badge> : "over"}</Figure>
        <Figure label="Begins">+{duration(wait.start)}</Figure>
        <Figure label="Takes">{wait.duration === null ? "under way" : duration(wait.duration)}</Figure>
      </dl>
      {wait.calls.length > 0 ? (
        <Section title="Calls">
          <ul className="grid gap-1 font-mono text-xs">
            {wait.calls.map((call) => (
              <li key={call.call} className="break-all">
                {visible(call.name ?? "?")} {visible(call.call)}
              </li>
            ))}
          </ul>
        </Section>
      ) : null}
    </div>
  );
}

export function EventDetails({ events, seq, onGo }: { events: RunEvents; seq: number; onGo: (seq: number) => void }) {
  const event = events.at(seq);
  return (
    <div className="grid gap-3">
      <div className="flex gap-2">
        <Button size="small" disabled={seq <= 1} onClick={() => onGo(seq - 1)}>
          Previous
        </Button>
        <Button size="small" disabled={seq >= events.last} onClick={() => onGo(seq + 1)}>
          Next
        </Button>
      </div>
      {event === undefined ? (
        <p className="flex items-center gap-2 text-sm text-muted">
          <Spinner size={14} /> Reading…
        </p>
      ) : (
        <>
          <dl className="grid grid-cols-2 gap-x-4 gap-y-3">
            <Figure label="Type">
              <span className="font-mono text-xs break-all">{visible(event.type)}</span>
            </Figure>
            <Figure label="Time">{exact(event.time)}</Figure>
            {event.step ? (
              <Figure label="Step">
                <span className="font-mono text-xs break-all">{visible(event.step)}</span>
              </Figure>
            ) : null}
          </dl>
          <Section title="What it says">
            <Json value={event.payload} label="Payload" />
          </Section>
          <Section title="The whole event">
            <Json value={event} label="Event" />
          </Section>
        </>
      )}
    </div>
  );
}

/** `top`: it stands directly below the title of the page. */
export function Section({ title, detail, top, children }: { title: string; detail?: string | undefined; top?: boolean; children: ReactNode }) {
  const Heading = top ? "h2" : "h3";
  return (
    <section className="min-w-0">
      <Heading className="mb-1.5 flex items-baseline justify-between gap-2 text-xs font-medium text-muted">
        {title}
        {detail === undefined ? null : <span className="font-normal tabular-nums">{detail}</span>}
      </Heading>
      {children}
    </section>
  );
}
