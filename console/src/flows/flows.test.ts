import { expect, test } from "vitest";
import type { FlowNode, NodeKind } from "../api/journal-types";
import { anEvent } from "../runs/fixtures";
import { END, layout, outline, START } from "./layout";
import { lightsOf, stepOf } from "./lights";

function node(id: string, kind: NodeKind = "function", children: FlowNode[] = [], otherwise: FlowNode[] = []): FlowNode {
  return { id, name: id, kind, config: {}, open: false, model: null, digest: "", children, otherwise };
}

const NESTED = [node("a"), node("loop", "loop", [node("in"), node("if", "when", [node("yes")], [node("no"), node("no2")])]), node("z")];

test("every step has its place, and no two places touch", () => {
  const places = layout(NESTED);
  expect(places.map((place) => place.id)).toEqual([START, "a", "loop", "in", "if", "yes", "no", "no2", "z", END]);
  for (const one of places) {
    for (const other of places) {
      if (one === other) continue;
      const apart = one.x + one.width <= other.x || other.x + other.width <= one.x || one.y + one.height <= other.y || other.y + other.height <= one.y;
      expect([one.id, other.id, apart]).toEqual([one.id, other.id, true]);
    }
  }
});

test("what comes after a loop stands below all that lies in it", () => {
  const places = new Map(layout(NESTED).map((place) => [place.id, place]));
  for (const id of ["in", "yes", "no2"]) expect(places.get("z")!.y).toBeGreaterThan(places.get(id)!.y);
});

test("a flow without steps has a start and an end", () => {
  expect(layout([]).map((place) => place.id)).toEqual([START, END]);
});

test("the outline tells which branch a step is of", () => {
  expect(outline(NESTED).map((one) => [one.node.id, one.depth, one.branch])).toContainEqual(["no", 2, "else"]);
});

test("a key names its step, whatever lies in it", () => {
  expect([stepOf("say"), stepOf("say[2]"), stepOf("say[2]/model:1")]).toEqual([
    { id: "say", own: true },
    { id: "say", own: true },
    { id: "say", own: false },
  ]);
});

test("steps light up as they run, and count their rounds", () => {
  const lights = lightsOf([
    anEvent(1, "step.started", {}, "a"),
    anEvent(2, "step.started", {}, "a/model:1"),
    anEvent(3, "step.completed", {}, "a"),
    anEvent(4, "step.started", {}, "b[0]"),
    anEvent(5, "step.completed", {}, "b[0]"),
    anEvent(6, "step.started", {}, "b[1]"),
  ]);
  expect(lights.get("a")).toEqual({ light: "completed", times: 1, took: 2 });
  expect(lights.get("b")).toEqual({ light: "running", times: 2, took: null });
});

test("another try of a step is no other round, and a run's end ends what was under way", () => {
  const lights = lightsOf([
    anEvent(1, "step.started", { attempt: 1 }, "a"),
    anEvent(2, "step.failed", { code: "X" }, "a"),
    anEvent(3, "step.started", { attempt: 2 }, "a"),
    anEvent(4, "run.cancelled"),
  ]);
  expect(lights.get("a")).toEqual({ light: "cancelled", times: 1, took: null });
});
