// The page in front of all others: asks for an API key, hands it over once and forgets it.

import { useRef, useState, type FormEvent } from "react";
import { ApiError, told } from "../api/http";
import { Button, Spinner } from "../ui/button";
import { Mark } from "../ui/icons";
import { Long } from "../ui/long";
import { PageState } from "../ui/page-state";
import type { SessionState } from "./session";

interface SignInProps {
  state: Exclude<SessionState, { kind: "in" }>;
  signIn: (key: string) => Promise<void>;
}

export function SignIn({ state, signIn }: SignInProps) {
  const input = useRef<HTMLInputElement>(null);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);

  if (state.kind === "asking") {
    return (
      <main className="flex h-dvh items-center justify-center text-muted" aria-busy="true">
        <Spinner size={24} label="Loading" />
      </main>
    );
  }
  if (state.kind === "offline") {
    return (
      <main className="flex h-dvh flex-col">
        <PageState kind="offline" />
      </main>
    );
  }
  const isDemo = state.demo === true;
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    const key = input.current?.value.trim() ?? "";
    if (key === "") {
      setProblem("Enter a key first.");
      input.current?.focus();
      return;
    }
    await enter(key);
  };
  const enter = async (key: string): Promise<void> => {
    setBusy(true);
    setProblem(null);
    try {
      await signIn(key);
    } catch (error) {
      setProblem(error instanceof ApiError && error.status === 401 ? "This key is not known here, or is no longer valid." : told(error));
      input.current?.select();
    } finally {
      setBusy(false);
    }
  };
  return (
    <main className="flex h-dvh flex-col items-center justify-center bg-surface p-4">
      <form
        onSubmit={(event) => void submit(event)}
        className="w-full max-w-sm rounded-xl border border-line bg-raised p-6 shadow-(--shadow-pop)"
      >
        <Mark size={40} />
        <h1 className="mt-4 text-lg font-semibold">Sign in to Dragoman</h1>
        <p className="mt-1 text-muted">With an API key of this server. It is not kept in the browser.</p>
        <label htmlFor="key" className="mt-5 block text-sm font-medium">
          API key
        </label>
        <input
          ref={input}
          id="key"
          name="key"
          type="password"
          autoComplete="off"
          autoFocus
          spellCheck={false}
          placeholder={isDemo ? "demo-NAME or dk_…" : "dk_…"}
          aria-invalid={problem !== null}
          aria-describedby={problem === null ? "key-help" : "key-problem key-help"}
          className="mt-1.5 h-10 w-full rounded-md border border-line-strong bg-bg px-3 font-mono text-sm"
        />
        {problem === null ? null : (
          <p id="key-problem" role="alert" className="mt-1.5 text-xs text-bad">
            <Long text={problem} />
          </p>
        )}
        <p id="key-help" className="mt-1.5 text-xs text-muted">
          {isDemo ? (
            <>
              This is a demo: sign in as <code className="font-mono">demo-you</code>, or type <code className="font-mono">demo-NAME</code> for another user.
            </>
          ) : (
            <>
              Make one with <code className="font-mono">dragoman keys create</code>.
            </>
          )}
        </p>
        <Button type="submit" look="primary" busy={busy} className="mt-5 w-full">
          Sign in
        </Button>
        {isDemo ? (
          <Button busy={busy} className="mt-2 w-full" onClick={() => void enter("demo-you")}>
            Continue as demo-you
          </Button>
        ) : null}
      </form>
    </main>
  );
}
