import { expect, test } from "vitest";
import { barsOf, callOfKey, lengthOfTrace, reasonOf, ticksOf } from "./bars";
import { aStep, aTrace } from "./fixtures";
import { changeOf, pairsOf } from "./pairs";

test("what lies in a step stands below it, and is hidden with it", () => {
  const trace = aTrace([
    aStep({ key: "say", start: 0 }),
    aStep({ key: "say/model:1", parent: "say", start: 0.1 }),
    aStep({ key: "end", start: 2 }),
  ]);
  expect(barsOf(trace).map((bar) => [bar.key, bar.depth])).toEqual([
    ["say", 0],
    ["say/model:1", 1],
    ["end", 0],
  ]);
  expect(barsOf(trace, new Set(["say"])).map((bar) => bar.key)).toEqual(["say", "end"]);
});

test("a step whose parent is not told stands at the top", () => {
  expect(barsOf(aTrace([aStep({ key: "a", parent: "gone" })]))[0]?.depth).toBe(0);
});

test("a wait stands where it began", () => {
  const trace = aTrace([aStep({ key: "a", start: 0 }), aStep({ key: "b", start: 5 })], {
    waits: [{ reason: "approval", start: 1, duration: 4, calls: [{ call: "c", name: "add", step: "a" }] }],
  });
  expect(barsOf(trace).map((bar) => bar.key)).toEqual(["a", "wait 0", "b"]);
  expect(reasonOf(trace.waits[0]!)).toBe("Waits for approval: add");
});

test("the axis covers what is under way, and what outlasts the run", () => {
  expect(lengthOfTrace(aTrace([aStep({ key: "a", start: 1, duration: null })], { duration: null }), 7)).toBe(7);
  expect(lengthOfTrace(aTrace([aStep({ key: "a", start: 9, duration: 5 })]), 0)).toBe(14);
  expect(lengthOfTrace(aTrace([], { duration: 0 }), 0)).toBeGreaterThan(0);
});

test("ticks are round, and there are few of them", () => {
  expect(ticksOf(0.013)).toEqual([0, 0.005, 0.01]);
  expect(ticksOf(1_300)).toEqual([0, 300, 600, 900, 1_200]);
  for (const length of [0.001, 0.3, 7, 61, 5_000, 400_000]) expect(ticksOf(length).length).toBeLessThanOrEqual(8);
});

test("a tool's step names its call", () => {
  expect([callOfKey("tool:c1"), callOfKey("say/tool:c1"), callOfKey("model:1")]).toEqual(["c1", "c1", null]);
});

test("steps of two runs are paired by key, tools by name and count", () => {
  const left = aTrace([aStep({ key: "model:1" }), aStep({ key: "tool:x", name: "add" }), aStep({ key: "model:2" })]);
  const right = aTrace([aStep({ key: "model:1" }), aStep({ key: "tool:y", name: "add" }), aStep({ key: "tool:z", name: "add" }), aStep({ key: "model:2" })]);
  expect(pairsOf(left, right).map((pair) => [pair.left?.key ?? null, pair.right?.key ?? null])).toEqual([
    ["model:1", "model:1"],
    ["tool:x", "tool:y"],
    [null, "tool:z"],
    ["model:2", "model:2"],
  ]);
});

test("changes are told as people read them", () => {
  expect([changeOf(1, 1), changeOf(10, 12), changeOf(10, 8), changeOf(1, 4), changeOf(null, 4), changeOf(0, 4)]).toEqual(["same", "+20 %", "−20 %", "×4.0", null, "more"]);
});
