"""A body that is read ahead by a task, so that whoever passes it on gets all that has come, at once.

An HTTP layer gives every chunk of a body by itself; to send each on by itself would cost a write each. What comes in
one turn of the loop is given as one piece here, and nothing is waited for beyond that. Knows bytes alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

__all__ = ["ReadAhead"]

MOST_AHEAD = 1 << 16
"""Bytes that are read and not taken yet; then the reading waits, and with it whoever sends."""


class ReadAhead:
    """`take` until it gives nothing, then `aclose`. The reading begins with the first `take`."""

    __slots__ = ("_ended", "_error", "_news", "_reads", "_ready", "_room", "_size", "_task")

    def __init__(self, reads: AsyncIterator[bytes]) -> None:
        self._reads = reads
        self._ready: list[bytes] = []
        self._size = 0
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._ended = False
        self._error: Exception | None = None
        self._task: asyncio.Task[None] | None = None

    async def take(self) -> bytes:
        """All that has come; nothing once it is over. Raises, behind what came before, what the reading failed with.

        May be cancelled, and then be called again; nothing is lost.
        """
        if self._task is None:
            self._task = asyncio.create_task(self._read(), name="reads a model's answer")
        while not self._ready:
            if self._ended:
                if self._error is not None:
                    raise self._error
                return b""
            self._news.clear()
            await self._news.wait()
        ready, self._ready = self._ready, []
        self._size = 0
        self._room.set()
        return ready[0] if len(ready) == 1 else b"".join(ready)

    async def _read(self) -> None:
        try:
            async for data in self._reads:
                self._ready.append(data)
                self._size += len(data)
                self._news.set()
                if self._size >= MOST_AHEAD:
                    self._room.clear()
                    await self._room.wait()
        except Exception as error:
            self._error = error
        finally:
            self._ended = True
            self._news.set()

    async def aclose(self) -> None:
        """Stop reading. Idempotent; what was read from is the caller's to close."""
        task = self._task
        self._ended = True
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait([task])
