// Components that the user works with: buttons, choices and labels. What is typed into is in typing.tsx, menus in Select.tsx.

import { type CSSProperties, type ReactElement, useContext, useEffect } from "react";
import { head, Plain } from "../markdown";
import { Clear, described, Field, look, nameOf, ruleOf, submitOnEnter } from "./fieldParts";
import { actionOf, flag, oneOf, optionalText, optionsOf, text } from "./fields";
import { day } from "./form";
import { FormContext, useField } from "./formState";
import { useAct, useHost } from "./host";
import { Icon } from "./icons";
import { lettering } from "./style";
import type { WidgetNode } from "./types";

export function Button({ node }: { node: WidgetNode }): ReactElement {
  const { isBusy } = useHost();
  const form = useContext(FormContext);
  const act = useAct("self");
  const action = actionOf(node["onClickAction"]);
  const isSubmit = flag(node["submit"]);
  const label = head(text(node["label"]), 500);
  const start = optionalText(node["iconStart"]);
  const end = optionalText(node["iconEnd"]);
  const isPrimary = node["style"] === "primary" || (node["style"] === undefined && isSubmit);
  const hue = oneOf(node["color"], [
    "primary",
    "secondary",
    "info",
    "discovery",
    "success",
    "caution",
    "warning",
    "danger",
  ]);
  const isIdle = act.isPending || isBusy;
  const click = (): void => {
    if (isIdle) return;
    const own = (): void => {
      if (action !== undefined) act.run(action);
    };
    if (isSubmit && form.submit !== null) form.submit(own);
    else own();
  };
  const iconSize = oneOf(node["iconSize"], ["sm", "md", "lg", "xl", "2xl"]) ?? "md";
  return (
    <button
      type="button"
      className={`dgw-button ${look(node, isPrimary ? "solid" : "outline")} dgw-hue-${hue ?? (isPrimary ? "primary" : "secondary")}${flag(node["uniform"]) ? " dgw-uniform" : ""}`}
      disabled={flag(node["disabled"]) || !act.isAble}
      // Not `disabled` while something is under way: the focus would be lost.
      aria-disabled={isIdle || undefined}
      aria-busy={act.isPending || undefined}
      aria-label={
        label === "" ? (start ?? end ?? "Button").replace(/^(?:lucide|vendor):/, "").replaceAll("-", " ") : undefined
      }
      onClick={click}
    >
      {act.isPending ? (
        <span className="dgw-spinner" aria-hidden="true" />
      ) : (
        start !== undefined && <Icon name={start} size={iconSize} />
      )}
      {label !== "" && (
        <span dir="auto">
          <Plain text={label} />
        </span>
      )}
      {end !== undefined && <Icon name={end} size={iconSize} />}
    </button>
  );
}

export function Checkbox({ node }: { node: WidgetNode }): ReactElement {
  const { isLive } = useHost();
  const act = useAct("none");
  const action = actionOf(node["onChangeAction"]);
  const name = text(node["name"]);
  const isDisabled = flag(node["disabled"]);
  const rule = ruleOf(node, "checkbox");
  const field = useField(name, rule, flag(node["defaultChecked"]), isDisabled);
  const label = text(node["label"]);
  const { "aria-label": spoken, ...ties } = described(field, node, rule.required);
  return (
    <Field field={field} isBlock={false}>
      <label className="dgw-check">
        <input
          id={field.id}
          type="checkbox"
          name={name}
          checked={field.value === true}
          disabled={isDisabled || !isLive}
          onChange={(event) => {
            field.set(event.target.checked);
            if (action !== undefined) act.run(action, { [name]: event.target.checked });
          }}
          {...ties}
          {...(label === "" && { "aria-label": String(spoken ?? "") || undefined })}
        />
        {label !== "" && (
          <span dir="auto">
            <Plain text={head(label, 2000)} />
            {rule.required && <Required />}
          </span>
        )}
      </label>
    </Field>
  );
}

function Required(): ReactElement {
  return (
    <span className="dgw-required" aria-hidden="true">
      {" *"}
    </span>
  );
}

export function RadioGroup({ node }: { node: WidgetNode }): ReactElement {
  const { isLive } = useHost();
  const act = useAct("none");
  const action = actionOf(node["onChangeAction"]);
  const name = text(node["name"]);
  const options = optionsOf(node["options"]);
  const isDisabled = flag(node["disabled"]);
  const rule = ruleOf(node, "choice");
  const chosen = options.findIndex((one) => one.value === node["defaultValue"]);
  const field = useField(name, rule, optionalText(node["defaultValue"]), isDisabled, undefined);
  const first = options.findIndex((one) => !one.disabled);
  return (
    <Field field={field} isBlock>
      <div
        role="radiogroup"
        className={node["direction"] === "row" ? "dgw-radios dgw-radios-row" : "dgw-radios"}
        {...described(field, node, rule.required)}
        aria-labelledby={field.isLabelled ? field.labelId : undefined}
      >
        {options.map((option, index) => (
          <label key={index} className="dgw-check">
            <input
              // The group's id is on the option that takes the focus.
              id={index === (chosen >= 0 ? chosen : first) ? field.id : undefined}
              type="radio"
              name={field.id}
              value={option.value}
              checked={field.value === option.value}
              disabled={option.disabled || isDisabled || !isLive}
              onChange={() => {
                field.set(option.value);
                if (action !== undefined) act.run(action, { [name]: option.value });
              }}
            />
            <span dir="auto">
              <Plain text={head(option.label, 500)} />
            </span>
          </label>
        ))}
      </div>
    </Field>
  );
}

export function DatePicker({ node }: { node: WidgetNode }): ReactElement {
  const { isLive } = useHost();
  const form = useContext(FormContext);
  const act = useAct("none");
  const action = actionOf(node["onChangeAction"]);
  const name = text(node["name"]);
  const isDisabled = flag(node["disabled"]);
  const min = day(node["min"]);
  const max = day(node["max"]);
  const rule = ruleOf(node, "date", { ...(min !== undefined && { min }), ...(max !== undefined && { max }) });
  const field = useField(name, rule, day(node["defaultValue"]), isDisabled);
  const change = (value: string): void => {
    field.set(value === "" ? undefined : value);
    if (action !== undefined) act.run(action, { [name]: value });
  };
  const canClear = flag(node["clearable"]) && field.value !== undefined && !isDisabled && isLive;
  return (
    <Field field={field} isBlock={flag(node["block"])}>
      <span className="dgw-with-clear">
        <input
          id={field.id}
          type="date"
          name={name}
          className={`dgw-input dgw-date ${look(node, "outline")}`}
          value={String(field.value ?? "")}
          min={min}
          max={max}
          title={optionalText(node["placeholder"])}
          disabled={isDisabled || !isLive}
          onChange={(event) => change(event.target.value)}
          onKeyDown={(event) => submitOnEnter(event, form.submit)}
          {...described(field, node, rule.required)}
        />
        {canClear && <Clear name={nameOf(node)} onClear={() => change("")} />}
      </span>
    </Field>
  );
}

export function Label({ node }: { node: WidgetNode }): ReactElement {
  const { store, id } = useContext(FormContext);
  const name = text(node["fieldName"]);
  useEffect(() => store.label(name), [store, name]);
  const field = `${id}-${name}`.replace(/\s+/g, "_");
  const weight = oneOf(node["weight"], ["normal", "medium", "semibold", "bold"]) ?? "medium";
  const style: CSSProperties = lettering(node);
  return (
    <label
      id={`${field}-label`}
      htmlFor={field}
      className={`dgw-label dgw-text-${oneOf(node["size"], ["xs", "sm", "md", "lg", "xl"]) ?? "sm"} dgw-weight-${weight}`}
      style={style}
      dir="auto"
    >
      <Plain text={head(text(node["value"]), 2000)} />
    </label>
  );
}
