import { expect, test } from "vitest";
import { readChange } from "./changes";
import { address, refusal } from "./http";
import { stateOf } from "./query";
import { ApiError, Unreachable } from "./http";

function answer(body: unknown, status: number, headers: Record<string, string> = {}): Response {
  return new Response(typeof body === "string" ? body : JSON.stringify(body), { status, headers });
}

test("an error of the own face is read with its code and request", async () => {
  const error = await refusal(answer({ error: { code: "not_found:run", message: "There is no such run.", request_id: "r1" } }, 404));
  expect([error.status, error.code, error.message, error.requestId]).toEqual([404, "not_found:run", "There is no such run.", "r1"]);
});

test("an error of Kai's face is read likewise", async () => {
  const error = await refusal(answer({ code: "rate_limit:chat", message: "Enough for today." }, 429, { "retry-after": "30" }));
  expect([error.code, error.message, error.retryAfter]).toEqual(["rate_limit:chat", "Enough for today.", 30]);
});

test("an error page of a proxy still says what its status was", async () => {
  const error = await refusal(answer("<html>", 500));
  expect([error.code, error.message]).toEqual(["http_500", "The server answered with 500."]);
});

test("a query leaves out what is not given and repeats lists", () => {
  expect(address("/a", { q: "x y", none: null, empty: "", list: ["1", "2"], n: 0 })).toBe("/a?q=x+y&list=1&list=2&n=0");
});

test("pages are told apart by what went wrong", () => {
  expect(stateOf(new Unreachable())).toBe("offline");
  expect(stateOf(new ApiError("", 403, ""))).toBe("forbidden");
  expect(stateOf(new ApiError("", 404, ""))).toBe("missing");
  expect(stateOf(new ApiError("", 500, ""))).toBe("error");
});

test("changes of runs are read as snapshots, single runs and removals", () => {
  const run = { id: "r", status: "running" };
  const told = (event: unknown): unknown => readChange(JSON.stringify(event));
  expect(told({ type: "snapshot", runs: [run], more: false, next: null })).toEqual({ runs: [run], gone: null, isSnapshot: true });
  expect(told({ type: "run", run })).toEqual({ runs: [run], gone: null, isSnapshot: false });
  expect(told({ type: "removed", run: "r" })).toEqual({ runs: [], gone: "r", isSnapshot: false });
  expect(told({ type: "what a newer server says" })).toEqual({ runs: [], gone: null, isSnapshot: false });
});
