// Runs: the list, or the one that the address names.

import type { PageProps } from "../app/pages";
import { RunList } from "./list";
import { RunPage } from "./run";

export default function RunsPage({ words }: PageProps) {
  const id = words[0];
  return id === undefined ? <RunList /> : <RunPage key={id} id={id} />;
}
