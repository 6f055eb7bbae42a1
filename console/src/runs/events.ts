// The events of one run, read in pages as they are looked at: a run of 100,000 opens like one of ten.
// Live ones come over the stream and are told in bundles, one for each frame of the screen.

import { useEffect, useMemo, useSyncExternalStore } from "react";
import { connection } from "../api/connection";
import { isAbort } from "../api/http";
import { readEvents } from "../api/journal";
import { OWN } from "../api/own";
import { stateOf, type QueryState } from "../api/query";
import { follow } from "../api/sse";
import type { RunEvent } from "../api/types";

export const PAGE = 500;
const PAGE_OF_ALL = 5_000;

export type ReadEvents = (run: string, after: number, limit: number, signal: AbortSignal) => Promise<{ events: RunEvent[] }>;

export class RunEvents {
  /** Grows with each change. */
  version = 0;
  /** Seq of the last event that is known to exist. */
  last: number;
  state: QueryState = "ready";
  error: unknown = null;
  /** How many have been read. */
  count = 0;
  /** Grows with each event that came live and changes what the run looks like as a whole. */
  turns = 0;
  private readonly events: (RunEvent | undefined)[] = [];
  private readonly pages = new Map<number, "reading" | "read">();
  private readonly listeners = new Set<() => void>();
  private readonly controller = new AbortController();
  private all: Promise<void> | null = null;
  private scheduled = false;

  constructor(
    readonly run: string,
    last: number,
    private readonly read: ReadEvents = readEvents,
  ) {
    this.last = last;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  at(seq: number): RunEvent | undefined {
    return this.events[seq];
  }

  /** Those that have been read, in order. */
  known(): RunEvent[] {
    return this.events.filter((event) => event !== undefined);
  }

  isWhole(): boolean {
    return this.count >= this.last;
  }

  put(event: RunEvent): void {
    if (this.events[event.seq] === undefined) this.count += 1;
    this.events[event.seq] = event;
    if (event.seq > this.last) this.last = event.seq;
    this.changed();
  }

  /** One that came over the stream. */
  live(event: RunEvent): void {
    if (/^(run|step)\./.test(event.type) || event.type.startsWith("tool.approval")) this.turns += 1;
    this.put(event);
  }

  /** Reads what is missing of these seqs. */
  want(first: number, last: number): void {
    const end = Math.min(last, this.last);
    for (let page = Math.floor((Math.max(1, first) - 1) / PAGE); page * PAGE < end; page++) void this.readPage(page);
  }

  /** Reads everything, some thousands at a time. */
  wantAll(): Promise<void> {
    this.all ??= this.readAll().finally(() => {
      this.all = null;
    });
    return this.all;
  }

  retry(): void {
    this.state = "ready";
    this.error = null;
    this.changed();
  }

  close(): void {
    this.controller.abort();
    this.listeners.clear();
  }

  private async readPage(page: number): Promise<void> {
    if (this.pages.has(page) || this.state === "error") return;
    const begin = page * PAGE;
    let isThere = true;
    for (let seq = begin + 1; seq <= Math.min(begin + PAGE, this.last) && isThere; seq++) isThere = this.events[seq] !== undefined;
    if (isThere) return;
    this.pages.set(page, "reading");
    const until = this.last;
    if (await this.take(begin, PAGE)) {
      // the last page of a run that goes on is not read for good
      if (until >= begin + PAGE) this.pages.set(page, "read");
      else this.pages.delete(page);
    } else this.pages.delete(page);
  }

  private async readAll(): Promise<void> {
    let after = 0;
    while (after < this.last && !this.controller.signal.aborted) {
      while (after < this.last && this.events[after + 1] !== undefined) after += 1;
      if (after >= this.last) return;
      if (!(await this.take(after, PAGE_OF_ALL))) return;
      const before = after;
      after = Math.max(after + 1, Math.min(after + PAGE_OF_ALL, this.last));
      if (after === before) return;
    }
  }

  private async take(after: number, limit: number): Promise<boolean> {
    try {
      const page = await this.read(this.run, after, limit, this.controller.signal);
      for (const event of page.events) this.put(event);
      this.state = "ready";
      return page.events.length > 0;
    } catch (error) {
      if (isAbort(error) || this.controller.signal.aborted) return false;
      this.state = stateOf(error);
      this.error = error;
      this.changed();
      return false;
    }
  }

  private changed(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    const tell = (): void => {
      this.scheduled = false;
      this.version += 1;
      for (const listener of [...this.listeners]) listener();
    };
    if (document.visibilityState === "visible") requestAnimationFrame(tell);
    else setTimeout(tell, 100);
  }
}

/** The events of a run; while it is under way they come by themselves. */
export function useRunEvents(run: string, last: number, active: boolean): RunEvents {
  const events = useMemo(() => new RunEvents(run, last), [run]); // `last` grows with the events themselves
  useSyncExternalStore(events.subscribe, () => events.version);
  useEffect(() => {
    if (last > events.last) {
      events.last = last;
      events.want(last - PAGE, last);
    }
  }, [events, last]);
  useEffect(() => {
    if (!active) return;
    const controller = new AbortController();
    follow(`${OWN}/runs/${encodeURIComponent(run)}/events`, {
      signal: controller.signal,
      lastId: String(events.last),
      onEvent: (event) => {
        try {
          events.live(JSON.parse(event.data) as RunEvent);
        } catch {
          // not an event: a comment of a newer server
        }
      },
    }).catch(() => undefined); // then the page is as it was read
    return () => controller.abort();
  }, [events, run, active]);
  // what could not be read is asked for again once the server is back
  useEffect(
    () =>
      connection.subscribe(() => {
        if (connection.current().online && events.state === "offline") events.retry();
      }),
    [events],
  );
  return events;
}

// --------------------------------------------------------------------------- words about events

export const GROUPS = [
  { name: "", label: "All events" },
  { name: "quiet", label: "Without deltas" },
  { name: "run", label: "Run" },
  { name: "step", label: "Steps" },
  { name: "tool", label: "Tools" },
  { name: "block", label: "Text and reasoning" },
  { name: "item", label: "Items" },
  { name: "usage", label: "Usage" },
] as const;

export type Group = (typeof GROUPS)[number]["name"];

export function isOf(event: RunEvent, group: Group): boolean {
  if (group === "") return true;
  if (group === "quiet") return event.type !== "block.delta" && event.type !== "tool.input_delta";
  return event.type === group || event.type.startsWith(`${group}.`);
}

/** One line of what an event says. */
export function summary(event: RunEvent): string {
  const { payload } = event;
  const text = (name: string): string => (typeof payload[name] === "string" ? (payload[name] as string) : "");
  switch (event.type) {
    case "block.delta":
    case "tool.input_delta":
      return text("delta");
    case "block.started":
    case "step.started":
      return [text("kind"), text("name")].filter(Boolean).join(" ");
    case "step.completed":
      return payload.output === undefined ? text("finish") : brief(payload.output);
    case "run.completed":
      return payload.result === undefined || payload.result === null ? text("finish") : brief(payload.result);
    case "step.failed":
    case "run.failed":
    case "step.restarted":
      return [text("code"), text("message")].filter(Boolean).join(": ");
    case "tool.input":
      return `${text("name")} ${brief(payload.input)}`;
    case "tool.output":
      return `${text("name")} → ${brief(payload.output)}`;
    case "tool.failed":
      return `${text("name")}: ${text("message")}`;
    case "tool.started":
    case "tool.denied":
      return text("name");
    case "run.paused":
      return text("reason");
    case "usage":
      return `${payload.prompt_tokens ?? 0} → ${payload.completion_tokens ?? 0} tokens`;
    default:
      return Object.keys(payload).length === 0 ? "" : brief(payload);
  }
}

function brief(value: unknown): string {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "");
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}

/** What was said: the text of each block, in order. */
export function textOf(events: readonly RunEvent[]): { kind: string; text: string }[] {
  const blocks = new Map<string, { kind: string; parts: string[] }>();
  for (const { type, payload } of events) {
    const id = payload.block;
    if (typeof id !== "string") continue;
    if (type === "block.started") blocks.set(id, { kind: String(payload.kind ?? "text"), parts: [] });
    else if (type === "block.delta") {
      const block = blocks.get(id) ?? { kind: "text", parts: [] };
      blocks.set(id, block);
      block.parts.push(String(payload.delta ?? ""));
    }
  }
  return [...blocks.values()].map(({ kind, parts }) => ({ kind, text: parts.join("") }));
}

export interface ToolCall {
  call: string;
  name: string;
  input?: unknown;
  output?: unknown;
  problem?: string;
}

/** The tools that were called, with what went in and what came out. */
export function callsOf(events: readonly RunEvent[]): ToolCall[] {
  const calls = new Map<string, ToolCall>();
  for (const { type, payload } of events) {
    if (!type.startsWith("tool.") || typeof payload.call !== "string") continue;
    const call = calls.get(payload.call) ?? { call: payload.call, name: "" };
    calls.set(payload.call, call);
    if (typeof payload.name === "string") call.name = payload.name;
    if (type === "tool.input") call.input = payload.input;
    else if (type === "tool.output") call.output = payload.output;
    else if (type === "tool.failed") call.problem = String(payload.message ?? "failed");
    else if (type === "tool.denied") call.problem = typeof payload.reason === "string" ? `denied: ${payload.reason}` : "denied";
  }
  return [...calls.values()];
}
