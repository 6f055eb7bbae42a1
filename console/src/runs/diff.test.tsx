import { fireEvent, render, screen } from "@testing-library/react";
import { expect, test } from "vitest";
import { diffLines, folded } from "./diff";
import { DiffView } from "./diff-view";

const told = (left: string, right: string) => diffLines(left, right).map((row) => `${row.kind}:${row.left ?? ""}|${row.right ?? ""}`);

test("lines that differ stand beside each other", () => {
  expect(told("a\nb\nc", "a\nx\nc")).toEqual(["same:a|a", "changed:b|x", "same:c|c"]);
  expect(told("a\nc", "a\nb\nc")).toEqual(["same:a|a", "right:|b", "same:c|c"]);
  expect(told("a\nb\nc", "a\nc")).toEqual(["same:a|a", "left:b|", "same:c|c"]);
});

test("both sides can be read back from the rows", () => {
  const words = ["a", "b", "c", "d"];
  let seed = 7;
  const next = (): number => (seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648);
  for (let n = 0; n < 200; n++) {
    const some = (): string => Array.from({ length: next() % 12 }, () => words[next() % 4]).join("\n");
    const [left, right] = [some(), some()];
    const rows = diffLines(left, right);
    expect(rows.flatMap((row) => (row.left === null ? [] : [row.left])).join("\n")).toBe(left);
    expect(rows.flatMap((row) => (row.right === null ? [] : [row.right])).join("\n")).toBe(right);
  }
});

test("two texts that have nothing in common cost no more than they must", () => {
  const rows = diffLines(Array.from({ length: 5_000 }, (_, n) => `l${n}`).join("\n"), Array.from({ length: 5_000 }, (_, n) => `r${n}`).join("\n"));
  expect(rows.length).toBe(5_000);
});

test("long stretches that are the same are folded, and can be shown", () => {
  const same = Array.from({ length: 50 }, (_, n) => `line ${n}`).join("\n");
  expect(folded(diffLines(same, `${same}\nmore`)).length).toBe(5);
  render(<DiffView label="Outcome" left={same} right={`${same}\nmore`} leftName="Recorded" rightName="Replayed" />);
  expect(screen.queryByText("line 3")).toBeNull();
  fireEvent.click(screen.getByRole("button", { name: /The same/ }));
  expect(screen.getAllByText("line 3").length).toBe(2);
});

test("markup in a value stays text", () => {
  render(<DiffView label="Outcome" left={{ a: "<img src=x onerror=alert(1)>" }} right={{ a: "\u202eevil" }} leftName="Recorded" rightName="Replayed" />);
  expect(document.querySelector("img")).toBeNull();
  expect(document.body.textContent).toContain("\\u202eevil");
});
