"""One stream under way: bytes in, events out, and what is known at its end.

`StreamRun` joins a decoder and an engine. It never reads and never waits: whoever has the
connection feeds it and asks `done` whether to read on. Errors are not raised in the middle of
events: `error` holds what is to be raised once the events are delivered.
"""

from __future__ import annotations

from typing import Any

from pydantic_core import from_json

from dragoman.ai.errors import PipelineError, RemoteError, TransportError
from dragoman.ai.pipeline.answer import Answer
from dragoman.ai.pipeline.decode import Decoder, too_large
from dragoman.ai.pipeline.engine import Engine
from dragoman.ai.pipeline.families import Family
from dragoman.ai.pipeline.families.family import Fast, passed
from dragoman.ai.pipeline.frames import Frame, MalformedFrame
from dragoman.ai.types.events import StreamingEvent
from dragoman.core import errors as core

__all__ = ["StreamRun"]


def _nothing(data: bytes) -> list[tuple[bytes, bytes]]:
    """What a run that is done makes of further bytes."""
    return []


class StreamRun:
    """`feed` reads, `close` ends; both give events.

    `done`: nothing more needs reading. `complete`: the answer is whole, though usage may follow.
    `error`: what the caller raises after the events (a cut stream, a frame over the limit, with
    `strict` a malformed one). `remote_error`: the error that the provider reported inside the
    stream; its events end with StreamEnd("error").
    """

    __slots__ = (
        "_decoder",
        "_engine",
        "_family",
        "_fast",
        "_split",
        "_strict",
        "closed",
        "done",
        "error",
    )

    def __init__(
        self, decoder: Decoder, engine: Engine, *, fast: Fast | None, family: Family | None, strict: bool
    ) -> None:
        self._decoder = decoder
        self._split = decoder.splitter()
        self._engine = engine
        self._fast = fast
        self._family = family
        self._strict = strict
        self.done = False
        self.closed = False
        self.error: PipelineError | TransportError | None = None

    @property
    def complete(self) -> bool:
        return self._engine.complete

    @property
    def first_output(self) -> bool:
        """Whether a content, thinking or tool event was given."""
        return self._engine.first_output

    @property
    def remote_error(self) -> RemoteError | None:
        return self._engine.failure

    def feed(self, data: bytes) -> list[StreamingEvent]:
        """The events that these bytes complete."""
        events: list[StreamingEvent] = []
        decoder, engine, fast = self._decoder, self._engine, self._fast
        try:
            payloads = self._split(data)
        except core.ProtocolError as error:
            self._stop(too_large(error))
            return events
        for payload, name in payloads:
            try:
                frame = from_json(payload)
            except ValueError:
                frame = None
            if type(frame) is not dict:  # the decoder knows what else it may be
                if not self._read_all(decoder.read(payload, name), events) or decoder.signalled:
                    break
                continue
            if name and "type" not in frame:
                frame["type"] = name.decode("utf-8", "replace")
            if fast is not None and fast(engine, frame, events):
                continue
            if not self._read(frame, events) or self._is_last(frame):
                break
        if decoder.done and not self.done:
            self._end(events)
        return events

    def _is_last(self, frame: Frame) -> bool:
        """Whether the decoder's wire ends with this frame."""
        decoder = self._decoder
        if decoder.last_type is not None and frame.get("type") == decoder.last_type:
            decoder.done = True
        return decoder.done and decoder.last_type is not None

    def feed_json(self, value: Any) -> list[StreamingEvent]:
        """The events of a whole body, sent where a stream was asked for; then `close`."""
        events: list[StreamingEvent] = []
        if not self.done:
            self._read_all(self._family.expand(value) if self._family is not None else passed(value), events)
        return events

    def close(self) -> list[StreamingEvent]:
        """The connection is over: the last events. Sets `error` if the answer is not whole."""
        events: list[StreamingEvent] = []
        if self.closed:
            return events
        self.closed = True
        if not self.done:
            try:
                self._read_all(self._decoder.close(), events)
            except PipelineError as error:
                self._stop(error)
        if not self.done:
            if self._engine.complete or self._decoder.done:
                self._end(events)
            else:
                self._stop(
                    TransportError("the provider's stream ended early", kind="stream_truncated", partial=self.answer())
                )
        return events

    def answer(self) -> Answer:
        """All that was said so far, folded."""
        return self._engine.answer()

    def _read_all(self, frames: list[Frame], events: list[StreamingEvent]) -> bool:
        """Frames one by one; whether to go on."""
        return all(self._read(frame, events) for frame in frames)

    def _read(self, frame: Frame, events: list[StreamingEvent]) -> bool:
        """One frame, not the plainest; whether to go on."""
        engine = self._engine
        if type(frame) is MalformedFrame:
            if engine.complete:
                return True  # what a server adds behind a whole answer hurts nobody
            if self._strict:
                self._stop(PipelineError(f"a frame is no JSON object: {frame.text!r}", operator="decoder"))
                return False
        try:
            engine.read(frame, events)
        except PipelineError as error:
            self._stop(error)
            return False
        if engine.failure is None:
            return True
        self._end(events)
        return False

    def _end(self, events: list[StreamingEvent]) -> None:
        self._engine.stopped = True
        self._engine.finish(events)
        self.done, self._split = True, _nothing

    def _stop(self, error: PipelineError | TransportError) -> None:
        self.error = error
        self.done, self._split = True, _nothing
