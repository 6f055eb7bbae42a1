// Reading the fields of components, which come from outside: what does not fit is as if it were not there.

import type { ActionConfig, Option, WidgetNode } from "./types";

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function isNode(value: unknown): value is WidgetNode {
  return isRecord(value) && typeof value["type"] === "string";
}

export function nodesOf(value: unknown): WidgetNode[] {
  if (Array.isArray(value)) return value.filter(isNode);
  return isNode(value) ? [value] : [];
}

/** A field as text. Numbers and booleans read as text, as they would in a template. */
export function text(value: unknown, otherwise = ""): string {
  if (typeof value === "string") return value;
  return typeof value === "boolean" || (typeof value === "number" && Number.isFinite(value))
    ? String(value)
    : otherwise;
}

export function optionalText(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

export function flag(value: unknown): boolean {
  return value === true;
}

export function count(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? Math.floor(value) : undefined;
}

export function oneOf<const Words extends readonly string[]>(value: unknown, words: Words): Words[number] | undefined {
  return typeof value === "string" && words.includes(value) ? value : undefined;
}

export function actionOf(value: unknown): ActionConfig | undefined {
  return isRecord(value) && typeof value["type"] === "string" ? (value as unknown as ActionConfig) : undefined;
}

export function optionsOf(value: unknown): Option[] {
  if (!Array.isArray(value)) return [];
  return value.filter(isRecord).map((one) => ({
    value: text(one["value"]),
    label: text(one["label"], text(one["value"])),
    disabled: flag(one["disabled"]),
    ...(typeof one["description"] === "string" && { description: one["description"] }),
  }));
}
