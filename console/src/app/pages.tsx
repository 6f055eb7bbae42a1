// Which page an address shows. Each page is a chunk of its own, loaded when it is first opened; the one that is opened
// first begins to load before it is known who asks.

import { Suspense, type ComponentType } from "react";
import { Button } from "../ui/button";
import { PageFrame } from "../ui/frame";
import { PageState } from "../ui/page-state";
import { Guard } from "./guard";
import { lazily, Pending } from "./lazily";
import { navigate, usePlace, wordsOf } from "./router";
import { Shell } from "./shell";

/** Pages get the words of the path behind their own: `/console/runs/abc` → RunsPage words={["abc"]}. */
export interface PageProps {
  words: readonly string[];
}

const LOAD: Record<string, () => Promise<{ default: ComponentType<PageProps> }>> = {
  chat: () => import("../chat/page"),
  runs: () => import("../runs/page"),
  compare: () => import("../runs/compare"),
  flows: () => import("../flows/page"),
  sessions: () => import("../sessions/page"),
  overview: () => import("../overview/page"),
  models: () => import("../overview/models"),
};
const LAZY = new Map(Object.entries(LOAD).map(([name, load]) => [name, lazily(load)]));

/** Begins to load the page of an address. */
export function preloadPage(path: string): void {
  const [name = "chat"] = wordsOf(path);
  if (Object.hasOwn(LOAD, name)) LOAD[name]?.().catch(() => undefined); // told where it is shown
}

export function Pages() {
  const { path } = usePlace();
  const [name = "chat", ...words] = wordsOf(path);
  const Page = LAZY.get(name);
  return (
    <Shell place={name === "compare" ? "runs" : name}>
      <Guard key={name}>
        <Suspense fallback={<Pending />}>
          {Page ? <Page words={words} /> : <NoPage />}
        </Suspense>
      </Guard>
    </Shell>
  );
}

function NoPage() {
  return (
    <PageFrame title="Not found">
      <PageState kind="missing" title="There is no such page" action={<Button onClick={() => navigate("/console/chat")}>To the chat</Button>}>
        Look at the address, or choose a page in the menu.
      </PageState>
    </PageFrame>
  );
}
