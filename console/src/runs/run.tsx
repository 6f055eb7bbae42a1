// One run: what it is and cost, as a waterfall, and event by event. The address says what is open.

import { useEffect, useRef, useState } from "react";
import { useRunChanges } from "../api/changes";
import { told } from "../api/http";
import { rerun, runDetail, traceRun } from "../api/journal";
import type { RunDetail, Trace } from "../api/journal-types";
import * as own from "../api/own";
import { useQuery, type Query } from "../api/query";
import { useShortcuts } from "../app/keyboard";
import { linkTo, navigate, pathTo, usePlace } from "../app/router";
import { askReplay } from "../sessions/asked";
import { Button, IconButton } from "../ui/button";
import { cx } from "../ui/classes";
import { Confirm } from "../ui/dialog";
import { Figure, PageFrame, Tabs } from "../ui/frame";
import { copy, Json, visible } from "../ui/json";
import { Long } from "../ui/long";
import { faceName } from "../ui/names";
import { Loaded, PageState } from "../ui/page-state";
import { Side } from "../ui/side";
import { amount, Ago } from "../ui/time";
import { toast } from "../ui/toast";
import { barsOf, reasonOf } from "./bars";
import { EventList } from "./event-list";
import { useRunEvents, type RunEvents } from "./events";
import { EventDetails, StepDetails, WaitDetails } from "./inspector";
import { Picker } from "./picker";
import { Waiting } from "./waiting";
import { Waterfall } from "./waterfall";
import { dollars, isActive, Length, nameOf, seconds, shortId, shortUser, StatusBadge } from "./words";

const ABOVE = { label: "Runs", to: "/console/runs" };
/** Runs with fewer events are read whole at once. */
const SMALL = 2_000;

export function RunPage({ id }: { id: string }) {
  const query = useQuery(`run:${id}`, (signal) => runDetail(id, signal));
  if (query.data === undefined) {
    return (
      <PageFrame title={`Run ${shortId(id)}`} above={ABOVE}>
        <Loaded query={query} {...(query.state === "missing" ? { title: "There is no such run", action: <Button onClick={() => navigate("/console/runs")}>To the runs</Button> } : {})}>
          {() => null}
        </Loaded>
      </PageFrame>
    );
  }
  return <Opened run={query.data} query={query} />;
}

type Tab = "waterfall" | "events" | "result";

function Opened({ run, query }: { run: RunDetail; query: Query<RunDetail> }) {
  const { query: address } = usePlace();
  const active = isActive(run);
  const events = useRunEvents(run.id, run.last_seq, active);
  const trace = useTrace(run, events, query.reload);
  const [asking, setAsking] = useState<"cancel" | "compare" | null>(null);
  const [busy, setBusy] = useState(false);

  const tab: Tab = address.get("tab") === "events" ? "events" : address.get("tab") === "result" ? "result" : "waterfall";
  const step = address.get("step");
  const seq = Number(address.get("event") ?? 0) || null;
  const go = (next: { tab?: Tab; step?: string | null; event?: number | null }): void => {
    const words = new URLSearchParams();
    const to = { tab, step, event: seq, ...next };
    if (to.tab !== "waterfall") words.set("tab", to.tab);
    if (to.tab === "waterfall" && to.step) words.set("step", to.step);
    if (to.tab === "events" && to.event) words.set("event", String(to.event));
    const text = words.toString();
    navigate(pathTo("runs", run.id) + (text === "" ? "" : `?${text}`), { replace: true });
  };

  useEffect(() => {
    if (run.last_seq <= SMALL) void events.wantAll();
  }, [events, run.last_seq]);
  useEffect(() => {
    if (seq !== null) events.want(seq, seq);
  }, [events, seq, events.last]);

  const cancel = async (): Promise<void> => {
    setBusy(true);
    try {
      query.set({ ...run, ...(await own.cancelRun(run.id)) });
      trace.reload();
    } catch (error) {
      toast(told(error), "bad");
    } finally {
      setBusy(false);
      setAsking(null);
    }
  };
  const again = async (): Promise<void> => {
    if (busy) return;
    setBusy(true);
    try {
      const started = await rerun(run.id);
      toast("It runs again.");
      navigate(pathTo("runs", started.id));
    } catch (error) {
      toast(told(error), "bad");
    } finally {
      setBusy(false);
    }
  };
  useShortcuts([
    { keys: "w", label: "The waterfall", run: () => go({ tab: "waterfall" }) },
    { keys: "v", label: "The events", run: () => go({ tab: "events" }) },
    { keys: "r", label: "Run it again", run: () => void again() },
    { keys: "c", label: "Compare it with another run", run: () => setAsking("compare") },
    ...(active ? [{ keys: "s", label: "Cancel the run", run: () => setAsking("cancel") }] : []),
  ]);

  const name = nameOf(run);
  const session = run.session ?? run.thread;
  return (
    <PageFrame
      title={`${name} ${shortId(run.id)}`}
      heading={
        <>
          <span className="truncate [unicode-bidi:isolate]">{visible(name)}</span>
          <StatusBadge status={run.status} />
        </>
      }
      above={ABOVE}
      actions={
        <>
          {active ? (
            <Button size="small" icon="stop" busy={busy} onClick={() => setAsking("cancel")} className="max-sm:[&>svg]:hidden">
              Cancel
            </Button>
          ) : null}
          <Button size="small" icon="retry" busy={busy} onClick={() => void again()} className="max-sm:[&>svg]:hidden">
            Re-run
          </Button>
          <Button size="small" onClick={() => setAsking("compare")}>
            Compare…
          </Button>
          {session ? (
            <Button
              size="small"
              title="Runs its session again with the recorded answers: no model is asked"
              onClick={() => {
                askReplay(session);
                navigate(pathTo("sessions", session));
              }}
            >
              Replay…
            </Button>
          ) : null}
        </>
      }
      below={<Figures run={run} trace={trace.data} />}
    >
      {run.error ? (
        <div
          role={run.status === "cancelled" ? "status" : "alert"}
          className={cx(
            "max-h-32 shrink-0 overflow-y-auto border-b border-line px-4 py-2 text-sm break-words [overflow-wrap:anywhere] md:px-6",
            run.status === "cancelled" ? "bg-surface text-muted" : "bg-bad-soft text-bad",
          )}
        >
          <span className="font-mono text-xs">{visible(run.error.code ?? "error")}</span> <Long text={run.error.message ?? ""} />
          {run.error.ref ? <span className="ml-2 font-mono text-xs">ref {visible(run.error.ref)}</span> : null}
        </div>
      ) : null}
      {trace.data ? <Waiting run={run} trace={trace.data} events={events} onDone={() => { query.reload(); trace.reload(); }} /> : null}
      <div className="flex shrink-0 items-center border-b border-line px-4 py-1.5 md:px-6">
        <Tabs
          label="Views of the run"
          chosen={tab}
          onChoose={(next) => go({ tab: next })}
          tabs={[
            { name: "waterfall", label: "Waterfall" },
            { name: "events", label: "Events", count: amount(events.last) },
            { name: "result", label: run.flow ? "Result" : "Answer" },
          ]}
        />
      </div>
      <div className="flex min-h-0 flex-1">
        <div className="flex min-h-0 min-w-0 flex-1 flex-col">
          {tab === "waterfall" ? (
            <Loaded query={trace}>{(data) => <Waterfall trace={data} chosen={step} onChoose={(key) => go({ step: key === step ? null : key })} />}</Loaded>
          ) : tab === "events" ? (
            <EventList events={events} begin={run.created} chosen={seq} onChoose={(next) => go({ event: next === seq ? null : next })} />
          ) : (
            <Result run={run} events={events} />
          )}
        </div>
        {tab === "waterfall" && step !== null && trace.data ? <Chosen run={run} trace={trace.data} chosen={step} events={events} onClose={() => go({ step: null })} /> : null}
        {tab === "events" && seq !== null ? (
          <Side title={`Event ${seq}`} onClose={() => go({ event: null })}>
            <EventDetails events={events} seq={seq} onGo={(next) => go({ event: next })} />
          </Side>
        ) : null}
      </div>
      {asking === "cancel" ? (
        <Confirm title="Cancel this run?" confirm="Cancel the run" busy={busy} onConfirm={() => void cancel()} onClose={() => setAsking(null)}>
          The model call that it is in ends. What it has done so far stays in its journal.
        </Confirm>
      ) : null}
      {asking === "compare" ? <Picker run={run} onClose={() => setAsking(null)} /> : null}
    </PageFrame>
  );
}

function Chosen({ run, trace, chosen, events, onClose }: { run: RunDetail; trace: Trace; chosen: string; events: RunEvents; onClose: () => void }) {
  const bar = barsOf(trace).find((one) => one.key === chosen);
  if (bar === undefined) return null;
  return (
    <Side title={bar.step?.name ?? (bar.wait ? reasonOf(bar.wait) : "")} onClose={onClose}>
      {bar.step ? <StepDetails key={bar.key} run={run.id} trace={trace} step={bar.step} events={events} /> : bar.wait ? <WaitDetails wait={bar.wait} /> : null}
    </Side>
  );
}

/** The trace, read again while the run goes on: not more often than the server can bear. */
function useTrace(run: RunDetail, events: RunEvents, reloadRun: () => void): Query<Trace> {
  const took = useRef(0);
  const query = useQuery(`trace:${run.id}`, async (signal) => {
    const begun = performance.now();
    const trace = await traceRun(run.id, signal);
    took.current = performance.now() - begun;
    return trace;
  });
  const reload = useRef(query.reload);
  reload.current = query.reload;
  const again = useRef(reloadRun);
  again.current = reloadRun;
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const renew = useRef(() => {
    timer.current ??= setTimeout(
      () => {
        timer.current = undefined;
        reload.current();
        again.current();
      },
      Math.max(250, took.current * 3),
    );
  });
  useEffect(() => () => clearTimeout(timer.current), []);
  const { turns } = events;
  useEffect(() => {
    if (turns > 0) renew.current();
  }, [turns]);
  useRunChanges((row) => {
    if (row.id === run.id && (row.status !== run.status || row.ended !== run.ended)) renew.current();
  }, { onGone: (id) => id === run.id && again.current(), onAgain: () => renew.current() });
  return query;
}

/** Where it is narrow, those that count first and the others when they are asked for. */
function Figures({ run, trace }: { run: RunDetail; trace: Trace | undefined }) {
  const [all, setAll] = useState(false);
  const more = all ? "" : "max-sm:hidden";
  const { usage } = run;
  const calls = trace?.steps.filter((step) => step.kind === "model").length;
  const tools = trace?.steps.filter((step) => step.kind === "tool").length;
  return (
    <>
    <dl className="mt-2.5 mb-1 grid max-h-44 grid-cols-3 gap-x-4 gap-y-2.5 overflow-y-auto sm:grid-cols-[repeat(auto-fill,minmax(6.5rem,1fr))]">
      <Figure label="Started" className={more}>
        <Ago at={run.created} />
      </Figure>
      <Figure label="Duration">
        <Length run={run} />
      </Figure>
      <Figure label="First token">{seconds(run.first_token)}</Figure>
      <Figure label="Tokens asked" detail={usage.cache_read_tokens ? `${amount(usage.cache_read_tokens)} from cache` : undefined}>
        {usage.prompt_tokens === null ? "–" : amount(usage.prompt_tokens)}
      </Figure>
      <Figure label="Tokens given" detail={usage.reasoning_tokens ? `${amount(usage.reasoning_tokens)} reasoning` : undefined}>
        {usage.completion_tokens === null ? "–" : amount(usage.completion_tokens)}
      </Figure>
      <Figure label="Cost">{dollars(run.cost)}</Figure>
      <Figure label="Model calls" detail={tools ? `${amount(tools)} tool ${tools === 1 ? "call" : "calls"}` : undefined}>
        {calls === undefined ? "…" : amount(calls)}
      </Figure>
      <Figure label="Face" className={more}>
        {faceName(run.face)}
      </Figure>
      {run.user ? (
        <Figure label="User" className={more}>
          <a {...linkTo(`/console/runs?user=${encodeURIComponent(run.user)}`)} className="font-mono text-xs hover:underline" title={visible(run.user)}>
            {visible(shortUser(run.user))}
          </a>
        </Figure>
      ) : null}
      {run.thread ? (
        <Figure label="Thread" className={more}>
          <a {...linkTo(pathTo("chat", run.thread))} className="text-accent hover:underline">
            Open the chat
          </a>
        </Figure>
      ) : null}
      {run.flow ? (
        <Figure label="Flow" className={more} detail={run.flow_version === null ? undefined : run.flow_version === 0 ? "draft" : `version ${run.flow_version}`}>
          <a {...linkTo(pathTo("flows", ...run.flow.split("/")))} className="text-accent hover:underline">
            {visible(run.flow)}
          </a>
        </Figure>
      ) : null}
      {run.session ? (
        <Figure label="Session" className={more}>
          <a {...linkTo(pathTo("sessions", run.session))} className="text-accent hover:underline">
            {visible(shortId(run.session))}
          </a>
        </Figure>
      ) : null}
      <Figure label="Id" className={more}>
        <span className="flex h-5 items-center gap-1">
          <span className="truncate font-mono text-xs" title={run.id}>
            {shortId(run.id)}
          </span>
          <IconButton icon="copy" label="Copy the id of the run" size="small" className="-my-1.5" onClick={() => void copy(run.id)} />
        </span>
      </Figure>
    </dl>
    <button type="button" aria-expanded={all} onClick={() => setAll(!all)} className="mb-0.5 rounded text-xs font-medium text-accent sm:hidden">
      {all ? "Less" : "More about it"}
    </button>
    </>
  );
}

/** What came out: a flow's result, or what an agent answered. */
function Result({ run, events }: { run: RunDetail; events: RunEvents }) {
  if (run.flow !== null || run.result !== null) {
    return run.result === null || run.result === undefined ? (
      <PageState kind="empty" icon="trace" title={isActive(run) ? "No result yet" : "No result"} compact>
        {isActive(run) ? "It appears here when the run ends." : "The run gave none, or its capture mode does not keep it."}
      </PageState>
    ) : (
      <div className="min-h-0 overflow-y-auto p-4">
        <Json value={run.result} label="Result" whole />
      </div>
    );
  }
  return <Answer run={run} events={events} />;
}

function Answer({ run, events }: { run: RunDetail; events: RunEvents }) {
  useEffect(() => {
    void events.wantAll();
  }, [events, run.last_seq]);
  const said = spoken(events);
  if (said === "") {
    return events.isWhole() || events.state !== "ready" ? (
      <PageState kind={events.state === "ready" ? "empty" : events.state} error={events.error} onRetry={() => { events.retry(); void events.wantAll(); }} icon="chat" title={events.state === "ready" ? "Nothing was said" : undefined} compact />
    ) : (
      <PageState kind="loading" compact />
    );
  }
  return (
    <div className="min-h-0 overflow-y-auto p-4">
      <Json value={said} label="Answer" />
    </div>
  );
}

function spoken(events: RunEvents): string {
  const parts: string[] = [];
  const kinds = new Map<unknown, unknown>();
  for (let seq = 1; seq <= events.last; seq++) {
    const event = events.at(seq);
    if (event?.type === "block.started") {
      kinds.set(event.payload.block, event.payload.kind);
      if (parts.length > 0 && event.payload.kind === "text") parts.push("\n");
    } else if (event?.type === "block.delta" && kinds.get(event.payload.block) === "text") parts.push(String(event.payload.delta));
  }
  return parts.join("");
}
