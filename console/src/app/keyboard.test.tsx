import { render } from "@testing-library/react";
import { afterEach, beforeEach, expect, test } from "vitest";
import { onKey, useShortcuts, type Shortcut } from "./keyboard";

const done: string[] = [];

function Page({ shortcuts }: { shortcuts: Shortcut[] }) {
  useShortcuts(shortcuts);
  return <input aria-label="field" />;
}

const shortcut = (keys: string, whileTyping = false): Shortcut => ({ keys, label: keys, whileTyping, run: () => done.push(keys) });

function press(key: string, target: EventTarget = document.body, more: KeyboardEventInit = {}): void {
  target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...more }));
}

beforeEach(() => {
  done.length = 0;
  document.addEventListener("keydown", onKey);
});
afterEach(() => document.removeEventListener("keydown", onKey));

test("two keys one after the other are one shortcut", () => {
  render(<Page shortcuts={[shortcut("g r"), shortcut("r")]} />);
  press("g");
  press("r");
  press("r");
  expect(done).toEqual(["g r", "r"]);
});

test("letters are no shortcuts while somebody types, unless they say so", () => {
  const { getByLabelText } = render(<Page shortcuts={[shortcut("n"), shortcut("mod+k", true)]} />);
  press("n", getByLabelText("field"));
  press("k", getByLabelText("field"), { ctrlKey: true });
  expect(done).toEqual(["mod+k"]);
});

test("a key that is held is pressed once", () => {
  render(<Page shortcuts={[shortcut("r")]} />);
  press("r");
  press("r", document.body, { repeat: true });
  press("r", document.body, { repeat: true });
  expect(done).toEqual(["r"]);
});

test("a page that is gone takes its shortcuts with it", () => {
  const { unmount } = render(<Page shortcuts={[shortcut("x")]} />);
  unmount();
  press("x");
  expect(done).toEqual([]);
});
