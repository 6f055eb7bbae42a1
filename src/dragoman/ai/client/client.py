"""The client: one model of one provider, with fallbacks, under policies.

Holds what lasts: targets, settings, connections. All state of a call lives in the call, so that
any number of them may run at once.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from dragoman.ai.adapters import native_candidates
from dragoman.ai.adapters.call import ChatCall
from dragoman.ai.client.around import Around
from dragoman.ai.client.around_stream import AroundStream
from dragoman.ai.client.candidates import CandidateStream, absorb, gathered
from dragoman.ai.client.chat import ChatRequestBuilder
from dragoman.ai.client.event_stream import EventStream
from dragoman.ai.client.hops import Leave, Once, first_answer
from dragoman.ai.client.reading import EarlyFailure
from dragoman.ai.client.response import ChatResponse
from dragoman.ai.client.services import call_service, list_models, require_available
from dragoman.ai.client.settings import CallOptions, ClientSettings
from dragoman.ai.client.stats import CallStats
from dragoman.ai.client.stream import ChatStream, Opening
from dragoman.ai.client.target import Read, Target
from dragoman.ai.client.waiting import bounded, cancelled_error
from dragoman.ai.errors import AiRuntimeError, TransportError
from dragoman.ai.protocol.manifest import ProtocolManifest
from dragoman.ai.resilience.executor import Lease
from dragoman.ai.transport.response import HttpResponse
from dragoman.core.redact import is_secret_name
from dragoman.transport.io import IO
from dragoman.transport.options import Record

if TYPE_CHECKING:
    from dragoman.ai.client.builder import AiClientBuilder

__all__ = ["AiClient"]


class Hop(Protocol):
    """A target, or a choice of them, that a client asks and closes in the end."""

    async def __call__(self) -> tuple[Target, Leave]: ...

    async def close(self) -> None: ...


class AiClient:
    """Make one with `create`, `builder` or `from_manifest`; close it, or use it in `async with`."""

    def __init__(self, target: Target, settings: ClientSettings, *, hops: Sequence[Hop] = ()) -> None:
        """`hops` are asked in this order, by default the target alone; the properties speak of the target."""
        self._target = target
        self._settings = settings
        self._hops = list(hops) or [Once.of(target)]
        self._warned: set[str] = set()
        self._streams: weakref.WeakSet[EventStream] = weakref.WeakSet()
        self._around = Around(settings, target) if settings.has_surroundings else None
        self._closed = False

    @classmethod
    async def create(
        cls,
        model: str,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        timeout: float | None = None,
        record: Record | None = None,
        replay: Record | None = None,
    ) -> AiClient:
        """A client for `"provider/model"`, or a bare model name that only one provider has.

        Sends nothing. One call is one request: retries and other policies are the builder's.
        Raises ProtocolError when the name leads to no manifest.
        """
        builder = cls.builder().model(model)
        if api_key is not None:
            builder.api_key(api_key)
        if base_url is not None:
            builder.base_url(base_url)
        if timeout is not None:
            builder.timeout(timeout)
        if record is not None:
            builder.record(record)
        if replay is not None:
            builder.replay(replay)
        return await builder.build()

    @staticmethod
    def builder() -> AiClientBuilder:
        """A builder, for everything that `create` does not take."""
        from dragoman.ai.client.builder import AiClientBuilder

        return AiClientBuilder()

    @classmethod
    async def from_manifest(
        cls,
        manifest: ProtocolManifest,
        model_id: str,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        timeout: float | None = None,
        io: IO | None = None,
        **settings: Any,
    ) -> AiClient:
        """A client for a manifest that is at hand; `settings` are fields of `ClientSettings`."""
        chosen = ClientSettings(timeout=timeout, io=io, **settings)
        made = cls(Target(manifest, model_id, chosen, api_key=api_key, base_url=base_url), chosen)
        await made._begin()
        return made

    async def _begin(self) -> None:
        """Begin the plugins and tell the hooks; the first call does it for a client that was made otherwise."""
        if self._around is not None:
            await self._around.begin()

    # --------------------------------------------------------------------------------- properties

    @property
    def model_id(self) -> str:
        """The name under which the model goes out."""
        return self._target.model_id

    @property
    def provider_id(self) -> str:
        return self._target.manifest.id

    @property
    def target(self) -> Target:
        """Where this client's calls go, for the other clients of this package; it closes with this one."""
        return self._target

    @property
    def manifest(self) -> ProtocolManifest:
        return self._target.manifest

    @property
    def is_resilient(self) -> bool:
        """Whether any policy is on."""
        return self._target.is_resilient

    @property
    def circuit_state(self) -> str:
        """`closed`, `open`, `half_open`, or `disabled` without a breaker."""
        return self._target.executor.circuit_state

    @property
    def current_inflight(self) -> int:
        return self._target.executor.current_inflight

    def get_resilience_stats(self) -> dict[str, Any]:
        """The policies' counts; empty without policies."""
        return self._target.executor.get_stats() if self.is_resilient else {}

    def reset_resilience(self) -> None:
        """Forget what the policies counted."""
        self._target.executor.reset()

    # -------------------------------------------------------------------------------------- calls

    def chat(self) -> ChatRequestBuilder:
        """A new request."""
        return ChatRequestBuilder(self)

    async def ask(self, call: ChatCall) -> ChatResponse:
        """The answer to a call that is put together already, as `ChatRequestBuilder.execute` gives it."""
        return (await self._execute(self._own(call), CallOptions()))[0]

    def ask_stream(self, call: ChatCall) -> EventStream:
        """The same as a stream; see `ChatRequestBuilder.stream`."""
        return self._stream(self._own(call), CallOptions())[0]

    async def ask_bytes(self, call: ChatCall, make: Callable[[HttpResponse, ProtocolManifest], Read]) -> Lease[Read]:
        """Either of them, read by a reader of the caller's: of a stream up to its first output. To be closed and released.

        For whoever passes an answer of the provider's own dialect on: the client's model alone is asked.
        """
        self._require_open()
        target = self._target
        mine = self._own(call, target.model_id)
        stats = CallStats(clock=self._settings.clock)
        return await target.open_with(make, mine, CallOptions(), stats, EarlyFailure(), streaming=call.stream)

    def _own(self, call: ChatCall, model: str | None = None) -> ChatCall:
        """The call with what holds for all calls of this client, to its own model where that is named."""
        settings = self._settings
        return replace(
            call,
            model=call.model if model is None else model,
            headers={**settings.headers, **call.headers},
            strict=call.strict or settings.strict,
            strict_capabilities=settings.strict_capabilities,
            warned=self._warned,
        )

    async def service(self, name: str, *, params: Mapping[str, Any] | None = None, body: Any = None) -> Any:
        """Ask one of the services that the manifest names; see `call_service`."""
        self._require_open()
        return await call_service(self._target, name, params=params, body=body)

    async def models(self) -> list[dict[str, Any]]:
        """The models that the provider says it has; its service `list_models`."""
        self._require_open()
        return await list_models(self._target)

    async def check_availability(self) -> bool:
        """Whether the provider answers the check of its manifest as expected."""
        self._require_open()
        try:
            await require_available(self._target)
        except TransportError:
            return False
        return True

    def _call(self, *, headers: Mapping[str, str], **fields: Any) -> ChatCall:
        settings = self._settings
        return ChatCall(
            headers={**settings.headers, **headers},
            strict=settings.strict,
            strict_capabilities=settings.strict_capabilities,
            warned=self._warned,
            **fields,
        )

    def _addressed(self, call: ChatCall, target: Target) -> ChatCall:
        """The call for a target; another provider does not get the credentials among the caller's headers."""
        headers = call.headers
        if target.manifest.id != self.provider_id:
            headers = {name: value for name, value in headers.items() if not is_secret_name(name)}
        return replace(call, model=target.model_id, headers=headers)

    async def _execute(self, call: ChatCall, options: CallOptions) -> tuple[ChatResponse, CallStats]:
        self._require_open()
        stats = CallStats(clock=self._settings.clock)

        async def send(mine: ChatCall) -> ChatResponse:
            return await self._sent(mine, options, stats)

        around, late = self._around, None
        if around is not None:
            late = partial(around.late, stats)
        answering = send(call) if around is None else around.execute(call, options, stats, send)
        answered = await bounded(answering, token=options.token, timeout=options.timeout, late=late)
        stats.record_end()
        if answered is None:
            assert options.token is not None  # nothing else ends a call without an answer
            raise cancelled_error(options.token)
        return answered, stats

    async def _sent(self, call: ChatCall, options: CallOptions, stats: CallStats) -> ChatResponse:
        async def attempt(target: Target, leave: Leave) -> ChatResponse:
            self._require_open()
            mine = self._addressed(call, target)
            if call.n > 1 and not native_candidates(target.manifest):
                answered = await self._simulated(target, mine, options, stats)
            else:
                answered = await target.execute(mine, options, stats)
            leave()
            return answered

        return await first_answer(self._hops, attempt)

    async def _simulated(self, target: Target, call: ChatCall, options: CallOptions, stats: CallStats) -> ChatResponse:
        parts: list[CallStats] = []

        async def ask() -> ChatResponse:
            parts.append(CallStats(clock=self._settings.clock))
            return await target.execute(replace(call, n=1), options, parts[-1])

        answered = await gathered(call.n, ask, at_once=_at_once(target.manifest))
        absorb(stats, parts)
        return answered

    def _stream(self, call: ChatCall, options: CallOptions) -> tuple[EventStream, CallStats]:
        self._require_open()
        stats = CallStats(clock=self._settings.clock)
        if self._around is None:
            stream = self._bare_stream(call, options, stats)
        else:
            make = partial(self._bare_stream, options=options, stats=stats)
            stream = AroundStream(self._around, call, options, stats, make)
        self._streams.add(stream)
        return stream, stats

    def _bare_stream(self, call: ChatCall, options: CallOptions, stats: CallStats) -> EventStream:
        if call.n > 1 and not native_candidates(self.manifest):
            parts = [
                self._one_stream(replace(call, n=1), options, CallStats(clock=self._settings.clock))
                for _ in range(call.n)
            ]
            return CandidateStream(parts, stats, at_once=_at_once(self.manifest))
        return self._one_stream(call, options, stats)

    def _one_stream(self, call: ChatCall, options: CallOptions, stats: CallStats) -> ChatStream:
        async def open_(failure: EarlyFailure) -> Opening:
            stats.record_start()

            async def attempt(target: Target, leave: Leave) -> Opening:
                self._require_open()
                opened = await target.open(self._addressed(call, target), options, stats, failure)
                return Opening(target, opened, leave)

            return await first_answer(self._hops, attempt)

        return ChatStream(open_, options, stats)

    # ------------------------------------------------------------------------------------- ending

    def _require_open(self) -> None:
        if self._closed:
            raise AiRuntimeError("the client is closed; make a new one")

    async def close(self) -> None:
        """End all streams and close all connections, those of fallbacks too. Idempotent."""
        self._closed = True
        for stream in [one for one in self._streams if one.has_begun]:  # one that begins now is refused
            await stream.aclose()
        try:
            if self._around is not None:
                await self._around.end()
        finally:
            await self._target.close()
            for hop in self._hops:
                await hop.close()

    aclose = close

    async def __aenter__(self) -> AiClient:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AiClient({self._target.name!r})"


def _at_once(manifest: ProtocolManifest) -> int | None:
    said = manifest.features.multi_candidate
    return said.max_concurrent if said is not None else None
