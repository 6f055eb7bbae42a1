import { expect, test } from "vitest";
import { aRun } from "./fixtures";
import { bounded } from "./use-runs";

const runs = (count: number) => Array.from({ length: count }, (_, place) => aRun({ id: `r${count - place}` }));

test("a list that grows by itself has an end, where reading goes on", () => {
  const { runs: kept, next } = bounded(runs(5_003), null, 4_990, new Map());
  expect([kept.length, kept[0]?.id, next]).toEqual([5_000, "r5003", "r4"]);
});

test("what somebody has scrolled to is not taken from them", () => {
  expect(bounded(runs(6_001), "r1", 6_000, new Map())).toMatchObject({ runs: { length: 6_001 }, next: "r1" });
});

test("a list does not go on behind a run that is gone", () => {
  expect(bounded(runs(3), "gone", 4, new Map([["gone", null]])).next).toBe("r1");
  expect(bounded([], "gone", 1, new Map([["gone", null]])).next).toBe(null);
  expect(bounded(runs(3), "r1", 3, new Map([["r2", aRun({ id: "r2" })]])).next).toBe("r1");
});
