import { expect, test } from "vitest";
import { ApiError } from "../api/http";
import type { RunEvent } from "../api/types";
import { callsOf, isOf, PAGE, RunEvents, summary, textOf } from "./events";
import { anEvent } from "./fixtures";

function served(count: number) {
  const asked: [number, number][] = [];
  const read = (_: string, after: number, limit: number): Promise<{ events: RunEvent[] }> => {
    asked.push([after, limit]);
    const events: RunEvent[] = [];
    for (let seq = after + 1; seq <= Math.min(count, after + limit); seq++) events.push(anEvent(seq, "block.delta", { block: "b", delta: String(seq) }));
    return Promise.resolve({ events });
  };
  return { asked, read };
}

const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

test("only the pages that are looked at are read, each once", async () => {
  const { asked, read } = served(100_000);
  const events = new RunEvents("r1", 100_000, read);
  events.want(50_001, 50_002);
  events.want(50_010, 50_020);
  await settled();
  events.want(50_001, 50_002);
  await settled();
  expect(asked).toEqual([[50_000, PAGE]]);
  expect([events.at(50_007)?.seq, events.at(1), events.count]).toEqual([50_007, undefined, PAGE]);
});

test("all of them are read in large pages", async () => {
  const { asked, read } = served(12_000);
  const events = new RunEvents("r1", 12_000, read);
  await events.wantAll();
  expect(events.isWhole()).toBe(true);
  expect(asked.length).toBe(3);
});

test("events that come live are counted once, and lengthen the run", () => {
  const events = new RunEvents("r1", 0, served(0).read);
  events.live(anEvent(1, "run.created"));
  events.live(anEvent(1, "run.created"));
  events.live(anEvent(2, "block.delta", { delta: "x" }));
  expect([events.count, events.last, events.turns]).toEqual([2, 2, 2]);
});

test("a refusal is told, and asked about again only on demand", async () => {
  let asked = 0;
  const events = new RunEvents("r1", 10, () => {
    asked += 1;
    return Promise.reject(new ApiError("broken", 500, "x"));
  });
  events.want(1, 10);
  await settled();
  events.want(1, 10);
  await settled();
  expect([events.state, asked]).toEqual(["error", 1]);
  events.retry();
  events.want(1, 10);
  await settled();
  expect(asked).toBe(2);
});

test("deltas can be left out, and groups are told by the first word", () => {
  const delta = anEvent(1, "block.delta");
  expect([isOf(delta, "quiet"), isOf(delta, "block"), isOf(delta, "run"), isOf(anEvent(2, "usage"), "usage")]).toEqual([false, true, false, true]);
});

test("what was said and called is put together", () => {
  const events = [
    anEvent(1, "block.started", { block: "a", kind: "reasoning" }),
    anEvent(2, "block.delta", { block: "a", delta: "th" }),
    anEvent(3, "block.delta", { block: "a", delta: "ink" }),
    anEvent(4, "tool.input", { call: "c", name: "add", input: { a: 1 } }),
    anEvent(5, "tool.output", { call: "c", name: "add", output: 5 }),
    anEvent(6, "tool.denied", { call: "d", name: "drop", reason: "no" }),
  ];
  expect(textOf(events)).toEqual([{ kind: "reasoning", text: "think" }]);
  expect(callsOf(events)).toEqual([
    { call: "c", name: "add", input: { a: 1 }, output: 5 },
    { call: "d", name: "drop", problem: "denied: no" },
  ]);
});

test("a summary of a huge payload is short", () => {
  expect(summary(anEvent(1, "tool.output", { name: "t", output: "x".repeat(1_000_000) })).length).toBeLessThan(400);
});
