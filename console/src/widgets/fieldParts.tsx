// What the fields of forms share: how they look, what they are called, what is said to be wrong with them.

import type { KeyboardEvent, ReactElement, ReactNode } from "react";
import { flag, oneOf, optionalText, text } from "./fields";
import type { Rule } from "./form";
import type { FieldState } from "./formState";
import type { WidgetNode } from "./types";

const SIZES = ["3xs", "2xs", "xs", "sm", "md", "lg", "xl", "2xl", "3xl"] as const;
const GUTTERS = ["2xs", "xs", "sm", "md", "lg", "xl"] as const;

/** How a control looks, from the fields that all of them share. */
export function look(node: WidgetNode, variant: string): string {
  return [
    "dgw-control",
    `dgw-${oneOf(node["variant"], ["solid", "soft", "outline", "ghost"]) ?? variant}`,
    `dgw-size-${oneOf(node["size"], SIZES) ?? "md"}`,
    oneOf(node["gutterSize"], GUTTERS) && `dgw-gutter-${text(node["gutterSize"])}`,
    flag(node["pill"]) && "dgw-pill",
    flag(node["block"]) && "dgw-block",
  ]
    .filter((name) => typeof name === "string")
    .join(" ");
}

/** What a field is called where no `Label` says it. */
export function nameOf(node: WidgetNode): string {
  const spoken = text(node["ariaLabel"], text(node["placeholder"]));
  if (spoken !== "") return spoken;
  const name = text(node["name"]).split(".").at(-1) ?? "";
  const words = name
    .replace(/([a-z\d])([A-Z])/g, "$1 $2")
    .replace(/[_-]+/g, " ")
    .toLowerCase();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** The attributes that tie a control to its label and to what is wrong with it. */
export function described(
  field: FieldState,
  node: WidgetNode,
  required: boolean,
): Record<string, string | boolean | undefined> {
  return {
    "aria-label": field.isLabelled ? undefined : nameOf(node),
    "aria-invalid": field.fault !== null || undefined,
    "aria-describedby": field.fault !== null ? field.faultId : undefined,
    "aria-required": required || undefined,
  };
}

/** A control and below it what is wrong. */
export function Field({
  field,
  isBlock,
  children,
}: {
  field: FieldState;
  isBlock: boolean;
  children: ReactNode;
}): ReactElement {
  return (
    <div className={isBlock ? "dgw-field dgw-block" : "dgw-field"}>
      {children}
      {field.fault !== null && (
        <p className="dgw-fault" id={field.faultId}>
          {field.fault}
        </p>
      )}
    </div>
  );
}

/** What a field asks for, from the fields that all of them share. */
export function ruleOf(node: WidgetNode, kind: Rule["kind"], more: Partial<Rule> = {}): Rule {
  const pattern = optionalText(node["pattern"]);
  return {
    label: nameOf(node),
    required: flag(node["required"]),
    kind,
    ...(pattern !== undefined && { pattern }),
    ...more,
  };
}

/** Enter sends the form; not while characters are being composed. */
export function submitOnEnter(event: KeyboardEvent, submit: ((fallback?: () => void) => void) | null): void {
  if (event.key !== "Enter" || event.nativeEvent.isComposing || submit === null) return;
  event.preventDefault();
  submit();
}

export function Clear({ name, onClear }: { name: string; onClear: () => void }): ReactElement {
  return (
    <button type="button" className="dgw-clear" aria-label={`Clear ${name}`} onClick={onClear}>
      <svg viewBox="0 0 24 24" className="dgw-icon" aria-hidden="true">
        <path d="M6 6l12 12M18 6L6 18" />
      </svg>
    </button>
  );
}
