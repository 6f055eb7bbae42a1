import { expect, test } from "vitest";
import { spent } from "../testing-time";
import { Blocks, type Block, type Node } from "./parse";

function shape(node: Node): unknown {
  const { type, content, markup, info, tag } = node.token;
  return [type, tag, content, markup, info, node.children.map(shape)];
}
const shapes = (blocks: readonly Block[]): unknown => blocks.map((block) => shape(block.node));

const SAMPLE = [
  "# Title\n\nText with **bold**,\ncontinued\n#1 of many, no heading\n\nSetext\n===\n",
  "- one\n- two\n  - nested\n\n    more of nested\n\n\n- three\n\n1. a\n2. b\n",
  "> quote\nlazy\n> more\n\n```python\ndef f():\n    # no heading\n\n    return 1\n```\n\n~~~\nopen ``` inside\n~~~\n",
  "    indented code\n\n    more\n\ntext\n***\n\n[one]: https://one.example 'a\ntitle'\n[two]: https://two.example\n\nSee [one] and [two].\n",
  `| a | b |\n|---|:-:|\n${Array.from({ length: 300 }, (_, row) => `| ${row} | x${row} |\n`).join("")}\nAfter the table.\n\n`,
  "| not | a table\n\n|x|\n|-|\n|1|\n> quote ends it\n\nlast\n```\nnever closed\n\n| a |\n|--|\n",
].join("\n");

test.each([1, 2, 7, 64, 1000])("in portions of %i characters it reads the same as at once", (size) => {
  const blocks = new Blocks();
  let read: readonly Block[] = [];
  for (let end = size; end < SAMPLE.length + size; end += size) read = blocks.read(SAMPLE.slice(0, end));
  expect(shapes(read)).toEqual(shapes(new Blocks().read(SAMPLE)));
});

test("every start of the text reads the same in portions as at once", () => {
  const text = SAMPLE.slice(0, 1200);
  const blocks = new Blocks();
  for (let end = 1; end <= text.length; end += 1) {
    const start = text.slice(0, end);
    expect(shapes(blocks.read(start)), JSON.stringify(start.slice(-40))).toEqual(shapes(new Blocks().read(start)));
  }
});

test("texts made at random read the same in portions as at once", () => {
  const lines =
    "para|# h|===|---|- a|  b|    code||> q|```|~~~|1. x|2) y|¦ a ¦ b ¦|¦---¦---¦|¦ 1 ¦ 2 ¦|[r]: http://x.y|'t|t'|[r]|* * *|<div>|   - n|\t- t|+|> ¦ a ¦|> ¦---¦"
      .split("|")
      .map((line) => line.replaceAll("¦", "|"));
  let seed = 7;
  const random = (below: number): number => (seed = (seed * 1_103_515_245 + 12_345) & 0x7fff_ffff) % below;
  for (let text = 0; text < 500; text += 1) {
    const source = Array.from({ length: 3 + random(14) }, () => lines[random(lines.length)]).join("\n");
    const blocks = new Blocks();
    let read = blocks.read("");
    for (let end = 1; end <= source.length + 6; end += 1 + random(6)) read = blocks.read(source.slice(0, end));
    read = blocks.read(source);
    expect(shapes(read), JSON.stringify(source)).toEqual(shapes(new Blocks().read(source)));
  }
});

test("blocks that are finished stay the same objects", () => {
  const blocks = new Blocks();
  const before = blocks.read("# one\n\ntwo\n\nthree\n");
  const after = blocks.read("# one\n\ntwo\n\nthree\nand more\n\nfour");
  expect(after.map((block, index) => block === before[index])).toEqual([true, true, false, false]);
});

test("a text without its last words is not read from its beginning", () => {
  const blocks = new Blocks();
  const before = blocks.read("# one\n\ntwo\n\nthree and mo");
  const after = blocks.read("# one\n\ntwo\n\nthree");
  expect(after[0]).toBe(before[0]);
  expect(shapes(after)).toEqual(shapes(new Blocks().read("# one\n\ntwo\n\nthree")));
  expect(shapes(blocks.read("# one\n\n"))).toEqual(shapes(new Blocks().read("# one\n\n")));
});

test("another text is read from its beginning", () => {
  const blocks = new Blocks();
  blocks.read("# one\n\ntwo\n\n");
  expect(shapes(blocks.read("other"))).toEqual(shapes(new Blocks().read("other")));
  expect(blocks.read("")).toEqual([]);
});

test("a table keeps all its rows, and reading on stays cheap", () => {
  const head = "| a | b |\n|---|---|\n";
  const blocks = new Blocks();
  let text = head;
  let worst = 0;
  for (let row = 0; row < 5000; row += 1) {
    text += `| ${row} | value of row ${row} |\n`;
    if (row % 10 !== 9) continue;
    const started = spent();
    blocks.read(text);
    worst = Math.max(worst, spent() - started);
  }
  const [table] = blocks.read(text);
  expect(table?.node.children[1]?.children).toHaveLength(5000);
  expect(worst).toBeLessThan(100);
});

test.each([
  ["one word", "a".repeat(1_000_000)],
  ["quotes", "> ".repeat(32_000)],
  ["lists", "- ".repeat(32_000)],
  ["brackets", "[".repeat(64_000)],
  ["definitions", "[a]: b\n".repeat(9_000)],
  ["fences", "```\n".repeat(16_000)],
  ["wide table", `${"|a".repeat(2000)}\n${"|-".repeat(2000)}\n${"|1\n".repeat(2000)}`],
])("hostile text of %s is read in time", (_, text) => {
  const started = spent();
  new Blocks().read(text);
  expect(spent() - started).toBeLessThan(1000);
});

test("line ends of any kind and null characters", () => {
  expect(shapes(new Blocks().read("a\r\n\r\nb\rc\0"))).toEqual(shapes(new Blocks().read("a\n\nb\nc\uFFFD")));
});
