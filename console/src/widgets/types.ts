// The widgets of ChatKit as they arrive: trees of components, told apart by `type`.
// Everything but `type` may be missing or wrong, for widgets come from outside; components read what fits.

export type Dim = number | string;
export type ThemeColor = { readonly light: string; readonly dark: string };
export type Color = string | ThemeColor;
export type Sides<Value> = Partial<Record<"top" | "right" | "bottom" | "left" | "x" | "y", Value>>;
export type Spacing = Dim | Sides<Dim>;
export interface BorderLine {
  readonly size: number;
  readonly color?: Color;
  readonly style?: string;
}
export type Border = number | BorderLine | Sides<number | BorderLine>;

/** What a component tells the server, as the widget carries it. */
export interface ActionConfig {
  readonly type: string;
  readonly payload?: unknown;
  readonly handler?: "server" | "client";
  readonly loadingBehavior?: "auto" | "none" | "self" | "container";
  readonly streaming?: boolean;
}

/** What is sent: the payload with the fields of the form around it. */
export interface WidgetAction {
  readonly type: string;
  readonly payload: unknown;
  readonly handler: "server" | "client";
  readonly streaming: boolean;
}

/** A component: its type and any fields. */
export interface WidgetNode {
  readonly type: string;
  readonly id?: string;
  readonly key?: string;
  readonly children?: unknown;
  readonly [field: string]: unknown;
}

export interface Option {
  readonly value: string;
  readonly label: string;
  readonly description?: string;
  readonly disabled: boolean;
}
