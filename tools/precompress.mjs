// Puts a .br and a .gz beside each file of a folder that becomes smaller by it; the same bytes whenever it is run.
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { extname, join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const TEXT = new Set([".css", ".js", ".json", ".svg", ".txt"]);
const LEAST = 1024;

const [folder] = process.argv.slice(2);
for (const name of readdirSync(folder).sort()) {
  const path = join(folder, name);
  if (!TEXT.has(extname(name)) || statSync(path).size < LEAST) continue;
  const bytes = readFileSync(path);
  const quality = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
  for (const [suffix, packed] of [
    [".br", brotliCompressSync(bytes, { params: quality })],
    [".gz", gzipSync(bytes, { level: 9 })],
  ]) {
    if (packed.length < bytes.length) writeFileSync(path + suffix, packed);
  }
}
