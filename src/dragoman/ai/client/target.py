"""One model of one provider: its manifest, its connection, its policies; what one call to it does.

A client has one for its model and one for each fallback. State of a call lives in the call, never
here: parallel calls share nothing but connections and policies.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Protocol, TypeVar

from dragoman.ai.adapters import build_chat, parse_answer
from dragoman.ai.adapters.call import ChatCall, ChatRequest
from dragoman.ai.cache.key import cache_scope
from dragoman.ai.client.measuring import Measuring
from dragoman.ai.client.reading import EarlyFailure, StreamReader
from dragoman.ai.client.response import ChatResponse
from dragoman.ai.client.settings import CallOptions, ClientSettings
from dragoman.ai.client.stats import CallStats
from dragoman.ai.errors import AiLibError, ProtocolError, ValidationError
from dragoman.ai.plugins.hooks import HookType
from dragoman.ai.protocol.manifest import ProtocolManifest
from dragoman.ai.resilience.executor import Lease, ResilientConfig, ResilientExecutor
from dragoman.ai.resilience.rate_limiter import header_names
from dragoman.ai.telemetry.current import traceparent
from dragoman.ai.telemetry.watching import Watch
from dragoman.ai.transport.http import HttpTransport, encode_json
from dragoman.ai.transport.response import HttpResponse
from dragoman.resilience.limits import parse_limit_headers
from dragoman.wire.json_text import mended

__all__ = ["Target"]

REQUEST_ID_HEADERS = ("x-request-id", "request-id", "cf-ray")

_NO_ANSWER = frozenset({"traceparent", "tracestate", "baggage", "x-request-id", "idempotency-key", "user-agent"})
"""Headers that say nothing of what is asked, nor who asks."""


class Reading(Protocol):
    """An answer that is being streamed, as far as opening and closing it goes."""

    async def begin(self, failure: EarlyFailure) -> None: ...

    async def aclose(self) -> None: ...


Read = TypeVar("Read", bound=Reading)
T = TypeVar("T")


class Target:
    """`renew`, when given, is asked before each call for the manifest as it stands now."""

    def __init__(
        self,
        manifest: ProtocolManifest,
        model_id: str,
        settings: ClientSettings,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        renew: Callable[[], Awaitable[ProtocolManifest]] | None = None,
    ) -> None:
        self.model_id = model_id
        self.settings = settings
        self.measuring = Measuring(settings, lambda: (self.manifest.id, self.model_id))
        config = _policies(manifest, settings)
        self.is_resilient = config is not None
        self.executor = ResilientExecutor(
            config if config is not None else ResilientConfig(),
            f"{manifest.id}/{model_id}",
            clock=settings.clock,
            sleep=settings.sleep,
            random=settings.random,
            wall=settings.wall,
            on_wait=self.measuring.waited,
            on_open=self.measuring.opened,
        )
        self.transport = HttpTransport(
            manifest,
            model_id,
            api_key=api_key,
            base_url_override=base_url,
            timeout=settings.timeout,
            proxy=settings.proxy,
            http2=settings.http2,
            connection_vars=settings.connection_vars,
            allow_keyring=settings.allow_keyring,
            io=settings.io,
            wall=settings.wall,
            observe=self.executor.update_from_headers,
            record=settings.record,
            replay=settings.replay,
        )
        self._renew = renew

    @property
    def manifest(self) -> ProtocolManifest:
        manifest = self.transport.manifest
        assert manifest is not None  # it was made with one
        return manifest

    @property
    def name(self) -> str:
        return f"{self.manifest.id}/{self.model_id}"

    async def current_manifest(self) -> ProtocolManifest:
        if self._renew is not None:
            self.transport.manifest = await self._renew()
        return self.manifest

    # -------------------------------------------------------------------------------------- calls

    async def execute(self, call: ChatCall, options: CallOptions, stats: CallStats) -> ChatResponse:
        """One plain call under the policies.

        Raises ValidationError before anything is sent, RemoteError, TransportError, PipelineError.
        """
        manifest, request, body = await self._prepared(call, options, stats)

        async def attempt() -> ChatResponse:
            response = await self._send(request, body, options, streaming=False)
            kind = response.headers.get("content-type")
            try:
                answer = parse_answer(manifest, response.content, status=response.status_code, content_type=kind)
            except AiLibError as error:
                response.told(error)
                raise
            return ChatResponse.from_answer(answer, **self.facts_of(response))

        watch = self.measuring.watch()
        asking = partial(self.executor.execute, attempt, on_retry=self._on_retry(stats, watch))
        answered = await (asking() if watch is None else self._watched(watch, call, request, asking))
        stats.record_usage(answered.usage)
        return answered

    async def _watched(
        self, watch: Watch, call: ChatCall, request: ChatRequest, asking: Callable[[], Awaitable[ChatResponse]]
    ) -> ChatResponse:
        await self._begin(watch, call, request)
        try:
            with watch.current():
                answered = await asking()
        except BaseException as error:
            watch.end(error=error, cancelled=not isinstance(error, Exception))
            raise
        raw, usage = answered.raw_response, answered.usage
        id = raw.get("id") if isinstance(raw, Mapping) else None
        watch.end(usage=usage, cost=self.measuring.cost(usage), answer=answered, id=id)
        return answered

    async def _begin(self, watch: Watch, call: ChatCall, request: ChatRequest) -> None:
        await self.measuring.learn_prices(self.manifest)
        watch.begin(call, endpoint=request.path, url=self._address())

    def _address(self) -> str | None:
        try:
            return self.transport.base_url
        except ProtocolError:  # a variable is missing, as the request will say
            return None

    async def ask(
        self,
        attempt: Callable[[], Awaitable[T]],
        *,
        operation: str,
        endpoint: str,
        usage: Callable[[T], Mapping[str, Any] | None],
    ) -> T:
        """What `attempt` gives, which is a request of another operation than chat, under the policies.

        Measured under the operation's name; `usage` reads from its value what it took.
        """
        watch = self.measuring.watch()
        if watch is None:
            return await self.executor.execute(attempt)

        async def on_retry(number: int, error: BaseException, delay: float) -> None:
            watch.retried(number, error, delay)

        await self.measuring.learn_prices(self.manifest)
        watch.begin(None, endpoint=endpoint, url=self._address(), operation=operation)
        try:
            with watch.current():
                found = await self.executor.execute(attempt, on_retry)
        except BaseException as error:
            watch.end(error=error, cancelled=not isinstance(error, Exception))
            raise
        took = usage(found)
        watch.end(usage=took, cost=self.measuring.cost(took))
        return found

    async def open(
        self, call: ChatCall, options: CallOptions, stats: CallStats, failure: EarlyFailure
    ) -> Lease[StreamReader]:
        """A streamed call under the policies, up to its first output; to be released and closed.

        Raises as `execute` does; `failure` then holds the events that came before.
        """

        def make(response: HttpResponse, manifest: ProtocolManifest) -> StreamReader:
            return StreamReader(response, manifest, strict=self.settings.strict, linger=self.settings.linger)

        return await self.open_with(make, call, options, stats, failure)

    async def open_with(
        self,
        make: Callable[[HttpResponse, ProtocolManifest], Read],
        call: ChatCall,
        options: CallOptions,
        stats: CallStats,
        failure: EarlyFailure,
        *,
        streaming: bool = True,
    ) -> Lease[Read]:
        """The same with a reader of the caller's making; one that is not `streaming` gets the whole answer at once.

        What it has of `usage`, `error`, `is_over` and `has_output` is measured, where anybody wants to know.
        """
        manifest, request, body = await self._prepared(call, options, stats)
        readers: list[Read] = []

        async def attempt() -> Read:
            response = await self._send(request, body, options, streaming=streaming)
            reader = make(response, manifest)
            readers.append(reader)
            try:
                await reader.begin(failure)
            except BaseException:
                await reader.aclose()
                raise
            return reader

        watch = self.measuring.watch()
        opening = partial(self.executor.open, attempt, on_retry=self._on_retry(stats, watch))
        try:
            if watch is None:
                return await opening()
            await self._begin(watch, call, request)
            with watch.current():
                return self.measuring.until_released(await opening(), watch)
        except BaseException as error:
            if watch is not None:
                watch.end(error=error, cancelled=not isinstance(error, Exception))
            for reader in readers:  # one may have been opened and not handed on: a cancellation came with it
                await reader.aclose()
            raise

    async def _prepared(
        self, call: ChatCall, options: CallOptions, stats: CallStats
    ) -> tuple[ProtocolManifest, ChatRequest, bytes]:
        manifest = await self.current_manifest()
        request = build_chat(manifest, call)
        stats.provider, stats.model, stats.endpoint = manifest.id, self.model_id, request.path
        return manifest, request, _encoded(request.body)

    async def _send(self, request: ChatRequest, body: bytes, options: CallOptions, *, streaming: bool) -> HttpResponse:
        headers = request.headers
        if (trace := traceparent()) is not None and "traceparent" not in headers:
            headers = {**headers, "traceparent": trace}
        return await self.transport.open(
            request.method,
            request.path,
            body=body,
            headers=headers,
            params=request.query,
            timeout=options.timeout,
            streaming=streaming,
        )

    def _on_retry(
        self, stats: CallStats, watch: Watch | None
    ) -> Callable[[int, BaseException, float], Awaitable[None]]:
        hooks = self.settings.hooks

        async def on_retry(attempt: int, error: BaseException, delay: float) -> None:
            stats.retry_count += 1
            if watch is not None:
                watch.retried(stats.retry_count, error, delay)
            if hooks is not None and hooks.has(HookType.ON_RETRY):
                told = {"attempt": stats.retry_count, "error": error, "delay": delay}
                who = {"provider": stats.provider, "model": stats.model, "request_id": stats.client_request_id}
                await hooks.execute(HookType.ON_RETRY, {**told, **who})

        return on_retry

    async def cache_scope(self, headers: Mapping[str, str], tenant: str | None) -> str:
        """Whose answers a call with these headers may get from a cache: a digest, without the secret."""
        credential = await self.transport.credential_in_use()
        telling = {name.lower(): value for name, value in headers.items() if name.lower() not in _NO_ANSWER}
        return cache_scope(
            provider=self.manifest.id,
            base_url=self._address(),
            credential=credential.secret,
            tenant=tenant,
            headers=telling,
        )

    def facts_of(self, response: HttpResponse) -> dict[str, Any]:
        """What the headers of an answer say: limits and the request's id."""
        headers = response.headers
        request_id = next((headers[name] for name in REQUEST_ID_HEADERS if name in headers), None)
        return {"rate_limits": self.rate_limits(headers), "request_id": request_id}

    def rate_limits(self, headers: Mapping[str, str]) -> dict[str, Any] | None:
        names = self.manifest.rate_limit_headers
        known = names.model_dump() if names is not None else None
        return parse_limit_headers(headers, self.settings.wall(), names=known).to_dict() or None

    async def close(self) -> None:
        """Give the connections back. Idempotent."""
        await self.transport.close()


def _encoded(body: Any) -> bytes:
    """The body as JSON; half characters, which users and models do write, become U+FFFD."""
    try:
        return encode_json(body)
    except ValidationError:
        with suppress(RecursionError, ValidationError):
            return encode_json(mended(body))
        raise


def _policies(manifest: ProtocolManifest, settings: ClientSettings) -> ResilientConfig | None:
    if settings.policies_from_manifest:
        return ResilientConfig.from_manifest(manifest)
    config = settings.resilience
    if config is not None and config.rate_limit is not None and config.limit_headers is None:
        return replace(config, limit_headers=header_names(manifest.rate_limit_headers))
    return config
