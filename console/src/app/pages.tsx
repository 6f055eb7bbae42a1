// Which page an address shows. Each page but the chat is a chunk of its own, loaded when it is first opened.

import { Component, Suspense, type ComponentType, type ReactNode } from "react";
import { ChatPage } from "../chat/page";
import { PageState } from "../ui/page-state";
import { lazily, Pending } from "./lazily";
import { usePlace, wordsOf } from "./router";
import { Shell } from "./shell";

/** Pages get the words of the path behind their own: `/console/runs/abc` → RunsPage words={["abc"]}. */
export interface PageProps {
  words: readonly string[];
}

const LAZY: Record<string, ComponentType<PageProps>> = {
  runs: lazily(() => import("../runs/page")),
  compare: lazily(() => import("../runs/compare")),
  flows: lazily(() => import("../flows/page")),
  sessions: lazily(() => import("../sessions/page")),
  overview: lazily(() => import("../overview/page")),
  models: lazily(() => import("../overview/models")),
};

export function Pages() {
  const { path } = usePlace();
  const [name = "chat", ...words] = wordsOf(path);
  const Page = LAZY[name];
  return (
    <Shell place={name === "compare" ? "runs" : name}>
      <Guard key={name}>
        <Suspense fallback={<Pending />}>
          {name === "chat" ? (
            <ChatPage words={words} />
          ) : Page ? (
            <Page words={words} />
          ) : (
            <PageState kind="missing" title="There is no such page" />
          )}
        </Suspense>
      </Guard>
    </Shell>
  );
}

interface GuardState {
  error: unknown;
}

/** A fault in one page leaves the others usable. */
export class Guard extends Component<{ children: ReactNode }, GuardState> {
  override state: GuardState = { error: null };

  static getDerivedStateFromError(error: unknown): GuardState {
    return { error };
  }

  override render(): ReactNode {
    if (this.state.error === null) return this.props.children;
    return (
      <PageState kind="error" title="This page has run into a fault" onRetry={() => location.reload()}>
        Reload to go on. Nothing on the server is lost.
      </PageState>
    );
  }
}
