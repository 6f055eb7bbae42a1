// The icons that widgets may name, drawn on a grid of 24 by 24. Decoration: what they stand beside says it in words.

import type { ReactElement } from "react";
import { size } from "./style";

const circle = "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18Z";
const page = "M6 3h8l4 4v14H6ZM14 3v4h4";
const square = "M5 4h14a1 1 0 0 1 1 1v14a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V5a1 1 0 0 1 1-1Z";
const person = "M12 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8ZM4.5 20.5a7.5 7.5 0 0 1 15 0";
const star = "M12 3.5l2.6 5.4 5.9.8-4.3 4.1 1 5.9L12 16.9l-5.2 2.8 1-5.9-4.3-4.1 5.9-.8Z";
const spark = "M12 3l2 6.5 6.5 2.5-6.5 2.5L12 21l-2-6.5L3.5 12 10 9.5Z";
const pencil = "M4 20l1-4L16 5l3 3L8 19ZM14 7l3 3";
const book = "M12 6c-2-1.5-5-2-8-2v14c3 0 6 .5 8 2 2-1.5 5-2 8-2V4c-3 0-6 .5-8 2Zm0 0v14";

const PATHS: Record<string, string> = {
  agent: "M6 8h12v10H6ZM12 8V4M9.5 12.5v1M14.5 12.5v1M3 12v3M21 12v3",
  analytics: "M4 20h16M7 16v-5M12 16V6M17 16v-8",
  atom: "M12 11v2M12 6c6 0 10 2.7 10 6s-4 6-10 6S2 15.3 2 12s4-6 10-6ZM12 2c3.3 0 6 4.5 6 10s-2.7 10-6 10-6-4.5-6-10 2.7-10 6-10Z",
  batch: "M8 8h12v12H8ZM4 16V4h12",
  bolt: "M13 3L5 14h6l-1 7 8-11h-6Z",
  "book-open": book,
  "book-closed": "M6 4h12v16H7a2 2 0 0 1-2-2V5a1 1 0 0 1 1-1ZM5 18a2 2 0 0 1 2-2h11",
  "book-clock": "M18 10V4H6a1 1 0 0 0-1 1v13a2 2 0 0 0 2 2h3M16 13a4 4 0 1 0 0 8 4 4 0 0 0 0-8ZM16 15v2l1.5 1",
  bug: "M8 10a4 4 0 0 1 8 0v5a4 4 0 0 1-8 0ZM12 11v8M8 12H4M20 12h-4M8 16l-3 2M16 16l3 2M8 8L6 5M16 8l2-3",
  calendar: "M4 6h16v14H4ZM4 10h16M8 3v4M16 3v4",
  chart: "M4 4v16h16M8 14l3-4 3 2 5-6",
  check: "M5 12.5l4.5 4.5L19 7",
  "check-circle": `${circle}M8 12.5l2.7 2.7L16 9.5`,
  "check-circle-filled": `${circle}M8 12.5l2.7 2.7L16 9.5`,
  "chevron-left": "M14.5 6l-6 6 6 6",
  "chevron-right": "M9.5 6l6 6-6 6",
  "circle-question": `${circle}M9.5 9.5a2.5 2.5 0 1 1 3.5 2.3c-.7.3-1 .8-1 1.7M12 16.5v.1`,
  clock: `${circle}M12 7v5l3 2`,
  compass: `${circle}M15.5 8.5l-2 5-5 2 2-5Z`,
  confetti: "M4 20l5-12 7 7ZM14 4c1 1 1 3-1 4M20 10c-1-1-3-1-4 1M17 4v.1M20 6v.1M20 14v.1",
  cube: "M12 3l8 4.5v9L12 21l-8-4.5v-9ZM4 7.5l8 4.5 8-4.5M12 12v9",
  desktop: "M3 5h18v11H3ZM9 20h6M12 16v4",
  document: `${page}M9 12h6M9 16h6`,
  dot: "M12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6Z",
  "dots-horizontal":
    "M5 11a1 1 0 1 0 0 2 1 1 0 0 0 0-2ZM12 11a1 1 0 1 0 0 2 1 1 0 0 0 0-2ZM19 11a1 1 0 1 0 0 2 1 1 0 0 0 0-2Z",
  "dots-vertical":
    "M12 4a1 1 0 1 0 0 2 1 1 0 0 0 0-2ZM12 11a1 1 0 1 0 0 2 1 1 0 0 0 0-2ZM12 18a1 1 0 1 0 0 2 1 1 0 0 0 0-2Z",
  "empty-circle": circle,
  "external-link": "M14 4h6v6M20 4l-9 9M18 13v7H4V6h7",
  globe: `${circle}M3 12h18M12 3c3 2.5 4 5.5 4 9s-1 6.5-4 9c-3-2.5-4-5.5-4-9s1-6.5 4-9Z`,
  keys: "M8 11a4 4 0 1 0 0 8 4 4 0 0 0 0-8ZM11 12l9-9M16 7l3 3",
  lab: "M10 3v6L5 18.5A1.7 1.7 0 0 0 6.5 21h11a1.7 1.7 0 0 0 1.5-2.5L14 9V3M8.5 3h7M7.5 15h9",
  images: "M7 4h13v12H7ZM4 8v12h12M7 14l4-4 3 3 2-2 4 4",
  info: `${circle}M12 11v5.5M12 7.5v.1`,
  lifesaver: `${circle}M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8ZM5.6 5.6l3.6 3.6M18.4 5.6l-3.6 3.6M5.6 18.4l3.6-3.6M18.4 18.4l-3.6-3.6`,
  lightbulb: "M9 17c0-2.5-3-3.5-3-7.5a6 6 0 0 1 12 0c0 4-3 5-3 7.5ZM10 21h4",
  mail: "M3 6h18v12H3ZM3 7l9 6 9-6",
  "map-pin": "M12 21c4.5-4.5 7-8 7-11a7 7 0 0 0-14 0c0 3 2.5 6.5 7 11ZM12 7.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5Z",
  maps: "M3 6l6-2 6 2 6-2v14l-6 2-6-2-6 2ZM9 4v14M15 6v14",
  mobile: "M7 3h10v18H7ZM11 18h2",
  name: "M3 6h18v12H3ZM8 9.5a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3ZM5.5 15.5a2.5 2.5 0 0 1 5 0M14 10h4M14 14h4",
  notebook: "M6 3h13v18H6ZM4 7h4M4 12h4M4 17h4M11 8h5",
  "notebook-pencil": "M18 9V3H6v18h6M4 7h4M4 12h4M4 17h4M14 20l.5-2.5 5-5 2 2-5 5Z",
  "page-blank": page,
  phone: "M5 4h4l1.5 5-2.3 1.5a12 12 0 0 0 5.3 5.3L15 13.5l5 1.5v4a1 1 0 0 1-1 1A15 15 0 0 1 4 5a1 1 0 0 1 1-1Z",
  play: "M7 4.5v15l12-7.5Z",
  plus: "M12 5v14M5 12h14",
  profile: `${circle}M12 7.5a3 3 0 1 0 0 6 3 3 0 0 0 0-6ZM6.5 18.5a6 6 0 0 1 11 0`,
  "profile-card": "M3 5h18v14H3ZM9 8.5a2 2 0 1 0 0 4 2 2 0 0 0 0-4ZM5.5 16a3.5 3.5 0 0 1 7 0M15 10h3M15 14h3",
  reload: "M19 12a7 7 0 1 1-2-5l3 3M20 4v6h-6",
  star,
  "star-filled": star,
  search: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13ZM15.5 15.5L21 21",
  sparkle: spark,
  "sparkle-double":
    "M10 4l1.7 5.3L17 11l-5.3 1.7L10 18l-1.7-5.3L3 11l5.3-1.7ZM18 15l.8 2.2L21 18l-2.2.8L18 21l-.8-2.2L15 18l2.2-.8Z",
  "square-code": `${square}M10 9l-3 3 3 3M14 9l3 3-3 3`,
  "square-image": `${square}M4 16l5-5 4 4 2-2 5 5M15.5 8.5v.1`,
  "square-text": `${square}M8 9h8M8 13h8M8 17h4`,
  suitcase: "M3 8h18v12H3ZM9 8V5h6v3M3 13h18",
  "settings-slider":
    "M4 8h8M18 8h2M15 5.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5ZM4 16h2M12 16h8M9 13.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5Z",
  user: person,
  wreath:
    "M9 20c-4-1-6-4-6-8s1.5-6 4-8M15 20c4-1 6-4 6-8s-1.5-6-4-8M3.5 10L7 11M4.5 15l3-1.5M20.5 10L17 11M19.5 15l-3-1.5M9 20h6",
  write: pencil,
  "write-alt": `${pencil}M13 20h7`,
  "write-alt2": "M12 5H5v14h14v-7M9.5 14.5l.7-3L18 3.7l2.3 2.3-7.8 7.8Z",
};
const FILLED = new Set([
  "check-circle-filled",
  "star-filled",
  "dot",
  "dots-horizontal",
  "dots-vertical",
  "play",
  "bolt",
]);

/** Names of the same drawings elsewhere. */
const ALIASES: Record<string, string> = {
  bot: "agent",
  "chart-line": "chart",
  "chart-bar": "analytics",
  "circle-check": "check-circle",
  file: "page-blank",
  "file-text": "document",
  "flask-conical": "lab",
  image: "square-image",
  key: "keys",
  monitor: "desktop",
  pencil: "write",
  "refresh-cw": "reload",
  smartphone: "mobile",
  sparkles: "sparkle-double",
  briefcase: "suitcase",
  zap: "bolt",
  map: "maps",
  circle: "empty-circle",
  settings: "settings-slider",
  "circle-help": "circle-question",
  ellipsis: "dots-horizontal",
};

const SIZES: Record<string, string> = {
  xs: "0.75em",
  sm: "0.875em",
  md: "1em",
  lg: "1.25em",
  xl: "1.5em",
  "2xl": "2em",
  "3xl": "2.5em",
};

/** The drawing of a name: a built-in one, or `lucide:…` of the same meaning; others are a small circle. */
export function Icon(props: { name: string; size?: unknown; color?: string | undefined }): ReactElement {
  const name = props.name.replace(/^(?:lucide|vendor):/, "");
  const known = Object.hasOwn(PATHS, name) ? name : Object.hasOwn(ALIASES, name) ? ALIASES[name] : undefined;
  const side =
    typeof props.size === "string" && Object.hasOwn(SIZES, props.size)
      ? SIZES[props.size]
      : (size(props.size) ?? "1em");
  return (
    <svg
      className={known !== undefined && FILLED.has(known) ? "dgw-icon dgw-icon-filled" : "dgw-icon"}
      viewBox="0 0 24 24"
      aria-hidden="true"
      focusable="false"
      data-icon={known ?? "empty-circle"}
      style={{ width: side, height: side, ...(props.color !== undefined && { color: props.color }) }}
    >
      <path d={PATHS[known ?? "empty-circle"]} />
    </svg>
  );
}

export const ICON_NAMES: readonly string[] = Object.keys(PATHS);
