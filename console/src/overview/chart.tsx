// A chart over time, with uPlot. A chunk of its own. The same numbers stand in a table for whoever cannot see it.

import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import "./chart.css";
import { useEffect, useRef } from "react";
import { useTheme } from "../app/theme";
import { dollars } from "../runs/words";
import { useRem } from "../ui/rem";
import { amount } from "../ui/time";
import { milliseconds, type ChartData } from "./series";

const HEIGHT_REM = 11.25;

export function told(format: ChartData["format"], value: number | null): string {
  if (value === null) return "–";
  return format === "ms" ? milliseconds(value) : format === "dollars" ? dollars(value) : amount(value);
}

export default function Chart({ chart, bucket, sync }: { chart: ChartData; bucket: number; sync: string }) {
  const root = useRef<HTMLDivElement>(null);
  const theme = useTheme();
  const rem = useRem();
  const plot = useRef<uPlot | null>(null);
  const data: uPlot.AlignedData = [chart.times, ...chart.lines.map((line) => line.values)];
  const latest = useRef(data);
  latest.current = data;
  const shape = `${chart.name}:${bucket}:${chart.lines.length}:${theme}:${rem}`;

  useEffect(() => {
    const element = root.current;
    if (element === null) return;
    const make = (): void => {
      plot.current?.destroy();
      plot.current = new uPlot(options(element, chart, bucket, sync, rem), latest.current, element);
    };
    make();
    const observer = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height: HEIGHT_REM * rem }));
    observer.observe(element);
    // the system's theme may turn while the page is open
    const media = window.matchMedia("(prefers-color-scheme: dark)");
    media.addEventListener("change", make);
    return () => {
      media.removeEventListener("change", make);
      observer.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
    // made anew when its looks change; new numbers go into the same one
  }, [shape]);
  useEffect(() => {
    plot.current?.setData(latest.current);
  }, [chart]);
  return <div ref={root} aria-hidden="true" className="chart" />;
}

function options(element: HTMLElement, chart: ChartData, bucket: number, sync: string, rem: number): uPlot.Options {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string): string => style.getPropertyValue(`--c-${name}`).trim();
  const bars = uPlot.paths.bars?.({ size: [0.7, 40], align: 1 });
  const axis: uPlot.Axis = { stroke: colour("muted"), grid: { stroke: colour("line"), width: 1 }, ticks: { show: false }, font: `${0.6875 * rem}px system-ui, sans-serif` };
  const wide = (_plot: uPlot, values: string[] | null): number => rem * (0.75 + 0.42 * Math.max(2, ...(values ?? []).map((value) => value.length)));
  return {
    width: element.clientWidth || 300,
    height: HEIGHT_REM * rem,
    padding: [0.5 * rem, rem, 0, 0],
    cursor: { sync: { key: sync }, drag: { x: false, y: false }, points: { size: 0.4 * rem } },
    legend: { live: true },
    // a bar stands for the time that begins at its place: the last one needs room
    scales: { x: { time: true, range: (_plot, low, high) => [low, high + bucket] }, y: { range: (_plot, _low, high) => [0, high > 0 ? high * 1.08 : 1] } },
    axes: [
      { ...axis, size: 1.6 * rem, space: 4 * rem, values: timesOf(bucket) },
      { ...axis, size: wide, gap: 0.4 * rem, space: 2.25 * rem, values: (_plot, splits) => splits.map((value) => (chart.format === "count" && value % 1 !== 0 ? "" : told(chart.format, value))) },
    ],
    series: [
      { label: "Time", value: (_plot, seconds) => (seconds === null || seconds === undefined ? "" : moment(seconds)) },
      ...chart.lines.map((line): uPlot.Series => {
        const stroke = colour(line.colour === "accent" ? "accent" : line.colour);
        return {
          label: line.label,
          stroke,
          width: line.bars ? 0 : line.dashed ? 1.25 : 1.75,
          ...(line.bars ? { fill: stroke } : line.area ? { fill: `${stroke}1f` } : {}),
          ...(line.dashed ? { dash: [4, 3] } : {}),
          ...(line.bars && bars ? { paths: bars } : {}),
          // a value between two gaps has no line to be seen by
          points: { show: !line.bars, size: 0.3 * rem, fill: stroke, filter: (plot, series) => (line.bars ? null : alone(plot.data[series] ?? [])) },
          spanGaps: false,
          value: (_plot, value, _series, place) => (place === null ? "" : told(chart.format, value)),
        };
      }),
    ],
  };
}

function alone(values: ArrayLike<number | null | undefined>): number[] {
  const isGap = (place: number): boolean => (values[place] ?? null) === null;
  return Array.from(values, (_, place) => place).filter((place) => !isGap(place) && isGap(place - 1) && isGap(place + 1));
}

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

function timesOf(bucket: number): uPlot.Axis.Values {
  return (_plot, splits) => {
    let last = "";
    return splits.map((seconds) => {
      const date = day.format(seconds * 1_000);
      if (bucket >= 86_400) return date;
      const isNew = date !== last && last !== "";
      last = date;
      return isNew ? date : clock.format(seconds * 1_000);
    });
  };
}

function moment(seconds: number): string {
  return `${day.format(seconds * 1_000)} ${clock.format(seconds * 1_000)}`;
}
