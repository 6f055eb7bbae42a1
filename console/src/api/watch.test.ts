import { expect, test } from "vitest";
import { watched } from "./watch";

test("bytes pass through a watched stream unchanged", async () => {
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(Uint8Array.of(1, 2));
      controller.enqueue(Uint8Array.of(3));
      controller.close();
    },
  });
  expect([...new Uint8Array(await new Response(watched(body)).arrayBuffer())]).toEqual([1, 2, 3]);
});

test("a stream that goes silent ends with an error and lets go of the network", async () => {
  let letGo = false;
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(Uint8Array.of(1)),
    cancel: () => {
      letGo = true;
    },
  });
  const reader = watched(body, 5).getReader();
  expect((await reader.read()).value).toEqual(Uint8Array.of(1));
  await expect(reader.read()).rejects.toThrow("silent");
  expect(letGo).toBe(true);
});
