import { describe, expect, test } from "vitest";
import { spent } from "../testing-time";
import { disguised, head, safeUrl, target, visible } from "./text";

describe("visible", () => {
  test.each([
    ["invoice\u202Efdp.exe", "invoice‹U+202E›fdp.exe"],
    ["a\u2066b\u2069c", "a‹U+2066›b‹U+2069›c"],
    ["zero\u200Bwidth", "zero‹U+200B›width"],
    ["\u202E\u202E\u202E", "‹U+202E×3›"],
    ["bell\u0007 esc\u001B[31m", "bell‹U+0007› esc‹U+001B›[31m"],
    ["tags \u{E0041}\u{E0042}", "tags ‹U+E0041›‹U+E0042›"],
    ["plain\ttext\nlines", "plain\ttext\nlines"],
    ["", ""],
  ])("shows what acts unseen: %j", (text, shown) => {
    expect(visible(text)).toBe(shown);
  });

  test.each(["שלום עולם", "می‌خواهم", "👨‍👩‍👧 🏳️‍🌈", "🏴\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}\u{E007F}", "e\u0301"])(
    "leaves what languages and emoji need: %s",
    (text) => {
      expect(visible(text)).toBe(text);
    },
  );

  test("cuts marks piled on a letter", () => {
    expect(visible(`Z${"\u0351".repeat(500)}!`)).toBe(`Z${"\u0351".repeat(6)}!`);
  });

  test("takes a million characters in its stride", () => {
    const started = spent();
    visible("a".repeat(1_000_000));
    visible("\u202Ea".repeat(200_000));
    visible("🏴\u{E0067}\u{E0062}\u{E007F}".repeat(100_000));
    visible("\u0301".repeat(1_000_000));
    disguised("a.".repeat(5000), "https://a.example/");
    disguised("/a-".repeat(3000), "https://a.example/");
    expect(spent() - started).toBeLessThan(2000);
  });
});

describe("safeUrl", () => {
  test.each(["https://a.example/b?c=d#e", "http://a.example/", "mailto:me@a.example"])("lets through %s", (url) => {
    expect(safeUrl(url)).toBe(url);
  });

  test.each([
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    " javascript:alert(1)",
    "java\tscript:alert(1)",
    "java\nscript:alert(1)",
    "\u0001javascript:alert(1)",
    "javascript&colon;alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "data:image/svg+xml,<svg onload=alert(1)>",
    "vbscript:x",
    "file:///etc/passwd",
    "blob:https://a.example/1",
    "//evil.example",
    "/dragoman/v1/session",
    "#top",
    "https:\\\\evil.example",
    "https://a.example\\@evil.example",
    "https://a.example/\u202Egpj.exe",
    "https://",
    "http:a.example",
    "intent://x#Intent;end",
    `https://a.example/${"a".repeat(5000)}`,
    "",
  ])("refuses %j", (url) => {
    expect(safeUrl(url)).toBeNull();
  });
});

test("says where an address leads, also if it hides it", () => {
  expect(target("https://bank.example@evil.example/x")).toBe("evil.example");
  expect(target("mailto:me%40a.example")).toBe("me@a.example");
  expect(target(safeUrl("https://аpple.example/") ?? "")).toBe("xn--pple-43d.example");
});

test("tells when the words of a link name another place", () => {
  expect(disguised("https://bank.example/login", "https://evil.example/")).toBe("evil.example");
  expect(disguised("www.bank.example", "https://bank.example/login")).toBeNull();
  expect(disguised("bank.example", "https://my.bank.example/")).toBeNull();
  expect(disguised("our docs", "https://evil.example/")).toBeNull();
  expect(disguised("see main.py", "https://git.example/main.py")).toBeNull();
});

test("cuts no character in two", () => {
  expect(head("ab😀", 3)).toBe("ab");
  expect(head("ab😀", 4)).toBe("ab😀");
});
