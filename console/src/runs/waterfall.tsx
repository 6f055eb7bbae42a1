// A run as a waterfall: one row for each step, model call, tool and wait, on one axis of time.

import { useMemo, useRef, useState } from "react";
import type { Trace } from "../api/journal-types";
import { Badge } from "../ui/button";
import { cx } from "../ui/classes";
import { Icon } from "../ui/icons";
import { visible } from "../ui/json";
import { PageState } from "../ui/page-state";
import { useRem } from "../ui/rem";
import { useRowKeys } from "../ui/rows";
import { duration, useNow } from "../ui/time";
import { VirtualList, type VirtualHandle } from "../ui/virtual";
import { barsOf, kindWord, lengthOfTrace, reasonOf, ticksOf, type Bar } from "./bars";
import { dollars } from "./words";
import { amount } from "../ui/time";

interface WaterfallProps {
  trace: Trace;
  chosen: string | null;
  onChoose: (key: string) => void;
}

const ROW_REM = 2.25;

const TOOL = "bg-[color-mix(in_srgb,var(--c-warn)_65%,var(--c-raised))]";
const COLOURS: Record<string, string> = {
  model: "bg-accent-solid",
  agent: "bg-accent-solid",
  tool: TOOL,
  client_tool: TOOL,
  knowledge: "bg-(--c-good)",
  loop: "bg-(--c-muted)",
  when: "bg-(--c-muted)",
};

export function Waterfall({ trace, chosen, onChoose }: WaterfallProps) {
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set());
  const bars = useMemo(() => barsOf(trace, closed), [trace, closed]);
  const isOver = trace.run.ended !== null;
  const now = useNow(isOver ? 60_000 : 250);
  const length = lengthOfTrace(trace, Math.max(0, now - trace.begin));
  const ticks = ticksOf(length);
  const first = trace.run.first_token;
  const firstAt = first === null || first === undefined ? null : Math.max(0, (trace.run.started ?? trace.begin) - trace.begin) + first;
  const rem = useRem();
  const handle = useRef<VirtualHandle>(null);
  const root = useRef<HTMLDivElement>(null);
  const keys = useRowKeys(handle, root, bars.length);
  const toggle = (key: string): void =>
    setClosed((old) => {
      const next = new Set(old);
      if (!next.delete(key)) next.add(key);
      return next;
    });

  if (bars.length === 0) {
    return (
      <PageState kind="empty" icon="trace" title={isOver ? "No step was begun" : "Nothing has begun yet"} compact>
        {isOver ? "The run ended before its first step." : "Steps appear here as they begin."}
      </PageState>
    );
  }
  return (
    <div
      ref={root}
      className="flex min-h-0 flex-1 flex-col"
      onKeyDown={(event) => {
        const bar = bars[Number((event.target as HTMLElement).dataset.row ?? -1)];
        if (bar?.hasChildren && ((event.key === "ArrowLeft" && !closed.has(bar.key)) || (event.key === "ArrowRight" && closed.has(bar.key)))) {
          event.preventDefault();
          toggle(bar.key);
        } else keys.onKeyDown(event);
      }}
    >
      <div aria-hidden="true" className={cx(GRID, "h-7 shrink-0 items-center border-b border-line bg-surface text-[0.6875rem] text-muted")}>
        <span className="flex items-center gap-3 pl-4 md:pl-6">
          <span>{bars.length === 1 ? "1 row" : `${amount(bars.length)} rows`}</span>
          <Legend bars={bars} hasFirst={firstAt !== null} />
        </span>
        <span className="relative mr-24 hidden h-full overflow-x-clip sm:block">
          {ticks.map((tick, place) => (
            <span key={tick} className={cx("absolute top-1.5 whitespace-nowrap", tick / length > 0.97 ? "-translate-x-full" : place > 0 && "-translate-x-1/2")} style={{ left: `${(tick / length) * 100}%` }}>
              {tick === 0 ? "0" : duration(tick)}
            </span>
          ))}
        </span>
      </div>
      <VirtualList ref={handle} items={bars} keyOf={keyOf} estimate={ROW_REM * rem} fixed className="min-h-0 flex-1" label="Steps of the run" role="list">
        {(bar, place) => (
          <BarRow
            bar={bar}
            place={place}
            length={length}
            ticks={ticks}
            firstAt={firstAt}
            elapsed={trace.duration ?? Math.max(0, now - trace.begin)}
            isChosen={bar.key === chosen}
            isClosed={closed.has(bar.key)}
            onChoose={() => onChoose(bar.key)}
            onToggle={() => toggle(bar.key)}
          />
        )}
      </VirtualList>
    </div>
  );
}

const WORDS: readonly { colour: string; word: string; kinds: readonly string[] }[] = [
  { colour: "bg-accent-solid", word: "model", kinds: ["model", "agent"] },
  { colour: TOOL, word: "tool", kinds: ["tool", "client_tool"] },
  { colour: "bg-(--c-good)", word: "step", kinds: ["flow", "function", "knowledge"] },
];

/** What the colours stand for, of those that are there. */
function Legend({ bars, hasFirst }: { bars: readonly Bar[]; hasFirst: boolean }) {
  const kinds = new Set(bars.map((bar) => bar.step?.kind));
  const words = WORDS.filter((one) => one.kinds.some((kind) => kinds.has(kind)));
  return (
    <span className="hidden items-center gap-3 xl:flex">
      {words.map((one) => (
        <span key={one.word} className="flex items-center gap-1">
          <span className={cx("size-2 rounded-sm", one.colour)} />
          {one.word}
        </span>
      ))}
      {hasFirst ? (
        <span className="flex items-center gap-1">
          <span className="h-3 w-px bg-accent" />
          first token
        </span>
      ) : null}
    </span>
  );
}

const GRID = "grid grid-cols-[minmax(0,1fr)] sm:grid-cols-[minmax(9rem,34%)_minmax(0,1fr)]";

function keyOf(bar: Bar): string {
  return bar.key;
}

interface BarRowProps {
  bar: Bar;
  place: number;
  length: number;
  ticks: readonly number[];
  firstAt: number | null;
  elapsed: number;
  isChosen: boolean;
  isClosed: boolean;
  onChoose: () => void;
  onToggle: () => void;
}

function BarRow({ bar, place, length, ticks, firstAt, elapsed, isChosen, isClosed, onChoose, onToggle }: BarRowProps) {
  const { step, wait } = bar;
  const took = bar.duration ?? Math.max(0, elapsed - bar.start);
  const name = visible(step?.name ?? (wait ? reasonOf(wait) : ""));
  const total = step?.usage.total_tokens ?? null;
  const at = (seconds: number): string => `${Math.min(100, (seconds / length) * 100)}%`;
  const words = [step ? kindWord(step.kind) : "Wait", name, step?.status ?? (wait?.duration === null ? "waiting" : "over"), `starts at ${duration(bar.start)}`, `takes ${duration(took)}`];
  return (
    <div className={cx(GRID, "relative h-9 items-center border-b border-line/60", isChosen ? "bg-accent-soft" : "hover:bg-hover")}>
      <button
        type="button"
        data-row={place}
        aria-current={isChosen || undefined}
        aria-label={words.join(", ")}
        onClick={onChoose}
        className="absolute inset-0 focus-visible:outline-offset-[-2px]"
      />
      <span className="@container pointer-events-none flex min-w-0 items-center gap-1.5 pr-4 pl-4 md:pl-6">
        {bar.depth > 0 ? <span aria-hidden="true" className="shrink-0" style={{ width: `${bar.depth}rem` }} /> : null}
        {bar.hasChildren ? (
          <button
            type="button"
            tabIndex={-1}
            aria-label={isClosed ? `Show what lies in ${name}` : `Hide what lies in ${name}`}
            aria-expanded={!isClosed}
            onClick={onToggle}
            className="pointer-events-auto relative -ml-1 rounded p-0.5 text-muted hover:text-text"
          >
            <Icon name={isClosed ? "chevron" : "chevronDown"} size={13} />
          </button>
        ) : null}
        <span aria-hidden="true" className={cx("size-2 shrink-0 rounded-sm", colourOf(bar))} />
        <span className="min-w-0 truncate text-sm [unicode-bidi:isolate]" title={name.slice(0, 500)}>
          {name.slice(0, 200)}
          {step?.index !== null && step?.index !== undefined ? <span className="text-muted"> #{step.index + 1}</span> : null}
        </span>
        {step ? <span className="hidden shrink-0 text-xs text-muted @[12rem]:inline">{kindWord(step.kind)}</span> : null}
        <span className="flex-1" />
        {step && step.attempts.length > 1 ? <Badge tone="warn">{step.attempts.length} tries</Badge> : null}
        <span className="shrink-0 text-xs text-muted tabular-nums sm:hidden">{duration(took)}</span>
        {total === null ? null : <span className="hidden shrink-0 text-xs text-muted tabular-nums md:@[17rem]:inline">{amount(total)} tokens</span>}
        {step?.cost ? <span className="hidden shrink-0 text-xs text-muted tabular-nums md:@[21rem]:inline">{dollars(step.cost)}</span> : null}
      </span>
      <span aria-hidden="true" className="pointer-events-none absolute inset-x-4 bottom-1 h-1 sm:relative sm:inset-auto sm:mr-24 sm:h-full">
        {ticks.map((tick) => (
          <span key={tick} className="absolute inset-y-0 hidden w-px bg-line/70 sm:block" style={{ left: at(tick) }} />
        ))}
        {firstAt === null ? null : <span title="First token" className="absolute inset-y-0 hidden w-px bg-accent sm:block" style={{ left: at(firstAt) }} />}
        {(step?.attempts ?? [{ start: bar.start, duration: bar.duration, status: "completed" as const, attempt: 0 }]).map((one) => {
          const last = one.duration ?? Math.max(0, elapsed - one.start);
          return (
            <span
              key={one.attempt}
              className={cx(
                "absolute inset-y-0 min-w-[3px] rounded-sm sm:inset-y-2.5",
                one.status === "failed" ? "bg-bad-solid" : one.status === "cancelled" ? "bg-(--c-muted)" : colourOf(bar),
                wait && "opacity-45",
                one.duration === null && "pulse-dot",
              )}
              style={{ left: `min(${at(one.start)}, calc(100% - 3px))`, width: `${Math.max(0, (last / length) * 100)}%` }}
            />
          );
        })}
        <span
          className={cx("absolute top-1/2 left-full hidden w-24 -translate-y-1/2 pl-2 text-xs whitespace-nowrap tabular-nums sm:block", step?.status === "failed" ? "text-bad" : "text-muted")}
        >
          {duration(took)}
        </span>
      </span>
    </div>
  );
}

function colourOf(bar: Bar): string {
  if (bar.wait) return "bg-(--c-muted)";
  if (bar.step?.status === "failed") return "bg-bad-solid";
  return COLOURS[bar.step?.kind ?? ""] ?? "bg-(--c-good)";
}
