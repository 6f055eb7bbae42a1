// The bodies of Dragoman's own face, as its OpenAPI document (/dragoman/v1/openapi.json) describes them.
// Times are seconds since the epoch. What a newer server adds is not in the way.

export type RunStatus = "queued" | "running" | "paused" | "completed" | "failed" | "cancelled";
export type RunKind = "chat" | "execute" | "step" | "job" | "command" | "completion";

export interface Usage {
  prompt_tokens: number | null;
  completion_tokens: number | null;
  total_tokens: number | null;
  cache_read_tokens: number | null;
  cache_write_tokens: number | null;
  reasoning_tokens: number | null;
}

export interface Run {
  id: string;
  kind: RunKind;
  agent: string | null;
  flow: string | null;
  flow_version: number | null;
  version: string;
  status: RunStatus;
  thread: string | null;
  session: string | null;
  priority: number;
  answer: string | null;
  face: string;
  /** Whose it is, told to that user and to admins. */
  user?: string | null;
  created: number;
  started: number | null;
  ended: number | null;
  last_seq: number;
  usage: Usage;
  cost: number | null;
  error: { code?: string; message?: string; ref?: string } | null;
  /** Seconds from the start to a model's first word or tool call. */
  first_token: number | null;
}

export interface RunList {
  runs: Run[];
  more: boolean;
  next: string | null;
}

export interface RunEvent {
  run: string;
  seq: number;
  time: number;
  type: string;
  step?: string;
  payload: Record<string, unknown>;
}

export interface Thread {
  id: string;
  title: string;
  visibility: "private" | "public";
  status: string;
  branch: string | null;
  mine: boolean;
  created: number;
  updated: number;
  active_run?: string | null;
}

export interface ThreadList {
  threads: Thread[];
  more: boolean;
  next: string | null;
}

export interface Item {
  id: string;
  pos: number;
  kind: string;
  role: "user" | "assistant" | "system";
  status: "completed" | "interrupted" | "in_progress";
  answer: string | null;
  run: string | null;
  step: number;
  created: number;
  /** Whoever sent it wants it kept out of views. */
  hidden?: boolean;
  body: Record<string, unknown>;
}

export interface ItemList {
  items: Item[];
  more: boolean;
  next: number | null;
}

export interface Tool {
  name: string;
  description: string;
  parameters: Record<string, unknown>;
  read_only: boolean;
  needs_approval: boolean;
  client: boolean;
}

export interface Agent {
  name: string;
  model: string;
  description?: string;
  tools: Tool[];
}

export interface Me {
  tenant: string;
  user: string;
  scopes: string[];
  key: string | null;
  message_limit: number | null;
}
