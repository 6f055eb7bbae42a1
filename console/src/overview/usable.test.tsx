import { render, screen } from "@testing-library/react";
import { expect, test } from "vitest";
import { Usable, whyOf } from "./usable";

test("of a provider that takes no key nobody says that it answers", () => {
  const ollama = { usable: true, keyless: true, why: "" };
  render(<Usable {...ollama} />);
  expect(screen.getByText("needs no key")).toBeTruthy();
  expect(screen.queryByText("usable")).toBeNull();
  expect(whyOf(ollama)).toContain("not contacted");
  expect(whyOf({ keyless: false, why: "the app's own" })).toBe("the app's own");
});
