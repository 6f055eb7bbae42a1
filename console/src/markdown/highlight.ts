// Colours for code: comments, strings, numbers, words of the language. One pass, no grammar: enough to read by,
// small, and it cannot go wrong in a way that matters, for what it gives is always the same text in pieces.

export type Kind = "comment" | "string" | "number" | "keyword" | "plain";
export interface Span {
  readonly kind: Kind;
  readonly text: string;
}

const C_LIKE =
  "abstract as async await break case catch class const continue default defer delete do else enum export extends extern final finally fn for from func function go goto if impl implements import in instanceof interface let loop match mod mut namespace new null override package private protected pub public return self static struct super switch this throw trait try type typeof undefined union unsafe use using var virtual void volatile where while with yield true false nil int float double bool boolean char string byte long short number";
const PYTHON =
  "and as assert async await break case class continue def del elif else except finally for from global if import in is lambda match None nonlocal not or pass raise return self True False try while with yield";
const SHELL =
  "if then else elif fi for while until do done case esac in function return export local source set unset echo cd exit true false";
const SQL =
  "select from where and or not null insert into values update set delete create table index view drop alter add primary key foreign references join left right inner outer full on group by order having limit offset union all distinct as case when then else end with exists between like is in begin commit rollback true false";
const RUBY =
  "alias and begin break case class def do else elsif end ensure false for if in module next nil not or require rescue return self super then true unless until when while yield";
const DATA = "true false null yes no on off";

type Comments = "slashes" | "hash" | "dashes" | "none";
const LANGUAGES: Record<string, readonly [Comments, string]> = {
  ...family(
    "slashes",
    C_LIKE,
    "js jsx ts tsx javascript typescript java c h cpp c++ cc csharp cs go rust rs swift kotlin kt scala php dart css scss less proto jsonc json5",
  ),
  ...family("hash", PYTHON, "py python pyi"),
  ...family("hash", SHELL, "sh bash zsh shell console dockerfile docker makefile make"),
  ...family("hash", RUBY, "rb ruby elixir ex"),
  ...family("hash", DATA, "yaml yml toml ini conf properties env"),
  ...family("none", DATA, "json"),
  ...family("dashes", SQL, "sql psql mysql sqlite lua"),
};

function family(comments: Comments, words: string, names: string): Record<string, readonly [Comments, string]> {
  return Object.fromEntries(names.split(" ").map((name) => [name, [comments, words] as const]));
}

const COMMENTS: Record<Comments, string> = {
  slashes: "//[^\\n]*|/\\*[\\s\\S]*?(?:\\*/|$)",
  hash: "(?<=^|\\s)#[^\\n]*",
  dashes: "--[^\\n]*",
  none: "(?!)",
};
const STRINGS = '"""[\\s\\S]*?(?:"""|$)|"(?:\\\\.|[^"\\\\\\n])*"?|\'(?:\\\\.|[^\'\\\\\\n])*\'?|`(?:\\\\.|[^`\\\\])*`?';
const NUMBERS = "\\b(?:0x[\\da-fA-F_]+|\\d[\\d_]*(?:\\.\\d+)?(?:[eE][+-]?\\d+)?)\\b";
const LONGEST = 20_000;

/** The code in pieces; one plain piece for languages that are not known, and for very long code. */
export function highlight(code: string, language: string): readonly Span[] {
  const known = Object.hasOwn(LANGUAGES, language) ? LANGUAGES[language] : undefined;
  if (known === undefined || code.length > LONGEST) return [{ kind: "plain", text: code }];
  const [comments, words] = known;
  const keywords = new Set(words.split(" "));
  const pattern = new RegExp(`(${COMMENTS[comments]})|(${STRINGS})|(${NUMBERS})|([A-Za-z_$][\\w$]*)`, "gm");
  const spans: Span[] = [];
  let plainFrom = 0;
  for (const found of code.matchAll(pattern)) {
    const word = found[4];
    const isKeyword = word !== undefined && keywords.has(comments === "dashes" ? word.toLowerCase() : word);
    if (word !== undefined && !isKeyword) continue;
    if (found.index > plainFrom) spans.push({ kind: "plain", text: code.slice(plainFrom, found.index) });
    const kind: Kind =
      found[1] !== undefined
        ? "comment"
        : found[2] !== undefined
          ? "string"
          : found[3] !== undefined
            ? "number"
            : "keyword";
    spans.push({ kind, text: found[0] });
    plainFrom = found.index + found[0].length;
  }
  if (plainFrom < code.length) spans.push({ kind: "plain", text: code.slice(plainFrom) });
  return spans;
}
