// Lines through points, as paths of SVG. Pure.

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** A path through (for `basis`: along) the points. Closed and open kinds are drawn as their plain ones. */
export function curve(points: readonly Point[], kind: string): string {
  const [first] = points;
  if (first === undefined) return "";
  const start = `M${at(first)}`;
  if (points.length === 1) return `${start}h0`;
  switch (kind.replace(/(?:Open|Closed)$/, "")) {
    case "step":
      return start + pairs(points, (a, b) => `H${n((a.x + b.x) / 2)}V${n(b.y)}H${n(b.x)}`);
    case "stepBefore":
      return start + pairs(points, (_, b) => `V${n(b.y)}H${n(b.x)}`);
    case "stepAfter":
      return start + pairs(points, (_, b) => `H${n(b.x)}V${n(b.y)}`);
    case "bump":
    case "bumpX":
      return start + pairs(points, (a, b) => cubic({ x: (a.x + b.x) / 2, y: a.y }, { x: (a.x + b.x) / 2, y: b.y }, b));
    case "bumpY":
      return start + pairs(points, (a, b) => cubic({ x: a.x, y: (a.y + b.y) / 2 }, { x: b.x, y: (a.y + b.y) / 2 }, b));
    case "basis":
      return basis(points);
    case "natural":
    case "monotone":
    case "monotoneX":
    case "monotoneY":
      return start + monotone(points);
    default:
      return start + pairs(points, (_, b) => `L${at(b)}`);
  }
}

/** The same path backwards, for the lower edge of an area, without its first move. */
export function back(points: readonly Point[], kind: string): string {
  const turned = kind === "stepBefore" ? "stepAfter" : kind === "stepAfter" ? "stepBefore" : kind;
  return curve([...points].reverse(), turned).replace(/^M/, "L");
}

const n = (value: number): string => String(Math.round(value * 100) / 100);
const at = (point: Point): string => `${n(point.x)},${n(point.y)}`;
const cubic = (one: Point, two: Point, end: Point): string => `C${at(one)} ${at(two)} ${at(end)}`;

function pairs(points: readonly Point[], draw: (a: Point, b: Point) => string): string {
  return points
    .slice(1)
    .map((point, index) => draw(points[index] ?? point, point))
    .join("");
}

/** Cubic pieces that never overshoot: where the values rise, the line does not fall. */
function monotone(points: readonly Point[]): string {
  const slopes = points.slice(1).map((point, index) => {
    const before = points[index] ?? point;
    return point.x === before.x ? 0 : (point.y - before.y) / (point.x - before.x);
  });
  const tangents = points.map((_, index) => {
    const left = slopes[index - 1];
    const right = slopes[index];
    if (left === undefined || right === undefined) return left ?? right ?? 0;
    if (left * right <= 0) return 0;
    return Math.sign(left) * Math.min(Math.abs(left + right) / 2, 3 * Math.min(Math.abs(left), Math.abs(right)));
  });
  return points
    .slice(1)
    .map((b, index) => {
      const a = points[index] ?? b;
      const third = (b.x - a.x) / 3;
      return cubic(
        { x: a.x + third, y: a.y + third * (tangents[index] ?? 0) },
        { x: b.x - third, y: b.y - third * (tangents[index + 1] ?? 0) },
        b,
      );
    })
    .join("");
}

/** A smooth line that the points pull at, from the first to the last: a uniform cubic B-spline. */
function basis(points: readonly Point[]): string {
  const [first, second] = points;
  const last = points.at(-1);
  if (first === undefined || second === undefined || last === undefined) return "";
  const sum = (...parts: readonly (readonly [Point, number])[]): Point => ({
    x: parts.reduce((total, [point, weight]) => total + point.x * weight, 0),
    y: parts.reduce((total, [point, weight]) => total + point.y * weight, 0),
  });
  const pieces = [...points.slice(2), last].map((c, index) => {
    const a = points[index] ?? c;
    const b = points[index + 1] ?? c;
    return cubic(sum([a, 2 / 3], [b, 1 / 3]), sum([a, 1 / 3], [b, 2 / 3]), sum([a, 1 / 6], [b, 4 / 6], [c, 1 / 6]));
  });
  return `M${at(first)}L${at(sum([first, 5 / 6], [second, 1 / 6]))}${pieces.join("")}L${at(last)}`;
}
