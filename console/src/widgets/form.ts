// What a form holds and sends. Pure; the components tell it what changes.

import { isRecord } from "./fields";

export type Value = string | boolean;
export type Values = Readonly<Record<string, Value>>;

/** What a field asks for before it may be sent. */
export interface Rule {
  readonly label: string;
  readonly required: boolean;
  readonly kind: "text" | "number" | "email" | "url" | "tel" | "date" | "checkbox" | "choice";
  readonly pattern?: string;
  readonly min?: string;
  readonly max?: string;
}

const EMAIL = /^[^\s@]+@[^\s@.]+(?:\.[^\s@.]+)*$/;
const LONGEST_FOR_PATTERN = 2_000;

/** What is wrong with a value, for the person who gave it; null if nothing is. */
export function fault(rule: Rule, value: Value | undefined): string | null {
  if (rule.kind === "checkbox") return rule.required && value !== true ? "Please tick this box." : null;
  const given = typeof value === "string" ? value : "";
  if (given.trim() === "") {
    if (!rule.required) return null;
    return rule.kind === "choice" ? "Please choose one." : "Please fill in this field.";
  }
  switch (rule.kind) {
    case "number":
      if (!Number.isFinite(Number(given))) return "Please enter a number.";
      break;
    case "email":
      if (!EMAIL.test(given)) return "Please enter an email address.";
      break;
    case "url":
      if (!URL.canParse(given)) return "Please enter an address that begins with https://.";
      break;
    case "date":
      if (!/^\d{4,6}-\d{2}-\d{2}$/.test(given)) return "Please enter a date.";
      if (rule.min !== undefined && given < rule.min) return `Please choose ${rule.min} or later.`;
      if (rule.max !== undefined && given > rule.max) return `Please choose ${rule.max} or earlier.`;
      break;
  }
  if (rule.pattern !== undefined && matches(rule.pattern, given) === false)
    return "Please use the format that is asked for.";
  return null;
}

/** Whether the whole value fits; null if the pattern is none. */
function matches(pattern: string, value: string): boolean | null {
  if (pattern.length > 500 || value.length > LONGEST_FOR_PATTERN) return null;
  try {
    return new RegExp(`^(?:${pattern})$`, "v").test(value);
  } catch {
    return null; // as browsers do: a pattern that is none asks for nothing
  }
}

const UNUSABLE = new Set(["__proto__", "prototype", "constructor"]);

/**
 * The payload of an action with the values of its form: dots in names nest, and what the payload has already wins.
 *
 * `{"todo.title": "x"}` with `{call: 1}` gives `{call: 1, todo: {title: "x"}}`. A payload that is no object stays alone
 * if there are no values, and is kept under `value` otherwise.
 */
export function merged(payload: unknown, values: Values): unknown {
  const names = Object.keys(values);
  if (names.length === 0) return payload;
  const result: Record<string, unknown> = isRecord(payload)
    ? copied(payload)
    : payload == null
      ? {}
      : { value: payload };
  for (const name of names) {
    const words = name.split(".");
    if (words.length > 20 || words.some((word) => UNUSABLE.has(word))) continue;
    let into = result;
    let fits = true;
    for (const word of words.slice(0, -1)) {
      const next = Object.hasOwn(into, word) ? into[word] : (into[word] = {});
      if (!isRecord(next)) {
        fits = false;
        break;
      }
      into = next;
    }
    const last = words.at(-1) ?? "";
    if (fits && !Object.hasOwn(into, last)) into[last] = values[name];
  }
  return result;
}

function copied(value: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, isRecord(one) ? copied(one) : one]));
}

/** The day of a date, with or without a time. */
export function day(value: unknown): string | undefined {
  return typeof value === "string" ? /^\d{4,6}-\d{2}-\d{2}/.exec(value)?.[0] : undefined;
}
