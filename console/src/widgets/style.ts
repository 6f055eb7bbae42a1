// Sizes, colours and spaces of widgets as CSS. Only what is known passes: a text from outside never reaches a style as
// it is, for `url(…)` would load something and anything else could cover the page.

import type { CSSProperties } from "react";
import { isRecord } from "./fields";
import type { Color } from "./types";

const UNIT = 0.25; // rem: numbers of `gap`, `padding` and `margin` count quarters of the text's size
const SIDES = ["top", "right", "bottom", "left"] as const;

/** Lengths that are written out: `12px`, `50%`, `auto`, `calc(100% - 2rem)`. */
const LENGTH = /^(?:-?\d{1,5}(?:\.\d{1,4})?(?:px|%|rem|em|ch|vh|vw|fr)?|auto|min-content|max-content|fit-content)$/;
const CALCULATION = /^calc\([\d\s.+*/()%-]*(?:(?:px|rem|em|ch|vh|vw)[\d\s.+*/()%-]*)*\)$/;

/** A number of pixels, or a length that is written out. */
export function size(value: unknown): string | undefined {
  if (typeof value === "number" && Number.isFinite(value)) return `${value}px`;
  return lengthOf(value);
}

/** A number of units of spacing, or a length that is written out. */
export function space(value: unknown): string | undefined {
  if (typeof value === "number" && Number.isFinite(value)) return `${value * UNIT}rem`;
  return lengthOf(value);
}

function lengthOf(value: unknown): string | undefined {
  if (typeof value !== "string" || value.length > 60) return undefined;
  const trimmed = value.trim();
  return LENGTH.test(trimmed) || CALCULATION.test(trimmed) ? trimmed : undefined;
}

const TOKENS: Record<string, string> = {
  prose: "text",
  primary: "text",
  emphasis: "text",
  secondary: "muted",
  tertiary: "faint",
  success: "good",
  warning: "warn",
  caution: "warn",
  danger: "bad",
  info: "info",
  discovery: "discovery",
  surface: "surface",
  "surface-secondary": "surface-2",
  "surface-tertiary": "surface-3",
  "surface-elevated": "raised",
  "surface-elevated-secondary": "surface-2",
  default: "line",
  subtle: "line-soft",
  strong: "line-strong",
  white: "white",
  black: "black",
};

/** Hues of the primitives `red-100` and of charts, in degrees of OKLCH with the most chroma they bear. */
const HUES: Record<string, readonly [hue: number, chroma: number]> = {
  gray: [260, 0.01],
  red: [25, 0.2],
  orange: [50, 0.17],
  yellow: [90, 0.16],
  green: [150, 0.16],
  teal: [185, 0.12],
  cyan: [210, 0.12],
  blue: [255, 0.18],
  purple: [300, 0.19],
  pink: [350, 0.19],
};
const CSS_COLOR =
  /^(?:#[\da-f]{3,8}|(?:rgb|rgba|hsl|hsla|oklch|oklab|lab|lch)\([\d\s.,%/a-z-]{1,80}\)|transparent|currentcolor|[a-z]{3,24})$/i;

function oneColor(value: string): string | undefined {
  const name = value.trim();
  if (Object.hasOwn(TOKENS, name)) return `var(--dgw-${TOKENS[name] ?? "text"})`;
  const [, hueName = "", step = "500"] = /^([a-z]+)(?:-(\d{2,4}))?$/.exec(name) ?? [];
  if (Object.hasOwn(HUES, hueName) && (step !== "500" || name !== "gray")) {
    const [hue, chroma] = HUES[hueName] ?? [0, 0];
    const light = Math.max(0.15, Math.min(0.98, 0.98 - (Number(step) / 1000) * 0.78));
    return `oklch(${light.toFixed(3)} ${(chroma * (1 - Math.abs(light - 0.6) * 1.6)).toFixed(3)} ${hue})`;
  }
  if (/^(?:rgb|hsl|ok|lab|lch).*\b(?:url|var|attr|env)\b/i.test(name)) return undefined;
  return name.length <= 100 && CSS_COLOR.test(name) ? name : undefined;
}

/** A colour: a token, a primitive, a CSS colour, or one for each theme. */
export function color(value: unknown): string | undefined {
  if (typeof value === "string") return oneColor(value);
  if (!isRecord(value)) return undefined;
  const light = typeof value["light"] === "string" ? oneColor(value["light"]) : undefined;
  const dark = typeof value["dark"] === "string" ? oneColor(value["dark"]) : undefined;
  if (light === undefined || dark === undefined) return light ?? dark;
  return light === dark ? light : `light-dark(${light}, ${dark})`;
}

const SERIES: readonly Color[] = ["blue", "orange", "green", "purple", "pink", "teal", "yellow", "red"];

/** The colour of a series of a chart; without one of its own, the next of the palette. */
export function seriesColor(value: unknown, index: number): string {
  return color(value) ?? color(SERIES[index % SERIES.length]) ?? "currentColor";
}

const RADII: Record<string, string> = {
  none: "0",
  "2xs": "2px",
  xs: "4px",
  sm: "6px",
  md: "8px",
  lg: "12px",
  xl: "16px",
  "2xl": "20px",
  "3xl": "24px",
  "4xl": "32px",
  full: "9999px",
  "100%": "100%",
};

export function radius(value: unknown): string | undefined {
  return typeof value === "string" && Object.hasOwn(RADII, value) ? RADII[value] : undefined;
}

/** The four sides of a value that may be one for all, or for each side, or for two at once. */
function sides<Result>(value: unknown, read: (one: unknown) => Result | undefined): (Result | undefined)[] {
  if (!isRecord(value)) return SIDES.map(() => read(value));
  return SIDES.map((side) => read(value[side]) ?? read(value[side === "top" || side === "bottom" ? "y" : "x"]));
}

function spacing(property: "padding" | "margin", value: unknown): CSSProperties {
  if (value === undefined) return {};
  const [top, right, bottom, left] = sides(value, space);
  return defined({
    [`${property}Top`]: top,
    [`${property}Right`]: right,
    [`${property}Bottom`]: bottom,
    [`${property}Left`]: left,
  });
}

export function padding(value: unknown): CSSProperties {
  return spacing("padding", value);
}

const LINES = ["solid", "dashed", "dotted", "double", "groove", "ridge", "inset", "outset"];

function line(value: unknown): string | undefined {
  if (typeof value === "number" && value >= 0 && value <= 100) return `${value}px solid var(--dgw-line)`;
  if (!isRecord(value) || typeof value["size"] !== "number" || value["size"] < 0 || value["size"] > 100)
    return undefined;
  const style = LINES.find((one) => one === value["style"]) ?? "solid";
  return `${value["size"]}px ${style} ${color(value["color"]) ?? "var(--dgw-line)"}`;
}

export function border(value: unknown): CSSProperties {
  if (value === undefined) return {};
  const isForAll = !isRecord(value) || "size" in value;
  const [top, right, bottom, left] = isForAll ? SIDES.map(() => line(value)) : sides(value, line);
  return defined({ borderTop: top, borderRight: right, borderBottom: bottom, borderLeft: left });
}

/** Height, width and their bounds; `size` is for both. */
export function measures(node: Record<string, unknown>): CSSProperties {
  return defined({
    height: size(node["height"] ?? node["size"]),
    width: size(node["width"] ?? node["size"]),
    minHeight: size(node["minHeight"] ?? node["minSize"]),
    minWidth: size(node["minWidth"] ?? node["minSize"]),
    maxHeight: size(node["maxHeight"] ?? node["maxSize"]),
    maxWidth: size(node["maxWidth"] ?? node["maxSize"]),
    aspectRatio: ratio(node["aspectRatio"]),
    flex: flex(node["flex"]),
  });
}

function ratio(value: unknown): string | undefined {
  if (typeof value === "number" && value > 0) return String(value);
  return typeof value === "string" && /^\d+(?:\.\d+)?(?:\s*\/\s*\d+(?:\.\d+)?)?$/.test(value.trim())
    ? value
    : undefined;
}

function flex(value: unknown): string | undefined {
  if (typeof value === "number" && value >= 0) return `${value} 1 0%`;
  return typeof value === "string" && /^(?:auto|none|initial|[\d.]+(?:\s+[\d.]+){0,2}(?:%|px|rem)?)$/.test(value.trim())
    ? value
    : undefined;
}

const PLACES: Record<string, string> = {
  start: "flex-start",
  center: "center",
  end: "flex-end",
  baseline: "baseline",
  stretch: "stretch",
  between: "space-between",
  around: "space-around",
  evenly: "space-evenly",
};

function place(value: unknown): string | undefined {
  return typeof value === "string" && Object.hasOwn(PLACES, value) ? PLACES[value] : undefined;
}

/** Everything of a box: its measures, what is around it, how its children lie. */
export function box(node: Record<string, unknown>, direction: "row" | "column"): CSSProperties {
  const wrap = ["nowrap", "wrap", "wrap-reverse"].find((one) => one === node["wrap"]);
  return {
    ...measures(node),
    ...padding(node["padding"]),
    ...spacing("margin", node["margin"]),
    ...border(node["border"]),
    ...defined({
      flexDirection: direction,
      alignItems: place(node["align"]),
      justifyContent: place(node["justify"]),
      flexWrap: wrap,
      gap: space(node["gap"]),
      borderRadius: radius(node["radius"]),
      background: color(node["background"]),
    }),
  };
}

export function margin(value: unknown): CSSProperties {
  return spacing("margin", value);
}

/** How text is cut and set. */
export function lettering(node: Record<string, unknown>): CSSProperties {
  const lines =
    typeof node["maxLines"] === "number" && node["maxLines"] >= 1 ? Math.floor(node["maxLines"]) : undefined;
  const cut = node["truncate"] === true ? (lines ?? 1) : lines;
  return defined({
    color: color(node["color"]),
    textAlign: ["start", "center", "end"].find((one) => one === node["textAlign"]),
    WebkitLineClamp: cut,
    minHeight: typeof node["minLines"] === "number" ? `${node["minLines"] * 1.5}em` : undefined,
    width: size(node["width"]),
  });
}

function defined(properties: Record<string, string | number | undefined>): CSSProperties {
  return Object.fromEntries(Object.entries(properties).filter(([, value]) => value !== undefined)) as CSSProperties;
}
