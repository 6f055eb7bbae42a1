import { expect, test } from "vitest";
import type { Run } from "../api/types";
import { asked, countOf, fits, merged, NONE, readFilters, writeFilters } from "./filters";
import { aRun } from "./fixtures";

const read = (text: string) => readFilters(new URLSearchParams(text));

test("filters go into the address and come out of it as they were", () => {
  const text = "status=failed%2Crunning&failed=true&agent=demo&user=u%261&q=a+b&range=24h";
  const filters = read(text);
  expect(read(writeFilters(filters))).toEqual(filters);
  expect(filters.status).toEqual(["running", "failed"]);
});

test("what an address says that is not known is left out", () => {
  expect(read("status=odd&range=never&from=x&to=-1&kind=y&failed=yes")).toEqual(NONE);
  expect(writeFilters(NONE)).toBe("");
});

test("a range is asked for from now, and chosen times win over it", () => {
  expect(asked(read("range=1h"), 10_000).from).toBe(6_400);
  expect(asked(read("range=1h&from=5&to=9"), 10_000)).toEqual({ from: 5, to: 9 });
  expect(writeFilters(read("range=1h&from=5"))).toBe("from=5");
});

test("a run fits what it would be found by", () => {
  const run = aRun({ status: "failed", agent: "demo", session: "s-1", created: 500 });
  const cases: [string, boolean][] = [
    ["status=failed", true],
    ["status=running", false],
    ["failed=true", true],
    ["agent=other", false],
    ["flow=a%2Fb", false],
    ["from=500&to=501", true],
    ["to=500", false],
    ["q=DEM", true],
    ["q=S-1", true],
    ["q=nothing", false],
    ["user=u", true],
    ["user=v", false],
  ];
  for (const [text, wanted] of cases) expect([text, fits(run, read(text), 1_000)]).toEqual([text, wanted]);
});

test("changed runs keep their place, new ones come first, and those that no longer fit go", () => {
  const runs = [aRun({ id: "c", created: 3 }), aRun({ id: "b", created: 2 }), aRun({ id: "a", created: 1 })];
  const changes = new Map<string, Run | null>([
    ["b", aRun({ id: "b", created: 2, last_seq: 9, status: "failed" })],
    ["d", aRun({ id: "d", created: 4 })],
    ["a", aRun({ id: "a", created: 1, status: "cancelled" })],
    ["c", null],
    ["never seen", null],
  ]);
  const told = merged(runs, changes, (run) => run.status !== "cancelled");
  expect(told.map((run) => [run.id, run.status])).toEqual([
    ["d", "completed"],
    ["b", "failed"],
  ]);
});

test("an older state of a run does not undo a newer one", () => {
  const now = aRun({ last_seq: 9, status: "completed" });
  const told = merged([now], new Map([["r1", aRun({ last_seq: 4, status: "running" })]]), () => true);
  expect(told[0]?.status).toBe("completed");
});

test("the search is not counted as a filter", () => {
  expect([countOf(read("q=x")), countOf(read("status=failed&agent=a&range=1h"))]).toEqual([0, 3]);
});
