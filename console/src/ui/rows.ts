// The keyboard of long lists: arrows, j and k, Home and End go from row to row, also to rows that are not in the page yet.

import { useCallback, useRef, type KeyboardEvent, type RefObject } from "react";
import { isTyping } from "../app/keyboard";
import type { VirtualHandle } from "./virtual";

interface RowKeys {
  onKeyDown: (event: KeyboardEvent<HTMLElement>) => void;
  /** Puts the focus on a row, as soon as it is there. */
  focusRow: (index: number) => void;
}

/** Rows carry `data-row={index}` on what takes the focus. */
export function useRowKeys(list: RefObject<VirtualHandle | null>, root: RefObject<HTMLElement | null>, count: number): RowKeys {
  const latest = useRef(count);
  latest.current = count;

  const focusRow = useCallback(
    (index: number) => {
      const place = Math.max(0, Math.min(index, latest.current - 1));
      list.current?.scrollToIndex(place);
      let tries = 0;
      const attempt = (): void => {
        const row = root.current?.querySelector<HTMLElement>(`[data-row="${place}"]`);
        if (row) row.focus({ preventScroll: true });
        else if (tries++ < 10) requestAnimationFrame(attempt);
      };
      attempt();
    },
    [list, root],
  );

  const onKeyDown = useCallback(
    (event: KeyboardEvent<HTMLElement>) => {
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
      const row = (event.target as HTMLElement).closest<HTMLElement>("[data-row]");
      const now = row === null ? -1 : Number(row.dataset.row);
      const to: Record<string, number> = {
        ArrowDown: now + 1,
        j: now + 1,
        ArrowUp: now - 1,
        k: now - 1,
        PageDown: now + 20,
        PageUp: now - 20,
        Home: 0,
        End: latest.current - 1,
      };
      const next = to[event.key];
      if (next === undefined || latest.current === 0) return;
      event.preventDefault();
      focusRow(next);
    },
    [focusRow],
  );
  return { onKeyDown, focusRow };
}
