"""What a provider of each family says when it is asked for vectors, written from the wire formats alone."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.ai.wires.server import Received, Reply


def vector_of(text: str) -> list[float]:
    """A vector that tells its text, exact in 32 bits."""
    return [float(len(text)), float(sum(text.encode()) % 97), 0.5]


def packed(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


@dataclass(frozen=True)
class Family:
    """`model` and `base` as for a client; `path` of one text and of several; `counts` whether it tells tokens."""

    name: str
    model: str
    base: str
    path: str
    batch_path: str
    texts: Callable[[Any], list[str]]
    answer: Callable[[list[str]], Any]
    dimensions: str
    """Where the length of vectors stands in a body, dotted."""
    counts: bool = True


def _openai(texts: list[str]) -> Any:
    rows = [{"object": "embedding", "index": n, "embedding": vector_of(text)} for n, text in enumerate(texts)]
    tokens = sum(map(len, texts))
    return {
        "object": "list",
        "data": rows[::-1],  # by index, not by place
        "model": "m-answered",
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _gemini(texts: list[str]) -> Any:
    rows = [{"values": vector_of(text)} for text in texts]
    return {"embedding": rows[0]} if len(rows) == 1 else {"embeddings": rows}


def _gemini_texts(body: Any) -> list[str]:
    return [one["content"]["parts"][0]["text"] for one in body.get("requests", [body])]


def _cohere(texts: list[str]) -> Any:
    return {
        "id": "x",
        "embeddings": {"float": [vector_of(text) for text in texts]},
        "texts": texts,
        "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": sum(map(len, texts))}},
    }


def _ollama(texts: list[str]) -> Any:
    return {
        "model": "m-answered",
        "embeddings": [vector_of(text) for text in texts],
        "total_duration": 14143917,
        "prompt_eval_count": sum(map(len, texts)),
    }


FAMILIES = [
    Family(
        "openai",
        "openai/text-embedding-3-small",
        "/v1",
        "/v1/embeddings",
        "/v1/embeddings",
        lambda body: body["input"],
        _openai,
        "dimensions",
    ),
    Family(
        "gemini",
        "gemini/gemini-embedding-001",
        "/v1beta",
        "/v1beta/models/gemini-embedding-001:embedContent",
        "/v1beta/models/gemini-embedding-001:batchEmbedContents",
        _gemini_texts,
        _gemini,
        "outputDimensionality",
        counts=False,
    ),
    Family(
        "cohere",
        "cohere/embed-v4.0",
        "/v2",
        "/v2/embed",
        "/v2/embed",
        lambda body: body["texts"],
        _cohere,
        "output_dimension",
    ),
    Family(
        "ollama",
        "ollama/nomic-embed-text",
        "",
        "/api/embed",
        "/api/embed",
        lambda body: body["input"],
        _ollama,
        "dimensions",
    ),
]


def speaking(family: Family) -> Callable[[Received], Reply]:
    """A server of the family that embeds whatever it is asked for."""
    return lambda request: Reply.json(family.answer(family.texts(request.json())))
