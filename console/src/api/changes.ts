// Runs as they change, from one stream for the whole page. It is closed while the page is hidden: a browser has only
// six connections to a server, and other tabs want some.

import { useEffect, useRef } from "react";
import { isRecord } from "./http";
import { OWN } from "./own";
import { follow } from "./sse";
import type { Run } from "./types";

export interface Change {
  runs: Run[];
  /** The run that went with its thread. */
  gone: string | null;
  /** The runs are a page of the list as it is now: what lies before may have been missed. */
  isSnapshot: boolean;
}

export interface Watching {
  onGone?: (id: string) => unknown;
  /** The stream stands again after a while without it: what is shown may be old. */
  onAgain?: () => unknown;
}

interface Listener extends Watching {
  onRun: (run: Run) => unknown;
}

/** Changes come in crowds, the first page above all: they are told together. */
const GATHER_MS = 100;

const listeners = new Set<Listener>();
let controller: AbortController | null = null;
let isRefused = false;
let hasStood = false;

/** What an event tells of: one row, a snapshot of several, or one that is gone. */
export function readChange(data: string): Change {
  const value: unknown = JSON.parse(data);
  const told = isRecord(value) ? value : {};
  if (told.type === "removed") return { runs: [], gone: typeof told.run === "string" ? told.run : null, isSnapshot: false };
  const isSnapshot = Array.isArray(told.runs);
  const rows: unknown[] = Array.isArray(told.runs) ? told.runs : [told.run];
  return { runs: rows.filter((row): row is Run => isRecord(row) && typeof row.id === "string" && typeof row.status === "string"), gone: null, isSnapshot };
}

function tell(change: Change): void {
  const all = [...listeners];
  if (change.isSnapshot && hasStood) for (const listener of all) listener.onAgain?.();
  hasStood ||= change.isSnapshot;
  for (const run of change.runs) for (const listener of all) listener.onRun(run);
  if (change.gone !== null) for (const listener of all) listener.onGone?.(change.gone);
}

function update(): void {
  const wanted = listeners.size > 0 && document.visibilityState === "visible" && !isRefused;
  if (wanted && controller === null) {
    const mine = new AbortController();
    controller = mine;
    follow(`${OWN}/runs/changes`, { signal: mine.signal, again: true, onEvent: (event) => tell(readChange(event.data)) })
      .catch(() => {
        isRefused = true; // the server does not have it, or this key may not: pages do without
      })
      .finally(() => {
        if (controller === mine) controller = null;
      });
  } else if (!wanted && controller !== null) {
    controller.abort();
    controller = null;
  }
}

document.addEventListener("visibilitychange", update);

/** Calls `onRun` for each run that changes, and at first for those that are there. */
export function useRunChanges(onRun: (run: Run) => unknown, more: Watching = {}): void {
  const latest = useRef<Listener>({ onRun, ...more });
  latest.current = { onRun, ...more };
  useEffect(() => {
    const listener: Listener = {
      onRun: (run) => latest.current.onRun(run),
      onGone: (id) => latest.current.onGone?.(id),
      onAgain: () => latest.current.onAgain?.(),
    };
    listeners.add(listener);
    update();
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0) isRefused = hasStood = false; // who signs in next may be somebody else
      update();
    };
  }, []);
}

/** The same, a few at a time. */
export function useChangedRuns(onChange: (runs: readonly Run[]) => void, more: Watching = {}): void {
  const gathered = useRef(new Map<string, Run>());
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const latest = useRef(onChange);
  latest.current = onChange;
  useRunChanges((run) => {
    gathered.current.set(run.id, run);
    timer.current ??= setTimeout(() => {
      const told = [...gathered.current.values()];
      timer.current = undefined;
      gathered.current = new Map();
      latest.current(told);
    }, GATHER_MS);
  }, more);
  useEffect(
    () => () => {
      clearTimeout(timer.current);
      timer.current = undefined;
    },
    [],
  );
}
