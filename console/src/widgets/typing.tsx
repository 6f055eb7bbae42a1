// Fields that are typed into: one line, several lines, and a text that is edited where it stands.

import { type ReactElement, type Ref, useContext, useEffect, useRef } from "react";
import { described, Field, look, ruleOf, submitOnEnter } from "./fieldParts";
import { count, flag, oneOf, optionalText, text } from "./fields";
import { FormContext, useField } from "./formState";
import { useHost } from "./host";
import { lettering } from "./style";
import type { WidgetNode } from "./types";

const KINDS = { number: "number", email: "email", url: "url", tel: "tel", text: "text", password: "text" } as const;

/** Others may fill it in: browsers always, programs that keep passwords only where they may. */
function autofill(node: Record<string, unknown>): Record<string, string> {
  return node["allowAutofillExtensions"] === true
    ? {}
    : { "data-1p-ignore": "", "data-lpignore": "true", "data-bwignore": "" };
}

/** Takes the focus once, and selects what is in it, where the widget says so. */
function useFirstFocus(wish: Record<string, unknown>): Ref<HTMLInputElement & HTMLTextAreaElement> {
  const element = useRef<HTMLInputElement & HTMLTextAreaElement>(null);
  const focus = flag(wish["autoFocus"]);
  const select = flag(wish["autoSelect"]);
  useEffect(() => {
    if (focus) element.current?.focus({ preventScroll: true });
    if (focus && select) element.current?.select();
  }, [focus, select]);
  return element;
}

export function Input({ node }: { node: WidgetNode }): ReactElement {
  const { isLive } = useHost();
  const form = useContext(FormContext);
  const type = oneOf(node["inputType"], ["number", "email", "text", "password", "tel", "url"]) ?? "text";
  const rule = ruleOf(node, KINDS[type]);
  const isDisabled = flag(node["disabled"]);
  const field = useField(text(node["name"]), rule, text(node["defaultValue"]), isDisabled);
  const element = useFirstFocus(node);
  const selects = flag(node["autoSelect"]);
  return (
    <Field field={field} isBlock>
      <input
        ref={element}
        id={field.id}
        // Numbers as text: the browser's own field gives nothing for what is no number, and turns with the wheel.
        type={type === "number" ? "text" : type}
        inputMode={type === "number" ? "decimal" : undefined}
        name={text(node["name"])}
        className={`dgw-input ${look(node, "outline")}`}
        value={String(field.value ?? "")}
        placeholder={optionalText(node["placeholder"])}
        disabled={isDisabled || !isLive}
        dir={type === "text" ? "auto" : undefined}
        autoComplete={type === "password" ? "off" : undefined}
        onChange={(event) => field.set(event.target.value)}
        onFocus={selects ? (event) => event.target.select() : undefined}
        onKeyDown={(event) => submitOnEnter(event, form.submit)}
        {...autofill(node)}
        {...described(field, node, rule.required)}
      />
    </Field>
  );
}

export function Textarea({ node }: { node: WidgetNode }): ReactElement {
  const { isLive } = useHost();
  const form = useContext(FormContext);
  const rule = ruleOf(node, "text");
  const isDisabled = flag(node["disabled"]);
  const field = useField(text(node["name"]), rule, text(node["defaultValue"]), isDisabled);
  const element = useFirstFocus(node);
  const rows = Math.min(count(node["rows"]) ?? 3, 40);
  const most = Math.min(count(node["maxRows"]) ?? 12, 40);
  const grows = node["autoResize"] !== false;
  return (
    <Field field={field} isBlock>
      <textarea
        ref={element}
        id={field.id}
        name={text(node["name"])}
        className={`dgw-input dgw-textarea ${look(node, "outline")}${grows ? " dgw-grows" : ""}`}
        style={{
          minHeight: `calc(${rows * 1.5}em + 1em + 2px)`,
          maxHeight: `calc(${Math.max(rows, most) * 1.5}em + 1em + 2px)`,
        }}
        rows={rows}
        value={String(field.value ?? "")}
        placeholder={optionalText(node["placeholder"])}
        disabled={isDisabled || !isLive}
        dir="auto"
        onChange={(event) => field.set(event.target.value)}
        onFocus={flag(node["autoSelect"]) ? (event) => event.target.select() : undefined}
        onKeyDown={(event) => {
          if (event.metaKey || event.ctrlKey) submitOnEnter(event, form.submit);
        }}
        {...autofill(node)}
        {...described(field, node, rule.required)}
      />
    </Field>
  );
}

/** A text that is edited where it stands. */
export function Editable({ node, editable }: { node: WidgetNode; editable: Record<string, unknown> }): ReactElement {
  const { isLive } = useHost();
  const form = useContext(FormContext);
  const wish: WidgetNode = { ...editable, type: "Input" };
  const rule = ruleOf(wish, "text");
  const field = useField(text(editable["name"]), rule, text(node["value"]), false);
  const element = useFirstFocus(editable);
  const lines = Math.max(count(node["minLines"]) ?? 1, 1);
  const isLong = lines > 1 || (count(node["maxLines"]) ?? 1) > 1;
  const shared = {
    id: field.id,
    name: text(editable["name"]),
    className: `dgw-editable dgw-text-${oneOf(node["size"], ["xs", "sm", "md", "lg", "xl"]) ?? "md"}`,
    style: lettering({ ...node, maxLines: undefined, truncate: undefined }),
    value: String(field.value ?? ""),
    placeholder: optionalText(editable["placeholder"]),
    autoComplete: optionalText(editable["autoComplete"]) ?? "off",
    disabled: !isLive,
    dir: "auto",
    onChange: (event: { target: { value: string } }) => field.set(event.target.value),
    ...autofill(editable),
    ...described(field, wish, rule.required),
  };
  return (
    <Field field={field} isBlock>
      {isLong ? (
        <textarea ref={element} rows={lines} {...shared} className={`${shared.className} dgw-grows`} />
      ) : (
        <input ref={element} {...shared} onKeyDown={(event) => submitOnEnter(event, form.submit)} />
      )}
    </Field>
  );
}
