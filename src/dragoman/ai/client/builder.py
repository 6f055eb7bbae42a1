"""Puts a client together."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from dragoman.ai.client.chat import ChatRequestBuilder
from dragoman.ai.client.client import AiClient, Hop
from dragoman.ai.client.guarding import Action, Report, TextGuards, Validator
from dragoman.ai.client.hops import Once
from dragoman.ai.client.routing import router
from dragoman.ai.client.services import check_region, require_available
from dragoman.ai.client.settings import ClientSettings
from dragoman.ai.client.target import Target
from dragoman.ai.errors import ValidationError
from dragoman.ai.protocol.loader import ProtocolLoader, ResolvedModel
from dragoman.ai.resilience.backpressure import BackpressureConfig
from dragoman.ai.resilience.executor import ResilientConfig
from dragoman.ai.resilience.retry import RetryConfig
from dragoman.ai.routing.manager import ModelManager
from dragoman.ai.transport.ports import as_port
from dragoman.transport.options import Record

if TYPE_CHECKING:
    from dragoman.ai.cache import CacheManager
    from dragoman.ai.plugins import HookManager, MiddlewareChain, PluginRegistry
    from dragoman.ai.resilience.circuit_breaker import CircuitBreakerConfig
    from dragoman.ai.resilience.rate_limiter import RateLimiterConfig
    from dragoman.ai.routing.array import ModelArray
    from dragoman.ai.telemetry.tracer import Tracer
    from dragoman.ai.telemetry.watching import MetricsSink

__all__ = ["AiClientBuilder", "ChatRequestBuilder", "MissingModel"]


class MissingModel(ValidationError, ValueError):
    """A client was to be built without a model."""


class AiClientBuilder:
    """Every setter returns the builder; `await build()` gives the client. Sends nothing by itself."""

    def __init__(self) -> None:
        self._model: str | None = None
        self._fallbacks: list[str] = []
        self._keys: dict[str, str] = {}
        self._key: str | None = None
        self._base_url: str | None = None
        self._path: str | os.PathLike[str] | None = None
        self._loader: ProtocolLoader | None = None
        self._hot = False
        self._region: str | None = None
        self._routing: ModelManager | ModelArray | None = None
        self._settings = ClientSettings()
        self._single = ResilientConfig()
        self._whole: ResilientConfig | None = None

    # ------------------------------------------------------------------------------ what to ask

    def model(self, model_id: str) -> AiClientBuilder:
        """`"provider/model"`, or a bare model name that only one provider has."""
        self._model = model_id
        return self

    def protocol_path(self, path: str | os.PathLike[str]) -> AiClientBuilder:
        """A directory of manifests, or one manifest, looked at before all other places."""
        self._path = path
        return self

    def loader(self, loader: ProtocolLoader) -> AiClientBuilder:
        """Load manifests with this; wins over `protocol_path` and `hot_reload`."""
        self._loader = loader
        return self

    def hot_reload(self, enable: bool = True) -> AiClientBuilder:
        """Use changed manifest files for new requests."""
        self._hot = enable
        return self

    def region(self, name: str) -> AiClientBuilder:
        """Refuse to build when the provider does not serve this region."""
        self._region = name
        return self

    def with_fallbacks(self, fallbacks: Iterable[str]) -> AiClientBuilder:
        """Models to ask, in this order, when the first does not answer; each by its own manifest, address and key."""
        self._fallbacks = [fallbacks] if isinstance(fallbacks, str) else list(fallbacks)
        return self

    def with_routing(self, choice: ModelManager | ModelArray) -> AiClientBuilder:
        """Choose for each request: a manager chooses the model, an array the place that serves it."""
        self._routing = choice
        return self

    # -------------------------------------------------------------------------------------- how

    def api_key(self, key: str) -> AiClientBuilder:
        """The credential of the first model."""
        self._key = key
        return self

    def api_key_for(self, model_id: str, key: str) -> AiClientBuilder:
        """The credential of a model, a fallback or the first; a provider's id counts for all its models."""
        self._keys[model_id] = key
        return self

    def base_url(self, url: str) -> AiClientBuilder:
        """Another address for the first model's provider; fallbacks keep theirs."""
        self._base_url = url
        return self

    def timeout(self, seconds: float) -> AiClientBuilder:
        """How long a provider may stay silent."""
        return self._set(timeout=seconds)

    def headers(self, headers: Mapping[str, str]) -> AiClientBuilder:
        """Headers for every request; they win over the manifest's. Other providers get no credentials among them."""
        return self._set(headers={**self._settings.headers, **headers})

    def proxy(self, url: str) -> AiClientBuilder:
        """Reach providers through this proxy."""
        return self._set(proxy=url)

    def http2(self, on: bool = True) -> AiClientBuilder:
        """Speak HTTP/2 where the provider does; needs the extra `http2`."""
        return self._set(http2=on)

    def http_client(self, transport: Any) -> AiClientBuilder:
        """Send through this: a ConnectionPool, an httpx2.AsyncClient, or an I/O port. It is never closed here."""
        return self._set(io=as_port(transport))

    def record(self, recording: Record) -> AiClientBuilder:
        """Write every exchange to this file, without secrets."""
        return self._set(record=recording)

    def replay(self, recording: Record) -> AiClientBuilder:
        """Answer every request from this file; nothing is sent, and no credential is needed."""
        return self._set(replay=recording)

    def connection_vars(self, variables: Mapping[str, str]) -> AiClientBuilder:
        """Values for the variables in base URLs; they win over the environment."""
        return self._set(connection_vars=dict(variables))

    def allow_keyring(self, on: bool = True) -> AiClientBuilder:
        """Whether the system's keyring is asked for credentials."""
        return self._set(allow_keyring=on)

    def strict(self, on: bool = True) -> AiClientBuilder:
        """Raise for parameters that a wire cannot express and for frames that are no JSON, instead of a warning."""
        return self._set(strict=on)

    def strict_capabilities(self, on: bool = True) -> AiClientBuilder:
        """Whether a capability that the manifest says no to is refused before sending, or only warned of."""
        return self._set(strict_capabilities=on)

    def clock(
        self,
        clock: Callable[[], float],
        *,
        wall: Callable[[], float] | None = None,
        sleep: Callable[[float], Awaitable[None]] | None = None,
        random: Callable[[], float] | None = None,
    ) -> AiClientBuilder:
        """Another time, for tests: `clock` gives monotonic seconds, `wall` those since the epoch."""
        given = {"clock": clock, "wall": wall, "sleep": sleep, "random": random}
        return self._set(**{name: value for name, value in given.items() if value is not None})

    # --------------------------------------------------------------------------------- policies

    def retry(self, max_attempts: int = 3, backoff: float = 1.0) -> AiClientBuilder:
        """At most so many attempts, `backoff` seconds before the second, doubling."""
        return self.with_retry(RetryConfig(max_retries=max(max_attempts - 1, 0), min_delay_ms=int(backoff * 1000)))

    def with_retry(self, config: RetryConfig) -> AiClientBuilder:
        self._single = replace(self._single, retry=config)
        return self

    def with_rate_limit(self, config: RateLimiterConfig) -> AiClientBuilder:
        self._single = replace(self._single, rate_limit=config)
        return self

    def with_circuit_breaker(self, config: CircuitBreakerConfig) -> AiClientBuilder:
        self._single = replace(self._single, circuit_breaker=config)
        return self

    def max_inflight(self, n: int) -> AiClientBuilder:
        """At most so many calls at once to a provider; further ones wait."""
        self._single = replace(self._single, backpressure=BackpressureConfig(max_concurrent=n))
        return self

    def with_resilience(self, config: ResilientConfig) -> AiClientBuilder:
        """All policies at once; wins over the single ones."""
        self._whole = config
        return self

    def production_ready(self) -> AiClientBuilder:
        """Three retries of 1 s to 30 s, 10 requests a second, a breaker, ten calls at once."""
        return self.with_resilience(ResilientConfig.production())

    def resilience_from_manifest(self) -> AiClientBuilder:
        """The policies that each provider's own manifest describes."""
        return self._set(policies_from_manifest=True)

    # ------------------------------------------------------------------------- what stands around

    def with_middleware(self, chain: MiddlewareChain) -> AiClientBuilder:
        """Layers around every call, the outermost of all that stands around it."""
        return self._set(middleware=chain)

    def with_plugins(self, registry: PluginRegistry) -> AiClientBuilder:
        """Plugins that see every request, answer, error and event of a stream, and may change them."""
        return self._set(plugins=registry)

    def with_hooks(self, hooks: HookManager) -> AiClientBuilder:
        """Functions to be called at the moments that `HookType` names."""
        return self._set(hooks=hooks)

    def with_cache(self, cache: CacheManager) -> AiClientBuilder:
        """Answer equal requests from this; streams too, if its configuration says `cache_streaming`."""
        return self._set(cache=cache)

    def with_guardrails(
        self,
        input: Validator | None = None,
        output: Validator | None = None,
        *,
        action: Action = "block",
        thinking: bool = False,
        tool_arguments: bool = False,
        report: Report | None = None,
    ) -> AiClientBuilder:
        """Check what is asked and what is answered. A match ends the call, is redacted, or is only reported."""
        told: dict[str, Any] = {"thinking": thinking, "tool_arguments": tool_arguments, "report": report}
        return self._set(guards=TextGuards(input, output, action=action, **told))

    def with_metrics(self, collector: MetricsSink) -> AiClientBuilder:
        """Measure every request here, instead of with the collector of the process."""
        return self._set(metrics=collector)

    def with_tracer(self, tracer: Tracer) -> AiClientBuilder:
        """Make a span of every request with this, instead of the tracer of the process."""
        return self._set(tracer=tracer)

    def _set(self, **changes: Any) -> AiClientBuilder:
        self._settings = replace(self._settings, **changes)
        return self

    # ------------------------------------------------------------------------------------ build

    async def build(self) -> AiClient:
        """The client.

        Begins the plugins. Raises MissingModel, ProtocolError when a name leads to no manifest, ValidationError for a
        region that is not served, PluginError for a critical plugin that cannot begin, and TransportError
        when the manifest requires its availability check to pass and it does not.
        """
        name = self._model or self._first_of_routing()
        if not name:
            raise MissingModel("Model must be set before building: call .model('provider/model')", field="model")
        loader = self._loader or ProtocolLoader(self._path, hot_reload=self._hot)
        settings = replace(self._settings, resilience=self._policies())
        target = await self._made(name, loader, settings, self._base_url, self._key)
        if self._region is not None:
            check_region(target.manifest, self._region)
        hops: list[Hop] = [self._first_hop(name, target, loader, settings)]
        hops += [Once(partial(self._made, fallback, loader, settings)) for fallback in self._fallbacks]
        if target.manifest.availability.required:
            try:
                await require_available(target)
            except BaseException:
                await target.close()
                raise
        made = AiClient(target, settings, hops=hops)
        try:
            await made._begin()
        except BaseException:
            await made.close()
            raise
        return made

    def _first_of_routing(self) -> str | None:
        """A manager's first model stands for the client when no other was named."""
        models = self._routing.list_models() if isinstance(self._routing, ModelManager) else []
        return models[0].full_id if models else None

    def _first_hop(self, own: str, target: Target, loader: ProtocolLoader, settings: ClientSettings) -> Hop:
        if self._routing is None:
            return Once.of(target)
        provider = target.manifest.id

        async def make(name: str | None, base_url: str | None) -> Target:
            chosen = name or own
            if base_url is None and chosen in (own, target.name):
                return target
            if name and base_url and not name.startswith(f"{provider}/"):  # a place serves this provider's models
                chosen = f"{provider}/{name}"
            key = self._key if base_url is not None else None
            return await self._made(chosen, loader, settings, base_url, key)

        return router(self._routing, make)

    async def _made(
        self,
        name: str,
        loader: ProtocolLoader,
        settings: ClientSettings,
        base_url: str | None = None,
        key: str | None = None,
    ) -> Target:
        resolved = await loader.resolve_model(name)
        return Target(
            resolved.manifest,
            resolved.model_id,
            settings,
            api_key=key if key is not None else self._key_of(name, resolved),
            base_url=base_url,
            renew=partial(loader.load_provider, resolved.provider_id),
        )

    def _policies(self) -> ResilientConfig | None:
        if self._whole is not None:
            return self._whole
        return self._single if self._single != ResilientConfig() else None

    def _key_of(self, name: str, resolved: ResolvedModel) -> str | None:
        """The key given for this name, its full name, or its provider."""
        names = (name, f"{resolved.provider_id}/{resolved.model_id}", resolved.provider_id)
        return next((self._keys[known] for known in names if known in self._keys), None)
