// Markdown in a chunk of its own; until that is there, the text as it is, in the same place.

import "./markdown.css";
import { type ComponentType, type ReactElement, useSyncExternalStore } from "react";
import type { MarkdownProps } from "./Markdown";
import { head, visible } from "./text";

const AGAIN_AFTER_MS = 2_000;

let Loaded: ComponentType<MarkdownProps> | null = null;
let hasFailed = false;
let isLoading = false;
const listeners = new Set<() => void>();

/** Begins to load the chunk before it is needed. What cannot be loaded is tried again: the server may be away. */
export function preloadMarkdown(): void {
  if (isLoading || Loaded !== null) return;
  isLoading = true;
  import("./Markdown")
    .then((chunk) => {
      Loaded = chunk.Markdown;
    })
    .catch(() => {
      hasFailed = true;
      setTimeout(preloadMarkdown, AGAIN_AFTER_MS);
    })
    .finally(() => {
      isLoading = false;
      for (const listener of listeners) listener();
    });
}

function subscribe(listener: () => void): () => void {
  preloadMarkdown();
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Whether text is worth waiting for: it would be shown as it was written at first, and move when it is read. */
export function useMarkdownPending(): boolean {
  return useSyncExternalStore(subscribe, () => Loaded === null && !hasFailed);
}

export function LazyMarkdown(props: MarkdownProps): ReactElement {
  const Markdown = useSyncExternalStore(subscribe, () => Loaded);
  if (Markdown !== null) return <Markdown {...props} />;
  return (
    <div className={props.className === undefined ? "dgm dgm-plain" : `dgm dgm-plain ${props.className}`} dir="auto">
      {visible(head(props.text, 4000))}
    </div>
  );
}
