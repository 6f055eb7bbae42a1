// Widgets that change while they are shown: the updates of a widget item, applied. Pure; what has not changed stays
// the same object, so that only the rest is drawn anew.

import { isNode, isRecord } from "./fields";
import type { WidgetNode } from "./types";

/** The widget after an update of `thread.item.updated`; the same if the update is of another kind or place. */
export function updated(widget: WidgetNode, update: unknown): WidgetNode {
  if (!isRecord(update)) return widget;
  const id = update["component_id"];
  switch (update["type"]) {
    case "widget.root.updated":
      return isNode(update["widget"]) ? update["widget"] : widget;
    case "widget.component.updated": {
      const { component } = update;
      return typeof id === "string" && isNode(component) ? replaced(widget, id, () => component) : widget;
    }
    case "widget.streaming_text.value_delta": {
      const { delta, done } = update;
      if (typeof id !== "string" || typeof delta !== "string") return widget;
      return replaced(widget, id, (node) => ({
        ...node,
        value: (typeof node["value"] === "string" ? node["value"] : "") + delta,
        streaming: done !== true,
      }));
    }
    default:
      return widget;
  }
}

/** With the first component of this id changed. */
function replaced(node: WidgetNode, id: string, change: (node: WidgetNode) => WidgetNode): WidgetNode {
  if (node.id === id) return change(node);
  const { children } = node;
  if (isNode(children)) {
    const made = replaced(children, id, change);
    return made === children ? node : { ...node, children: made };
  }
  if (!Array.isArray(children)) return node;
  for (const [index, child] of children.entries()) {
    if (!isNode(child)) continue;
    const made = replaced(child, id, change);
    if (made !== child) return { ...node, children: children.with(index, made) };
  }
  return node;
}
