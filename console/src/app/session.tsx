// Who is signed in. The key goes to the server once and comes back as a cookie that no script can read.

import { createContext, useCallback, useContext, useEffect, useLayoutEffect, useMemo, useState, type ReactNode } from "react";
import { useConnection } from "../api/connection";
import { ApiError, isAbort, onSignedOut, Unreachable } from "../api/http";
import * as own from "../api/own";
import type { Me } from "../api/types";

export type SessionState =
  | { kind: "asking" }
  | { kind: "offline" }
  | { kind: "out"; demo?: boolean; error?: unknown }
  | { kind: "in"; me: Me };

export interface Session {
  me: Me;
  isAdmin: boolean;
  signOut: () => Promise<void>;
}

const SessionContext = createContext<Session | null>(null);

export function useSession(): Session {
  const session = useContext(SessionContext);
  if (session === null) throw new Error("useSession: nobody is signed in");
  return session;
}

interface GateProps {
  children: ReactNode;
  /** Shown instead of the pages while nobody is signed in. */
  fallback: (state: Exclude<SessionState, { kind: "in" }>, signIn: (key: string) => Promise<void>) => ReactNode;
}

/** Signs in by itself where the server allows it (the demo on loopback) until one signs out, else asks for a key. */
export function SessionGate({ children, fallback }: GateProps) {
  const [state, setState] = useState<SessionState>({ kind: "asking" });
  const { epoch } = useConnection();

  const ask = useCallback(async (signal?: AbortSignal): Promise<void> => {
    try {
      // who has never signed in here is not asked for: a refusal would only be noise
      setState(wasIn() ? { kind: "in", me: await own.whoAmI(signal) } : await demo());
    } catch (error) {
      if (isAbort(error)) return;
      if (error instanceof Unreachable) setState({ kind: "offline" });
      else if (error instanceof ApiError && error.status === 401) setState(await demo());
      else setState({ kind: "out", error });
    }
  }, []);

  const isOffline = state.kind === "offline";
  useEffect(() => {
    const controller = new AbortController();
    if (epoch === 0 || isOffline) void ask(controller.signal);
    return () => controller.abort();
    // asked again when the server is back, and not because the answer was that it is gone
  }, [epoch, ask]);

  // a session ends in the middle of things: the key was revoked, the twelve hours are over
  const isIn = state.kind === "in";
  const isAsking = state.kind === "asking";
  // all tabs have one cookie: who signs in or out in another does so here; heard from the moment that anything is shown
  useLayoutEffect(() => {
    if (isAsking) return;
    const onStorage = (event: StorageEvent): void => {
      if (event.key !== HINT) return;
      if (event.newValue !== null) void ask();
      else own.whoAmI().catch(() => undefined); // a refusal is heard below
    };
    window.addEventListener("storage", onStorage);
    return () => window.removeEventListener("storage", onStorage);
  }, [ask, isAsking]);
  useLayoutEffect(() => (isIn ? onSignedOut(() => setState(out())) : undefined), [isIn]);
  useEffect(() => {
    if (state.kind === "in") mark(true);
    else if (state.kind === "out") mark(false);
  }, [state]);

  const signIn = useCallback(
    async (key: string): Promise<void> => {
      await own.signIn(key);
      markLeft(false);
      mark(false); // so that other tabs hear of it even if somebody was signed in before
      mark(true);
      await ask();
    },
    [ask],
  );

  const session = useMemo<Session | null>(
    () =>
      state.kind === "in"
        ? {
            me: state.me,
            isAdmin: state.me.scopes.includes("admin"),
            signOut: async () => {
              await own.signOut();
              markLeft(true);
              setState(out());
            },
          }
        : null,
    [state],
  );
  if (state.kind !== "in" || session === null) return <>{fallback(state as Exclude<SessionState, { kind: "in" }>, signIn)}</>;
  // nothing that one user was shown stays for another
  const { tenant, user, scopes } = session.me;
  return (
    <SessionContext key={[tenant, user, ...scopes].join(" ")} value={session}>
      {children}
    </SessionContext>
  );
}

const HINT = "dragoman.signed-in";

/** Whether somebody was signed in when the page was last open. A hint alone: the server decides. */
function wasIn(): boolean {
  try {
    return localStorage.getItem(HINT) !== null;
  } catch {
    return true;
  }
}

function mark(isIn: boolean): void {
  try {
    if (!isIn) localStorage.removeItem(HINT);
    else if (localStorage.getItem(HINT) === null) localStorage.setItem(HINT, String(Date.now()));
  } catch {
    // then it is asked for each time
  }
}

const DEMO = "dragoman.demo";
const LEFT = "dragoman.signed-out";

/** Nobody is signed in; whether this server is the demo was seen when it was asked without a key. */
function out(): SessionState {
  return { kind: "out", demo: held(() => localStorage, DEMO) };
}

/** Whether one has signed out in this tab: then it does not sign in by itself. */
function markLeft(is: boolean): void {
  hold(() => sessionStorage, LEFT, is);
}

function held(storage: () => Storage, key: string): boolean {
  try {
    return storage().getItem(key) !== null;
  } catch {
    return false;
  }
}

function hold(storage: () => Storage, key: string, is: boolean): void {
  try {
    if (is) storage().setItem(key, "1");
    else storage().removeItem(key);
  } catch {
    // then it is not known the next time
  }
}

async function demo(): Promise<SessionState> {
  if (held(() => sessionStorage, LEFT)) return out();
  try {
    // whom a proxy names gets no cookie, so none that ends: only the demo keeps whom it lets in without a key
    const { expires } = await own.signIn();
    hold(() => localStorage, DEMO, expires !== null);
    return { kind: "in", me: await own.whoAmI() };
  } catch (error) {
    if (error instanceof Unreachable) return { kind: "offline" };
    hold(() => localStorage, DEMO, error instanceof ApiError && error.code === "forbidden:demo");
    return out();
  }
}
