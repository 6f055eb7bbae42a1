import { describe, expect, test } from "vitest";
import { border, box, color, padding, seriesColor, size, space } from "./style";

const HOSTILE = [
  "url(https://evil.example/a.png)",
  "red;background:url(https://evil.example)",
  "expression(alert(1))",
  "var(--x, url(https://evil.example))",
  "rgb(1,2,3) url(https://evil.example)",
  "rgb(url(https://evil.example))",
  "image-set('https://evil.example' 1x)",
  "javascript:alert(1)",
  "env(x)",
  "attr(data-x)",
  "calc(1px + url(x))",
  "calc(var(--x))",
  "100px; position: fixed",
  "1e9px",
  "inherit !important",
  "</style>",
  "\\75rl(x)",
];

describe("what is no value of its kind is left out", () => {
  test.each(HOSTILE)("%s", (value) => {
    expect(color(value)).toBeUndefined();
    expect(size(value)).toBeUndefined();
    expect(space(value)).toBeUndefined();
    expect(
      box(
        {
          padding: value,
          margin: { x: value },
          width: value,
          background: value,
          radius: value,
          flex: value,
          aspectRatio: value,
        },
        "row",
      ),
    ).toEqual({
      flexDirection: "row",
    });
    expect(JSON.stringify(border({ size: 1, color: value, style: value }))).not.toContain("evil");
    expect(seriesColor(value, 0)).toMatch(/^oklch\(/);
  });

  test.each(["constructor", "__proto__", "toString"])("names of objects are no tokens: %s", (name) => {
    expect(box({ radius: name, align: name }, "row")).toEqual({ flexDirection: "row" });
  });
});

test.each([
  ["primary", "var(--dgw-text)"],
  ["surface-elevated", "var(--dgw-raised)"],
  ["#abc", "#abc"],
  ["rgb(1 2 3 / 50%)", "rgb(1 2 3 / 50%)"],
  ["tomato", "tomato"],
  [{ light: "#fff", dark: "#000" }, "light-dark(#fff, #000)"],
  [{ light: "#fff" }, "#fff"],
])("colours: %j", (value, css) => {
  expect(color(value)).toBe(css);
});

test("primitives get darker with their number", () => {
  expect(color("red-100")).toBe("oklch(0.902 0.103 25)");
  expect(color("red-900")).toBe("oklch(0.278 0.097 25)");
});

test("numbers are pixels as sizes and units as spaces", () => {
  expect(size(120)).toBe("120px");
  expect(size("50%")).toBe("50%");
  expect(size("calc(100% - 2rem)")).toBe("calc(100% - 2rem)");
  expect(space(3)).toBe("0.75rem");
  expect(padding({ x: 2, top: 1 })).toEqual({ paddingTop: "0.25rem", paddingRight: "0.5rem", paddingLeft: "0.5rem" });
  expect(border({ y: { size: 2, style: "dashed", color: "danger" } })).toEqual({
    borderTop: "2px dashed var(--dgw-bad)",
    borderBottom: "2px dashed var(--dgw-bad)",
  });
  expect(border(1)).toMatchObject({ borderTop: "1px solid var(--dgw-line)", borderLeft: "1px solid var(--dgw-line)" });
});
