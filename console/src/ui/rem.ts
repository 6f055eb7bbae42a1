// How many pixels a rem is: wide screens have larger ones, and rows of a fixed height must know.

import { useSyncExternalStore } from "react";

function read(): number {
  const size = parseFloat(getComputedStyle(document.documentElement).fontSize);
  return Number.isFinite(size) && size > 0 ? size : 16;
}

function subscribe(listener: () => void): () => void {
  window.addEventListener("resize", listener);
  return () => window.removeEventListener("resize", listener);
}

export function useRem(): number {
  return useSyncExternalStore(subscribe, read, () => 16);
}

/** Whether a media query holds. */
export function useMedia(query: string): boolean {
  return useSyncExternalStore(
    (listener) => {
      const media = window.matchMedia?.(query);
      media?.addEventListener?.("change", listener);
      return () => media?.removeEventListener?.("change", listener);
    },
    () => window.matchMedia?.(query)?.matches === true,
    () => false,
  );
}
