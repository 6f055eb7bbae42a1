import { expect, test } from "vitest";
import { olderFirst } from "./pairs";

test("the older of two runs comes first, whichever was marked first", () => {
  const [old, young] = [{ created: 1 }, { created: 2 }];
  expect(olderFirst(young, old)).toEqual([old, young]);
  expect(olderFirst(old, young)).toEqual([old, young]);
});
