// The frame around every page: where one can go, who is signed in, whether the server is there.

import { Suspense, useState, type ReactNode } from "react";
import { connection, useConnection } from "../api/connection";
import { told } from "../api/http";
import { Button, Spinner } from "../ui/button";
import { cx } from "../ui/classes";
import { Icon, Mark, type IconName } from "../ui/icons";
import { Menu } from "../ui/menu";
import { toast, Toasts } from "../ui/toast";
import { Guard } from "./guard";
import { useShortcuts } from "./keyboard";
import { lazily } from "./lazily";
import { linkTo, navigate } from "./router";
import { useSession } from "./session";
import { setTheme, useTheme, type Theme } from "./theme";

const Help = lazily(() => import("./help"));

export interface Destination {
  name: string;
  label: string;
  icon: IconName;
  keys: string;
}

export const DESTINATIONS: readonly Destination[] = [
  { name: "chat", label: "Chat", icon: "chat", keys: "g c" },
  { name: "runs", label: "Runs", icon: "runs", keys: "g r" },
  { name: "flows", label: "Flows", icon: "flows", keys: "g f" },
  { name: "sessions", label: "Sessions", icon: "sessions", keys: "g s" },
  { name: "overview", label: "Overview", icon: "overview", keys: "g o" },
  { name: "models", label: "Models", icon: "models", keys: "g m" },
];

export function Shell({ place, children }: { place: string; children: ReactNode }) {
  const [help, setHelp] = useState(false);
  useShortcuts([
    ...DESTINATIONS.map((one) => ({
      keys: one.keys,
      label: `Go to ${one.label}`,
      run: () => navigate(`/console/${one.name}`),
    })),
    { keys: "?", label: "Show this help", run: () => setHelp(true) },
  ]);
  return (
    <div className="flex h-dvh flex-col md:flex-row">
      <a
        href="#main"
        className="absolute top-2 left-2 z-50 -translate-y-24 rounded-md bg-accent-solid px-3 py-2 text-white focus:translate-y-0"
      >
        Skip to the page
      </a>
      <nav
        aria-label="Console"
        className="order-last flex shrink-0 items-stretch border-t border-line bg-surface pb-[env(safe-area-inset-bottom)] md:order-first md:w-[4.75rem] md:flex-col md:border-t-0 md:border-r md:py-3"
      >
        <a
          {...linkTo("/console/chat")}
          aria-label="Dragoman, to the start"
          className="mx-auto mb-3 hidden rounded-lg md:block"
        >
          <Mark size={32} />
        </a>
        <ul className="flex min-w-0 flex-1 justify-around md:flex-col md:justify-start md:gap-1 md:px-1.5">
          {DESTINATIONS.map((one) => (
            <li key={one.name} className="min-w-0 flex-1 md:flex-none">
              <a
                {...linkTo(`/console/${one.name}`)}
                aria-current={place === one.name ? "page" : undefined}
                title={`${one.label} (${one.keys})`}
                className={cx(
                  "flex h-14 flex-col items-center justify-center gap-1 rounded-lg text-[0.625rem] font-medium tracking-tight transition-colors md:text-[0.6875rem] md:tracking-normal",
                  place === one.name ? "text-accent md:bg-accent-soft" : "text-muted hover:bg-hover hover:text-text",
                )}
              >
                <Icon name={one.icon} size={20} />
                <span className="max-w-full truncate">{one.label}</span>
              </a>
            </li>
          ))}
          <li className="flex items-center justify-center md:hidden">
            <Account onHelp={() => setHelp(true)} />
          </li>
        </ul>
        <div className="hidden flex-col items-center gap-1 md:flex">
          <Account onHelp={() => setHelp(true)} />
        </div>
      </nav>
      <div className="flex min-h-0 min-w-0 flex-1 flex-col">
        <LostServer />
        <main id="main" tabIndex={-1} className="flex min-h-0 min-w-0 flex-1 flex-col focus:outline-none">
          {children}
        </main>
      </div>
      {help ? (
        <Guard>
          <Suspense fallback={null}>
            <Help onClose={() => setHelp(false)} />
          </Suspense>
        </Guard>
      ) : null}
      <Toasts />
    </div>
  );
}

const THEMES: readonly { name: Theme; label: string; icon: IconName }[] = [
  { name: "system", label: "Theme of the system", icon: "system" },
  { name: "light", label: "Light theme", icon: "sun" },
  { name: "dark", label: "Dark theme", icon: "moon" },
];

function Account({ onHelp }: { onHelp: () => void }) {
  const { me, signOut } = useSession();
  const theme = useTheme();
  const name = short(me.key ?? me.user) || me.tenant;
  const leave = (): void => {
    signOut().catch((error: unknown) => toast(told(error), "bad"));
  };
  return (
    <Menu
      label={`Account of ${name}`}
      align={matchMedia("(min-width: 768px)").matches ? "left" : "right"}
      side="above"
      className="flex h-14 w-14 flex-col items-center justify-center rounded-lg hover:bg-hover"
      entries={[
        ...THEMES.map((one) => ({
          label: one.label,
          icon: one.icon,
          chosen: theme === one.name,
          onChoose: () => setTheme(one.name),
        })),
        { label: "Keyboard shortcuts", icon: "keyboard" as const, onChoose: onHelp },
        {
          label: "Sign out",
          detail: `${name} · ${me.tenant}${me.scopes.includes("admin") ? " · admin" : ""}`,
          icon: "out" as const,
          onChoose: leave,
        },
      ]}
    >
      <span className="flex size-8 items-center justify-center rounded-full border border-line-strong bg-raised text-muted">
        <Icon name="user" />
      </span>
    </Menu>
  );
}

/** Users are often long hashes. */
function short(name: string): string {
  return name.length > 16 ? `${name.slice(0, 12)}…` : name;
}

/** Says that the server is gone for as long as it is. */
function LostServer() {
  const { online } = useConnection();
  return (
    <div role="status" aria-live="polite" className="pointer-events-none fixed inset-x-0 top-2 z-40 flex justify-center px-2">
      {online ? null : (
        <div className="pointer-events-auto flex items-center gap-3 rounded-full border border-warn/40 bg-warn-soft py-1 pr-1.5 pl-4 text-sm text-warn shadow-(--shadow-pop)">
          <Spinner size={14} />
          <span className="min-w-0">Connection to the server lost. Trying again…</span>
          <Button size="small" className="rounded-full!" onClick={() => void connection.tryNow()}>
            Now
          </Button>
        </div>
      )}
    </div>
  );
}
