// Loaded at once and small: text made safe, and markdown that loads its reader when it is first shown.

export { LazyMarkdown as Markdown, preloadMarkdown, useMarkdownPending } from "./LazyMarkdown";
export { Plain } from "./Plain";
export type { MarkdownProps } from "./Markdown";
export { Settings as MarkdownContext, type MarkdownSettings } from "./settings";
export { disguised, head, pieces, safeUrl, target, visible, type Piece } from "./text";
