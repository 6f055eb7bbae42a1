// Which steps of a flow are running, done or failed, from the events of one of its runs. Pure.

import type { RunEvent } from "../api/types";

export type Light = "running" | "completed" | "failed" | "cancelled";

export interface Lit {
  light: Light;
  /** How many times it has run. */
  times: number;
  /** Seconds of its last run, once that is over. */
  took: number | null;
}

/** `say[2]/model:1` → `say`, and whether the key is of the step itself. */
export function stepOf(key: string): { id: string; own: boolean } {
  const slash = key.indexOf("/");
  const outer = slash < 0 ? key : key.slice(0, slash);
  return { id: outer.replace(/\[\d+\]$/, ""), own: slash < 0 };
}

export function lightsOf(events: readonly RunEvent[]): Map<string, Lit> {
  const lights = new Map<string, Lit>();
  const begun = new Map<string, number>();
  for (const event of events) {
    if (event.type === "run.cancelled" || event.type === "run.failed") {
      for (const lit of lights.values()) if (lit.light === "running") lit.light = event.type === "run.failed" ? "failed" : "cancelled";
    }
    if (event.step === undefined || !event.type.startsWith("step.")) continue;
    const { id, own } = stepOf(event.step);
    if (!own) continue;
    const lit = lights.get(id);
    if (event.type === "step.started" || event.type === "step.restarted") {
      begun.set(event.step, event.time);
      const again = event.type === "step.restarted" || Number(event.payload.attempt ?? 1) > 1;
      lights.set(id, { light: "running", times: (lit?.times ?? 0) + (again && lit ? 0 : 1), took: null });
    } else if (lit && (event.type === "step.completed" || event.type === "step.failed")) {
      lit.light = event.type === "step.completed" ? "completed" : event.payload.code === "cancelled" ? "cancelled" : "failed";
      lit.took = event.time - (begun.get(event.step) ?? event.time);
    }
  }
  return lights;
}
