// The chat: threads beside the one that is open.

import { generateId } from "ai";
import { useCallback, useEffect, useRef, useState } from "react";
import type { PageProps } from "../app/pages";
import { useShortcuts } from "../app/keyboard";
import { navigate, pathTo } from "../app/router";
import { preloadMarkdown } from "../markdown";
import { IconButton } from "../ui/button";
import { newThread, Threads } from "./threads";
import { ThreadView } from "./thread";

preloadMarkdown(); // before it is known whether there is any: words that come first as plain text would move

const NONE: never[] = [];

export default function ChatPage({ words }: PageProps) {
  const named = words[0];
  // a thread that exists only here until its first message is sent
  const [draft, setDraft] = useState(generateId);
  const [version, setVersion] = useState(0);
  const [drawer, setDrawer] = useState(false);
  const begun = useRef(new Set<string>());
  const search = useRef<HTMLInputElement>(null);
  const opener = useRef<HTMLButtonElement>(null);
  const id = named ?? draft;

  const begin = useCallback(() => {
    setDraft(generateId());
    setDrawer(false);
    newThread();
  }, []);
  const onFirst = useCallback(() => {
    begun.current.add(draft);
    navigate(pathTo("chat", draft), { replace: true });
  }, [draft]);
  const onMoved = useCallback(() => setVersion((n) => n + 1), []);

  // an address without a thread, after one that had it, is a new one
  const before = useRef(named);
  useEffect(() => {
    if (before.current !== undefined && named === undefined) setDraft((old) => (begun.current.has(old) ? generateId() : old));
    before.current = named;
  }, [named]);

  useShortcuts([
    { keys: "/", label: "Search threads", run: () => openSearch() },
    { keys: "mod+k", label: "Search threads, also while typing", whileTyping: true, run: () => openSearch() },
    { keys: "n", label: "New thread", run: begin },
  ]);
  const closeDrawer = (): void => {
    setDrawer(false);
    opener.current?.focus();
  };
  useShortcuts(drawer ? [{ keys: "Escape", label: "Close the list of threads", whileTyping: true, run: closeDrawer }] : NONE);
  const openSearch = (): void => {
    if (search.current?.offsetParent === null) setDrawer(true); // on a wide page the list is there
    requestAnimationFrame(() => search.current?.focus());
  };

  return (
    <div className="flex min-h-0 min-w-0 flex-1">
      <h1 className="sr-only">Chat</h1>
      <div className={drawer ? "fixed inset-0 z-30 flex lg:static lg:z-auto" : "hidden lg:flex"}>
        <div className="h-full w-[min(20rem,85vw)] border-r border-line shadow-(--shadow-pop) lg:w-72 lg:shadow-none">
          <Threads open={id} version={version} onNew={begin} onChosen={() => setDrawer(false)} search={search} />
        </div>
        <button
          type="button"
          aria-label="Close the list of threads"
          className="flex-1 bg-black/40 lg:hidden"
          onClick={closeDrawer}
        />
      </div>
      <ThreadView
        key={id}
        id={id}
        isNew={named === undefined}
        onFirst={onFirst}
        onMoved={onMoved}
        onGone={begin}
        menu={<IconButton ref={opener} icon="menu" label="Threads" className="lg:hidden" onClick={() => setDrawer(true)} />}
      />
    </div>
  );
}
