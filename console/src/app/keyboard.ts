// Shortcuts: pages say which keys do what, the help lists them. A letter is no shortcut while somebody types.

import { useEffect, useRef, useSyncExternalStore } from "react";

export interface Shortcut {
  /** As it is written in the help: "g c", "/", "Escape", "mod+k", "alt+a". */
  keys: string;
  label: string;
  run: () => void;
  /** Also while somebody types. */
  whileTyping?: boolean;
}

const active = new Set<Shortcut>();
const listeners = new Set<() => void>();
let listed: readonly Shortcut[] = [];
let pending: { key: string; at: number } | null = null;
const CHORD_MS = 1_200;

function changed(): void {
  listed = [...active];
  for (const listener of listeners) listener();
}

export function useShortcuts(shortcuts: Shortcut[]): void {
  const latest = useRef(shortcuts);
  latest.current = shortcuts;
  const names = shortcuts.map((one) => one.keys).join("|");
  useEffect(() => {
    const mine = latest.current.map((one, place): Shortcut => ({ ...one, run: () => latest.current[place]?.run() }));
    for (const one of mine) active.add(one);
    changed();
    return () => {
      for (const one of mine) active.delete(one);
      changed();
    };
  }, [names]);
}

export function useListedShortcuts(): readonly Shortcut[] {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => listed,
  );
}

export function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

/** The keys of an event as shortcuts spell them. */
export function spelt(event: KeyboardEvent): string {
  const words: string[] = [];
  if (event.ctrlKey || event.metaKey) words.push("mod");
  if (event.altKey) words.push("alt");
  // with Alt some keyboards give another letter
  const letter = event.altKey && /^Key[A-Z]$/.test(event.code) ? event.code.slice(3).toLowerCase() : event.key;
  words.push(letter.length === 1 ? letter.toLowerCase() : letter);
  return words.join("+");
}

export function onKey(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.isComposing) return;
  const keys = spelt(event);
  const chord = pending !== null && event.timeStamp - pending.at < CHORD_MS ? `${pending.key} ${keys}` : null;
  pending = null;
  const typing = isTyping(event.target);
  const all = [...active].reverse(); // what came last lies on top
  const inDialog = document.querySelector("dialog[open]") !== null;
  for (const wanted of chord !== null ? [chord, keys] : [keys]) {
    const found = all.find((one) => one.keys === wanted && (!typing || one.whileTyping === true));
    if (found !== undefined && !inDialog) {
      event.preventDefault();
      if (!event.repeat) found.run(); // a key that is held is pressed once
      return;
    }
  }
  if (!typing && !inDialog && all.some((one) => one.keys.startsWith(`${keys} `))) {
    pending = { key: keys, at: event.timeStamp };
  }
}
