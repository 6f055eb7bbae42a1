// Text from outside made safe to look at: what would hide or turn other text is made visible, and addresses are
// checked. Pure; knows nothing of markdown. Also for titles, file names, arguments of tools and error texts.

/** Characters that turn the direction of what follows them (overrides, embeddings, isolates). */
const TURNING = "\\u202A-\\u202E\\u2066-\\u2069";
/** Characters that cannot be seen and carry text or break words unseen; not the joiners that scripts and emoji need. */
const UNSEEN = "\\u00AD\\u180E\\u200B\\u2060-\\u2064\\u206A-\\u206F\\uFEFF\\uFFF9-\\uFFFB\\u{E0000}-\\u{E007F}";
/** Control characters other than tab and line ends. */
const CONTROL = "\\u0000-\\u0008\\u000B\\u000C\\u000E-\\u001F\\u007F-\\u009F";

const SUSPECT = new RegExp(`[${TURNING}${UNSEEN}${CONTROL}]`, "u");
/** Flags of regions are a black flag with tag characters: those are to be seen as a flag. */
const REGION_FLAG = "\\u{1F3F4}[\\u{E0020}-\\u{E007E}]{2,6}\\u{E007F}";
const RUNS = new RegExp(`${REGION_FLAG}|([${TURNING}${UNSEEN}${CONTROL}])\\1*`, "gu");
/** More marks on one letter than any language has, which would paint over the lines above and below. */
const PILED_MARKS = /(\p{M}{6})\p{M}+/gu;

export type Piece = string | { readonly mark: string; readonly title: string };

/** The text in pieces: strings, and marks to show in place of characters that act unseen. */
export function pieces(text: string): Piece[] {
  const calm = text.replace(PILED_MARKS, "$1");
  if (!SUSPECT.test(calm)) return calm === "" ? [] : [calm];
  const found: Piece[] = [];
  let from = 0;
  for (const run of calm.matchAll(RUNS)) {
    const character = run[1];
    if (character === undefined) continue;
    if (run.index > from) found.push(calm.slice(from, run.index));
    const name = `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`;
    const times = run[0].length / character.length;
    found.push({
      mark: times > 1 ? `${name}×${times}` : name,
      title: `Unseen or direction-changing character ${name}`,
    });
    from = run.index + run[0].length;
  }
  if (from < calm.length) found.push(calm.slice(from));
  return found;
}

/** The text as one string, with `‹U+202E›` in place of characters that act unseen. */
export function visible(text: string): string {
  return pieces(text)
    .map((piece) => (typeof piece === "string" ? piece : `‹${piece.mark}›`))
    .join("");
}

const SCHEMES = new Set(["http:", "https:", "mailto:"]);
const MAX_URL = 4096;

/**
 * The address if a link may lead there, else null: absolute, and http, https or mailto.
 *
 * What this gives is the address as the browser understands it, so that what is shown is where it leads.
 */
export function safeUrl(address: string): string | null {
  const trimmed = address.trim();
  // A browser drops tabs and line ends inside an address and reads `\` as `/`: nobody writes such an address honestly.
  if (trimmed.length > MAX_URL || /[\u0000-\u0020\u007F-\u009F\\]/.test(trimmed) || SUSPECT.test(trimmed)) return null;
  if (!/^(?:https?:\/\/|mailto:)/i.test(trimmed)) return null;
  try {
    const url = new URL(trimmed);
    return SCHEMES.has(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

/** Where an address leads, in short: the host, or who gets the mail. */
export function target(href: string): string {
  try {
    const url = new URL(href);
    return url.protocol === "mailto:" ? decode(url.pathname) : url.host;
  } catch {
    return "";
  }
}

function decode(text: string): string {
  try {
    return visible(decodeURIComponent(text));
  } catch {
    return text;
  }
}

/**
 * What to add behind a link whose words name another place than where it leads, else null.
 *
 * `[bank.example](https://evil.example)` gives `evil.example`; `[our docs](https://evil.example)` promises nothing.
 */
export function disguised(words: string, href: string): string | null {
  const named = /(?:^|[\s/@(])((?:[\p{L}\p{N}-]+\.)+\p{L}{2,})(?=$|[\s/:?#),])/u.exec(words.trim())?.[1];
  const host = target(href);
  if (named === undefined || host === "") return null;
  const bare = (name: string): string => name.toLowerCase().replace(/^www\./, "");
  const leads = bare(host.split("@").pop()?.split(":")[0] ?? "");
  let said = bare(named);
  try {
    said = bare(new URL(`http://${named}`).hostname);
  } catch {
    return host;
  }
  const honest =
    said === leads ||
    leads.endsWith(`.${said}`) ||
    /\.(?:[jt]sx?|py|md|json|ya?ml|toml|rs|go|txt|html?|css|sh)$/.test(said);
  return honest ? null : host;
}

/** The first `length` characters, not cutting a character in two. */
export function head(text: string, length: number): string {
  if (text.length <= length) return text;
  const last = text.charCodeAt(length - 1);
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? length - 1 : length);
}
