// What the pages beside the chat read of the own face: traces, flows, sessions, figures, models, replays.
// Times are seconds since the epoch, offsets and durations seconds as well, unless a name ends in `_ms`.

import type { Run, RunEvent, Usage } from "./types";

export interface RunDetail extends Run {
  result: unknown;
}

export interface StartedRun extends RunDetail {
  outcome: "started" | "attached" | "answered";
  after: number;
}

export interface EventList {
  events: RunEvent[];
  more: boolean;
  next: number;
}

export type StepStatus = "running" | "completed" | "failed" | "cancelled";

export interface Attempt {
  attempt: number;
  status: StepStatus;
  start: number;
  duration: number | null;
  code: string | null;
  message: string | null;
}

export interface TraceStep {
  key: string;
  id: string;
  index: number | null;
  parent: string | null;
  place: number | null;
  kind: string;
  name: string;
  status: StepStatus;
  start: number;
  duration: number | null;
  model: string | null;
  usage: Usage;
  cost: number | null;
  input: unknown;
  output: unknown;
  input_bytes: number | null;
  output_bytes: number | null;
  truncated: boolean;
  left_out: boolean;
  attempts: Attempt[];
}

export interface WaitCall {
  call: string;
  name: string | null;
  step: string | null;
}

export interface Wait {
  reason: "queue" | "client_tool" | "approval" | "segment" | "interrupted";
  start: number;
  duration: number | null;
  calls: WaitCall[];
}

export interface Trace {
  run: Run;
  capture: "full" | "metadata" | "off" | string | null;
  begin: number;
  duration: number | null;
  last_seq: number;
  steps: TraceStep[];
  edges: { source: string; target: string; kind: "next" | "again" }[];
  waits: Wait[];
}

export type NodeKind = "function" | "model" | "agent" | "client_tool" | "loop" | "when";

export interface FlowNode {
  id: string;
  name: string;
  kind: NodeKind;
  config: Record<string, unknown>;
  open: boolean;
  model: string | null;
  digest: string;
  children: FlowNode[];
  otherwise: FlowNode[];
}

export interface GraphEdge {
  source: string;
  target: string;
  kind: "next" | "yes" | "no" | "each" | "again" | "done";
}

export interface FlowGraph {
  nodes: { id: string; name: string; kind: NodeKind | "start" | "end"; place: number | null; parent: string | null; branch: boolean | null }[];
  edges: GraphEdge[];
}

/** `version` 0 is the draft. */
export interface FlowVersion {
  version: number;
  production: boolean;
  nodes: FlowNode[];
  graph: FlowGraph;
}

export interface Flow {
  name: string;
  id: string;
  description: string;
  production: number | null;
  versions: number[];
  has_draft: boolean;
  steps: number;
  requires_message: boolean;
  capture: string | null;
}

export interface FlowDetail extends Flow {
  tree: FlowVersion[];
}

export interface Session {
  id: string;
  created: number;
  updated: number;
  expires: number | null;
  first_run: string | null;
  last_run: string | null;
  thread: boolean;
}

export interface SessionDetail extends Session {
  runs: Run[];
  more: boolean;
  next: string | null;
}

export interface SessionList {
  sessions: Session[];
  more: boolean;
  next: string | null;
}

export interface ReplayedRun {
  run: string;
  name: string;
  recorded: unknown;
  replayed: unknown;
  differences: number;
}

export interface Difference {
  where: (string | number)[];
  recorded?: unknown;
  replayed?: unknown;
}

export interface Replay {
  session: string;
  app: string;
  against: string;
  runs: ReplayedRun[];
  differences: Difference[];
  remarks: string[];
  wanted: string[];
}

export interface Percentiles {
  p50: number;
  p95: number;
  p99: number;
}

export interface Figures {
  runs: number;
  failed: number;
  duration_ms: Percentiles | null;
  first_token_ms: Percentiles | null;
  prompt_tokens: number;
  completion_tokens: number;
  cost: number | null;
}

export interface Bucket extends Figures {
  start: number;
}

export interface NamedFigures extends Figures {
  name: string;
}

export interface ModelFigures {
  name: string;
  calls: number;
  failed: number;
  prompt_tokens: number;
  completion_tokens: number;
  cost: number | null;
}

export interface Overview {
  from: number;
  to: number;
  bucket: number;
  total: Figures;
  buckets: Bucket[];
  agents: NamedFigures[];
  flows: NamedFigures[];
  faces: NamedFigures[];
  models: ModelFigures[];
}

export interface UsedModel {
  name: string;
  usable: boolean;
  keyless: boolean;
  why: string;
  agents: string[];
  flows: string[];
}

export interface Provider {
  name: string;
  usable: boolean;
  keyless: boolean;
  why: string;
  models: string[];
}

export interface Models {
  models: UsedModel[];
  providers: Provider[];
}
