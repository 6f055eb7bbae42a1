import { act, fireEvent, render, screen } from "@testing-library/react";
import { createRef } from "react";
import { beforeEach, expect, test } from "vitest";
import { VirtualList, type VirtualHandle } from "./virtual";

// The window of a list as a browser lays it out: `height` of it are seen of `whole`, from `top` on.
const place = { top: 0, whole: 0, height: 500 };
const handle = createRef<VirtualHandle>();
const told: boolean[] = [];

beforeEach(() => {
  Object.assign(place, { top: 0, whole: 2_000 });
  told.length = 0;
});

const list = (items: readonly string[], footer = "") => (
  <VirtualList
    ref={handle}
    items={items}
    keyOf={(item) => item}
    estimate={100}
    sticky
    label="Rows"
    onAtEnd={(atEnd) => told.push(atEnd)}
    footer={footer}
  >
    {(item) => item}
  </VirtualList>
);

const end = (): number => place.whole - place.height;
const rows = (count: number): string[] => Array.from({ length: count }, (_, n) => `row ${n}`);

function shown() {
  const { rerender } = render(list(rows(20)));
  const element = screen.getByRole("region", { name: "Rows" });
  Object.defineProperties(element, {
    scrollHeight: { get: () => place.whole },
    clientHeight: { get: () => place.height },
    scrollTop: { get: () => place.top, set: (top: number) => (place.top = Math.max(0, Math.min(top, end()))) },
  });
  rerender(list(rows(20), "laid out"));
  const scrolled = (top = place.top): void => {
    place.top = top;
    fireEvent.scroll(element);
  };
  return { scrolled, grown: (whole: number) => (place.whole = whole), again: (words: string) => rerender(list(rows(20), words)) };
}

test("it begins at its end", () => {
  shown();
  expect(place.top).toBe(end());
});

test("what grows does not make it let go of its end, even where an old event is told of late", () => {
  const { grown, scrolled, again } = shown();
  grown(9_000);
  scrolled(); // of the place that it had before
  expect(told).toEqual([]);
  again("more");
  expect(place.top).toBe(end());
});

test("it lets go once somebody goes up, however little, and stays there while more comes", () => {
  const { grown, scrolled, again } = shown();
  scrolled(end() - 5);
  expect(told).toEqual([false]);
  grown(9_000);
  again("more");
  expect(place.top).toBe(1_495);
  expect(handle.current?.atEnd()).toBe(false);
});

test("it lets go of who went up at the very moment that more came", () => {
  const { grown, again } = shown();
  place.top -= 200;
  grown(9_000);
  again("more"); // before the event of the scrolling
  expect(told).toEqual([false]);
  expect(place.top).toBe(1_300);
});

test("what shrinks and grows again takes the end with it", () => {
  const { grown, scrolled, again } = shown();
  grown(1_000);
  place.top = end(); // the browser puts it where there still is something
  again("less");
  grown(3_000);
  scrolled();
  again("more");
  expect(told).toEqual([]);
  expect(place.top).toBe(end());
});

test("it takes hold again where the end is reached, or asked for", () => {
  const { scrolled, again, grown } = shown();
  scrolled(600);
  scrolled(end() - 10);
  expect(told).toEqual([false, true]);
  grown(4_000);
  again("more");
  expect(place.top).toBe(3_500);
  scrolled(100);
  act(() => handle.current?.scrollToEnd());
  expect(told).toEqual([false, true, false, true]);
  expect(place.top).toBe(end());
});
