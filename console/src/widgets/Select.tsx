// A choice from a menu: the browser's own, or a list with search and descriptions where these are asked for.

import { type KeyboardEvent, type ReactElement, useEffect, useId, useRef, useState } from "react";
import { head, Plain, visible } from "../markdown";
import { Clear, described, Field, look, nameOf } from "./fieldParts";
import { actionOf, flag, optionalText, optionsOf, text } from "./fields";
import { type FieldState, useField } from "./formState";
import { useAct, useHost } from "./host";
import { Icon } from "./icons";
import type { Option, WidgetNode } from "./types";

const AT_ONCE = 200;

export function Select({ node }: { node: WidgetNode }): ReactElement {
  const { isLive } = useHost();
  const act = useAct("none");
  const action = actionOf(node["onChangeAction"]);
  const name = text(node["name"]);
  const options = optionsOf(node["options"]);
  const isDisabled = flag(node["disabled"]);
  const required = flag(node["required"]);
  const field = useField(
    name,
    { label: nameOf(node), required, kind: "choice" },
    optionalText(node["defaultValue"]),
    isDisabled,
  );
  const change = (value: string | undefined): void => {
    field.set(value);
    if (action !== undefined) act.run(action, { [name]: value ?? "" });
  };
  const isRich =
    flag(node["searchable"]) || options.length > AT_ONCE || options.some((one) => one.description !== undefined);
  const canClear = flag(node["clearable"]) && field.value !== undefined && !isDisabled && isLive;
  const shared = { node, field, options, isDisabled: isDisabled || !isLive, onChange: change };
  return (
    <Field field={field} isBlock={flag(node["block"])}>
      <span className="dgw-with-clear">
        {isRich ? (
          <Menu {...shared} canSearch={flag(node["searchable"]) || options.length > AT_ONCE} />
        ) : (
          <Native {...shared} />
        )}
        {canClear && <Clear name={nameOf(node)} onClear={() => change(undefined)} />}
      </span>
    </Field>
  );
}

interface ChoiceProps {
  readonly node: WidgetNode;
  readonly field: FieldState;
  readonly options: readonly Option[];
  readonly isDisabled: boolean;
  onChange(value: string | undefined): void;
}

function Native({ node, field, options, isDisabled, onChange }: ChoiceProps): ReactElement {
  const value = String(field.value ?? "");
  const isKnown = options.some((one) => one.value === value);
  return (
    <select
      id={field.id}
      name={text(node["name"])}
      className={`dgw-select ${look(node, "outline")}${isKnown ? "" : " dgw-empty"}`}
      value={isKnown ? value : ""}
      disabled={isDisabled}
      onChange={(event) => onChange(event.target.value)}
      {...described(field, node, flag(node["required"]))}
    >
      {!isKnown && (
        <option value="" disabled>
          {visible(text(node["placeholder"], "Choose…"))}
        </option>
      )}
      {options.map((option, index) => (
        <option key={index} value={option.value} disabled={option.disabled}>
          {visible(head(option.label, 300))}
        </option>
      ))}
    </select>
  );
}

/** A field that opens a list; typing searches where that is wanted. */
function Menu({
  node,
  field,
  options,
  isDisabled,
  canSearch,
  onChange,
}: ChoiceProps & { canSearch: boolean }): ReactElement {
  const [isOpen, setOpen] = useState(false);
  const [query, setQuery] = useState("");
  const [at, setAt] = useState(0);
  const list = useId();
  const active = useRef<HTMLLIElement>(null);
  const chosen = options.find((one) => one.value === field.value);
  const words = query.trim().toLowerCase();
  const found = options
    .filter((one) => words === "" || `${one.label} ${one.description ?? ""}`.toLowerCase().includes(words))
    .slice(0, AT_ONCE);
  const current = found[Math.min(at, found.length - 1)];

  useEffect(() => {
    active.current?.scrollIntoView?.({ block: "nearest" }); // gives a promise in newer browsers
  }, [at, isOpen]);

  const open = (): void => {
    if (isDisabled) return;
    setQuery("");
    setAt(
      Math.max(
        0,
        options.findIndex((one) => one.value === field.value),
      ),
    );
    setOpen(true);
  };
  const choose = (option: Option | undefined): void => {
    if (option === undefined || option.disabled) return;
    onChange(option.value);
    setOpen(false);
  };
  const move = (step: number): void => {
    if (!isOpen) return open();
    for (let next = at + step; next >= 0 && next < found.length; next += Math.sign(step) || 1) {
      if (found[next]?.disabled === false) return setAt(next);
    }
  };
  const keys = (event: KeyboardEvent): void => {
    const steps: Record<string, () => void> = {
      ArrowDown: () => move(1),
      ArrowUp: () => move(-1),
      Enter: () => (isOpen ? choose(current) : open()),
      Escape: () => setOpen(false),
      ...(isOpen && { Home: () => setAt(0), End: () => setAt(found.length - 1) }),
      ...(!canSearch && { " ": () => (isOpen ? choose(current) : open()) }),
    };
    const step = steps[event.key];
    if (step === undefined || event.nativeEvent.isComposing || (event.key === "Escape" && !isOpen)) return;
    event.preventDefault();
    event.stopPropagation();
    step();
  };
  return (
    <span className="dgw-menu" onBlur={(event) => !event.currentTarget.contains(event.relatedTarget) && setOpen(false)}>
      <input
        id={field.id}
        type="text"
        role="combobox"
        autoComplete="off"
        className={`dgw-select ${look(node, "outline")}`}
        aria-expanded={isOpen}
        aria-controls={list}
        aria-autocomplete={canSearch ? "list" : "none"}
        aria-activedescendant={isOpen && current !== undefined ? `${list}-${found.indexOf(current)}` : undefined}
        readOnly={!canSearch}
        disabled={isDisabled}
        placeholder={visible(text(node["placeholder"], canSearch ? "Search…" : "Choose…"))}
        value={isOpen && canSearch ? query : visible(chosen?.label ?? "")}
        onChange={(event) => {
          const typed = event.target.value;
          const before = isOpen ? "" : visible(chosen?.label ?? ""); // what stood there is no part of the search
          setQuery(typed.startsWith(before) ? typed.slice(before.length) : typed);
          setAt(0);
          setOpen(true);
        }}
        onClick={() => (isOpen ? undefined : open())}
        onKeyDown={keys}
        {...described(field, node, flag(node["required"]))}
      />
      <ul id={list} role="listbox" aria-label={nameOf(node)} className="dgw-options" hidden={!isOpen}>
        {isOpen &&
          found.map((option, index) => (
            <li
              key={index}
              id={`${list}-${index}`}
              ref={option === current ? active : undefined}
              role="option"
              aria-selected={option.value === field.value}
              aria-disabled={option.disabled || undefined}
              className={option === current ? "dgw-option dgw-active" : "dgw-option"}
              // Before the field loses the focus, which would close the list.
              onMouseDown={(event) => event.preventDefault()}
              onClick={() => choose(option)}
            >
              <span dir="auto">
                <Plain text={head(option.label, 300)} />
                {option.description !== undefined && (
                  <span className="dgw-option-more">
                    <Plain text={head(option.description, 500)} />
                  </span>
                )}
              </span>
              {option.value === field.value && <Icon name="check" />}
            </li>
          ))}
      </ul>
      {isOpen && found.length === 0 && (
        <span className="dgw-options dgw-none" role="status">
          Nothing found
        </span>
      )}
    </span>
  );
}
