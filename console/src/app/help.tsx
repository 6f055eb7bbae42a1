// The shortcuts of the page that is open, and of the console.

import { Dialog } from "../ui/dialog";
import { useListedShortcuts } from "./keyboard";

const NAMES: Record<string, string> = { mod: "Ctrl", alt: "Alt", Escape: "Esc", ArrowUp: "↑", ArrowDown: "↓", Enter: "Enter" };

export default function Help({ onClose }: { onClose: () => void }) {
  const shortcuts = useListedShortcuts();
  return (
    <Dialog title="Keyboard shortcuts" onClose={onClose}>
      <dl className="grid grid-cols-[1fr_auto] items-center gap-x-6 gap-y-2">
        {shortcuts.map((one) => (
          <div key={one.keys} className="contents">
            <dt>{one.label}</dt>
            <dd className="flex gap-1">
              {one.keys.split(/[ +]/).map((key, place) => (
                <kbd key={place} className="min-w-6 rounded border border-line-strong bg-surface px-1.5 py-0.5 text-center font-mono text-xs">
                  {NAMES[key] ?? (key.length === 1 ? key.toUpperCase() : key)}
                </kbd>
              ))}
            </dd>
          </div>
        ))}
      </dl>
      <p className="mt-4 text-xs text-muted">Letters are shortcuts while you are not typing.</p>
    </Dialog>
  );
}
