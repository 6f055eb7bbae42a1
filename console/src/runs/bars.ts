// A trace as rows of a waterfall: steps in their order with what lies in them below, waits between. Pure.

import type { Trace, TraceStep, Wait } from "../api/journal-types";

export interface Bar {
  key: string;
  kind: "step" | "wait";
  /** How deep it lies in others. */
  depth: number;
  start: number;
  /** Null: under way. */
  duration: number | null;
  step?: TraceStep;
  wait?: Wait;
  hasChildren: boolean;
}

/** Rows in the order in which things began; steps in `closed` hide what lies in them. */
export function barsOf(trace: Trace, closed: ReadonlySet<string> = new Set()): Bar[] {
  const known = new Set(trace.steps.map((step) => step.key));
  const children = new Map<string | null, TraceStep[]>();
  for (const step of trace.steps) {
    const parent = step.parent !== null && known.has(step.parent) ? step.parent : null;
    const family = children.get(parent);
    if (family) family.push(step);
    else children.set(parent, [step]);
  }
  const bars: Bar[] = [];
  const add = (parent: string | null, depth: number): void => {
    for (const step of children.get(parent) ?? []) {
      const hasChildren = children.has(step.key);
      bars.push({ key: step.key, kind: "step", depth, start: step.start, duration: step.duration, step, hasChildren });
      if (hasChildren && !closed.has(step.key)) add(step.key, depth + 1);
    }
  };
  add(null, 0);
  // each wait stands before the first top row that began after it
  trace.waits.forEach((wait, place) => {
    const bar: Bar = { key: `wait ${place}`, kind: "wait", depth: 0, start: wait.start, duration: wait.duration, wait, hasChildren: false };
    const next = bars.findIndex((one) => one.depth === 0 && one.start > wait.start);
    if (next < 0) bars.push(bar);
    else bars.splice(next, 0, bar);
  });
  return bars;
}

/** How many seconds the axis covers. `elapsed`: since the run was accepted, for one that is under way. */
export function lengthOfTrace(trace: Trace, elapsed: number): number {
  const ends = [...trace.steps, ...trace.waits].map((one) => one.start + (one.duration ?? 0));
  return Math.max(trace.duration ?? elapsed, ...ends, 0.001);
}

const CLOCK = [15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 21_600, 43_200, 86_400];

/** Round places on an axis of so many seconds, not more than `most`. */
export function ticksOf(length: number, most = 6): number[] {
  const rough = length / most;
  if (rough > 10) {
    // minutes and hours are not decimal
    const step = CLOCK.find((n) => n >= rough) ?? Math.ceil(rough / 86_400) * 86_400;
    return Array.from({ length: Math.floor(length / step) + 1 }, (_, n) => n * step);
  }
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough) ?? rough;
  const ticks: number[] = [];
  for (let n = 0; n * step <= length * 1.0001; n++) ticks.push(n * step);
  return ticks;
}

const REASONS: Record<Wait["reason"], string> = {
  queue: "In the queue",
  client_tool: "Waits for the caller's tool",
  approval: "Waits for approval",
  segment: "Waits for the next step",
  interrupted: "Interrupted",
};

export function reasonOf(wait: Wait): string {
  const names = wait.calls.map((call) => call.name).filter((name) => name !== null);
  const words = REASONS[wait.reason] ?? wait.reason;
  return names.length > 0 ? `${words}: ${names.join(", ")}` : words;
}

const KINDS: Record<string, string> = {
  model: "Model",
  tool: "Tool",
  flow: "Step",
  function: "Step",
  agent: "Agent",
  client_tool: "Caller's tool",
  loop: "Loop",
  when: "Condition",
  knowledge: "Knowledge",
};

export function kindWord(kind: string): string {
  return KINDS[kind] ?? kind;
}

/** A step's events: its own, and for a tool of an agent those of its call. */
export function callOfKey(key: string): string | null {
  const inner = key.slice(key.lastIndexOf("/") + 1);
  return inner.startsWith("tool:") ? inner.slice(5) : null;
}
