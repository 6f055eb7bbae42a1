import { fireEvent, render, screen, waitFor } from "@testing-library/react";
import { expect, test, vi } from "vitest";
import { RunEvents } from "./events";
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

test("what is handed in is JSON if it is some, else text", () => {
  expect([valueOf('{"a":1}'), valueOf("5"), valueOf("sunny"), valueOf("")]).toEqual([{ a: 1 }, 5, "sunny", ""]);
});
