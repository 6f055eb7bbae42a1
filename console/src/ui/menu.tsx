// A menu below or above a button: arrows move, Enter chooses, Escape and a click elsewhere close.

import { useEffect, useId, useRef, useState, type KeyboardEvent, type ReactNode } from "react";
import { cx } from "./classes";
import { Icon, type IconName } from "./icons";

export interface MenuEntry {
  label: string;
  detail?: string;
  icon?: IconName;
  danger?: boolean;
  /** Given for menus of which one entry is chosen. */
  chosen?: boolean;
  onChoose: () => void;
}

interface MenuProps {
  label: string;
  entries: MenuEntry[];
  /** What the button shows. */
  children: ReactNode;
  className?: string;
  align?: "left" | "right";
  side?: "below" | "above";
  disabled?: boolean;
}

export function Menu({ label, entries, children, className, align = "left", side = "below", disabled }: MenuProps) {
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const id = useId();

  useEffect(() => {
    if (!open) return;
    const chosen = list.current?.querySelector<HTMLElement>('[aria-checked="true"]');
    (chosen ?? list.current?.querySelector<HTMLElement>("[role^=menuitem]"))?.focus();
    const outside = (event: PointerEvent): void => {
      if (event.target instanceof Node && !root.current?.contains(event.target)) setOpen(false);
    };
    document.addEventListener("pointerdown", outside);
    return () => document.removeEventListener("pointerdown", outside);
  }, [open]);

  const close = (): void => {
    setOpen(false);
    button.current?.focus();
  };

  const onKeyDown = (event: KeyboardEvent): void => {
    const items = [...(list.current?.querySelectorAll<HTMLElement>("[role^=menuitem]") ?? [])];
    const place = items.indexOf(document.activeElement as HTMLElement);
    const go = (n: number): void => {
      event.preventDefault();
      items[(n + items.length) % items.length]?.focus();
    };
    if (event.key === "ArrowDown") go(place + 1);
    else if (event.key === "ArrowUp") go(place - 1);
    else if (event.key === "Home") go(0);
    else if (event.key === "End") go(items.length - 1);
    else if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      close();
    } else if (event.key === "Tab") setOpen(false);
  };

  return (
    <div ref={root} className="relative min-w-0">
      <button
        ref={button}
        type="button"
        aria-haspopup="menu"
        aria-expanded={open}
        aria-controls={open ? id : undefined}
        aria-label={label}
        title={label}
        disabled={disabled}
        onClick={() => setOpen(!open)}
        onKeyDown={(event) => {
          if (event.key === "ArrowDown" && !open) {
            event.preventDefault();
            setOpen(true);
          }
        }}
        className={className}
      >
        {children}
      </button>
      {open ? (
        <div
          ref={list}
          id={id}
          role="menu"
          aria-label={label}
          onKeyDown={onKeyDown}
          className={cx(
            "absolute z-40 max-h-80 w-max max-w-72 min-w-44 overflow-y-auto rounded-lg border border-line bg-raised p-1 shadow-(--shadow-pop)",
            align === "left" ? "left-0" : "right-0",
            side === "below" ? "top-full mt-1" : "bottom-full mb-1",
          )}
        >
          {entries.map((entry) => (
            <button
              key={entry.label}
              type="button"
              role={entry.chosen === undefined ? "menuitem" : "menuitemradio"}
              aria-checked={entry.chosen}
              tabIndex={-1}
              onClick={() => {
                close();
                entry.onChoose();
              }}
              className={cx(
                "flex w-full items-start gap-2 rounded-md px-2 py-1.5 text-left text-sm hover:bg-hover focus-visible:bg-hover focus-visible:outline-offset-[-2px]",
                entry.danger && "text-bad",
              )}
            >
              {entry.icon ? <Icon name={entry.icon} className="mt-0.5 shrink-0" /> : null}
              <span className="min-w-0 flex-1">
                <span className="block truncate">{entry.label}</span>
                {entry.detail ? <span className="block text-xs text-muted">{entry.detail}</span> : null}
              </span>
              {entry.chosen ? <Icon name="check" className="mt-0.5 shrink-0 text-accent" /> : null}
            </button>
          ))}
        </div>
      ) : null}
    </div>
  );
}
