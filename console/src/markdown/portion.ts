// How much of something long is shown.

import { useState } from "react";

export interface Portion {
  readonly size: number;
  grow(): void;
}

/** `first` at first, `step` more with each call of `grow`. */
export function usePortion(first: number, step: number): Portion {
  const [size, setSize] = useState(first);
  return { size, grow: () => setSize((now) => now + step) };
}
