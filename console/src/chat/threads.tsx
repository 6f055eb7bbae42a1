// The list of threads: search, pages, groups by day. The address says which one is open.

import { useCallback, useEffect, useMemo, useRef, useState, type KeyboardEvent, type Ref } from "react";
import { useChangedRuns } from "../api/changes";
import { useConnection } from "../api/connection";
import { isAbort } from "../api/http";
import * as own from "../api/own";
import { stateOf, type QueryState } from "../api/query";
import type { Run, Thread, ThreadList } from "../api/types";
import { linkTo, navigate, pathTo } from "../app/router";
import { useSession } from "../app/session";
import { Button, IconButton, Spinner } from "../ui/button";
import { cx } from "../ui/classes";
import { Icon } from "../ui/icons";
import { threadTitle } from "../ui/names";
import { PageState } from "../ui/page-state";
import { ago, useNow } from "../ui/time";
import { VirtualList, type VirtualHandle } from "../ui/virtual";

const PAGE = 50;
/** The most that the server gives at once. */
const MOST_AT_ONCE = 1_000;
const SEARCH_AFTER_MS = 200;

interface ThreadsProps {
  open: string;
  /** Grows when the list may be old. */
  version: number;
  onNew: () => void;
  /** After a thread was chosen: closes the drawer of narrow pages. */
  onChosen: () => void;
  search: Ref<HTMLInputElement>;
}

type Row = { kind: "day"; label: string } | { kind: "thread"; thread: Thread };

export function Threads({ open, version, onNew, onChosen, search }: ThreadsProps) {
  const { isAdmin } = useSession();
  const [typed, setTyped] = useState("");
  const [asked, setAsked] = useState("");
  const [everybody, setEverybody] = useState(false);
  const list = useThreads(asked, everybody, version);
  const now = useNow(60_000);
  const handle = useRef<VirtualHandle>(null);

  useEffect(() => {
    const timer = setTimeout(() => setAsked(typed.trim()), SEARCH_AFTER_MS);
    return () => clearTimeout(timer);
  }, [typed]);

  const rows = useMemo(() => rowsOf(list.threads, now), [list.threads, now]);

  /** Up and down go through the list; the field of the search leads into it. */
  const onKeyDown = (event: KeyboardEvent<HTMLElement>): void => {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    const links = [...event.currentTarget.querySelectorAll<HTMLElement>("[data-thread]")];
    const place = links.indexOf(document.activeElement as HTMLElement);
    const next = links[event.key === "ArrowDown" ? place + 1 : place - 1];
    if (next !== undefined) {
      event.preventDefault();
      next.focus();
    }
  };

  return (
    <section aria-label="Search and threads" className="flex h-full min-h-0 flex-col bg-surface" onKeyDown={onKeyDown}>
      <div className="flex items-center gap-2 px-3 pt-3 pb-2">
        <div className="relative min-w-0 flex-1">
          <Icon name="search" size={15} className="pointer-events-none absolute top-1/2 left-2.5 -translate-y-1/2 text-muted" />
          <input
            ref={search}
            type="search"
            value={typed}
            onChange={(event) => setTyped(event.target.value)}
            onKeyDown={(event) => {
              if (event.key === "Escape" && typed !== "") {
                event.stopPropagation();
                setTyped("");
              }
            }}
            aria-label="Search threads"
            placeholder="Search threads"
            className="h-9 w-full rounded-md border border-line bg-bg pr-2 pl-8 text-sm"
          />
        </div>
        <IconButton icon="plus" label="New thread" look="plain" onClick={onNew} />
      </div>
      {isAdmin ? (
        <div role="radiogroup" aria-label="Whose threads" className="mx-3 mb-2 grid grid-cols-2 rounded-md border border-line bg-bg p-0.5 text-xs">
          {[false, true].map((all) => (
            <button
              key={String(all)}
              type="button"
              role="radio"
              aria-checked={everybody === all}
              onClick={() => setEverybody(all)}
              className={cx("h-6 rounded font-medium", everybody === all ? "bg-hover text-text" : "text-muted hover:text-text")}
            >
              {all ? "Everybody's" : "Mine"}
            </button>
          ))}
        </div>
      ) : null}
      {rows.length === 0 ? (
        <ListState list={list} searched={asked !== ""} onNew={onNew} />
      ) : (
        <VirtualList
          ref={handle}
          items={rows}
          keyOf={keyOf}
          estimate={36}
          onNearEnd={list.loadMore}
          className="min-h-0 flex-1"
          innerClassName="px-2"
          label="Threads"
          footer={
            list.loading ? (
              <div className="flex justify-center py-3 text-muted">
                <Spinner label="Loading more threads" />
              </div>
            ) : (
              <div className="h-3" />
            )
          }
        >
          {(row) =>
            row.kind === "day" ? (
              <h2 className="px-2 pt-4 pb-1 text-xs font-medium text-muted">{row.label}</h2>
            ) : (
              <ThreadLink thread={row.thread} isOpen={row.thread.id === open} now={now} onChosen={onChosen} />
            )
          }
        </VirtualList>
      )}
    </section>
  );
}

function keyOf(row: Row): string {
  return row.kind === "day" ? `day:${row.label}` : row.thread.id;
}

function ThreadLink({ thread, isOpen, now, onChosen }: { thread: Thread; isOpen: boolean; now: number; onChosen: () => void }) {
  const to = pathTo("chat", thread.id);
  const title = threadTitle(thread);
  return (
    <a
      {...linkTo(to, onChosen)}
      data-thread={thread.id}
      aria-current={isOpen ? "page" : undefined}
      className={cx(
        "flex h-9 items-center gap-2 rounded-md px-2 text-sm focus-visible:outline-offset-[-2px]",
        isOpen ? "bg-accent-soft font-medium text-text" : "text-text hover:bg-hover",
      )}
    >
      <span className="min-w-0 flex-1 truncate [unicode-bidi:isolate]" dir="auto" title={title}>
        {title}
      </span>
      {thread.visibility === "public" ? <Icon name="globe" size={13} className="shrink-0 text-muted" /> : null}
      {thread.mine ? null : <Icon name="lock" size={13} className="shrink-0 text-muted" />}
      <span className="shrink-0 text-xs text-muted">{age(thread.created, now)}</span>
    </a>
  );
}

function age(created: number, now: number): string {
  return now - created < 86_400 ? ago(created, now).replace(" ago", "").replace("just now", "now") : "";
}

function ListState({ list, searched, onNew }: { list: ThreadsState; searched: boolean; onNew: () => void }) {
  if (list.state !== "ready" && list.state !== "loading") {
    return <PageState kind={list.state} error={list.error} onRetry={list.reload} compact />;
  }
  if (list.state === "loading" || list.loading) {
    return (
      <div role="status" aria-busy="true" aria-label="Loading threads" className="grid gap-2 p-4">
        {[72, 88, 60, 80, 66].map((width) => (
          <div key={width} className="skeleton h-5" style={{ width: `${width}%` }} />
        ))}
      </div>
    );
  }
  return searched ? (
    <PageState kind="empty" title="No thread matches" compact>
      Titles are searched.
    </PageState>
  ) : (
    <PageState kind="empty" icon="chat" title="No threads yet" compact action={<Button onClick={onNew}>New thread</Button>}>
      Whatever is asked, here or over any other face, appears in this list.
    </PageState>
  );
}

const DAY = 86_400;

/** Threads with the days they were begun on between them. */
export function rowsOf(threads: readonly Thread[], now: number): Row[] {
  const midnight = new Date(now * 1_000).setHours(0, 0, 0, 0) / 1_000;
  const rows: Row[] = [];
  let last = "";
  for (const thread of threads) {
    const label =
      thread.created >= midnight
        ? "Today"
        : thread.created >= midnight - DAY
          ? "Yesterday"
          : thread.created >= midnight - 6 * DAY
            ? "The last seven days"
            : monthOf(thread.created);
    if (label !== last) {
      rows.push({ kind: "day", label });
      last = label;
    }
    rows.push({ kind: "thread", thread });
  }
  return rows;
}

const month = new Intl.DateTimeFormat("en-GB", { month: "long", year: "numeric" });

function monthOf(seconds: number): string {
  return month.format(seconds * 1_000);
}

interface ThreadsState {
  state: QueryState;
  error: unknown;
  threads: readonly Thread[];
  loading: boolean;
  loadMore: () => void;
  reload: () => void;
}

interface Held {
  key: string;
  state: QueryState;
  error: unknown;
  threads: readonly Thread[];
  next: string | null;
  more: boolean;
}

/** The list after its beginning was read again. What lies behind stays, if the server has more. */
export function renewed(old: Pick<Held, "threads" | "next" | "more"> | null, page: ThreadList): Pick<Held, "threads" | "next" | "more"> {
  const last = page.threads.at(-1);
  const ids = new Set(page.threads.map((thread) => thread.id));
  const rest = old !== null && page.more && last !== undefined ? old.threads.filter((thread) => !ids.has(thread.id) && thread.created < last.created) : [];
  return rest.length > 0 && old !== null
    ? { threads: [...page.threads, ...rest], next: old.next, more: old.more }
    : { threads: page.threads, next: page.next, more: page.more };
}

/**
 * The threads of runs that have just begun, and that the list should have and has not. `looked`: those that it was read
 * for already. It may be searched, and then it never has them.
 */
export function begunIn(runs: readonly Run[], listed: ReadonlySet<string>, looked: ReadonlySet<string>, now: number): string[] {
  return runs.flatMap((run) => (run.thread !== null && !listed.has(run.thread) && !looked.has(run.thread) && now - run.created < 60 ? [run.thread] : []));
}

/** The threads that match, page by page; renewed from the top when something changes. */
function useThreads(q: string, everybody: boolean, version: number): ThreadsState {
  const { epoch } = useConnection();
  const { me } = useSession();
  const key = `${everybody}:${q}`;
  const [held, setHeld] = useState<Held>({ key, state: "loading", error: null, threads: [], next: null, more: true });
  const [loading, setLoading] = useState(false);
  const [turn, setTurn] = useState(0);
  const busy = useRef(false);
  const known = useRef(held);
  known.current = held;

  const read = useCallback(
    (after: string | null, limit: number, signal?: AbortSignal) =>
      own.listThreads({ limit, after, mine: !everybody, ...(q === "" ? {} : { q }) }, signal),
    [q, everybody],
  );

  useEffect(() => {
    const controller = new AbortController();
    busy.current = true;
    setLoading(true);
    // all that is shown, or what has another title or is gone by now would stay as it was
    const shown = known.current.key === key ? known.current.threads.length : 0;
    read(null, Math.min(MOST_AT_ONCE, Math.max(PAGE, shown)), controller.signal)
      .then((page) => setHeld((old) => ({ key, state: "ready", error: null, ...renewed(old.key === key ? old : null, page) })))
      .catch((error: unknown) => {
        if (controller.signal.aborted || isAbort(error)) return;
        const state = stateOf(error);
        setHeld((old) =>
          old.key === key && old.threads.length > 0 ? old : { key, state, error, threads: [], next: null, more: false },
        );
      })
      .finally(() => {
        if (controller.signal.aborted) return;
        busy.current = false;
        setLoading(false);
      });
    return () => controller.abort();
  }, [read, key, version, epoch, turn]);

  const loadMore = useCallback(() => {
    if (busy.current || !held.more || held.key !== key || held.next === null) return;
    busy.current = true;
    setLoading(true);
    read(held.next, PAGE)
      .then((page) =>
        setHeld((old) =>
          old.key === key ? { ...old, threads: [...old.threads, ...page.threads], next: page.next, more: page.more } : old,
        ),
      )
      .catch(() => undefined) // asked for again by the next scrolling
      .finally(() => {
        busy.current = false;
        setLoading(false);
      });
  }, [held, key, read]);

  // a page of a search may be empty, and the next one not
  useEffect(() => {
    if (held.state === "ready" && held.threads.length < 20 && held.more) loadMore();
  }, [held, loadMore]);

  // a thread that is not in the list was begun somewhere else
  const looked = useRef(new Set<string>());
  useChangedRuns((runs) => {
    if (known.current.state !== "ready") return;
    const listed = new Set(known.current.threads.map((thread) => thread.id));
    const begun = begunIn(everybody ? runs : runs.filter((run) => run.user == null || run.user === me.user), listed, looked.current, Date.now() / 1_000);
    for (const thread of begun) looked.current.add(thread);
    if (begun.length > 0) setTurn((n) => n + 1);
  });

  const shown = held.key === key ? held : { ...held, state: "loading" as const, threads: [] };
  return { state: shown.state, error: shown.error, threads: shown.threads, loading, loadMore, reload: () => setTurn((n) => n + 1) };
}

/** To a thread that does not exist yet. */
export function newThread(): void {
  navigate("/console/chat");
}
