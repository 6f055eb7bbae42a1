import { expect, test } from "vitest";
import { back, curve } from "./curves";

const points = [
  { x: 0, y: 0 },
  { x: 10, y: 10 },
  { x: 20, y: 10 },
];

test.each(
  "basis basisClosed basisOpen bumpX bumpY bump linear linearClosed natural monotoneX monotoneY monotone step stepBefore stepAfter unknown".split(
    " ",
  ),
)("%s goes from the first point to the last", (kind) => {
  const path = curve(points, kind);
  expect(path).toMatch(/^M0,0/);
  expect(path).toMatch(/(?:20,10|H20|H20V10)$/);
  expect(path).not.toContain("NaN");
});

test("no points and one point", () => {
  expect(curve([], "basis")).toBe("");
  expect(curve([{ x: 1, y: 2 }], "natural")).toBe("M1,2h0");
});

test("backwards, steps turn round", () => {
  expect(curve(points, "stepAfter")).toBe("M0,0H10V10H20V10");
  expect(back(points, "stepAfter")).toBe("L20,10V10H10V0H0");
});
