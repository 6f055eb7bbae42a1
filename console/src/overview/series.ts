// The overview's buckets as the columns that charts draw. Pure; gaps are null.

import type { Bucket } from "../api/journal-types";
import { duration } from "../ui/time";

export type Column = (number | null)[];

export interface Line {
  label: string;
  values: Column;
  /** A name of a colour of the theme. */
  colour: "accent" | "good" | "warn" | "bad" | "muted";
  bars?: boolean;
  /** What lies under the line is coloured, too. */
  area?: boolean;
  dashed?: boolean;
}

export interface ChartData {
  name: string;
  title: string;
  times: number[];
  lines: Line[];
  format: "count" | "ms" | "dollars";
}

export function chartsOf(buckets: readonly Bucket[]): ChartData[] {
  const times = buckets.map((bucket) => bucket.start);
  const of = (read: (bucket: Bucket) => number | null | undefined): Column => buckets.map((bucket) => read(bucket) ?? null);
  return [
    {
      name: "runs",
      title: "Runs and errors",
      times,
      format: "count",
      lines: [
        { label: "Runs", colour: "accent", bars: true, values: of((one) => one.runs) },
        { label: "Failed", colour: "bad", bars: true, values: of((one) => one.failed) },
      ],
    },
    {
      name: "duration",
      title: "Duration",
      times,
      format: "ms",
      lines: [
        { label: "p50", colour: "accent", values: of((one) => one.duration_ms?.p50) },
        { label: "p95", colour: "warn", values: of((one) => one.duration_ms?.p95) },
        { label: "p99", colour: "muted", dashed: true, values: of((one) => one.duration_ms?.p99) },
      ],
    },
    {
      name: "first-token",
      title: "Time to the first token",
      times,
      format: "ms",
      lines: [
        { label: "p50", colour: "accent", values: of((one) => one.first_token_ms?.p50) },
        { label: "p95", colour: "warn", values: of((one) => one.first_token_ms?.p95) },
      ],
    },
    {
      name: "tokens",
      title: "Tokens",
      times,
      format: "count",
      lines: [
        { label: "Asked", colour: "accent", area: true, values: of((one) => one.prompt_tokens) },
        { label: "Given", colour: "good", values: of((one) => one.completion_tokens) },
      ],
    },
    { name: "cost", title: "Cost", times, format: "dollars", lines: [{ label: "Cost", colour: "accent", bars: true, values: of((one) => one.cost) }] },
  ];
}

export function isEmpty(chart: ChartData): boolean {
  return chart.lines.every((line) => line.values.every((value) => value === null));
}

/** Milliseconds as people read them. */
export function milliseconds(value: number): string {
  return duration(value / 1_000);
}
