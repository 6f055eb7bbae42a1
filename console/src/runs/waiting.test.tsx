import { fireEvent, render, screen, waitFor } from "@testing-library/react";
import { expect, test, vi } from "vitest";
import { RunEvents } from "./events";
import type { RunEvent } from "../api/types";
import { anEvent, aRun, aTrace } from "./fixtures";
import { valueOf, Waiting } from "./waiting";

test("the exact arguments are shown, and the answer names the call", async () => {
  const asked: { url: string; body: unknown }[] = [];
  vi.stubGlobal("fetch", (url: string, init: RequestInit) => {
    asked.push({ url, body: JSON.parse(String(init.body)) });
    return Promise.resolve(new Response("{}", { status: 200 }));
  });
  const events = new RunEvents("r1", 1, () => Promise.resolve({ events: [] }));
  events.put(anEvent(1, "tool.input", { call: "c1", name: "drop", input: { name: "<b>x</b>" } }));
  const trace = aTrace([], { waits: [{ reason: "approval", start: 0, duration: null, calls: [{ call: "c1", name: "drop", step: null }] }] });
  let done = 0;
  render(<Waiting run={aRun({ status: "paused", ended: null })} trace={trace} events={events} onDone={() => (done += 1)} />);
  expect(screen.getByLabelText("Arguments").textContent).toBe(JSON.stringify({ name: "<b>x</b>" }, null, 2));
  fireEvent.click(screen.getByRole("button", { name: "Deny" }));
  await waitFor(() => expect(done).toBe(1));
  expect(asked).toEqual([{ url: "/dragoman/v1/runs/r1/approvals", body: { decisions: [{ call: "c1", approved: false }] } }]);
  vi.unstubAllGlobals();
});

test("nobody approves arguments that have not been read yet", async () => {
  const told: RunEvent[] = [anEvent(1, "tool.input", { call: "c1", name: "drop", input: { all: true } })];
  for (let seq = 2; seq <= 3_000; seq++) told.push(anEvent(seq, "block.delta", { block: "b", delta: "x" }));
  const events = new RunEvents("r1", told.length, (_, after, limit) => Promise.resolve({ events: told.slice(after, after + limit) }));
  const trace = aTrace([], { waits: [{ reason: "approval", start: 0, duration: null, calls: [{ call: "c1", name: "drop", step: null }] }] });
  const page = <Waiting run={aRun({ status: "paused", ended: null })} trace={trace} events={events} onDone={() => undefined} />;
  const { rerender } = render(page);
  const approve = (): HTMLButtonElement => screen.getByRole("button", { name: "Approve" });
  expect(approve().disabled).toBe(true);
  events.subscribe(() => rerender(<Waiting run={aRun({ status: "paused", ended: null })} trace={trace} events={events} onDone={() => undefined} />));
  await waitFor(() => expect(screen.getByLabelText("Arguments").textContent).toContain('"all": true'));
  expect(approve().disabled).toBe(false);
});

test("what is handed in is JSON if it is some, else text", () => {
  expect([valueOf('{"a":1}'), valueOf("5"), valueOf("sunny"), valueOf("")]).toEqual([{ a: 1 }, 5, "sunny", ""]);
});
