import { expect, test } from "vitest";
import type { ChatMessage } from "./messages";
import { chunksOf, sent } from "./transport";

const answer: ChatMessage = {
  id: "a1",
  role: "assistant",
  metadata: { run: "r" },
  parts: [
    { type: "text", text: "long text" },
    { type: "tool-add", toolCallId: "c0", state: "output-available", input: {}, output: { big: 1 } },
    { type: "tool-rm", toolCallId: "c1", state: "approval-responded", input: { path: "/" }, approval: { id: "p1", approved: false, reason: "no" } },
    { type: "tool-ask", toolCallId: "c2", state: "output-available", input: {}, output: { name: "Ada" } },
  ],
};

test("of an answer only decisions and what this page has given travel", () => {
  expect(sent(answer, (call) => call === "c2")).toEqual({
    id: "a1",
    role: "assistant",
    parts: [
      { type: "tool-rm", toolCallId: "c1", state: "approval-responded", approval: { id: "p1", approved: false, reason: "no" } },
      { type: "tool-ask", toolCallId: "c2", state: "output-available", output: { name: "Ada" } },
    ],
  });
});

test("what only this page knows of a question stays here", () => {
  const question: ChatMessage = { id: "q", role: "user", parts: [{ type: "text", text: "hi" }], metadata: { created: 1 } };
  expect(sent(question, () => false)).toEqual({ id: "q", role: "user", parts: [{ type: "text", text: "hi" }] });
});

const streamed = (...texts: string[]): ReadableStream<Uint8Array> =>
  new ReadableStream({
    start(controller) {
      for (const text of texts) controller.enqueue(new TextEncoder().encode(text));
      controller.close();
    },
  });

async function read(stream: ReadableStream<unknown>): Promise<unknown[]> {
  const found: unknown[] = [];
  const reader = stream.getReader();
  for (let next = await reader.read(); !next.done; next = await reader.read()) found.push(next.value);
  return found;
}

test("an answer is read in its pieces, however it is cut, without comments and the word at its end", async () => {
  const wire = ': beat\n\ndata: {"type":"start"}\n\ndata: {"type":"text-delta","id":"t","delta":"é"}\n\ndata: [DONE]\n\n';
  const pieces = [{ type: "start" }, { type: "text-delta", id: "t", delta: "é" }];
  expect(await read(chunksOf(streamed(wire)))).toEqual(pieces);
  expect(await read(chunksOf(streamed(...wire.split(/(?<=.)/s))))).toEqual(pieces);
});

test.each(["no json", "[]", "{}", '{"type":1}'])("what is no piece of an answer is an error: %s", async (data) => {
  await expect(read(chunksOf(streamed(`data: ${data}\n\n`)))).rejects.toThrow();
});
