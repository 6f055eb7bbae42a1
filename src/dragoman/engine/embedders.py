"""Embedding models of an app: objects with `embed`, or plain async functions of texts."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from dragoman.core.errors import BadRequest, UsageError
from dragoman.core.ports import Embedded, Embedder, Model

EmbedderLike: TypeAlias = Embedder | Callable[[Sequence[str]], Awaitable[Sequence[Sequence[float]]]]
"""An object with `embed`, or an async function that takes texts and gives a vector for each."""


class FunctionEmbedder:
    """An async function as an `Embedder`; its vectors have the length that they have."""

    def __init__(self, function: Callable[[Sequence[str]], Awaitable[Sequence[Sequence[float]]]]) -> None:
        self._function = function

    async def embed(self, texts: Sequence[str], *, dimensions: int | None = None) -> Embedded:
        found = await self._function(texts)
        vectors = [[float(number) for number in vector] for vector in found]  # arrays of other libraries, too
        if dimensions is not None and any(len(vector) != dimensions for vector in vectors):
            raise BadRequest(f"this model gives vectors of {len(vectors[0])} numbers alone")
        return Embedded(vectors)


def as_embedder(value: EmbedderLike) -> Embedder:
    """The `Embedder` for an object or a function. Raises UsageError for what cannot embed."""
    if isinstance(value, Embedder):
        return value
    if inspect.iscoroutinefunction(value):
        return FunctionEmbedder(value)
    told = f"an embedding model is an object with embed(texts), or an async function of texts, got {value!r}"
    if isinstance(value, str | Model):
        told += "; a provider's belongs to App(models=…), as in models={'small': 'openai/text-embedding-3-small'}"
    raise UsageError(told)
