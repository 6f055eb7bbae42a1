// The operations of the own face that tell of what has run: runs and their events, traces, flows, sessions, figures.

import { request } from "./http";
import type { EventList, FlowDetail, Flow, Models, Overview, Replay, RunDetail, SessionDetail, SessionList, StartedRun, Trace, TraceStep } from "./journal-types";
import { OWN } from "./own";
import type { RunList, RunStatus } from "./types";

/** Words of a path; a flow's name is two of them. */
export const at = (...words: string[]): string => [OWN, ...words.map(encodeURIComponent)].join("/");

const given = (signal: AbortSignal | undefined): { signal?: AbortSignal } => (signal === undefined ? {} : { signal });

export interface RunsQuery {
  status?: readonly RunStatus[];
  kind?: string;
  agent?: string;
  flow?: string;
  session?: string;
  thread?: string;
  face?: string;
  user?: string;
  from?: number;
  to?: number;
  failed?: boolean;
  q?: string;
  limit?: number;
  after?: string | null;
}

export const findRuns = (asked: RunsQuery, signal?: AbortSignal): Promise<RunList> =>
  request(at("runs"), { query: { ...asked, status: asked.status ?? null }, ...given(signal) });

export const runDetail = (id: string, signal?: AbortSignal): Promise<RunDetail> => request(at("runs", id), given(signal));

export const readEvents = (id: string, after: number, limit: number, signal?: AbortSignal): Promise<EventList> =>
  request(`${at("runs", id)}/events`, { query: { after, limit }, ...given(signal) });

export const traceRun = (id: string, signal?: AbortSignal): Promise<Trace> => request(`${at("runs", id)}/trace`, given(signal));

/** One step with all that is kept of it. */
export async function traceStep(id: string, step: string, signal?: AbortSignal): Promise<TraceStep | null> {
  const trace = await request<Trace>(`${at("runs", id)}/trace`, { query: { step }, ...given(signal) });
  return trace.steps[0] ?? null;
}

export const rerun = (id: string): Promise<StartedRun> => request(`${at("runs", id)}/rerun`, { method: "POST" });

export const decide = (id: string, decisions: readonly Record<string, unknown>[]): Promise<unknown> =>
  request(`${at("runs", id)}/approvals`, { method: "POST", body: { decisions } });

export const continueRun = (id: string, body: { outputs?: Record<string, unknown> }): Promise<unknown> =>
  request(`${at("runs", id)}/continue`, { method: "POST", body });

export const listFlows = (signal?: AbortSignal): Promise<{ flows: Flow[] }> => request(at("flows"), given(signal));

export const getFlow = (name: string, signal?: AbortSignal): Promise<FlowDetail> => request(at("flows", ...name.split("/")), given(signal));

export interface FlowStart {
  message?: string;
  version?: number | "draft" | "production";
  parameters?: Record<string, unknown>;
  stepwise?: boolean;
}

export const startFlow = (name: string, body: FlowStart): Promise<StartedRun> =>
  request(`${at("flows", ...name.split("/"))}/runs`, { method: "POST", body });

export const listSessions = (after: string | null, limit: number, signal?: AbortSignal): Promise<SessionList> =>
  request(at("sessions"), { query: { after, limit }, ...given(signal) });

export const getSession = (id: string, after: string | null, limit: number, signal?: AbortSignal): Promise<SessionDetail> =>
  request(at("sessions", id), { query: { after, limit }, ...given(signal) });

/** Where a session can be downloaded as a cassette. */
export const cassettePath = (id: string): string => `${at("sessions", id)}/cassette`;

export const replaySession = (id: string, signal?: AbortSignal): Promise<Replay> =>
  request(`${at("sessions", id)}/replay`, { method: "POST", ...given(signal) });

export const getOverview = (from: number, to: number, bucket: number | null, signal?: AbortSignal): Promise<Overview> =>
  request(at("overview"), { query: { from, to, bucket }, ...given(signal) });

export const listModels = (signal?: AbortSignal): Promise<Models> => request(at("models"), given(signal));
