// The steps of two runs beside each other: the same step in both where there is one, in the order of the left. Pure.

import type { Trace, TraceStep } from "../api/journal-types";

export interface Pair {
  name: string;
  kind: string;
  depth: number;
  left: TraceStep | null;
  right: TraceStep | null;
}

/** What makes a step the same in another run: its key; calls of tools have ids of their own and are counted by name. */
export function matchesOf(trace: Trace): Map<string, TraceStep> {
  const counts = new Map<string, number>();
  const found = new Map<string, TraceStep>();
  for (const step of trace.steps) {
    const place = step.key.indexOf("tool:");
    const base = place < 0 ? step.key : `${step.key.slice(0, place)}tool ${step.name}`;
    const count = (counts.get(base) ?? 0) + 1;
    counts.set(base, count);
    found.set(`${base} ${count}`, step);
  }
  return found;
}

export function pairsOf(left: Trace, right: Trace): Pair[] {
  const one = matchesOf(left);
  const other = matchesOf(right);
  const pairs: Pair[] = [];
  const rest = [...other.keys()].filter((key) => !one.has(key));
  const order = [...other.keys()];
  const add = (key: string): void => {
    const step = one.get(key) ?? other.get(key);
    if (step === undefined) return;
    pairs.push({ name: step.name, kind: step.kind, depth: step.key.split("/").length - 1, left: one.get(key) ?? null, right: other.get(key) ?? null });
  };
  for (const key of one.keys()) {
    // what only the right one has stands before the step that it came before there
    const place = order.indexOf(key);
    if (place >= 0) {
      while (rest.length > 0 && order.indexOf(rest[0] as string) < place) add(rest.shift() as string);
    }
    add(key);
  }
  for (const key of rest) add(key);
  return pairs;
}

/** A change as people read it: +12 %, ×3.4, the same. Null where one of them is missing. */
export function changeOf(left: number | null | undefined, right: number | null | undefined): string | null {
  if (left === null || left === undefined || right === null || right === undefined) return null;
  if (left === right) return "same";
  if (left === 0) return right > 0 ? "more" : "less";
  const ratio = right / left;
  if (ratio >= 2) return `×${ratio.toFixed(ratio < 10 ? 1 : 0)}`;
  const percent = Math.round((ratio - 1) * 100);
  return percent === 0 ? "same" : `${percent > 0 ? "+" : "−"}${Math.abs(percent)} %`;
}

/** Two runs in the order in which they are compared: the older one first. */
export function olderFirst<R extends { created: number }>(one: R, other: R): [R, R] {
  return other.created < one.created ? [other, one] : [one, other];
}
