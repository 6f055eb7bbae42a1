// What is shown beside a list: a column where there is room, a dialog where there is none.

import type { ReactNode } from "react";
import { useShortcuts } from "../app/keyboard";
import { IconButton } from "./button";
import { Dialog } from "./dialog";
import { visible } from "./json";
import { useMedia } from "./rem";

interface SideProps {
  title: string;
  onClose: () => void;
  children: ReactNode;
}

export function Side(props: SideProps) {
  return useMedia("(min-width: 1024px)") ? (
    <Column {...props} />
  ) : (
    <Dialog title={props.title} onClose={props.onClose} wide>
      {props.children}
    </Dialog>
  );
}

function Column({ title, onClose, children }: SideProps) {
  useShortcuts([{ keys: "Escape", label: "Close what is shown beside", run: onClose }]);
  return (
    <aside aria-label={visible(title)} className="flex w-[min(30rem,40%)] shrink-0 flex-col border-l border-line bg-bg">
      <header className="flex items-center gap-2 py-2 pr-2 pl-4">
        <h2 className="min-w-0 flex-1 truncate text-sm font-semibold [unicode-bidi:isolate]">{visible(title)}</h2>
        <IconButton icon="cross" label="Close" size="small" onClick={onClose} />
      </header>
      <div tabIndex={0} role="region" aria-label="Details" className="min-h-0 flex-1 overflow-y-auto px-4 pb-6">
        {children}
      </div>
    </aside>
  );
}
