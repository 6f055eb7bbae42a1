// Long things in portions: a widget stays usable however much is in it.

import { type ReactElement, useState } from "react";

export interface Portion {
  readonly size: number;
  grow(): void;
}

/** `first` at first, `step` more with each call of `grow`. */
export function usePortion(first: number, step: number): Portion {
  const [size, setSize] = useState(first);
  return { size, grow: () => setSize((now) => now + step) };
}

export function More({ left, onMore }: { left: number; onMore: () => void }): ReactElement {
  return (
    <button type="button" className="dgw-more" onClick={onMore}>
      Show more ({left.toLocaleString("en")} left)
    </button>
  );
}
