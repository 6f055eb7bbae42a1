import { expect, test } from "vitest";
import type { Item } from "../api/types";
import { merged, messagesOf, textOf, wholeAnswers, withoutBroken, type ChatMessage } from "./messages";

let last = 0;

function item(kind: string, body: Record<string, unknown>, more: Partial<Item> = {}): Item {
  last += 1;
  return { id: `i${last}`, pos: last, kind, role: "assistant", status: "completed", answer: "a1", run: "r1", step: 1, created: last, body, ...more };
}

const question = (text: string, more: Partial<Item> = {}): Item =>
  item("message", { parts: [{ type: "text", text }] }, { role: "user", answer: null, step: 0, ...more });

test("the items of one answer are one message with its steps", () => {
  const messages = messagesOf([
    question("add", { id: "q1" }),
    item("reasoning", { text: "hm" }),
    item("tool_call", { call: "c1", name: "add", input: { a: 1 }, state: "output-available", output: 2 }),
    item("message", { text: "2" }, { step: 2 }),
  ]);
  expect(messages.map((message) => [message.id, message.role])).toEqual([
    ["q1", "user"],
    ["a1", "assistant"],
  ]);
  expect(messages[1]?.parts.map((part) => part.type)).toEqual(["step-start", "reasoning", "tool-add", "step-start", "text"]);
  expect(messages[1]?.metadata).toMatchObject({ run: "r1" });
});

test("an answer that is under way is left to its stream", () => {
  expect(messagesOf([question("x"), item("message", { text: "half" })], "a1").map((message) => message.role)).toEqual(["user"]);
});

test("a pending approval keeps its id and the exact input", () => {
  const input = { name: "photos", deep: [1, { x: null }] };
  const [message] = messagesOf([item("tool_call", { call: "c", name: "t", input, state: "approval-requested", approval: { id: "p" } })]);
  expect(message?.parts[1]).toEqual({ type: "tool-t", toolCallId: "c", state: "approval-requested", input, approval: { id: "p" } });
});

test("what waits for the page is told with its form", () => {
  const [message] = messagesOf([item("tool_call", { call: "c", name: "ask", input: {}, state: "input-available", client: true, widget: { type: "Card" } })]);
  expect(message?.metadata?.calls).toEqual({ c: { client: true, widget: { type: "Card" } } });
});

test("an answer that was cut short says so, and hidden items are not shown", () => {
  const [message] = messagesOf([item("hidden", { text: "secret" }), item("message", { text: "par" }, { status: "interrupted" })]);
  expect(message?.metadata?.interrupted).toBe(true);
  expect(JSON.stringify(message)).not.toContain("secret");
});

test("a kind that nobody knows yet becomes data", () => {
  const [message] = messagesOf([item("structured_input", { ask: 1 })]);
  expect(message?.parts[1]).toMatchObject({ type: "data-structured-input", data: { ask: 1 } });
});

test("a page keeps whole answers alone and says where to go on", () => {
  const rows = [item("message", { text: "tail of an older answer" }, { answer: "a0" }), question("q"), item("message", { text: "a" })];
  const whole = wholeAnswers([...rows].reverse(), true);
  expect(whole.items.map((row) => row.pos)).toEqual([rows[1]?.pos, rows[2]?.pos]);
  expect(whole.cursor).toBe(rows[1]?.pos);
  expect(wholeAnswers([...rows].reverse(), false)).toMatchObject({ cursor: null, items: rows });
});

const message = (id: string, text: string): ChatMessage => ({ id, role: "user", parts: [{ type: "text", text }] });

test("what is read again takes its place behind older messages, and the same stays the same object", () => {
  const shown = [message("1", "a"), message("2", "b"), message("3", "c")];
  const { messages, joined } = merged(shown, [message("2", "b"), message("3", "changed"), message("4", "d")]);
  expect(joined).toBe(true);
  expect(messages.map(textOf)).toEqual(["a", "b", "changed", "d"]);
  expect(messages[1]).toBe(shown[1]);
});

test("messages that do not touch what is shown replace it", () => {
  expect(merged([message("1", "a")], [message("9", "z")])).toEqual({ messages: [message("9", "z")], joined: false });
});

test("what a message's sender wants kept out of views is not shown, and what answers it is", () => {
  const messages = messagesOf([question("secret", { hidden: true }), item("message", { text: "Yes." })]);
  expect(messages.map((message) => [message.role, textOf(message)])).toEqual([["assistant", "Yes."]]);
});

test("of a step that began anew only the last attempt is shown", () => {
  const shown = (...words: string[]): string => {
    const parts = words.map((word): ChatMessage["parts"][number] => {
      if (word === "tool") return { type: "tool-add", toolCallId: "c", state: "output-available", input: {}, output: {} };
      if (word === "think") return { type: "reasoning", text: "" };
      return word === "|" ? { type: "step-start" } : { type: "text", text: word };
    });
    const message: ChatMessage = { id: "a", role: "assistant", parts };
    const whole = withoutBroken(message);
    if (whole.parts.length === parts.length) expect(whole).toBe(message);
    return whole.parts.map((part) => ("text" in part ? part.text || "think" : part.type === "step-start" ? "|" : "tool")).join(" ");
  };
  expect(shown("|", "one tw", "|", "one two")).toBe("| one two");
  expect(shown("|", "think", "|")).toBe("|");
  expect(shown("|", "think", "one", "|", "tool", "|", "three", "|", "four")).toBe("| tool | four");
  expect(shown("|", "think", "one")).toBe("| think one");
  expect(shown("|", "one", "tool", "|", "two")).toBe("| one tool | two");
});
