"""Four ways to ask for vectors and to read them.

    openai_chat   {input, model, dimensions}              data[{index, embedding}], usage
    gemini        {content} or {requests[]}               embedding.values or embeddings[].values
    cohere_v2     {texts, model, input_type, …}           embeddings.float[], meta.billed_units
    ollama        {input, model, dimensions}              embeddings[], prompt_eval_count

A wire gives a path and a body for some texts, and reads vectors and usage from an answer. Vectors may
come as base64 of little-endian floats. It knows no network.
"""

from __future__ import annotations

import base64
import binascii
import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

from dragoman.ai.embeddings.types import EmbeddingUsage
from dragoman.ai.errors import PipelineError, ProtocolError
from dragoman.ai.pipeline.usage import normalise_usage
from dragoman.ai.services.operation import Operation

__all__ = ["EMBEDDINGS", "Purpose", "Read", "Wire", "wire_of"]

Purpose: TypeAlias = Literal["document", "query"]
"""What a vector is for; some models make others for what is searched than for what it is searched by."""

EMBEDDINGS = Operation(
    "embeddings",
    "embeddings",
    {
        "openai_chat": "/embeddings",
        "openai_responses": "/embeddings",
        "custom": "/embeddings",
        "gemini": "/models/{model}:embedContent",
        "cohere_v2": "/embed",
        "ollama": "/api/embed",
    },
)


class Read(NamedTuple):
    """What an answer says, vectors in the order of the texts."""

    vectors: list[list[float]]
    usage: EmbeddingUsage
    model: str | None


class Wire(Protocol):
    """One family; `most` texts go into one request."""

    most: int

    def path(self, path: str, count: int) -> str: ...
    def told(self, purpose: Purpose | None) -> Mapping[str, Any]:
        """How the body says what the vectors are for; nothing where the wire has no word for it."""
        ...

    def body(self, model: str, texts: Sequence[str], dimensions: int | None, extra: Mapping[str, Any]) -> Any: ...
    def read(self, value: Any, count: int) -> Read: ...


def wire_of(family: str) -> Wire:
    """The wire of a family of adapters. Raises ProtocolError for one that has no vectors."""
    found = _WIRES.get(family)
    if found is None:
        raise ProtocolError(f"the wire {family!r} has no embeddings", protocol_path="endpoints.embeddings.adapter")
    return found


class OpenAi:
    most = 2048

    def path(self, path: str, count: int) -> str:
        return path

    def told(self, purpose: Purpose | None) -> Mapping[str, Any]:
        return {}

    def body(self, model: str, texts: Sequence[str], dimensions: int | None, extra: Mapping[str, Any]) -> Any:
        return _said({"input": list(texts), "model": model, "dimensions": dimensions, **extra})

    def read(self, value: Any, count: int) -> Read:
        rows = value.get("data") if isinstance(value, Mapping) else None
        if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
            raise _unlike("a list `data` of embeddings")
        placed: dict[int, list[float]] = {}
        for place, row in enumerate(rows):
            index = row.get("index", place)
            if not isinstance(index, int) or index in placed:
                raise _unlike("an index of its own for each embedding")
            placed[index] = _vector(row.get("embedding"))
        if sorted(placed) != list(range(count)):
            raise _unlike(f"{count} embeddings, with indexes from 0 on")
        return Read([placed[index] for index in range(count)], _usage(value.get("usage")), _model(value))


class Gemini:
    most = 100

    def path(self, path: str, count: int) -> str:
        return path if count == 1 else path.replace(":embedContent", ":batchEmbedContents")

    def told(self, purpose: Purpose | None) -> Mapping[str, Any]:
        return {"taskType": f"RETRIEVAL_{purpose.upper()}"} if purpose else {}

    def body(self, model: str, texts: Sequence[str], dimensions: int | None, extra: Mapping[str, Any]) -> Any:
        name = model if model.startswith("models/") else f"models/{model}"
        told = {"outputDimensionality": dimensions, **extra}
        asked = [_said({"model": name, "content": {"parts": [{"text": text}]}, **told}) for text in texts]
        return asked[0] if len(asked) == 1 else {"requests": asked}

    def read(self, value: Any, count: int) -> Read:
        value = value if isinstance(value, Mapping) else {}
        one = value.get("embedding")
        rows = [one] if isinstance(one, Mapping) else value.get("embeddings")
        if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
            raise _unlike("`embedding` or `embeddings`")
        vectors = [_vector(row.get("values")) for row in rows]
        return Read(_counted(vectors, count), _usage(value.get("usageMetadata")), _model(value))


class Cohere:
    most = 96

    def path(self, path: str, count: int) -> str:
        return path

    def told(self, purpose: Purpose | None) -> Mapping[str, Any]:
        return {"input_type": f"search_{purpose}"} if purpose else {}

    def body(self, model: str, texts: Sequence[str], dimensions: int | None, extra: Mapping[str, Any]) -> Any:
        body = {"texts": list(texts), "model": model, "input_type": "search_document", "embedding_types": ["float"]}
        return _said({**body, "output_dimension": dimensions, **extra})

    def read(self, value: Any, count: int) -> Read:
        value = value if isinstance(value, Mapping) else {}
        rows = value.get("embeddings")
        if isinstance(rows, Mapping):  # by type; older answers have the list itself
            rows = next((rows[kind] for kind in ("float", "base64") if isinstance(rows.get(kind), list)), None)
        if not isinstance(rows, list):
            raise _unlike("`embeddings.float`")
        meta = value.get("meta")
        billed = meta.get("billed_units") if isinstance(meta, Mapping) else None
        return Read(_counted([_vector(row) for row in rows], count), _usage(billed), _model(value))


class Ollama(OpenAi):
    """OpenAI's request, and an answer of its own."""

    def read(self, value: Any, count: int) -> Read:
        rows = value.get("embeddings") if isinstance(value, Mapping) else None
        if not isinstance(rows, list):
            raise _unlike("`embeddings`")
        return Read(_counted([_vector(row) for row in rows], count), _usage(value), _model(value))


_OPENAI = OpenAi()
_WIRES: dict[str, Wire] = {
    "openai_chat": _OPENAI,
    "openai_responses": _OPENAI,
    "custom": _OPENAI,
    "gemini": Gemini(),
    "cohere_v2": Cohere(),
    "ollama": Ollama(),
}


# ------------------------------------------------------------------------------------------ parts


def _said(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if value is not None}


def _vector(value: Any) -> list[float]:
    if isinstance(value, str):
        return _unpacked(value)
    if not isinstance(value, list) or not value:
        raise _unlike("a vector of numbers")
    try:
        made = [float(part) for part in value if not isinstance(part, bool | str)]
    except (TypeError, OverflowError) as error:
        raise _unlike("a vector of numbers") from error
    if len(made) != len(value) or not all(map(math.isfinite, made)):
        raise _unlike("a vector of finite numbers")
    return made


def _unpacked(text: str) -> list[float]:
    """Numbers from base64 of little-endian 32-bit floats."""
    try:
        data = base64.b64decode(text, validate=True)
        made = list(struct.unpack(f"<{len(data) // 4}f", data))
    except (binascii.Error, ValueError, struct.error) as error:
        raise _unlike("base64 of 32-bit floats") from error
    if not made or not all(map(math.isfinite, made)):
        raise _unlike("a vector of finite numbers")
    return made


def _counted(vectors: list[list[float]], count: int) -> list[list[float]]:
    if len(vectors) != count:
        raise _unlike(f"{count} embeddings, not {len(vectors)}")
    return vectors


def _usage(raw: Any) -> EmbeddingUsage:
    told = normalise_usage(raw) or {}
    whole = _count(told.get("total_tokens"))
    prompt = _count(told.get("prompt_tokens")) or whole  # some tell the sum alone
    return EmbeddingUsage(prompt, whole or prompt)


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _model(value: Mapping[str, Any]) -> str | None:
    named = value.get("model")
    return named if isinstance(named, str) and named else None


def _unlike(expected: str) -> PipelineError:
    return PipelineError(f"the answer has no embeddings that can be read: expected {expected}", operator="embeddings")
