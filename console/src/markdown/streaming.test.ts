import { expect, test } from "vitest";
import { spent } from "../testing-time";
import { closed, settled } from "./streaming";

test.each([
  ["para\n#", "para\n"],
  ["para\n---", "para\n"],
  ["para\n12.", "para\n"],
  ["- one\n-", "- one\n"],
  ["text\n``", "text\n"],
  ["| a | b |", ""],
  ["text\n\n| a | b |\n| -", "text\n\n"],
  ["| a | b |\n|---|---|\n", "| a | b |\n|---|---|\n"],
  ["| a |\n|---|\n| 1", "| a |\n|---|\n| 1"],
  ["| a |\n|---|\n| 1 |\n|", "| a |\n|---|\n| 1 |\n"],
  ["a line", "a line"],
  ["- one", "- one"],
  ["2024", ""],
  ["2024 was", "2024 was"],
  ["", ""],
])("holds back what has not been decided: %j", (text, shown) => {
  expect(settled(text)).toBe(shown);
});

test.each([
  ["some **bol", "some **bol**"],
  ["some **", "some "],
  ["some *it", "some *it*"],
  ["some **bold**", "some **bold**"],
  ["2 * 3", "2 * 3"],
  ["run `npm i", "run `npm i`"],
  ["run `", "run "],
  ["see [the docs](https://exa", "see the docs"],
  ["see [the do", "see the do"],
  ["see ![a cat](https://exa", "see "],
  ["~~old", "~~old~~"],
  ["**bold `co", "**bold `co`"],
  ["a `b` c **d", "a `b` c **d**"],
  ["[x]", "[x]"],
  ["plain", "plain"],
])("closes what is open: %j", (text, shown) => {
  expect(closed(text)).toBe(shown);
});

test("hostile lines take no time", () => {
  const started = spent();
  for (const unit of ["*", "*a ", "`a ", "[", "[a](", "![", "~~a ", "_", "\\", "** ", "` "]) {
    const text = unit.repeat(10_000 / unit.length);
    closed(text);
    settled(text);
  }
  expect(spent() - started).toBeLessThan(1500);
});
