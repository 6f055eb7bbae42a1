import { expect, test } from "vitest";
import type { Run, Thread } from "../api/types";
import { begunIn, renewed, rowsOf } from "./threads";
import { isLoss, isNews } from "./use-conversation";
import { valuesOf } from "./widget";
import { ownFile, webAddress } from "./message";
import { ApiError, Unreachable } from "../api/http";

const now = new Date(2026, 10, 21, 12).getTime() / 1_000;
const thread = (id: string, created: number): Thread => ({
  id, created, title: id, visibility: "private", status: "active", branch: null, mine: true, updated: created,
});

test("threads are grouped by the day they were begun on", () => {
  const rows = rowsOf([thread("a", now - 60), thread("b", now - 86_400), thread("c", now - 3 * 86_400), thread("d", now - 60 * 86_400)], now);
  expect(rows.map((row) => (row.kind === "day" ? `# ${row.label}` : row.thread.id))).toEqual([
    "# Today", "a", "# Yesterday", "b", "# The last seven days", "c", "# September 2026", "d",
  ]);
});

test("a list that is read again has neither what is gone nor old titles, and keeps what lies behind", () => {
  const [a, b, c] = [thread("a", 30), thread("b", 20), thread("c", 10)];
  const old = { threads: [a, b, c], next: "c", more: true };
  expect(renewed(old, { threads: [a, c], next: null, more: false })).toEqual({ threads: [a, c], next: null, more: false });
  expect(renewed(old, { threads: [a, b], next: "b", more: true })).toEqual(old);
  expect(renewed(null, { threads: [b], next: "b", more: true })).toEqual({ threads: [b], next: "b", more: true });
});

test("a thread makes the list be read anew once, whether or not it then has it", () => {
  const runs = [run("1", now - 5, { thread: "new" }), run("2", now - 5, { thread: "listed" }), run("3", now - 5, { thread: null }), run("4", now - 90, { thread: "old" })];
  expect(begunIn(runs, new Set(["listed"]), new Set(), now)).toEqual(["new"]);
  expect(begunIn(runs, new Set(["listed"]), new Set(["new"]), now)).toEqual([]);
});

const run = (id: string, created: number, more: Partial<Run> = {}): Run =>
  ({ id, created, ended: created + 1, status: "completed", last_seq: 9, ...more }) as Run;

test("a run is news if it changed, is under way, or came after all that is known", () => {
  const known = new Map([["a", run("a", 10)], ["b", run("b", 20)]]);
  expect(isNews(run("b", 20), known)).toBe(false);
  expect(isNews(run("b", 20, { status: "failed" }), known)).toBe(true);
  expect(isNews(run("old", 5), known)).toBe(false);
  expect(isNews(run("new", 30), known)).toBe(true);
  expect(isNews(run("late", 5, { ended: null, status: "running" }), known)).toBe(true);
});

test("a lost connection is told apart from a failed answer", () => {
  expect([new Unreachable(), new TypeError("network error"), new Error("The server is restarting; the answer goes on.")].map(isLoss)).toEqual([true, true, true]);
  expect([new ApiError("no", 400, "x"), new Error("the disk is full")].map(isLoss)).toEqual([false, false]);
});

test("the values of a form come without what the card had added", () => {
  expect(valuesOf({ call: "c", name: "Ada" })).toEqual({ name: "Ada" });
  expect(valuesOf(null)).toEqual({});
});

test("only web addresses become links, and only files of this server are fetched", () => {
  expect(webAddress("javascript:alert(1)")).toBeNull();
  expect(webAddress("https://example.org/a")).toBe("https://example.org/a");
  expect(ownFile("http://evil.example/chatkit/files/atc_1?token=t")).toBe("/chatkit/files/atc_1?token=t");
  expect([ownFile("https://evil.example/x.png"), ownFile("data:text/html,x"), ownFile("blob:1")]).toEqual([null, null, null]);
});
