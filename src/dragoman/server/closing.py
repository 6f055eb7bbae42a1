"""The server's end, as the streams see it.

A stream that waits for the next event must learn that the server is closing, or it would hold
the shutdown up. `Closing` is an event that can also interrupt a wait, the way `asyncio.timeout`
does, without a second task per stream. Knows nothing of HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType

from dragoman.core.errors import Unavailable
from dragoman.core.events import Event
from dragoman.core.turns import Tail


class ServerClosing(Unavailable):
    """The server is shutting down; the run goes on and can be read again after a restart."""

    default_code = "closing"

    def __init__(self, message: str = "The server is shutting down; connect again.") -> None:
        super().__init__(message, retry_after=1.0)


class Interruption:
    """`async with closing.interrupts():` turns the server's end into ServerClosing inside the block.

    Put it around a wait, never around a `yield`: it interrupts whatever its task is doing.
    """

    __slots__ = ("_before", "_closing", "_fired", "_task")

    def __init__(self, closing: Closing) -> None:
        self._closing = closing
        self._task: asyncio.Task[object] | None = None
        self._before = 0
        self._fired = False

    async def __aenter__(self) -> None:
        if self._closing.is_set():
            raise ServerClosing
        self._task = task = asyncio.current_task()
        if task is not None:
            self._before = task.cancelling()
            self._closing.waiting.add(self)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.waiting.discard(self)
        # A cancellation from elsewhere may have come as well; then that one wins.
        if self._fired and self._task is not None:
            alone = self._task.uncancel() <= self._before
            if alone and kind is asyncio.CancelledError:
                raise ServerClosing from error

    def fire(self) -> None:
        """Interrupt the block; called once, by `Closing.set`."""
        if self._task is not None:
            self._fired = True
            self._task.cancel()


class Closing(asyncio.Event):
    """Set once, when the server begins to shut down."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: set[Interruption] = set()

    def set(self) -> None:
        super().set()
        waiting, self.waiting = self.waiting, set()
        for one in waiting:
            one.fire()

    def interrupts(self) -> Interruption:
        """A block that ends with ServerClosing as soon as the server closes."""
        return Interruption(self)


LAST_WORDS = 1.0
"""Seconds before the end of `limits.shutdown_seconds` in which a stream says that it ends."""


class PatientTail:
    """A tail that is read on while the server closes: answers under way get the time that is left."""

    def __init__(self, tail: Tail, closing: Closing, shutdown_seconds: float) -> None:
        self._tail = tail
        self._closing = closing
        self._seconds = max(0.0, shutdown_seconds - LAST_WORDS)
        self._until: float | None = None

    async def next(self, timeout: float | None = None) -> Sequence[Event]:
        """As `Tail.next`; raises ServerClosing once no time is left."""
        now = asyncio.get_running_loop().time
        if self._until is None:
            try:
                return await read(self._tail, self._closing, timeout)
            except ServerClosing:
                self._until = now() + self._seconds
        try:
            return await self._tail.next(max(0.0, self._until - now()))
        except TimeoutError:
            raise ServerClosing from None


async def read(tail: Tail, closing: Closing, timeout: float | None = None) -> Sequence[Event]:
    """`tail.next(timeout)`, ended early with ServerClosing when the server shuts down."""
    async with closing.interrupts():
        return await tail.next(timeout)
