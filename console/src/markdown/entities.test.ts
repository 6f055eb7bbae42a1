import { expect, test } from "vitest";
import { decodeHTMLStrict } from "./entities";

test.each([
  ["&auml;", "ä"],
  ["&lt;", "<"],
  ["&amp;", "&"],
  ["&nbsp;", "\u00a0"],
  ["&Tab;", "\t"],
  ["&semi;", ";"],
  ["&NotEqualTilde;", "\u2242\u0338"],
])("%s is a character", (name, character) => {
  expect(decodeHTMLStrict(name)).toBe(character);
  expect(decodeHTMLStrict(name)).toBe(character);
});

test.each(["&notit;", "&nothing;", "&", "", "<b>x</b>;", "&lt", "&lt;&gt;"])("%s is text as it is", (text) => {
  expect(decodeHTMLStrict(text)).toBe(text);
});
