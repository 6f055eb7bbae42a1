// Reading something for a page: loading, there, refused, offline; read again when the server is back.

import { useCallback, useEffect, useRef, useState } from "react";
import { useConnection } from "./connection";
import { ApiError, isAbort, Unreachable } from "./http";

export type QueryState = "loading" | "ready" | "error" | "offline" | "forbidden" | "missing";

export interface Query<T> {
  state: QueryState;
  /** What was read last; stays while it is read again. */
  data: T | undefined;
  error: unknown;
  reload: () => void;
  /** Put in what is known without asking. */
  set: (data: T) => void;
}

export function stateOf(error: unknown): QueryState {
  if (error instanceof Unreachable) return "offline";
  if (error instanceof ApiError && error.status === 403) return "forbidden";
  if (error instanceof ApiError && (error.status === 404 || error.status === 410)) return "missing";
  return "error";
}

/** `key` names what is read (null: nothing yet); `load` is called anew whenever it changes. */
export function useQuery<T>(key: string | null, load: (signal: AbortSignal) => Promise<T>): Query<T> {
  const { epoch } = useConnection();
  const [turn, setTurn] = useState(0);
  const [told, setTold] = useState<{ key: string | null; state: QueryState; data?: T; error?: unknown }>({
    key,
    state: "loading",
  });
  const loader = useRef(load);
  loader.current = load;

  useEffect(() => {
    if (key === null) return;
    const controller = new AbortController();
    loader
      .current(controller.signal)
      .then((data) => {
        if (!controller.signal.aborted) setTold({ key, state: "ready", data });
      })
      .catch((error: unknown) => {
        if (controller.signal.aborted || isAbort(error)) return;
        const state = stateOf(error);
        setTold((old) => {
          // what is shown stays shown while nobody answers, or not now
          if ((state === "offline" || state === "error") && old.key === key && old.data !== undefined) return old;
          return { key, state, error };
        });
      });
    return () => controller.abort();
  }, [key, turn, epoch]);

  const reload = useCallback(() => setTurn((n) => n + 1), []);
  const set = useCallback((data: T) => setTold({ key, state: "ready", data }), [key]);
  const current = told.key === key ? told : { state: "loading" as const, data: undefined, error: undefined };
  return { state: current.state, data: current.data, error: current.error, reload, set };
}
