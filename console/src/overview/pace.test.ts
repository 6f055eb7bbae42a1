import { expect, test } from "vitest";
import { Pace } from "./pace";

test("what took long is asked for more rarely, and not while it is awaited", async () => {
  let now = 0;
  const pace = new Pace(2_000, () => now);
  expect([pace.isBusy, pace.wait]).toEqual([false, 2_000]);
  let answer = (_: string): void => undefined;
  const asked = pace.measured(() => new Promise<string>((resolve) => (answer = resolve)));
  expect(pace.isBusy).toBe(true);
  now = 3_000;
  answer("figures");
  expect(await asked).toBe("figures");
  expect([pace.isBusy, pace.wait]).toEqual([false, 30_000]);
});

test("what fails or is not wanted any more is not awaited for ever", async () => {
  const pace = new Pace(2_000);
  await expect(pace.measured(() => Promise.reject(new Error("gone")))).rejects.toThrow("gone");
  expect([pace.isBusy, pace.wait]).toEqual([false, 2_000]);
});
