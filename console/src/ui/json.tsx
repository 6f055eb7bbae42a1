// A JSON value as text, whole and exact: what is approved is what is shown. Long values are cut for looking at and
// can be shown in full. Always text, never markup; direction marks cannot reorder it (isolated, left to right).

import { useMemo, useState } from "react";
import { Button, IconButton } from "./button";
import { cx } from "./classes";
import { toast } from "./toast";
import { visible } from "./visible";

export { visible };

const FIRST = 4_000;

export function Json({ value, label, whole, className }: { value: unknown; label: string; whole?: boolean; className?: string }) {
  const text = useMemo(() => visible(asText(value)), [value]);
  const [all, setAll] = useState(whole === true);
  const cut = !all && text.length > FIRST;
  return (
    <div className={cx("group relative min-w-0 rounded-md border border-line bg-surface", className)}>
      <pre
        dir="ltr"
        tabIndex={0}
        aria-label={label}
        className="max-h-80 overflow-auto p-2.5 pr-10 font-mono text-xs leading-5 break-words whitespace-pre-wrap [unicode-bidi:isolate]"
      >
        {cut ? text.slice(0, FIRST) : text}
      </pre>
      {cut ? (
        <div className="border-t border-line p-1.5">
          <Button size="small" look="ghost" onClick={() => setAll(true)}>
            Show all {text.length.toLocaleString("en-GB")} characters
          </Button>
        </div>
      ) : null}
      <IconButton
        icon="copy"
        label={`Copy ${label.toLowerCase()}`}
        size="small"
        className="absolute top-1 right-1 bg-surface opacity-0 group-hover:opacity-100 focus-visible:opacity-100"
        onClick={() => void copy(asText(value))}
      />
    </div>
  );
}

export function asText(value: unknown): string {
  if (typeof value === "string") return value;
  return JSON.stringify(value, null, 2) ?? "undefined";
}

export async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    toast("Copied.");
  } catch {
    toast("The browser does not let this page copy.", "bad");
  }
}
