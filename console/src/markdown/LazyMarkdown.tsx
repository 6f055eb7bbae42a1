// Markdown in a chunk of its own; until that is there, the text as it is, in the same place.

import "./markdown.css";
import { lazy, type ReactElement, Suspense } from "react";
import type { MarkdownProps } from "./Markdown";
import { head, visible } from "./text";

const load = async (): Promise<{ default: typeof import("./Markdown").Markdown }> => ({
  default: (await import("./Markdown")).Markdown,
});
const Loaded = lazy(load);

/** Begins to load the chunk before it is needed. */
export function preloadMarkdown(): void {
  void load();
}

export function LazyMarkdown(props: MarkdownProps): ReactElement {
  return (
    <Suspense
      fallback={
        <div
          className={props.className === undefined ? "dgm dgm-plain" : `dgm dgm-plain ${props.className}`}
          dir="auto"
        >
          {visible(head(props.text, 4000))}
        </div>
      }
    >
      <Loaded {...props} />
    </Suspense>
  );
}
