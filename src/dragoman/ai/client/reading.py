"""An answer that is being streamed: bytes from the connection through the pipeline, in batches of events.

One of these lives for one attempt. It holds no policy: `dragoman.ai.client.target` opens it under
one, `dragoman.ai.client.stream` hands its events out.
"""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import anyio

from dragoman.ai.errors import AiLibError, PipelineError, TransportError
from dragoman.ai.pipeline.base import Pipeline
from dragoman.ai.protocol.manifest import ProtocolManifest
from dragoman.ai.transport.response import HttpResponse
from dragoman.ai.transport.settings import ANSWER_BYTES
from dragoman.ai.types.events import StreamEnd, StreamingEvent
from dragoman.core.errors import DragomanError

__all__ = ["EarlyFailure", "StreamReader"]


MOST_BYTES = 1 << 29
MOST_EVENTS = 2_000_000
"""What one stream may give; more is no answer, and all of it is kept until the end."""

MOST_EARLY = 10_000
"""Events before any output: reports of what could not be read."""

MOST_LINGERS = 5
"""So many times the wait for usage may begin anew because something else came."""

REST_SECONDS = 0.05
"""So long the end of a body is waited for when the answer in it is complete; it mostly comes with it."""


class EarlyFailure:
    """An attempt's error before any output, and its events so far; `is_reported` when one of them tells it."""

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.events: list[StreamingEvent] = []
        self.is_reported = False


class StreamReader:
    """Batches of events. `error` is what the answer failed with, once that is known.

    `is_reported` says that an event tells the error; what no event tells is raised at the end. After
    the answer is complete, usage is waited for `linger` seconds.
    """

    def __init__(
        self,
        response: HttpResponse,
        manifest: ProtocolManifest,
        *,
        strict: bool = False,
        linger: float = 2.0,
    ) -> None:
        self.response = response
        self.run = Pipeline.from_manifest(manifest).start(strict=strict, conceal=response.conceal)
        self.error: AiLibError | None = None
        self.is_reported = False
        self.usage: dict[str, Any] | None = None
        self._linger = linger
        self._reads = response.reads()
        self._is_document = _is_document(response.media_type, manifest)
        self._early: list[StreamingEvent] = []
        self._has_ended = False
        self._bytes = self._events = 0
        self._patience = math.inf

    @property
    def is_over(self) -> bool:
        return self._has_ended and not self._early

    @property
    def has_output(self) -> bool:
        return self.run.first_output

    async def begin(self, failure: EarlyFailure) -> None:
        """Read until there is output, or the answer is over without any.

        Raises what the answer failed with if that comes first; `failure` then has the events so far.
        """
        while not self._has_ended and not self.has_output:
            self._early += await self._read()
        if self.error is not None and not self.has_output:
            failure.error, failure.events, failure.is_reported = self.error, self._early, self.is_reported
            raise self.error

    async def next(self) -> list[StreamingEvent]:
        """The next batch, which may be empty. A failed answer raises nothing here: see `error` at the end."""
        if self._early:
            early, self._early = self._early, []
            return early
        return [] if self._has_ended else await self._read()

    async def _read(self) -> list[StreamingEvent]:
        run = self.run
        try:
            if run.complete:
                piece = await self._late_piece()
            elif self._is_document:
                return await self._whole()
            else:
                piece = await self._reads.__anext__()
        except StopAsyncIteration:
            return self._end([])
        except DragomanError as error:
            return self._broken(self.response.failed(error))
        events = run.feed(piece)
        self._bytes += len(piece)
        self._events += len(events)
        if run.done:
            return self._end(events)
        if self._bytes > MOST_BYTES or self._events > MOST_EVENTS or len(self._early) > MOST_EARLY:
            if run.complete:
                return self._end(events)
            endless = PipelineError("the stream goes on and on; no answer is so long", operator="stream")
            return [*events, *self._broken(endless)]
        return events

    async def _late_piece(self) -> bytes:
        now = anyio.current_time()
        self._patience = min(self._patience, now + MOST_LINGERS * self._linger)
        with anyio.CancelScope(deadline=min(now + self._linger, self._patience)):
            return await self._reads.__anext__()
        raise StopAsyncIteration

    async def _whole(self) -> list[StreamingEvent]:
        """A stream was asked for and a whole answer came, or a page that is none."""
        if len(await self.response.aread(ANSWER_BYTES + 1)) > ANSWER_BYTES:
            raise PipelineError(f"the answer has more than {ANSWER_BYTES} bytes", operator="http")
        return self._end(self.run.feed_json(self.response.json()))

    def _end(self, events: list[StreamingEvent]) -> list[StreamingEvent]:
        """These and the last events, after which nothing is read."""
        self._has_ended = True
        events = [*events, *self.run.close()]
        if events and isinstance(events[-1].data, StreamEnd):
            self.usage = events[-1].data.usage
        reported = self.run.remote_error
        if reported is not None:
            reported.partial = self.run.answer()
        self.is_reported = reported is not None
        error = reported or self.run.error
        self.error = self.response.told(error) if error is not None else None
        return events

    def _broken(self, error: AiLibError) -> list[StreamingEvent]:
        """The connection broke: the end all the same when the answer was complete already."""
        if self.run.complete and isinstance(error, TransportError):
            return self._end([])
        events = self._end([])
        if isinstance(error, TransportError):
            if error.kind == "closed":
                text = f"the stream ended early: {error.message}"
                error = TransportError(text, url=self.response.url, kind="stream_truncated", cause=error)
            error.partial = self.run.answer()
        self.error, self.is_reported = error, False
        return events

    async def aclose(self) -> None:
        """Let go of the connection; after a whole answer it is kept for others, if the body ends soon. Idempotent."""
        with anyio.CancelScope(shield=True), suppress(DragomanError):  # it may break while it is closed
            if self._has_ended and self.error is None:
                await self._drain()
            await self.response.aclose()

    async def _drain(self) -> None:
        with anyio.move_on_after(REST_SECONDS), suppress(DragomanError):
            async for _ in self._reads:
                pass


def _is_document(media_type: str, manifest: ProtocolManifest) -> bool:
    """Whether the body is to be read whole: JSON that is no stream by the manifest's own word, or a page."""
    if media_type != "application/json":
        return media_type == "text/html"
    streaming = manifest.streaming
    decoder = streaming.decoder if streaming is not None else None
    return decoder is None or "json" not in decoder.format
