"""The body of a streaming answer, sent to a client over ASGI: heartbeat, disconnect watch, stalled clients, a proper end.

Starlette's own response costs twice the memory per idle stream and knows no heartbeat. This one runs the source in
the request's task and adds a single task that waits for the client to go, and one timer. It knows bytes only; what
they mean, and where they come from, is its caller's business.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any, TypeAlias

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Write: TypeAlias = Callable[[bytes], Coroutine[Any, Any, None]]
"""Sends one piece of the body; returns when the socket has taken it. Raises OSError when the client has gone."""


class StreamSender:
    """Sends one body; an object so that timer and watcher can see its state.

    `heartbeat` is the silence in seconds after which `comment` is sent, 0 for never; `stall` how long one write may
    wait for a client that does not read. The request's body must have been read before.
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

    def __init__(self, receive: Receive, send: Send, *, heartbeat: float, stall: float, comment: bytes) -> None:
        self._receive = receive
        self._send = send
        self._heartbeat = heartbeat if heartbeat > 0 else math.inf
        self._comment = comment
        self._stall = stall
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._beating: asyncio.Task[None] | None = None
        self._task: asyncio.Task[object] | None = None
        self._gone = False
        self._writing = False

    async def run(self, pump: Callable[[Write], Awaitable[None]], close: Callable[[], Awaitable[None]]) -> bool:
        """Let `pump` write the whole body, the head being out; False if the client left or stopped reading before.

        `pump` is cancelled when the client has gone; what it raises is raised here, the body being without its end.
        `close` is awaited whatever happens.
        """
        self._task = task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a stream is sent by a task of asyncio")
        before = task.cancelling()
        watcher = self._loop.create_task(self._watch())
        self._timer = self._loop.call_later(min(self._heartbeat, self._stall), self._tick)
        try:
            await pump(self._write)
            await self._body(b"", more=False)
            if self._gone:  # the source swallowed our cancellation
                task.uncancel()
            return not self._gone
        except OSError:
            if not self._gone:
                raise
            return False
        except asyncio.CancelledError:
            if self._gone and task.uncancel() <= before:
                return False
            raise
        finally:
            self._timer.cancel()
            watcher.cancel()
            if self._beating is not None:
                self._beating.cancel()
            await close()

    async def _write(self, piece: bytes) -> None:
        await self._body(piece, more=True)

    async def _body(self, piece: bytes, *, more: bool) -> None:
        if self._beating is not None:
            await self._beating
        self._writing = True
        self._last = self._loop.time()
        try:
            await self._send({"type": "http.response.body", "body": piece, "more_body": more})
        except OSError:  # how some servers say that the client has gone
            self._gone = True
            raise
        self._writing = False

    async def _beat(self) -> None:
        try:
            self._last = self._loop.time()
            await self._send({"type": "http.response.body", "body": self._comment, "more_body": True})
        except OSError:
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
