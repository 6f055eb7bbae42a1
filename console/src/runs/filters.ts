// The filters of the list of runs: from the address and back, to the query of the own face, and as a test of one run.
// Pure. What is not known in an address is left out, so that old links go on working.

import type { RunsQuery } from "../api/journal";
import type { Run, RunStatus } from "../api/types";
import { STATUSES } from "./words";

export interface Filters {
  status: RunStatus[];
  kind: string;
  agent: string;
  flow: string;
  face: string;
  user: string;
  session: string;
  thread: string;
  /** A word of `RANGES`, or nothing. */
  range: string;
  /** Seconds since the epoch; they win over `range`. */
  from: number | null;
  to: number | null;
  failed: boolean;
  q: string;
}

export const KINDS = ["chat", "execute", "step", "job", "command", "completion"] as const;

export const RANGES: readonly { name: string; label: string; seconds: number }[] = [
  { name: "15m", label: "Last 15 minutes", seconds: 900 },
  { name: "1h", label: "Last hour", seconds: 3_600 },
  { name: "24h", label: "Last 24 hours", seconds: 86_400 },
  { name: "7d", label: "Last 7 days", seconds: 604_800 },
  { name: "30d", label: "Last 30 days", seconds: 2_592_000 },
];

const TEXTS = ["agent", "flow", "face", "user", "session", "thread", "q"] as const;

export function readFilters(query: URLSearchParams): Filters {
  const text = (name: string): string => query.get(name) ?? "";
  const words = query.getAll("status").flatMap((one) => one.split(","));
  return {
    status: STATUSES.filter((one) => words.includes(one)),
    kind: KINDS.find((one) => one === text("kind")) ?? "",
    agent: text("agent"),
    flow: text("flow"),
    face: text("face"),
    user: text("user"),
    session: text("session"),
    thread: text("thread"),
    range: RANGES.find((one) => one.name === text("range"))?.name ?? "",
    from: moment(query.get("from")),
    to: moment(query.get("to")),
    failed: query.get("failed") === "true",
    q: text("q"),
  };
}

function moment(text: string | null): number | null {
  const value = text === null || text === "" ? Number.NaN : Number(text);
  return Number.isFinite(value) && value >= 0 && value < 1e11 ? value : null;
}

/** The query of the address, without a question mark; empty if nothing is filtered. */
export function writeFilters(filters: Filters): string {
  const query = new URLSearchParams();
  if (filters.status.length > 0) query.set("status", filters.status.join(","));
  if (filters.failed) query.set("failed", "true");
  if (filters.kind !== "") query.set("kind", filters.kind);
  for (const name of TEXTS) if (filters[name] !== "") query.set(name, filters[name]);
  if (filters.from !== null) query.set("from", String(filters.from));
  if (filters.to !== null) query.set("to", String(filters.to));
  if (filters.range !== "" && filters.from === null && filters.to === null) query.set("range", filters.range);
  return query.toString();
}

/** As the own face takes them; `now` in seconds. */
export function asked(filters: Filters, now: number): RunsQuery {
  const query: RunsQuery = {};
  if (filters.status.length > 0) query.status = filters.status;
  if (filters.failed) query.failed = true;
  if (filters.kind !== "") query.kind = filters.kind;
  for (const name of TEXTS) if (filters[name] !== "") query[name] = filters[name];
  const since = beginOf(filters, now);
  if (since !== null) query.from = since;
  if (filters.to !== null) query.to = filters.to;
  return query;
}

function beginOf(filters: Filters, now: number): number | null {
  if (filters.from !== null || filters.to !== null) return filters.from;
  const range = RANGES.find((one) => one.name === filters.range);
  return range === undefined ? null : Math.floor(now - range.seconds);
}

/** Whether the list has this run: what the server says of it when it is asked. */
export function fits(run: Run, filters: Filters, now: number): boolean {
  if (filters.status.length > 0 && !filters.status.includes(run.status)) return false;
  if (filters.failed && run.status !== "failed") return false;
  if (filters.kind !== "" && run.kind !== filters.kind) return false;
  if (filters.agent !== "" && run.agent !== filters.agent) return false;
  if (filters.flow !== "" && run.flow !== filters.flow) return false;
  if (filters.face !== "" && run.face !== filters.face) return false;
  if (filters.user !== "" && run.user !== filters.user) return false;
  if (filters.session !== "" && run.session !== filters.session) return false;
  if (filters.thread !== "" && run.thread !== filters.thread) return false;
  const since = beginOf(filters, now);
  if (since !== null && run.created < since) return false;
  if (filters.to !== null && run.created >= filters.to) return false;
  if (filters.q === "") return true;
  const wanted = filters.q.toLowerCase();
  return [run.id, run.agent, run.flow, run.thread, run.session].some((word) => word?.toLowerCase().includes(wanted) === true);
}

/** How many filters are set; what was typed into the search is not counted. */
export function countOf(filters: Filters): number {
  const { from, to, range, status, failed, kind } = filters;
  const words = TEXTS.filter((name) => name !== "q" && filters[name] !== "").length;
  return words + (status.length > 0 ? 1 : 0) + (failed ? 1 : 0) + (kind === "" ? 0 : 1) + (from !== null || to !== null || range !== "" ? 1 : 0);
}

export const NONE: Filters = readFilters(new URLSearchParams());

/** Runs with changed ones in their places and new ones in front, newest first, each once; null: it is gone. */
export function merged(runs: readonly Run[], changes: ReadonlyMap<string, Run | null>, keeps: (run: Run) => boolean): Run[] {
  const left = new Map(changes);
  const kept: Run[] = [];
  for (const run of runs) {
    const change = left.get(run.id);
    left.delete(run.id);
    if (change === undefined) kept.push(run);
    else if (change !== null && keeps(change)) kept.push(newer(run, change));
  }
  const fresh = [...left.values()].filter((run) => run !== null && keeps(run)) as Run[];
  if (fresh.length === 0) return kept;
  return [...kept, ...fresh].sort((one, other) => other.created - one.created || (one.id < other.id ? 1 : -1));
}

function newer(one: Run, other: Run): Run {
  return other.last_seq >= one.last_seq ? other : one;
}
