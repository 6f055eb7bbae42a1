// Dialogs on the platform's own <dialog>: it keeps the focus, closes on Escape and gives the focus back.

import { useEffect, useId, useRef, type FormEvent, type ReactNode } from "react";
import { Button, IconButton } from "./button";
import { cx } from "./classes";
import { visible } from "./visible";

interface DialogProps {
  title: string;
  onClose: () => void;
  children: ReactNode;
  /** Buttons at the bottom right. */
  actions?: ReactNode;
  wide?: boolean;
  onSubmit?: () => void;
}

/** Shown for as long as it is rendered. */
export function Dialog({ title, onClose, children, actions, wide, onSubmit }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const dialog = element.current;
    if (dialog === null) return;
    const before = document.activeElement;
    if (!dialog.open) dialog.showModal();
    return () => {
      if (dialog.open) dialog.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    onSubmit?.();
  };
  return (
    <dialog
      ref={element}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => {
        if (event.target === element.current) onClose();
      }}
      className={cx(
        "m-auto max-h-[85dvh] w-[calc(100vw-2rem)] overflow-hidden rounded-xl border border-line bg-raised p-0 shadow-(--shadow-pop)",
        wide ? "max-w-2xl" : "max-w-md",
      )}
    >
      <form onSubmit={submit} className="flex max-h-[85dvh] flex-col">
        <header className="flex items-center justify-between gap-4 py-3 pr-3 pl-5">
          <h2 id={id} className="min-w-0 text-base font-semibold break-words [overflow-wrap:anywhere]">
            {visible(title)}
          </h2>
          <IconButton icon="cross" label="Close" size="small" onClick={onClose} />
        </header>
        <div className="min-h-0 overflow-y-auto px-5 pb-5">{children}</div>
        {actions ? <footer className="flex justify-end gap-2 border-t border-line bg-surface px-5 py-3">{actions}</footer> : null}
      </form>
    </dialog>
  );
}

interface ConfirmProps {
  title: string;
  children: ReactNode;
  confirm: string;
  onConfirm: () => void;
  onClose: () => void;
  busy?: boolean;
}

/** A question before something that cannot be undone. */
export function Confirm({ title, children, confirm, onConfirm, onClose, busy }: ConfirmProps) {
  return (
    <Dialog
      title={title}
      onClose={onClose}
      onSubmit={onConfirm}
      actions={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" look="danger" busy={busy}>
            {confirm}
          </Button>
        </>
      }
    >
      <div className="text-muted">{children}</div>
    </Dialog>
  );
}
