// What a human does with a widget goes to the app over ChatKit's wire: only that one knows actions.

import { reach, refusal } from "../api/http";

/** Hands in an action and waits until all that follows from it is stored. */
export async function act(thread: string, item: string, action: unknown): Promise<void> {
  const response = await reach("/chatkit", {
    method: "POST",
    headers: { "content-type": "application/json", accept: "text/event-stream" },
    body: JSON.stringify({ type: "threads.custom_action", params: { thread_id: thread, item_id: item, action } }),
  });
  if (!response.ok) throw await refusal(response);
  await response.text();
}
