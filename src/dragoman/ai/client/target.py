"""One model of one provider: its manifest, its connection, its policies; what one call to it does.

A client has one for its model and one for each fallback. State of a call lives in the call, never
here: parallel calls share nothing but connections and policies.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from dragoman.ai.adapters import build_chat, parse_answer
from dragoman.ai.adapters.call import ChatCall, ChatRequest
from dragoman.ai.client.reading import EarlyFailure, StreamReader
from dragoman.ai.client.response import ChatResponse
from dragoman.ai.client.settings import CallOptions, ClientSettings
from dragoman.ai.client.stats import CallStats
from dragoman.ai.errors import AiLibError, ValidationError
from dragoman.ai.protocol.manifest import ProtocolManifest
from dragoman.ai.resilience.executor import Lease, ResilientConfig, ResilientExecutor
from dragoman.ai.resilience.rate_limiter import header_names
from dragoman.ai.transport.http import HttpTransport, encode_json
from dragoman.ai.transport.response import HttpResponse
from dragoman.resilience.limits import parse_limit_headers
from dragoman.wire.json_text import mended

__all__ = ["Target"]

REQUEST_ID_HEADERS = ("x-request-id", "request-id", "cf-ray")


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
        config = _policies(manifest, settings)
        self.is_resilient = config is not None
        self.executor = ResilientExecutor(
            config if config is not None else ResilientConfig(),
            f"{manifest.id}/{model_id}",
            clock=settings.clock,
            sleep=settings.sleep,
            random=settings.random,
            wall=settings.wall,
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

        answered = await self.executor.execute(attempt, on_retry=_counting(stats))
        stats.record_usage(answered.usage)
        return answered

    async def open(
        self, call: ChatCall, options: CallOptions, stats: CallStats, failure: EarlyFailure
    ) -> Lease[StreamReader]:
        """A streamed call under the policies, up to its first output; to be released and closed.

        Raises as `execute` does; `failure` then holds the events that came before.
        """
        manifest, request, body = await self._prepared(call, options, stats)
        readers: list[StreamReader] = []

        async def attempt() -> StreamReader:
            response = await self._send(request, body, options, streaming=True)
            reader = StreamReader(response, manifest, strict=self.settings.strict, linger=self.settings.linger)
            readers.append(reader)
            try:
                await reader.begin(failure)
            except BaseException:
                await reader.aclose()
                raise
            return reader

        try:
            return await self.executor.open(attempt, on_retry=_counting(stats))
        except BaseException:
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
        return await self.transport.open(
            request.method,
            request.path,
            body=body,
            headers=request.headers,
            params=request.query,
            timeout=options.timeout,
            streaming=streaming,
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


def _counting(stats: CallStats) -> Callable[[int, BaseException, float], None]:
    def on_retry(attempt: int, error: BaseException, delay: float) -> None:
        stats.retry_count += 1

    return on_retry
