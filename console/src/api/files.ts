// Uploads: a file is declared on ChatKit's face, then its bytes go to the signed address that it names.

import { ApiError, isRecord, request } from "./http";
import { connection } from "./connection";

export interface Upload {
  id: string;
  name: string;
  mediaType: string;
  size: number;
}

interface Declared {
  id: string;
  upload_descriptor?: { url: string; method: string; headers?: Record<string, string> };
}

/** Keeps a file on the server. `onProgress` gets a fraction. Throws ApiError, Unreachable; `signal` ends it. */
export async function upload(file: File, onProgress: (done: number) => void, signal: AbortSignal): Promise<Upload> {
  const mediaType = file.type || "application/octet-stream";
  const declared = await request<Declared>("/chatkit", {
    method: "POST",
    body: { type: "attachments.create", params: { name: file.name, size: file.size, mime_type: mediaType } },
    signal,
  });
  const descriptor = declared.upload_descriptor;
  if (descriptor === undefined) throw new ApiError("The server takes no uploads.", 400, "no_upload");
  await send(file, descriptor, onProgress, signal);
  return { id: declared.id, name: file.name, mediaType, size: file.size };
}

/** With XMLHttpRequest, because fetch does not tell how far a body has got. */
function send(
  file: File,
  descriptor: NonNullable<Declared["upload_descriptor"]>,
  onProgress: (done: number) => void,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const call = new XMLHttpRequest();
    call.open(descriptor.method, local(descriptor.url));
    for (const [name, value] of Object.entries(descriptor.headers ?? {})) call.setRequestHeader(name, value);
    call.upload.onprogress = (event) => {
      if (event.lengthComputable && event.total > 0) onProgress(event.loaded / event.total);
    };
    call.onload = () => {
      if (call.status >= 200 && call.status < 300) resolve();
      else reject(new ApiError(toldBy(call), call.status, "upload"));
    };
    call.onerror = () => {
      connection.lost();
      reject(new ApiError("The connection was lost during the upload.", 0, "upload"));
    };
    call.onabort = () => reject(new DOMException("aborted", "AbortError"));
    signal.addEventListener("abort", () => call.abort(), { once: true });
    call.send(file);
  });
}

function toldBy(call: XMLHttpRequest): string {
  try {
    const body: unknown = JSON.parse(call.responseText);
    const error = isRecord(body) ? (isRecord(body.error) ? body.error : body) : {};
    if (typeof error.message === "string") return error.message;
  } catch {
    // no JSON
  }
  return `The upload was refused (${call.status}).`;
}

/** An address of this server, without its host: behind a proxy it may be known by another one. */
export function local(url: string): string {
  try {
    const parsed = new URL(url, location.href);
    return parsed.pathname + parsed.search;
  } catch {
    return url;
  }
}
