// The overview: how much ran, how long it took, what failed and what it cost, all of it from the journal.

import { Suspense, useEffect, useMemo, useRef, useState, type ReactNode } from "react";
import { useRunChanges } from "../api/changes";
import { getOverview, listModels } from "../api/journal";
import type { Figures, ModelFigures, NamedFigures, Overview } from "../api/journal-types";
import { useQuery } from "../api/query";
import type { PageProps } from "../app/pages";
import { useShortcuts } from "../app/keyboard";
import { lazily } from "../app/lazily";
import { linkTo, navigate, usePlace } from "../app/router";
import { useSession } from "../app/session";
import { RANGES } from "../runs/filters";
import { dollars } from "../runs/words";
import { Button } from "../ui/button";
import { cx } from "../ui/classes";
import { PageFrame, Tabs } from "../ui/frame";
import { visible } from "../ui/json";
import { faceName } from "../ui/names";
import { Loaded, PageState } from "../ui/page-state";
import { amount, exact } from "../ui/time";
import { Pace } from "./pace";
import { chartsOf, isEmpty, milliseconds, type ChartData } from "./series";
import { Usable, whyOf } from "./usable";

const Chart = lazily(() => import("./chart"));

const USUAL = "24h";
/** A round bucket for each range, so that bars do not move from one reading to the next. */
const BUCKETS: Record<string, number> = { "15m": 30, "1h": 60, "24h": 1_800, "7d": 10_800, "30d": 86_400 };
const SHORT: Record<string, string> = { "15m": "15 min", "1h": "1 h", "24h": "24 h", "7d": "7 d", "30d": "30 d" };
const RENEW_MS = 30_000;
const AFTER_CHANGE_MS = 2_000;

export default function OverviewPage(_: PageProps) {
  const { query: address } = usePlace();
  const { isAdmin } = useSession();
  const range = RANGES.find((one) => one.name === address.get("range")) ?? RANGES.find((one) => one.name === USUAL) ?? { name: USUAL, label: "", seconds: 86_400 };
  const bucket = BUCKETS[range.name] ?? 1_800;
  const [pace] = useState(() => new Pace(AFTER_CHANGE_MS));
  const query = useQuery(`overview:${range.name}`, (signal) => {
    const to = (Math.floor(Date.now() / 1_000 / bucket) + 1) * bucket;
    return pace.measured(() => getOverview(to - Math.ceil(range.seconds / bucket) * bucket, to, bucket, signal));
  });
  const [table, setTable] = useState(false);
  const reload = useRef(query.reload);
  reload.current = query.reload;
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => {
    const every = setInterval(() => document.visibilityState === "visible" && !pace.isBusy && reload.current(), RENEW_MS);
    return () => {
      clearInterval(every);
      clearTimeout(timer.current);
    };
  }, [pace]);
  const soon = (): void => {
    timer.current ??= setTimeout(() => {
      timer.current = undefined;
      if (pace.isBusy) soon();
      else reload.current();
    }, pace.wait);
  };
  useRunChanges(soon, { onGone: soon });
  const choose = (name: string): void => navigate(name === USUAL ? "/console/overview" : `/console/overview?range=${name}`, { replace: true });
  useShortcuts([
    { keys: "[", label: "A shorter time", run: () => step(-1) },
    { keys: "]", label: "A longer time", run: () => step(1) },
    { keys: "t", label: "Charts or tables", run: () => setTable((old) => !old) },
  ]);
  const step = (by: number): void => {
    const next = RANGES[RANGES.findIndex((one) => one.name === range.name) + by];
    if (next) choose(next.name);
  };
  return (
    <PageFrame
      title="Overview"
      actions={
        <>
          <Tabs label="Time" chosen={range.name} onChoose={choose} tabs={RANGES.map((one) => ({ name: one.name, label: SHORT[one.name] ?? one.name }))} />
          <Button size="small" aria-pressed={table} onClick={() => setTable(!table)}>
            {table ? "Charts" : "Tables"}
          </Button>
        </>
      }
    >
      <Loaded query={query}>{(data) => <Shown data={data} range={range.name} table={table} isAdmin={isAdmin} />}</Loaded>
    </PageFrame>
  );
}

function Shown({ data, range, table, isAdmin }: { data: Overview; range: string; table: boolean; isAdmin: boolean }) {
  const charts = useMemo(() => chartsOf(data.buckets), [data]);
  if (data.total.runs === 0) {
    return (
      <PageState kind="empty" icon="overview" title="Nothing ran in this time" action={<Button onClick={() => navigate("/console/chat")}>Ask something</Button>}>
        {isAdmin ? "Choose a longer time, or ask something." : "Your own runs count here. Choose a longer time, or ask something."}
      </PageState>
    );
  }
  const runs = (words: Record<string, string>): string => `/console/runs?${new URLSearchParams({ ...words, from: String(data.from), to: String(data.to) }).toString()}`;
  return (
    <div tabIndex={0} role="region" aria-label="Figures" className="min-h-0 flex-1 overflow-y-auto focus-visible:outline-offset-[-2px]">
      <div className="grid gap-4 p-4 md:p-6">
        <Tiles total={data.total} to={runs} />
        <div className="grid gap-4 lg:grid-cols-2 2xl:grid-cols-3">
          {charts.map((chart, place) => (
            <Panel key={chart.name} title={chart.title} className={place === 0 ? "lg:col-span-2" : ""}>
              {isEmpty(chart) ? (
                <p className="flex min-h-40 items-center justify-center px-4 text-center text-sm text-muted">{chart.name === "cost" ? "No provider's price is known for what ran." : "Nothing to show in this time."}</p>
              ) : table ? (
                <BucketTable chart={chart} bucket={data.bucket} />
              ) : (
                <Suspense fallback={<div className="skeleton m-2 h-52" />}>
                  <p className="sr-only">{summary(chart)} The button “Tables” shows the numbers.</p>
                  <Chart chart={chart} bucket={data.bucket} sync={`overview-${range}`} />
                </Suspense>
              )}
            </Panel>
          ))}
        </div>
        <div className="grid gap-4 xl:grid-cols-2">
          <Named title="Agents" rows={data.agents} to={(name) => runs({ agent: name })} />
          <Named title="Flows" rows={data.flows} to={(name) => runs({ flow: name })} />
          <Named title="Faces" rows={data.faces} to={(name) => runs({ face: name })} shown={faceName} />
          <ModelTable rows={data.models} />
          <UsableModels />
        </div>
      </div>
    </div>
  );
}

/** Which models the app can use now; the page Models says more. */
function UsableModels() {
  const query = useQuery("models", listModels);
  return (
    <Panel title="Usable models" className="xl:col-span-2">
      <Loaded query={query} compact>
        {({ models, providers }) => (
          <>
            {models.length === 0 ? (
              <p className="py-2 text-sm text-muted">The app names no model.</p>
            ) : (
              <ul className="grid gap-x-8 xl:grid-cols-2">
                {models.map((model) => (
                  <li key={model.name} className="flex flex-wrap items-center gap-x-3 gap-y-1 border-t border-line/60 py-1.5 text-sm">
                    <span className="min-w-0 font-medium [overflow-wrap:anywhere]">{visible(model.name)}</span>
                    <Usable {...model} />
                    <span className="min-w-0 flex-1 basis-40 text-muted [overflow-wrap:anywhere]">{visible(whyOf(model))}</span>
                  </li>
                ))}
              </ul>
            )}
            <p className="mt-2 text-xs text-muted">
              {providers.filter((provider) => provider.usable).length} of {providers.length} providers can be used.{" "}
              <a {...linkTo("/console/models")} className="text-accent underline">
                What the others lack
              </a>
            </p>
          </>
        )}
      </Loaded>
    </Panel>
  );
}

function Panel({ title, className, children }: { title: string; className?: string; children: ReactNode }) {
  return (
    <section aria-label={title} className={cx("min-w-0 overflow-hidden rounded-lg border border-line bg-bg p-3", className)}>
      <h2 className="mb-1 text-sm font-semibold">{title}</h2>
      {children}
    </section>
  );
}

function Tiles({ total, to }: { total: Figures; to: (words: Record<string, string>) => string }) {
  const rate = total.runs === 0 ? 0 : (total.failed / total.runs) * 100;
  return (
    <dl className="grid grid-cols-2 gap-px overflow-hidden rounded-lg border border-line bg-line sm:grid-cols-4 2xl:grid-cols-8">
      <Tile label="Runs">
        <a {...linkTo(to({}))} className="hover:underline">
          {amount(total.runs)}
        </a>
      </Tile>
      <Tile label="Failed" detail={total.failed === 0 ? undefined : `${rate < 1 ? rate.toFixed(1) : Math.round(rate)} %`} bad={total.failed > 0}>
        <a {...linkTo(to({ failed: "true" }))} className="hover:underline">
          {amount(total.failed)}
        </a>
      </Tile>
      <Tile label="Duration, p50" detail={total.duration_ms ? `p99 ${milliseconds(total.duration_ms.p99)}` : undefined}>
        {total.duration_ms ? milliseconds(total.duration_ms.p50) : "–"}
      </Tile>
      <Tile label="Duration, p95">{total.duration_ms ? milliseconds(total.duration_ms.p95) : "–"}</Tile>
      <Tile label="First token, p50" detail={total.first_token_ms ? `p95 ${milliseconds(total.first_token_ms.p95)}` : undefined}>
        {total.first_token_ms ? milliseconds(total.first_token_ms.p50) : "–"}
      </Tile>
      <Tile label="Tokens asked">{amount(total.prompt_tokens)}</Tile>
      <Tile label="Tokens given">{amount(total.completion_tokens)}</Tile>
      <Tile label="Cost">{dollars(total.cost)}</Tile>
    </dl>
  );
}

function Tile({ label, detail, bad, children }: { label: string; detail?: string | undefined; bad?: boolean; children: ReactNode }) {
  return (
    <div className="min-w-0 bg-bg p-3">
      <dt className="truncate text-xs text-muted">{label}</dt>
      <dd className={cx("mt-1 text-xl font-semibold tracking-tight tabular-nums", bad && "text-bad")}>{children}</dd>
      {detail === undefined ? null : <dd className="text-xs text-muted tabular-nums">{detail}</dd>}
    </div>
  );
}

function format(chart: ChartData, value: number | null): string {
  if (value === null) return "–";
  return chart.format === "ms" ? milliseconds(value) : chart.format === "dollars" ? dollars(value) : amount(value);
}

function summary(chart: ChartData): string {
  return chart.lines
    .map((line) => {
      const known = line.values.filter((value) => value !== null);
      return known.length === 0 ? `${line.label}: nothing.` : `${line.label}: between ${format(chart, Math.min(...known))} and ${format(chart, Math.max(...known))}.`;
    })
    .join(" ");
}

/** Only the buckets in which something was. */
function BucketTable({ chart, bucket }: { chart: ChartData; bucket: number }) {
  const rows = chart.times.map((time, place) => ({ time, values: chart.lines.map((line) => line.values[place] ?? null) })).filter((row) => row.values.some((value) => value !== null && value !== 0));
  return (
    <div tabIndex={0} role="region" aria-label={`${chart.title}, by ${bucket >= 86_400 ? "day" : "time"}`} className="max-h-56 overflow-auto">
      <table className="w-full text-xs tabular-nums">
        <thead>
          <tr className="sticky top-0 bg-bg text-left text-muted">
            <th scope="col" className="py-1 pr-2 font-medium">
              From
            </th>
            {chart.lines.map((line) => (
              <th key={line.label} scope="col" className="py-1 pl-2 text-right font-medium">
                {line.label}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.toReversed().map((row) => (
            <tr key={row.time} className="border-t border-line/60">
              <th scope="row" className="py-1 pr-2 text-left font-normal">
                {exact(row.time)}
              </th>
              {row.values.map((value, place) => (
                <td key={place} className="py-1 pl-2 text-right">
                  {format(chart, value)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Table({ title, heads, empty, rows }: { title: string; heads: readonly string[]; empty: string; rows: readonly { key: string; name: ReactNode; cells: readonly ReactNode[] }[] }) {
  return (
    <Panel title={title}>
      {rows.length === 0 ? (
        <p className="py-4 text-sm text-muted">{empty}</p>
      ) : (
        <div tabIndex={0} role="group" aria-label={title} className="max-h-96 overflow-auto">
          <table className="w-full text-sm tabular-nums">
            <thead>
              <tr className="text-left text-xs text-muted">
                {heads.map((head, place) => (
                  <th key={head} scope="col" className={cx("py-1 font-medium whitespace-nowrap", place > 0 && "pl-3 text-right")}>
                    {head}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => (
                <tr key={row.key} className="border-t border-line/60">
                  <th scope="row" className="max-w-56 truncate py-1.5 text-left font-medium [unicode-bidi:isolate]">
                    {row.name}
                  </th>
                  {row.cells.map((cell, place) => (
                    <td key={place} className="py-1.5 pl-3 text-right whitespace-nowrap text-muted">
                      {cell}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}

function Named({ title, rows, to, shown = visible }: { title: string; rows: readonly NamedFigures[]; to: (name: string) => string; shown?: (name: string) => string }) {
  return (
    <Table
      title={title}
      empty={`No ${title.toLowerCase()} ran in this time.`}
      heads={["Name", "Runs", "Failed", "p50", "p95", "Tokens", "Cost"]}
      rows={rows.map((row) => ({
        key: row.name,
        name: (
          <a {...linkTo(to(row.name))} className="hover:underline">
            {shown(row.name)}
          </a>
        ),
        cells: [
          amount(row.runs),
          row.failed === 0 ? "0" : <span className="text-bad">{amount(row.failed)}</span>,
          row.duration_ms ? milliseconds(row.duration_ms.p50) : "–",
          row.duration_ms ? milliseconds(row.duration_ms.p95) : "–",
          amount(row.prompt_tokens + row.completion_tokens),
          dollars(row.cost),
        ],
      }))}
    />
  );
}

function ModelTable({ rows }: { rows: readonly ModelFigures[] }) {
  return (
    <Table
      title="Models"
      empty="No model was called in this time."
      heads={["Name", "Calls", "Failed", "Asked", "Given", "Cost"]}
      rows={rows.map((row) => ({
        key: row.name,
        name: visible(row.name),
        cells: [amount(row.calls), row.failed === 0 ? "0" : <span className="text-bad">{amount(row.failed)}</span>, amount(row.prompt_tokens), amount(row.completion_tokens), dollars(row.cost)],
      }))}
    />
  );
}
