"""An answer on its way to one caller, piece by piece, and how its head waits for the first words.

A source makes bytes when it is asked for them, so a provider is read as fast as the caller reads. What it failed with
before it had said anything is raised and becomes a status; later it is a frame, the server's own end included.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from types import TracebackType

from dragoman.server.closing import Closing, Interruption, ServerClosing
from dragoman.server.http import Call
from dragoman.server.openai.errors import Told

__all__ = ["CLOSING", "LastCall", "Outgoing"]

CLOSING = Told(503, "The server is shutting down; ask again.")


class LastCall(Interruption):
    """`async with last_call:` ends a wait with ServerClosing, though only `seconds` after the server began to close.

    One serves all waits of an answer, one after the other; `close` it in the end.
    """

    __slots__ = ("_is_due", "_seconds", "_timer")

    def __init__(self, closing: Closing, seconds: float) -> None:
        super().__init__(closing)
        self._seconds = max(0.0, seconds)
        self._timer: asyncio.TimerHandle | None = None
        self._is_due = closing.is_set()
        closing.waiting.add(self)

    async def __aenter__(self) -> None:
        if self._is_due:
            raise ServerClosing
        self._task = task = asyncio.current_task()
        self._before = task.cancelling() if task is not None else 0

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task, self._task = self._task, None
        if not self._fired or task is None:
            return
        self._fired = False
        alone = task.uncancel() <= self._before
        if kind is None:  # the wait was over at the same moment: the cancellation must not hit what comes after
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                if not alone:
                    raise
        elif alone and kind is asyncio.CancelledError:
            raise ServerClosing from error

    def fire(self) -> None:
        """The server begins to close; called once, by `Closing.set`."""
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._end)

    def _end(self) -> None:
        self._is_due = True
        super().fire()

    def close(self) -> None:
        """No further waits. Idempotent."""
        self._closing.waiting.discard(self)
        if self._timer is not None:
            self._timer.cancel()


class Outgoing(ABC):
    """The bytes of a stream. `aclose` ends what they come from, whether or not it is over; idempotent."""

    def __init__(self, last_call: LastCall | None = None) -> None:
        """`last_call` bounds what the server's end leaves it; without one it sees to that itself."""
        self._first: asyncio.Future[bytes] | None = None
        self._last_call = last_call
        self._is_told = False
        self.after: Callable[[], None] | None = None
        """Called once, when all is let go of."""

    @abstractmethod
    async def piece(self) -> bytes:
        """The next bytes; none when it is over. Raises, before anything was given, what the answer failed with."""

    @abstractmethod
    async def let_go(self) -> None:
        """End what the bytes come from."""

    @abstractmethod
    def told(self, error: Exception) -> bytes:
        """The frame for a failure behind the head."""

    async def aclose(self) -> None:
        """Called by whoever sends it, once nothing more is sent."""
        first, self._first = self._first, None
        if first is not None:
            first.cancel()
            await asyncio.wait([first])
            if not first.cancelled():
                first.exception()  # nobody is left who could be told
        if self._last_call is not None:
            self._last_call.close()
        try:
            await self.let_go()
        finally:
            after, self.after = self.after, None
            if after is not None:
                after()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._is_told:
            raise StopAsyncIteration
        has_begun = self._first is None
        try:
            if self._last_call is None:
                made = await self._waited()
            else:
                async with self._last_call:
                    made = await self._waited()
        except Exception as error:
            if has_begun and not isinstance(error, ServerClosing):
                raise
            self._is_told = True
            return self.told(error)
        if not made:
            raise StopAsyncIteration
        return made

    async def _waited(self) -> bytes:
        if self._first is None:
            return await self.piece()
        made = await asyncio.shield(self._first)
        self._first = None
        return made

    async def begin(self, call: Call, seconds: float) -> None:
        """Wait for the answer's first words, though not longer than `seconds`; all is let go of if that fails.

        Raises what the answer failed with, ClientGone if the caller leaves meanwhile, and ServerClosing.
        """
        self._first = first = asyncio.ensure_future(self.piece())
        try:
            async with call.while_present():
                if self._last_call is None:
                    await asyncio.wait([first], timeout=seconds)
                else:
                    async with self._last_call:
                        await asyncio.wait([first], timeout=seconds)
            if first.done():
                first.result()
        except BaseException:
            await self.aclose()
            raise
