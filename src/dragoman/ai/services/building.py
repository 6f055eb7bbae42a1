"""Puts the client of one operation together, in the way that `AiClientBuilder` does it for chats."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Generic, Self, TypeVar

from dragoman.ai.client.builder import MissingModel
from dragoman.ai.client.settings import ClientSettings
from dragoman.ai.client.target import Target
from dragoman.ai.protocol.config import Endpoint
from dragoman.ai.protocol.loader import ProtocolLoader, ResolvedModel
from dragoman.ai.protocol.manifest import ProtocolManifest
from dragoman.ai.resilience.executor import ResilientConfig
from dragoman.ai.resilience.retry import RetryConfig
from dragoman.ai.transport.ports import as_port

__all__ = ["ServiceBuilder"]

C = TypeVar("C")


class ServiceBuilder(Generic[C]):
    """Every setter returns the builder; `await build()` gives the client. Sends nothing by itself."""

    def __init__(self) -> None:
        self._model: str | None = None
        self._manifest: ProtocolManifest | None = None
        self._key: str | None = None
        self._base_url: str | None = None
        self._path: str | os.PathLike[str] | None = None
        self._loader: ProtocolLoader | None = None
        self._endpoint: str | None = None
        self._settings = ClientSettings()

    def model(self, model: str) -> Self:
        """`"provider/model"`, or a bare model name."""
        self._model = model
        return self

    def from_manifest(self, manifest: ProtocolManifest, model_id: str) -> Self:
        """A manifest that is at hand, and the model's name as it goes out."""
        self._manifest, self._model = manifest, model_id
        return self

    async def from_model(self, model: str) -> C:
        """`model` and `build` in one."""
        return await self.model(model).build()

    def api_key(self, api_key: str | None) -> Self:
        """The credential; without it, as the manifest says."""
        self._key = api_key
        return self

    def base_url(self, url: str | None) -> Self:
        """Another address for the provider."""
        self._base_url = url
        return self

    def endpoint_path(self, path: str | None) -> Self:
        """Another path than the manifest's, by POST."""
        self._endpoint = path
        return self

    def timeout(self, seconds: float) -> Self:
        """How long the provider may stay silent."""
        return self._set(timeout=seconds)

    def headers(self, headers: Mapping[str, str]) -> Self:
        """Headers for every request; they win over the manifest's."""
        return self._set(headers={**self._settings.headers, **headers})

    def protocol_path(self, path: str | os.PathLike[str]) -> Self:
        """A directory of manifests, or one manifest, looked at before all other places."""
        self._path = path
        return self

    def loader(self, loader: ProtocolLoader) -> Self:
        """Load manifests with this; wins over `protocol_path`."""
        self._loader = loader
        return self

    def http_client(self, transport: Any) -> Self:
        """Send through this: a ConnectionPool, an httpx2.AsyncClient, or an I/O port. It is never closed here."""
        return self._set(io=as_port(transport))

    def with_retry(self, config: RetryConfig) -> Self:
        """Try again what may be tried again. Without it one call is one request."""
        return self.with_resilience(replace(self._settings.resilience or ResilientConfig(), retry=config))

    def with_resilience(self, config: ResilientConfig) -> Self:
        """All policies at once."""
        return self._set(resilience=config)

    def settings(self, **settings: Any) -> Self:
        """Any other field of `ClientSettings`."""
        return self._set(**settings)

    def _set(self, **changes: Any) -> Self:
        self._settings = replace(self._settings, **changes)
        return self

    # ------------------------------------------------------------------------------------ build

    async def build(self) -> C:
        """The client. Raises MissingModel, and ProtocolError when the name leads to no manifest."""
        return self._client(await self._made())

    def _client(self, target: Target) -> C:
        """The client over a target; subclasses say which."""
        raise TypeError(f"{type(self).__name__} makes no client")

    def _given_endpoint(self) -> Endpoint | None:
        return Endpoint(path=self._endpoint) if self._endpoint else None

    async def _resolved(self, loader: ProtocolLoader, model: str) -> ResolvedModel:
        return await loader.resolve_model(model)

    async def _made(self) -> Target:
        if not self._model:
            raise MissingModel("Model must be set before building: call .model('provider/model')", field="model")
        if self._manifest is not None:
            return Target(self._manifest, self._model, self._settings, api_key=self._key, base_url=self._base_url)
        loader = self._loader or ProtocolLoader(self._path)
        resolved = await self._resolved(loader, self._model)
        return Target(
            resolved.manifest,
            resolved.model_id,
            self._settings,
            api_key=self._key,
            base_url=self._base_url,
            renew=partial(loader.load_provider, resolved.provider_id),
        )
