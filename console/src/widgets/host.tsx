// What the components of one widget share: how actions are sent, and that one is on its way.

import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useRef, useState } from "react";
import { merged, type Values } from "./form";
import { FormContext } from "./formState";
import type { ActionConfig, WidgetAction } from "./types";

export type OnAction = (action: WidgetAction) => void | Promise<void>;

interface Host {
  /** Whether anything can be sent at all. */
  readonly isLive: boolean;
  /** An action is on its way that concerns the widget as a whole. */
  readonly isBusy: boolean;
  isOwnImage(address: string): boolean;
  send(config: ActionConfig, values: Values, wholeWidget: boolean): Promise<void>;
}

const HostContext = createContext<Host>({
  isLive: false,
  isBusy: false,
  isOwnImage: () => false,
  send: () => Promise.resolve(),
});

export const useHost = (): Host => useContext(HostContext);

interface HostProps {
  readonly onAction: OnAction | undefined;
  readonly disabled: boolean;
  readonly isOwnImage: ((address: string) => boolean) | undefined;
  children(isBusy: boolean, failure: string | null): ReactNode;
}

export function HostProvider({ onAction, disabled, isOwnImage, children }: HostProps): ReactNode {
  const [busy, setBusy] = useState(0);
  const [failure, setFailure] = useState<string | null>(null);
  const send = useCallback(
    async (config: ActionConfig, values: Values, wholeWidget: boolean): Promise<void> => {
      if (onAction === undefined) return;
      setFailure(null);
      if (wholeWidget) setBusy((now) => now + 1);
      try {
        await onAction({
          type: config.type,
          payload: merged(config.payload, values),
          handler: config.handler === "client" ? "client" : "server",
          streaming: config.streaming !== false,
        });
      } catch (error) {
        setFailure(error instanceof Error && error.message !== "" ? error.message : "The server could not be reached.");
      } finally {
        if (wholeWidget) setBusy((now) => now - 1);
      }
    },
    [onAction],
  );
  const isLive = onAction !== undefined && !disabled;
  const host = useMemo(
    () => ({ isLive, isBusy: busy > 0, isOwnImage: isOwnImage ?? ownImage, send }),
    [isLive, busy, isOwnImage, send],
  );
  return <HostContext value={host}>{children(busy > 0, failure)}</HostContext>;
}

/** Pictures that may be loaded: of this server, or part of the widget itself. */
function ownImage(address: string): boolean {
  if (address.trim() === "") return false;
  if (/^data:image\/(?:png|jpeg|gif|webp|avif|svg\+xml)[;,]/i.test(address)) return true;
  try {
    const url = new URL(address, location.href);
    return url.protocol === "blob:"
      ? url.origin === location.origin
      : url.origin === location.origin && /^https?:$/.test(url.protocol);
  } catch {
    return false;
  }
}

export interface Act {
  readonly isPending: boolean;
  readonly isAble: boolean;
  run(config: ActionConfig, more?: Values): void;
}

/** Sends actions with the fields of the form around; one at a time. `auto` is what `loadingBehavior: auto` means here. */
export function useAct(auto: "self" | "container" | "none"): Act {
  const host = useHost();
  const form = useContext(FormContext);
  const [isPending, setPending] = useState(false);
  const isMounted = useRef(true);
  const underWay = useRef(false);
  useEffect(() => {
    isMounted.current = true;
    return () => {
      isMounted.current = false;
    };
  }, []);
  const run = (config: ActionConfig, more: Values = {}): void => {
    if (!host.isLive || host.isBusy || underWay.current) return;
    const asked = config.loadingBehavior ?? "auto";
    const behaviour = asked === "auto" ? auto : asked;
    const waits = behaviour !== "none";
    if (waits) underWay.current = true;
    if (behaviour === "self") setPending(true);
    const values = { ...(form.sends ? form.store.values() : {}), ...more };
    void host.send(config, values, behaviour === "container").finally(() => {
      underWay.current = false;
      if (isMounted.current) setPending(false);
    });
  };
  return { isPending, isAble: host.isLive, run };
}
