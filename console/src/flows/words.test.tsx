import { render } from "@testing-library/react";
import { expect, test } from "vitest";
import { described } from "./words";

test("what stands between backticks is code, and one alone stays as it is", () => {
  const { container } = render(<p>{described("Asks `echo` and `upper`, `so <b>")}</p>);
  expect([...container.querySelectorAll("code")].map((one) => one.textContent)).toEqual(["echo", "upper"]);
  expect(container.textContent).toBe("Asks echo and upper, `so <b>");
});
