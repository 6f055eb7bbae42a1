// Joins class names; what is false is left out.
export function cx(...words: (string | false | null | undefined)[]): string {
  return words.filter(Boolean).join(" ");
}
