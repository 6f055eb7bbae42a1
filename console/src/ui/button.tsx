// Buttons: one look for each weight. An icon button has a label that is read out and shown as a tooltip.

import type { ButtonHTMLAttributes, ReactNode, Ref } from "react";
import { cx } from "./classes";
import { Icon, type IconName } from "./icons";

type Look = "primary" | "plain" | "ghost" | "danger";

const LOOKS: Record<Look, string> = {
  primary: "bg-accent-solid text-white hover:not-disabled:bg-accent-hover border-transparent",
  plain: "bg-raised text-text border-line-strong hover:not-disabled:bg-hover",
  ghost: "bg-transparent text-muted border-transparent hover:not-disabled:bg-hover hover:not-disabled:text-text",
  danger: "bg-bad-solid text-white border-transparent hover:not-disabled:brightness-110",
};

interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  look?: Look;
  size?: "small" | "medium";
  icon?: IconName;
  busy?: boolean;
  ref?: Ref<HTMLButtonElement>;
}

export function Button({ look = "plain", size = "medium", icon, busy, children, className, ...rest }: ButtonProps) {
  return (
    <button
      type="button"
      {...rest}
      disabled={rest.disabled === true || busy === true}
      aria-busy={busy || undefined}
      className={cx(
        "inline-flex shrink-0 items-center justify-center gap-1.5 rounded-md border font-medium whitespace-nowrap transition-colors select-none disabled:opacity-55",
        size === "small" ? "h-7 px-2.5 text-xs" : "h-9 px-3.5 text-sm",
        LOOKS[look],
        className,
      )}
    >
      {busy ? <Spinner size={14} /> : icon ? <Icon name={icon} size={size === "small" ? 14 : 16} /> : null}
      {children}
    </button>
  );
}

interface IconButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  icon: IconName;
  label: string;
  look?: Look;
  size?: "small" | "medium";
  ref?: Ref<HTMLButtonElement>;
}

export function IconButton({ icon, label, look = "ghost", size = "medium", className, ...rest }: IconButtonProps) {
  return (
    <button
      type="button"
      aria-label={label}
      title={label}
      {...rest}
      className={cx(
        "inline-flex shrink-0 items-center justify-center rounded-md border transition-colors disabled:opacity-45",
        size === "small" ? "size-7" : "size-9",
        LOOKS[look],
        className,
      )}
    >
      <Icon name={icon} size={size === "small" ? 15 : 18} />
    </button>
  );
}

export function Spinner({ size = 16, label }: { size?: number; label?: string }): ReactNode {
  return (
    <svg viewBox="0 0 24 24" width={`${size / 16}rem`} height={`${size / 16}rem`} className="spin" role={label ? "img" : undefined} aria-label={label} aria-hidden={label ? undefined : true}>
      <circle cx="12" cy="12" r="9" fill="none" stroke="currentColor" strokeOpacity="0.22" strokeWidth="2.5" />
      <path d="M21 12a9 9 0 0 0-9-9" fill="none" stroke="currentColor" strokeWidth="2.5" strokeLinecap="round" />
    </svg>
  );
}

/** A small coloured word, e.g. a state. */
export function Badge({ tone = "plain", children, className }: { tone?: Tone; children: ReactNode; className?: string }) {
  return (
    <span className={cx("inline-flex h-5 items-center gap-1 rounded-full px-2 text-[0.6875rem] font-medium whitespace-nowrap", TONES[tone], className)}>
      {children}
    </span>
  );
}

export type Tone = "plain" | "accent" | "good" | "warn" | "bad";

const TONES: Record<Tone, string> = {
  plain: "bg-hover text-muted",
  accent: "bg-accent-soft text-accent",
  good: "bg-good-soft text-good",
  warn: "bg-warn-soft text-warn",
  bad: "bg-bad-soft text-bad",
};
