"""A reply as messages of ASGI: head, pieces, heartbeats, and a watch for clients that leave.

The request's task sends; one more task waits for the client to go, one timer tells silence and stalled
clients apart. Plain ASGI; whoever calls has read the request's body.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any, TypeAlias

from dragoman.chatkit.serving.answers import PieceStream, Reply
from dragoman.chatkit.serving.streams import OutgoingStream

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Pairs: TypeAlias = Iterable[tuple[str, str]]

PING = b": ping\n\n"


def encoded(headers: Mapping[str, str], more: Pairs = ()) -> list[tuple[bytes, bytes]]:
    """Headers as ASGI has them."""
    pairs = [(name.lower(), value) for name, value in (*headers.items(), *more)]
    return [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in pairs]


async def send_reply(
    reply: Reply, receive: Receive, send: Send, *, more: Pairs = (), heartbeat: float = 15.0, stall: float = 60.0
) -> None:
    """Send the whole reply. `more` are further headers. Returns when it is sent, or the client has gone."""
    headers = encoded(reply.headers, more)
    if reply.stream is None:
        body = reply.body or b""
        if "content-length" not in reply.headers:
            headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        return
    sender = _Sender(reply.stream, receive, send, heartbeat=heartbeat if reply.is_events else 0.0, stall=stall)
    await sender.run({"type": "http.response.start", "status": reply.status, "headers": headers})


class _Sender:
    """Sends one stream; an object so that timer and watcher can see its state."""

    __slots__ = (
        "_beating",
        "_gone",
        "_heartbeat",
        "_last",
        "_loop",
        "_receive",
        "_send",
        "_stall",
        "_stream",
        "_task",
        "_timer",
        "_writing",
    )

    def __init__(self, stream: PieceStream, receive: Receive, send: Send, *, heartbeat: float, stall: float) -> None:
        self._stream = stream
        self._receive = receive
        self._send = send
        self._heartbeat = heartbeat
        self._stall = stall
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()
        self._beating: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[Any] | None = None
        self._gone = False
        self._writing = False

    async def run(self, start: Message) -> None:
        self._task = task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a stream is sent by a task of asyncio")
        before = task.cancelling()
        watcher = self._loop.create_task(self._watch())
        self._timer = self._loop.call_later(self._pause(), self._tick)
        try:
            await self._send(start)
            if isinstance(self._stream, OutgoingStream):  # which saves a switch of tasks for each piece
                await self._stream.pour(self._write)
            else:
                async for piece in self._stream:
                    await self._write(piece)
            await self._write(b"", more=False)
            if self._gone:
                task.uncancel()
        except OSError:
            self._gone = True  # how some servers say that the client has left
        except asyncio.CancelledError:
            if not self._gone or task.uncancel() > before:
                raise
        finally:
            self._timer.cancel()
            watcher.cancel()
            if self._beating is not None:
                self._beating.cancel()
            await self._stream.aclose()

    async def _write(self, piece: bytes, *, more: bool = True) -> None:
        if self._beating is not None:
            await self._beating
        self._writing = True
        self._last = self._loop.time()
        await self._send({"type": "http.response.body", "body": piece, "more_body": more})
        self._writing = False

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._leave()

    def _leave(self) -> None:
        if not self._gone and self._task is not None:
            self._gone = True
            self._task.cancel()

    def _pause(self) -> float:
        """Seconds until the next look."""
        return min(self._heartbeat, self._stall) if self._heartbeat > 0 else self._stall

    def _tick(self) -> None:
        silent = self._loop.time() - self._last
        wait = self._pause()
        if self._writing or self._beating is not None:  # something waits for the client
            if silent >= self._stall:
                self._leave()
                return
            wait = min(wait, self._stall - silent)
        elif self._heartbeat > 0:
            if silent >= self._heartbeat:
                self._beating = self._loop.create_task(self._beat())
            else:
                wait = min(wait, self._heartbeat - silent)
        self._timer = self._loop.call_later(wait, self._tick)

    async def _beat(self) -> None:
        try:
            self._last = self._loop.time()
            await self._send({"type": "http.response.body", "body": PING, "more_body": True})
        except OSError:
            self._leave()
        finally:
            self._beating = None
