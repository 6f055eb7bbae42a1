// Whether the server is there. Every request reports; while it is gone this asks until it is back.

import { useSyncExternalStore } from "react";
import { under } from "./base";

export interface ConnectionState {
  online: boolean;
  /** Grows each time the server comes back: what was read before may be old. */
  epoch: number;
}

const FIRST_WAIT = 500;
const LONGEST_WAIT = 2_000;

export class Connection {
  private state: ConnectionState = { online: true, epoch: 0 };
  private readonly listeners = new Set<() => void>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private wait = FIRST_WAIT;

  /** `probe` resolves if the server answers, and rejects otherwise. */
  constructor(private readonly probe: () => Promise<unknown>) {}

  readonly current = (): ConnectionState => this.state;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** Somebody could not reach the server. */
  lost(): void {
    if (!this.state.online) return;
    this.set({ online: false, epoch: this.state.epoch });
    this.wait = FIRST_WAIT;
    this.later();
  }

  /** Somebody reached it. */
  reached(): void {
    if (this.state.online) return;
    clearTimeout(this.timer);
    this.set({ online: true, epoch: this.state.epoch + 1 });
  }

  /** Ask at once, as when the browser says that the network is back. */
  async tryNow(): Promise<void> {
    clearTimeout(this.timer);
    if (this.state.online) return;
    try {
      await this.probe();
      this.reached();
    } catch {
      this.wait = Math.min(this.wait * 2, LONGEST_WAIT);
      this.later();
    }
  }

  private later(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.tryNow(), this.wait);
  }

  private set(state: ConnectionState): void {
    this.state = state;
    for (const listener of this.listeners) listener();
  }
}

async function ask(): Promise<void> {
  const response = await fetch(under("/health/live"), { cache: "no-store", signal: AbortSignal.timeout(5_000) });
  if (!response.ok) throw new Error(`health: ${response.status}`);
}

export const connection = new Connection(ask);

export function useConnection(): ConnectionState {
  return useSyncExternalStore(connection.subscribe, connection.current, connection.current);
}
