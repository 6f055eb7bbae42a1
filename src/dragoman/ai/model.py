"""Models of providers behind the `Model` port, so that agents can use them.

    Agent("helper", model="openai/gpt-4o")                              by name, in a served app
    App("acme", models={"fast": provider_model("groq/…", retries=2)})   with policies of its own
    openai_compatible("http://127.0.0.1:8000/v1", "my-model")           a server that needs no manifest

A `ProviderModel` joins a client to the core's words and keeps nothing of a conversation. Knows no
engine and no server: whoever composes them hands it over.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import asdict, replace
from typing import Any
from urllib.parse import urlsplit

from dragoman.ai.client import AiClient
from dragoman.ai.errors import ProtocolError
from dragoman.ai.files import refuse_files
from dragoman.ai.pipeline import Pipeline
from dragoman.ai.protocol import ProtocolLoader, ProtocolManifest
from dragoman.ai.protocol.loader import ResolvedModel
from dragoman.ai.resilience import ResilientConfig, RetryConfig
from dragoman.ai.resilience.backpressure import BackpressureConfig
from dragoman.ai.resilience.judging import may_fall_back
from dragoman.ai.telemetry.tracer import Tracer
from dragoman.ai.telemetry.watching import MetricsSink
from dragoman.ai.tokens.estimator import cost_of
from dragoman.ai.translate import Hearing, messages_of, tools_of
from dragoman.ai.transport.credentials import diagnostic_text, resolve_credential
from dragoman.core.errors import DragomanError, UsageError
from dragoman.core.messages import ModelEvent, ModelRequest, ModelUsage
from dragoman.core.redact import redact_text
from dragoman.transport.drivers import warm_up
from dragoman.transport.io import IO
from dragoman.transport.options import Record

__all__ = ["ProviderModel", "base_url_of", "openai_compatible", "provider_model", "why_not"]

logger = logging.getLogger("dragoman.ai")

LEAST_SECONDS = 120.0
"""The silence that an agent's model is allowed: one that thinks needs more than most manifests give a call."""

_COMPATIBLE = "openai-compatible"


class ProviderModel:
    """One model of one provider; `provider_model` and `openai_compatible` make it.

    `name` is `provider/model`. `prepare` says beforehand whether it can be used; connections are
    opened by the first call and closed by `aclose`, after which it can be used again.
    """

    def __init__(
        self,
        name: str,
        *,
        loader: ProtocolLoader | None = None,
        api_key: str | None = None,
        base_url: str | None = None,
        timeout: float | None = None,
        retries: int = 0,
        max_inflight: int | None = None,
        fallbacks: Sequence[ProviderModel] = (),
        io: IO | None = None,
        record: Record | None = None,
        replay: Record | None = None,
    ) -> None:
        self.name = name
        self.fallbacks = tuple(fallbacks)
        self._loader = loader
        self._api_key = api_key
        self._base_url = base_url
        self._timeout = timeout
        self._retries = retries
        self._max_inflight = max_inflight
        self._io = io
        self._record = record
        self._replay = replay
        self._client: AiClient | None = None
        self._metrics: MetricsSink | None = None
        self._tracer: Tracer | None = None
        self._users = 0
        self._is_retired = False
        self._is_prepared = False
        self.is_only_named = False
        """Whether it stands for a name that an app may have given to another model."""

    def __repr__(self) -> str:  # never the key
        return f"ProviderModel({self.name!r})"

    @property
    def is_prepared(self) -> bool:
        """Whether `prepare` has found that it can be used."""
        return self._is_prepared

    @property
    def max_inflight(self) -> int | None:
        """How many calls run at once; None and 0: any number."""
        return self._max_inflight

    @property
    def is_full(self) -> bool:
        """Whether one more call would wait for a place."""
        most, client = self._max_inflight, self._client
        if not most or client is None:
            return False
        return client.current_inflight >= most

    def measure(self, metrics: MetricsSink | None = None, tracer: Tracer | None = None) -> None:
        """Tell these of every call, fallbacks' too; counts for connections that are opened from now on.

        Without them the collector and the tracer of the process hear of calls, if it has any.
        """
        self._metrics, self._tracer = metrics, tracer
        for fallback in self.fallbacks:
            fallback.measure(metrics, tracer)

    def tape(self, record: Record | None, replay: Record | None) -> None:
        """Record to and replay from these, fallbacks too, where it has no files of its own; before the first call."""
        self._record = self._record or record
        self._replay = self._replay or replay
        for fallback in self.fallbacks:
            fallback.tape(record, replay)

    def prepare(self) -> None:
        """Look up the manifest and the credential, of fallbacks too; for a thread, since it reads files.

        Raises ProtocolError for a provider that nobody knows, a missing key or address; it names the variable.
        """
        manifest = self._manifests().resolve_model_sync(self.name).manifest
        key = self._api_key or ("replayed" if self._replay is not None else None)
        fault = why_not(manifest, api_key=key, base_url=self._base_url)
        if fault is not None:
            raise ProtocolError(f"model {self.name!r} cannot be used: {fault}", error_class="authentication")
        Pipeline.from_manifest(manifest)  # kept in the manifest, so that the first call need not wait for it
        if self._io is None:
            warm_up()
        for fallback in self.fallbacks:
            fallback.prepare()
        self._is_prepared = True

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """The answer as it comes; usage once and before the end, and also if it fails.

        A fallback is asked only while nothing of the answer has come, and is told nothing of what
        belongs to another provider. Raises the errors of `dragoman.ai`.
        """
        models = (self, *self.fallbacks)
        for model in models:
            has_begun = False
            try:
                async with aclosing(model._answer(request)) as pieces:
                    async for piece in pieces:
                        has_begun = has_begun or not isinstance(piece, ModelUsage)
                        yield piece
                return
            except Exception as error:
                if has_begun or model is models[-1] or not may_fall_back(error):
                    raise
                text = error.message if isinstance(error, DragomanError) else str(error)
                extra = {"model": model.name, "error": redact_text(text)}
                logger.warning("model failed, the next is asked", extra=extra)

    async def _answer(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        async with self.in_use() as client, aclosing(self._answer_of(client, request)) as pieces:
            async for piece in pieces:
                yield piece

    async def _answer_of(self, client: AiClient, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        origin = client.provider_id
        refuse_files(request.messages, client.manifest, client.model_id)
        chat = client.chat().messages(messages_of(request, origin)).tools(tools_of(request))
        for name, value in request.options.items():
            chat.param(name, value)
        manifest = client.manifest
        hearing = Hearing(origin, family=manifest.adapter, classification=manifest.error_classification)
        async with chat.stream() as events:
            try:
                async for event in events:
                    for piece in hearing.take(event):
                        yield piece if type(piece) is not ModelUsage else await self._priced(piece)
            except Exception:
                for piece in hearing.usage():
                    yield await self._priced(piece)
                raise

    async def _priced(self, used: ModelUsage) -> ModelUsage:
        """With what the tokens cost by the prices that are known, where the provider does not say; prices are in files."""
        if used.cost is not None:
            return used
        found = await asyncio.to_thread(cost_of, asdict(used.usage), self.name)
        return replace(used, cost=found.total_cost) if found is not None else used

    @asynccontextmanager
    async def in_use(self) -> AsyncGenerator[AiClient, None]:
        """The client behind this model, for calls in the words of `dragoman.ai`; a model in use is not retired."""
        self._users += 1
        try:
            yield await self._opened()
        finally:
            self._users -= 1
            if self._is_retired and not self._users:
                await self.aclose()

    async def retire(self) -> None:
        """Close as soon as nobody uses it, now and after each later use."""
        self._is_retired = True
        if not self._users:
            await self.aclose()

    async def _opened(self) -> AiClient:
        if self._client is None:
            made = await self._built()
            if self._client is None:
                self._client = made
            else:  # another call was faster
                await made.close()
        return self._client

    async def _built(self) -> AiClient:
        loader = self._manifests()
        resolved = await loader.resolve_model(self.name)
        builder = AiClient.builder().model(self.name).loader(loader).timeout(self._patience(resolved))
        if self._api_key is not None:
            builder.api_key(self._api_key)
        if self._base_url is not None:
            builder.base_url(self._base_url)
        if self._io is not None:
            builder.http_client(self._io)
        if self._record is not None:
            builder.record(self._record)
        if self._replay is not None:
            builder.replay(self._replay)
        if self._retries or self._max_inflight is not None:
            builder.with_resilience(self._policies(resolved.manifest))
        if self._metrics is not None:
            builder.with_metrics(self._metrics)
        if self._tracer is not None:
            builder.with_tracer(self._tracer)
        return await builder.build()

    def _patience(self, resolved: ResolvedModel) -> float:
        if self._timeout is not None:
            return self._timeout
        return max(LEAST_SECONDS, (resolved.manifest.endpoint.timeout_ms or 0) / 1000)

    def _policies(self, manifest: ProtocolManifest) -> ResilientConfig:
        """As many retries as were asked for, with the delays that the provider wishes."""
        retry = ResilientConfig.from_manifest(manifest).retry or RetryConfig()
        strategy = "exponential_backoff" if retry.strategy == "none" else retry.strategy
        most = self._max_inflight
        return ResilientConfig(
            retry=replace(retry, max_retries=self._retries, strategy=strategy) if self._retries else None,
            backpressure=BackpressureConfig(max_concurrent=most) if most is not None else None,
        )

    def _manifests(self) -> ProtocolLoader:
        if self._loader is None:
            self._loader = ProtocolLoader()
        return self._loader

    async def aclose(self) -> None:
        """End what is under way and close the connections, of fallbacks too. Idempotent."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()
        for fallback in self.fallbacks:
            await fallback.aclose()


def provider_model(
    name: str,
    *,
    api_key: str | None = None,
    base_url: str | None = None,
    timeout: float | None = None,
    retries: int = 0,
    max_inflight: int | None = None,
    fallbacks: Sequence[str | ProviderModel] = (),
    loader: ProtocolLoader | None = None,
    io: IO | None = None,
    record: Record | None = None,
    replay: Record | None = None,
) -> ProviderModel:
    """A model by its name `provider/model`, for an agent.

    `base_url` is another address of the same wire. `timeout` is the longest silence in seconds (at
    least 120 where it is not given). A fallback is another model, or a name: `provider/model`, or one that the app
    which is served gives a model of a provider. `retries` and `fallbacks` count only while nothing of an answer
    has come; `max_inflight` calls run at once. `record` is a file that every exchange is recorded to,
    `replay` one that all are answered from. Looks up nothing yet.
    """
    spares = [ProviderModel(each, loader=loader, io=io) if isinstance(each, str) else each for each in fallbacks]
    for given, spare in zip(fallbacks, spares, strict=True):
        spare.is_only_named = isinstance(given, str)
    made = ProviderModel(
        name,
        loader=loader,
        api_key=api_key,
        base_url=base_url,
        timeout=timeout,
        retries=retries,
        max_inflight=max_inflight,
        fallbacks=spares,
        io=io,
    )
    made.tape(record, replay)
    return made


def openai_compatible(
    base_url: str,
    model: str,
    *,
    api_key: str | None = None,
    key_env: str | None = None,
    stream_usage: bool = True,
    timeout: float | None = None,
    retries: int = 0,
    max_inflight: int | None = None,
    fallbacks: Sequence[str | ProviderModel] = (),
    io: IO | None = None,
) -> ProviderModel:
    """A model of any server that speaks OpenAI's chat completions, such as `http://127.0.0.1:8000/v1`.

    `key_env` names the environment variable of its key; without it and `api_key` none is sent.
    `stream_usage=False` for a server that refuses `stream_options`. Raises UsageError for no URL.
    """
    address = urlsplit(base_url)
    if address.scheme not in ("http", "https") or not address.netloc:
        raise UsageError(f"base_url is a URL such as 'http://127.0.0.1:8000/v1', got {base_url!r}")
    document: dict[str, Any] = {
        "id": _COMPATIBLE,
        "protocol_version": "1.5",
        "endpoint": {"base_url": base_url},
        "payload_format": "openai_style",
        "streaming": {"decoder": {"format": "sse"}},
        "capabilities": {"streaming": True, "tools": True, "vision": True, "reasoning": True, "parallel_tools": True},
        "feature_flags": {"streaming_usage": stream_usage},
        "availability": {"required": False, "regions": ["global"]},
    }
    if key_env is not None:
        document["auth"] = {"type": "bearer", "token_env": key_env}
    loader = ProtocolLoader()
    loader.register_provider(document)
    return provider_model(
        f"{_COMPATIBLE}/{model}",
        loader=loader,
        api_key=api_key,
        timeout=timeout,
        retries=retries,
        max_inflight=max_inflight,
        fallbacks=fallbacks,
        io=io,
    )


def why_not(manifest: ProtocolManifest, *, api_key: str | None = None, base_url: str | None = None) -> str | None:
    """What keeps a provider from being used here, naming the variable; None if nothing does. Sends nothing."""
    if base_url is None:
        try:
            manifest.base_url()
        except ProtocolError as error:
            return error.message
    found = resolve_credential(manifest.id, manifest, api_key)
    if manifest.auth is not None and not found.is_available:
        return diagnostic_text(found, manifest)
    return None


def base_url_of(manifest: ProtocolManifest) -> str | None:
    """The address with its variables filled in; None if one is missing."""
    try:
        return manifest.base_url()
    except ProtocolError:
        return None
