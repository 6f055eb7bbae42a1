// The frame of a page: where it stands, its title, what can be done; then its body, which scrolls or not.

import { useEffect, type ReactNode } from "react";
import { linkTo } from "../app/router";
import { cx } from "./classes";
import { Icon } from "./icons";
import { visible } from "./json";

interface PageFrameProps {
  title: string;
  /** Shown instead of the plain title. */
  heading?: ReactNode;
  /** The page above this one. */
  above?: { label: string; to: string };
  actions?: ReactNode;
  /** Below the title, in the head. */
  below?: ReactNode;
  children: ReactNode;
}

export function PageFrame({ title, heading, above, actions, below, children }: PageFrameProps) {
  useEffect(() => {
    document.title = `${visible(title)} · Dragoman`;
  }, [title]);
  return (
    <div className="flex min-h-0 min-w-0 flex-1 flex-col">
      <header className="shrink-0 border-b border-line bg-bg px-4 py-2.5 md:px-6">
        <div className="flex min-h-9 flex-wrap items-center gap-x-3 gap-y-2">
          <div className="flex min-w-0 flex-1 basis-40 items-center gap-1.5">
            {above ? (
              <>
                <a {...linkTo(above.to)} className="shrink-0 rounded text-sm text-muted hover:text-text">
                  {above.label}
                </a>
                <Icon name="chevron" size={14} className="shrink-0 text-muted" />
              </>
            ) : null}
            <h1 className="flex min-w-0 items-center gap-2 text-base font-semibold">
              {heading ?? <span className="truncate [unicode-bidi:isolate]">{visible(title)}</span>}
            </h1>
          </div>
          {actions ? <div className="flex min-w-0 flex-wrap items-center gap-2">{actions}</div> : null}
        </div>
        {below}
      </header>
      {children}
    </div>
  );
}

/** Pages of a page. Arrows go from one to the next. */
export function Tabs<T extends string>({ label, tabs, chosen, onChoose, className }: { label: string; tabs: readonly { name: T; label: string; count?: string }[]; chosen: T; onChoose: (name: T) => void; className?: string }) {
  return (
    <div
      role="tablist"
      aria-label={label}
      className={cx("flex w-fit max-w-full min-w-0 gap-0.5 overflow-x-auto rounded-lg bg-hover p-0.5", className)}
      onKeyDown={(event) => {
        const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
        if (step === 0) return;
        event.preventDefault();
        const place = tabs.findIndex((tab) => tab.name === chosen);
        const next = tabs[(place + step + tabs.length) % tabs.length];
        if (next === undefined) return;
        onChoose(next.name);
        event.currentTarget.querySelector<HTMLElement>(`[data-tab="${next.name}"]`)?.focus();
      }}
    >
      {tabs.map((tab) => (
        <button
          key={tab.name}
          type="button"
          role="tab"
          data-tab={tab.name}
          aria-selected={tab.name === chosen}
          tabIndex={tab.name === chosen ? 0 : -1}
          onClick={() => onChoose(tab.name)}
          className={cx(
            "h-7 rounded-md px-2.5 text-[0.8125rem] font-medium whitespace-nowrap focus-visible:outline-offset-[-2px] sm:px-3",
            tab.name === chosen ? "bg-raised text-text shadow-[0_0_0_1px_var(--c-line-strong)]" : "text-muted hover:text-text",
          )}
        >
          {tab.label}
          {tab.count !== undefined ? <span className="ml-1.5 text-xs font-normal tabular-nums">{tab.count}</span> : null}
        </button>
      ))}
    </div>
  );
}

/** A figure with its name above it. */
export function Figure({ label, children, detail, tone, className }: { label: string; children: ReactNode; detail?: ReactNode; tone?: "bad"; className?: string }) {
  return (
    <div className={cx("min-w-0", className)}>
      <dt className="truncate text-xs text-muted">{label}</dt>
      <dd className={cx("mt-0.5 text-sm font-medium break-words tabular-nums", tone === "bad" && "text-bad")}>{children}</dd>
      {detail ? <dd className="text-xs text-muted tabular-nums">{detail}</dd> : null}
    </div>
  );
}

/** A field with a word in front of it. */
export const FIELD = "h-7 min-w-0 rounded-md border border-line-strong bg-raised px-2 text-xs";
