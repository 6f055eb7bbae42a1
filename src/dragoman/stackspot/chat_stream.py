"""A streamed answer in the caller's hands: events as they come, then a response that says how it ended.

`Reading` is what both shells share: which frames become which events, and what the whole amounts to. Nothing raises
after a stream is open; a broken one ends with a response of status ERROR or TIMEOUT and the text so far. Knows
nothing of how a stream is opened or retried.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import aclosing
from typing import Any, Self

from dragoman.core.redact import redact_text
from dragoman.stackspot.conversation import ConversationContext
from dragoman.stackspot.handlers import ChatResultContext, ChatResultHandler
from dragoman.stackspot.lines import LineCutter
from dragoman.stackspot.logs import prefix, shown, with_traceback
from dragoman.stackspot.models import ChatRequest, ChatResponse, ChatStatus
from dragoman.stackspot.replies import StreamReply, stream_reply_of
from dragoman.stackspot.sse_parser import ChatResponseStreamEvent, ChatResponseStreamEventType, SseEventParser
from dragoman.stackspot.stream_body import Frame, StreamBody
from dragoman.transport.io import iterate_blocking, run_blocking

logger = logging.getLogger(__name__)

_DELTA = ChatResponseStreamEventType.DELTA
_PARTICULARS = ("conversation_id", "tokens", "stop_reason", "knowledge_source_id")


class Reading:
    """One stream being read: the text so far, what the parser gathered, and the response at the end."""

    def __init__(
        self,
        request: ChatRequest,
        reply: StreamReply,
        handler: ChatResultHandler | None,
        parser: SseEventParser | None,
        on_response: Callable[[ChatResponse], None] | None,
        conversation: ConversationContext | None,
    ) -> None:
        self.request = request
        self.reply = reply
        self.parser = SseEventParser() if parser is None else parser
        self.response: ChatResponse | None = None
        self.closed = False
        self._handler = handler
        self._on_response = on_response
        self._conversation = conversation
        self.done = False
        self._begun = False
        self._kept: dict[str, Any] | None = None
        self._read = getattr(self.parser, "read_frame", None) or SseEventParser().read_frame
        self._parts: list[str] = []
        self._failure: str | None = None

    @property
    def text(self) -> str:
        if len(self._parts) > 1:
            self._parts = ["".join(self._parts)]
        return self._parts[0] if self._parts else ""

    @property
    def terminated(self) -> bool:
        return self.done or (self._particulars().get("stop_reason") is not None)

    @property
    def conversation_id(self) -> str | None:
        return self._particulars().get("conversation_id")

    @property
    def reads_frames(self) -> bool:
        """Whether the parser takes frames; one that overrides `parse` is fed lines."""
        return getattr(type(self.parser), "parse", None) is SseEventParser.parse

    def begin(self) -> None:
        if self._begun:
            raise RuntimeError("a ChatResponseStream can be iterated only once")
        self._begun = True
        if isinstance(self.parser, SseEventParser):
            self.parser.begin()

    def body(self) -> StreamBody:
        return StreamBody(self.reply.headers.get("content-type", ""))

    def event_of(self, frame: Frame) -> ChatResponseStreamEvent | None:
        """The event of a frame, noted; None for a frame that says nothing."""
        data, name = frame
        event = self._read(data, name.decode("utf-8", "replace").strip() if name else "")
        if event is not None:
            if event.type is _DELTA and event.text:
                self._parts.append(event.text)
            else:
                self.take(event)
        return event

    def take(self, event: ChatResponseStreamEvent) -> None:
        """Note an event before it is handed out; `done` is set by one after which nothing comes."""
        if event.is_delta:
            if event.text:
                self._parts.append(event.text)
        elif event.is_error:
            if self._failure is None:
                self._failure = event.error or "the service reported an error"
        elif event.is_done:
            self.done = True

    # ------------------------------------------------------------------------------ how it ends

    def complete(self) -> None:
        """The body ended as it should; whether the answer did, an error event may deny."""
        if self._failure is not None:
            self._end(ChatStatus.ERROR, error=f"Streaming failed: {self._failure}")
            return
        if not self.terminated:
            logger.warning(
                "%s | the stream ended without a mark of its end; the answer may be cut short", self._prefix()
            )
        result: Any = self.text
        error = None
        if self._handler is not None:
            try:
                result = self._handler.handle_result(ChatResultContext(self.request, self.text))
            except Exception as failure:
                error = f"Result handler '{type(self._handler).__name__}' failed: {failure}"
        response = self._end(ChatStatus.SUCCESS if error is None else ChatStatus.ERROR, result, error)
        self._give_conversation()
        if self._on_response is not None:
            try:
                self._on_response(response)
            except Exception as failure:
                logger.error(
                    "%s | on_response failed: %s", self._prefix(), shown(failure), exc_info=with_traceback(logger)
                )

    def broken(self, error: Exception) -> None:
        """Reading failed. What the service itself said of a failure counts for more than how the body ended."""
        if self._failure is not None:
            self._end(ChatStatus.ERROR, error=f"Streaming failed: {self._failure}")
        else:
            said = str(error) or type(error).__name__
            self._end(ChatStatus.from_exception(error), error=f"Streaming failed: {said}")

    def leave(self) -> bool:
        """The caller lets go; True the first time. The conversation that was begun stays known."""
        if self.closed:
            return False
        self.closed = True
        if self.response is None:
            self._kept = self._particulars()
            self._give_conversation()
        return True

    def _end(self, status: ChatStatus, result: Any = None, error: str | None = None) -> ChatResponse:
        text = self.text
        known = self._kept = self._particulars()
        raw = {"message": text, **{name: known[name] for name in _PARTICULARS if name in known}}
        kept = result if status == ChatStatus.SUCCESS else text
        self.response = ChatResponse(self.request, status, kept, error, raw)
        if error is None:
            logger.info("%s | stream finished with status %s", self._prefix(), status)
        else:
            logger.error("%s | stream finished with status %s: %s", self._prefix(), status, shown(error))
        return self.response

    def _give_conversation(self) -> None:
        found = self.conversation_id
        if self._conversation is not None and isinstance(found, str) and found:
            self._conversation.update_if_absent(found)
            logger.debug("%s | conversation %s", self._prefix(), redact_text(found))

    def _particulars(self) -> dict[str, Any]:
        """What the parser gathered from this stream: it may have served one before and serve another after."""
        if not self._begun or self._kept is not None:
            return self._kept or {}
        try:
            known = getattr(self.parser, "metadata", None)
        except Exception as error:  # of a user's parser
            logger.error("%s | metadata failed: %s", self._prefix(), shown(error), exc_info=with_traceback(logger))
            return {}
        return known if isinstance(known, dict) else {}

    def _prefix(self) -> str:
        return prefix(self.request.id, "Agent")


class _Stream:
    """What both shells show."""

    def __init__(
        self,
        request: ChatRequest,
        http_response: Any,
        result_handler: ChatResultHandler | None = None,
        event_parser: SseEventParser | None = None,
        on_response: Callable[[ChatResponse], None] | None = None,
        *,
        conversation: ConversationContext | None = None,
    ) -> None:
        """`http_response` is an answer of which only the head was read: of an exchange, or a client's own.

        `on_response` is called once, after a complete stream. `conversation` is given the answer's id.
        """
        reply = stream_reply_of(http_response)
        self._reading = Reading(request, reply, result_handler, event_parser, on_response, conversation)

    @property
    def request(self) -> ChatRequest:
        return self._reading.request

    @property
    def response(self) -> ChatResponse:
        """How it ended. Raises RuntimeError before that; leaving early leaves it so."""
        if self._reading.response is None:
            raise RuntimeError("the response is there when the stream was read to its end; iterate over it first")
        return self._reading.response

    @property
    def accumulated_text(self) -> str:
        """The text of all events handed out so far."""
        return self._reading.text

    @property
    def conversation_id(self) -> str | None:
        """The conversation's id, as soon as a frame has named it."""
        return self._reading.conversation_id

    @property
    def terminated(self) -> bool:
        """Whether the service said that the answer is whole. A proxy may end a body cleanly in the middle."""
        return self._reading.terminated


class ChatResponseStream(_Stream):
    """A streamed answer to iterate once; a context manager that closes the connection.

        with agent.chat_stream(ChatRequest("Tell me a story.")) as stream:
            for event in stream:
                if event.is_delta:
                    print(event.text, end="", flush=True)
        print(stream.response.status)

    One consumer may use it, in one thread.
    """

    def __iter__(self) -> Generator[ChatResponseStreamEvent, None, None]:
        """The events. Never raises but RuntimeError, at its first step, if there was an iteration before."""
        reading = self._reading
        reading.begin()
        try:
            yield from self._frame_events() if reading.reads_frames else self._line_events()
        except Exception as error:
            reading.broken(error)
        else:
            reading.complete()
        finally:
            self.close()

    def _frame_events(self) -> Generator[ChatResponseStreamEvent, None, None]:
        reading, body = self._reading, self._reading.body()
        for data in iterate_blocking(aiter(reading.reply)):
            for frame in body.feed(data):
                event = reading.event_of(frame)
                if event is not None:
                    yield event
                    if reading.done:
                        return
        for frame in body.end():
            event = reading.event_of(frame)
            if event is not None:
                yield event

    def _line_events(self) -> Generator[ChatResponseStreamEvent, None, None]:
        reading = self._reading
        for event in reading.parser.parse(self._lines()):
            reading.take(event)
            yield event
            if reading.done:
                return

    def _lines(self) -> Iterator[str]:
        cutter = LineCutter()
        for data in iterate_blocking(aiter(self._reading.reply)):
            yield from cutter.feed(data)
        yield from cutter.end()

    @property
    def text_stream(self) -> Iterator[str]:
        """Only the pieces of text, as they come."""
        for event in self:
            if event.is_delta and event.text:
                yield event.text

    def until_done(self) -> None:
        """Read to the end."""
        for _ in self:
            pass

    def get_final_response(self) -> ChatResponse:
        """Read to the end; the response."""
        self.until_done()
        return self.response

    def close(self) -> None:
        """Let go of the connection; idempotent."""
        if self._reading.leave():
            run_blocking(self._reading.reply.aclose())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class AsyncChatResponseStream(_Stream):
    """`ChatResponseStream` for `async with` and `async for`."""

    async def __aiter__(self) -> AsyncGenerator[ChatResponseStreamEvent, None]:
        """The events. Never raises but RuntimeError, at its first step, if there was an iteration before."""
        reading = self._reading
        reading.begin()
        try:
            async with aclosing(self._frame_events() if reading.reads_frames else self._line_events()) as events:
                async for event in events:
                    yield event
                    if reading.done:
                        break
        except Exception as error:
            reading.broken(error)
        else:
            reading.complete()
        finally:
            await self.aclose()

    async def _frame_events(self) -> AsyncGenerator[ChatResponseStreamEvent, None]:
        reading, body = self._reading, self._reading.body()
        async for data in reading.reply:
            for frame in body.feed(data):
                event = reading.event_of(frame)
                if event is not None:
                    yield event
        for frame in body.end():
            event = reading.event_of(frame)
            if event is not None:
                yield event

    async def _line_events(self) -> AsyncGenerator[ChatResponseStreamEvent, None]:
        """The events of a parser that pulls lines by itself: it waits for them in a thread of its own."""
        from anyio import from_thread, to_thread

        pieces = aiter(self._reading.reply)

        async def next_piece() -> bytes | None:
            return await anext(pieces, None)

        def lines() -> Iterator[str]:
            cutter = LineCutter()
            while (data := from_thread.run(next_piece)) is not None:
                yield from cutter.feed(data)
            yield from cutter.end()

        events = iter(self._reading.parser.parse(lines()))
        while (event := await to_thread.run_sync(next, events, None)) is not None:
            self._reading.take(event)
            yield event

    @property
    async def text_stream(self) -> AsyncGenerator[str, None]:
        """Only the pieces of text, as they come."""
        async with aclosing(self.__aiter__()) as events:
            async for event in events:
                if event.is_delta and event.text:
                    yield event.text

    async def until_done(self) -> None:
        """Read to the end."""
        async for _ in self:
            pass

    async def get_final_response(self) -> ChatResponse:
        """Read to the end; the response."""
        await self.until_done()
        return self.response

    async def aclose(self) -> None:
        """Let go of the connection; idempotent."""
        if self._reading.leave():
            await self._reading.reply.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()
