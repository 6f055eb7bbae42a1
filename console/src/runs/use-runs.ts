// Runs that match the filters: page by page, and live. Changes are gathered, so that a busy server does not make a busy page.

import { useCallback, useEffect, useRef, useState } from "react";
import { useRunChanges } from "../api/changes";
import { useConnection } from "../api/connection";
import { isAbort } from "../api/http";
import { findRuns } from "../api/journal";
import { stateOf, type QueryState } from "../api/query";
import type { Run } from "../api/types";
import { asked, fits, merged, writeFilters, type Filters } from "./filters";

const PAGE = 100;
const GATHER_MS = 150;
/** Changes that are kept while the list is held; of more than these the list is read anew. */
const MOST_WAITING = 1_000;
/** To so many rows a list grows by itself; what then falls off its end is read again by whoever scrolls there. */
const MOST_ROWS = 5_000;

interface Held {
  key: string;
  state: QueryState;
  error: unknown;
  runs: readonly Run[];
  next: string | null;
}

export interface RunsState {
  state: QueryState;
  error: unknown;
  runs: readonly Run[];
  more: boolean;
  loading: boolean;
  loadMore: () => void;
  reload: () => void;
}

export function useRuns(filters: Filters, live: boolean): RunsState {
  const { epoch } = useConnection();
  const key = writeFilters(filters);
  const [held, setHeld] = useState<Held>({ key, state: "loading", error: null, runs: [], next: null });
  const [loading, setLoading] = useState(false);
  const [turn, setTurn] = useState(0);
  const busy = useRef(false);
  const latest = useRef({ filters, held, live });
  latest.current = { filters, held, live };

  useEffect(() => {
    const controller = new AbortController();
    busy.current = true;
    setLoading(true);
    findRuns({ ...asked(latest.current.filters, Date.now() / 1_000), limit: PAGE }, controller.signal)
      .then((page) =>
        setHeld((old) => {
          const next = page.more ? page.next : null;
          // what the reader has come to behind the first page stays
          const last = page.runs.at(-1);
          const ids = new Set(page.runs.map((run) => run.id));
          const rest = old.key === key && old.state === "ready" && next !== null && last !== undefined ? old.runs.filter((run) => !ids.has(run.id) && run.created < last.created) : [];
          return { key, state: "ready", error: null, runs: [...page.runs, ...rest], next: rest.length > 0 ? old.next : next };
        }),
      )
      .catch((error: unknown) => {
        if (controller.signal.aborted || isAbort(error)) return;
        const state = stateOf(error);
        setHeld((old) => (old.key === key && (state === "offline" || state === "error") && old.state === "ready" ? old : { key, state, error, runs: [], next: null }));
      })
      .finally(() => {
        if (controller.signal.aborted) return;
        busy.current = false;
        setLoading(false);
      });
    return () => controller.abort();
  }, [key, turn, epoch]);

  const next = held.key === key ? held.next : null;
  const loadMore = useCallback(() => {
    if (busy.current || next === null) return;
    busy.current = true;
    setLoading(true);
    findRuns({ ...asked(latest.current.filters, Date.now() / 1_000), limit: PAGE, after: next })
      .then((page) =>
        setHeld((old) => {
          if (old.key !== key || old.next !== next) return old;
          const known = new Set(old.runs.map((run) => run.id));
          return { ...old, runs: [...old.runs, ...page.runs.filter((run) => !known.has(run.id))], next: page.more ? page.next : null };
        }),
      )
      .catch(() => undefined) // asked for again by the next scrolling
      .finally(() => {
        busy.current = false;
        setLoading(false);
      });
  }, [key, next]);

  const waiting = useRef(new Map<string, Run | null>());
  const missed = useRef(false);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const flush = useCallback(() => {
    timer.current = undefined;
    const { filters: wanted, held: now } = latest.current;
    if (now.state !== "ready") return; // what is being read will have it
    if (missed.current) {
      missed.current = false;
      setTurn((n) => n + 1);
    }
    const changes = waiting.current;
    waiting.current = new Map();
    const moment = Date.now() / 1_000;
    setHeld((old) => {
      if (old.state !== "ready") return old;
      // older than what has been read: it will come with its page
      const last = old.next === null ? undefined : old.runs.at(-1);
      const known = new Set(old.runs.map((run) => run.id));
      const runs = merged(old.runs, changes, (run) => fits(run, wanted, moment) && (known.has(run.id) || last === undefined || run.created >= last.created));
      return { ...old, ...bounded(runs, old.next, old.runs.length, changes) };
    });
  }, []);
  useEffect(() => {
    if (live && held.state === "ready" && (waiting.current.size > 0 || missed.current)) flush();
  }, [live, held.state, flush]);
  const change = (id: string, run: Run | null): void => {
    waiting.current.set(id, run);
    if (waiting.current.size > MOST_WAITING) {
      waiting.current.clear();
      missed.current = true;
    }
    if (latest.current.live) timer.current ??= setTimeout(flush, GATHER_MS);
  };
  useRunChanges((run) => change(run.id, run), {
    onGone: (id) => change(id, null),
    onAgain: () => latest.current.live && setTurn((n) => n + 1),
  });

  const shown = held.key === key ? held : { ...held, state: "loading" as const, runs: [], next: null };
  return { state: shown.state, error: shown.error, runs: shown.runs, more: shown.next !== null, loading, loadMore, reload: () => setTurn((n) => n + 1) };
}

/** The list after a change and where it goes on: not grown without end, and not behind a run that is gone. */
export function bounded(runs: readonly Run[], next: string | null, before: number, changes: ReadonlyMap<string, Run | null>): { runs: readonly Run[]; next: string | null } {
  const isCut = before <= MOST_ROWS && runs.length > MOST_ROWS;
  const kept = isCut ? runs.slice(0, MOST_ROWS) : runs;
  const isLost = next !== null && changes.get(next) === null;
  return { runs: kept, next: isCut || isLost ? (kept.at(-1)?.id ?? null) : next };
}
