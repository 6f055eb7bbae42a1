// Long things in portions: the page stays usable whatever arrives.

import type { ReactElement } from "react";

/** The button below a portion that shows the next one. `what` names what there is more of: "rows", "characters". */
export function More(props: { left: number; what: string; onMore: () => void }): ReactElement {
  return (
    <button type="button" className="dgm-more" onClick={props.onMore}>
      Show more ({props.left.toLocaleString("en")} {props.what} left)
    </button>
  );
}
