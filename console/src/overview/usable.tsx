// Whether a model or a provider can be used, as a word.

import { Badge } from "../ui/button";
import { Icon } from "../ui/icons";

/** One that takes no key was not contacted, so nobody knows whether it answers. */
export function Usable({ usable, keyless }: { usable: boolean; keyless: boolean }) {
  if (keyless) return <Badge>needs no key</Badge>;
  return (
    <Badge tone={usable ? "good" : "bad"}>
      <Icon name={usable ? "check" : "cross"} size={11} />
      {usable ? "usable" : "not usable"}
    </Badge>
  );
}

/** Why it can be used or not, beside the word. */
export function whyOf({ keyless, why }: { keyless: boolean; why: string }): string {
  return keyless ? "not contacted: it can be used if it runs" : why;
}
