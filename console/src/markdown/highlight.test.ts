import { expect, test } from "vitest";
import { spent } from "../testing-time";
import { highlight } from "./highlight";

test.each([
  ["python", "def f(x): # say\n  return 'a' + 1"],
  ["ts", "const a = `x${1}`; // done\n/* open"],
  ["sql", "SELECT 1 -- one"],
  ["constructor", "let a"],
  ["json", '{"a": [1, true, "\\"'],
])("in %s the pieces make the text again", (language, code) => {
  expect(
    highlight(code, language)
      .map((span) => span.text)
      .join(""),
  ).toBe(code);
});

test("knows words, strings, numbers and comments", () => {
  const kinds = Object.fromEntries(highlight("return 'a' + 1 # no", "py").map((span) => [span.text, span.kind]));
  expect(kinds).toMatchObject({ return: "keyword", "'a'": "string", 1: "number", "# no": "comment" });
});

test("hostile code takes no time", () => {
  const started = spent();
  for (const unit of ['"', "'", "`", "/*", "\\", '"""', "1_", "a"]) highlight(unit.repeat(20_000 / unit.length), "py");
  expect(spent() - started).toBeLessThan(500);
});
