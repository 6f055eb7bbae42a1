// The address bar: paths of the console, their parts, and going from one to another without loading the page.

import { useSyncExternalStore, type MouseEvent } from "react";
import { BASE, under } from "../api/base";

export interface Place {
  path: string;
  query: URLSearchParams;
}

const listeners = new Set<() => void>();
let current = read();

function read(): Place {
  const { pathname } = location;
  const path = BASE !== "" && pathname.startsWith(BASE) ? pathname.slice(BASE.length) : pathname;
  return { path: path === "" ? "/" : path, query: new URLSearchParams(location.search) };
}

function changed(): void {
  current = read();
  for (const listener of listeners) listener();
}

window.addEventListener("popstate", changed);

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The path of now, for where no component asks. */
export function currentPath(): string {
  return current.path;
}

export function usePlace(): Place {
  return useSyncExternalStore(subscribe, () => current);
}

export function navigate(to: string, options: { replace?: boolean } = {}): void {
  const address = under(to);
  if (address === location.pathname + location.search) return;
  if (options.replace) history.replaceState(null, "", address);
  else history.pushState(null, "", address);
  changed();
}

export interface LinkProps {
  href: string;
  onClick: (event: MouseEvent<HTMLAnchorElement>) => void;
}

/** What makes an `<a>` a link within the console: a plain click stays in the page, anything else is the browser's. */
export function linkTo(to: string, after?: () => void): LinkProps {
  return {
    href: under(to),
    onClick: (event) => {
      if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
      event.preventDefault();
      navigate(to);
      after?.();
    },
  };
}

/** The words of a path below /console: `/console/runs/abc` → ["runs", "abc"]. */
export function wordsOf(path: string): string[] {
  const words = path.split("/").filter((word) => word !== "");
  const below = words[0] === "console" ? words.slice(1) : words;
  return below.map((word) => {
    try {
      return decodeURIComponent(word);
    } catch {
      return word;
    }
  });
}

/** An address of the console from its words. */
export function pathTo(...words: string[]): string {
  return ["/console", ...words.map(encodeURIComponent)].join("/");
}
