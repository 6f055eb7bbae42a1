// Which run to compare with: others of the same agent or flow.

import { findRuns } from "../api/journal";
import { useQuery } from "../api/query";
import type { Run } from "../api/types";
import { linkTo, pathTo } from "../app/router";
import { Dialog } from "../ui/dialog";
import { Loaded, PageState } from "../ui/page-state";
import { Ago } from "../ui/time";
import { olderFirst } from "./pairs";
import { Length, nameOf, shortId, StatusBadge, tokens } from "./words";

export function Picker({ run, onClose }: { run: Run; onClose: () => void }) {
  const of = run.flow !== null ? { flow: run.flow } : run.agent !== null ? { agent: run.agent } : {};
  const query = useQuery(`like:${run.id}`, (signal) => findRuns({ ...of, limit: 50 }, signal));
  const to = (other: Run): string => pathTo("compare", ...olderFirst(run, other).map((one) => one.id));
  return (
    <Dialog title={`Compare with another run of ${nameOf(run)}`} onClose={onClose} wide>
      <Loaded query={query} compact>
        {({ runs }) => {
          const others = runs.filter((one) => one.id !== run.id);
          if (others.length === 0) {
            return (
              <PageState kind="empty" icon="runs" title="There is no other one" compact>
                Run it again, and compare it with itself as it is now.
              </PageState>
            );
          }
          return (
            <ul className="grid gap-1">
              {others.map((other) => (
                <li key={other.id}>
                  <a
                    {...linkTo(to(other), onClose)}
                    className="flex flex-wrap items-center gap-x-3 gap-y-1 rounded-md px-2 py-2 text-sm hover:bg-hover focus-visible:outline-offset-[-2px]"
                  >
                    <StatusBadge status={other.status} />
                    <span className="font-mono text-xs">{shortId(other.id)}</span>
                    <span className="ml-auto flex gap-3 text-xs text-muted tabular-nums">
                      <span>{tokens(other.usage)}</span>
                      <Length run={other} />
                      <Ago at={other.created} />
                    </span>
                  </a>
                </li>
              ))}
            </ul>
          );
        }}
      </Loaded>
    </Dialog>
  );
}
