// Sessions: what has been recorded, conversations and calls of flows, or the one that the address names.

import { useCallback, useEffect, useRef, useState } from "react";
import { useConnection } from "../api/connection";
import { isAbort } from "../api/http";
import { listSessions } from "../api/journal";
import * as own from "../api/own";
import { stateOf, type QueryState } from "../api/query";
import type { PageProps } from "../app/pages";
import { useShortcuts } from "../app/keyboard";
import { linkTo, navigate, pathTo, usePlace } from "../app/router";
import { useSession } from "../app/session";
import { Button, Spinner } from "../ui/button";
import { cx } from "../ui/classes";
import { FIELD, PageFrame, Tabs } from "../ui/frame";
import { Icon } from "../ui/icons";
import { visible } from "../ui/json";
import { threadTitle } from "../ui/names";
import { PageState } from "../ui/page-state";
import { useRowKeys } from "../ui/rows";
import { Ago, date } from "../ui/time";
import { VirtualList, type VirtualHandle } from "../ui/virtual";
import { SessionPage } from "./session";

export default function SessionsPage({ words }: PageProps) {
  const id = words[0];
  return id === undefined ? <SessionList /> : <SessionPage key={id} id={id} />;
}

type Of = "threads" | "flows";

interface Row {
  id: string;
  title: string;
  updated: number;
  detail: string;
}

const PAGE = 50;
const SEARCH_AFTER_MS = 250;

async function readThreads(q: string, everybody: boolean, after: string | null, signal?: AbortSignal): Promise<{ rows: Row[]; next: string | null }> {
  const page = await own.listThreads({ limit: PAGE, after, mine: !everybody, ...(q === "" ? {} : { q }) }, signal);
  const rows = page.threads.map((thread) => ({ id: thread.id, title: threadTitle(thread), updated: thread.updated, detail: everybody && thread.mine ? "yours" : "" }));
  return { rows, next: page.more ? page.next : null };
}

async function readSessions(after: string | null, signal?: AbortSignal): Promise<{ rows: Row[]; next: string | null }> {
  const page = await listSessions(after, PAGE, signal);
  const rows = page.sessions.map((session) => ({ id: session.id, title: session.id, updated: session.updated, detail: session.expires === null ? "" : `kept until ${date(session.expires)}` }));
  return { rows, next: page.more ? page.next : null };
}

function SessionList() {
  const { query: address } = usePlace();
  const { isAdmin } = useSession();
  const of: Of = address.get("of") === "flows" ? "flows" : "threads";
  const everybody = isAdmin && address.get("whose") === "all";
  const q = address.get("q") ?? "";
  const [typed, setTyped] = useState(q);
  const list = useRows(of, q, everybody);
  const search = useRef<HTMLInputElement>(null);
  const handle = useRef<VirtualHandle>(null);
  const root = useRef<HTMLDivElement>(null);
  const rows = of === "flows" && q !== "" ? list.rows.filter((row) => row.title.toLowerCase().includes(q.toLowerCase())) : list.rows;
  const keys = useRowKeys(handle, root, rows.length);
  const go = useCallback((next: { of?: Of; q?: string; whose?: "all" | "" }) => {
    const words = new URLSearchParams(location.search);
    for (const [key, value] of Object.entries(next)) {
      if (value === "" || value === "threads") words.delete(key);
      else words.set(key, value);
    }
    const text = words.toString();
    navigate(text === "" ? "/console/sessions" : `/console/sessions?${text}`, { replace: true });
  }, []);
  const known = useRef(q);
  useEffect(() => {
    if (q !== known.current) {
      known.current = q;
      setTyped(q);
      return;
    }
    if (typed.trim() === q) return;
    const timer = setTimeout(() => {
      known.current = typed.trim();
      go({ q: known.current });
    }, SEARCH_AFTER_MS);
    return () => clearTimeout(timer);
  }, [typed, q, go]);
  useShortcuts([
    { keys: "/", label: "Search sessions", run: () => search.current?.focus() },
    { keys: "j", label: "To the first session (also ↓)", run: () => keys.focusRow(0) },
  ]);
  return (
    <PageFrame
      title="Sessions"
      actions={
        <input
          ref={search}
          type="search"
          value={typed}
          onChange={(event) => setTyped(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === "ArrowDown") {
              event.preventDefault();
              keys.focusRow(0);
            }
            if (event.key === "Enter" && typed.trim() !== "") navigate(pathTo("sessions", typed.trim()));
            if (event.key === "Escape") event.currentTarget.blur();
          }}
          aria-label="Search sessions; Enter opens the one with this id"
          placeholder="Search, or open an id"
          className={cx(FIELD, "w-44 md:w-64")}
        />
      }
      below={
        <div className="mt-2 flex flex-wrap gap-2">
          <Tabs
            label="Which sessions"
            chosen={of}
            onChoose={(next) => go({ of: next })}
            tabs={[
              { name: "threads", label: "Conversations" },
              { name: "flows", label: "Calls of flows" },
            ]}
          />
          {isAdmin && of === "threads" ? (
            <Tabs
              label="Whose conversations"
              chosen={everybody ? "all" : "mine"}
              onChoose={(whose) => go({ whose: whose === "all" ? "all" : "" })}
              tabs={[
                { name: "mine", label: "Mine" },
                { name: "all", label: "Everybody's" },
              ]}
            />
          ) : null}
        </div>
      }
    >
      {rows.length === 0 ? (
        <NoRows of={of} list={list} isSearched={q !== ""} onClear={() => go({ q: "" })} />
      ) : (
        <div ref={root} className="flex min-h-0 flex-1 flex-col" onKeyDown={keys.onKeyDown}>
          <VirtualList
            ref={handle}
            items={rows}
            keyOf={keyOf}
            estimate={48}
            onNearEnd={list.loadMore}
            className="min-h-0 flex-1"
            label={of === "threads" ? "Conversations" : "Sessions"}
            role="list"
            footer={<div className="flex justify-center py-3 text-muted">{list.loading ? <Spinner label="Loading more" /> : null}</div>}
          >
            {(row, place) => (
              <a {...linkTo(pathTo("sessions", row.id))} data-row={place} className="flex items-center gap-3 border-b border-line px-4 py-3 text-sm hover:bg-hover focus-visible:outline-offset-[-2px] md:px-6">
                <Icon name={of === "threads" ? "chat" : "flows"} className="shrink-0 text-muted" />
                <span className="min-w-0 flex-1 truncate font-medium [unicode-bidi:isolate]">{visible(row.title)}</span>
                <span className="hidden text-xs text-muted sm:inline">{row.detail}</span>
                <Ago at={row.updated} className="shrink-0 text-xs text-muted" />
              </a>
            )}
          </VirtualList>
        </div>
      )}
    </PageFrame>
  );
}

function keyOf(row: Row): string {
  return row.id;
}

function NoRows({ of, list, isSearched, onClear }: { of: Of; list: Rows; isSearched: boolean; onClear: () => void }) {
  if (list.state !== "ready") return <PageState kind={list.state} error={list.error} onRetry={list.reload} />;
  if (list.loading) return <PageState kind="loading" />;
  if (isSearched) return <PageState kind="empty" title="Nothing matches" action={<Button onClick={onClear}>Clear the search</Button>} />;
  return of === "threads" ? (
    <PageState kind="empty" icon="chat" title="No conversation yet" action={<Button onClick={() => navigate("/console/chat")}>Ask something</Button>}>
      Each conversation is recorded and can be replayed against the code as it is now.
    </PageState>
  ) : (
    <PageState kind="empty" icon="flows" title="No session yet" action={<Button onClick={() => navigate("/console/flows")}>To the flows</Button>}>
      Calls of flows that name a session are recorded together, and can be replayed together.
    </PageState>
  );
}

interface Rows {
  state: QueryState;
  error: unknown;
  rows: readonly Row[];
  loading: boolean;
  loadMore: () => void;
  reload: () => void;
}

function useRows(of: Of, q: string, everybody: boolean): Rows {
  const { epoch } = useConnection();
  const key = of === "threads" ? `threads:${everybody}:${q}` : "flows";
  const [held, setHeld] = useState<{ key: string; state: QueryState; error: unknown; rows: readonly Row[]; next: string | null }>({ key, state: "loading", error: null, rows: [], next: null });
  const [loading, setLoading] = useState(false);
  const [turn, setTurn] = useState(0);
  const busy = useRef(false);
  const read = useCallback((after: string | null, signal?: AbortSignal) => (of === "threads" ? readThreads(q, everybody, after, signal) : readSessions(after, signal)), [key]);

  useEffect(() => {
    const controller = new AbortController();
    busy.current = true;
    setLoading(true);
    read(null, controller.signal)
      .then((page) => setHeld({ key, state: "ready", error: null, ...page }))
      .catch((error: unknown) => {
        if (controller.signal.aborted || isAbort(error)) return;
        const state = stateOf(error);
        setHeld((old) => (old.key === key && state === "offline" && old.rows.length > 0 ? old : { key, state, error, rows: [], next: null }));
      })
      .finally(() => {
        if (controller.signal.aborted) return;
        busy.current = false;
        setLoading(false);
      });
    return () => controller.abort();
  }, [read, key, epoch, turn]);

  const next = held.key === key ? held.next : null;
  const loadMore = useCallback(() => {
    if (busy.current || next === null) return;
    busy.current = true;
    setLoading(true);
    read(next)
      .then((page) => setHeld((old) => (old.key === key && old.next === next ? { ...old, rows: [...old.rows, ...page.rows], next: page.next } : old)))
      .catch(() => undefined) // asked for again by the next scrolling
      .finally(() => {
        busy.current = false;
        setLoading(false);
      });
  }, [read, key, next]);
  // a page of a search may be empty, and the next one not
  useEffect(() => {
    if (held.state === "ready" && held.rows.length < 20 && held.next !== null) loadMore();
  }, [held, loadMore]);

  const shown = held.key === key ? held : { state: "loading" as const, error: null, rows: [] };
  return { state: shown.state, error: shown.error, rows: shown.rows, loading, loadMore, reload: () => setTurn((n) => n + 1) };
}
