// One thread: its head, its messages, and the field to write in.

import { useCallback, useEffect, useMemo, useRef, useState, type ReactNode } from "react";
import { isToolUIPart } from "ai";
import { told } from "../api/http";
import * as kai from "../api/kai";
import * as own from "../api/own";
import { useQuery } from "../api/query";
import type { Thread } from "../api/types";
import { useShortcuts } from "../app/keyboard";
import { linkTo } from "../app/router";
import { useMarkdownPending } from "../markdown";
import { Badge, Button, IconButton } from "../ui/button";
import { Confirm, Dialog } from "../ui/dialog";
import { Icon, Mark } from "../ui/icons";
import { copy, visible } from "../ui/json";
import { Menu } from "../ui/menu";
import { threadTitle } from "../ui/names";
import { PageState } from "../ui/page-state";
import { toast } from "../ui/toast";
import { VirtualList, type VirtualHandle } from "../ui/virtual";
import { act } from "./actions";
import { Composer, type ComposerHandle } from "./composer";
import { Failed, Message, Writing, type MessageActions } from "./message";
import { textOf, type ChatMessage } from "./messages";
import { useConversation, type Conversation } from "./use-conversation";

const AGENT = "dragoman.agent";

interface ThreadViewProps {
  id: string;
  isNew: boolean;
  menu: ReactNode;
  onFirst: () => void;
  onMoved: () => void;
  onGone: () => void;
}

export function ThreadView({ id, isNew, menu, onFirst, onMoved, onGone }: ThreadViewProps) {
  const agents = useQuery("agents", own.listAgents);
  const listed = agents.data?.agents ?? NONE;
  const [chosen, setChosen] = useState<string | null>(() => remembered());
  const asked = useRef<string | null>(null);
  const composer = useRef<ComposerHandle>(null);
  const [editing, setEditing] = useState<{ id: string; text: string | null } | null>(null);
  const talk = useConversation(id, isNew, {
    agent: () => asked.current,
    onMoved,
    onRefused: (message, edits) => (edits === null ? composer.current?.fill(message.text) : setEditing({ id: edits, text: message.text })),
  });

  const ran = talk.runs.size > 0 ? [...talk.runs.values()][0]?.agent : null;
  const known = (name: string | null | undefined): string | null => (listed.some((one) => one.name === name) ? (name ?? null) : null);
  const [picked, setPicked] = useState<string | null>(null);
  // the one picked here, else the one that answered last here, else the one used last
  const agent = known(picked) ?? known(ran) ?? known(chosen) ?? listed[0]?.name ?? null;
  asked.current = agent;

  const pick = (name: string): void => {
    setPicked(name);
    setChosen(name);
    remember(name);
  };

  const list = useRef<VirtualHandle>(null);
  const [atEnd, setAtEnd] = useState(true);
  const votes = useVotes(id, talk);

  const current = useRef({ talk, votes, onFirst, isNew });
  current.current = { talk, votes, onFirst, isNew };
  const on = useMemo<MessageActions>(
    () => ({
      decide: (...given) => {
        current.current.talk.decide(...given);
        composer.current?.goOn();
      },
      answer: (...given) => {
        current.current.talk.answer(...given);
        composer.current?.goOn();
      },
      decline: (...given) => {
        current.current.talk.decline(...given);
        composer.current?.goOn();
      },
      retry: (message) => {
        current.current.talk.retry(message);
        composer.current?.goOn();
        list.current?.scrollToEnd();
      },
      vote: (message, word) => current.current.votes.give(message, word),
      beginEdit: (message) => {
        setEditing(message === null ? null : { id: message, text: null });
        if (message === null) composer.current?.goOn();
      },
      edit: (message, outgoing) => {
        setEditing(null);
        current.current.talk.edit(message, outgoing);
        composer.current?.goOn();
        list.current?.scrollToEnd();
      },
      act: async (item, action) => {
        await act(id, item, action);
        current.current.talk.reload();
      },
    }),
    [id],
  );

  const send = (message: Parameters<Conversation["send"]>[0]): void => {
    talk.send(message);
    if (isNew) onFirst();
    list.current?.scrollToEnd();
  };
  const lastQuestion = talk.messages.findLast((message) => message.role === "user")?.id ?? null;
  const mine = talk.thread?.mine ?? true;
  const waiting = isWaiting(talk.messages.at(-1));

  useShortcuts([
    { keys: "Escape", label: "Stop the answer; else leave the field", whileTyping: true, run: () => (talk.busy ? talk.stop() : leaveField()) },
    { keys: "i", label: "Write a message", run: () => composer.current?.focus() },
    { keys: "alt+a", label: "Go to what waits for approval", whileTyping: true, run: focusApproval },
    { keys: "alt+r", label: "Answer again", whileTyping: true, run: () => (!talk.busy && mine && lastQuestion !== null ? talk.retry() : undefined) },
  ]);

  const isUnread = useMarkdownPending();
  const wasShown = useRef(false);

  const title = talk.thread ? threadTitle(talk.thread) : "";
  useEffect(() => {
    document.title = title === "" ? "Chat · Dragoman" : `${title} · Dragoman`;
  }, [title]);

  const render = useCallback(
    (message: ChatMessage, place: number) => {
      const isLast = place === talk.messages.length - 1;
      const runId = message.metadata?.run ?? (isLast ? talk.run : null);
      return (
        <Message
          message={message}
          isLast={isLast}
          streaming={isLast && talk.busy && message.role === "assistant"}
          busy={talk.busy}
          mine={mine}
          run={message.role === "assistant" && runId !== null ? talk.runs.get(runId) : undefined}
          vote={votes.given.get(message.id)}
          hasRetry={isLast && talk.failure !== null && !talk.busy}
          editing={editing?.id === message.id ? (editing.text ?? textOf(message)) : null}
          on={on}
        />
      );
    },
    [talk.messages.length, talk.run, talk.busy, talk.failure, talk.runs, mine, votes.given, editing, on],
  );

  if (talk.state === "missing") {
    return (
      <Frame menu={menu} title={null}>
        <PageState kind="missing" title="There is no such thread" action={<Button onClick={onGone}>New thread</Button>} />
      </Frame>
    );
  }
  // what has been shown once stays: somebody may be writing in it
  const isPending = talk.state === "ready" && isUnread && talk.messages.length > 0 && !wasShown.current;
  if (talk.state === "loading" || isPending) {
    return (
      <Frame menu={menu} title={null}>
        <Skeleton />
      </Frame>
    );
  }
  if (talk.state !== "ready") {
    return (
      <Frame menu={menu} title={null}>
        <PageState kind={talk.state} error={talk.error} onRetry={talk.reload} />
      </Frame>
    );
  }
  wasShown.current = true;
  const isEmpty = talk.messages.length === 0;
  return (
    <Frame menu={menu} title={title} actions={talk.thread ? <ThreadMenu thread={talk.thread} talk={talk} onMoved={onMoved} onGone={onGone} /> : null}>
      <div className="relative flex min-h-0 flex-1 flex-col">
        {isEmpty ? (
          <Welcome agent={agent} onChoose={(prompt) => composer.current?.fill(prompt)} />
        ) : (
          <VirtualList
            ref={list}
            items={talk.messages}
            keyOf={idOf}
            estimate={120}
            sticky
            onNearStart={talk.hasOlder ? talk.loadOlder : undefined}
            onAtEnd={setAtEnd}
            className="min-h-0 flex-1"
            label="Messages"
            header={<div className="h-10">{talk.hasOlder ? <p className="pt-3 text-center text-xs text-muted">Loading earlier messages…</p> : null}</div>}
            footer={<End talk={talk} onRetry={() => on.retry()} />}
          >
            {render}
          </VirtualList>
        )}
        {!atEnd && !isEmpty ? (
          <IconButton
            icon="arrowDown"
            label="To the end"
            look="plain"
            className="absolute bottom-4 left-1/2 z-10 -translate-x-1/2 rounded-full! shadow-(--shadow-pop)"
            onClick={() => list.current?.scrollToEnd()}
          />
        ) : null}
      </div>
      <Announcer talk={talk} waiting={waiting} />
      <div className="relative mx-auto w-full max-w-3xl shrink-0 px-3 pt-1 pb-3 before:pointer-events-none before:absolute before:inset-x-0 before:-top-6 before:h-6 before:bg-linear-to-t before:from-bg sm:px-6">
        {mine ? (
          <Composer
            ref={composer}
            thread={id}
            agents={listed}
            agent={agent}
            onAgent={pick}
            busy={talk.busy}
            waiting={waiting}
            disabled={agents.state === "ready" && listed.length === 0}
            onSend={send}
            onStop={() => {
              talk.stop();
              composer.current?.goOn();
            }}
            onEditLast={() => on.beginEdit(lastQuestion)}
          />
        ) : (
          <p className="flex items-center justify-center gap-2 rounded-lg border border-line bg-surface p-3 text-sm text-muted">
            <Icon name="lock" size={15} /> This thread is somebody else's. You can read it.
          </p>
        )}
        {agents.state === "ready" && listed.length === 0 ? (
          <p className="pt-2 text-center text-xs text-muted">This app has no agent, so there is nobody to ask.</p>
        ) : null}
      </div>
    </Frame>
  );
}

const NONE: never[] = [];

function idOf(message: ChatMessage): string {
  return message.id;
}

function isWaiting(message: ChatMessage | undefined): boolean {
  return message?.parts.some((part) => isToolUIPart(part) && part.state === "approval-requested") ?? false;
}

function focusApproval(): void {
  const card = document.querySelector<HTMLElement>("[data-approval]");
  card?.scrollIntoView({ block: "nearest" });
  card?.querySelector<HTMLElement>("button:not([aria-label])")?.focus();
}

/** So that letters are shortcuts again. */
function leaveField(): void {
  if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
}

function remembered(): string | null {
  try {
    return localStorage.getItem(AGENT);
  } catch {
    return null;
  }
}

function remember(name: string): void {
  try {
    localStorage.setItem(AGENT, name);
  } catch {
    // then it is chosen anew next time
  }
}

// ---------------------------------------------------------------------------------------------------------- the frame

function Frame({ menu, title, actions, children }: { menu: ReactNode; title: string | null; actions?: ReactNode; children: ReactNode }) {
  return (
    <section aria-label="Thread" className="flex min-h-0 min-w-0 flex-1 flex-col">
      <header className="flex h-13 shrink-0 items-center gap-1 border-b border-line px-2 sm:px-4">
        {menu}
        <h2 className="min-w-0 flex-1 truncate px-1 text-sm font-semibold [unicode-bidi:isolate]" dir="auto">
          {title === "" ? "New thread" : title}
        </h2>
        {actions}
      </header>
      {children}
    </section>
  );
}

function ThreadMenu({ thread, talk, onMoved, onGone }: { thread: Thread; talk: Conversation; onMoved: () => void; onGone: () => void }) {
  const [asking, setAsking] = useState<"rename" | "delete" | null>(null);
  const [busy, setBusy] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  const attempt = async (work: () => Promise<void>): Promise<void> => {
    setBusy(true);
    try {
      await work();
      setAsking(null);
      onMoved();
    } catch (error) {
      toast(told(error), "bad");
    } finally {
      setBusy(false);
    }
  };
  const runs = `/console/runs?thread=${encodeURIComponent(thread.id)}`;
  return (
    <>
      {thread.visibility === "public" ? (
        <Badge>
          <Icon name="globe" size={12} /> Public
        </Badge>
      ) : null}
      <a
        {...linkTo(runs)}
        title="The runs of this thread"
        className="inline-flex h-9 items-center gap-1.5 rounded-md px-2 text-sm text-muted hover:bg-hover hover:text-text"
      >
        <Icon name="trace" />
        <span className="hidden sm:inline">Runs</span>
      </a>
      <Menu
        label="More about this thread"
        align="right"
        className="flex size-9 items-center justify-center rounded-md text-muted hover:bg-hover hover:text-text"
        entries={[
          { label: "Copy link", icon: "link", onChoose: () => void copy(location.href) },
          ...(thread.mine
            ? [
                { label: "Rename…", icon: "edit" as const, onChoose: () => setAsking("rename") },
                { label: "Delete…", icon: "trash" as const, danger: true, onChoose: () => setAsking("delete") },
              ]
            : []),
        ]}
      >
        <Icon name="more" />
      </Menu>
      {asking === "rename" ? (
        <Dialog
          title="Rename thread"
          onClose={() => setAsking(null)}
          onSubmit={() =>
            void attempt(async () => {
              const title = field.current?.value.trim();
              if (title) talk.setThread(await own.renameThread(thread.id, title));
            })
          }
          actions={
            <>
              <Button onClick={() => setAsking(null)}>Cancel</Button>
              <Button type="submit" look="primary" busy={busy}>
                Rename
              </Button>
            </>
          }
        >
          <label htmlFor="thread-title" className="mb-1 block text-sm font-medium">
            Title
          </label>
          <input
            ref={field}
            id="thread-title"
            autoFocus
            required
            maxLength={200}
            defaultValue={thread.title}
            dir="auto"
            className="h-10 w-full rounded-md border border-line-strong bg-bg px-3 text-sm"
          />
        </Dialog>
      ) : null}
      {asking === "delete" ? (
        <Confirm
          title="Delete this thread?"
          confirm="Delete"
          busy={busy}
          onClose={() => setAsking(null)}
          onConfirm={() =>
            void attempt(async () => {
              await own.deleteThread(thread.id);
              toast("Thread deleted.");
              onGone();
            })
          }
        >
          <p>
            <span className="font-medium break-words text-text [unicode-bidi:isolate]">{threadTitle(thread)}</span>, its messages, runs and files go for good.
            What runs in it is stopped.
          </p>
        </Confirm>
      ) : null}
    </>
  );
}

// ------------------------------------------------------------------------------------------------- around the messages

/** Behind the last message: what is about to come, or why it does not. */
function End({ talk, onRetry }: { talk: Conversation; onRetry: () => void }) {
  const last = talk.messages.at(-1);
  const isEmptyHanded = talk.busy && !talk.lost && last?.role === "user";
  return (
    <div className="mx-auto max-w-3xl px-4 pb-6 sm:px-6">
      {isEmptyHanded ? (
        <div className="py-3">
          <Writing />
        </div>
      ) : null}
      {talk.lost ? (
        <div className="py-3">
          <Writing label="Connection lost. The answer goes on when the server is back" />
        </div>
      ) : null}
      {talk.failure !== null && !talk.busy && !(last?.metadata?.interrupted === true) ? (
        <div className="py-2">
          <Failed text={told(talk.failure)} onRetry={onRetry} />
        </div>
      ) : null}
    </div>
  );
}

/** Says in words what the eye sees: for screen readers, and only what matters. */
function Announcer({ talk, waiting }: { talk: Conversation; waiting: boolean }) {
  const text = talk.lost
    ? "Connection lost. The answer goes on when the server is back."
    : talk.busy
      ? "The answer is being written."
      : waiting
        ? "A tool waits for your approval. Alt and A go to it."
        : talk.failure !== null
          ? "The answer failed."
          : talk.messages.at(-1)?.role === "assistant"
            ? "The answer is complete."
            : "";
  return (
    <p role="status" className="sr-only">
      {text}
    </p>
  );
}

function Welcome({ agent, onChoose }: { agent: string | null; onChoose: (prompt: string) => void }) {
  const suggestions = useQuery("suggestions", kai.listSuggestions);
  return (
    <div className="flex min-h-0 flex-1 flex-col items-center justify-center gap-6 overflow-y-auto p-4 text-center sm:p-6">
      <div className="flex flex-col items-center">
        <Mark size={44} />
        <p className="mt-5 text-2xl font-semibold tracking-tight">What shall we do?</p>
        <p className="mt-1 text-muted">
          {agent === null ? "Ask anything." : <>You are talking to {visible(agent)}.</>} Answers go on when you close this page.
        </p>
      </div>
      <ul className="grid min-h-24 w-full max-w-[45rem] gap-2 sm:grid-cols-3 sm:gap-3">
        {(suggestions.data?.suggestions ?? []).slice(0, 3).map((one) => (
          <li key={one.id}>
            <button
              type="button"
              onClick={() => onChoose(one.prompt)}
              className="flex h-full w-full flex-col rounded-2xl border border-line bg-raised px-4 py-3 text-left shadow-xs transition-colors hover:border-line-strong hover:bg-hover"
            >
              <span className="block text-sm font-medium">{one.label}</span>
              <span className="mt-1 block text-xs text-muted">{one.reasoning}</span>
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

function Skeleton() {
  return (
    <div role="status" aria-busy="true" aria-label="Loading the thread" className="mx-auto grid w-full max-w-3xl gap-4 p-6">
      <div className="skeleton ml-auto h-10 w-1/2" />
      <div className="skeleton h-4 w-11/12" />
      <div className="skeleton h-4 w-4/5" />
      <div className="skeleton h-4 w-2/3" />
    </div>
  );
}

// --------------------------------------------------------------------------------------------------------------- votes

interface Votes {
  given: ReadonlyMap<string, kai.VoteWord>;
  give: (message: string, word: kai.VoteWord) => void;
}

function useVotes(id: string, talk: Conversation): Votes {
  const readable = talk.thread?.mine === true;
  const query = useQuery(readable ? `votes:${id}` : null, (signal) => kai.listVotes(id, signal));
  const [here, setHere] = useState<ReadonlyMap<string, kai.VoteWord>>(new Map());
  const given = useMemo(
    () => new Map([...(query.data ?? []).map((one) => [one.messageId, one.type] as const), ...here]),
    [query.data, here],
  );
  return {
    given,
    give: (message, word) => {
      const before = given.get(message);
      setHere((old) => new Map(old).set(message, word));
      kai.vote(id, message, word).catch((error: unknown) => {
        toast(told(error), "bad");
        setHere((old) => {
          const next = new Map(old);
          if (before === undefined) next.delete(message);
          else next.set(message, before);
          return next;
        });
      });
    },
  };
}
