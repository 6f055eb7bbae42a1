// The live list of runs. Its filters stand in the address; two runs can be marked and compared.

import { useEffect, useRef, useState, type ReactNode } from "react";
import { listFlows } from "../api/journal";
import * as own from "../api/own";
import { useQuery } from "../api/query";
import type { Run } from "../api/types";
import { useShortcuts } from "../app/keyboard";
import { linkTo, navigate, pathTo, usePlace } from "../app/router";
import { useSession } from "../app/session";
import { Button, IconButton, Spinner } from "../ui/button";
import { cx } from "../ui/classes";
import { FIELD, PageFrame } from "../ui/frame";
import { Icon } from "../ui/icons";
import { visible } from "../ui/json";
import { FACE_KEYS, faceName } from "../ui/names";
import { PageState } from "../ui/page-state";
import { useRowKeys } from "../ui/rows";
import { Ago } from "../ui/time";
import { VirtualList, type VirtualHandle } from "../ui/virtual";
import { olderFirst } from "./pairs";
import { countOf, KINDS, NONE, RANGES, readFilters, writeFilters, type Filters } from "./filters";
import { useRuns, type RunsState } from "./use-runs";
import { dollars, Length, nameOf, seconds, shortId, shortUser, StatusBadge, STATUSES, statusWord, tokens } from "./words";

const SEARCH_AFTER_MS = 250;

export function RunList() {
  const { query } = usePlace();
  const { isAdmin } = useSession();
  const filters = readFilters(query);
  const [live, setLive] = useState(true);
  const list = useRuns(filters, live);
  const [marked, setMarked] = useState<readonly string[]>([]);
  const [open, setOpen] = useState(false);
  const search = useRef<HTMLInputElement>(null);
  const handle = useRef<VirtualHandle>(null);
  const root = useRef<HTMLDivElement>(null);
  const keys = useRowKeys(handle, root, list.runs.length);

  const change = (next: Partial<Filters>): void => {
    const text = writeFilters({ ...filters, ...next });
    navigate(text === "" ? "/console/runs" : `/console/runs?${text}`, { replace: true });
  };
  const mark = (id: string): void => setMarked((old) => (old.includes(id) ? old.filter((one) => one !== id) : [...old.slice(-1), id]));
  const compare = (): void => {
    const [one, other] = marked;
    if (one === undefined || other === undefined) return;
    const [a, b] = [one, other].map((id) => list.runs.find((run) => run.id === id));
    navigate(pathTo("compare", ...(a && b ? olderFirst(a, b).map((run) => run.id) : [one, other])));
  };
  const focused = (): string | undefined => document.activeElement?.closest<HTMLElement>("[data-run]")?.dataset.run;

  useShortcuts([
    { keys: "/", label: "Search runs", run: () => search.current?.focus() },
    { keys: "f", label: "Show or hide the filters", run: () => setOpen((old) => !old) },
    { keys: "e", label: "Only runs that failed", run: () => change({ failed: !filters.failed }) },
    { keys: "l", label: "Hold or go on with the live list", run: () => setLive((old) => !old) },
    { keys: "j", label: "To the next run (also ↓)", run: () => keys.focusRow(0) },
    { keys: "x", label: "Mark the run for comparing", run: () => { const id = focused(); if (id !== undefined) mark(id); } },
    { keys: "c", label: "Compare the two marked runs", run: compare },
  ]);

  const count = countOf(filters);
  return (
    <PageFrame
      title="Runs"
      actions={
        <>
          <SearchField input={search} value={filters.q} onSearch={(q) => change({ q })} onLeave={() => keys.focusRow(0)} />
          <Button size="small" aria-expanded={open} aria-controls="run-filters" onClick={() => setOpen(!open)}>
            Filters{count > 0 ? ` · ${count}` : ""}
          </Button>
          <Button size="small" aria-pressed={live} onClick={() => setLive(!live)} title={live ? "New runs appear by themselves. Hold the list still" : "The list is held. Go on"}>
            <span aria-hidden="true" className={cx("size-2 rounded-full", live ? "pulse-dot bg-good" : "bg-line-strong")} />
            {live ? "Live" : "Held"}
          </Button>
        </>
      }
      below={
        <>
          <StatusBar filters={filters} change={change} />
          {open ? <FilterFields filters={filters} change={change} isAdmin={isAdmin} /> : null}
          {count > 0 || filters.q !== "" ? <Chips filters={filters} change={change} /> : null}
        </>
      }
    >
      <div ref={root} className="flex min-h-0 flex-1 flex-col" onKeyDown={keys.onKeyDown}>
        {list.runs.length === 0 ? (
          <NoRuns list={list} isFiltered={count > 0 || filters.q !== ""} onClear={() => change(NONE)} />
        ) : (
          <>
            <div aria-hidden="true" className={cx(COLUMNS, "hidden h-8 shrink-0 items-center border-b border-line bg-surface px-4 text-xs font-medium text-muted md:px-6 lg:grid")}>
              <span />
              <span>State</span>
              <span>Run</span>
              <span>Face</span>
              <span>{isAdmin ? "User" : ""}</span>
              <span className="text-right">Started</span>
              <span className="text-right">Duration</span>
              <span className="text-right" title="Time to the first token">
                First token
              </span>
              <span className="text-right" title="Tokens asked → given">
                Tokens
              </span>
              <span className="text-right">Cost</span>
            </div>
            <VirtualList
              ref={handle}
              items={list.runs}
              keyOf={keyOf}
              estimate={44}
              onNearEnd={list.loadMore}
              className="min-h-0 flex-1"
              label="Runs"
              role="list"
              footer={
                <div className="flex justify-center py-3 text-xs text-muted">
                  {list.loading ? <Spinner label="Loading more runs" /> : list.more ? null : `${list.runs.length} ${list.runs.length === 1 ? "run" : "runs"}`}
                </div>
              }
            >
              {(run, place) => <RunRow run={run} place={place} isAdmin={isAdmin} marked={marked.includes(run.id)} onMark={() => mark(run.id)} />}
            </VirtualList>
          </>
        )}
        {marked.length > 0 ? (
          <div role="status" className="flex shrink-0 flex-wrap items-center gap-3 border-t border-line bg-surface px-4 py-2 text-sm">
            <span className="min-w-0 flex-1">{marked.length === 1 ? "One run marked. Mark another one to compare them." : "Two runs marked."}</span>
            <Button size="small" look="ghost" onClick={() => setMarked([])}>
              Clear
            </Button>
            <Button size="small" look="primary" disabled={marked.length < 2} onClick={compare}>
              Compare
            </Button>
          </div>
        ) : null}
      </div>
    </PageFrame>
  );
}

function keyOf(run: Run): string {
  return run.id;
}

const COLUMNS = "grid-cols-[1.5rem_6rem_minmax(9rem,1fr)_5.5rem_7rem_6rem_5.5rem_5.5rem_8rem_5rem] gap-x-3";

function RunRow({ run, place, isAdmin, marked, onMark }: { run: Run; place: number; isAdmin: boolean; marked: boolean; onMark: () => void }) {
  const name = visible(nameOf(run));
  return (
    <div data-run={run.id} className={cx("relative border-b border-line px-4 md:px-6", marked ? "bg-accent-soft" : "hover:bg-hover")}>
      <div className={cx(COLUMNS, "flex min-h-14 flex-wrap items-center gap-y-0.5 py-2 text-sm lg:grid lg:min-h-11 lg:py-0")}>
        <input
          type="checkbox"
          checked={marked}
          onChange={onMark}
          tabIndex={-1}
          aria-label={`Mark ${name} ${shortId(run.id)} for comparing`}
          className="relative z-10 size-4 accent-(--c-accent-solid)"
        />
        <StatusBadge status={run.status} className="w-fit" />
        <span className="flex min-w-0 flex-1 basis-[55%] items-baseline gap-2 lg:basis-auto">
          <a
            {...linkTo(pathTo("runs", run.id))}
            data-row={place}
            title={run.id}
            className="max-w-full min-w-0 shrink truncate font-medium xl:shrink-0 [unicode-bidi:isolate] after:absolute after:inset-0 focus-visible:outline-none focus-visible:after:rounded focus-visible:after:outline-2 focus-visible:after:outline-offset-[-2px] focus-visible:after:outline-accent"
          >
            {name}
          </a>
          <span className="shrink-0 font-mono text-xs text-muted">{shortId(run.id)}</span>
          {run.error?.message ? <span className={cx("hidden min-w-0 truncate text-xs xl:inline", run.status === "cancelled" ? "text-muted" : "text-bad")}>{visible(run.error.message.slice(0, 200))}</span> : null}
        </span>
        <Cell label="Face" className="hidden truncate lg:block">
          {faceName(run.face)}
        </Cell>
        <Cell label="User" className="hidden truncate font-mono text-xs lg:block">
          {isAdmin && run.user ? visible(shortUser(run.user)) : ""}
        </Cell>
        <span className="ml-7 flex basis-full flex-wrap gap-x-3 text-xs text-muted lg:contents lg:text-sm">
          <Cell label="Started" className="lg:text-right">
            <Ago at={run.created} />
          </Cell>
          <Cell label="Duration" className="lg:text-right">
            <Length run={run} />
          </Cell>
          <Cell label="First token" className={cx("lg:text-right", (run.first_token ?? null) === null && "hidden lg:block")}>
            {seconds(run.first_token)}
          </Cell>
          <Cell label="Tokens" className={cx("lg:text-right", run.usage.total_tokens === null && "hidden lg:block")}>
            {tokens(run.usage)}
          </Cell>
          <Cell label="Cost" className={cx("lg:text-right", run.cost === null && "hidden lg:block")}>
            {dollars(run.cost)}
          </Cell>
        </span>
      </div>
    </div>
  );
}

function Cell({ label, className, children }: { label: string; className?: string; children: ReactNode }) {
  return (
    <span className={cx("min-w-0 text-muted tabular-nums", className)}>
      <span className="sr-only">{label}: </span>
      {children}
    </span>
  );
}

function NoRuns({ list, isFiltered, onClear }: { list: RunsState; isFiltered: boolean; onClear: () => void }) {
  if (list.state !== "ready" && list.state !== "loading") {
    return <PageState kind={list.state} error={list.error} onRetry={list.reload} action={isFiltered ? <Button onClick={onClear}>Clear the filters</Button> : undefined} />;
  }
  if (list.state === "loading") {
    return (
      <div role="status" aria-label="Loading runs" data-state="loading" className="grid gap-3 p-4">
        {[88, 72, 94, 66, 80, 76].map((width) => (
          <div key={width} className="skeleton h-7" style={{ width: `${width}%` }} />
        ))}
      </div>
    );
  }
  return isFiltered ? (
    <PageState kind="empty" title="No run matches" action={<Button onClick={onClear}>Clear the filters</Button>}>
      Nothing that has run has all of this. New runs that do appear here by themselves.
    </PageState>
  ) : (
    <PageState kind="empty" icon="runs" title="Nothing has run yet" action={<Button onClick={() => navigate("/console/chat")}>Ask something</Button>}>
      Each question and each call of a flow, over any face, is a run and appears here at once.
    </PageState>
  );
}

function SearchField({ input, value, onSearch, onLeave }: { input: React.RefObject<HTMLInputElement | null>; value: string; onSearch: (q: string) => void; onLeave: () => void }) {
  const [typed, setTyped] = useState(value);
  const search = useRef(onSearch);
  search.current = onSearch;
  const known = useRef(value);
  useEffect(() => {
    if (value !== known.current) {
      // the address has changed without this field: a chip was taken away, or the reader went back
      known.current = value;
      setTyped(value);
      return;
    }
    if (typed.trim() === value) return;
    const timer = setTimeout(() => {
      known.current = typed.trim();
      search.current(known.current);
    }, SEARCH_AFTER_MS);
    return () => clearTimeout(timer);
  }, [typed, value]);
  return (
    <div className="relative min-w-32 flex-1 sm:w-56 sm:flex-none">
      <Icon name="search" size={14} className="pointer-events-none absolute top-1/2 left-2 -translate-y-1/2 text-muted" />
      <input
        ref={input}
        type="search"
        value={typed}
        maxLength={200}
        onChange={(event) => setTyped(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape") event.currentTarget.blur();
          if (event.key === "ArrowDown") {
            event.preventDefault();
            onLeave();
          }
        }}
        aria-label="Search runs by id, name, thread or session"
        placeholder="Search runs"
        className={cx(FIELD, "w-full pl-7")}
      />
    </div>
  );
}

interface FilterProps {
  filters: Filters;
  change: (next: Partial<Filters>) => void;
}

/** The states as switches: what is asked for most. */
function StatusBar({ filters, change }: FilterProps) {
  const toggle = (status: (typeof STATUSES)[number]): void =>
    change({ status: filters.status.includes(status) ? filters.status.filter((one) => one !== status) : [...filters.status, status] });
  return (
    <div role="group" aria-label="States" className="-mx-1 mt-2 flex gap-1 overflow-x-auto px-1 pb-0.5">
      {STATUSES.map((status) => (
        <button
          key={status}
          type="button"
          aria-pressed={filters.status.includes(status)}
          onClick={() => toggle(status)}
          className={cx(
            "h-7 shrink-0 rounded-full border px-3 text-xs font-medium focus-visible:outline-offset-[-2px]",
            filters.status.includes(status) ? "border-transparent bg-accent-soft text-accent" : "border-line text-muted hover:bg-hover hover:text-text",
          )}
        >
          {statusWord(status)}
        </button>
      ))}
    </div>
  );
}

function FilterFields({ filters, change, isAdmin }: FilterProps & { isAdmin: boolean }) {
  const agents = useQuery("agents", own.listAgents);
  const flows = useQuery("flows", listFlows);
  return (
    <div id="run-filters" className="mt-2 grid grid-cols-2 gap-2 rounded-lg border border-line bg-surface p-3 sm:grid-cols-3 lg:grid-cols-4 2xl:grid-cols-8">
      <Choice label="Agent" value={filters.agent} any="Any agent" options={agents.data?.agents.map((one) => one.name) ?? []} onChoose={(agent) => change({ agent, flow: "" })} />
      <Choice label="Flow" value={filters.flow} any="Any flow" options={flows.data?.flows.map((one) => one.name) ?? []} onChoose={(flow) => change({ flow, agent: "" })} />
      <Choice label="Kind" value={filters.kind} any="Any kind" options={KINDS} onChoose={(kind) => change({ kind })} />
      <Choice label="Face" value={filters.face} any="Any face" options={FACE_KEYS} shown={faceName} onChoose={(face) => change({ face })} />
      {isAdmin ? <Word label="User" value={filters.user} placeholder="Anybody" onChange={(user) => change({ user })} /> : null}
      <Field label="Time">
        {(id) => (
          <select
            id={id}
            value={filters.from !== null || filters.to !== null ? "custom" : filters.range}
            onChange={(event) => {
              const range = event.target.value;
              if (range === "custom") change({ from: Math.floor(Date.now() / 1_000 - 86_400), to: null, range: "" });
              else change({ range, from: null, to: null });
            }}
            className={cx(FIELD, "w-full")}
          >
            <option value="">Any time</option>
            {RANGES.map((one) => (
              <option key={one.name} value={one.name}>
                {one.label}
              </option>
            ))}
            <option value="custom">From and to…</option>
          </select>
        )}
      </Field>
      {filters.from !== null || filters.to !== null ? (
        <>
          <Moment label="From" value={filters.from} onChange={(from) => change({ from })} />
          <Moment label="To" value={filters.to} onChange={(to) => change({ to })} />
        </>
      ) : null}
      <label className="flex h-8 items-center gap-2 self-end text-sm">
        <input type="checkbox" checked={filters.failed} onChange={(event) => change({ failed: event.target.checked })} className="size-4 accent-(--c-accent-solid)" />
        Errors only
      </label>
    </div>
  );
}

function Field({ label, children }: { label: string; children: (id: string) => ReactNode }) {
  const id = `filter-${label.toLowerCase()}`;
  return (
    <div className="min-w-0">
      <label htmlFor={id} className="mb-1 block text-xs text-muted">
        {label}
      </label>
      {children(id)}
    </div>
  );
}

interface ChoiceProps {
  label: string;
  value: string;
  any: string;
  options: readonly string[];
  shown?: (value: string) => string;
  onChoose: (value: string) => void;
}

function Choice({ label, value, any, options, shown = visible, onChoose }: ChoiceProps) {
  const all = value === "" || options.includes(value) ? options : [value, ...options];
  return (
    <Field label={label}>
      {(id) => (
        <select id={id} value={value} onChange={(event) => onChoose(event.target.value)} className={cx(FIELD, "w-full")}>
          <option value="">{any}</option>
          {all.map((one) => (
            <option key={one} value={one}>
              {shown(one)}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

/** A text that counts once it is left, or with Enter. */
function Word({ label, value, placeholder, onChange }: { label: string; value: string; placeholder: string; onChange: (value: string) => void }) {
  return (
    <Field label={label}>
      {(id) => (
        <input
          id={id}
          key={value}
          defaultValue={value}
          placeholder={placeholder}
          spellCheck={false}
          onBlur={(event) => event.target.value.trim() !== value && onChange(event.target.value.trim())}
          onKeyDown={(event) => event.key === "Enter" && onChange(event.currentTarget.value.trim())}
          className={cx(FIELD, "w-full")}
        />
      )}
    </Field>
  );
}

function Moment({ label, value, onChange }: { label: string; value: number | null; onChange: (value: number | null) => void }) {
  return (
    <Field label={label}>
      {(id) => (
        <input
          id={id}
          type="datetime-local"
          value={value === null ? "" : localTime(value)}
          onChange={(event) => {
            const told = new Date(event.target.value).getTime();
            onChange(Number.isFinite(told) ? told / 1_000 : null);
          }}
          className={cx(FIELD, "w-full")}
        />
      )}
    </Field>
  );
}

/** As a field for dates and times takes it: the reader's own time, to the minute. */
export function localTime(seconds: number): string {
  const date = new Date(seconds * 1_000);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** What is filtered, each with a way to take it back. */
function Chips({ filters, change }: FilterProps) {
  const chips: { label: string; off: Partial<Filters> }[] = [];
  for (const name of ["agent", "flow", "kind", "face", "user", "session", "thread"] as const) {
    const value = filters[name];
    if (value !== "") chips.push({ label: `${name}: ${name === "face" ? faceName(value) : name === "user" || value.length > 40 ? shortUser(value) : value}`, off: { [name]: "" } });
  }
  if (filters.failed) chips.push({ label: "errors only", off: { failed: false } });
  if (filters.from !== null || filters.to !== null) chips.push({ label: "time: chosen", off: { from: null, to: null } });
  else if (filters.range !== "") chips.push({ label: RANGES.find((one) => one.name === filters.range)?.label.toLowerCase() ?? filters.range, off: { range: "" } });
  if (filters.q !== "") chips.push({ label: `“${filters.q}”`, off: { q: "" } });
  if (chips.length === 0) return null;
  return (
    <ul aria-label="Filters that are set" className="mt-2 flex flex-wrap gap-1.5">
      {chips.map((chip) => (
        <li key={chip.label} className="flex h-6 max-w-full items-center rounded-full bg-accent-soft pl-2.5 text-xs text-accent">
          <span className="truncate [unicode-bidi:isolate]">{visible(chip.label)}</span>
          <IconButton icon="cross" label={`Remove the filter ${visible(chip.label)}`} size="small" className="size-6! text-accent!" onClick={() => change(chip.off)} />
        </li>
      ))}
    </ul>
  );
}
