// What the page around a markdown text allows and wants.

import { createContext } from "react";

export interface MarkdownSettings {
  /** Whether an image may be loaded without being asked: only of addresses that the page's owner trusts. */
  readonly isOwnImage?: (address: string) => boolean;
  /** The level below which headings begin: 2 makes `#` an h3. */
  readonly headingsBelow: number;
}

export const Settings = createContext<MarkdownSettings>({ headingsBelow: 2 });
