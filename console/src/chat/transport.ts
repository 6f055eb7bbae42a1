// How useChat talks to Kai's face. Of the messages only the last one travels: the stored history is the truth, and a
// long thread would not fit. Of an answer that goes back with a decision, only the decision travels.

import { HttpChatTransport, isToolUIPart, type UIMessageChunk } from "ai";
import { isRecord, reach, refusal } from "../api/http";
import { CHAT } from "../api/kai";
import { eventsOf } from "../api/sse";
import type { ChatMessage } from "./messages";

export interface TransportHooks {
  /** The agent that is to answer; null lets the server choose. */
  agent: () => string | null;
  /** Whether this page has given the output of this tool call. */
  answered: (call: string) => boolean;
  /** An answer begins, of this run. */
  onRun: (run: string) => void;
  /** There was nothing to go on with: what was under way has ended. */
  onNothing: () => void;
}

export class ConsoleTransport extends HttpChatTransport<ChatMessage> {
  /** A stream that is opened again tells its answer from the beginning. */
  readonly resumeStreamIsReplay = true;

  constructor(hooks: TransportHooks) {
    super({
      api: CHAT,
      fetch: async (input, init) => {
        const response = await reach(input, init);
        if (!response.ok) throw await refusal(response);
        if (response.status === 204) hooks.onNothing();
        const run = response.headers.get("x-dragoman-run");
        if (run !== null) hooks.onRun(run);
        return response;
      },
      prepareSendMessagesRequest: ({ id, messages, trigger, messageId }) => {
        const agent = hooks.agent();
        return {
          body: {
            id,
            trigger,
            forms: true,
            messages: messages.slice(-1).map((message) => sent(message, hooks.answered)),
            ...(messageId === undefined ? {} : { messageId }),
            ...(agent === null ? {} : { selectedChatModel: agent }),
          },
        };
      },
    });
  }

  protected override processResponseStream(body: ReadableStream<Uint8Array>): ReadableStream<UIMessageChunk> {
    return chunksOf(body);
  }
}

/** The pieces of an answer. Errors if the stream breaks, falls silent, or says what is no piece of an answer. */
export function chunksOf(body: ReadableStream<Uint8Array>): ReadableStream<UIMessageChunk> {
  const events = eventsOf(body);
  return new ReadableStream<UIMessageChunk>({
    async pull(controller) {
      let next = await events.next();
      while (next.done !== true && next.value.data === END) next = await events.next();
      if (next.done === true) controller.close();
      else controller.enqueue(chunkOf(next.value.data));
    },
    async cancel() {
      await events.return(undefined);
    },
  });
}

const END = "[DONE]";

function chunkOf(data: string): UIMessageChunk {
  const chunk: unknown = JSON.parse(data);
  if (!isRecord(chunk) || typeof chunk.type !== "string") throw new Error("The server sent what is no piece of an answer.");
  return chunk as UIMessageChunk; // of the kinds, `ai` knows its own and passes over others
}

/** A message as it is sent: without what only this page knows. */
export function sent(message: ChatMessage, answered: (call: string) => boolean): unknown {
  const { id, role } = message;
  if (role !== "assistant") {
    const told = message.parts.map((part) => {
      if (part.type !== "file") return part;
      const { type, url, mediaType, filename } = part;
      return { type, url, mediaType, ...(filename === undefined ? {} : { filename }) };
    });
    return { id, role, parts: told };
  }
  const parts = message.parts.filter(isToolUIPart).flatMap((part): unknown[] => {
    const head = { type: part.type, toolCallId: part.toolCallId, state: part.state };
    if (part.state === "approval-responded") return [{ ...head, approval: part.approval }];
    if (!answered(part.toolCallId)) return [];
    if (part.state === "output-available") return [{ ...head, output: part.output }];
    if (part.state === "output-error") return [{ ...head, errorText: part.errorText }];
    return [];
  });
  return { id, role, parts };
}
