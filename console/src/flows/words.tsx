// How a flow is described: what stands between backticks is code.

import type { ReactNode } from "react";
import { visible } from "../ui/json";

export function described(text: string): ReactNode[] {
  return visible(text)
    .split(/(`[^`]+`)/)
    .map((part, place) =>
      place % 2 === 0 ? (
        part
      ) : (
        <code key={place} className="font-mono text-[0.92em]">
          {part.slice(1, -1)}
        </code>
      ),
    );
}
