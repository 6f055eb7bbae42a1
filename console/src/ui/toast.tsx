// Short notes at the edge of the page: read out, gone by themselves, never the only place where a thing is said.

import { useSyncExternalStore } from "react";
import { IconButton } from "./button";
import { cx } from "./classes";
import { visible } from "./visible";

interface Note {
  id: number;
  text: string;
  tone: "plain" | "bad";
}

const SHOWN_FOR = 6_000;
let notes: readonly Note[] = [];
let last = 0;
const listeners = new Set<() => void>();

function put(next: readonly Note[]): void {
  notes = next;
  for (const listener of listeners) listener();
}

export function toast(text: string, tone: Note["tone"] = "plain"): void {
  const id = ++last;
  put([...notes.filter((note) => note.text !== text).slice(-2), { id, text, tone }]);
  setTimeout(() => dismiss(id), SHOWN_FOR);
}

function dismiss(id: number): void {
  if (notes.some((note) => note.id === id)) put(notes.filter((note) => note.id !== id));
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function Toasts() {
  const shown = useSyncExternalStore(subscribe, () => notes);
  return (
    <div role="status" aria-live="polite" className="pointer-events-none fixed inset-x-4 bottom-20 z-50 flex flex-col items-center gap-2 md:bottom-6">
      {shown.map((note) => (
        <div
          key={note.id}
          className={cx(
            "pointer-events-auto flex max-w-lg items-start gap-2 rounded-lg border border-line bg-raised py-1.5 pr-1.5 pl-4 text-sm shadow-(--shadow-pop)",
            note.tone === "bad" && "text-bad",
          )}
        >
          <span className="line-clamp-6 min-w-0 py-1 break-words [overflow-wrap:anywhere]">{visible(note.text)}</span>
          <IconButton icon="cross" label="Dismiss" size="small" onClick={() => dismiss(note.id)} />
        </div>
      ))}
    </div>
  );
}
