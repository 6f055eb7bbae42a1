import { render, screen } from "@testing-library/react";
import { expect, test } from "vitest";
import type { Replay } from "../api/journal-types";
import { Outcome } from "./session";

const REPLAY: Replay = { session: "s", app: "demo", against: "demo.app:app", runs: [{ run: "run-1", name: "demo", recorded: { answer: "5" }, replayed: { answer: "6" }, differences: 1 }], differences: [{ where: ["runs", 0, "answer"], recorded: "5", replayed: "6" }], remarks: [], wanted: ["api.example.com"] };

test("a replay tells what comes out otherwise, where, and what the code wanted to reach", () => {
  render(<Outcome replay={REPLAY} />);
  expect(screen.getByRole("heading", { name: "1 difference in 1 of 1 run" })).toBeTruthy();
  expect(screen.getByRole("rowheader", { name: "runs › 0 › answer" })).toBeTruthy();
  expect(screen.getByText(/wanted to reach api.example.com/)).toBeTruthy();
  expect(screen.getByRole("region", { name: "demo: 1 line differs" })).toBeTruthy();
});

test("a difference that is on one side only says so", () => {
  render(<Outcome replay={{ ...REPLAY, differences: [{ where: ["x"], replayed: null }] }} />);
  expect(screen.getByText("nothing")).toBeTruthy();
  expect(screen.getByText("null")).toBeTruthy();
});

test("a replay without differences says so", () => {
  render(<Outcome replay={{ ...REPLAY, differences: [], runs: [], wanted: [] }} />);
  expect(screen.getByRole("heading", { name: "No difference" })).toBe(document.activeElement);
});
