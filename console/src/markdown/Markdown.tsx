// Markdown from models and people, shown as it arrives. No HTML is made or understood; nothing is loaded.

import "./markdown.css";
import { memo, type ReactElement, useContext, useEffect, useMemo, useRef, useState } from "react";
import { Code } from "./Code";
import { More } from "./More";
import { Blocks, type Block, type Environment, type Node } from "./parse";
import { usePortion } from "./portion";
import { Settings, type MarkdownSettings } from "./settings";
import { settled } from "./streaming";
import { head } from "./text";
import { Words } from "./Words";

export interface MarkdownProps {
  readonly text: string;
  /** More may follow. */
  readonly streaming?: boolean;
  readonly settings?: Partial<MarkdownSettings>;
  readonly className?: string;
}

const FIRST = 64_000;
const BLOCKS_AT_ONCE = 50;

export const Markdown = memo(function Markdown(props: MarkdownProps): ReactElement {
  const streaming = props.streaming ?? false;
  const portion = usePortion(FIRST, FIRST);
  const paced = usePaced(props.text, streaming);
  const whole = streaming ? settled(paced.text) : paced.text;
  const text = whole.length > portion.size ? upToLine(whole, portion.size) : whole;
  const growing = streaming && text.length === whole.length;

  const reader = useRef<Blocks | null>(null);
  reader.current ??= new Blocks();
  const blocks = useMemo(() => paced.measured(() => reader.current?.read(text) ?? []), [paced, text]);

  const outer = useContext(Settings);
  const { isOwnImage, headingsBelow } = props.settings ?? {};
  const settings = useMemo(
    () => ({ ...outer, ...(isOwnImage && { isOwnImage }), ...(headingsBelow !== undefined && { headingsBelow }) }),
    [outer, isOwnImage, headingsBelow],
  );
  return (
    <Settings value={settings}>
      <div className={props.className === undefined ? "dgm" : `dgm ${props.className}`}>
        {grouped(blocks).map((group) => (
          <Group key={group[0]?.id} blocks={group} growing={growing && group.at(-1) === blocks.at(-1)} />
        ))}
        {text.length < whole.length && (
          <More left={whole.length - text.length} what="characters of this text" onMore={portion.grow} />
        )}
      </div>
    </Settings>
  );
});

function upToLine(text: string, length: number): string {
  const cut = head(text, length);
  const end = cut.lastIndexOf("\n") + 1;
  return end > length / 2 ? cut.slice(0, end) : cut;
}

function grouped(blocks: readonly Block[]): Block[][] {
  const groups: Block[][] = [];
  for (let at = 0; at < blocks.length; at += BLOCKS_AT_ONCE) groups.push(blocks.slice(at, at + BLOCKS_AT_ONCE));
  return groups;
}

interface Paced {
  readonly text: string;
  measured<Result>(work: () => Result): Result;
}

/** The text at a pace that leaves time for everything else: the longer it takes to read, the rarer. */
function usePaced(text: string, streaming: boolean): Paced {
  const [shown, setShown] = useState(text);
  const cost = useRef(0);
  const latest = useRef(text);
  const timer = useRef<ReturnType<typeof setTimeout> | null>(null);
  latest.current = text;
  useEffect(() => {
    if (!streaming) {
      setShown(text); // where the next stream goes on from
      return;
    }
    if (timer.current !== null) return;
    timer.current = setTimeout(
      () => {
        timer.current = null;
        setShown(latest.current);
      },
      Math.min(500, Math.max(16, cost.current * 6)),
    );
  }, [text, streaming]);
  useEffect(
    () => () => {
      if (timer.current !== null) clearTimeout(timer.current);
      timer.current = null;
    },
    [streaming],
  );
  // Text that is not streaming, or is another than what was shown, is shown at once.
  const now = streaming && text.startsWith(shown) ? shown : text;
  return useMemo(
    () => ({
      text: now,
      measured: (work) => {
        const started = performance.now();
        const result = work();
        cost.current = performance.now() - started;
        return result;
      },
    }),
    [now],
  );
}

/** Blocks that are left alone together while nothing in them changes. */
const Group = memo(
  function Group({ blocks, growing }: { blocks: readonly Block[]; growing: boolean }): ReactElement {
    return (
      <div className="dgm-group">
        {blocks.map((block, index) => (
          <One key={block.id} block={block} growing={growing && index === blocks.length - 1} />
        ))}
      </div>
    );
  },
  (before, after) =>
    before.growing === after.growing &&
    before.blocks.length === after.blocks.length &&
    before.blocks.every((block, index) => block === after.blocks[index]),
);

const One = memo(function One({ block, growing }: { block: Block; growing: boolean }): ReactElement {
  return <Shown node={block.node} environment={block.environment} growing={growing} />;
});

interface ShownProps {
  readonly node: Node;
  readonly environment: Environment;
  readonly growing: boolean;
}

function Shown({ node, environment, growing }: ShownProps): ReactElement | null {
  const { token } = node;
  const { headingsBelow } = useContext(Settings);
  const inside = <Inside node={node} environment={environment} growing={growing} />;
  switch (token.type) {
    case "inline":
      return <Words text={token.content} environment={environment} growing={growing} />;
    case "paragraph_open":
      return token.hidden ? inside : <p dir="auto">{inside}</p>;
    case "heading_open": {
      const level = Number(token.tag.slice(1));
      const Heading = `h${Math.min(6, level + headingsBelow)}` as "h1" | "h2" | "h3" | "h4" | "h5" | "h6";
      return (
        <Heading className={`dgm-h${level}`} dir="auto">
          {inside}
        </Heading>
      );
    }
    case "fence":
    case "code_block":
      return <Code text={token.content} language={languageOf(token.info)} growing={growing} />;
    case "hr":
      return <hr />;
    case "blockquote_open":
      return <blockquote dir="auto">{inside}</blockquote>;
    case "bullet_list_open":
      return <ul dir="auto">{inside}</ul>;
    case "ordered_list_open":
      return (
        <ol dir="auto" start={Number(token.attrGet("start") ?? 1)}>
          {inside}
        </ol>
      );
    case "list_item_open":
      return <Item node={node} environment={environment} growing={growing} />;
    case "table_open":
      return <Table node={node} environment={environment} growing={growing} />;
    default:
      return inside;
  }
}

const CHILDREN_FIRST = 500;

function Inside({ node, environment, growing }: ShownProps): ReactElement {
  const portion = usePortion(CHILDREN_FIRST, CHILDREN_FIRST);
  const shown = node.children.slice(0, portion.size);
  const left = node.children.length - shown.length;
  const isList = node.token.type.endsWith("list_open");
  const more = <More left={left} what={isList ? "entries" : "paragraphs"} onMore={portion.grow} />;
  return (
    <>
      {shown.map((child, index) => (
        <Shown
          key={index}
          node={child}
          environment={environment}
          growing={growing && index === node.children.length - 1}
        />
      ))}
      {left > 0 && (isList ? <li className="dgm-unmarked">{more}</li> : more)}
    </>
  );
}

function languageOf(info: string): string {
  return /^[^\s{]+/.exec(info.trim())?.[0] ?? "";
}

/** An entry of a list; `[ ]` and `[x]` at its start are a task's box. */
function Item({ node, environment, growing }: ShownProps): ReactElement {
  const first = node.children[0]?.token.type === "paragraph_open" ? node.children[0].children[0]?.token : undefined;
  const task = first === undefined ? null : /^\[([ xX])\](?:\s+|$)/.exec(first.content);
  if (task === null || first === undefined) {
    return (
      <li>
        <Inside node={node} environment={environment} growing={growing} />
      </li>
    );
  }
  const rest = { token: node.token, children: node.children.slice(1) };
  const done = task[1] !== " ";
  return (
    <li className="dgm-task">
      <input type="checkbox" checked={done} readOnly disabled aria-label={done ? "Done" : "Not done"} />
      <Words
        text={first.content}
        environment={environment}
        growing={growing && rest.children.length === 0}
        skip={task[0].length}
      />
      <Inside node={rest} environment={environment} growing={growing} />
    </li>
  );
}

const ROWS_FIRST = 100;
const ROWS_STEP = 200;

function Table({ node, environment, growing }: ShownProps): ReactElement {
  const portion = usePortion(ROWS_FIRST, ROWS_STEP);
  const titles = node.children[0]?.children ?? [];
  const rows = node.children[1]?.children ?? [];
  const shown = rows.slice(0, portion.size);
  return (
    <div className="dgm-table">
      <div
        className="dgm-scroll"
        tabIndex={0}
        role="region"
        aria-label={`Table of ${rows.length.toLocaleString("en")} rows`}
      >
        <table>
          <thead>
            {titles.map((row, index) => (
              <Row key={index} node={row} environment={environment} growing={false} />
            ))}
          </thead>
          <tbody>
            {shown.map((row, index) => (
              <Row key={index} node={row} environment={environment} growing={growing && index === rows.length - 1} />
            ))}
          </tbody>
        </table>
      </div>
      {shown.length < rows.length && <More left={rows.length - shown.length} what="rows" onMore={portion.grow} />}
    </div>
  );
}

const CELLS_AT_MOST = 200;

const Row = memo(
  function Row({ node, environment, growing }: ShownProps): ReactElement {
    const left = node.children.length - CELLS_AT_MOST;
    return (
      <tr>
        {node.children.slice(0, CELLS_AT_MOST).map((cell, index) => {
          const Cell = cell.token.type === "th_open" ? "th" : "td";
          const align = /text-align:(left|center|right)/.exec(String(cell.token.attrGet("style") ?? ""))?.[1];
          return (
            <Cell
              key={index}
              dir="auto"
              className={align === undefined ? undefined : `dgm-${align}`}
              {...(Cell === "th" && { scope: "col" })}
            >
              <Inside node={cell} environment={environment} growing={growing && index === node.children.length - 1} />
            </Cell>
          );
        })}
        {left > 0 && <td>… {left.toLocaleString("en")} more columns</td>}
      </tr>
    );
  },
  (before, after) =>
    before.growing === after.growing &&
    before.environment === after.environment &&
    (before.node === after.node || isSameRow(before.node, after.node)),
);

function isSameRow(before: Node, after: Node): boolean {
  return (
    before.children.length === after.children.length &&
    before.children.every(
      (cell, index) => cell.children[0]?.token.content === after.children[index]?.children[0]?.token.content,
    )
  );
}
