import { fireEvent, render, screen } from "@testing-library/react";
import { beforeEach, expect, test } from "vitest";
import { summary, ToolCall, type AnyToolPart, type ToolActions } from "./tool";

const done: unknown[][] = [];
const actions: ToolActions = {
  decide: (...given) => done.push(["decide", ...given]),
  answer: (...given) => done.push(["answer", ...given]),
  decline: (...given) => done.push(["decline", ...given]),
  act: () => Promise.resolve(),
};
const asks: AnyToolPart = {
  type: "tool-create_bucket",
  toolCallId: "c1",
  state: "approval-requested",
  input: { name: "photos", note: "<b>\u202egnp.exe" },
  approval: { id: "p1" },
};

function shown(part: AnyToolPart, more: Partial<Parameters<typeof ToolCall>[0]> = {}): void {
  render(<ToolCall part={part} detail={undefined} moving={false} open actions={actions} {...more} />);
}

beforeEach(() => {
  done.length = 0;
});

test("an approval shows the exact arguments, with what hides made visible", () => {
  shown(asks);
  expect(screen.getByLabelText("Arguments").textContent).toBe('{\n  "name": "photos",\n  "note": "<b>\\u202egnp.exe"\n}');
});

test("approve decides at once, deny asks for a reason first", () => {
  shown(asks);
  fireEvent.click(screen.getByRole("button", { name: "Approve" }));
  fireEvent.click(screen.getByRole("button", { name: "Deny…" }));
  fireEvent.change(screen.getByLabelText("Why it is denied"), { target: { value: "not today" } });
  fireEvent.click(screen.getByRole("button", { name: "Deny" }));
  expect(done).toEqual([
    ["decide", "p1", true],
    ["decide", "p1", false, "not today"],
  ]);
});

test("what cannot be decided here any more has no buttons", () => {
  shown(asks, { open: false });
  expect(screen.queryByRole("button", { name: "Approve" })).toBeNull();
});

test("input and output of a call unfold", () => {
  shown({ type: "tool-add", toolCallId: "c2", state: "output-available", input: { a: 1 }, output: { result: 3 } });
  expect(screen.queryByLabelText("Output")).toBeNull();
  fireEvent.click(screen.getByRole("button", { expanded: false }));
  expect(screen.getByLabelText("Output").textContent).toContain('"result": 3');
});

test("a call that had to be approved says so also when it is folded", () => {
  const call = { type: "tool-create_bucket" as const, toolCallId: "c4", input: {}, approval: { id: "p1", approved: true as const } };
  shown({ ...call, state: "output-available", output: "created" });
  shown({ ...call, state: "output-error", errorText: "the disk is full" });
  shown({ ...call, state: "output-denied", approval: { id: "p1", approved: false } });
  expect(screen.getAllByRole("region").map((one) => one.getAttribute("aria-label"))).toEqual([
    "Tool create_bucket: approved · done",
    "Tool create_bucket: approved · failed",
    "Tool create_bucket: denied",
  ]);
});

test("a tool of the page is answered with JSON alone", () => {
  shown({ type: "tool-pick", toolCallId: "c3", state: "input-available", input: {} }, { detail: { client: true } });
  const field = screen.getByLabelText("Output, as JSON");
  fireEvent.change(field, { target: { value: "red" } });
  fireEvent.click(screen.getByRole("button", { name: "Send output" }));
  expect(screen.getByRole("alert").textContent).toContain("not JSON");
  fireEvent.change(field, { target: { value: '"red"' } });
  fireEvent.click(screen.getByRole("button", { name: "Send output" }));
  expect(done).toEqual([["answer", "pick", "c3", "red"]]);
});

test("arguments are summed up in one bounded line", () => {
  expect(summary({ a: 1, b: "x" })).toBe('a: 1, b: "x"');
  expect(summary({ long: "y".repeat(10_000) }).length).toBeLessThan(220);
});
