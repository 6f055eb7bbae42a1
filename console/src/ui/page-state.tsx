// What a page shows when it has nothing to show: one component for empty, loading, error, offline, forbidden, missing.

import type { ReactNode } from "react";
import { ApiError, told } from "../api/http";
import type { Query } from "../api/query";
import { Button, Spinner } from "./button";
import { cx } from "./classes";
import { Icon, type IconName } from "./icons";
import { Long } from "./long";

export type PageStateKind = "empty" | "loading" | "error" | "offline" | "forbidden" | "missing";

interface PageStateProps {
  kind: PageStateKind;
  title?: string;
  /** One sentence on what it means or what to do. */
  children?: ReactNode;
  icon?: IconName;
  error?: unknown;
  onRetry?: () => void;
  action?: ReactNode;
  compact?: boolean;
}

const WORDS: Record<PageStateKind, { icon: IconName; title: string; text: string }> = {
  empty: { icon: "search", title: "Nothing here yet", text: "" },
  loading: { icon: "sessions", title: "Loading…", text: "" },
  error: { icon: "alert", title: "This could not be loaded", text: "" },
  offline: {
    icon: "offline",
    title: "The server cannot be reached",
    text: "This page goes on by itself as soon as the server is back.",
  },
  forbidden: { icon: "lock", title: "Not yours to see", text: "Your key may not read this. Ask for one with the scope that it needs." },
  missing: { icon: "search", title: "There is no such thing", text: "It may have been deleted, or belong to somebody else." },
};

export function PageState({ kind, title, children, icon, error, onRetry, action, compact }: PageStateProps) {
  const words = WORDS[kind];
  const text = children ?? (error !== undefined && kind === "error" ? <Long text={told(error)} /> : words.text);
  const reference = error instanceof ApiError ? error.requestId : null;
  return (
    <div
      role={kind === "error" ? "alert" : "status"}
      data-state={kind}
      className={cx("flex flex-col items-center justify-center gap-2 p-6 text-center", compact ? "py-8" : "min-h-full flex-1")}
    >
      <div className="mb-1 flex size-10 items-center justify-center rounded-full bg-hover text-muted">
        {kind === "loading" ? <Spinner size={20} /> : <Icon name={icon ?? words.icon} size={20} />}
      </div>
      <p className="font-medium">{title ?? words.title}</p>
      {text ? <div className="max-w-sm text-sm break-words text-muted [overflow-wrap:anywhere]">{text}</div> : null}
      {reference ? <p className="font-mono text-xs text-muted">request {reference}</p> : null}
      {onRetry && kind !== "loading" && kind !== "empty" ? (
        <Button className="mt-2" icon="retry" onClick={onRetry}>
          Try again
        </Button>
      ) : null}
      {action ? <div className="mt-2">{action}</div> : null}
    </div>
  );
}

/** The state of what was asked for, or its data once it is there. */
export function Loaded<T>({ query, children, ...rest }: { query: Query<T>; children: (data: T) => ReactNode } & Partial<Omit<PageStateProps, "children" | "kind">>) {
  if (query.data !== undefined) return children(query.data);
  const kind = query.state === "ready" ? "loading" : query.state;
  return <PageState {...rest} kind={kind} error={query.error} onRetry={query.reload} />;
}
