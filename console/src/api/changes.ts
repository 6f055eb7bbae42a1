// Runs as they change, from one stream for the whole page. It is closed while the page is hidden: a browser has only
// six connections to a server, and other tabs want some.

import { useEffect, useRef } from "react";
import { isRecord } from "./http";
import { OWN } from "./own";
import { follow } from "./sse";
import type { Run } from "./types";

type Listener = (run: Run) => void;

/** Changes come in crowds, the first page above all: they are told together. */
const GATHER_MS = 100;

const listeners = new Set<Listener>();
let controller: AbortController | null = null;
let isRefused = false;

/** The runs that an event tells of: one row, or a snapshot of several. */
export function runsOf(data: string): Run[] {
  const value: unknown = JSON.parse(data);
  const rows = Array.isArray(value) ? value : isRecord(value) && Array.isArray(value.runs) ? value.runs : [isRecord(value) && isRecord(value.run) ? value.run : value];
  return rows.filter((row): row is Run => isRecord(row) && typeof row.id === "string" && typeof row.status === "string");
}

function update(): void {
  const wanted = listeners.size > 0 && document.visibilityState === "visible" && !isRefused;
  if (wanted && controller === null) {
    const mine = new AbortController();
    controller = mine;
    follow(`${OWN}/runs/changes`, {
      signal: mine.signal,
      again: true,
      onEvent: (event) => {
        for (const run of runsOf(event.data)) for (const listener of [...listeners]) listener(run);
      },
    })
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

/** Calls `onChange` for each run that changes, and at first for those that are there. */
export function useRunChanges(onChange: Listener): void {
  const latest = useRef(onChange);
  latest.current = onChange;
  useEffect(() => {
    const listener: Listener = (run) => latest.current(run);
    listeners.add(listener);
    update();
    return () => {
      listeners.delete(listener);
      update();
    };
  }, []);
}

/** The same, a few at a time. */
export function useChangedRuns(onChange: (runs: readonly Run[]) => void): void {
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
  });
  useEffect(
    () => () => {
      clearTimeout(timer.current);
      timer.current = undefined;
    },
    [],
  );
}
