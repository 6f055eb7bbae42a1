"""Streams of events: bytes of an answer → typed events, and what they add up to.

`EventDecoder` is the whole of it, fed by hand; `parse_sse_stream` feeds it from a response of
httpx or httpx2; the client's operations feed it from the I/O port. `SSEStreamParser` folds
events into text, tool calls and token counts. Knows no requests and opens no connection.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any, Protocol, TypeAlias, TypeVar

from pydantic_core import from_json

from dragoman.kai.codec import ChunkDecoder
from dragoman.kai.events import AbortEvent, ToolInputErrorEvent, ToolOutputDeniedEvent, event_of
from dragoman.kai.exceptions import KaiError, KaiStreamError, KaiTimeoutError, PartialStream
from dragoman.kai.models import (
    ErrorEvent,
    FinishEvent,
    SSEEvent,
    TextEvent,
    ToolApprovalRequestEvent,
    ToolCallEvent,
    ToolOutputErrorEvent,
    UsageEvent,
    new_text_event,
)


class BytesResponse(Protocol):
    """A streamed response that gives its body in pieces."""

    def aiter_bytes(self) -> AsyncIterator[bytes]: ...


class LinesResponse(Protocol):
    """A streamed response that gives its body line by line."""

    def aiter_lines(self) -> AsyncIterator[str]: ...


E = TypeVar("E", KaiStreamError, KaiTimeoutError)

AnyResponse: TypeAlias = BytesResponse | LinesResponse

_TOOL_EVENTS = (
    ToolCallEvent,
    ToolApprovalRequestEvent,
    ToolOutputErrorEvent,
    ToolInputErrorEvent,
    ToolOutputDeniedEvent,
)


def parse_sse_event(data: Any) -> SSEEvent:
    """The event of one decoded chunk, local or production format.

    Never raises for a JSON value: what nobody knows becomes an `UnknownEvent`, and so does a
    value that is no object, as `UnknownEvent(type="", data={"value": …})`.
    """
    return event_of(data)


class EventDecoder:
    """Reads → events of one stream.

    Tool events without a name get the one that an earlier event of the same call had;
    `tool_names` are names known from before the stream. After a fault `error` is set: the events
    before it have been returned, and every later call raises it.
    """

    __slots__ = ("_chunks", "_names", "_others", "_text", "ended", "error")

    def __init__(self, tool_names: Mapping[str, str] | None = None) -> None:
        self._chunks = ChunkDecoder()
        self._names = dict(tool_names or {})
        self._text: list[str] = []
        self._others = 0  # events without text
        self.ended = False
        """Whether a `finish`, `abort` or `error` has come."""
        self.error: KaiStreamError | None = None
        """The fault that ended decoding, if any."""

    @property
    def partial(self) -> PartialStream:
        """What has come so far."""
        return PartialStream(len(self._text) + self._others, "".join(self._text))

    def feed(self, data: bytes) -> list[SSEEvent]:
        """The events that these bytes complete."""
        events: list[SSEEvent] = []
        # one loop from bytes to events, with the text first, for each further call would cost every event
        for payload in self._chunks.payloads(data):
            try:
                chunk = from_json(payload)
            except ValueError as error:
                events += map(self._noted, map(event_of, self._chunks.second_look(payload, error)))
                if self._chunks.error is not None:
                    self.error = self.told(self._chunks.error)
                    break
                continue
            if (
                type(chunk) is dict
                and chunk.get("type") == "text-delta"
                and type(text := chunk.get("delta")) is str
                and chunk.get("state") is None
            ):
                self._text.append(text)
                events.append(new_text_event(text))
            else:
                events.append(self._noted(event_of(chunk)))
        return events

    def end(self) -> list[SSEEvent]:
        """The connection is over: the events of a last frame without blank line."""
        return self.feed(b"\n\n")

    def check_end(self) -> None:
        """Raise KaiStreamError `stream:truncated` unless the stream came to its proper end."""
        if not self.ended:
            message = "the stream ended without a finish, abort or error event"
            raise self.told(KaiStreamError(message, "stream:truncated"))

    def told(self, error: E) -> E:
        """The error, told what came before it."""
        error.partial = self.partial
        return error

    def _noted(self, event: SSEEvent) -> SSEEvent:
        """The event, taken into account; a tool's with its name."""
        if type(event) is TextEvent:
            self._text.append(event.text)
            return event
        self._others += 1
        if isinstance(event, _TOOL_EVENTS):
            if event.tool_name:
                self._names[event.tool_call_id] = event.tool_name
            else:
                event.tool_name = self._names.get(event.tool_call_id)
        elif isinstance(event, ErrorEvent | AbortEvent) or (isinstance(event, FinishEvent) and not event.is_step):
            self.ended = True
        return event


async def parse_sse_stream(response: AnyResponse, *, strict_end: bool = True) -> AsyncGenerator[SSEEvent, None]:
    """The events of a streamed response with `aiter_bytes` or `aiter_lines` (httpx, httpx2).

    Raises KaiStreamError for an event that is no JSON, a broken connection, and a stream that
    ends without `finish`, `abort` or `error` (not with `strict_end=False`), KaiTimeoutError
    where the transport says so; both tell in `partial` what came before.
    """
    decoder = EventDecoder()
    pieces = _pieces(response)
    reading = True  # not while events are decoded, or with whoever reads them
    try:
        async for piece in pieces:
            reading = False
            for event in decoder.feed(piece):
                yield event
            if decoder.error is not None:
                raise decoder.error
            reading = True
    except Exception as fault:  # of a library that this module does not import
        if reading:
            raise _broken(decoder, fault) from fault
        raise
    finally:
        if hasattr(pieces, "aclose"):
            await pieces.aclose()
    for event in decoder.end():
        yield event
    if decoder.error is not None:
        raise decoder.error
    if strict_end:
        decoder.check_end()


def connection_lost(cause: str) -> KaiStreamError:
    """The error for a connection that broke within a stream."""
    return KaiStreamError("the connection broke within the stream", "stream:connection_lost", cause=cause)


def _broken(decoder: EventDecoder, fault: Exception) -> KaiError:
    if "timeout" in type(fault).__name__.lower():
        return decoder.told(KaiTimeoutError("the stream timed out", cause=str(fault)))
    return decoder.told(connection_lost(str(fault)))


def _pieces(response: Any) -> AsyncIterator[bytes]:
    """The body in pieces, whichever way the response gives it."""
    pieces: AsyncIterator[bytes] = response.aiter_bytes() if hasattr(response, "aiter_bytes") else _lines(response)
    return pieces


async def _lines(response: LinesResponse) -> AsyncGenerator[bytes, None]:
    lines = response.aiter_lines()
    try:
        async for line in lines:
            yield line.encode("utf-8", "replace") + b"\n"
    finally:
        if hasattr(lines, "aclose"):
            await lines.aclose()


class SSEStreamParser:
    """What the events of a stream add up to.

    Feed it with `process_event`, or let `consume_stream` read a response. Tokens are taken from
    `data-usage` events; only where none comes do those in `finish` events count.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._text: list[str] = []
        self._tool_calls: dict[str, ToolCallEvent] = {}
        self._finish_reason: str | None = None
        self._finished = False
        self._counted = _Tokens()
        self._in_finish = _Tokens()

    @property
    def text(self) -> str:
        """All text so far."""
        if len(self._text) > 1:
            self._text = ["".join(self._text)]
        return self._text[0] if self._text else ""

    @property
    def tool_calls(self) -> dict[str, ToolCallEvent]:
        """Call id → the latest event of that call; a copy."""
        return dict(self._tool_calls)

    @property
    def finished(self) -> bool:
        """Whether the answer has finished; the end of a single step does not count."""
        return self._finished

    @property
    def finish_reason(self) -> str | None:
        """The latest finish reason."""
        return self._finish_reason

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the prompts."""
        return self._tokens.prompt

    @property
    def completion_tokens(self) -> int:
        """Tokens of the answers."""
        return self._tokens.completion

    @property
    def total_tokens(self) -> int:
        """Prompt and completion tokens."""
        return self._tokens.prompt + self._tokens.completion

    @property
    def _tokens(self) -> _Tokens:
        return self._counted if self._counted.any else self._in_finish

    def process_event(self, event: SSEEvent) -> None:
        """Take one event into account; error and unknown events change nothing."""
        match event:
            case TextEvent():
                self._text.append(event.text)
            case ToolCallEvent():
                self._tool_calls[event.tool_call_id] = event
            case UsageEvent():
                self._counted.add(event.usage.prompt_tokens, event.usage.completion_tokens)
            case FinishEvent():
                if not event.is_step:
                    self._finished = True
                    self._finish_reason = event.finish_reason
                if event.usage is not None:
                    self._in_finish.add(event.usage.prompt_tokens, event.usage.completion_tokens)

    async def consume_stream(
        self, response: AnyResponse, yield_events: bool = True, *, strict_end: bool = True
    ) -> AsyncGenerator[SSEEvent, None]:
        """Read a response to its end, taking every event into account; yields them unless told not to.

        Raises what `parse_sse_stream` raises.
        """
        events = parse_sse_stream(response, strict_end=strict_end)
        try:
            async for event in events:
                self.process_event(event)
                if yield_events:
                    yield event
        finally:
            await events.aclose()


class _Tokens:
    """Two counters, and whether anything was counted."""

    def __init__(self) -> None:
        self.prompt = self.completion = 0
        self.any = False

    def add(self, prompt: int, completion: int) -> None:
        self.prompt += prompt
        self.completion += completion
        self.any = True
