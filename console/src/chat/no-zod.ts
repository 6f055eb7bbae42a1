// Stands for zod in the bundle, a fifth of what a chat would load at first. `ai` describes with it what models and
// prompts are, which is a server's work; what comes over the wire here is checked by the transport (see transport.ts).
// Schemas are only ever made here, never asked: each word of the builder gives the builder again.

const schema: unknown = new Proxy(() => schema, {
  get: (_, word) => (word === Symbol.toPrimitive ? () => "schema" : schema),
});

export const z = schema;
export const toJSONSchema = schema;
export const safeParseAsync = schema;
export default schema;

/** Zod 3's kinds of types, by which `ai` would tell its schemas apart. */
export const ZodFirstPartyTypeKind: Record<string, string> = {};
