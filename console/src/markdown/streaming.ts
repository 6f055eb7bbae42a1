// What to do with markdown that has not arrived whole, so that what is shown does not jump when the rest comes.
// Pure: text in, text out.

const LONGEST_HELD = 2000;

/**
 * The part of a text still being written that can be shown: without a last line that is only markup so far.
 *
 * `---` may become a rule, a heading or a list, `| a | b |` a row or the head of a table: they wait for what decides.
 */
export function settled(text: string): string {
  const lineStart = text.lastIndexOf("\n") + 1;
  const line = text.slice(lineStart);
  const isMarkup = line.length <= 80 && (/^[\s\-=*_#>+|~`:]*$/.test(line) || /^[\s>]*\d{1,9}[.)]?\s*$/.test(line));
  const shown = isMarkup ? text.slice(0, lineStart) : text;
  return withoutTableHead(shown);
}

/** Without a head of a table whose second line has not told yet that it is one. */
function withoutTableHead(text: string): string {
  const before = text.endsWith("\n") ? text.slice(0, -1) : text;
  let start = before.lastIndexOf("\n") + 1;
  const isSecondLine = start > 0 && /^[|\s:-]*$/.test(before.slice(start));
  if (isSecondLine && text.endsWith("\n")) return text; // it has told
  if (isSecondLine) start = before.lastIndexOf("\n", start - 2) + 1;
  const rest = text.slice(start);
  if (rest.length > LONGEST_HELD || !/^ {0,3}\|[^\n]*\n?(?:[|\s:-]*)$/.test(rest)) return text;
  const previous = text.slice(text.lastIndexOf("\n", start - 2) + 1, start);
  return start === 0 || previous.trim() === "" ? text.slice(0, start) : text;
}

/**
 * The words of the last paragraph with what is open closed: `**bol` reads as bold at once, and a link or an image
 * that has no address yet as its words alone.
 */
export function closed(text: string): string {
  let out = "";
  let rest = text;
  for (;;) {
    const tick = /(?<!\\)`+/.exec(rest);
    if (tick === null) return out + closedMarks(openLink(rest), out + rest);
    const after = rest.slice(tick.index + tick[0].length);
    const end = new RegExp(`(?<!\`)${tick[0]}(?!\`)`).exec(after);
    if (end === null) {
      const code = after.replace(/`+$/, "");
      const before = rest.slice(0, tick.index);
      return code.trim() === ""
        ? out + closedMarks(openLink(before), out + before)
        : out + before + tick[0] + code + tick[0];
    }
    const length = tick.index + tick[0].length + end.index + end[0].length;
    out += rest.slice(0, length);
    rest = rest.slice(length);
  }
}

/** `[words`, `[words](http://ho` and their images, at the end: only the words. */
function openLink(text: string): string {
  const found = /(?<!\\)(!?)\[([^[\]\n]{0,1000})(\](?:\([^()\s]{0,2000}(?:\s+"[^"\n]{0,200}"?)?)?)?$/.exec(text);
  if (found === null) return text;
  const isWhole = found[3] === "]"; // may be `[x]` in earnest
  if (isWhole && found[1] === "") return text;
  return text.slice(0, found.index) + (found[1] === "!" ? "" : (found[2] ?? ""));
}

function closedMarks(text: string, whole: string): string {
  const words = text
    .replace(/(?<=^|\s)(?:\*{1,3}|~~|_{1,2})$/, "")
    .replace(/(?<=\S)(?:\*|~)$/, (mark, at: number, all: string) => {
      return all[at - 1] === mark ? mark : isOpen(whole.slice(0, -1), mark) ? mark : "";
    });
  let tail = "";
  for (const mark of ["~~", "**", "*"]) if (isOpen(words, mark)) tail = mark + tail;
  return tail === "" ? words : words.replace(/\s+$/, "") + tail;
}

/** Whether a mark has been opened and not closed. */
function isOpen(text: string, mark: string): boolean {
  const plain = text.replace(/(`+)[^`]*\1/g, "x").replace(/\\./g, "x");
  const escaped = mark.replace(/[*~]/g, "\\$&");
  const edge = mark[0] === "*" ? "\\*" : "~";
  const marks = [...plain.matchAll(new RegExp(`(?<!${edge})${escaped}(?!${edge})`, "g"))];
  let open = false;
  for (const found of marks) {
    const next = plain[found.index + mark.length] ?? " ";
    const before = plain[found.index - 1] ?? " ";
    if (open ? !/\s/.test(before) : !/\s/.test(next)) open = !open;
  }
  return open;
}
