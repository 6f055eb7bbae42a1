"""Chunks of the UI message stream: JSON objects ⇄ the bytes of one server-sent event.

The server's half of the codec. What a chunk means is `translate`'s business; this module knows
that the wire is ASCII, one `data: ` line per event, LF line ends, `[DONE]` at the end (kai.md
3.5), and makes text deltas cheap.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from json.encoder import encode_basestring_ascii as _quoted
from typing import Any, TypeAlias

Chunk: TypeAlias = dict[str, Any]
"""One chunk: a JSON object whose `type` says what it is."""

OPENING = b": stream-open\n\n"
"""A comment that lets the head of the answer reach the client before the first chunk."""

DONE = b"data: [DONE]\n\n"
"""The last event of every stream."""

_DELTAS = frozenset({"text-delta", "reasoning-delta"})
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def encode_chunk(chunk: Chunk) -> bytes:
    """The event of one chunk. Numbers that JSON has no word for become null."""
    kind = chunk["type"]
    if kind in _DELTAS and len(chunk) == 3:
        text = f'data: {{"type":"{kind}","id":{_quoted(chunk["id"])},"delta":{_quoted(chunk["delta"])}}}\n\n'
    else:
        try:
            text = f"data: {_encode(chunk)}\n\n"
        except ValueError:
            text = f"data: {_encode(_finite(chunk))}\n\n"
    return text.encode("ascii")


def encode_chunks(chunks: Iterable[Chunk]) -> bytes:
    """The events of several chunks, in order."""
    return b"".join(map(encode_chunk, chunks))


def _finite(value: Any) -> Any:
    match value:
        case dict():
            return {key: _finite(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_finite(inner) for inner in value]
        case float() if not math.isfinite(value):
            return None
        case _:
            return value
