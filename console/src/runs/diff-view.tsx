// Two values beside each other, what differs marked by colour and by a sign; one below the other where it is narrow.

import { useMemo, useState } from "react";
import { cx } from "../ui/classes";
import { asText, visible } from "../ui/json";
import { countChanges, diffLines, folded, type DiffRow } from "./diff";

const MOST_CHARACTERS = 400_000;

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
  const shown = useMemo(() => folded(rows), [rows]);
  const count = countChanges(rows);
  return (
    <div className="min-w-0 overflow-hidden rounded-md border border-line">
      <div className="grid grid-cols-2 border-b border-line bg-surface text-xs font-medium text-muted">
        <span className="truncate px-3 py-1.5">− {leftName}</span>
        <span className="truncate border-l border-line px-3 py-1.5">+ {rightName}</span>
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
              {count === 0 ? "No difference" : "The same"} · {row.rows.length} lines
            </button>
          ),
        )}
      </div>
    </div>
  );
}

function told(value: unknown): string {
  const text = visible(value === undefined ? "" : asText(value));
  return text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}\n… cut` : text;
}

function Row({ row }: { row: DiffRow }) {
  const isSame = row.kind === "same";
  return (
    <div className="grid grid-cols-2">
      <Side text={row.left} sign={isSame || row.left === null ? " " : "−"} className={isSame || row.left === null ? "" : "bg-bad-soft"} />
      <Side text={row.right} sign={isSame || row.right === null ? " " : "+"} className={cx("border-l border-line", isSame || row.right === null ? "" : "bg-good-soft")} />
    </div>
  );
}

function Side({ text, sign, className }: { text: string | null; sign: string; className: string }) {
  return (
    <span className={cx("grid min-w-0 grid-cols-[1.25rem_minmax(0,1fr)] px-1.5", text === null ? "bg-surface" : className)}>
      <span className="text-muted select-none">{text === null ? "" : sign}</span>
      <span className="break-words whitespace-pre-wrap [overflow-wrap:anywhere] [unicode-bidi:isolate]">{text ?? ""}</span>
    </span>
  );
}
