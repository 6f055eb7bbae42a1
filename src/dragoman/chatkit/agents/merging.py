"""One stream of two: the events of a run, and what its tools send through the context meanwhile.

The events come out in the order in which both came in. A task of its own reads the run, from its
first event to the closing of it, so that frameworks whose cleanup must happen in the task that
began are content; when the reader leaves, that task is cancelled, and with it the run.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from dragoman.chatkit.types import ThreadStreamEvent

CLEANUP_SECONDS = 10.0
BURST = 50
"""Events of the run that may wait before others get their turn, the reader among them."""


@dataclass(frozen=True, slots=True)
class RunEvent:
    """An event of the run, as the framework made it."""

    value: Any


@dataclass(frozen=True, slots=True)
class Sent:
    """An event that went through the context."""

    event: ThreadStreamEvent


class Merged:
    """The run's and the queue's events as one iterator; `leave` must be awaited when done with it.

    Each event of the run remembers how many events of the queue came before it.
    """

    def __init__(
        self,
        run: AsyncIterator[Any],
        queue: asyncio.Queue[ThreadStreamEvent],
        *,
        is_urgent: Callable[[BaseException], bool],
    ) -> None:
        self._queue = queue
        self._run: deque[tuple[int, RunEvent]] = deque()
        self._taken = 0
        self._wake = asyncio.get_running_loop().create_future()
        self._getter: asyncio.Task[ThreadStreamEvent] | None = None
        self._ended = False
        self._error: BaseException | None = None
        self._is_urgent = is_urgent
        self._reader = asyncio.create_task(self._read(run))

    async def _read(self, run: AsyncIterator[Any]) -> None:
        try:
            async for value in run:
                self._run.append((self._taken + self._waiting(), RunEvent(value)))
                self._notify()
                if len(self._run) >= BURST:  # a run that never waits would hold the loop, and all of itself here
                    await asyncio.sleep(0)
        except BaseException as error:
            self._error = error  # is raised where the events are read
            if not isinstance(error, (Exception, asyncio.CancelledError)):
                raise
        finally:
            self._ended = True
            self._notify()

    def _notify(self) -> None:
        if not self._wake.done():
            self._wake.set_result(None)

    def _has_taken(self) -> bool:
        return self._getter is not None and self._getter.done()

    def _waiting(self) -> int:
        return self._queue.qsize() + self._has_taken()

    async def next(self) -> RunEvent | Sent | None:
        """The next event; None when the run has ended and nothing is left.

        What the run raised is raised here: at once if it is urgent, else after what came before it.
        """
        while True:
            if self._error is not None and self._is_urgent(self._error):
                raise self._error
            if self._run and (self._run[0][0] <= self._taken or not self._waiting()):
                return self._run.popleft()[1]
            if self._has_taken() or (self._getter is None and self._waiting()):
                return self._take()
            if self._waiting():
                await asyncio.sleep(0)  # the getter is about to have it
            elif self._ended:
                if self._error is not None:
                    raise self._error
                return None
            else:
                await self._come()

    def _take(self) -> Sent:
        event = self._queue.get_nowait() if self._getter is None else self._getter.result()
        self._getter = None
        self._taken += 1
        return Sent(event)

    async def _come(self) -> None:
        """Wait until either side has something."""
        self._wake = asyncio.get_running_loop().create_future()
        self._getter = self._getter or asyncio.create_task(self._queue.get())
        await asyncio.wait({self._getter, self._wake}, return_when=asyncio.FIRST_COMPLETED)

    def discard(self) -> None:
        """Throw away what the queue still holds."""
        while not self._queue.empty():
            self._queue.get_nowait()

    async def leave(self) -> None:
        """Stop reading; a run that is still going on is cancelled."""
        if self._getter is not None:
            self._getter.cancel()
        if not self._reader.done():
            self._reader.cancel()
            await asyncio.wait({self._reader}, timeout=CLEANUP_SECONDS)
