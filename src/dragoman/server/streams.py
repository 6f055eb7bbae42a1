"""A streaming answer, as a face gives it: a source of bytes, and what to do when it fails or the client leaves.

How it is sent is `transport.sending`'s business. It knows bytes only; what they mean is the source's. Called by
`dispatch`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from dragoman.transport.sending import Receive, Send, StreamSender, Write

HEARTBEAT = b": heartbeat\n\n"
STREAM_HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
}
_YIELD_EVERY = 16
"""A source that is always ready lets other streams have the loop after its first piece and then this often."""


class CutShort(Exception):
    """Raised by a source after its last words: the body stays without its end, so that nobody takes it for whole."""


class EventStream:
    """An event stream as an answer.

    `source` yields non-empty bytes, each one whole event or several. It is asked for more only when
    the socket has taken what came before. It is closed (`aclose`) when it ends, when the client has
    gone and when the server stops it; whatever it reads from goes on. After `heartbeat` seconds
    without a piece `comment` is sent; 0 is never, for bodies that are no events. `on_error` may turn
    an exception of the source into last bytes; without it the connection is cut, so that no client
    takes the answer for complete.
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

    async def pump(self, write: Write) -> None:
        """Write every piece of the source."""
        count = 0
        pieces = aiter(self.source)
        while True:
            try:
                piece = await anext(pieces)
            except StopAsyncIteration:
                return
            except Exception as error:
                if self.on_error is None:
                    raise
                await write(self.on_error(error))
                return
            await write(piece)
            del piece  # or it would be kept until the next one comes
            if count % _YIELD_EVERY == 0:
                await asyncio.sleep(0)
            count += 1

    async def close(self) -> None:
        """Let go of the source without sending it."""
        closer = getattr(self.source, "aclose", None)
        if closer is not None:
            await closer()


async def send_stream(stream: EventStream, receive: Receive, send: Send, *, heartbeat: float, stall: float) -> bool:
    """Send the body, the head being out; False if the client left or stopped reading before its end.

    An exception of the source is raised after the connection was given up, unless `stream.on_error` gave last words
    for it. `heartbeat` and `stall` as in `StreamSender`.
    """
    sender = StreamSender(receive, send, heartbeat=heartbeat, stall=stall, comment=stream.comment)
    return await sender.run(stream.pump, stream.close)
