"""A provider's stream of OpenAI's own dialect, read as bytes that may go on as they are.

One of these lives for one attempt, as `client.reading.StreamReader` does for answers that are translated: it is opened
under the client's policies and read by whoever passes the bytes on, who gets all that is there as one piece.
"""

from __future__ import annotations

from typing import Any

import anyio

from dragoman.ai.backwards.ahead import ReadAhead
from dragoman.ai.backwards.tapping import Tap
from dragoman.ai.client.reading import MOST_BYTES, REST_SECONDS, EarlyFailure
from dragoman.ai.errors import AiLibError, PipelineError, TransportError
from dragoman.ai.protocol.manifest import ProtocolManifest
from dragoman.ai.transport.response import HttpResponse
from dragoman.core.errors import DragomanError

__all__ = ["ForwardReader", "is_forwardable"]

MOST_EARLY_BYTES = 1 << 20
"""Before anything was said: reports of what is being waited for."""


def is_forwardable(response: HttpResponse) -> bool:
    """Whether what comes is an event stream at all; a page or a whole document is read and judged elsewhere."""
    return response.media_type == "text/event-stream"


class ForwardReader:
    """`begin`, then `next` until `is_over`. `error` is what the answer failed with, once that is known.

    `usage` is normalised; `linger` are the seconds for which `[DONE]` is waited for behind a whole answer.
    """

    def __init__(
        self, response: HttpResponse, manifest: ProtocolManifest, *, strip_usage: bool, linger: float = 2.0
    ) -> None:
        self.response = response
        self.error: AiLibError | None = None
        self._tap = Tap(strip_usage=strip_usage, classification=manifest.error_classification)
        self._ahead = ReadAhead(response.reads())
        self._early: list[bytes] = []
        self._linger = linger
        self._bytes = 0
        self._has_ended = False

    @property
    def is_over(self) -> bool:
        return self._has_ended and not self._early

    @property
    def has_output(self) -> bool:
        return self._tap.has_output

    @property
    def has_finished(self) -> bool:
        """Whether the answer has said why it ends; counts may follow."""
        return self._tap.finished

    @property
    def usage(self) -> dict[str, Any] | None:
        return self._tap.usage

    async def begin(self, failure: EarlyFailure) -> None:
        """Read until something was said, or the answer is over. Raises what it failed with if that comes first."""
        while not self._has_ended and not self._tap.has_output and self._bytes < MOST_EARLY_BYTES:
            piece = await self._read()
            if piece:
                self._early.append(piece)
        if self.error is not None and not self._tap.has_output:
            failure.error = self.error
            raise self.error

    async def next(self) -> bytes:
        """The next frames, perhaps none. A failed answer raises nothing here: see `error` at the end."""
        if self._early:
            early, self._early = b"".join(self._early), []
            return early
        return b"" if self._has_ended else await self._read()

    async def _read(self) -> bytes:
        tap = self._tap
        try:
            piece = await (self._late_piece() if tap.finished else self._ahead.take())
        except DragomanError as error:
            return self._broken(error)
        if not piece:
            return self._end(self.response.passed_on(tap.close()))
        self._bytes += len(piece)
        frames = self.response.passed_on(tap.feed(piece))
        if tap.error is not None or tap.done:
            return self._end(frames)
        if self._bytes > MOST_BYTES:
            self.error = PipelineError("the stream goes on and on; no answer is so long", operator="stream")
            self._has_ended = True
        return frames

    async def _late_piece(self) -> bytes:
        """Behind a whole answer the counts and `[DONE]` may come, or nothing."""
        with anyio.move_on_after(self._linger):
            return await self._ahead.take()
        return b""

    def _end(self, frames: bytes) -> bytes:
        self._has_ended = True
        tap = self._tap
        if tap.error is not None:
            self.error = self.response.told(tap.error)
        elif not (tap.done or tap.finished):
            self.error = TransportError("the provider's stream ended early", kind="stream_truncated")
        return frames

    def _broken(self, error: DragomanError) -> bytes:
        """The connection broke: the end all the same where the answer was whole already."""
        if self._tap.finished:
            return self._end(b"")
        self._has_ended = True
        failed = self.response.failed(error)
        if isinstance(failed, TransportError) and failed.kind == "closed":
            text = f"the stream ended early: {failed.message}"
            failed = TransportError(text, url=self.response.url, kind="stream_truncated", cause=failed)
        self.error = failed
        return b""

    @property
    def was_closed_by_peer(self) -> bool:
        """Whether the provider said `[DONE]` itself."""
        return self._tap.done

    async def aclose(self) -> None:
        """Let go of the connection; after a whole answer it is kept for others, if the body ends soon. Idempotent."""
        with anyio.CancelScope(shield=True):
            try:
                if self._has_ended and self.error is None:
                    with anyio.move_on_after(REST_SECONDS):
                        while await self._ahead.take():
                            pass
            except DragomanError:  # it may break while it is closed
                pass
            finally:
                await self._ahead.aclose()
                try:
                    await self.response.aclose()
                except DragomanError:
                    pass
