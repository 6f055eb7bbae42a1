// Stands for zod 3 in the bundle: `ai` imports it for schemas of that generation, and the console has none.

export const ZodFirstPartyTypeKind: Record<string, string> = {};
