// What keeps a fault where it happens. A part of the console that could not be fetched is waited for: with the server it
// comes back, if need be with the page loaded anew.

import { Component, useEffect, useState, type ReactNode } from "react";
import { useConnection } from "../api/connection";
import { PageState } from "../ui/page-state";
import { isPartMissing, Pending, reloadOnce } from "./lazily";

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
    return <Fault error={this.state.error} />;
  }
}

function Fault({ error }: { error: unknown }) {
  const { online } = useConnection();
  const [isFinal, setFinal] = useState(!isPartMissing(error));
  useEffect(() => {
    if (!isFinal && online) setFinal(!reloadOnce());
  }, [isFinal, online]);
  if (!isFinal) return <Pending />;
  return (
    <PageState kind="error" title="This page has run into a fault" onRetry={() => location.reload()}>
      Reload to go on. Nothing on the server is lost.
    </PageState>
  );
}
