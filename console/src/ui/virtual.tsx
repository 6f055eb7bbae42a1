// A list of any length: only what is near the window is in the page. Rows may have any height and may change it;
// what the reader looks at stays where it is when something above grows, or is put in front.

import { useCallback, useEffect, useImperativeHandle, useLayoutEffect, useMemo, useRef, useState, type ReactNode, type Ref } from "react";
import { flushSync } from "react-dom";

export interface VirtualHandle {
  scrollToEnd: () => void;
  scrollToIndex: (index: number) => void;
  atEnd: () => boolean;
}

interface VirtualListProps<T> {
  items: readonly T[];
  keyOf: (item: T, index: number) => string;
  /** Height of a row that has not been seen yet. */
  estimate: number;
  children: (item: T, index: number) => ReactNode;
  /** All rows are `estimate` high: nothing is measured. */
  fixed?: boolean;
  /** Starts at the end, and stays there while the reader is there. */
  sticky?: boolean;
  onNearStart?: () => void;
  onNearEnd?: () => void;
  onAtEnd?: (atEnd: boolean) => void;
  /** Stands before and after the rows, and scrolls with them. */
  header?: ReactNode;
  footer?: ReactNode;
  className?: string;
  innerClassName?: string;
  role?: string;
  label?: string;
  ref?: Ref<VirtualHandle>;
}

const OVERSCAN = 600;
const NEAR = 400;
/** How near to the end one has to come to be taken there. */
const SLACK = 24;
/** Places are told in fractions of pixels. */
const HAIR = 1.5;

export function VirtualList<T>(props: VirtualListProps<T>) {
  const { items, keyOf, estimate, children, fixed = false, sticky = false, header, footer } = props;
  const viewport = useRef<HTMLDivElement>(null);
  const inner = useRef<HTMLDivElement>(null);
  const sizes = useRef(new Map<string, number>());
  const isStuck = useRef(sticky);
  const seenTop = useRef(0);
  const anchor = useRef<{ key: string; top: number } | null>(null);
  const [version, setVersion] = useState(0);
  const [view, setView] = useState({ top: 0, height: 0 });

  const keys = useMemo(() => items.map(keyOf), [items, keyOf]);
  const offsets = useMemo(() => {
    const made = new Float64Array(keys.length + 1);
    for (let n = 0; n < keys.length; n++) {
      const size = fixed ? estimate : (sizes.current.get(keys[n] as string) ?? estimate);
      made[n + 1] = (made[n] as number) + size;
    }
    return made;
    // `version` stands for the measured sizes
  }, [keys, estimate, fixed, version]);
  const total = offsets[keys.length] as number;

  const start = inner.current?.offsetTop ?? 0;
  const first = Math.max(0, indexAt(offsets, view.top - start - OVERSCAN));
  const end = Math.min(keys.length, indexAt(offsets, view.top - start + view.height + OVERSCAN) + 1);

  /** What is at the top of the window, to be held there. */
  const remember = useCallback(() => {
    const element = viewport.current;
    if (element === null) return;
    if (!sticky && element.scrollTop <= 1) {
      anchor.current = null; // at the top of a list, what comes new is to be seen
      return;
    }
    const top = element.scrollTop - (inner.current?.offsetTop ?? 0);
    const index = indexAt(offsets, top);
    const key = keys[index];
    anchor.current = key === undefined ? null : { key, top: (offsets[index] as number) - top };
  }, [keys, offsets, sticky]);

  const { onNearStart, onNearEnd, onAtEnd } = props;
  /** Whether the list still holds on to its end: only who goes up lets go. What grows moves the end away, and nobody. */
  const grasp = useCallback(
    (element: HTMLElement): void => {
      const top = element.scrollTop;
      const left = element.scrollHeight - top - element.clientHeight;
      const before = isStuck.current;
      if (left <= HAIR) isStuck.current = sticky;
      else if (top < seenTop.current - HAIR) isStuck.current = false;
      else if (left <= SLACK && top > seenTop.current) isStuck.current = sticky;
      seenTop.current = top;
      if (isStuck.current !== before) onAtEnd?.(isStuck.current);
    },
    [sticky, onAtEnd],
  );
  const toEnd = (element: HTMLElement): void => {
    element.scrollTop = element.scrollHeight;
    seenTop.current = element.scrollTop;
  };

  // after each change of what is above: the same row at the same place, or the end at the end
  useLayoutEffect(() => {
    const element = viewport.current;
    if (element === null || isStuck.current) return;
    const held = anchor.current;
    if (held === null) return;
    const index = keys.indexOf(held.key);
    if (index < 0) return;
    const wanted = (offsets[index] as number) - held.top + (inner.current?.offsetTop ?? 0);
    if (Math.abs(wanted - element.scrollTop) <= 1) return;
    element.scrollTop = wanted;
    seenTop.current = element.scrollTop;
  }, [keys, offsets]);
  useLayoutEffect(() => {
    const element = viewport.current;
    if (element === null || !isStuck.current) return;
    grasp(element); // somebody may have gone up, of which the event is yet to come
    if (isStuck.current) toEnd(element);
    else remember();
  });

  const onScroll = useCallback(() => {
    const element = viewport.current;
    if (element === null) return;
    grasp(element);
    remember();
    setView((old) =>
      old.top === element.scrollTop && old.height === element.clientHeight
        ? old
        : { top: element.scrollTop, height: element.clientHeight },
    );
    if (element.scrollTop < NEAR) onNearStart?.();
    if (element.scrollHeight - element.scrollTop - element.clientHeight < NEAR) onNearEnd?.();
  }, [grasp, remember, onNearStart, onNearEnd]);

  const handler = useRef(onScroll);
  handler.current = onScroll;
  useEffect(() => {
    const element = viewport.current;
    if (element === null) return;
    const observer = new ResizeObserver(() => {
      if (isStuck.current) toEnd(element);
      handler.current();
    });
    observer.observe(element);
    handler.current();
    return () => observer.disconnect();
  }, []);

  // more may be wanted without anybody scrolling: a page that does not fill the window
  useEffect(() => handler.current(), [items.length]);

  const observer = useRef<ResizeObserver | null>(null);
  const observe = useCallback(
    (key: string) => (element: HTMLDivElement | null) => {
      if (element === null || fixed) return;
      observer.current ??= new ResizeObserver((entries) => {
        let changed = false;
        for (const entry of entries) {
          const row = entry.target as HTMLElement;
          const name = row.dataset.key;
          if (name === undefined || !row.isConnected) continue;
          const height = row.offsetHeight;
          if (sizes.current.get(name) !== height) {
            sizes.current.set(name, height);
            changed = true;
          }
        }
        // before the next paint, so that nothing is seen to jump
        if (changed) flushSync(() => setVersion((n) => n + 1));
      });
      const watching = observer.current;
      element.dataset.key = key;
      watching.observe(element);
      return () => watching.unobserve(element);
    },
    [fixed],
  );
  useEffect(() => () => observer.current?.disconnect(), []);

  useImperativeHandle(props.ref, () => ({
    scrollToEnd: () => {
      const element = viewport.current;
      if (element === null) return;
      if (isStuck.current !== sticky) onAtEnd?.(sticky);
      isStuck.current = sticky;
      toEnd(element);
    },
    scrollToIndex: (index) => {
      const element = viewport.current;
      if (element === null) return;
      if (isStuck.current) onAtEnd?.(false);
      isStuck.current = false;
      const top = (offsets[Math.min(index, keys.length)] ?? 0) + (inner.current?.offsetTop ?? 0);
      const bottom = (offsets[Math.min(index + 1, keys.length)] ?? total) + (inner.current?.offsetTop ?? 0);
      if (top < element.scrollTop) element.scrollTop = top;
      else if (bottom > element.scrollTop + element.clientHeight) element.scrollTop = bottom - element.clientHeight;
    },
    atEnd: () => isStuck.current,
  }));

  const rows: ReactNode[] = [];
  for (let n = first; n < end; n++) {
    const key = keys[n] as string;
    rows.push(
      <Row key={key} name={key} observe={observe} height={fixed ? estimate : undefined} index={n} count={keys.length} role={props.role}>
        {children(items[n] as T, n)}
      </Row>,
    );
  }
  return (
    <div
      ref={viewport}
      onScroll={onScroll}
      className={`relative overflow-y-auto [overflow-anchor:none] ${props.className ?? ""}`}
      tabIndex={0}
      role="region"
      aria-label={props.label}
    >
      {header}
      <div ref={inner} role={props.role} aria-label={props.role ? props.label : undefined} className={props.innerClassName} style={{ height: total, boxSizing: "content-box" }}>
        <div style={{ transform: `translateY(${offsets[first] ?? 0}px)` }}>{rows}</div>
      </div>
      {footer}
    </div>
  );
}

interface RowProps {
  name: string;
  index: number;
  count: number;
  role: string | undefined;
  height: number | undefined;
  observe: (key: string) => (element: HTMLDivElement | null) => void | (() => void);
  children: ReactNode;
}

function Row({ name, observe, height, role, index, count, children }: RowProps) {
  const ref = useMemo(() => observe(name), [observe, name]);
  return (
    <div
      ref={ref}
      style={height === undefined ? { display: "flow-root" } : { height }}
      role={role === "list" ? "listitem" : undefined}
      aria-posinset={role === "list" ? index + 1 : undefined}
      aria-setsize={role === "list" ? count : undefined}
    >
      {children}
    </div>
  );
}

/** The last index whose offset is at or before `place`. */
export function indexAt(offsets: Float64Array, place: number): number {
  let low = 0;
  let high = offsets.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((offsets[middle] as number) <= place) low = middle;
    else high = middle - 1;
  }
  return low;
}
