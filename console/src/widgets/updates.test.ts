import { expect, test } from "vitest";
import { updated } from "./updates";

const widget = {
  type: "Card",
  children: [
    { type: "Text", id: "a", value: "one" },
    { type: "Transition", children: { type: "Markdown", id: "b", value: "x", streaming: true } },
  ],
};

test("text that grows, also below a single child", () => {
  const after = updated(widget, {
    type: "widget.streaming_text.value_delta",
    component_id: "b",
    delta: "yz",
    done: true,
  });
  expect(after).toEqual({
    ...widget,
    children: [
      widget.children[0],
      { type: "Transition", children: { type: "Markdown", id: "b", value: "xyz", streaming: false } },
    ],
  });
  expect((after.children as unknown[])[0]).toBe(widget.children[0]);
});

test("a component or the whole is replaced", () => {
  const component = { type: "Badge", label: "done" };
  expect(
    (updated(widget, { type: "widget.component.updated", component_id: "a", component }).children as unknown[])[0],
  ).toBe(component);
  expect(updated(widget, { type: "widget.root.updated", widget: component })).toBe(component);
});

test.each([
  null,
  "text",
  { type: "later" },
  { type: "widget.root.updated", widget: 5 },
  { type: "widget.component.updated", component_id: "a", component: "no" },
  { type: "widget.streaming_text.value_delta", component_id: "none", delta: "x" },
])("what cannot be applied changes nothing: %j", (update) => {
  expect(updated(widget, update)).toBe(widget);
});
