import { act, render, screen } from "@testing-library/react";
import { useState } from "react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { SessionGate, useSession } from "./session";

const HINT = "dragoman.signed-in";
let user: string | null = "ann";

/** What the server says of who asks; null: nobody is signed in. */
function answer(): Response {
  const body = user === null ? {} : { tenant: "acme", user, scopes: ["use"], key: null, message_limit: null };
  const response = new Response(JSON.stringify(body), { status: user === null ? 401 : 200 });
  Object.defineProperty(response, "url", { value: `${location.origin}/dragoman/v1/me` });
  return response;
}

beforeEach(() => {
  user = "ann";
  localStorage.setItem(HINT, "1");
  vi.stubGlobal("fetch", () => Promise.resolve(answer()));
});
afterEach(() => {
  vi.unstubAllGlobals();
  localStorage.clear();
  sessionStorage.clear();
});

function Page() {
  const { me } = useSession();
  const [first] = useState(me.user);
  return <p>{`shown to ${first}, for ${me.user}`}</p>;
}

/** What the browser tells a tab when another one has changed the storage. */
function elsewhere(newValue: string | null): void {
  act(() => {
    window.dispatchEvent(new StorageEvent("storage", { key: HINT, newValue }));
  });
}

test("who signs in in another tab is signed in here, and sees nothing of who was before", async () => {
  render(<SessionGate fallback={(state) => <p>{state.kind}</p>}><Page /></SessionGate>);
  await screen.findByText("shown to ann, for ann");
  user = "bob";
  elsewhere("2");
  await screen.findByText("shown to bob, for bob");
});

test("who signs out in another tab is signed out here", async () => {
  render(<SessionGate fallback={(state) => <p>{state.kind}</p>}><Page /></SessionGate>);
  await screen.findByText("shown to ann, for ann");
  user = null;
  elsewhere(null);
  await screen.findByText("out");
  user = "ann";
  localStorage.setItem(HINT, "3");
  elsewhere("3");
  await screen.findByText("shown to ann, for ann");
});

test("another tab that only believes that nobody is signed in changes nothing", async () => {
  render(<SessionGate fallback={(state) => <p>{state.kind}</p>}><Page /></SessionGate>);
  await screen.findByText("shown to ann, for ann");
  const asked = vi.fn(() => Promise.resolve(answer()));
  vi.stubGlobal("fetch", asked);
  elsewhere(null);
  await vi.waitFor(() => expect(asked).toHaveBeenCalled());
  await screen.findByText("shown to ann, for ann");
});

test("a demo signs in by itself, but not after one has signed out", async () => {
  localStorage.removeItem(HINT);
  const asked: string[] = [];
  vi.stubGlobal("fetch", (_: unknown, init: RequestInit) => {
    asked.push(init.method ?? "GET");
    if (init.method === "DELETE") return Promise.resolve(new Response(null, { status: 204 }));
    const body = { tenant: "demo", user: "you", scopes: ["use"], key: null, message_limit: null, expires: 1 };
    return Promise.resolve(new Response(JSON.stringify(body)));
  });
  const Leave = () => {
    const { signOut } = useSession();
    return <button onClick={() => void signOut()}>leave</button>;
  };
  const gate = <SessionGate fallback={(state) => <p>{`${state.kind}${state.kind === "out" && state.demo ? ", a demo" : ""}`}</p>}><Leave /></SessionGate>;
  const { unmount } = render(gate);
  (await screen.findByRole("button")).click();
  await screen.findByText("out, a demo");
  unmount();
  const before = asked.length;
  render(gate);
  await screen.findByText("out, a demo");
  expect(asked.length).toBe(before);
});
