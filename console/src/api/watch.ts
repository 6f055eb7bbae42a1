// A stream that says nothing for longer than the server's heartbeat allows is dead, whatever the network says.

/** The server speaks at least every 15 s. */
export const SILENCE_MS = 45_000;

/** The same bytes; an error once none have come for `ms`. */
export function watched(body: ReadableStream<Uint8Array>, ms = SILENCE_MS): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  let timer: ReturnType<typeof setTimeout> | undefined;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const silence = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new TypeError("network error: the stream has gone silent")), ms);
      });
      try {
        const { done, value } = await Promise.race([reader.read(), silence]);
        if (done) controller.close();
        else controller.enqueue(value);
      } catch (error) {
        reader.cancel().catch(() => undefined);
        throw error;
      } finally {
        clearTimeout(timer);
      }
    },
    cancel(reason) {
      clearTimeout(timer);
      return reader.cancel(reason);
    },
  });
}
