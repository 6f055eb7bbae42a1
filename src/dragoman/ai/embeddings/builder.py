"""Puts a client for vectors together."""

from __future__ import annotations

from functools import partial
from typing import Self

import anyio.to_thread

from dragoman.ai.cache.manager import CacheManager
from dragoman.ai.embeddings.client import EmbeddingClient
from dragoman.ai.protocol.loader import ProtocolLoader, ResolvedModel
from dragoman.ai.services.building import ServiceBuilder

__all__ = ["EmbeddingClientBuilder"]

DEFAULT_PROVIDER = "openai"
"""Whose model a bare name means that no manifest knows."""


class EmbeddingClientBuilder(ServiceBuilder[EmbeddingClient]):
    """Every setter returns the builder; `await build()` gives the client. Sends nothing by itself."""

    def __init__(self) -> None:
        super().__init__()
        self._dimensions: int | None = None
        self._cache: CacheManager | None = None
        self._tenant: str | None = None

    def dimensions(self, dimensions: int | None) -> Self:
        """The length of vectors where a call does not say another."""
        self._dimensions = dimensions
        return self

    def with_cache(self, manager: CacheManager, *, tenant: str | None = None) -> Self:
        """Keep vectors there, for those who use this provider, address and credential, and are this tenant."""
        self._cache, self._tenant = manager, tenant
        return self

    async def build(self) -> EmbeddingClient:
        """The client. Raises MissingModel, and ProtocolError when the name leads to no manifest."""
        return EmbeddingClient(
            await self._made(),
            endpoint=self._given_endpoint(),
            dimensions=self._dimensions,
            cache=self._cache,
            tenant=self._tenant,
        )

    async def _resolved(self, loader: ProtocolLoader, model: str) -> ResolvedModel:
        """A bare name that no manifest knows is one of the first provider's."""
        name = str(model).strip()
        if "/" not in name and not await anyio.to_thread.run_sync(partial(_is_known, loader, name)):
            name = f"{DEFAULT_PROVIDER}/{name}"
        return await loader.resolve_model(name)


def _is_known(loader: ProtocolLoader, name: str) -> bool:
    return any(name in (row["name"], row["model_id"]) for row in loader.models())
