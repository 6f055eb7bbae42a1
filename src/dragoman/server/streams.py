"""A streaming answer in raw ASGI: heartbeat, disconnect watch, back pressure, a proper end.

Starlette's own response costs twice the memory per idle stream and knows no heartbeat. This one
runs the source in the request's task and adds a single task that waits for the client to go.
It knows bytes only; what they mean is the source's business. Called by `dispatch`.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from starlette.types import Receive, Send

HEARTBEAT = b": heartbeat\n\n"
STREAM_HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
}
_YIELD_EVERY = 16
"""A source that is always ready lets other streams have the loop after its first piece and then this often."""


class EventStream:
    """An event stream as an answer.

    `source` yields non-empty bytes, each one whole event or several. It is asked for more only when
    the socket has taken what came before. It is closed (`aclose`) when it ends, when the client has
    gone and when the server stops it; whatever it reads from goes on. After `heartbeat` seconds
    without a piece `comment` is sent; 0 is never, for bodies that are no events. `on_error` may turn an exception of the source into last
    bytes; without it the connection is cut, so that no client takes the answer for complete.
    `on_gone` is awaited when the client left or stopped reading before the end. `release` is set by
    `dispatch`, to free the stream's place.

    A source that waits for events should wait with `closing.read`, catch ServerClosing and yield
    its wire's farewell; see `dragoman.server.closing`.
    """

    __slots__ = ("comment", "headers", "heartbeat", "on_error", "on_gone", "release", "run_id", "source", "status")

    def __init__(
        self,
        source: AsyncIterator[bytes],
        *,
        headers: Mapping[str, str] | None = None,
        run_id: str | None = None,
        heartbeat: float | None = None,
        comment: bytes = HEARTBEAT,
        status: int = 200,
        on_error: Callable[[Exception], bytes] | None = None,
        on_gone: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.source = source
        self.headers = headers or {}
        self.run_id = run_id
        self.heartbeat = heartbeat
        self.comment = comment
        self.status = status
        self.on_error = on_error
        self.on_gone = on_gone
        self.release: Callable[[], None] | None = None

    async def close(self) -> None:
        """Let go of the source without sending it."""
        closer = getattr(self.source, "aclose", None)
        if closer is not None:
            await closer()


class StreamSender:
    """Sends one `EventStream`; an object so that timer and watcher can see its state.

    `heartbeat` is the silence after which a comment is sent, 0 for never; `stall` how long one write may wait for a
    client that does not read.
    """

    __slots__ = (
        "_beating",
        "_comment",
        "_gone",
        "_heartbeat",
        "_last",
        "_loop",
        "_receive",
        "_send",
        "_stall",
        "_task",
        "_timer",
        "_writing",
    )

    def __init__(self, receive: Receive, send: Send, *, heartbeat: float, stall: float) -> None:
        self._receive = receive
        self._send = send
        self._heartbeat = heartbeat if heartbeat > 0 else math.inf
        self._comment = HEARTBEAT
        self._stall = stall
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._beating: asyncio.Task[None] | None = None
        self._task: asyncio.Task[object] | None = None
        self._gone = False
        self._writing = False

    async def run(self, stream: EventStream) -> bool:
        """Send the body, the head being out; False if the client left or stopped reading before its end.

        An exception of the source is raised after the connection was given up, unless
        `stream.on_error` gave last words for it.
        """
        self._task = task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a stream is sent by a task of asyncio")
        before = task.cancelling()
        self._comment = stream.comment
        watcher = self._loop.create_task(self._watch())
        self._timer = self._loop.call_later(min(self._heartbeat, self._stall), self._tick)
        try:
            await self._pump(stream)
            await self._write(b"", more=False)
            if self._gone:  # the source swallowed our cancellation
                task.uncancel()
            return not self._gone
        except asyncio.CancelledError:
            if self._gone and task.uncancel() <= before:
                return False
            raise
        finally:
            self._timer.cancel()
            watcher.cancel()
            if self._beating is not None:
                self._beating.cancel()
            await stream.close()

    async def _pump(self, stream: EventStream) -> None:
        count = 0
        try:
            async for piece in stream.source:
                await self._write(piece, more=True)
                del piece  # or it would be kept until the next one comes
                if count % _YIELD_EVERY == 0:
                    await asyncio.sleep(0)
                count += 1
        except Exception as error:
            if stream.on_error is None:
                raise
            await self._write(stream.on_error(error), more=True)

    async def _write(self, piece: bytes, *, more: bool) -> None:
        if self._beating is not None:
            await self._beating
        self._writing = True
        self._last = self._loop.time()
        await self._send({"type": "http.response.body", "body": piece, "more_body": more})
        self._writing = False

    async def _beat(self) -> None:
        try:
            self._last = self._loop.time()
            await self._send({"type": "http.response.body", "body": self._comment, "more_body": True})
        except OSError:  # some servers say so when the client has gone
            self._leave()
        finally:
            self._beating = None

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass  # what is left of the request's body
        self._leave()

    def _leave(self) -> None:
        if not self._gone and self._task is not None:
            self._gone = True
            self._task.cancel()

    def _tick(self) -> None:
        silent = self._loop.time() - self._last
        if self._writing or self._beating is not None:  # something waits for the client
            if silent >= self._stall:
                self._leave()
                return
            wait = min(self._heartbeat, self._stall - silent)
        elif silent >= self._heartbeat:
            self._beating = self._loop.create_task(self._beat())
            wait = self._heartbeat
        else:
            wait = min(self._heartbeat - silent, self._stall)
        self._timer = self._loop.call_later(wait, self._tick)
