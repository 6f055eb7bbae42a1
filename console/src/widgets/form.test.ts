import { describe, expect, test } from "vitest";
import { day, fault, merged, type Rule } from "./form";

const rule = (more: Partial<Rule>): Rule => ({ label: "x", required: false, kind: "text", ...more });

describe("merged", () => {
  test.each([
    [{ call: 1 }, { "todo.title": "x", "todo.done": true }, { call: 1, todo: { title: "x", done: true } }],
    [{ name: "kept" }, { name: "given" }, { name: "kept" }],
    [{ todo: { title: "kept" } }, { "todo.title": "given", "todo.more": "m" }, { todo: { title: "kept", more: "m" } }],
    [{ todo: "no object" }, { "todo.title": "x" }, { todo: "no object" }],
    [undefined, { a: "1" }, { a: "1" }],
    [null, { a: "1" }, { a: "1" }],
    [{ a: null }, { a: "1" }, { a: null }],
    [undefined, {}, undefined],
    ["text", {}, "text"],
    ["text", { a: "1" }, { value: "text", a: "1" }],
  ])("%j with %j is %j", (payload, values, result) => {
    expect(merged(payload, values)).toEqual(result);
  });

  test("leaves the payload of the widget as it is", () => {
    const payload = { todo: { title: "a" } };
    merged(payload, { "todo.more": "b" });
    expect(payload).toEqual({ todo: { title: "a" } });
  });

  test.each(["__proto__.polluted", "constructor.prototype.polluted", "a.__proto__.polluted", "__proto__"])(
    "pollutes nothing: %s",
    (name) => {
      merged({ a: {} }, { [name]: "yes", ...JSON.parse(`{"__proto__": "x"}`) });
      expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
    },
  );
});

describe("fault", () => {
  test.each([
    [{ required: true }, "", "Please fill in this field."],
    [{ required: true }, "   ", "Please fill in this field."],
    [{ required: true, kind: "choice" }, undefined, "Please choose one."],
    [{ required: true, kind: "checkbox" }, false, "Please tick this box."],
    [{ kind: "email" }, "me", "Please enter an email address."],
    [{ kind: "number" }, "1x", "Please enter a number."],
    [{ kind: "url" }, "not one", "Please enter an address that begins with https://."],
    [{ kind: "date", min: "2026-01-02" }, "2026-01-01", "Please choose 2026-01-02 or later."],
    [{ kind: "date", max: "2026-01-02" }, "2026-01-03", "Please choose 2026-01-02 or earlier."],
    [{ pattern: "[a-z]+" }, "abc1", "Please use the format that is asked for."],
  ] as const)("%j refuses %j", (rules, value, message) => {
    expect(fault(rule(rules), value)).toBe(message);
  });

  test.each([
    [{}, ""],
    [{ kind: "email" }, ""],
    [{ kind: "email" }, "me@a.example"],
    [{ kind: "number" }, "-1.5e3"],
    [{ kind: "url" }, "https://a.example"],
    [{ kind: "date" }, "2026-01-01"],
    [{ pattern: "[a-z]+" }, "abc"],
    [{ pattern: "a|b" }, "b"],
    [{ pattern: "(" }, "anything"],
    [{ kind: "checkbox", required: true }, true],
  ] as const)("%j takes %j", (rules, value) => {
    expect(fault(rule(rules), value)).toBeNull();
  });
});

test("the day of a date with a time", () => {
  expect(day("2026-02-03T10:00:00Z")).toBe("2026-02-03");
  expect(day("soon")).toBeUndefined();
  expect(day(5)).toBeUndefined();
});
