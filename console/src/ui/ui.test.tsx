import { fireEvent, render, screen } from "@testing-library/react";
import { expect, test } from "vitest";
import { ApiError } from "../api/http";
import { Json, visible } from "./json";
import { Menu } from "./menu";
import { PageState } from "./page-state";
import { ago, bytes, duration } from "./time";
import { indexAt } from "./virtual";

test("characters that hide or turn text are shown as escapes", () => {
  expect(visible("a\u202eb\u200bc\u0000d\n\te")).toBe("a\\u202eb\\u200bc\\u0000d\n\te");
  expect(visible("a\u{e0041}\u00ad\u2028\rb")).toBe("a\\u{e0041}\\u00ad\\u2028\\u000db");
});

test("what joins the parts of a picture or the letters of a script stays, what would tell two names apart does not", () => {
  const family = "\u{1f469}\u{1f3fd}\u200d\u{1f467}";
  const persian = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645";
  expect([visible(family), visible(persian)]).toEqual([family, persian]);
  expect(visible("pay\u200dpal\u200d")).toBe("pay\\u200dpal\\u200d");
});

test("arguments are shown whole and exact where they are asked about", () => {
  const value = { text: "x".repeat(9_000), markup: "<img src=x onerror=alert(1)>" };
  render(<Json value={value} label="Arguments" whole />);
  expect(screen.getByLabelText("Arguments").textContent).toBe(JSON.stringify(value, null, 2));
  expect(document.querySelector("img")).toBeNull();
});

test("a menu opens by the keyboard, and its entries are reached by arrows", () => {
  const chosen: string[] = [];
  const entries = ["one", "two"].map((label) => ({ label, onChoose: () => chosen.push(label) }));
  render(
    <Menu label="More" entries={entries}>
      …
    </Menu>,
  );
  const button = screen.getByRole("button", { name: "More" });
  fireEvent.keyDown(button, { key: "ArrowDown" });
  expect(document.activeElement?.textContent).toBe("one");
  fireEvent.keyDown(document.activeElement as Element, { key: "ArrowDown" });
  fireEvent.click(document.activeElement as Element);
  expect(chosen).toEqual(["two"]);
  expect(document.activeElement).toBe(button);
});

test("an error names its request, and offers another try", () => {
  let tries = 0;
  render(<PageState kind="error" error={new ApiError("It broke.", 500, "x", "req-1")} onRetry={() => (tries += 1)} />);
  expect(screen.getByRole("alert").textContent).toContain("It broke.");
  expect(screen.getByText(/req-1/)).toBeTruthy();
  fireEvent.click(screen.getByRole("button", { name: "Try again" }));
  expect(tries).toBe(1);
});

test("times and sizes are told as people read them", () => {
  expect([ago(1_000, 1_010), ago(1_000, 1_000 + 300), ago(0, 7_200)]).toEqual(["just now", "5 min ago", "2 h ago"]);
  expect([0, 0.0042, 0.0421, 0.9999, 4.25, 59.7, 75, 119.6, 3_599.9, 3_700].map(duration)).toEqual([
    "0 ms",
    "4.2 ms",
    "42 ms",
    "1.0 s",
    "4.3 s",
    "1 min",
    "1 min 15 s",
    "2 min",
    "1 h",
    "1 h 2 min",
  ]);
  expect([bytes(12), bytes(2_048), bytes(5_000_000)]).toEqual(["12 B", "2.0 kB", "5.0 MB"]);
});

test("the row at a place is found by halves", () => {
  const offsets = Float64Array.of(0, 10, 30, 60);
  expect([-5, 0, 9, 10, 29, 59, 99].map((place) => indexAt(offsets, place))).toEqual([0, 0, 0, 1, 1, 2, 3]);
});
