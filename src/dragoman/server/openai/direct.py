"""A model's answer that passes through and is not kept: asked, translated or forwarded, counted.

Of a provider that speaks OpenAI's dialect a stream goes on as bytes; any other is told anew. The caller's leaving ends
the provider's call. A fallback is asked only while nothing of an answer has come.
"""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from dragoman.ai.adapters import native_candidates
from dragoman.ai.backwards.answers import completion, passed_completion
from dragoman.ai.backwards.chunks import DONE, ChunkEncoder, error_frame
from dragoman.ai.backwards.core_words import Fold, Saying, model_request
from dragoman.ai.backwards.forwarding import ForwardReader, is_forwardable
from dragoman.ai.backwards.request import Asked
from dragoman.ai.backwards.said import Said
from dragoman.ai.backwards.whole import WholeReader
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
from dragoman.server.closing import ServerClosing
from dragoman.server.openai.errors import Told
from dragoman.server.openai.outgoing import CLOSING, LastCall, Outgoing

__all__ = ["Label", "Used", "Way", "ask_own", "ask_provider", "stream_own", "stream_provider"]

FAMILY = "openai_chat"

T = TypeVar("T")
Judge = Callable[[Exception], Told]


class Used(Protocol):
    """Counts what an answer has used: what was reported, by which model, what it said, and whether that was all."""

    def __call__(
        self,
        usage: Mapping[str, Any] | None,
        *,
        model: str | None = None,
        said: Said | None = None,
        is_whole: bool = True,
    ) -> None: ...


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


def _is_forwarded(asked: Asked, manifest: ProtocolManifest) -> bool:
    """Whether the provider's own words are the answer."""
    asks_often = asked.n > 1 and not native_candidates(manifest)
    return manifest.adapter == FAMILY and not (asked.old_functions or asks_often)


# --------------------------------------------------------------------------- plain answers


async def ask_provider(model: ProviderModel, asked: Asked, label: Label, used: Used, *, strict: bool) -> dict[str, Any]:
    """The body of a plain answer. Raises what the call failed with."""

    async def ask(one: ProviderModel) -> dict[str, Any]:
        async with one.in_use() as client:
            call = asked.call(client.manifest, strict=strict)
            if not _is_forwarded(asked, client.manifest):
                response = await client.ask(call)
                body = label.whole(response.candidates, response.usage)
                used(response.usage, model=one.name, said=Said(body))
                return body
            lease = await client.ask_bytes(call, WholeReader)
            reader = lease.value
            await reader.aclose()
            await lease.release()
        used(reader.usage, model=one.name, said=Said(reader.body or {}))
        if reader.body is None:
            return label.whole(reader.answer().candidates, reader.usage)
        return passed_completion(reader.body, reader.usage, id=label.id, created=label.created, model=asked.model)

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


class _Source(ABC):
    """Where the bytes of a stream come from. `usage` is what has been reported so far; `is_over`: it came to its end."""

    is_over = False

    @property
    @abstractmethod
    def is_whole(self) -> bool:
        """Whether the answer has said why it ends, so that counts that have come are the last ones."""

    @property
    @abstractmethod
    def usage(self) -> Mapping[str, Any] | None: ...

    @abstractmethod
    async def next(self) -> bytes:
        """The next bytes; none when it is over. Raises whatever goes wrong."""

    @abstractmethod
    async def let_go(self) -> None: ...


class _Translated(_Source):
    """Events as they come, told anew."""

    def __init__(self, events: AsyncIterator[StreamingEvent], encoder: ChunkEncoder, *, kinds: Any = None) -> None:
        """`kinds` are how the provider names its errors."""
        self._events = events
        self._encoder = encoder
        self._kinds = kinds

    @property
    def is_whole(self) -> bool:
        return self.is_over or self._encoder.has_finished

    @property
    def usage(self) -> Mapping[str, Any] | None:
        return self._encoder.usage

    async def next(self) -> bytes:
        encoder = self._encoder
        async for event in self._events:
            if event.event_type == "StreamError":
                self._failed(event)
            elif frames := encoder.event(event):
                return frames
        self.is_over = True
        return encoder.end()

    def _failed(self, event: StreamingEvent) -> None:
        error: Any = event.data.error
        if isinstance(error, Mapping) and error.get("type") == "malformed_frame":
            return
        raise RemoteError.from_frame(error, classification=self._kinds)

    async def let_go(self) -> None:
        close = getattr(self._events, "aclose", None)
        if close is not None:
            await close()


class _Forwarded(_Source):
    """Bytes as they come; a document in the place of a stream is told anew."""

    def __init__(self, lease: Lease[StreamReader | ForwardReader], label: Label) -> None:
        self._lease = lease
        self._encoder = label.encoder()

    @property
    def is_whole(self) -> bool:
        reader = self._lease.value
        return self.is_over or (isinstance(reader, ForwardReader) and reader.has_finished)

    @property
    def usage(self) -> Mapping[str, Any] | None:
        return self._lease.value.usage

    async def next(self) -> bytes:
        reader = self._lease.value
        while not reader.is_over:
            if isinstance(reader, ForwardReader):
                frames = await reader.next()
            else:
                frames = b"".join([self._encoder.event(event) for event in await reader.next()])
            if frames:
                return frames
        if reader.error is not None:
            raise reader.error
        self.is_over = True
        if not isinstance(reader, ForwardReader):
            return self._encoder.end()
        return b"" if reader.was_closed_by_peer else DONE

    async def let_go(self) -> None:
        reader = self._lease.value
        await reader.aclose()
        await self._lease.release(reader.error)


@dataclass(frozen=True, slots=True)
class Way:
    """How an answer goes out: who counts it, who judges its failures, what the server's end leaves it."""

    used: Used
    judge: Judge
    last_call: LastCall


@dataclass(frozen=True, slots=True)
class _Opened:
    """A source that has begun to speak, whose words it is, and what is to be let go of in the end."""

    source: _Source
    first: bytes
    model: str | None
    stack: AsyncExitStack


class _Direct(Outgoing):
    """A source on its way: opened by the first piece, counted once."""

    def __init__(self, open: Callable[[], Awaitable[_Opened]], way: Way) -> None:
        super().__init__(way.last_call)
        self._open = open
        self._used: Used | None = way.used
        self._judge = way.judge
        self._source: _Source | None = None
        self._model: str | None = None
        self._stack = AsyncExitStack()
        self._said = Said()
        self._is_over = self._is_refused = False

    def _count(self) -> None:
        used, self._used = self._used, None
        if used is None or self._is_refused:
            return
        source = self._source
        usage, is_whole = (source.usage, source.is_whole) if source is not None else (None, False)
        used(usage, model=self._model, said=self._said, is_whole=is_whole)

    def told(self, error: Exception) -> bytes:
        self._is_over = True
        return error_frame((CLOSING if isinstance(error, ServerClosing) else self._judge(error)).error())

    async def piece(self) -> bytes:
        if self._is_over:
            return b""
        try:
            made = await (self._begun() if self._source is None else self._source.next())
        except Exception as error:
            if not self._said.has_begun:
                self._is_refused = True
                raise
            return self.told(error)
        self._is_over = not made or (self._source is not None and self._source.is_over)
        self._said.take(made)
        return made

    async def _begun(self) -> bytes:
        opened = await self._open()
        self._source, self._model, self._stack = opened.source, opened.model, opened.stack
        return opened.first

    async def let_go(self) -> None:
        await self._stack.aclose()
        self._count()


async def _opened(source: _Source, way: Way, stack: AsyncExitStack, model: str | None = None) -> _Opened:
    """The source with its first words; one that fails before it has any is let go of, and what it has used counted."""
    async with stack:
        stack.push_async_callback(source.let_go)
        try:
            first = await source.next()
        except Exception:
            way.used(source.usage, model=model)
            raise
        return _Opened(source, first, model, stack.pop_all())


def stream_own(model: Model, asked: Asked, label: Label, way: Way) -> Outgoing:
    """The stream of a model of the app's own; nothing is asked yet."""

    async def open() -> _Opened:
        return await _opened(_Translated(_events_of(model, asked), label.encoder()), way, AsyncExitStack())

    return _Direct(open, way)


def stream_provider(model: ProviderModel, asked: Asked, label: Label, way: Way, *, strict: bool) -> Outgoing:
    """A provider's stream, forwarded where it speaks this dialect; nothing is asked yet."""

    async def open_one(one: ProviderModel) -> _Opened:
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(one.in_use())
            source = await _source_of(client, asked, label, strict=strict)
            return await _opened(source, way, stack.pop_all(), one.name)

    return _Direct(lambda: _first_that_answers(model, open_one), way)


async def _source_of(client: AiClient, asked: Asked, label: Label, *, strict: bool) -> _Source:
    call, manifest = asked.call(client.manifest, strict=strict), client.manifest
    if not _is_forwarded(asked, manifest):
        return _Translated(aiter(client.ask_stream(call)), label.encoder(), kinds=manifest.error_classification)

    def reader(response: HttpResponse, manifest: ProtocolManifest) -> StreamReader | ForwardReader:
        if is_forwardable(response):
            return ForwardReader(response, manifest, strip_usage=not asked.include_usage)
        return StreamReader(response, manifest)

    return _Forwarded(await client.ask_bytes(call, reader), label)
