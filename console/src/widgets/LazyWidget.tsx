// Widgets in a chunk of their own, for pages that seldom show one.

import { lazy, type ReactElement, Suspense } from "react";
import type { WidgetProps } from "./Widget";

const Loaded = lazy(async () => ({ default: (await import("./Widget")).Widget }));

export function LazyWidget(props: WidgetProps): ReactElement {
  return (
    <Suspense fallback={<p role="status">Loading…</p>}>
      <Loaded {...props} />
    </Suspense>
  );
}
