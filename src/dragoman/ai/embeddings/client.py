"""The client for vectors: one model of one provider, batches side by side, under the client's policies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import anyio

from dragoman.ai.cache.manager import CacheManager
from dragoman.ai.client.target import Target
from dragoman.ai.embeddings.types import Embedding, EmbeddingResponse, EmbeddingUsage
from dragoman.ai.embeddings.wires import EMBEDDINGS, Purpose, Read, Wire, wire_of
from dragoman.ai.errors import ValidationError
from dragoman.ai.protocol.config import Endpoint
from dragoman.ai.protocol.manifest import ProtocolManifest
from dragoman.ai.services.operation import ServiceClient, json_of

if TYPE_CHECKING:
    from dragoman.ai.embeddings.builder import EmbeddingClientBuilder

__all__ = ["AT_ONCE", "EmbeddingClient"]

AT_ONCE = 4
"""Requests of one call that are under way together."""


class EmbeddingClient(ServiceClient):
    """Make one with `create` or `builder`; close it, or use it in `async with`.

    `dimensions` is the default length of vectors. With a `cache` the vectors of texts that were asked
    for before are not asked for again by the same `tenant` with the same credential at the same address.
    """

    operation = EMBEDDINGS

    def __init__(
        self,
        target: Target,
        *,
        endpoint: Endpoint | None = None,
        dimensions: int | None = None,
        cache: CacheManager | None = None,
        tenant: str | None = None,
    ) -> None:
        super().__init__(target, endpoint=endpoint)
        self._dimensions = dimensions
        self._cache = cache
        self._tenant = tenant

    @classmethod
    async def create(
        cls, model: str, api_key: str | None = None, base_url: str | None = None, dimensions: int | None = None
    ) -> EmbeddingClient:
        """A client for `"provider/model"`. Sends nothing; raises ProtocolError when the name leads to no manifest."""
        return await cls.builder().model(model).api_key(api_key).base_url(base_url).dimensions(dimensions).build()

    @staticmethod
    def builder() -> EmbeddingClientBuilder:
        from dragoman.ai.embeddings.builder import EmbeddingClientBuilder

        return EmbeddingClientBuilder()

    @property
    def dimensions(self) -> int | None:
        """The default length of vectors; None for the model's own."""
        return self._dimensions

    async def embed(self, text: str, dimensions: int | None = None, **options: Any) -> EmbeddingResponse:
        """The vector of one text. `options` go to the provider as they are. Raises as `embed_batch` does."""
        return await self.embed_batch([text], dimensions, **options)

    async def embed_batch(
        self,
        texts: Iterable[str],
        dimensions: int | None = None,
        batch_size: int = 100,
        *,
        purpose: Purpose | None = None,
        **options: Any,
    ) -> EmbeddingResponse:
        """The vectors of texts, in their order; usage is the sum of all requests.

        A request has at most `batch_size` texts, fewer where the wire takes no more; four are under way at
        once. The first that fails ends the others. No texts, no request. `purpose` says what the vectors are
        for, on wires that have a word for it; `options` go to the provider as they are (`encoding_format`,
        `user` …). Raises ValidationError before
        anything is sent, RemoteError, TransportError, PipelineError.
        """
        asked = [texts] if isinstance(texts, str) else list(texts)
        if batch_size < 1:
            raise ValidationError(f"batch_size must be at least 1, got {batch_size!r}", field="batch_size")
        if not all(isinstance(text, str) for text in asked):
            raise ValidationError("every text must be a str", field="texts", expected="str")
        if not asked:
            return EmbeddingResponse(model=self.model)
        size = self._dimensions if dimensions is None else dimensions
        if purpose is not None:
            manifest, endpoint = await self._place()
            options = {**wire_of(self._family(manifest, endpoint)).told(purpose), **options}
        scope = await self._scope()
        known = await self._known(asked, size, options, scope)
        missing = [place for place in range(len(asked)) if known[place] is None]
        made = await self._asked([asked[place] for place in missing], size, batch_size, options)
        for place, vector in zip(missing, made.vectors, strict=True):
            known[place] = vector
        await self._keep([(asked[place], known[place]) for place in missing], size, options, scope)
        return EmbeddingResponse(
            [Embedding(place, vector) for place, vector in enumerate(known) if vector is not None],
            made.model or self.model,
            made.usage,
        )

    # ------------------------------------------------------------------------------------ inside

    async def _asked(
        self, texts: Sequence[str], dimensions: int | None, batch_size: int, options: dict[str, Any]
    ) -> Read:
        if not texts:
            return Read([], EmbeddingUsage(), None)
        manifest, endpoint = await self._place()
        wire = wire_of(self._family(manifest, endpoint))
        step = min(batch_size, wire.most)
        batches = [texts[start : start + step] for start in range(0, len(texts), step)]
        answers: list[Read | None] = [None] * len(batches)
        failures: list[Exception] = []
        rest = iter(range(len(batches)))

        async def worker() -> None:
            for number in rest:
                try:
                    answers[number] = await self._batch(manifest, endpoint, wire, batches[number], dimensions, options)
                except Exception as error:
                    failures.append(error)
                    tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            for _ in range(min(AT_ONCE, len(batches))):
                tasks.start_soon(worker)
        if failures:
            raise failures[0]
        read = [answer for answer in answers if answer is not None]
        usage = sum((one.usage for one in read), EmbeddingUsage())
        return Read([vector for one in read for vector in one.vectors], usage, read[0].model)

    async def _batch(
        self,
        manifest: ProtocolManifest,
        endpoint: Endpoint,
        wire: Wire,
        texts: Sequence[str],
        dimensions: int | None,
        options: dict[str, Any],
    ) -> Read:
        return await self._ask(
            manifest,
            endpoint,
            lambda response: wire.read(json_of(response, manifest), len(texts)),
            path=wire.path(endpoint.path, len(texts)),
            json=wire.body(self.model, texts, dimensions, options),
            usage=lambda read: read.usage.to_dict(),
        )

    async def _scope(self) -> Any:
        """Who shares what is kept: asked for each call, since credentials and manifests may change."""
        if self._cache is None or not self._cache.enabled:
            return None
        _, endpoint = await self._place()
        return [await self._target.cache_scope(self._target.settings.headers, self._tenant), endpoint.path]

    async def _known(
        self, texts: Sequence[str], dimensions: int | None, options: dict[str, Any], scope: Any
    ) -> list[list[float] | None]:
        if self._cache is None:
            return [None] * len(texts)
        found: list[list[float] | None] = []
        for text in texts:
            kept = await self._cache.get_embedding(self._target.name, text, dimensions, scope=scope, options=options)
            found.append(kept[0] if kept else None)
        return found

    async def _keep(
        self,
        made: Iterable[tuple[str, list[float] | None]],
        dimensions: int | None,
        options: dict[str, Any],
        scope: Any,
    ) -> None:
        if self._cache is None:
            return
        for text, vector in made:
            if vector is not None:
                await self._cache.cache_embedding(
                    self._target.name, text, [vector], dimensions, scope=scope, options=options
                )
