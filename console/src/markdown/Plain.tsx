// Text from outside, as it is.

import { Fragment, type ReactElement } from "react";
import { pieces } from "./text";

/** Text as it is, with characters that act unseen made visible. */
export function Plain({ text }: { text: string }): ReactElement {
  return (
    <>
      {pieces(text).map((piece, index) =>
        typeof piece === "string" ? (
          <Fragment key={index}>{piece}</Fragment>
        ) : (
          <span key={index} className="dgm-mark" title={piece.title}>
            {piece.mark}
          </span>
        ),
      )}
    </>
  );
}
