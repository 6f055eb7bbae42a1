// Widgets of ChatKit: `Widget` draws one and loads its components when the first is shown; `updated` applies what
// changes one. Nothing here knows the console.

export type { OnAction } from "./host";
export { LazyWidget as Widget } from "./LazyWidget";
export type { ActionConfig, WidgetAction, WidgetNode } from "./types";
export { updated } from "./updates";
export type { WidgetProps } from "./Widget";
