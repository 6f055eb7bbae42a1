// How runs are told: their state as a coloured word, their name, their figures.

import type { Run, RunStatus, Usage } from "../api/types";
import { Badge, type Tone } from "../ui/button";
import { cx } from "../ui/classes";
import { amount, duration, useNow } from "../ui/time";

export const STATUSES: readonly RunStatus[] = ["queued", "running", "paused", "completed", "failed", "cancelled"];

export const TONES: Record<RunStatus, Tone> = {
  queued: "plain",
  running: "accent",
  paused: "warn",
  completed: "good",
  failed: "bad",
  cancelled: "plain",
};

const WORDS: Record<RunStatus, string> = {
  queued: "Queued",
  running: "Running",
  paused: "Waiting",
  completed: "Done",
  failed: "Failed",
  cancelled: "Cancelled",
};

export function statusWord(status: RunStatus): string {
  return WORDS[status] ?? status;
}

export function StatusBadge({ status, className }: { status: RunStatus; className?: string }) {
  return (
    <Badge tone={TONES[status] ?? "plain"} {...(className === undefined ? {} : { className })}>
      <span aria-hidden="true" className={cx("size-1.5 rounded-full bg-current", status === "running" && "pulse-dot")} />
      {statusWord(status)}
    </Badge>
  );
}

export function nameOf(run: Run): string {
  return run.flow ?? run.agent ?? run.kind;
}

export function isActive(run: Run): boolean {
  return run.status === "queued" || run.status === "running" || run.status === "paused";
}

/** The end of an id tells runs of one time apart, its beginning does not. */
export function shortId(id: string): string {
  return id.length > 12 ? `…${id.slice(-8)}` : id;
}

/** Seconds from creation to the end, or to now. */
export function lengthOf(run: Run, now: number): number {
  return Math.max(0, (run.ended ?? now) - run.created);
}

/** How long a run took, counting on while it is under way. */
export function Length({ run }: { run: Run }) {
  return run.ended === null ? <Counting run={run} /> : <>{duration(lengthOf(run, run.ended))}</>;
}

function Counting({ run }: { run: Run }) {
  const now = useNow(1_000);
  return <>{duration(lengthOf(run, now))}</>;
}

export function tokens(usage: Usage): string {
  const { prompt_tokens: asked, completion_tokens: given } = usage;
  if (asked === null && given === null) return "–";
  return `${amount(asked ?? 0)} → ${amount(given ?? 0)}`;
}

const money = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD", maximumFractionDigits: 2 });
const cents = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD", maximumSignificantDigits: 3 });

/** US dollars, small ones with enough digits to be told from nothing. */
export function dollars(cost: number | null | undefined): string {
  if (cost === null || cost === undefined) return "–";
  return cost === 0 || cost >= 1 ? money.format(cost) : cents.format(cost);
}

/** Seconds or nothing. */
export function seconds(value: number | null | undefined): string {
  return value === null || value === undefined ? "–" : duration(value);
}

/** Users are often long hashes. */
export function shortUser(user: string): string {
  return user.length > 14 ? `${user.slice(0, 10)}…` : user;
}
