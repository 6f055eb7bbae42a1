import { fireEvent, render, screen } from "@testing-library/react";
import { expect, test, vi } from "vitest";
import { ApiError } from "../api/http";
import { SignIn } from "./sign-in";

const refuse = (): Promise<void> => Promise.reject(new ApiError("no", 401, "unauthorized"));

test("how to get a key is still said after a wrong one", async () => {
  render(<SignIn state={{ kind: "out" }} signIn={refuse} />);
  fireEvent.change(screen.getByLabelText("API key"), { target: { value: "dk_wrong" } });
  fireEvent.click(screen.getByRole("button", { name: "Sign in" }));
  expect((await screen.findByRole("alert")).textContent).toContain("not known");
  expect(screen.getByText("dragoman keys create")).toBeTruthy();
  expect(screen.queryByText(/This is a demo/)).toBeNull();
});

test("a demo says who one can be, and lets its own user in with one press", async () => {
  const signIn = vi.fn(() => Promise.resolve());
  render(<SignIn state={{ kind: "out", demo: true }} signIn={signIn} />);
  expect(screen.getByText(/This is a demo/).textContent).toContain("demo-NAME");
  fireEvent.click(screen.getByRole("button", { name: "Continue as demo-you" }));
  await vi.waitFor(() => expect(signIn).toHaveBeenCalledWith("demo-you"));
});
