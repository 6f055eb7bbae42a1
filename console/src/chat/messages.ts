// Stored items of a thread → messages as useChat holds them. The same rules as Kai's own history (one message of the
// user is one item; all items of one answer are one message), but page by page, and with what Kai's wire leaves out:
// the run of an answer, widgets of forms, which tools wait for this page.

import type { UIMessage, UIMessagePart } from "ai";
import { isRecord } from "../api/http";
import type { Item } from "../api/types";

/** What is known of a tool call beyond its part. */
export interface CallDetail {
  /** It waits for the page's output, or for a form to be filled in. */
  client: boolean;
  widget?: unknown;
}

export interface MessageDetail {
  created?: number;
  run?: string;
  interrupted?: boolean;
  calls?: Record<string, CallDetail>;
}

export type ChatMessage = UIMessage<MessageDetail>;
export type ChatPart = UIMessagePart<Record<string, unknown>, never>;
type Part = ChatMessage["parts"][number];

/** `items` in the order of the thread; the answer `without` is left out, because a stream is about to tell it. */
export function messagesOf(items: readonly Item[], without: string | null = null): ChatMessage[] {
  const messages: ChatMessage[] = [];
  let open: ChatMessage | null = null;
  let step = -1;
  for (const item of items) {
    if (item.role === "user" && item.kind === "message") {
      open = null;
      if (!item.hidden) messages.push(userMessage(item));
    } else if (item.role === "assistant" && item.answer !== null && item.answer !== without) {
      if (open === null || open.id !== item.answer) {
        open = { id: item.answer, role: "assistant", parts: [], metadata: { created: item.created } };
        if (item.run !== null) open.metadata = { ...open.metadata, run: item.run };
        step = -1;
        messages.push(open);
      }
      const part = partOf(item);
      if (part !== null) {
        if (item.step !== step) {
          step = item.step;
          open.parts.push({ type: "step-start" });
        }
        open.parts.push(part);
      }
      const calls = detailOf(item);
      if (calls) open.metadata = { ...open.metadata, calls: { ...open.metadata?.calls, ...calls } };
      if (item.status === "interrupted") open.metadata = { ...open.metadata, interrupted: true };
    }
  }
  return messages;
}

function userMessage(item: Item): ChatMessage {
  const parts: Part[] = [];
  for (const part of list(item.body.parts)) {
    if (part.type === "file") {
      parts.push({
        type: "file",
        url: text(part.url),
        mediaType: text(part.media_type),
        ...(part.name ? { filename: text(part.name) } : {}),
        ...addressOf(part),
      });
    } else if (typeof part.text === "string") parts.push({ type: "text", text: part.text });
  }
  const detail: MessageDetail = { created: item.created };
  if (item.run !== null) detail.run = item.run;
  return { id: item.id, role: "user", parts, metadata: detail };
}

/** The part of one item of an answer; null for what is not shown. */
function partOf(item: Item): Part | null {
  const { body } = item;
  switch (item.kind) {
    case "message":
      return text(body.text) === "" ? null : { type: "text", text: text(body.text), state: "done" };
    case "reasoning":
      return text(body.text) === "" ? null : { type: "reasoning", text: text(body.text), state: "done" };
    case "tool_call":
      return toolPart(body);
    case "hidden":
    case "end_of_turn":
      return null;
    case "file":
    case "image":
      if (typeof body.url !== "string") break;
      return {
        type: "file",
        url: body.url,
        mediaType: text(body.media_type) || "application/octet-stream",
        ...(body.name ? { filename: text(body.name) } : {}),
        ...addressOf(body),
      };
    case "source": {
      const sourceId = text(body.id) || item.id;
      const title = text(body.title);
      if (typeof body.url === "string") return { type: "source-url", sourceId, url: body.url, ...(title ? { title } : {}) };
      return {
        type: "source-document",
        sourceId,
        mediaType: text(body.media_type) || "application/octet-stream",
        title: title || text(body.name) || sourceId,
        ...(body.name ? { filename: text(body.name) } : {}),
      };
    }
    case "data":
      return body.transient ? null : { type: `data-${text(body.name) || "data"}`, id: item.id, data: body.data };
  }
  return { type: `data-${item.kind.replaceAll("_", "-")}`, id: item.id, data: body };
}

/** Where a file of this server's can be fetched, beside the name that it is sent with. */
function addressOf(body: Record<string, unknown>): { providerMetadata?: { dragoman: { address: string } } } {
  return typeof body.address === "string" ? { providerMetadata: { dragoman: { address: body.address } } } : {};
}

function toolPart(body: Record<string, unknown>): Part {
  const approval = isRecord(body.approval) && typeof body.approval.id === "string" ? body.approval : null;
  const state = text(body.state) || "input-available";
  const part: Record<string, unknown> = {
    type: `tool-${text(body.name)}`,
    toolCallId: text(body.call),
    state,
    input: body.input ?? {},
  };
  if (state === "output-available") part.output = body.output;
  if (state === "output-error") part.errorText = text(body.error) || "The tool failed.";
  if (approval) {
    part.approval = {
      id: approval.id,
      ...(typeof approval.approved === "boolean" ? { approved: approval.approved } : {}),
      ...(typeof approval.reason === "string" ? { reason: approval.reason } : {}),
    };
  }
  // the states of the journal are those of the parts; the compiler cannot know that
  return part as unknown as Part;
}

function detailOf(item: Item): Record<string, CallDetail> | null {
  if (item.kind !== "tool_call" || !item.body.client) return null;
  return { [text(item.body.call)]: { client: true, ...(item.body.widget ? { widget: item.body.widget } : {}) } };
}

/**
 * A page of items, newest first as they are asked for, → in order, without the piece of an answer at its old end that
 * the page before has the rest of. `cursor` is where to go on; null at the beginning of the thread.
 */
export function wholeAnswers(page: readonly Item[], more: boolean): { items: Item[]; cursor: number | null } {
  const items = [...page].reverse();
  if (!more) return { items, cursor: null };
  const begin = items.findIndex((item) => item.role === "user" && item.kind === "message");
  // one answer longer than the page: better a piece than nothing
  const kept = begin < 0 ? items : items.slice(begin);
  return { items: kept, cursor: kept[0]?.pos ?? null };
}

/** What is newly read takes its place among what is shown; what has not changed stays the same object. */
export function merged(shown: readonly ChatMessage[], read: readonly ChatMessage[]): { messages: ChatMessage[]; joined: boolean } {
  const first = read[0];
  if (first === undefined) return { messages: [], joined: false };
  const place = shown.findIndex((message) => message.id === first.id);
  const before = place < 0 ? [] : shown.slice(0, place);
  const known = new Map(shown.slice(Math.max(place, 0)).map((message) => [message.id, message]));
  const fresh = read.map((message) => {
    const old = known.get(message.id);
    return old !== undefined && JSON.stringify(old) === JSON.stringify(message) ? old : message;
  });
  return { messages: [...before, ...fresh], joined: place >= 0 };
}

/**
 * The answer without what an attempt had said that broke off with the server: the attempt after it says it anew.
 *
 * An answer goes on behind tools alone, so a step after one that had only said something is such an attempt. The same
 * message if there is none.
 */
export function withoutBroken(message: ChatMessage): ChatMessage {
  const steps: Part[][] = [];
  for (const part of message.parts) {
    if (part.type === "step-start" || steps.length === 0) steps.push([]);
    steps.at(-1)?.push(part);
  }
  const kept = steps.filter((step, place) => place === steps.length - 1 || !isOnlySaid(step.at(-1)));
  return kept.length === steps.length ? message : { ...message, parts: kept.flat() };
}

function isOnlySaid(part: Part | undefined): boolean {
  return part?.type === "text" || part?.type === "reasoning";
}

/** The text of a message, as it is copied or edited. */
export function textOf(message: ChatMessage): string {
  return message.parts
    .filter((part) => part.type === "text")
    .map((part) => part.text)
    .join("\n\n");
}

function list(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.filter(isRecord) : [];
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}
