// Our own icons: 24 x 24, strokes in the colour of the text. Always beside a label, or inside something labelled.

import type { ReactNode, SVGProps } from "react";

const PATHS = {
  chat: <path d="M4 5.5h16v11H9.500L5.5 20v-3.500H4z" />,
  runs: <path d="M4 6h9M4 12h14M4 18h6M17 6h3M14 18h6" />,
  flows: (
    <>
      <rect x="3.5" y="4" width="6" height="5" rx="1.2" />
      <rect x="14.5" y="15" width="6" height="5" rx="1.2" />
      <path d="M6.5 9v5a3 3 0 0 0 3 3h5" />
    </>
  ),
  sessions: (
    <>
      <circle cx="12" cy="12" r="8" />
      <path d="M12 7.500V12l3 2" />
    </>
  ),
  overview: <path d="M4 20V11M10 20V4M16 20v-6M20.5 20H3.5" />,
  models: (
    <>
      <path d="M12 3.5 20 8v8l-8 4.500L4 16V8z" />
      <path d="m4 8 8 4.500L20 8M12 12.500v8" />
    </>
  ),
  plus: <path d="M12 5v14M5 12h14" />,
  search: (
    <>
      <circle cx="11" cy="11" r="6.5" />
      <path d="m16 16 4.5 4.5" />
    </>
  ),
  send: <path d="M12 19V5M5.5 11.5 12 5l6.5 6.5" />,
  stop: <rect x="7" y="7" width="10" height="10" rx="1.5" fill="currentColor" />,
  attach: <path d="m19 11.5-7.5 7.500a4.6 4.6 0 0 1-6.5-6.500l8-8a3.1 3.1 0 0 1 4.4 4.400l-7.9 7.900a1.5 1.5 0 0 1-2.2-2.200l7-7" />,
  copy: (
    <>
      <rect x="8.5" y="8.5" width="11" height="11" rx="2" />
      <path d="M15.5 8.500v-2a2 2 0 0 0-2-2h-7a2 2 0 0 0-2 2v7a2 2 0 0 0 2 2h2" />
    </>
  ),
  check: <path d="m5 12.5 4.5 4.500L19 7.5" />,
  cross: <path d="m6 6 12 12M18 6 6 18" />,
  retry: <path d="M19.5 12a7.5 7.5 0 1 1-2.2-5.300L19.5 9M19.5 4.500V9H15" />,
  edit: <path d="M4.5 19.500h4L19 9l-4-4L4.5 15.500zM13 7l4 4" />,
  up: <path d="M7.5 11v8.500h-3V11zm0 0 4-7c1.5 0 2.5 1 2.2 2.700L13.2 9.500h5a1.8 1.8 0 0 1 1.8 2.200l-1.3 6a2.2 2.2 0 0 1-2.2 1.800h-9" />,
  down: <path d="M7.5 13V4.500h-3V13zm0 0 4 7c1.5 0 2.5-1 2.2-2.700l-.5-2.800h5a1.8 1.8 0 0 0 1.8-2.200l-1.3-6a2.2 2.2 0 0 0-2.2-1.800h-9" />,
  more: (
    <>
      <circle cx="5.5" cy="12" r="1.2" fill="currentColor" />
      <circle cx="12" cy="12" r="1.2" fill="currentColor" />
      <circle cx="18.5" cy="12" r="1.2" fill="currentColor" />
    </>
  ),
  menu: <path d="M4 7h16M4 12h16M4 17h16" />,
  chevron: <path d="m9 6 6 6-6 6" />,
  chevronDown: <path d="m6 9 6 6 6-6" />,
  trace: <path d="M4 6h8M8 12h9M13 18h7" />,
  tool: <path d="M14.5 4.500a5 5 0 0 0-4.8 6.600l-5.6 5.600a2 2 0 0 0 0 2.800l.4.400a2 2 0 0 0 2.8 0l5.6-5.600a5 5 0 0 0 6.3-6.300l-3 3-2.7-.6-.6-2.7 3-3a5 5 0 0 0-1.4-.2Z" />,
  lock: (
    <>
      <rect x="5" y="10.5" width="14" height="9.5" rx="2" />
      <path d="M8 10.500V8a4 4 0 0 1 8 0v2.5" />
    </>
  ),
  user: (
    <>
      <circle cx="12" cy="8.5" r="3.8" />
      <path d="M4.5 20a7.5 7.5 0 0 1 15 0" />
    </>
  ),
  sun: (
    <>
      <circle cx="12" cy="12" r="4" />
      <path d="M12 3v2M12 19v2M3 12h2M19 12h2M5.6 5.6 7 7M17 17l1.4 1.400M5.6 18.4 7 17M17 7l1.4-1.4" />
    </>
  ),
  moon: <path d="M19.5 14A8 8 0 0 1 10 4.500a8 8 0 1 0 9.5 9.500Z" />,
  system: (
    <>
      <rect x="3.5" y="5" width="17" height="11" rx="2" />
      <path d="M9 20h6M12 16v4" />
    </>
  ),
  keyboard: (
    <>
      <rect x="3" y="6.5" width="18" height="11" rx="2" />
      <path d="M7 10h.01M11 10h.01M15 10h.01M18 10h.01M8 14h8" />
    </>
  ),
  out: <path d="M14 4.500H6.500v15H14M10.5 12h10M17 8.500l3.5 3.5-3.5 3.5" />,
  trash: <path d="M5 7h14M9.5 7V4.500h5V7M7 7l.8 12.500h8.400L17 7M10.5 10.500v5.500M13.5 10.500v5.5" />,
  file: <path d="M6.5 3.500h7l4 4v13h-11zM13.5 3.500v4h4" />,
  alert: <path d="M12 4 3 19.500h18zM12 10v4.500M12 17v.01" />,
  offline: <path d="M3.5 3.500l17 17M8.5 16a5 5 0 0 1 6-.8M5.5 12.500a9.5 9.5 0 0 1 4-2.300M14 9.800a9.5 9.5 0 0 1 4.5 2.700M2.8 8.800A14 14 0 0 1 7 6.200M11 5.100a14 14 0 0 1 10.2 3.700M12 19.500v.01" />,
  globe: (
    <>
      <circle cx="12" cy="12" r="8" />
      <path d="M4 12h16M12 4c5 5 5 11 0 16M12 4c-5 5-5 11 0 16" />
    </>
  ),
  bulb: <path d="M9.5 18.500h5M10.5 21h3M8.5 15.500a6 6 0 1 1 7 0v1h-7z" />,
  arrowDown: <path d="M12 5v14M5.5 12.5 12 19l6.5-6.5" />,
  link: <path d="M10 14a3.5 3.5 0 0 0 5 0l3.5-3.500a3.5 3.5 0 0 0-5-5L12 7M14 10a3.5 3.5 0 0 0-5 0l-3.5 3.500a3.5 3.5 0 0 0 5 5L12 17" />,
} satisfies Record<string, ReactNode>;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16, ...rest }: { name: IconName; size?: number } & SVGProps<SVGSVGElement>) {
  return (
    <svg
      viewBox="0 0 24 24"
      width={`${size / 16}rem`}
      height={`${size / 16}rem`}
      fill="none"
      stroke="currentColor"
      strokeWidth={1.7}
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
      focusable="false"
      {...rest}
    >
      {PATHS[name]}
    </svg>
  );
}

/** The mark of the product. */
export function Mark({ size = 28 }: { size?: number }) {
  return (
    <svg viewBox="0 0 32 32" width={`${size / 16}rem`} height={`${size / 16}rem`} aria-hidden="true" focusable="false">
      <rect width="32" height="32" rx="8" fill="var(--c-accent-solid)" />
      <path d="M9 8.500h6.200c4.9 0 8 3 8 7.500s-3.1 7.5-8 7.500H9z" fill="none" stroke="#fff" strokeWidth="2.6" strokeLinejoin="round" />
      <path d="M13 16h5.5" stroke="#fff" strokeWidth="2.6" strokeLinecap="round" />
    </svg>
  );
}
