// Who is signed in. The key goes to the server once and comes back as a cookie that no script can read.

import { createContext, useCallback, useContext, useEffect, useMemo, useState, type ReactNode } from "react";
import { useConnection } from "../api/connection";
import { ApiError, isAbort, onSignedOut, Unreachable } from "../api/http";
import * as own from "../api/own";
import type { Me } from "../api/types";

export type SessionState =
  | { kind: "asking" }
  | { kind: "offline" }
  | { kind: "out"; error?: unknown }
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

/** Signs in by itself where the server allows it (the demo on loopback), else asks for a key. */
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
  // all tabs have one cookie: who signs in or out in another does so here
  useEffect(() => {
    if (isAsking) return;
    const onStorage = (event: StorageEvent): void => {
      if (event.key !== HINT) return;
      if (event.newValue !== null) void ask();
      else own.whoAmI().catch(() => undefined); // a refusal is heard below
    };
    window.addEventListener("storage", onStorage);
    return () => window.removeEventListener("storage", onStorage);
  }, [ask, isAsking]);
  useEffect(() => (isIn ? onSignedOut(() => setState({ kind: "out" })) : undefined), [isIn]);
  useEffect(() => {
    if (state.kind === "in") mark(true);
    else if (state.kind === "out") mark(false);
  }, [state]);

  const signIn = useCallback(
    async (key: string): Promise<void> => {
      await own.signIn(key);
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
              setState({ kind: "out" });
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

async function demo(): Promise<SessionState> {
  try {
    await own.signIn();
    return { kind: "in", me: await own.whoAmI() };
  } catch (error) {
    return error instanceof Unreachable ? { kind: "offline" } : { kind: "out" };
  }
}
