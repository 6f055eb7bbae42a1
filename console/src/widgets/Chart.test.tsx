import { fireEvent, render, screen, within } from "@testing-library/react";
import { expect, test } from "vitest";
import { plan, ticksOf } from "./Chart";
import { Widget } from "./Widget";

const chart = {
  type: "Chart",
  xAxis: { dataKey: "day", labels: { mon: "Monday" } },
  showYAxis: true,
  data: [
    { day: "mon", a: 1, b: 2, c: 5 },
    { day: "tue", a: 3, b: -4, c: "7" },
    { day: "wed", a: 2, c: "none" },
  ],
  series: [
    { type: "bar", dataKey: "a", label: "Apples", stack: "s" },
    { type: "bar", dataKey: "b", label: "Berries", stack: "s" },
    { type: "line", dataKey: "c", label: null, curveType: "natural" },
  ],
};

test("bars of one stack stand on each other, what is below zero hangs from it", () => {
  const drawing = plan(chart);
  expect(drawing.categories).toEqual(["Monday", "tue", "wed"]);
  expect(drawing.spans[1]).toEqual([[1, 3], [0, -4], null]);
  expect(drawing.values[2]).toEqual([5, 7, null]);
  expect(drawing.ticks[0]).toBeLessThanOrEqual(-4);
  expect(drawing.ticks.at(-1)).toBeGreaterThanOrEqual(7);
});

test.each([
  [0, 10, [0, 2.5, 5, 7.5, 10]],
  [0, 0, [0, 0.25]],
  [5, 5, [4, 6]],
  [-3, 3, [-4, -2, 0, 2, 4]],
  [0, 1e9, [0, 2.5e8, 5e8, 7.5e8, 1e9]],
])("ticks from %d to %d are round", (low, high, ticks) => {
  expect(ticksOf(low, high)).toEqual(ticks);
});

test("the numbers stand in a table, and keys go through them", () => {
  render(<Widget widget={{ type: "Card", children: [chart] }} />);
  const table = screen.getByRole("table", { name: "Chart: Apples, Berries, c" });
  expect(within(table).getByRole("row", { name: "tue 3 -4 7" })).toBeTruthy();
  const frame = screen.getByRole("group", { name: /^Chart/ });
  fireEvent.keyDown(frame, { key: "ArrowRight" });
  fireEvent.keyDown(frame, { key: "ArrowRight" });
  expect(screen.getByRole("status").textContent).toContain("tue");
  fireEvent.keyDown(frame, { key: "Escape" });
  expect(screen.queryByRole("status")).toBeNull();
});

test.each([
  { type: "Chart" },
  { type: "Chart", data: "x", series: 5, xAxis: null },
  {
    type: "Chart",
    data: [null, {}, { a: Number.NaN }],
    series: [{ type: "pie" }, { dataKey: "a", type: "area" }],
    xAxis: "a",
  },
  {
    type: "Chart",
    data: [
      { x: "a", y: 1e308 },
      { x: "b", y: -1e308 },
    ],
    series: [{ type: "line", dataKey: "y" }],
    xAxis: "x",
  },
])("a chart of nonsense is drawn without numbers that are none: %j", (node) => {
  const { container } = render(<Widget widget={{ type: "Card", children: [node] }} />);
  expect(container.querySelector(".dgw-chart")).not.toBeNull();
  expect(container.innerHTML).not.toMatch(/NaN|Infinity/);
});
