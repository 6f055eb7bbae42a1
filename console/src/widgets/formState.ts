// The fields of a form while it is filled in, and how components take part in it.

import { createContext, useContext, useEffect, useId, useRef, useSyncExternalStore } from "react";
import { fault, type Rule, type Value, type Values } from "./form";

interface Field {
  rule: Rule;
  value: Value | undefined;
  isDisabled: boolean;
  focus(): void;
}

/** Fields by name, in the order in which they came. */
export class FormStore {
  private fields = new Map<string, Field>();
  private labels = new Map<string, number>();
  private listeners = new Set<() => void>();
  private tried = false;

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  add(name: string, field: Field): () => void {
    this.fields.set(name, field);
    this.tell();
    return () => {
      if (this.fields.get(name) === field) this.fields.delete(name);
    };
  }

  label(name: string): () => void {
    this.labels.set(name, (this.labels.get(name) ?? 0) + 1);
    this.tell();
    return () => {
      this.labels.set(name, (this.labels.get(name) ?? 1) - 1);
      this.tell();
    };
  }

  isLabelled(name: string): boolean {
    return (this.labels.get(name) ?? 0) > 0;
  }

  set(name: string, value: Value | undefined): void {
    const field = this.fields.get(name);
    if (field === undefined || field.value === value) return;
    field.value = value;
    this.tell();
  }

  get(name: string): Value | undefined {
    return this.fields.get(name)?.value;
  }

  /** What is wrong with a field, once sending was tried. */
  fault(name: string): string | null {
    const field = this.fields.get(name);
    return this.tried && field !== undefined && !field.isDisabled ? fault(field.rule, field.value) : null;
  }

  /** All fields that are not disabled and have a value. */
  values(): Values {
    const values: Record<string, Value> = {};
    for (const [name, field] of this.fields)
      if (!field.isDisabled && field.value !== undefined) values[name] = field.value;
    return values;
  }

  /** Whether everything may be sent; if not, what is wrong is shown and the first such field gets the focus. */
  check(): boolean {
    this.tried = true;
    this.tell();
    for (const field of this.fields.values()) {
      if (field.isDisabled || fault(field.rule, field.value) === null) continue;
      field.focus();
      return false;
    }
    return true;
  }

  private tell(): void {
    for (const listener of this.listeners) listener();
  }
}

interface FormScope {
  readonly store: FormStore;
  readonly id: string;
  /** Whether actions from inside carry the fields. */
  readonly sends: boolean;
  /** Checks the fields and sends them; null where there is no form. */
  readonly submit: ((fallback?: () => void) => void) | null;
}

export const FormContext = createContext<FormScope>({ store: new FormStore(), id: "none", sends: false, submit: null });

export interface FieldState {
  readonly id: string;
  readonly labelId: string;
  readonly value: Value | undefined;
  readonly fault: string | null;
  readonly faultId: string;
  readonly isLabelled: boolean;
  set(value: Value | undefined): void;
}

/** Takes part in the form around as the field `name`. `focus` names the element by its id unless there is another way. */
export function useField(
  name: string,
  rule: Rule,
  initial: Value | undefined,
  isDisabled: boolean,
  focusId?: string,
): FieldState {
  const { store, id: formId } = useContext(FormContext);
  const unique = useId();
  const id = `${formId}-${name}`.replace(/\s+/g, "_");
  const kept = useRef<Field | null>(null);
  kept.current ??= { rule, value: initial, isDisabled, focus: () => undefined };
  const field = kept.current;
  field.rule = rule;
  field.isDisabled = isDisabled;
  field.focus = () => document.getElementById(focusId ?? id)?.focus();
  useEffect(() => store.add(name, field), [store, name, field]);
  const first = useRef(initial);
  useEffect(() => {
    if (first.current === initial) return;
    first.current = initial; // the server has changed its mind, or shows what was answered
    store.set(name, initial);
  }, [store, name, initial]);
  const value = useSyncExternalStore(store.subscribe, () => field.value);
  const wrong = useSyncExternalStore(store.subscribe, () => store.fault(name));
  const isLabelled = useSyncExternalStore(store.subscribe, () => store.isLabelled(name));
  return {
    id,
    labelId: `${id}-label`,
    value,
    fault: wrong,
    faultId: `${unique}-fault`,
    isLabelled,
    set: (next) => store.set(name, next),
  };
}
