// Two values beside each other, what differs marked by colour and by a sign; one below the other where it is narrow.

import { useMemo, useState } from "react";
import { cx } from "../ui/classes";
import { asText, visible } from "../ui/json";
import { amount } from "../ui/time";
import { countChanges, diffLines, folded, type DiffRow } from "./diff";

const MOST_ROWS = 1_000;
const MOST_OF_A_LINE = 2_000;
const AROUND = 100;

interface DiffViewProps {
  left: unknown;
  right: unknown;
  leftName: string;
  rightName: string;
  label: string;
}

export function DiffView({ left, right, leftName, rightName, label }: DiffViewProps) {
  const rows = useMemo(() => diffLines(told(left), told(right)), [left, right]);
  const [open, setOpen] = useState<ReadonlySet<number>>(new Set());
  const all = useMemo(() => folded(rows), [rows]);
  const [most, setMost] = useState(MOST_ROWS);
  const shown = all.slice(0, most);
  const count = countChanges(rows);
  return (
    <div className="min-w-0 overflow-hidden rounded-md border border-line">
      <div className="grid grid-cols-2 border-b border-line bg-surface text-xs font-medium text-muted">
        <span className="truncate px-3 py-1.5">− {visible(leftName)}</span>
        <span className="truncate border-l border-line px-3 py-1.5">+ {visible(rightName)}</span>
      </div>
      <div role="region" aria-label={`${label}: ${count === 0 ? "no difference" : `${count} ${count === 1 ? "line differs" : "lines differ"}`}`} tabIndex={0} dir="ltr" className="max-h-[60vh] overflow-auto font-mono text-xs leading-5">
        {shown.map((row, place) =>
          row.kind !== "folded" ? (
            <Row key={place} row={row} />
          ) : open.has(place) ? (
            row.rows.map((one, n) => <Row key={`${place}:${n}`} row={one} />)
          ) : (
            <button
              key={place}
              type="button"
              onClick={() => setOpen((old) => new Set(old).add(place))}
              className="block w-full bg-surface px-3 py-1 text-left text-muted hover:bg-hover focus-visible:outline-offset-[-2px]"
            >
              {count === 0 ? "No difference" : "The same"} · show {row.rows.length} lines
            </button>
          ),
        )}
        {shown.length < all.length ? (
          <button type="button" onClick={() => setMost(most * 4)} className="block w-full bg-surface px-3 py-1 text-left text-muted hover:bg-hover focus-visible:outline-offset-[-2px]">
            Show more of {amount(all.length)} rows
          </button>
        ) : null}
      </div>
    </div>
  );
}

function told(value: unknown): string {
  return visible(value === undefined ? "" : asText(value));
}

function Row({ row }: { row: DiffRow }) {
  const isSame = row.kind === "same";
  const from = row.kind === "changed" ? beginOf(row.left ?? "", row.right ?? "") : 0;
  return (
    <div className="grid grid-cols-2">
      <Side text={row.left} from={from} sign={isSame || row.left === null ? " " : "−"} className={isSame || row.left === null ? "" : "bg-bad-soft"} />
      <Side text={row.right} from={from} sign={isSame || row.right === null ? " " : "+"} className={cx("border-l border-line", isSame || row.right === null ? "" : "bg-good-soft")} />
    </div>
  );
}

/** Where to begin with two long lines so that their first difference is seen. */
function beginOf(left: string, right: string): number {
  if (Math.max(left.length, right.length) <= MOST_OF_A_LINE) return 0;
  let place = 0;
  while (place < left.length && left[place] === right[place]) place++;
  return Math.max(0, place - AROUND);
}

/** The characters that are shown of a long line. */
function cut(text: string, from: number): string {
  if (text.length <= MOST_OF_A_LINE) return text;
  const left = text.length - from - MOST_OF_A_LINE;
  return `${from > 0 ? `${amount(from)} characters … ` : ""}${text.slice(from, from + MOST_OF_A_LINE)}${left > 0 ? ` … ${amount(left)} characters` : ""}`;
}

function Side({ text, from, sign, className }: { text: string | null; from: number; sign: string; className: string }) {
  return (
    <span className={cx("grid min-w-0 grid-cols-[1.25rem_minmax(0,1fr)] px-1.5", text === null ? "bg-surface" : className)}>
      <span className="text-muted select-none">{text === null ? "" : sign}</span>
      <span className="break-words whitespace-pre-wrap [overflow-wrap:anywhere] [unicode-bidi:isolate]">
        {text === null ? "" : cut(text, from)}
      </span>
    </span>
  );
}
