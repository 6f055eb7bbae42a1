import { expect, test } from "vitest";
import { Connection } from "../api/connection";
import { patiently } from "./lazily";

test("a part that could not be loaded is loaded once the server is back", async () => {
  const server = new Connection(() => new Promise(() => undefined));
  let tries = 0;
  const part = patiently(() => (++tries === 1 ? Promise.reject(new TypeError("gone")) : Promise.resolve("part")), server);
  await Promise.resolve();
  await Promise.resolve();
  expect(server.current().online).toBe(false);
  server.reached();
  expect(await part).toBe("part");
});

test("a file that is not there, although the server is, is an error", async () => {
  const server = new Connection(() => new Promise(() => undefined));
  server.subscribe(() => server.current().online || queueMicrotask(() => server.reached()));
  await expect(patiently(() => Promise.reject(new TypeError("404")), server)).rejects.toThrow("404");
});
