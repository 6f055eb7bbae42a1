// Times and amounts as people read them, in the browser's language of numbers; the exact value is in the tooltip.

import { useEffect, useState } from "react";

const full = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
const day = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium" });
const short = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const numbers = new Intl.NumberFormat("en-GB");

/** `seconds` since the epoch, told relative to `now` (seconds, too). */
export function ago(seconds: number, now: number): string {
  const passed = now - seconds;
  if (passed < 45) return "just now";
  if (passed < 3_570) return `${Math.max(1, Math.round(passed / 60))} min ago`;
  if (passed < 86_400) return `${Math.round(passed / 3_600)} h ago`;
  if (passed < 7 * 86_400) return `${Math.round(passed / 86_400)} d ago`;
  return short.format(seconds * 1_000);
}

export function exact(seconds: number): string {
  return full.format(seconds * 1_000);
}

export function date(seconds: number): string {
  return day.format(seconds * 1_000);
}

export function timeOfDay(seconds: number): string {
  return clock.format(seconds * 1_000);
}

/** A length of time in seconds: 0.0042 → 4.2 ms, 0.42 → 420 ms, 75 → 1 min 15 s. */
export function duration(seconds: number): string {
  if (seconds < 0.000_05) return "0 ms";
  if (seconds < 0.009_95) return `${tenths(seconds * 1_000)} ms`;
  if (seconds < 0.999_5) return `${Math.round(seconds * 1_000)} ms`;
  if (seconds < 9.95) return `${tenths(seconds)} s`;
  if (seconds < 59.5) return `${Math.round(seconds)} s`;
  const whole = Math.round(seconds);
  if (whole < 3_600) return two(whole, "min", "s");
  return two(Math.round(seconds / 60), "h", "min");
}

/** Sixtieths and what is left of them, if anything is. */
function two(count: number, big: string, small: string): string {
  const left = count % 60;
  return `${Math.floor(count / 60)} ${big}${left === 0 ? "" : ` ${left} ${small}`}`;
}

function tenths(value: number): string {
  return (Math.round(value * 10) / 10).toFixed(1);
}

export function amount(value: number): string {
  return numbers.format(value);
}

/** Bytes: 2048 → 2.0 kB. */
export function bytes(size: number): string {
  if (size < 1_000) return `${size} B`;
  if (size < 1_000_000) return `${(size / 1_000).toFixed(1)} kB`;
  return `${(size / 1_000_000).toFixed(1)} MB`;
}

/** A time that keeps itself up to date. */
export function Ago({ at, className }: { at: number; className?: string }) {
  const now = useNow(30_000);
  return (
    <time dateTime={new Date(at * 1_000).toISOString()} title={exact(at)} className={className}>
      {ago(at, now)}
    </time>
  );
}

/** Now in seconds, renewed every `ms`. */
export function useNow(ms: number): number {
  const [now, setNow] = useState(() => Date.now() / 1_000);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now() / 1_000), ms);
    return () => clearInterval(timer);
  }, [ms]);
  return now;
}
