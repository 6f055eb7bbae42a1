"""A model's answer that passes through and is not kept: asked, translated or forwarded, counted.

Of a provider that speaks OpenAI's dialect a stream goes on as bytes; any other is told anew. The caller's leaving ends
the provider's call. A fallback is asked only while nothing of an answer has come.
"""

from __future__ import annotations

import secrets
from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from typing import Any, TypeVar

from dragoman.ai.adapters import native_candidates
from dragoman.ai.adapters.call import ChatCall
from dragoman.ai.backwards.answers import completion, passed_completion
from dragoman.ai.backwards.chunks import DONE, ChunkEncoder, error_frame
from dragoman.ai.backwards.core_words import Fold, Saying, model_request
from dragoman.ai.backwards.forwarding import ForwardReader, is_forwardable
from dragoman.ai.backwards.request import Asked
from dragoman.ai.client import AiClient
from dragoman.ai.client.reading import StreamReader
from dragoman.ai.errors import RemoteError
from dragoman.ai.model import ProviderModel
from dragoman.ai.protocol.manifest import ProtocolManifest
from dragoman.ai.resilience.executor import Lease
from dragoman.ai.resilience.judging import may_fall_back
from dragoman.ai.transport.response import HttpResponse
from dragoman.ai.types.events import StreamingEvent
from dragoman.core.errors import RateLimited
from dragoman.core.ports import Model
from dragoman.server.openai.errors import Told
from dragoman.server.openai.outgoing import Outgoing

__all__ = ["Label", "ask_own", "ask_provider", "stream_own", "stream_provider"]

FAMILY = "openai_chat"

T = TypeVar("T")
Used = Callable[[Mapping[str, Any] | None], None]
Judge = Callable[[Exception], Told]


class Label:
    """What every piece of one answer carries: its id, when it was made, the model as the caller names it."""

    def __init__(self, asked: Asked, now: float, id: str | None = None) -> None:
        self.id = f"chatcmpl-{id or secrets.token_hex(16)}"
        self.created = int(now)
        self.asked = asked

    def encoder(self) -> ChunkEncoder:
        asked = self.asked
        return ChunkEncoder(
            id=self.id,
            created=self.created,
            model=asked.model,
            include_usage=asked.include_usage,
            old_functions=asked.old_functions,
        )

    def whole(self, candidates: Sequence[Any], usage: Mapping[str, Any] | None) -> dict[str, Any]:
        return completion(
            candidates,
            usage,
            id=self.id,
            created=self.created,
            model=self.asked.model,
            old_functions=self.asked.old_functions,
        )


async def _first_that_answers(model: ProviderModel, ask: Callable[[ProviderModel], Awaitable[T]]) -> T:
    """What the model gives, or the first of its fallbacks that does not fail. Nobody waits for a place."""
    models = (model, *model.fallbacks)
    for one in models:
        if one.is_full:
            if one is models[-1]:
                raise RateLimited("The model has as many calls under way as it may; ask again.", code="rate_limited")
            continue
        try:
            return await ask(one)
        except Exception as error:
            if one is models[-1] or not may_fall_back(error):
                raise
    raise AssertionError("there is always the model itself")


def _call(client: AiClient, asked: Asked, *, strict: bool) -> ChatCall:
    """The call for this client's wire. What fills a path of the manifest is not the caller's to say."""
    manifest = client.manifest
    call = asked.call(manifest.adapter, strict=strict)
    path = manifest.operation("chat").path
    if "{" in path:
        extra = {name: value for name, value in call.extra.items() if f"{{{name}}}" not in path}
        call = replace(call, extra=extra)
    return call


# --------------------------------------------------------------------------- plain answers


async def ask_provider(model: ProviderModel, asked: Asked, label: Label, used: Used, *, strict: bool) -> dict[str, Any]:
    """The body of a plain answer. Raises what the call failed with."""

    async def ask(one: ProviderModel) -> dict[str, Any]:
        async with one.in_use() as client:
            response = await client.ask(_call(client, asked, strict=strict))
            family = client.manifest.adapter
        used(response.usage)
        raw = response.raw_response
        if family == FAMILY and isinstance(raw, Mapping) and not asked.old_functions:
            return passed_completion(raw, response.usage, id=label.id, created=label.created)
        return label.whole(response.candidates, response.usage)

    return await _first_that_answers(model, ask)


async def ask_own(model: Model, asked: Asked, label: Label, used: Used) -> dict[str, Any]:
    """The same of a model of the app's own."""
    fold = Fold()
    usage: Mapping[str, Any] | None = None
    try:
        async with aclosing(_events_of(model, asked)) as events:
            async for event in events:
                fold.take(event)
                if event.event_type == "Metadata":
                    usage = event.data.usage
    finally:
        used(usage)
    return label.whole(fold.candidates(), usage)


async def _events_of(model: Model, asked: Asked) -> AsyncGenerator[StreamingEvent, None]:
    """The answers of a model that gives one at a time, one after the other; the counts of all in the end."""
    total: dict[str, Any] = {}
    for index in range(asked.n):
        saying = Saying(index)
        stream = model.stream(model_request(asked))
        try:
            async for piece in stream:
                for event in saying.take(piece):
                    yield event
        finally:
            for name, count in (saying.usage or {}).items():
                total[name] = total.get(name, 0) + count
            close = getattr(stream, "aclose", None)
            if close is not None:
                await close()
        for event in saying.end():
            yield event
    yield StreamingEvent.metadata(total or None)


# --------------------------------------------------------------------------- streams


class _Direct(Outgoing):
    """What all of these share: counting once, and telling failures."""

    def __init__(self, used: Used, judge: Judge) -> None:
        super().__init__()
        self._used: Used | None = used
        self._judge = judge
        self._is_over = False
        self._has_said = False

    def _count(self, usage: Mapping[str, Any] | None) -> None:
        used, self._used = self._used, None
        if used is not None:
            used(usage)

    def told(self, error: Exception) -> bytes:
        self._is_over = True
        return error_frame(self._judge(error).error())

    async def piece(self) -> bytes:
        if self._is_over:
            return b""
        try:
            made = await self._next()
        except Exception as error:
            if not self._has_said:
                raise
            return self.told(error)
        self._has_said = True
        return made

    @abstractmethod
    async def _next(self) -> bytes:
        """The next bytes; none when it is over. Raises whatever goes wrong."""


class _Translated(_Direct):
    """Events as they come, told anew."""

    def __init__(
        self,
        events: AsyncIterator[StreamingEvent],
        encoder: ChunkEncoder,
        used: Used,
        judge: Judge,
        *,
        classification: Any = None,
    ) -> None:
        super().__init__(used, judge)
        self._events = events
        self._encoder = encoder
        self._classification = classification

    async def _next(self) -> bytes:
        encoder = self._encoder
        async for event in self._events:
            if event.event_type == "StreamError":
                self._failed(event)
            elif frames := encoder.event(event):
                return frames
        self._is_over = True
        self._count(encoder.usage)
        return encoder.end()

    def _failed(self, event: StreamingEvent) -> None:
        error: Any = event.data.error
        if isinstance(error, Mapping) and error.get("type") == "malformed_frame":
            return
        raise RemoteError.from_frame(error, classification=self._classification)

    async def let_go(self) -> None:
        close = getattr(self._events, "aclose", None)
        if close is not None:
            await close()
        self._count(self._encoder.usage)


async def stream_own(model: Model, asked: Asked, label: Label, used: Used, judge: Judge) -> Outgoing:
    """The stream of a model of the app's own; nothing is asked yet."""
    return _Translated(_events_of(model, asked), label.encoder(), used, judge)


class _Provided(_Direct):
    """A provider's stream; the first piece opens it."""

    def __init__(
        self, model: ProviderModel, asked: Asked, label: Label, used: Used, judge: Judge, *, strict: bool
    ) -> None:
        super().__init__(used, judge)
        self._model = model
        self._asked = asked
        self._label = label
        self._strict = strict
        self._stack = AsyncExitStack()
        self._source: _Translated | _Forwarded | None = None

    async def _next(self) -> bytes:
        if self._source is None:
            return await _first_that_answers(self._model, self._opened)
        return await self._source.piece()

    async def _opened(self, model: ProviderModel) -> bytes:
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(model.in_use())
            call = _call(client, self._asked, strict=self._strict)
            source = await self._source_of(client, call)
            stack.push_async_callback(source.let_go)
            first = await source.piece()
            self._stack = stack.pop_all()
        self._source = source
        return first

    async def _source_of(self, client: AiClient, call: ChatCall) -> _Translated | _Forwarded:
        manifest = client.manifest
        asks_often = call.n > 1 and not native_candidates(manifest)
        if manifest.adapter != FAMILY or self._asked.old_functions or asks_often:
            events = aiter(client.ask_stream(call))
            kinds = manifest.error_classification
            return _Translated(events, self._label.encoder(), self._count, self._judge, classification=kinds)
        asked = self._asked

        def reader(response: HttpResponse, manifest: ProtocolManifest) -> StreamReader | ForwardReader:
            if is_forwardable(response):
                return ForwardReader(response, manifest, strip_usage=not asked.include_usage)
            return StreamReader(response, manifest)

        lease = await client.ask_bytes(call, reader)
        return _Forwarded(lease, self._label, self._count, self._judge)

    async def let_go(self) -> None:
        await self._stack.aclose()
        self._count(None)


class _Forwarded(_Direct):
    """Bytes as they come; a document in the place of a stream is told anew."""

    def __init__(self, lease: Lease[StreamReader | ForwardReader], label: Label, used: Used, judge: Judge) -> None:
        super().__init__(used, judge)
        self._lease = lease
        self._encoder = label.encoder()

    async def _next(self) -> bytes:
        reader = self._lease.value
        while not reader.is_over:
            if isinstance(reader, ForwardReader):
                frames = await reader.next()
            else:
                frames = b"".join([self._encoder.event(event) for event in await reader.next()])
            if frames:
                return frames
        self._is_over = True
        if reader.error is not None:
            raise reader.error
        if not isinstance(reader, ForwardReader):
            return self._encoder.end()
        return b"" if reader.was_closed_by_peer else DONE

    async def let_go(self) -> None:
        reader = self._lease.value
        self._count(reader.usage)
        await reader.aclose()
        await self._lease.release(reader.error)


def stream_provider(
    model: ProviderModel, asked: Asked, label: Label, used: Used, judge: Judge, *, strict: bool
) -> Outgoing:
    """A provider's stream, forwarded where it speaks this dialect; nothing is asked yet."""
    return _Provided(model, asked, label, used, judge, strict=strict)
