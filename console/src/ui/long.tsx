// Text of any length: its beginning, and the rest when it is asked for. A megabyte in one word is not laid out unasked.

import { useState } from "react";
import { amount } from "./time";
import { visible } from "./visible";

const FIRST = 1_000;

export function Long({ text }: { text: string }) {
  const [all, setAll] = useState(false);
  const isCut = !all && text.length > FIRST;
  return (
    <>
      {visible(isCut ? text.slice(0, FIRST) : text)}
      {isCut ? (
        <>
          …{" "}
          <button type="button" className="rounded font-medium underline" onClick={() => setAll(true)}>
            Show all {amount(text.length)} characters
          </button>
        </>
      ) : null}
    </>
  );
}
