// Requests to this server's own faces: one way to ask, one tree of errors. Knows no page.
// Credentials are a cookie that scripts cannot read; nothing here holds or names a key.

import { under } from "./base";
import { connection } from "./connection";

/** The server answered, and the answer is no. `code` is the face's own word for why. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  constructor(
    message: string,
    readonly status: number,
    readonly code: string,
    readonly requestId: string | null = null,
    readonly retryAfter: number | null = null,
  ) {
    super(message);
  }
}

/** Nobody answered. */
export class Unreachable extends Error {
  override readonly name = "Unreachable";
  constructor() {
    super("The server cannot be reached.");
  }
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

type SignedOutListener = () => void;
const signedOutListeners = new Set<SignedOutListener>();

/** Calls `listener` whenever an answer says that nobody is signed in. Returns the way to stop. */
export function onSignedOut(listener: SignedOutListener): () => void {
  signedOutListeners.add(listener);
  return () => signedOutListeners.delete(listener);
}

/** `fetch` that tells the connection's state what happened. Throws Unreachable where nobody answered. */
export async function reach(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(typeof input === "string" && input.startsWith("/") ? under(input) : input, { credentials: "same-origin", ...init });
  } catch (error) {
    if (isAbort(error)) throw error;
    connection.lost();
    throw new Unreachable();
  }
  // a proxy in front answers for a server that is gone
  if (response.status === 502 || response.status === 504) {
    connection.lost();
    throw new Unreachable();
  }
  connection.reached();
  if (response.status === 401 && new URL(response.url).pathname.startsWith(under("/dragoman/"))) {
    for (const listener of [...signedOutListeners]) listener();
  }
  return response;
}

/** Where to go on, for lists that are read page by page. */
export interface Options {
  method?: "GET" | "POST" | "PATCH" | "PUT" | "DELETE";
  body?: unknown;
  query?: Record<string, string | number | boolean | null | undefined | readonly string[]>;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

/** JSON in, JSON out. Throws ApiError or Unreachable; the aborting of `signal` passes through. */
export async function request<T>(path: string, options: Options = {}): Promise<T> {
  const init: RequestInit = {
    method: options.method ?? "GET",
    headers: { accept: "application/json", ...options.headers },
  };
  if (options.signal) init.signal = options.signal;
  if (options.body !== undefined) {
    init.body = JSON.stringify(options.body);
    init.headers = { ...init.headers, "content-type": "application/json" };
  }
  const response = await reach(address(path, options.query), init);
  if (!response.ok) throw await refusal(response);
  if (response.status === 204) return undefined as T;
  const text = await response.text();
  if (text === "") return undefined as T;
  try {
    return JSON.parse(text) as T;
  } catch {
    throw new ApiError(`${path}: expected JSON`, response.status, "bad_answer");
  }
}

export function address(path: string, query?: Options["query"]): string {
  const words = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value === null || value === undefined || value === "") continue;
    if (Array.isArray(value)) for (const one of value) words.append(name, one);
    else words.set(name, String(value));
  }
  const text = words.toString();
  return text === "" ? path : `${path}?${text}`;
}

/** The error of an answer, in the shape of the own face or of Kai's. */
export async function refusal(response: Response): Promise<ApiError> {
  let message = `The server answered with ${response.status}.`;
  let code = `http_${response.status}`;
  let requestId = response.headers.get("x-request-id");
  try {
    const body: unknown = await response.json();
    const told = isRecord(body) && isRecord(body.error) ? body.error : body;
    if (isRecord(told)) {
      if (typeof told.message === "string" && told.message !== "") message = told.message;
      if (typeof told.code === "string") code = told.code;
      if (typeof told.request_id === "string") requestId = told.request_id;
    }
  } catch {
    // not JSON: the status has to do
  }
  const wait = Number(response.headers.get("retry-after"));
  return new ApiError(message, response.status, code, requestId, Number.isFinite(wait) && wait > 0 ? wait : null);
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What an error says to a human. */
export function told(error: unknown): string {
  return error instanceof Error && error.message !== "" ? error.message : "Something went wrong.";
}
