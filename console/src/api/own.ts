// Dragoman's own face, /dragoman/v1: one function for each operation that the console uses.

import { request } from "./http";
import type { Agent, ItemList, Me, Run, RunList, Thread, ThreadList } from "./types";

export const OWN = "/dragoman/v1";

const at = (...words: string[]): string => [OWN, ...words.map(encodeURIComponent)].join("/");

export const whoAmI = (signal?: AbortSignal): Promise<Me> => request(at("me"), withSignal(signal));

/** Signs in with an API key, or without one where the server takes everybody (the demo on loopback). */
export const signIn = (key?: string): Promise<{ expires: number | null }> =>
  request(at("session"), { method: "POST", body: key === undefined ? {} : { key } });

export const signOut = (): Promise<void> => request(at("session"), { method: "DELETE" });

export const listAgents = (signal?: AbortSignal): Promise<{ agents: Agent[] }> =>
  request(at("agents"), withSignal(signal));

export interface ThreadsAsked {
  /** Only one's own, also for an admin. */
  mine?: boolean;
  q?: string;
  after?: string | null;
  limit?: number;
}

export const listThreads = (asked: ThreadsAsked, signal?: AbortSignal): Promise<ThreadList> =>
  request(at("threads"), { query: { ...asked }, ...withSignal(signal) });

export const getThread = (id: string, signal?: AbortSignal): Promise<Thread> =>
  request(at("threads", id), withSignal(signal));

export const renameThread = (id: string, title: string): Promise<Thread> =>
  request(at("threads", id), { method: "PATCH", body: { title } });

export const deleteThread = (id: string): Promise<Thread> => request(at("threads", id), { method: "DELETE" });

/** The newest items of a thread, newest first; `after` is the `pos` behind which to go on. */
export const listItems = (id: string, after: number | null, limit: number, signal?: AbortSignal): Promise<ItemList> =>
  request(`${at("threads", id)}/items`, { query: { order: "newest", after, limit }, ...withSignal(signal) });

export const getRun = (id: string, signal?: AbortSignal): Promise<Run> => request(at("runs", id), withSignal(signal));

export interface RunsAsked {
  thread?: string;
  after?: string | null;
  limit?: number;
}

export const listRuns = (asked: RunsAsked, signal?: AbortSignal): Promise<RunList> =>
  request(at("runs"), { query: { ...asked }, ...withSignal(signal) });

export const cancelRun = (id: string): Promise<Run> => request(`${at("runs", id)}/cancel`, { method: "POST" });

function withSignal(signal: AbortSignal | undefined): { signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}
