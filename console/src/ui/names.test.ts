import { expect, test } from "vitest";
import { FACE_KEYS, faceName, threadTitle } from "./names";

test("a face has one name, and one that nobody knows its own", () => {
  expect(FACE_KEYS.map(faceName)).toEqual(["API", "Kai", "ChatKit", "StackSpot", "Noukai", "OpenAI"]);
  expect(faceName("newer")).toBe("newer");
  expect(faceName("toString")).toBe("toString");
});

test("threads without a title are told apart by when they were begun", () => {
  const now = Date.now() / 1_000;
  expect(threadTitle({ title: "Invoices", created: now })).toBe("Invoices");
  expect(threadTitle({ title: "", created: now })).toMatch(/^Untitled, \d\d:\d\d$/);
  expect(threadTitle({ title: "", created: Date.UTC(2020, 0, 15, 12) / 1_000 })).toMatch(/^Untitled, 15 Jan 2020/);
});
