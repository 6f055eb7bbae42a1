// Text from outside as one can see it: nothing in it acts unseen. The text stays exact, which is why pictures and scripts
// that need a joiner keep it. For titles, names, arguments and errors; the chat's markdown has marks of its own.

/** What acts unseen: marks of direction, what has no width, tags, controls but tabs and line ends. */
const INVISIBLE =
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]|\r(?!\n)/gu;
/** Parts of one picture, and letters of scripts that need it, are joined by a character that stays as it is. */
const JOINED = /(?<=[\p{Extended_Pictographic}\u{1f3fb}-\u{1f3ff}\ufe0f])\u200d(?=\p{Extended_Pictographic})|(?<=(?!\p{Script=Latin})[\p{L}\p{M}])[\u200c\u200d](?=(?!\p{Script=Latin})\p{L})/uy;

/** Characters that cannot be seen, or that turn the direction of what follows, as escapes. */
export function visible(text: string): string {
  return text.replace(INVISIBLE, (character: string, place: number) => {
    JOINED.lastIndex = place;
    if ((character === "\u200c" || character === "\u200d") && JOINED.test(text)) return character;
    const code = (character.codePointAt(0) ?? 0).toString(16);
    return code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, "0")}`;
  });
}
