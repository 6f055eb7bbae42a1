// Markdown into blocks, again and again while it grows: only the last block is read anew.
// markdown-it finds the structure; nothing here or later makes HTML.

import MarkdownIt, { type Token } from "markdown-it";
import { safeUrl } from "./text";

/** A token and what it holds. */
export interface Node {
  readonly token: Token;
  readonly children: readonly Node[];
}

/** A block at the outermost level. A block that has not changed is the same object as before. */
export interface Block {
  readonly id: number;
  readonly node: Node;
  /** Definitions of links and where they lead, for the words inside. */
  readonly environment: Environment;
}

export interface Environment {
  [key: string | symbol]: unknown;
  references?: Record<string, { title: string; href: string }>;
}

const parser = new MarkdownIt("default", { html: false, linkify: true, maxNesting: 60 });
parser.validateLink = (address) => safeUrl(address) !== null;
parser.linkify.set({ fuzzyLink: false, fuzzyEmail: false });
// Models break lines inside cells of tables with `<br>`: the one tag that is understood, and only as a line's end.
parser.inline.ruler.before("html_inline", "line_break", (state, silent) => {
  const found =
    state.src.charCodeAt(state.pos) === 0x3c ? /^<br ?\/?>/i.exec(state.src.slice(state.pos, state.pos + 6)) : null;
  if (found === null) return false;
  if (!silent) state.push("hardbreak", "br", 0);
  state.pos += found[0].length;
  return true;
});

/** What a line of words holds: text, emphasis, links, images. */
export function inline(text: string, environment: Environment): readonly Node[] {
  const [holder] = parser.parseInline(text, environment);
  return nested(holder?.children ?? []);
}

/** The tree that a flat row of opening and closing tokens describes. */
function nested(tokens: readonly Token[]): Node[] {
  const top: Node[] = [];
  const open: { token: Token; children: Node[] }[] = [];
  for (const token of tokens) {
    const into = open.at(-1)?.children ?? top;
    if (token.nesting === 1) {
      const node = { token, children: [] };
      into.push(node);
      open.push(node);
    } else if (token.nesting === -1) open.pop();
    else into.push({ token, children: [] });
  }
  return top;
}

const ROWS_AT_LEAST = 64;

/** A table that grows: the lines of its head, and the rows that will not change. */
interface Carried {
  readonly head: string;
  readonly rows: readonly Node[];
}

/** Reads a text that mostly grows at its end. */
export class Blocks {
  private text = "";
  private fixed: Block[] = [];
  /** Where in the text the part begins that is read anew. */
  private from = 0;
  private carried: Carried | null = null;
  private environment: Environment = {};
  private all: readonly Block[] = [];
  private known = 0;
  /** How much of the text `settle` has seen. */
  private seen = 0;

  /** The blocks of this text. */
  read(raw: string): readonly Block[] {
    const text =
      raw.includes("\r") || raw.includes("\0") ? raw.replace(/\r\n?/g, "\n").replaceAll("\0", "\uFFFD") : raw;
    if (text === this.text && this.all.length > 0) return this.all;
    // Shorter is no other text, as long as nothing is gone that was settled.
    const isShorter = text.length >= this.seen && this.text.startsWith(text);
    if (!isShorter && !text.startsWith(this.text)) this.restart();
    this.text = text;
    this.settle();
    const tail = this.parsed(text.slice(this.from)).nodes;
    this.refresh();
    this.all = [
      ...this.fixed,
      ...tail.map((node, index) => this.block(this.fixed.length + index, index === 0 ? this.joined(node) : node)),
    ];
    return this.all;
  }

  private restart(): void {
    this.fixed = [];
    this.from = 0;
    this.carried = null;
    this.environment = {};
    this.known = 0;
    this.seen = 0;
  }

  /**
   * Keeps all blocks of the whole lines but the last one: no later line changes them.
   *
   * A line that is not whole may still change what it began: `para\n#` is a heading, `para\n#1 of` is not.
   */
  private settle(): void {
    const end = this.text.lastIndexOf("\n") + 1;
    if (end <= this.seen) return;
    this.seen = end;
    const { source, nodes } = this.parsed(this.text.slice(this.from, end));
    const last = nodes.at(-1);
    if (last === undefined) return;
    const before = nodes.at(-2);
    const shift = this.carried?.head.length ?? 0;
    if (before !== undefined) {
      const first = nodes[0];
      if (first !== undefined) this.fixed.push(this.block(this.fixed.length, this.joined(first)));
      for (const node of nodes.slice(1, -1)) this.fixed.push(this.block(this.fixed.length, node));
      // From the end of the block before, not from the start of the last: definitions of links lie in between.
      this.from += offset(source, before.token.map?.[1] ?? 0) - shift;
      this.carried = null;
      this.carry(this.text.slice(this.from, end), last);
    } else this.carry(this.text.slice(this.from, end), last);
  }

  /** Puts rows aside of a long table at the end, so that reading on costs the same for its 5000th row as for its 5th. */
  private carry(tail: string, last: Node): void {
    if (last.token.type !== "table_open") return;
    const source = (this.carried?.head ?? "") + tail;
    const body = last.children[1];
    const rows = body?.children ?? [];
    const final = rows.at(-1);
    if (rows.length < ROWS_AT_LEAST || final === undefined) return;
    const { source: whole, nodes } = this.carried === null ? this.parsed(tail) : { source, nodes: [last] };
    const table = nodes.at(-1);
    const [start] = table?.token.map ?? [0];
    const finalRow = table?.children[1]?.children.at(-1)?.token.map?.[0];
    if (table === undefined || finalRow === undefined) return;
    const head = whole.slice(offset(whole, start), offset(whole, start + 2));
    const shift = this.carried?.head.length ?? 0;
    const kept = table.children[1]?.children.slice(0, -1) ?? [];
    this.from += offset(whole, finalRow) - shift;
    this.carried = { head, rows: [...(this.carried?.rows ?? []), ...kept] };
  }

  private parsed(rest: string): { source: string; nodes: Node[] } {
    const source = (this.carried?.head ?? "") + rest;
    const tokens: Token[] = [];
    parser.block.parse(source, parser, this.environment, tokens);
    return { source, nodes: nested(tokens) };
  }

  /** The node with the rows that had been put aside, if it is their table. */
  private joined(node: Node): Node {
    if (this.carried === null || node.token.type !== "table_open") return node;
    const [head, body] = node.children;
    if (head === undefined) return node;
    const rows = [...this.carried.rows, ...(body?.children ?? [])];
    return { token: node.token, children: [head, { token: body?.token ?? head.token, children: rows }] };
  }

  private block(id: number, node: Node): Block {
    return { id, node, environment: this.environment };
  }

  /** A link may be defined below the words that use it: then those are shown anew. */
  private refresh(): void {
    const known = Object.keys(this.environment.references ?? {}).length;
    if (known !== this.known) {
      this.environment = { ...this.environment };
      this.fixed = this.fixed.map((block) => ({ ...block, environment: this.environment }));
    }
    this.known = known;
  }
}

/** Where a line begins. */
function offset(text: string, line: number): number {
  let at = 0;
  for (let count = 0; count < line; count += 1) {
    const end = text.indexOf("\n", at);
    if (end < 0) return text.length;
    at = end + 1;
  }
  return at;
}
