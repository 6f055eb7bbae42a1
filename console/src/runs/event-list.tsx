// Every event of a run: 100,000 rows are as quick as ten, because only what is looked at is read and drawn.

import { useEffect, useMemo, useRef, useState } from "react";
import type { RunEvent } from "../api/types";
import { Button, Spinner } from "../ui/button";
import { cx } from "../ui/classes";
import { FIELD } from "../ui/frame";
import { visible } from "../ui/json";
import { PageState } from "../ui/page-state";
import { useRem } from "../ui/rem";
import { useRowKeys } from "../ui/rows";
import { amount, duration } from "../ui/time";
import { VirtualList, type VirtualHandle } from "../ui/virtual";
import { GROUPS, isOf, PAGE, summary, type Group, type RunEvents } from "./events";

const ROW_REM = 1.875;

interface EventListProps {
  events: RunEvents;
  begin: number;
  chosen: number | null;
  onChoose: (seq: number) => void;
}

export function EventList({ events, begin, chosen, onChoose }: EventListProps) {
  const [group, setGroup] = useState<Group>("");
  const [text, setText] = useState("");
  const isFiltered = group !== "" || text !== "";
  const rem = useRem();
  const handle = useRef<VirtualHandle>(null);
  const root = useRef<HTMLDivElement>(null);
  const { last, version } = events;

  useEffect(() => {
    if (isFiltered && !events.isWhole()) void events.wantAll();
  }, [events, isFiltered, last]);

  const seqs = useMemo(() => {
    if (!isFiltered) return Array.from({ length: last }, (_, place) => place + 1);
    const wanted = text.toLowerCase();
    return events
      .known()
      .filter((event) => isOf(event, group) && (wanted === "" || `${event.type} ${event.step ?? ""} ${summary(event)}`.toLowerCase().includes(wanted)))
      .map((event) => event.seq);
    // `version` stands for what has been read; unfiltered rows look it up themselves
  }, [events, last, isFiltered, group, text, isFiltered ? version : 0]);
  const keys = useRowKeys(handle, root, seqs.length);

  // a link to an event shows it
  const begun = useRef(false);
  useEffect(() => {
    if (begun.current || chosen === null || seqs.length === 0) return;
    begun.current = true;
    const place = seqs.indexOf(chosen);
    if (place > 0) handle.current?.scrollToIndex(place);
  }, [chosen, seqs]);

  if (last === 0) return <PageState kind="empty" icon="trace" title="No event yet" compact />;
  if (events.count === 0 && events.state !== "ready") return <PageState kind={events.state} error={events.error} onRetry={() => events.retry()} compact />;
  return (
    <div ref={root} className="flex min-h-0 flex-1 flex-col" onKeyDown={keys.onKeyDown}>
      <div className="flex shrink-0 flex-wrap items-center gap-2 border-b border-line px-4 py-2 md:px-6">
        <select aria-label="Which events" value={group} onChange={(event) => setGroup(event.target.value as Group)} className={cx(FIELD, "max-w-40")}>
          {GROUPS.map((one) => (
            <option key={one.name} value={one.name}>
              {one.label}
            </option>
          ))}
        </select>
        <input
          type="search"
          value={text}
          onChange={(event) => setText(event.target.value)}
          aria-label="Search events"
          placeholder="Search events"
          className={cx(FIELD, "w-40 flex-1 sm:flex-none")}
        />
        <span role="status" className="ml-auto flex items-center gap-2 text-xs text-muted tabular-nums">
          {isFiltered && !events.isWhole() ? (
            <>
              <Spinner size={12} /> {amount(events.count)} of {amount(last)} read
            </>
          ) : (
            `${amount(seqs.length)} ${seqs.length === 1 ? "event" : "events"}`
          )}
        </span>
        <Button size="small" look="ghost" onClick={() => keys.focusRow(seqs.length - 1)}>
          To the end
        </Button>
      </div>
      {seqs.length === 0 ? (
        <PageState kind={events.isWhole() ? "empty" : "loading"} title={events.isWhole() ? "No event matches" : "Reading all events…"} compact />
      ) : (
        <VirtualList ref={handle} items={seqs} keyOf={String} estimate={ROW_REM * rem} fixed className="min-h-0 flex-1" label="Events" role="list">
          {(seq, place) => <EventRow events={events} event={events.at(seq)} seq={seq} place={place} begin={begin} isChosen={seq === chosen} onChoose={onChoose} />}
        </VirtualList>
      )}
    </div>
  );
}

interface EventRowProps {
  events: RunEvents;
  event: RunEvent | undefined;
  seq: number;
  place: number;
  begin: number;
  isChosen: boolean;
  onChoose: (seq: number) => void;
}

function EventRow({ events, event, seq, place, begin, isChosen, onChoose }: EventRowProps) {
  const isMissing = event === undefined;
  const page = Math.floor((seq - 1) / PAGE);
  const { state } = events;
  useEffect(() => {
    if (isMissing) events.want(page * PAGE + 1, (page + 1) * PAGE);
  }, [events, isMissing, page, state]);
  return (
    <button
      type="button"
      data-row={place}
      aria-current={isChosen || undefined}
      onClick={() => onChoose(seq)}
      className={cx(
        "grid h-full w-full grid-cols-[2.5rem_minmax(7.5rem,10rem)_minmax(0,1fr)] items-center gap-x-3 border-b border-line/60 px-4 text-left text-xs focus-visible:outline-offset-[-2px] sm:grid-cols-[3.5rem_4.5rem_10rem_minmax(0,8rem)_minmax(0,1fr)] md:px-6",
        isChosen ? "bg-accent-soft" : "hover:bg-hover",
      )}
    >
      <span className="text-muted tabular-nums">{seq}</span>
      {isMissing ? (
        <span className="skeleton h-3 w-24" />
      ) : (
        <>
          <span className="hidden text-right text-muted tabular-nums sm:block">+{duration(Math.max(0, event.time - begin))}</span>
          <span className={cx("truncate font-mono", toneOf(event.type))}>{visible(event.type)}</span>
          <span className="hidden truncate font-mono text-muted sm:block">{visible(event.step ?? "")}</span>
          <span className="truncate font-mono [unicode-bidi:isolate]">{visible(summary(event).slice(0, 300))}</span>
        </>
      )}
    </button>
  );
}

function toneOf(type: string): string {
  if (type.endsWith(".failed") || type === "tool.denied") return "text-bad";
  if (type.startsWith("run.")) return "text-accent";
  if (type.startsWith("tool.")) return "text-warn";
  if (type.startsWith("step.")) return "text-good";
  return "text-muted";
}
