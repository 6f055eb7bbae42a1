import { expect, test } from "vitest";
import type { ChatMessage } from "./messages";
import { sent } from "./transport";

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
