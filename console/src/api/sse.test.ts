import { expect, test, vi } from "vitest";
import { ApiError } from "./http";
import { EventDecoder, eventsOf, follow, type ServerEvent } from "./sse";

const WIRE = ': open\r\nretry: 1000\r\n\r\nid: 1\r\ndata: {"a":1}\r\n\r\nid: 2\nevent: closing\ndata: x\ndata: y\n\ndata: cut';
const TOLD: ServerEvent[] = [
  { id: "1", event: "message", data: '{"a":1}' },
  { id: "2", event: "closing", data: "x\ny" },
];

test("any split of the text gives the same events", () => {
  for (let cut = 0; cut <= WIRE.length; cut++) {
    const decoder = new EventDecoder();
    expect([...decoder.push(WIRE.slice(0, cut)), ...decoder.push(WIRE.slice(cut))]).toEqual(TOLD);
  }
});

test("one character at a time gives the same events", () => {
  const decoder = new EventDecoder();
  expect([...WIRE].flatMap((character) => decoder.push(character))).toEqual(TOLD);
});

test("an event without an id of its own keeps the last one", () => {
  const decoder = new EventDecoder();
  expect(decoder.push("id: 7\ndata: a\n\ndata: b\n\n").map((event) => event.id)).toEqual(["7", "7"]);
});

test("a character that is cut by the network is put together again", async () => {
  const bytes = new TextEncoder().encode("data: ä€😀\n\n");
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const byte of bytes) controller.enqueue(Uint8Array.of(byte));
      controller.close();
    },
  });
  const events: ServerEvent[] = [];
  for await (const event of eventsOf(body)) events.push(event);
  expect(events.map((event) => event.data)).toEqual(["ä€😀"]);
});

test("a fault of the server passes, and a refusal does not", async () => {
  vi.useFakeTimers();
  const answers = [new Response("", { status: 500 }), new Response("data: a\n\n"), new Response("{}", { status: 403 })];
  vi.stubGlobal("fetch", () => Promise.resolve(answers.shift()));
  const told: string[] = [];
  const refused = follow("/x", { signal: new AbortController().signal, again: true, onEvent: (event) => void told.push(event.data) }).catch((error: unknown) => error);
  await vi.advanceTimersByTimeAsync(2_000);
  expect(await refused).toBeInstanceOf(ApiError);
  expect([told, answers.length]).toEqual([["a"], 0]);
  vi.unstubAllGlobals();
  vi.useRealTimers();
});
