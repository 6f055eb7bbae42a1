"""An embedding model without a network: the same text gives the same vector, and no vector means anything."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

from dragoman.core.errors import BadRequest
from dragoman.core.ports import Embedded

TOKENS = 7
"""What it counts for each text. Fixed, so that tests can compare."""

DIMENSIONS = 16


class ScriptedEmbedder:
    """A `core.ports.Embedder`: unit vectors of 16 numbers."""

    async def embed(self, texts: Sequence[str], *, dimensions: int | None = None) -> Embedded:
        """Raises BadRequest for another length than 16."""
        if dimensions not in (None, DIMENSIONS):
            raise BadRequest(f"This model gives vectors of {DIMENSIONS} numbers alone.")
        return Embedded([vector_of(text) for text in texts], TOKENS * len(texts))


def vector_of(text: str) -> list[float]:
    """The vector of a text; its length as an arrow is 1."""
    digest = hashlib.sha512(text.encode("utf-8", "surrogatepass")).digest()
    numbers = [int.from_bytes(digest[place : place + 4], "big") / 2**31 - 1 for place in range(0, len(digest), 4)]
    length = math.sqrt(sum(number * number for number in numbers))
    return [number / length for number in numbers]
