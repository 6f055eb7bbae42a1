"""Whether the client of a plain answer is still there while the answer is being made.

A stream finds out by itself (`streams`). A handler that works long for one plain answer wraps that work
in a `Presence`: as soon as the client has gone the block ends with ClientGone, so that what nobody
will read need not be finished. Knows no HTTP but the disconnect message.
"""

from __future__ import annotations

import asyncio
from types import TracebackType

from starlette.types import Receive

from dragoman.server.limits import ClientGone


class Presence:
    """`async with Presence(receive):` ends the block with ClientGone when the client goes.

    The request's body must have been read before, for both ask the same source.
    """

    __slots__ = ("_before", "_gone", "_receive", "_task", "_watcher")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._task: asyncio.Task[object] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._before = 0
        self._gone = False

    async def __aenter__(self) -> None:
        self._task = task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a request is handled by a task of asyncio")
        self._before = task.cancelling()
        self._watcher = asyncio.create_task(self._watch(), name="whether the client is there")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
        if not self._gone or self._task is None:
            return
        alone = self._task.uncancel() <= self._before
        if kind is None:  # the cancellation is still under way: it must not hit what comes after
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                if not alone:
                    raise
        if alone and (kind is None or kind is asyncio.CancelledError):
            raise ClientGone from error

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass  # what is left of the request's body
        if self._task is not None:
            self._gone = True
            self._task.cancel()
