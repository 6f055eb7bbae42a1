// Runs, events and traces for tests, with only what a test says set.

import type { Trace, TraceStep } from "../api/journal-types";
import type { Run, RunEvent, Usage } from "../api/types";

export const NO_USAGE: Usage = { prompt_tokens: null, completion_tokens: null, total_tokens: null, cache_read_tokens: null, cache_write_tokens: null, reasoning_tokens: null };

export function aRun(told: Partial<Run> = {}): Run {
  return {
    id: "r1",
    kind: "chat",
    agent: "demo",
    flow: null,
    flow_version: null,
    version: "v",
    status: "completed",
    thread: null,
    session: null,
    priority: 0,
    answer: null,
    face: "own",
    user: "u",
    created: 1_000,
    started: 1_000,
    ended: 1_001,
    first_token: null,
    last_seq: 3,
    usage: NO_USAGE,
    cost: null,
    error: null,
    ...told,
  };
}

export function anEvent(seq: number, type: string, payload: Record<string, unknown> = {}, step?: string): RunEvent {
  return { run: "r1", seq, time: 1_000 + seq, type, payload, ...(step === undefined ? {} : { step }) };
}

export function aStep(told: Partial<TraceStep> & { key: string }): TraceStep {
  return {
    id: told.key,
    index: null,
    parent: null,
    place: null,
    kind: "function",
    name: told.key,
    status: "completed",
    start: 0,
    duration: 1,
    model: null,
    usage: NO_USAGE,
    cost: null,
    input: null,
    output: null,
    input_bytes: null,
    output_bytes: null,
    truncated: false,
    left_out: false,
    attempts: [{ attempt: 1, status: told.status ?? "completed", start: told.start ?? 0, duration: told.duration === undefined ? 1 : told.duration, code: null, message: null }],
    ...told,
  };
}

export function aTrace(steps: TraceStep[], told: Partial<Trace> = {}): Trace {
  return { run: aRun(), capture: null, begin: 1_000, duration: 10, last_seq: 3, steps, edges: [], waits: [], ...told };
}
