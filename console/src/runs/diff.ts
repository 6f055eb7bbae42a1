// The difference of two texts, line by line, as few changes as there can be. Pure.

export interface DiffRow {
  kind: "same" | "changed" | "left" | "right";
  left: string | null;
  right: string | null;
}

/** Beyond so many changes the exact way costs too much: the middle is told as replaced. */
const MOST_EDITS = 1_000;

type Op = "same" | "left" | "right";

export function diffLines(left: string, right: string): DiffRow[] {
  const one = left.split("\n");
  const other = right.split("\n");
  let head = 0;
  while (head < one.length && head < other.length && one[head] === other[head]) head++;
  let tail = 0;
  while (tail < one.length - head && tail < other.length - head && one[one.length - 1 - tail] === other[other.length - 1 - tail]) tail++;
  const middleOne = one.slice(head, one.length - tail);
  const middleOther = other.slice(head, other.length - tail);
  const rows: DiffRow[] = one.slice(0, head).map(same);
  rows.push(...paired(edits(middleOne, middleOther), middleOne, middleOther));
  rows.push(...one.slice(one.length - tail).map(same));
  return rows;
}

function same(line: string): DiffRow {
  return { kind: "same", left: line, right: line };
}

/** Myers' greedy way through the grid of both, kept for each depth so that it can be walked back. */
function edits(one: readonly string[], other: readonly string[]): Op[] {
  const most = Math.min(one.length + other.length, MOST_EDITS);
  const reach = new Map<number, number>([[1, 0]]);
  const trail: Map<number, number>[] = [];
  for (let depth = 0; depth <= most; depth++) {
    trail.push(new Map(reach));
    for (let k = -depth; k <= depth; k += 2) {
      const down = k === -depth || (k !== depth && (reach.get(k - 1) ?? -1) < (reach.get(k + 1) ?? -1));
      let x = down ? (reach.get(k + 1) ?? 0) : (reach.get(k - 1) ?? 0) + 1;
      let y = x - k;
      while (x < one.length && y < other.length && one[x] === other[y]) {
        x++;
        y++;
      }
      reach.set(k, x);
      if (x >= one.length && y >= other.length) return walk(trail, one.length, other.length);
    }
  }
  return [...one.map((): Op => "left"), ...other.map((): Op => "right")];
}

function walk(trail: readonly Map<number, number>[], width: number, height: number): Op[] {
  const ops: Op[] = [];
  let x = width;
  let y = height;
  for (let depth = trail.length - 1; depth >= 0; depth--) {
    const reach = trail[depth] as Map<number, number>;
    const k = x - y;
    const down = k === -depth || (k !== depth && (reach.get(k - 1) ?? -1) < (reach.get(k + 1) ?? -1));
    const before = down ? k + 1 : k - 1;
    const beforeX = depth === 0 ? 0 : (reach.get(before) ?? 0);
    const beforeY = depth === 0 ? 0 : beforeX - before;
    while (x > beforeX && y > beforeY) {
      ops.push("same");
      x--;
      y--;
    }
    if (depth > 0) ops.push(down ? "right" : "left");
    x = beforeX;
    y = beforeY;
  }
  return ops.reverse();
}

/** What was taken away and what came instead, beside each other. */
function paired(ops: readonly Op[], one: readonly string[], other: readonly string[]): DiffRow[] {
  const rows: DiffRow[] = [];
  let x = 0;
  let y = 0;
  for (let place = 0; place < ops.length; ) {
    if (ops[place] === "same") {
      rows.push(same(one[x] as string));
      x++;
      y++;
      place++;
      continue;
    }
    const lefts: string[] = [];
    const rights: string[] = [];
    while (place < ops.length && ops[place] !== "same") {
      if (ops[place] === "left") lefts.push(one[x++] as string);
      else rights.push(other[y++] as string);
      place++;
    }
    for (let n = 0; n < Math.max(lefts.length, rights.length); n++) {
      const left = lefts[n] ?? null;
      const right = rights[n] ?? null;
      rows.push({ kind: left === null ? "right" : right === null ? "left" : "changed", left, right });
    }
  }
  return rows;
}

export function countChanges(rows: readonly DiffRow[]): number {
  return rows.filter((row) => row.kind !== "same").length;
}

/** Rows with long stretches of sameness folded into a number of rows left out. */
export function folded(rows: readonly DiffRow[], around = 3): (DiffRow | { kind: "folded"; rows: DiffRow[] })[] {
  const near = new Uint8Array(rows.length);
  rows.forEach((row, place) => {
    if (row.kind !== "same") near.fill(1, Math.max(0, place - around), place + around + 1);
  });
  const shown: (DiffRow | { kind: "folded"; rows: DiffRow[] })[] = [];
  for (let place = 0; place < rows.length; ) {
    let end = place;
    while (end < rows.length && near[end] === 0) end++;
    if (end - place > 2) shown.push({ kind: "folded", rows: rows.slice(place, end) });
    else shown.push(...rows.slice(place, end));
    place = end;
    while (place < rows.length && near[place] === 1) shown.push(rows[place++] as DiffRow);
  }
  return shown;
}
