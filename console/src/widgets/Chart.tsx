// Charts of bars, areas and lines, drawn as SVG. The same numbers stand in a table for those who do not see the drawing.

import { type KeyboardEvent, type ReactElement, useEffect, useId, useMemo, useRef, useState } from "react";
import { head, visible } from "../markdown";
import { back, curve, type Point } from "./curves";
import { count, isRecord, oneOf, optionalText, text } from "./fields";
import { measures, seriesColor } from "./style";
import type { WidgetNode } from "./types";

interface Series {
  readonly kind: "bar" | "area" | "line";
  readonly key: string;
  readonly label: string;
  readonly color: string;
  readonly stack: string | undefined;
  readonly curve: string;
}

interface Plan {
  readonly categories: readonly string[];
  readonly series: readonly Series[];
  /** For each series and category, from where to where it reaches; null where there is no number. */
  readonly spans: readonly (readonly (readonly [from: number, to: number] | null)[])[];
  readonly values: readonly (readonly (number | null)[])[];
  readonly ticks: readonly number[];
}

const ROWS_AT_MOST = 1000;
const SERIES_AT_MOST = 24;

/** What to draw, from the fields of the component. Pure. */
export function plan(node: WidgetNode): Plan {
  const rows = (Array.isArray(node["data"]) ? node["data"] : []).filter(isRecord).slice(0, ROWS_AT_MOST);
  const axis = node["xAxis"];
  const xKey = isRecord(axis) ? text(axis["dataKey"]) : text(axis);
  const labels = isRecord(axis) && isRecord(axis["labels"]) ? axis["labels"] : {};
  const categories = rows.map((row) => {
    const name = text(row[xKey]);
    return visible(head(Object.hasOwn(labels, name) ? text(labels[name], name) : name, 100));
  });
  const series = (Array.isArray(node["series"]) ? node["series"] : [])
    .filter(isRecord)
    .slice(0, SERIES_AT_MOST)
    .map((one, index): Series => ({
      kind: oneOf(one["type"], ["bar", "area", "line"]) ?? "bar",
      key: text(one["dataKey"]),
      label: visible(head(text(one["label"], text(one["dataKey"])), 100)),
      color: seriesColor(one["color"], index),
      stack: optionalText(one["stack"]),
      curve: isRecord(one["curveType"]) ? "linear" : text(one["curveType"], "monotone"),
    }));
  const values = series.map((one) => rows.map((row) => numberOf(row[one.key])));
  const heights = new Map<string, number[]>();
  const spans = series.map((one, index) =>
    rows.map((_, category) => {
      const value = values[index]?.[category] ?? null;
      if (value === null) return null;
      if (one.stack === undefined || one.kind === "line") return [0, value] as const;
      const name = `${one.kind}:${one.stack}:${value < 0 ? "below" : "above"}`;
      const reached = heights.get(name) ?? [];
      const from = reached[category] ?? 0;
      reached[category] = from + value;
      heights.set(name, reached);
      return [from, from + value] as const;
    }),
  );
  const ends = spans.flat().flatMap((span) => span ?? []);
  const onlyLines = series.every((one) => one.kind === "line");
  const floor = onlyLines && ends.length > 0 ? Math.min(...ends.filter((_, index) => index % 2 === 1)) : 0;
  return {
    categories,
    series,
    spans,
    values,
    ticks: ticksOf(Math.min(floor, ...ends.filter((end) => end < 0)), Math.max(0, ...ends)),
  };
}

function numberOf(value: unknown): number | null {
  const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  return typeof number === "number" && Number.isFinite(number) && Math.abs(number) < 1e15 ? number : null;
}

/** Round numbers from below the lowest to above the highest. */
export function ticksOf(low: number, high: number): number[] {
  const from = low > 0 && low < high * 0.6 ? 0 : low;
  const range = high - from || Math.abs(high) || 1;
  const rough = range / 4;
  const magnitude = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 2.5, 5, 10].find((one) => one * magnitude >= rough) ?? 10) * magnitude;
  const first = Math.floor(from / step);
  const last = Math.max(first + 1, Math.ceil(high / step));
  return Array.from({ length: last - first + 1 }, (_, index) => Number(((first + index) * step).toPrecision(12)));
}

const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 2 });
const exact = new Intl.NumberFormat("en", { maximumFractionDigits: 6 });

const DEFAULT_HEIGHT = 220;

export function Chart({ node }: { node: WidgetNode }): ReactElement {
  const drawing = useMemo(() => plan(node), [node]);
  const frame = useRef<HTMLDivElement>(null);
  const width = useWidth(frame);
  const [at, setAt] = useState<number | null>(null);
  const caption = useId();
  const { categories, series, values, ticks } = drawing;
  const showsY = node["showYAxis"] === true;
  const showsX = !(isRecord(node["xAxis"]) && node["xAxis"]["hide"] === true);
  const showsTooltip = node["showTooltip"] !== false;
  const box = measures(node);
  const area = {
    left: showsY ? 44 : 8,
    right: Math.max(60, width - 8),
    top: 8,
    bottom: DEFAULT_HEIGHT - (showsX ? 24 : 8),
  };
  const low = ticks[0] ?? 0;
  const high = ticks.at(-1) ?? 1;
  const y = (value: number): number => area.bottom - ((value - low) / (high - low || 1)) * (area.bottom - area.top);
  const band = (area.right - area.left) / Math.max(1, categories.length);
  const middle = (category: number): number => area.left + band * (category + 0.5);
  const name = `Chart: ${series.map((one) => one.label).join(", ")}`;

  const keys = (event: KeyboardEvent): void => {
    const moves: Record<string, number> = {
      ArrowRight: (at ?? -1) + 1,
      ArrowLeft: (at ?? categories.length) - 1,
      Home: 0,
      End: categories.length - 1,
    };
    const next = moves[event.key];
    if (event.key === "Escape") setAt(null);
    if (next === undefined || categories.length === 0) return;
    event.preventDefault();
    setAt(Math.max(0, Math.min(categories.length - 1, next)));
  };
  return (
    <figure className="dgw-chart" style={box}>
      <div
        ref={frame}
        className="dgw-chart-frame"
        role="group"
        aria-label={name}
        tabIndex={showsTooltip ? 0 : undefined}
        onKeyDown={showsTooltip ? keys : undefined}
        onBlur={() => setAt(null)}
        onPointerLeave={() => setAt(null)}
        onPointerMove={(event) => {
          if (!showsTooltip || categories.length === 0) return;
          const bounds = event.currentTarget.getBoundingClientRect();
          const category = Math.floor((event.clientX - bounds.left - area.left) / band);
          setAt(Math.max(0, Math.min(categories.length - 1, category)));
        }}
      >
        <svg
          width="100%"
          height={DEFAULT_HEIGHT}
          viewBox={`0 0 ${width} ${DEFAULT_HEIGHT}`}
          aria-hidden="true"
          focusable="false"
        >
          {ticks.map((tick) => (
            <g key={tick}>
              <line
                className={tick === 0 ? "dgw-axis" : "dgw-grid"}
                x1={area.left}
                x2={area.right}
                y1={y(tick)}
                y2={y(tick)}
              />
              {showsY && (
                <text className="dgw-tick" x={area.left - 6} y={y(tick) + 4} textAnchor="end">
                  {short.format(tick)}
                </text>
              )}
            </g>
          ))}
          {at !== null && (
            <rect
              className="dgw-band"
              x={middle(at) - band / 2}
              width={band}
              y={area.top}
              height={area.bottom - area.top}
            />
          )}
          <Areas drawing={drawing} middle={middle} y={y} />
          <Bars drawing={drawing} node={node} band={band} middle={middle} y={y} />
          <Lines drawing={drawing} middle={middle} y={y} at={at} />
          {showsX && <Names categories={categories} middle={middle} band={band} y={area.bottom + 16} />}
        </svg>
        {at !== null && (
          <div
            className="dgw-tooltip"
            role="status"
            style={middle(at) > width / 2 ? { right: `${width - middle(at) + 8}px` } : { left: `${middle(at) + 8}px` }}
          >
            <strong dir="auto">{categories[at]}</strong>
            {series.map((one, index) => (
              <span key={index}>
                <i style={{ background: one.color }} /> <span dir="auto">{one.label}</span> {told(values[index]?.[at])}
              </span>
            ))}
          </div>
        )}
      </div>
      {node["showLegend"] !== false && series.length > 0 && (
        <figcaption className="dgw-legend">
          {series.map((one, index) => (
            <span key={index}>
              <i style={{ background: one.color }} /> <span dir="auto">{one.label}</span>
            </span>
          ))}
        </figcaption>
      )}
      <table className="dgw-unseen" aria-labelledby={caption}>
        <caption id={caption}>{name}</caption>
        <thead>
          <tr>
            <th scope="col">Category</th>
            {series.map((one, index) => (
              <th key={index} scope="col">
                {one.label}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {categories.slice(0, 100).map((category, row) => (
            <tr key={row}>
              <th scope="row">{category}</th>
              {series.map((_, index) => (
                <td key={index}>{told(values[index]?.[row])}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </figure>
  );
}

function told(value: number | null | undefined): string {
  return value === null || value === undefined ? "–" : exact.format(value);
}

interface Scaled {
  readonly drawing: Plan;
  middle(category: number): number;
  y(value: number): number;
}

/** Runs of categories that have a number: a line is broken where one is missing. */
function runs(
  spans: Plan["spans"][number],
  middle: (category: number) => number,
  y: (value: number) => number,
): { upper: Point[]; lower: Point[] }[] {
  const found: { upper: Point[]; lower: Point[] }[] = [];
  let isOpen = false;
  spans.forEach((span, category) => {
    if (span === null) {
      isOpen = false;
      return;
    }
    if (!isOpen) found.push({ upper: [], lower: [] });
    isOpen = true;
    found.at(-1)?.upper.push({ x: middle(category), y: y(span[1]) });
    found.at(-1)?.lower.push({ x: middle(category), y: y(span[0]) });
  });
  return found;
}

function Areas({ drawing, middle, y }: Scaled): ReactElement {
  return (
    <>
      {drawing.series.map((one, index) =>
        one.kind !== "area"
          ? null
          : runs(drawing.spans[index] ?? [], middle, y).map(({ upper, lower }, run) => (
              <g key={`${index}-${run}`}>
                <path
                  d={`${curve(upper, one.curve)}${back(lower, one.curve)}Z`}
                  style={{ fill: one.color }}
                  className="dgw-area"
                />
                <path d={curve(upper, one.curve)} style={{ stroke: one.color }} className="dgw-line" />
              </g>
            )),
      )}
    </>
  );
}

function Lines({ drawing, middle, y, at }: Scaled & { at: number | null }): ReactElement {
  return (
    <>
      {drawing.series.map((one, index) => {
        if (one.kind !== "line") return null;
        const spans = drawing.spans[index] ?? [];
        const span = at === null ? null : (spans[at] ?? null);
        return (
          <g key={index}>
            {runs(spans, middle, y).map(({ upper }, run) => (
              <path key={run} d={curve(upper, one.curve)} style={{ stroke: one.color }} className="dgw-line" />
            ))}
            {at !== null && span !== null && (
              <circle cx={middle(at)} cy={y(span[1])} r={3.5} style={{ fill: one.color }} />
            )}
          </g>
        );
      })}
    </>
  );
}

/** Bars side by side; those of one stack on each other. */
function Bars({ drawing, node, band, middle, y }: Scaled & { node: WidgetNode; band: number }): ReactElement {
  const places = [
    ...new Set(drawing.series.flatMap((one, index) => (one.kind === "bar" ? [one.stack ?? `#${index}`] : []))),
  ];
  const between = Math.min(count(node["barCategoryGap"]) ?? band * 0.25, band * 0.8);
  const gap = Math.min(count(node["barGap"]) ?? 2, band / 4);
  const width = Math.max(1, (band - between - gap * (places.length - 1)) / Math.max(1, places.length));
  return (
    <>
      {drawing.series.map((one, index) => {
        if (one.kind !== "bar") return null;
        const place = places.indexOf(one.stack ?? `#${index}`);
        return (drawing.spans[index] ?? []).map((span, category) => {
          if (span === null) return null;
          const top = Math.min(y(span[0]), y(span[1]));
          return (
            <rect
              key={`${index}-${category}`}
              x={middle(category) - (band - between) / 2 + place * (width + gap)}
              y={top}
              width={width}
              height={Math.max(span[0] === span[1] ? 0 : 1, Math.abs(y(span[0]) - y(span[1])))}
              rx={Math.min(2, width / 2)}
              style={{ fill: one.color }}
            />
          );
        });
      })}
    </>
  );
}

/** The names of as many categories as have room. */
function Names(props: {
  categories: readonly string[];
  middle: (category: number) => number;
  band: number;
  y: number;
}): ReactElement {
  const room = Math.max(40, ...props.categories.map((one) => Math.min(one.length, 12) * 6.5 + 10));
  const every = Math.max(1, Math.ceil(room / props.band));
  return (
    <>
      {props.categories.map((category, index) =>
        index % every !== 0 ? null : (
          <text key={index} className="dgw-tick" x={props.middle(index)} y={props.y} textAnchor="middle">
            {category.length > 12 ? `${category.slice(0, 11)}…` : category}
          </text>
        ),
      )}
    </>
  );
}

const WIDTH_UNKNOWN = 480;

function useWidth(element: { current: HTMLElement | null }): number {
  const [width, setWidth] = useState(WIDTH_UNKNOWN);
  useEffect(() => {
    const watched = element.current;
    if (watched === null || typeof ResizeObserver === "undefined") return;
    const observer = new ResizeObserver(([entry]) => {
      const seen = entry?.contentRect.width ?? 0;
      if (seen > 0) setWidth(Math.round(seen));
    });
    observer.observe(watched);
    return () => observer.disconnect();
  }, [element]);
  return width;
}
