"""Pictures for the documentation: small files, and the same files again where a page looks as it did.

A browser's screenshot has millions of colours to choose from and uses some thousand. It becomes a PNG with a palette of
256, which is a third of the size and looks the same. A picture that is there already is left alone if no more than a few
of its pixels would change. Knows neither pages nor tests; a browser's tab does the arithmetic.
"""

from __future__ import annotations

import base64
import struct
import zlib
from pathlib import Path

from playwright.sync_api import Browser

ALIKE = 0.001
"""The part of a picture's pixels that may differ before it counts as another picture."""

# The colours of areas are kept as they are. Of the others, those of the edges of letters, one stands for all that are
# near to it, and what is near grows until 256 are enough.
_WORK = """async ([fresh, before]) => {
  const FRAME = 0xFFB8B2B0; // a line around, or a light page would have no edge on a light page
  const pixels = async text => {
    const image = new Image();
    image.src = `data:image/png;base64,${text}`;
    await image.decode();
    const canvas = new OffscreenCanvas(image.width, image.height);
    const context = canvas.getContext('2d', { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    const { data, width, height } = context.getImageData(0, 0, image.width, image.height);
    return { words: new Uint32Array(data.buffer), width, height };
  };
  const { words, width, height } = await pixels(fresh);
  for (let x = 0; x < width; x++) words[x] = words[words.length - 1 - x] = FRAME;
  for (let y = 0; y < height; y++) words[y * width] = words[y * width + width - 1] = FRAME;
  const counts = new Map();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  const near = (a, b) => [0, 8, 16].reduce((sum, bits) => sum + ((a >> bits & 255) - (b >> bits & 255)) ** 2, 0);
  const colours = [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0]).map(pair => pair[0]);
  let palette = colours;
  for (let least = 16; palette.length > 256; least *= 1.5) {
    palette = colours.slice(0, 64);
    for (const word of colours.slice(64)) {
      if (palette.length > 256) break;
      if (palette.every(kept => near(kept, word) > least)) palette.push(word);
    }
  }
  const place = new Map(palette.map((word, index) => [word, index]));
  for (const word of counts.keys()) {
    if (place.has(word)) continue;
    let best = 0;
    for (let index = 1; index < palette.length; index++) if (near(word, palette[index]) < near(word, palette[best])) best = index;
    place.set(word, best);
  }
  let changed = words.length;
  if (before !== null) {
    const old = await pixels(before);
    if (old.width === width && old.height === height) {
      changed = 0;
      words.forEach((word, at) => { if (near(palette[place.get(word)], old.words[at]) > 48) changed++; });
    }
  }
  const indices = new Uint8Array(words.length);
  words.forEach((word, at) => { indices[at] = place.get(word); });
  let text = '';
  for (let at = 0; at < indices.length; at += 32768) text += String.fromCharCode(...indices.subarray(at, at + 32768));
  return { width, height, palette, indices: btoa(text), changed: changed / words.length };
}"""


def keep(browser: Browser, fresh: bytes, path: Path) -> bool:
    """Write a screenshot to a file as a small PNG, unless the file shows the same already; whether it was written."""
    before = base64.b64encode(path.read_bytes()).decode() if path.is_file() else None
    tab = browser.new_page()
    try:
        told = tab.evaluate(_WORK, [base64.b64encode(fresh).decode(), before])
    finally:
        tab.close()
    if told["changed"] <= ALIKE:
        return False
    colours = b"".join(struct.pack("<I", word & 0xFFFFFF)[:3] for word in told["palette"])
    path.write_bytes(_png(told["width"], told["height"], colours, base64.b64decode(told["indices"])))
    return True


def _png(width: int, height: int, palette: bytes, indices: bytes) -> bytes:
    rows = b"".join(b"\0" + indices[start : start + width] for start in range(0, width * height, width))
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"PLTE", palette), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, body) for name, body in chunks)


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
