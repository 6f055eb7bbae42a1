"""OpenAI's requests for embeddings, read; their answers, written. Values only."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dragoman.ai.backwards.fields import a_list, a_text, a_whole_number, an_object, at_most, one_of, refusal

__all__ = ["AskedVectors", "embedding_list", "read_embedding_request"]

_READ = frozenset({"dimensions", "encoding_format", "input", "model"})


@dataclass(frozen=True)
class AskedVectors:
    """`texts` are what is to be embedded; where `tokens` are given, they are, and `texts` only count them."""

    model: str
    texts: list[str]
    tokens: list[list[int]] | None
    dimensions: int | None
    encoding: str
    extra: dict[str, Any]


def read_embedding_request(body: Any, *, most: int) -> AskedVectors:
    """A request body with at most `most` inputs. Raises ValidationError that names the field."""
    body = an_object("body", body)
    given = {name: value for name, value in body.items() if value is not None}
    for name in ("model", "input"):
        if name not in given:
            raise refusal(name, f"Missing required parameter: '{name}'.", "missing_required_parameter")
    texts, tokens = _inputs(given["input"], most)
    return AskedVectors(
        a_text("model", given["model"]),
        texts,
        tokens,
        a_whole_number(1)("dimensions", given["dimensions"]) if "dimensions" in given else None,
        one_of(("float", "base64"))("encoding_format", given.get("encoding_format", "float")),
        {name: value for name, value in given.items() if name not in _READ},
    )


def _inputs(value: Any, most: int) -> tuple[list[str], list[list[int]] | None]:
    if isinstance(value, str):
        value = [value]
    rows = a_list("input", value)
    if rows and all(_is_token(one) for one in rows):
        rows = [rows]
    if not rows:
        raise refusal("input", "Invalid 'input': empty array. Expected at least one input.", "empty_array")
    at_most(most, "input", rows)
    if isinstance(rows[0], list):
        for place, row in enumerate(rows):
            if not isinstance(row, list) or not row or not all(_is_token(one) for one in row):
                raise refusal(
                    f"input[{place}]", f"Invalid 'input[{place}]': expected an array of tokens.", "invalid_type"
                )
        return [""] * len(rows), rows
    texts = [a_text(f"input[{place}]", one) for place, one in enumerate(rows)]
    for place, text in enumerate(texts):
        if not text:
            raise refusal(
                f"input[{place}]", f"Invalid 'input[{place}]': input cannot be an empty string.", "empty_string"
            )
    return texts, None


def _is_token(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def embedding_list(
    vectors: Sequence[Sequence[float]], *, model: str, encoding: str, tokens: int | None
) -> dict[str, Any]:
    """The body of an answer. `base64` is of floats of four bytes, the lowest byte first."""
    counted = tokens or 0
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": place, "embedding": _encoded(vector, encoding)}
            for place, vector in enumerate(vectors)
        ],
        "model": model,
        "usage": {"prompt_tokens": counted, "total_tokens": counted},
    }


def _encoded(vector: Sequence[float], encoding: str) -> Any:
    if encoding == "float":
        return list(vector)
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")
