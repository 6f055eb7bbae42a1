// What the chat needs of Kai's face beside the stream itself: stop, votes, permissions, suggestions.

import { request } from "./http";

export const CHAT = "/api/chat";

/** Ends the run of a chat, and the model call it is in. */
export const stopChat = (chat: string): Promise<unknown> =>
  request(`${CHAT}/${encodeURIComponent(chat)}/stop`, { method: "POST" });

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
