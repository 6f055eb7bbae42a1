// Two runs side by side: their figures, their steps, and what came out of each.

import { useEffect, useState, type ReactNode } from "react";
import { runDetail, traceRun } from "../api/journal";
import type { RunDetail, Trace, TraceStep } from "../api/journal-types";
import { useQuery } from "../api/query";
import type { PageProps } from "../app/pages";
import { useShortcuts } from "../app/keyboard";
import { linkTo, navigate, pathTo } from "../app/router";
import { Badge, Button } from "../ui/button";
import { cx } from "../ui/classes";
import { PageFrame } from "../ui/frame";
import { Icon } from "../ui/icons";
import { visible } from "../ui/json";
import { Loaded, PageState } from "../ui/page-state";
import { amount, Ago, duration } from "../ui/time";
import { kindWord } from "./bars";
import { DiffView } from "./diff-view";
import { useRunEvents, type RunEvents } from "./events";
import { Picker } from "./picker";
import { changeOf, pairsOf, type Pair } from "./pairs";
import { dollars, isActive, lengthOf, nameOf, seconds, shortId, StatusBadge } from "./words";

interface Told {
  run: RunDetail;
  trace: Trace;
}

async function read(id: string, signal: AbortSignal): Promise<Told> {
  const [run, trace] = await Promise.all([runDetail(id, signal), traceRun(id, signal)]);
  return { run, trace };
}

const ABOVE = { label: "Runs", to: "/console/runs" };

export default function ComparePage({ words }: PageProps) {
  const [one = "", other = ""] = words;
  const left = useQuery(one === "" ? null : `compare:${one}`, (signal) => read(one, signal));
  const right = useQuery(other === "" ? null : `compare:${other}`, (signal) => read(other, signal));
  const [picking, setPicking] = useState(false);
  const swap = (): void => navigate(pathTo("compare", other, one), { replace: true });
  useShortcuts([{ keys: "s", label: "Swap the two runs", run: swap }]);
  return (
    <PageFrame
      title="Compare runs"
      above={ABOVE}
      actions={
        other === "" ? undefined : (
          <>
            <Button size="small" onClick={() => setPicking(true)} disabled={left.data === undefined}>
              Another run…
            </Button>
            <Button size="small" onClick={swap}>
              Swap
            </Button>
          </>
        )
      }
    >
      {one === "" ? (
        <PageState kind="empty" title="Nothing to compare" action={<Button onClick={() => navigate("/console/runs")}>Choose two runs</Button>}>
          Mark two runs in the list (x), then compare them (c).
        </PageState>
      ) : (
        <Loaded query={left} {...(left.state === "missing" ? { title: "The first run does not exist" } : {})}>
          {(a) =>
            other === "" ? (
              <PageState kind="empty" title="With which one?" action={<Button onClick={() => setPicking(true)}>Choose a run</Button>} />
            ) : (
              <Loaded query={right} {...(right.state === "missing" ? { title: "The second run does not exist" } : {})}>
                {(b) => <Compared key={`${one} ${other}`} left={a} right={b} />}
              </Loaded>
            )
          }
        </Loaded>
      )}
      {picking && left.data ? <Picker run={left.data.run} onClose={() => setPicking(false)} /> : null}
    </PageFrame>
  );
}

function Compared({ left, right }: { left: Told; right: Told }) {
  const pairs = pairsOf(left.trace, right.trace);
  const longest = Math.max(0.001, ...pairs.flatMap((pair) => [pair.left?.duration ?? 0, pair.right?.duration ?? 0]));
  const [open, setOpen] = useState<number | null>(null);
  return (
    <div tabIndex={0} role="region" aria-label="Comparison" className="min-h-0 flex-1 overflow-y-auto focus-visible:outline-offset-[-2px]">
      <div className="grid gap-6 p-4 md:p-6">
        <div className="overflow-x-auto rounded-lg border border-line">
          <table className="w-full min-w-[20rem] table-fixed text-sm tabular-nums">
            <thead>
              <tr className="border-b border-line bg-surface text-left align-top">
                <th scope="col" className="w-[24%] px-3 py-2 text-xs font-medium text-muted">
                  Figure
                </th>
                {[left, right].map(({ run }, place) => (
                  <th key={place} scope="col" className="px-3 py-2 font-medium">
                    <a {...linkTo(pathTo("runs", run.id))} className="flex min-w-0 flex-wrap items-baseline gap-x-2 hover:underline" title={run.id}>
                      <span className="max-w-full min-w-0 truncate [unicode-bidi:isolate]">{visible(nameOf(run))}</span>
                      <span className="font-mono text-xs font-normal text-muted">{shortId(run.id)}</span>
                    </a>
                    <span className="mt-1 flex flex-wrap items-center gap-2">
                      <StatusBadge status={run.status} />
                      <Ago at={run.created} className="text-xs font-normal text-muted" />
                    </span>
                  </th>
                ))}
                <th scope="col" className="hidden w-[14%] px-3 py-2 text-xs font-medium text-muted sm:table-cell">
                  Change
                </th>
              </tr>
            </thead>
            <tbody>
              {figuresOf(left).map((row, place) => {
                const other = figuresOf(right)[place];
                return <FigureRow key={row.label} label={row.label} left={row.shown} right={other?.shown ?? "–"} change={changeOf(row.value, other?.value)} lessIsBetter={row.lessIsBetter} />;
              })}
            </tbody>
          </table>
        </div>
        <section aria-label="Steps">
          <h2 className="mb-2 text-sm font-semibold">Steps</h2>
          {pairs.length === 0 ? (
            <PageState kind="empty" icon="trace" title="Neither of them began a step" compact />
          ) : (
            <ol className="overflow-hidden rounded-lg border border-line">
              {pairs.map((pair, place) => (
                <PairRow key={place} pair={pair} longest={longest} isOpen={open === place} onToggle={() => setOpen(open === place ? null : place)} />
              ))}
            </ol>
          )}
        </section>
        <section aria-label="What came out">
          <h2 className="mb-2 text-sm font-semibold">What came out</h2>
          <Outcomes left={left.run} right={right.run} />
        </section>
      </div>
    </div>
  );
}

interface FigureOf {
  label: string;
  value: number | null;
  shown: ReactNode;
  /** Null: neither is better. */
  lessIsBetter: boolean | null;
}

function figuresOf({ run, trace }: Told): FigureOf[] {
  const { usage } = run;
  const took = lengthOf(run, Date.now() / 1_000);
  const count = (kind: string): number => trace.steps.filter((step) => step.kind === kind).length;
  const waited = trace.waits.reduce((sum, wait) => sum + (wait.duration ?? 0), 0);
  const row = (label: string, value: number | null, shown: ReactNode, lessIsBetter: boolean | null = true): FigureOf => ({ label, value, shown, lessIsBetter });
  return [
    row("Duration", took, duration(took)),
    row("Waited", waited, duration(waited)),
    row("First token", run.first_token ?? null, seconds(run.first_token)),
    row("Tokens asked", usage.prompt_tokens, usage.prompt_tokens === null ? "–" : amount(usage.prompt_tokens)),
    row("Tokens given", usage.completion_tokens, usage.completion_tokens === null ? "–" : amount(usage.completion_tokens)),
    row("Cost", run.cost, dollars(run.cost)),
    row("Model calls", count("model"), amount(count("model")), null),
    row("Tool calls", count("tool"), amount(count("tool")), null),
    row("Steps", trace.steps.length, amount(trace.steps.length), null),
    row("Events", run.last_seq, amount(run.last_seq), null),
    row("Code version", null, <span className="font-mono text-xs break-all">{visible(run.version)}</span>, null),
  ];
}

function FigureRow({ label, left, right, change, lessIsBetter }: { label: string; left: ReactNode; right: ReactNode; change: string | null; lessIsBetter: boolean | null }) {
  const isLess = change !== null && (change.startsWith("−") || change === "less");
  const tone = change === null || change === "same" || lessIsBetter === null ? "text-muted" : isLess === lessIsBetter ? "text-good" : "text-warn";
  return (
    <tr className="border-b border-line/60 last:border-0">
      <th scope="row" className="px-3 py-1.5 text-left text-xs font-normal text-muted">
        {label}
      </th>
      <td className="px-3 py-1.5">{left}</td>
      <td className="px-3 py-1.5">
        <span className={cx("mr-2", typeof right === "string" && "whitespace-nowrap")}>{right}</span>
        {change !== null && change !== "same" ? <span className={cx("text-xs whitespace-nowrap sm:hidden", tone)}>{change}</span> : null}
      </td>
      <td className={cx("hidden px-3 py-1.5 text-xs whitespace-nowrap sm:table-cell", tone)}>{change ?? ""}</td>
    </tr>
  );
}

function PairRow({ pair, longest, isOpen, onToggle }: { pair: Pair; longest: number; isOpen: boolean; onToggle: () => void }) {
  const { left, right } = pair;
  const change = changeOf(left?.duration, right?.duration);
  const differs = JSON.stringify([left?.input, left?.output]) !== JSON.stringify([right?.input, right?.output]);
  return (
    <li className="border-b border-line/60 last:border-0">
      <button
        type="button"
        aria-expanded={isOpen}
        onClick={onToggle}
        className="grid w-full grid-cols-2 items-center gap-y-1 py-2 text-left text-sm hover:bg-hover focus-visible:outline-offset-[-2px] sm:grid-cols-[24%_minmax(0,1fr)_minmax(0,1fr)_14%]"
      >
        <span className="col-span-2 flex min-w-0 items-center gap-2 px-3 sm:col-span-1">
          {pair.depth > 0 ? <span aria-hidden="true" className="shrink-0" style={{ width: `${pair.depth}rem` }} /> : null}
          <Icon name={isOpen ? "chevronDown" : "chevron"} size={13} className="shrink-0 text-muted" />
          <span className="truncate [unicode-bidi:isolate]">{visible(pair.name)}</span>
          <span className="shrink-0 text-xs text-muted">{kindWord(pair.kind)}</span>
          {differs ? <Badge tone="warn">differs</Badge> : null}
        </span>
        <Measure step={left} longest={longest} />
        <Measure step={right} longest={longest} />
        <span className="hidden px-3 text-xs whitespace-nowrap text-muted sm:block">{change ?? (left === null ? "only right" : right === null ? "only left" : "")}</span>
      </button>
      {isOpen ? (
        <div className="grid gap-3 border-t border-line/60 bg-surface p-3">
          <DiffView label="Input" leftName="Input, left" rightName="Input, right" left={left?.input ?? undefined} right={right?.input ?? undefined} />
          <DiffView label="Output" leftName="Output, left" rightName="Output, right" left={left?.output ?? undefined} right={right?.output ?? undefined} />
        </div>
      ) : null}
    </li>
  );
}

function Measure({ step, longest }: { step: TraceStep | null; longest: number }) {
  if (step === null) return <span className="px-3 text-xs text-muted">not run</span>;
  const took = step.duration ?? 0;
  return (
    <span className="flex min-w-0 items-center gap-2 px-3">
      <span className="h-2 min-w-0 flex-1 rounded-sm bg-hover">
        <span className={cx("block h-full min-w-[3px] rounded-sm", step.status === "failed" ? "bg-bad-solid" : "bg-accent-solid")} style={{ width: `${(took / longest) * 100}%` }} />
      </span>
      <span className="w-14 shrink-0 text-right text-xs text-muted tabular-nums">{step.duration === null ? step.status : duration(took)}</span>
    </span>
  );
}

/** Results of flows, or what agents have said, and errors. */
function Outcomes({ left, right }: { left: RunDetail; right: RunDetail }) {
  const one = useOutcome(left);
  const other = useOutcome(right);
  if (one === null || other === null) return <PageState kind="loading" compact />;
  return <DiffView label="Outcome" left={one} right={other} leftName={shortId(left.id)} rightName={shortId(right.id)} />;
}

const MOST_EVENTS = 20_000;

function useOutcome(run: RunDetail): unknown {
  const events = useRunEvents(run.id, run.last_seq, false);
  const isSaid = run.flow === null && run.result === null && run.last_seq <= MOST_EVENTS;
  useEffect(() => {
    if (isSaid) void events.wantAll();
  }, [events, isSaid]);
  if (isSaid && !events.isWhole() && events.state === "ready") return null;
  return {
    status: run.status,
    ...(run.error ? { error: { code: run.error.code, message: run.error.message } } : {}),
    ...(isSaid ? { answer: textLines(events), tools: toolsOf(events) } : run.flow === null && run.result === null ? {} : { result: run.result }),
    ...(isActive(run) ? { note: "still under way" } : {}),
  };
}

function textLines(events: RunEvents): string[] {
  return events
    .known()
    .filter((event) => event.type === "block.delta")
    .map((event) => String(event.payload.delta))
    .join("")
    .split("\n");
}

function toolsOf(events: RunEvents): unknown[] {
  return events
    .known()
    .filter((event) => event.type === "tool.input" || event.type === "tool.output" || event.type === "tool.failed" || event.type === "tool.denied")
    .map((event) => {
      const { call: _, ...rest } = event.payload;
      return { [event.type]: rest };
    });
}
