import { expect, test, vi } from "vitest";
import { Connection } from "./connection";

test("a lost server is asked for until it is back, and its return begins a new epoch", async () => {
  vi.useFakeTimers();
  let isThere = false;
  let asked = 0;
  const connection = new Connection(() => {
    asked += 1;
    return isThere ? Promise.resolve() : Promise.reject(new Error("gone"));
  });
  connection.lost();
  connection.lost();
  expect(connection.current()).toEqual({ online: false, epoch: 0 });
  await vi.advanceTimersByTimeAsync(4_000);
  expect(asked).toBeGreaterThan(1);
  isThere = true;
  await vi.advanceTimersByTimeAsync(4_000);
  expect(connection.current()).toEqual({ online: true, epoch: 1 });
  const before = asked;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked).toBe(before);
  vi.useRealTimers();
});

test("any answer of the server says that it is back", () => {
  const connection = new Connection(() => new Promise(() => undefined));
  const heard: boolean[] = [];
  connection.subscribe(() => heard.push(connection.current().online));
  connection.lost();
  connection.reached();
  connection.reached();
  expect(heard).toEqual([false, true]);
});
