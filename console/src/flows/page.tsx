// Flows: the list, or the one that the address names.

import { useRef } from "react";
import { listFlows } from "../api/journal";
import type { Flow } from "../api/journal-types";
import { useQuery } from "../api/query";
import type { PageProps } from "../app/pages";
import { useShortcuts } from "../app/keyboard";
import { linkTo, navigate, pathTo, usePlace } from "../app/router";
import { Badge, Button } from "../ui/button";
import { cx } from "../ui/classes";
import { FIELD, PageFrame } from "../ui/frame";
import { visible } from "../ui/json";
import { Loaded, PageState } from "../ui/page-state";
import { useRowKeys } from "../ui/rows";
import { VirtualList, type VirtualHandle } from "../ui/virtual";
import { FlowPage } from "./flow";
import { described } from "./words";

export default function FlowsPage({ words }: PageProps) {
  const name = words.join("/");
  return words.length === 0 ? <FlowList /> : <FlowPage key={name} name={name} />;
}

function FlowList() {
  const query = useQuery("flows", listFlows);
  const { query: address } = usePlace();
  const q = address.get("q") ?? "";
  const search = useRef<HTMLInputElement>(null);
  const handle = useRef<VirtualHandle>(null);
  const root = useRef<HTMLDivElement>(null);
  const wanted = q.toLowerCase();
  const flows = (query.data?.flows ?? []).filter((flow) => `${flow.name} ${flow.description}`.toLowerCase().includes(wanted));
  const keys = useRowKeys(handle, root, flows.length);
  const seek = (text: string): void => navigate(text === "" ? "/console/flows" : `/console/flows?q=${encodeURIComponent(text)}`, { replace: true });
  useShortcuts([
    { keys: "/", label: "Search flows", run: () => search.current?.focus() },
    { keys: "j", label: "To the first flow (also ↓)", run: () => keys.focusRow(0) },
  ]);
  return (
    <PageFrame
      title="Flows"
      actions={
        <input
          ref={search}
          type="search"
          value={q}
          onChange={(event) => seek(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === "ArrowDown") {
              event.preventDefault();
              keys.focusRow(0);
            }
            if (event.key === "Escape") event.currentTarget.blur();
          }}
          aria-label="Search flows"
          placeholder="Search flows"
          className={cx(FIELD, "w-44 md:w-56")}
        />
      }
    >
      <Loaded query={query}>
        {() =>
          flows.length === 0 ? (
            q !== "" ? (
              <PageState kind="empty" title="No flow matches" action={<Button onClick={() => seek("")}>Clear the search</Button>} />
            ) : (
              <PageState kind="empty" icon="flows" title="No flows are served">
                An app that is given flows shows them here, with their steps and versions.
              </PageState>
            )
          ) : (
            <div ref={root} className="flex min-h-0 flex-1 flex-col" onKeyDown={keys.onKeyDown}>
              <VirtualList ref={handle} items={flows} keyOf={keyOf} estimate={64} className="min-h-0 flex-1" label="Flows" role="list">
                {(flow, place) => <FlowRow flow={flow} place={place} />}
              </VirtualList>
            </div>
          )
        }
      </Loaded>
    </PageFrame>
  );
}

function keyOf(flow: Flow): string {
  return flow.name;
}

function FlowRow({ flow, place }: { flow: Flow; place: number }) {
  return (
    <a
      {...linkTo(pathTo("flows", ...flow.name.split("/")))}
      data-row={place}
      className="flex flex-wrap items-center gap-x-4 gap-y-1 border-b border-line px-4 py-3 hover:bg-hover focus-visible:outline-offset-[-2px] md:px-6"
    >
      <span className="min-w-0 flex-1 basis-52">
        <span className="block truncate font-medium [unicode-bidi:isolate]">{visible(flow.name)}</span>
        <span className="block truncate text-sm text-muted [unicode-bidi:isolate]">{described(flow.description)}</span>
      </span>
      <span className="flex flex-wrap items-center gap-2 text-xs text-muted">
        <span>
          {flow.steps} {flow.steps === 1 ? "step" : "steps"}
        </span>
        <Badge tone={flow.production === null ? "plain" : "good"}>{flow.production === null ? "not published" : `v${flow.production} in production`}</Badge>
        {flow.versions.length > 1 ? <Badge>{flow.versions.length} versions</Badge> : null}
        {flow.has_draft ? <Badge>draft</Badge> : null}
        {flow.capture === "off" ? <Badge tone="warn">nothing kept</Badge> : null}
      </span>
    </a>
  );
}
