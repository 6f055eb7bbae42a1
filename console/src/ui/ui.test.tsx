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
  expect([duration(0.0421), duration(4.25), duration(75), duration(3_700)]).toEqual(["42 ms", "4.3 s", "1 min 15 s", "1 h 2 min"]);
  expect([bytes(12), bytes(2_048), bytes(5_000_000)]).toEqual(["12 B", "2.0 kB", "5.0 MB"]);
});

test("the row at a place is found by halves", () => {
  const offsets = Float64Array.of(0, 10, 30, 60);
  expect([-5, 0, 9, 10, 29, 59, 99].map((place) => indexAt(offsets, place))).toEqual([0, 0, 0, 1, 1, 2, 3]);
});
