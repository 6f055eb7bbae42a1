// A replay that another page has asked for. Not in the address: a link must not run the app's code.

let asked: string | null = null;

/** Has the page of the session start its replay as soon as it is shown. */
export function askReplay(session: string): void {
  asked = session;
}

/** Whether that was asked for; told to whoever asks in this turn, and forgotten. */
export function isReplayAsked(session: string): boolean {
  const is = asked === session;
  queueMicrotask(() => {
    asked = null;
  });
  return is;
}
