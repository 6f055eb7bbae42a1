// Whether a model or a provider can be used, as a word.

import { Badge } from "../ui/button";
import { Icon } from "../ui/icons";

/** The server's word of a provider that takes no key: it was not contacted, so nobody knows whether it answers. */
const KEYLESS = "needs no key";

export function Usable({ usable, why }: { usable: boolean; why: string }) {
  if (usable && why === KEYLESS) return <Badge>{KEYLESS}</Badge>;
  return (
    <Badge tone={usable ? "good" : "bad"}>
      <Icon name={usable ? "check" : "cross"} size={11} />
      {usable ? "usable" : "not usable"}
    </Badge>
  );
}

/** Why it can be used or not, beside the word. */
export function whyOf({ usable, why }: { usable: boolean; why: string }): string {
  return usable && why === KEYLESS ? "not contacted: it can be used if it runs" : why;
}
