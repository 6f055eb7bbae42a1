// Server-sent events over fetch: a decoder of bytes, and a reader that comes back with Last-Event-ID.
// EventSource is no choice: it cannot tell a refusal from a lost network.

import { connection } from "./connection";
import { isAbort, reach, refusal, Unreachable } from "./http";
import { watched } from "./watch";

export interface ServerEvent {
  id: string;
  event: string;
  data: string;
}

/** Text in any pieces → whole events. An event that was cut off at the end is dropped, as the standard says. */
export class EventDecoder {
  lastId = "";
  private rest = "";
  private data: string[] = [];
  private event = "";

  push(text: string): ServerEvent[] {
    const events: ServerEvent[] = [];
    let buffer = this.rest + text;
    // a CR at the end may be half of a CRLF
    const held = buffer.endsWith("\r") ? "\r" : "";
    if (held) buffer = buffer.slice(0, -1);
    const lines = buffer.split(/\r\n|\n|\r/);
    this.rest = (lines.pop() ?? "") + held;
    for (const line of lines) {
      const made = this.line(line);
      if (made) events.push(made);
    }
    return events;
  }

  private line(line: string): ServerEvent | null {
    if (line === "") {
      const data = this.data;
      const event = this.event || "message";
      this.data = [];
      this.event = "";
      return data.length === 0 ? null : { id: this.lastId, event, data: data.join("\n") };
    }
    const colon = line.indexOf(":");
    if (colon === 0) return null;
    const field = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? "" : line.slice(colon + 1);
    if (value.startsWith(" ")) value = value.slice(1);
    if (field === "data") this.data.push(value);
    else if (field === "event") this.event = value;
    else if (field === "id" && !value.includes("\0")) this.lastId = value;
    return null;
  }
}

export interface Following {
  signal: AbortSignal;
  /** The id of the last event that is known already. */
  lastId?: string;
  /** Returns true once nothing more is wanted. */
  onEvent: (event: ServerEvent) => boolean | void;
  /** Each time the stream stands. */
  onOpen?: () => void;
  /** Whether a stream that ended in order is opened again. */
  again?: boolean;
}

const WAITS = [250, 500, 1_000, 2_000, 4_000, 8_000];

/**
 * Reads a stream of events until `onEvent` says that it is enough, the server has no more (204, or an end in order
 * without `again`), or `signal` aborts. Comes back after faults of the network. Throws ApiError for a refusal.
 */
export async function follow(path: string, options: Following): Promise<void> {
  let lastId = options.lastId ?? "";
  let failures = 0;
  while (!options.signal.aborted) {
    try {
      const headers: Record<string, string> = { accept: "text/event-stream" };
      if (lastId !== "") headers["last-event-id"] = lastId;
      const response = await reach(path, { headers, signal: options.signal, cache: "no-store" });
      if (response.status === 204) return;
      if (response.status >= 500 || response.status === 429) throw new Unreachable(); // which passes
      if (!response.ok || response.body === null) throw await refusal(response);
      options.onOpen?.();
      failures = 0;
      let isClosing = false;
      for await (const event of eventsOf(response.body, lastId)) {
        if (event.event === "closing") {
          isClosing = true;
          break;
        }
        lastId = event.id;
        if (options.onEvent(event) === true) return;
      }
      if (!isClosing && !options.again) return;
    } catch (error) {
      if (isAbort(error) || options.signal.aborted) return;
      // a body that breaks off throws TypeError
      if (!(error instanceof Unreachable) && !(error instanceof TypeError)) throw error;
    }
    const wait = WAITS[Math.min(failures, WAITS.length - 1)] ?? 8_000;
    failures += 1;
    await pause(wait, options.signal);
  }
}

/** The events of one body; the body is let go of when the loop is left. */
export async function* eventsOf(body: ReadableStream<Uint8Array>, lastId = ""): AsyncGenerator<ServerEvent> {
  const decoder = new EventDecoder();
  decoder.lastId = lastId;
  const text = new TextDecoder();
  const reader = watched(body).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield* decoder.push(text.decode(value, { stream: true }));
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}

/** Resolves after `ms`, when the server is back, or when `signal` aborts, whichever comes first. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      unsubscribe();
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    const unsubscribe = connection.subscribe(() => {
      if (connection.current().online) done();
    });
    signal.addEventListener("abort", done);
  });
}
