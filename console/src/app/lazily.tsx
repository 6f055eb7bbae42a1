// Parts of the console that are loaded when they are first shown. A lost server is no fault of theirs: they wait for it.

import { lazy, type ComponentType, type LazyExoticComponent } from "react";
import { connection, useConnection, type Connection } from "../api/connection";
import { PageState } from "../ui/page-state";

const MOST_TRIES = 2;
const RELOADED = "dragoman.reloaded";
const RELOADED_MS = 30_000;

/** `load`, again when the server is back. Throws what it throws if the server is there and the file is not. */
export async function patiently<T>(load: () => Promise<T>, server: Connection = connection): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await load();
    } catch (error) {
      if (tries === MOST_TRIES) throw error;
      server.lost(); // which asks for it until it answers
      await back(server);
    }
  }
}

function back(server: Connection): Promise<void> {
  if (server.current().online) return Promise.resolve();
  return new Promise((resolve) => {
    const stop = server.subscribe(() => {
      if (!server.current().online) return;
      stop();
      resolve();
    });
  });
}

export function lazily<P>(load: () => Promise<{ default: ComponentType<P> }>): LazyExoticComponent<ComponentType<P>> {
  return lazy(() => patiently(load));
}

/** Whether an error says that a part of the console could not be fetched. */
export function isPartMissing(error: unknown): boolean {
  return error instanceof Error && /dynamically imported module|importing a module script|preload CSS/i.test(error.message);
}

/**
 * Loads the page anew, for browsers that remember that a part could not be fetched, and for consoles of which another
 * version is served by now. Not twice in a row: false if that was tried just now, or cannot be remembered.
 */
export function reloadOnce(now = Date.now()): boolean {
  try {
    if (now - Number(sessionStorage.getItem(RELOADED) ?? 0) < RELOADED_MS) return false;
    sessionStorage.setItem(RELOADED, String(now));
  } catch {
    return false;
  }
  location.reload();
  return true;
}

/** Shown until a part is there. */
export function Pending({ compact }: { compact?: boolean }) {
  const { online } = useConnection();
  return <PageState kind={online ? "loading" : "offline"} {...(compact ? { compact } : {})} />;
}
