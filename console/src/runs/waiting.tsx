// What a paused run waits for, with the exact arguments, and the ways to answer: yes or no, or a tool's output.

import { useEffect, useMemo, useRef, useState } from "react";
import { told } from "../api/http";
import { continueRun, decide } from "../api/journal";
import type { Trace, WaitCall } from "../api/journal-types";
import type { Run } from "../api/types";
import { linkTo, pathTo } from "../app/router";
import { Button } from "../ui/button";
import { Icon } from "../ui/icons";
import { Json, visible } from "../ui/json";
import { toast } from "../ui/toast";
import { reasonOf } from "./bars";
import { callsOf, PAGE, type RunEvents } from "./events";

interface WaitingProps {
  run: Run;
  trace: Trace;
  events: RunEvents;
  onDone: () => void;
}

export function Waiting({ run, trace, events, onDone }: WaitingProps) {
  const wait = trace.waits.findLast((one) => one.duration === null);
  const { version } = events;
  const inputs = useMemo(() => new Map(callsOf(events.known()).map((call) => [call.call, call.input])), [events, version]);
  const [busy, setBusy] = useState(false);
  const fields = useRef(new Map<string, HTMLTextAreaElement>());
  // of a long run not all has been read: nobody says yes to what they cannot see
  const isUnseen = wait !== undefined && wait.calls.some(({ call }) => inputs.get(call) === undefined);
  useEffect(() => {
    if (!isUnseen || events.state !== "ready") return;
    if (events.at(events.last) === undefined) events.want(events.last - PAGE, events.last);
    else void events.wantAll();
  }, [isUnseen, events, version]);
  if (run.status !== "paused" || wait === undefined) return null;
  const isFlow = run.flow !== null;

  const act = async (work: () => Promise<unknown>): Promise<void> => {
    setBusy(true);
    try {
      await work();
      onDone();
    } catch (error) {
      toast(told(error), "bad");
    } finally {
      setBusy(false);
    }
  };
  const answer = (approved: boolean): Promise<void> => act(() => decide(run.id, wait.calls.map(({ call }) => ({ call, approved }))));
  const handIn = (): Promise<void> =>
    act(async () => {
      const outputs: Record<string, unknown> = {};
      for (const { call } of wait.calls) outputs[call] = valueOf(fields.current.get(call)?.value ?? "");
      if (isFlow) await continueRun(run.id, { outputs });
      else await decide(run.id, Object.entries(outputs).map(([call, output]) => ({ call, output })));
    });

  return (
    <section aria-label="What the run waits for" className="max-h-[45%] shrink-0 overflow-y-auto border-b border-line bg-warn-soft px-4 py-3 md:px-6">
      <p className="flex items-center gap-2 text-sm font-medium text-warn">
        <Icon name="sessions" />
        <span className="min-w-0 [unicode-bidi:isolate]">{visible(reasonOf(wait))}</span>
      </p>
      <ul className="mt-2 grid max-w-3xl gap-2">
        {wait.calls.map((call) => (
          <li key={call.call}>
            <Call call={call} input={inputs.get(call.call)} />
            {wait.reason === "client_tool" ? (
              <textarea
                ref={(element) => {
                  if (element === null) return;
                  fields.current.set(call.call, element);
                  return () => {
                    fields.current.delete(call.call);
                  };
                }}
                rows={2}
                aria-label={`Output of ${visible(call.name ?? "the tool")}, as JSON or text`}
                placeholder="What the tool gives: JSON, or text"
                className="mt-1.5 w-full rounded-md border border-line-strong bg-raised p-2 font-mono text-xs"
              />
            ) : null}
          </li>
        ))}
      </ul>
      <div className="mt-2.5 flex flex-wrap gap-2">
        {wait.reason === "approval" ? (
          <>
            <Button size="small" look="primary" busy={busy} disabled={isUnseen} onClick={() => void answer(true)}>
              Approve
            </Button>
            <Button size="small" busy={busy} onClick={() => void answer(false)}>
              Deny
            </Button>
          </>
        ) : wait.reason === "client_tool" ? (
          <Button size="small" look="primary" busy={busy} onClick={() => void handIn()}>
            Hand in
          </Button>
        ) : wait.reason === "segment" ? (
          <Button size="small" look="primary" busy={busy} onClick={() => void act(() => continueRun(run.id, {}))}>
            Next step
          </Button>
        ) : null}
        {run.thread ? (
          <a {...linkTo(pathTo("chat", run.thread))} className="inline-flex h-7 items-center rounded-md px-2.5 text-xs font-medium text-warn underline">
            Open the chat
          </a>
        ) : null}
      </div>
    </section>
  );
}

function Call({ call, input }: { call: WaitCall; input: unknown }) {
  return (
    <>
      <p className="mb-1 font-mono text-xs">{visible(call.name ?? call.call)}</p>
      {input === undefined ? null : <Json value={input} label="Arguments" whole />}
    </>
  );
}

/** JSON if it is some, else the text as it stands. */
export function valueOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
