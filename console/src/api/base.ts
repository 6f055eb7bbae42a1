// Where the server's root is for this page: a proxy, or an app around it, may have mounted it below a path.

const told = typeof document === "undefined" ? null : document.querySelector<HTMLMetaElement>('meta[name="dragoman-base"]');

export const BASE = (told?.content ?? "").replace(/\/+$/, "");

/** The address of a path of the server. */
export function under(path: string): string {
  return BASE + path;
}
