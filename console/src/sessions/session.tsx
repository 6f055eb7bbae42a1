// One recorded session: its runs, its cassette, and a replay against the code as it is now with what comes out otherwise.

import { useCallback, useEffect, useRef, useState, type ReactNode } from "react";
import { useRunChanges } from "../api/changes";
import { under } from "../api/base";
import { ApiError } from "../api/http";
import { cassettePath, getSession, replaySession } from "../api/journal";
import type { Difference, Replay, SessionDetail } from "../api/journal-types";
import { getThread } from "../api/own";
import { stateOf, useQuery } from "../api/query";
import type { Run } from "../api/types";
import { useShortcuts } from "../app/keyboard";
import { linkTo, navigate, pathTo } from "../app/router";
import { useSession } from "../app/session";
import { DiffView } from "../runs/diff-view";
import { Length, nameOf, shortId, StatusBadge, tokens } from "../runs/words";
import { Badge, Button, Spinner } from "../ui/button";
import { cx } from "../ui/classes";
import { Figure, PageFrame } from "../ui/frame";
import { Icon } from "../ui/icons";
import { asText, visible } from "../ui/json";
import { Long } from "../ui/long";
import { Loaded, PageState } from "../ui/page-state";
import { Ago, exact } from "../ui/time";
import { isReplayAsked } from "./asked";

const ABOVE = { label: "Sessions", to: "/console/sessions" };
const PAGE = 100;
const HARMLESS = "Replays with the recorded answers: your code runs as it is now, but no model is asked, no tool that writes runs, and its network is cut.";

type ReplayState = { kind: "none" } | { kind: "running" } | { kind: "done"; replay: Replay } | { kind: "failed"; error: unknown };

export function SessionPage({ id }: { id: string }) {
  const { isAdmin } = useSession();
  const query = useQuery(`session:${id}`, (signal) => getSession(id, null, PAGE, signal));
  const thread = useQuery(query.data?.thread ? `thread:${id}` : null, (signal) => getThread(id, signal));
  const [older, setOlder] = useState<{ runs: readonly Run[]; next: string | null } | null>(null);
  const [replay, setReplay] = useState<ReplayState>({ kind: "none" });
  const controller = useRef<AbortController | null>(null);
  useEffect(() => () => controller.current?.abort(), []);

  const start = useCallback(() => {
    controller.current?.abort();
    const mine = new AbortController();
    controller.current = mine;
    setReplay({ kind: "running" });
    replaySession(id, mine.signal)
      .then((done) => setReplay({ kind: "done", replay: done }))
      .catch((error: unknown) => {
        if (!mine.signal.aborted) setReplay({ kind: "failed", error });
      });
  }, [id]);
  useEffect(() => {
    if (isReplayAsked(id) && isAdmin) start();
  }, [id, isAdmin, start]);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const soon = (): void => {
    timer.current ??= setTimeout(() => {
      timer.current = undefined;
      query.reload();
    }, 300);
  };
  useRunChanges((run) => (run.session === id || run.thread === id) && soon(), {
    onGone: (gone) => query.data?.runs.some((run) => run.id === gone) && soon(),
    onAgain: soon,
  });
  useShortcuts([{ keys: "r", label: "Replay the session", run: () => (isAdmin && replay.kind !== "running" ? start() : undefined) }]);

  const more = (after: string): void => {
    getSession(id, after, PAGE)
      .then((page) => setOlder((old) => ({ runs: [...(old?.runs ?? []), ...page.runs], next: page.more ? page.next : null })))
      .catch(() => undefined); // the button is still there
  };
  return (
    <PageFrame
      title={thread.data?.title || `Session ${shortId(id)}`}
      heading={<span className="truncate [unicode-bidi:isolate]" title={visible(id)}>{visible(thread.data?.title || (id.length > 40 ? shortId(id) : id))}</span>}
      above={ABOVE}
      actions={
        query.data === undefined ? undefined : (
          <>
            {query.data.thread ? (
              <Button size="small" icon="chat" onClick={() => navigate(pathTo("chat", id))}>
                Open the chat
              </Button>
            ) : null}
            <a
              href={under(cassettePath(id))}
              download={`${id}.json`}
              title="The recording as a file, for `dragoman replay` and for tests"
              className="inline-flex h-7 items-center gap-1.5 rounded-md border border-line-strong bg-raised px-2.5 text-xs font-medium hover:bg-hover"
            >
              <Icon name="arrowDown" size={14} />
              Download cassette
            </a>
            <Button size="small" look="primary" icon="retry" busy={replay.kind === "running"} disabled={!isAdmin} title={isAdmin ? HARMLESS : "Replaying needs the scope admin"} onClick={start}>
              Replay
            </Button>
          </>
        )
      }
    >
      <Loaded query={query} {...missing(query.error)}>
        {(session) => (
          <div tabIndex={0} role="region" aria-label="Session" className="min-h-0 flex-1 overflow-y-auto focus-visible:outline-offset-[-2px]">
            <div className="grid gap-6 p-4 md:p-6">
              <Head session={session} />
              <p className="text-sm text-muted">{isAdmin ? HARMLESS : "Replaying runs the app's code, so it needs a key with the scope “admin”. The cassette can be replayed on the command line."}</p>
              <Replayed state={replay} onRetry={start} />
              <Runs session={session} older={older?.runs ?? []} next={older === null ? (session.more ? session.next : null) : older.next} onMore={more} />
            </div>
          </div>
        )}
      </Loaded>
    </PageFrame>
  );
}

function missing(error: unknown): { title?: string; action?: ReactNode } {
  if (!(error instanceof ApiError)) return {};
  const action = <Button onClick={() => navigate(ABOVE.to)}>To the sessions</Button>;
  if (error.status === 410) return { title: "This session has expired", action };
  return error.status === 404 ? { title: "There is no such session", action } : {};
}

function Head({ session }: { session: SessionDetail }) {
  return (
    <dl className="grid grid-cols-[repeat(auto-fill,minmax(9rem,1fr))] gap-4">
      <Figure label="Kind">{session.thread ? "Conversation" : "Calls of flows"}</Figure>
      <Figure label="Begun" detail={exact(session.created)}>
        <Ago at={session.created} />
      </Figure>
      <Figure label="Last used" detail={exact(session.updated)}>
        <Ago at={session.updated} />
      </Figure>
      {session.expires === null ? null : <Figure label="Kept until">{exact(session.expires)}</Figure>}
    </dl>
  );
}

function Runs({ session, older, next, onMore }: { session: SessionDetail; older: readonly Run[]; next: string | null; onMore: (after: string) => void }) {
  const known = new Set(session.runs.map((run) => run.id));
  const runs = [...session.runs, ...older.filter((run) => !known.has(run.id))];
  return (
    <section aria-label="Runs">
      <h2 className="mb-2 text-sm font-semibold">Runs</h2>
      {runs.length === 0 ? (
        <PageState kind="empty" icon="runs" title="No run yet" compact />
      ) : (
        <ul className="overflow-hidden rounded-lg border border-line">
          {runs.map((run) => (
            <li key={run.id} className="border-b border-line/60 last:border-0">
              <a {...linkTo(pathTo("runs", run.id))} className="flex flex-wrap items-center gap-x-3 gap-y-1 px-3 py-2 text-sm hover:bg-hover focus-visible:outline-offset-[-2px]">
                <StatusBadge status={run.status} />
                <span className="min-w-0 truncate font-medium [unicode-bidi:isolate]">{visible(nameOf(run))}</span>
                <span className="font-mono text-xs text-muted">{shortId(run.id)}</span>
                <span className="ml-auto flex gap-3 text-xs text-muted tabular-nums">
                  <span className="hidden sm:inline">{tokens(run.usage)}</span>
                  <Length run={run} />
                  <Ago at={run.created} />
                </span>
              </a>
            </li>
          ))}
        </ul>
      )}
      {next === null ? null : (
        <Button size="small" className="mt-2" onClick={() => onMore(next)}>
          Older ones
        </Button>
      )}
    </section>
  );
}

function Replayed({ state, onRetry }: { state: ReplayState; onRetry: () => void }) {
  if (state.kind === "none") return null;
  if (state.kind === "running") {
    return (
      <div role="status" className="flex items-center gap-3 rounded-lg border border-line bg-surface p-4 text-sm">
        <Spinner />
        <span>Running the session through the code as it is now.</span>
      </div>
    );
  }
  if (state.kind === "failed") {
    const kind = stateOf(state.error);
    return <PageState kind={kind === "ready" || kind === "loading" ? "error" : kind} title="It could not be replayed" error={state.error} onRetry={onRetry} compact />;
  }
  return <Outcome replay={state.replay} />;
}

export function Outcome({ replay }: { replay: Replay }) {
  const count = replay.differences.length;
  const changed = replay.runs.filter((run) => run.differences > 0).length;
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  return (
    <section aria-label="Replay" className="grid gap-4">
      <div className={cx("flex items-start gap-3 rounded-lg border p-4", count === 0 ? "border-good/30 bg-good-soft text-good" : "border-warn/30 bg-warn-soft text-warn")}>
        <Icon name={count === 0 ? "check" : "alert"} size={20} className="mt-0.5 shrink-0" />
        <div className="min-w-0">
          <h2 ref={heading} tabIndex={-1} className="font-semibold focus:outline-none">
            {count === 0 ? "No difference" : `${count} ${count === 1 ? "difference" : "differences"} in ${changed} of ${replay.runs.length} ${replay.runs.length === 1 ? "run" : "runs"}`}
          </h2>
          <p className="text-sm break-words">
            {replay.runs.length} {replay.runs.length === 1 ? "run" : "runs"} replayed against <code className="font-mono text-xs">{visible(replay.against)}</code>
          </p>
        </div>
      </div>
      {count === 0 ? null : <Differences differences={replay.differences} />}
      {[...replay.remarks, ...replay.wanted.map((place) => `The code wanted to reach ${place}; nothing was sent.`)].map((remark) => (
        <p key={remark} className="flex items-start gap-2 text-sm break-words text-muted">
          <Icon name="alert" size={14} className="mt-1 shrink-0" />
          <span className="min-w-0">{visible(remark)}</span>
        </p>
      ))}
      <ul className="grid gap-2">
        {replay.runs.map((run, place) => (
          <ReplayedRow key={`${run.run} ${place}`} run={run} open={run.differences > 0 && changed <= 3} />
        ))}
      </ul>
    </section>
  );
}

function Differences({ differences }: { differences: readonly Difference[] }) {
  const [all, setAll] = useState(false);
  const shown = all ? differences : differences.slice(0, 20);
  return (
    <div className="overflow-x-auto rounded-lg border border-line">
      <table className="w-full text-sm max-sm:block">
        <thead className="max-sm:sr-only">
          <tr className="border-b border-line bg-surface text-left text-xs text-muted">
            <th scope="col" className="px-3 py-1.5 font-medium">
              Where
            </th>
            <th scope="col" className="px-3 py-1.5 font-medium">
              Recorded
            </th>
            <th scope="col" className="px-3 py-1.5 font-medium">
              Replayed
            </th>
          </tr>
        </thead>
        <tbody className="max-sm:block">
          {shown.map((one, place) => (
            <tr key={place} className="border-b border-line/60 align-top last:border-0 max-sm:grid max-sm:grid-cols-2">
              <th scope="row" className="px-3 py-1.5 text-left font-mono text-xs font-normal break-words max-sm:col-span-2 max-sm:min-w-0 max-sm:[overflow-wrap:anywhere]">
                {visible(one.where.join(" › "))}
              </th>
              <Value told={"recorded" in one} value={one.recorded} tone="bg-bad-soft" />
              <Value told={"replayed" in one} value={one.replayed} tone="bg-good-soft" />
            </tr>
          ))}
        </tbody>
      </table>
      {all || differences.length <= 20 ? null : (
        <Button size="small" look="ghost" className="m-1.5" onClick={() => setAll(true)}>
          Show all {differences.length}
        </Button>
      )}
    </div>
  );
}

function Value({ told, value, tone }: { told: boolean; value: unknown; tone: string }) {
  const text = told ? asText(value) : "";
  return (
    <td className={cx("max-w-md min-w-0 px-3 py-1.5 font-mono sm:min-w-32 text-xs break-words whitespace-pre-wrap [overflow-wrap:anywhere] [unicode-bidi:isolate]", told && tone)}>
      {told ? <Long text={text} /> : <span className="text-muted">nothing</span>}
    </td>
  );
}

function ReplayedRow({ run, open }: { run: Replay["runs"][number]; open: boolean }) {
  const [isOpen, setOpen] = useState(open);
  return (
    <li className="overflow-hidden rounded-lg border border-line">
      <button type="button" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)} className="flex w-full items-center gap-2 px-3 py-2 text-left text-sm hover:bg-hover focus-visible:outline-offset-[-2px]">
        <Icon name={isOpen ? "chevronDown" : "chevron"} size={13} className="shrink-0 text-muted" />
        <span className="min-w-0 truncate font-medium [unicode-bidi:isolate]">{visible(run.name)}</span>
        <span className="font-mono text-xs text-muted">{visible(run.run)}</span>
        <span className="ml-auto">
          <Badge tone={run.differences === 0 ? "good" : "warn"}>{run.differences === 0 ? "the same" : `${run.differences} ${run.differences === 1 ? "difference" : "differences"}`}</Badge>
        </span>
      </button>
      {isOpen ? (
        <div className="border-t border-line p-3">
          <DiffView label={visible(run.name)} left={run.recorded} right={run.replayed} leftName="Recorded" rightName={run.replayed === null ? "Not replayed" : "Replayed"} />
        </div>
      ) : null}
    </li>
  );
}
