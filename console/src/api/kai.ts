// What the chat needs of Kai's face beside the stream itself: stop, votes, permissions, suggestions.

import { request } from "./http";
import type { ThreadList } from "./types";

export const CHAT = "/api/chat";

/** Ends the run of a chat, and the model call it is in. */
export const stopChat = (chat: string): Promise<unknown> =>
  request(`${CHAT}/${encodeURIComponent(chat)}/stop`, { method: "POST" });

interface Chats {
  chats: { id: string; title: string; createdAt: string; updatedAt: string; visibility: "private" | "public" }[];
  hasMore: boolean;
}

/** Kai's wire has a title for threads without one. */
const NO_TITLE = "New chat";

/** One's own threads, newest first, in the shape of the own face's list, which gives an admin everybody's. */
export async function listOwn(limit: number, after: string | null, signal?: AbortSignal): Promise<ThreadList> {
  const page = await request<Chats>("/api/history", { query: { limit, starting_after: after }, ...(signal ? { signal } : {}) });
  const threads = page.chats.map((chat) => ({
    id: chat.id,
    title: chat.title === NO_TITLE ? "" : chat.title,
    visibility: chat.visibility,
    status: "active",
    branch: null,
    mine: true,
    created: Date.parse(chat.createdAt) / 1_000,
    updated: Date.parse(chat.updatedAt) / 1_000,
  }));
  return { threads, more: page.hasMore, next: page.hasMore ? (threads.at(-1)?.id ?? null) : null };
}

export type VoteWord = "up" | "down";

export interface Vote {
  messageId: string;
  type: VoteWord;
}

export const listVotes = (chat: string, signal?: AbortSignal): Promise<Vote[]> =>
  request("/api/vote", { query: { chatId: chat }, ...(signal ? { signal } : {}) });

export const vote = (chat: string, message: string, type: VoteWord): Promise<unknown> =>
  request("/api/vote", { method: "PATCH", body: { chatId: chat, messageId: message, type } });

export type Permission = "always_allow" | "always_ask" | "blocked";

/** From now on, for this user. */
export const permitTool = (tool: string, permission: Permission): Promise<unknown> =>
  request("/api/settings/user", { method: "PATCH", body: { toolPermissions: { [tool]: permission } } });

export interface Suggestion {
  id: string;
  label: string;
  prompt: string;
  reasoning: string;
}

export const listSuggestions = (signal?: AbortSignal): Promise<{ suggestions: Suggestion[] }> =>
  request("/api/suggestions", {
    method: "POST",
    body: { context: "dashboard", data: {} },
    ...(signal ? { signal } : {}),
  });
