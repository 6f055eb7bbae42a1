// Whether a model or a provider can be used, as a word.

import { Badge } from "../ui/button";
import { Icon } from "../ui/icons";

export function Usable({ usable }: { usable: boolean }) {
  return (
    <Badge tone={usable ? "good" : "bad"}>
      <Icon name={usable ? "check" : "cross"} size={11} />
      {usable ? "usable" : "not usable"}
    </Badge>
  );
}
