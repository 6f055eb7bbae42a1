// Stands for `entities` in the bundle: markdown-it asks it alone what a name such as `&auml;` means, which every browser
// knows as well. Its table would be a third of what reading markdown loads.

const known = new Map<string, string>();
const parser = new DOMParser();

/** The character that `&name;` stands for; the same text if there is none of that name. */
export function decodeHTMLStrict(reference: string): string {
  const found = known.get(reference);
  if (found !== undefined) return found;
  const meaning = /^&[A-Za-z][\dA-Za-z]{1,40};$/.test(reference) ? decoded(reference) : reference;
  if (known.size < 3_000) known.set(reference, meaning);
  return meaning;
}

function decoded(reference: string): string {
  // a document of its own, in which nothing runs or loads; the letter keeps a space from being taken for a margin
  const text = parser.parseFromString(`x${reference}`, "text/html").body.textContent.slice(1);
  // of `&notit;` old pages mean `¬it;`
  return text.endsWith(";") && reference !== "&semi;" ? reference : text;
}
