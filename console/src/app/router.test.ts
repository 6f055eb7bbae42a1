import { expect, test } from "vitest";
import { pathTo, wordsOf } from "./router";

test("words become paths and paths become words", () => {
  const words = ["runs", "a/b c", "ü"];
  expect(wordsOf(pathTo(...words))).toEqual(words);
});

test("the root has no words, and a broken escape is taken as it is", () => {
  expect(wordsOf("/")).toEqual([]);
  expect(wordsOf("/console/chat/%E0%A4%A")).toEqual(["chat", "%E0%A4%A"]);
});
