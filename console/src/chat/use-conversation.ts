// One thread as the page holds it: stored messages, page by page, and the answer that is under way.
//
// The journal is the truth. `sync` reads its end and shows it; if an answer is under way, that answer is left out and
// its stream opened, which tells it from its beginning. So opening, reloading, a restarted server, a decision in
// another tab and a message over another face are all the same thing: sync.

import { useChat } from "@ai-sdk/react";
import { generateId, isToolUIPart, lastAssistantMessageIsCompleteWithApprovalResponses, lastAssistantMessageIsCompleteWithToolCalls } from "ai";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { useChangedRuns } from "../api/changes";
import { connection, useConnection } from "../api/connection";
import { ApiError, isAbort, told, Unreachable } from "../api/http";
import { stopChat } from "../api/kai";
import * as own from "../api/own";
import { stateOf, type QueryState } from "../api/query";
import type { Run, Thread } from "../api/types";
import { toast } from "../ui/toast";
import { merged, messagesOf, textOf, withoutBroken, wholeAnswers, type ChatMessage } from "./messages";
import { ConsoleTransport } from "./transport";

const PAGE = 120;
const THROTTLE_MS = 50;
/** The words of the server that goes away in the middle of an answer, which goes on once it is back. */
const RESTARTING = "The server is restarting";

export interface Outgoing {
  text: string;
  files: { type: "file"; url: string; mediaType: string; filename?: string }[];
}

export interface Conversation {
  state: QueryState;
  error: unknown;
  thread: Thread | null;
  messages: ChatMessage[];
  /** Something is being written, or is about to be. */
  busy: boolean;
  /** The stream broke and will go on by itself. */
  lost: boolean;
  /** Why the last answer failed; null if it did not. */
  failure: Error | null;
  hasOlder: boolean;
  runs: ReadonlyMap<string, Run>;
  /** The run of the answer that is being written, or was written last. */
  run: string | null;
  send: (message: Outgoing) => void;
  edit: (id: string, message: Outgoing) => void;
  retry: (id?: string) => void;
  stop: () => void;
  decide: (approval: string, approved: boolean, reason?: string) => void;
  answer: (tool: string, call: string, output: unknown) => void;
  decline: (tool: string, call: string, reason: string) => void;
  loadOlder: () => void;
  reload: () => void;
  setThread: (thread: Thread) => void;
}

export interface ConversationHooks {
  /** The agent that is to answer; null lets the server choose. */
  agent: () => string | null;
  /** Something has changed that the list of threads may show. */
  onMoved: () => void;
  /** The server has taken neither the message nor its change (`edits`: the id of the one it was to take the place of). */
  onRefused: (message: Outgoing, edits: string | null) => void;
}

/** What was sent and not taken yet. */
interface Sending {
  message: Outgoing;
  edits: string | null;
}

export function useConversation(id: string, isNew: boolean, hooks: ConversationHooks): Conversation {
  const [state, setState] = useState<QueryState>(isNew ? "ready" : "loading");
  const [problem, setProblem] = useState<unknown>(null);
  const [thread, setThread] = useState<Thread | null>(null);
  const [runs, setRuns] = useState<ReadonlyMap<string, Run>>(new Map());
  const [run, setRun] = useState<string | null>(null);
  const [cursor, setCursor] = useState<number | null>(null);
  const [lost, setLost] = useState(false);
  // since the stream broke: what is shown may have an attempt in it that broke off
  const [isRough, setRough] = useState(false);
  // between knowing that an answer is under way and hearing of it
  const [resuming, setResuming] = useState(false);
  const { epoch, online } = useConnection();

  const isStored = useRef(!isNew);
  const headless = useRef(isNew);
  const answered = useRef(new Set<string>());
  const turn = useRef(0);
  const loadingOlder = useRef(false);
  const sending = useRef<Sending | null>(null);
  // "stop" was pressed before the server had taken what was sent: there was nothing yet that it could stop
  const stopping = useRef(false);
  const latest = useRef(hooks);
  latest.current = hooks;

  const stop = useRef(() => undefined as void);
  stop.current = () => {
    stopChat(id).catch((error: unknown) => {
      if (!(error instanceof ApiError && error.status === 404)) toast(told(error), "bad");
      else if (!stopping.current) void chatRef.current.stop();
    });
  };

  const transport = useMemo(
    () =>
      new ConsoleTransport({
        agent: () => latest.current.agent(),
        answered: (call) => answered.current.has(call),
        onRun: (started) => {
          if (stopping.current) stop.current();
          stopping.current = false;
          isStored.current = true;
          sending.current = null;
          setRun(started);
          latest.current.onMoved();
          // the head of a thread that has just begun
          if (headless.current) {
            headless.current = false;
            own.getThread(id).then(setThread, () => undefined);
          }
        },
        onNothing: () => void syncLater.current(),
      }),
    [id],
  );

  const chat = useChat<ChatMessage>({
    id,
    transport,
    generateId,
    experimental_throttle: THROTTLE_MS,
    sendAutomaticallyWhen: ({ messages }) => {
      const last = messages.at(-1);
      if (last?.role !== "assistant") return false;
      const decided = last.parts.some((part) => isToolUIPart(part) && part.state === "approval-responded");
      if (decided) return lastAssistantMessageIsCompleteWithApprovalResponses({ messages });
      const given = last.parts.some((part) => isToolUIPart(part) && answered.current.has(part.toolCallId));
      return given && lastAssistantMessageIsCompleteWithToolCalls({ messages });
    },
    onError: (error) => {
      if (isLoss(error)) {
        setLost(true);
        setRough(true);
        connection.lost();
      } else if (error instanceof ApiError && (error.status === 409 || error.status === 404)) {
        // decided in another tab, or gone: the journal has what is
        toast(error.code === "conflict:approval" ? "This was decided elsewhere already; nothing has changed." : told(error), "bad");
        chatRef.current.clearError();
        void syncLater.current();
        const refused = sending.current;
        sending.current = null;
        if (refused !== null) latest.current.onRefused(refused.message, refused.edits);
      }
    },
    onFinish: ({ isDisconnect }) => {
      answered.current.clear();
      if (!isDisconnect) isAfterLoss.current = false;
      latest.current.onMoved();
      if (!isDisconnect) void syncLater.current();
    },
  });

  const busy = chat.status === "submitted" || chat.status === "streaming";
  const chatRef = useRef(chat);
  chatRef.current = chat;
  const busyRef = useRef(busy);
  busyRef.current = busy || resuming;
  const resumed = useRef(0);

  const isAfterLoss = useRef(false);
  const lostRef = useRef(lost);
  lostRef.current = lost;

  const resume = useCallback(() => {
    const mine = ++resumed.current;
    busyRef.current = true;
    setResuming(true);
    void chatRef.current.resumeStream().finally(() => {
      if (mine === resumed.current) setResuming(false);
    });
  }, []);

  /** Sends a message, or another in place of one that was sent before. */
  const transmit = useCallback((given: Sending): void => {
    sending.current = given;
    const { message, edits } = given;
    const parts: ChatMessage["parts"] = [...message.files];
    if (message.text !== "") parts.push({ type: "text", text: message.text });
    const made = { role: "user" as const, parts, metadata: { created: Date.now() / 1_000 } };
    attempt(chatRef.current.sendMessage(edits === null ? made : { ...made, messageId: edits }));
  }, []);

  const sync = useCallback(async (): Promise<void> => {
    const mine = ++turn.current;
    // a message that may never have arrived; the server knows it by its id if it has
    const last = chatRef.current.messages.at(-1);
    const unsent = lostRef.current && last?.role === "user" ? last : null;
    if (!isStored.current) {
      if (unsent === null || !connection.current().online) return;
      setLost(false);
      void chatRef.current.regenerate();
      return;
    }
    try {
      const found = await own.getThread(id);
      const active = found.active_run ? await own.getRun(found.active_run) : null;
      const isMoving = active !== null && (active.status === "queued" || active.status === "running");
      const [page, ran] = await Promise.all([own.listItems(id, null, PAGE), own.listRuns({ thread: id, limit: 100 })]);
      if (mine !== turn.current) return;
      setThread(found);
      setRuns(new Map(ran.runs.map((one) => [one.id, one])));
      const whole = wholeAnswers(page.items, page.more);
      const read = messagesOf(whole.items, isMoving ? active.answer : null);
      const { messages, joined } = merged(chatRef.current.messages, read);
      const isMissing = unsent !== null && !read.some((message) => message.id === unsent.id);
      if (isMissing) messages.push(unsent);
      const change = lostRef.current ? sending.current : null;
      const isUnchanged = change !== null && read.some((message) => message.id === change.edits && textOf(message) !== change.message.text);
      // a stream is being read: it knows better than what was stored a moment ago
      if (!busyRef.current) {
        chatRef.current.setMessages(messages);
        if (!joined) setCursor(whole.cursor);
        if (!isMoving) setRough(false);
        if (isUnchanged) {
          transmit(change);
        } else if (isMissing) {
          void chatRef.current.regenerate();
        } else if (isMoving) {
          chatRef.current.clearError();
          if (lostRef.current) isAfterLoss.current = true;
          resume();
        } else if (lostRef.current) {
          chatRef.current.clearError();
        }
      }
      if (active !== null) setRun(active.id);
      setLost(false);
      setState("ready");
      setProblem(null);
    } catch (error) {
      if (mine !== turn.current || isAbort(error)) return;
      setProblem(error);
      setState((old) => (old === "ready" && error instanceof Unreachable ? old : stateOf(error)));
    }
  }, [id, resume, transmit]);

  // a stream tells of its end before its hook has noticed: what is read then is read a moment later
  const syncLater = useRef(async () => undefined as void);
  syncLater.current = async () => {
    await new Promise((resolve) => setTimeout(resolve, 0));
    await sync();
  };

  useEffect(() => {
    void sync();
    return () => {
      turn.current += 1;
    };
  }, [sync]);

  // the server is back: what was shown may be old, and an answer may be under way
  useEffect(() => {
    if (epoch > 0 && online) void sync();
  }, [epoch, online, sync]);

  // A server that has just come back may still show what a broken attempt had said, and then begin that step anew. The
  // stream cannot take words back, but a replay leaves them out: once it begins again, so does the reading.
  const lastMessage = chat.messages.at(-1);
  useEffect(() => {
    if (!isAfterLoss.current || !busy || lastMessage === undefined || withoutBroken(lastMessage) === lastMessage) return;
    isAfterLoss.current = false;
    void chatRef.current.stop(); // of the reading alone; its end is followed by a sync, and that by a replay
  }, [busy, lastMessage]);

  useEffect(() => {
    if (chat.status === "ready" || chat.status === "error") stopping.current = false;
  }, [chat.status]);

  // somebody else moved the thread: another tab, another face
  useChangedRuns((changed) => {
    if (!busyRef.current && state === "ready" && isStored.current && changed.some((one) => one.thread === id && isNews(one, runs))) void sync();
  });
  useEffect(() => {
    const onVisible = (): void => {
      if (document.visibilityState === "visible" && !busyRef.current) void sync();
    };
    document.addEventListener("visibilitychange", onVisible);
    return () => document.removeEventListener("visibilitychange", onVisible);
  }, [sync]);

  // until then, only the attempt that goes on is shown
  const messages = useMemo(() => {
    const last = chat.messages.at(-1);
    if (!isRough || last?.role !== "assistant") return chat.messages;
    const whole = withoutBroken(last);
    return whole === last ? chat.messages : [...chat.messages.slice(0, -1), whole];
  }, [chat.messages, isRough]);

  const loadOlder = useCallback(() => {
    if (cursor === null || loadingOlder.current) return;
    loadingOlder.current = true;
    own
      .listItems(id, cursor, PAGE)
      .then((page) => {
        const whole = wholeAnswers(page.items, page.more);
        const older = messagesOf(whole.items);
        chatRef.current.setMessages((shown) => [...older, ...shown]);
        setCursor(whole.cursor === cursor ? null : whole.cursor);
      })
      .catch((error: unknown) => toast(told(error), "bad"))
      .finally(() => {
        loadingOlder.current = false;
      });
  }, [id, cursor]);

  return {
    state,
    error: problem,
    thread,
    messages,
    busy: busy || lost || resuming,
    lost: lost || (!online && busy),
    failure: lost || chat.error === undefined ? null : chat.error,
    hasOlder: cursor !== null,
    runs,
    run,
    send: (message) => {
      turn.current += 1; // what is being read now is old
      transmit({ message, edits: null });
    },
    edit: (messageId, message) => {
      turn.current += 1;
      transmit({ message, edits: messageId });
    },
    retry: (messageId) => {
      turn.current += 1;
      const change = sending.current;
      // asking anew would ask what the server has, which is not what was written last
      if (messageId === undefined && change !== null && change.edits !== null) transmit(change);
      else attempt(chat.regenerate(messageId === undefined ? {} : { messageId }));
    },
    stop: () => {
      stopping.current = chat.status === "submitted";
      stop.current();
    },
    decide: (approval, approved, reason) => {
      turn.current += 1;
      attempt(Promise.resolve(chat.addToolApprovalResponse({ id: approval, approved, ...(reason ? { reason } : {}) })));
    },
    answer: (tool, call, output) => {
      turn.current += 1;
      answered.current.add(call);
      attempt(Promise.resolve(chat.addToolOutput({ tool: tool as never, toolCallId: call, output: output as never })));
    },
    decline: (tool, call, reason) => {
      turn.current += 1;
      answered.current.add(call);
      attempt(
        Promise.resolve(chat.addToolOutput({ state: "output-error", tool: tool as never, toolCallId: call, errorText: reason })),
      );
    },
    loadOlder,
    reload: () => void sync(),
    setThread,
  };
}

/** Whether a run is not as it was when the thread was read. */
export function isNews(run: Run, known: ReadonlyMap<string, Run>): boolean {
  const old = known.get(run.id);
  if (old !== undefined) return old.status !== run.status || old.last_seq !== run.last_seq;
  // what had ended before the oldest that was read is no news
  const newest = Math.max(0, ...[...known.values()].map((one) => one.created));
  return run.ended === null || run.created > newest;
}

/** Whether an error means that the connection is gone, and not that the answer is. */
export function isLoss(error: unknown): boolean {
  if (error instanceof Unreachable || error instanceof TypeError) return true;
  return error instanceof Error && error.message.startsWith(RESTARTING);
}

/** Says what could not be done. */
function attempt(made: Promise<unknown>): void {
  made.catch((error: unknown) => {
    if (!isAbort(error)) toast(told(error), "bad");
  });
}
