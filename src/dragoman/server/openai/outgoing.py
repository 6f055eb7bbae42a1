"""An answer on its way to one caller, piece by piece, and how its head waits for the first words.

A source makes bytes when it is asked for them and not before, so a provider is read as fast as the caller reads. What
it failed with before it had said anything is raised and becomes a status; later it is a frame.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable

from dragoman.server.http import Call

__all__ = ["Outgoing", "begin"]


class Outgoing(ABC):
    """The bytes of a stream. `aclose` ends what they come from, whether or not it is over; idempotent."""

    def __init__(self) -> None:
        self._first: asyncio.Future[bytes] | None = None
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
        try:
            await self.let_go()
        finally:
            after, self.after = self.after, None
            if after is not None:
                after()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        first = self._first
        try:
            if first is None:
                made = await self.piece()
            else:
                made = await asyncio.shield(first)
                self._first = None
        except Exception as error:
            if first is None:
                raise
            self._first = None
            return self.told(error)
        if not made:
            raise StopAsyncIteration
        return made

    def hold(self, first: asyncio.Future[bytes]) -> None:
        """The first piece is being made, or there."""
        self._first = first


async def begin(outgoing: Outgoing, call: Call, seconds: float) -> None:
    """Wait for the answer's first words, though not longer than `seconds`; the source is closed if that fails.

    Raises what the answer failed with, and ClientGone if the caller leaves meanwhile.
    """
    first = asyncio.ensure_future(outgoing.piece())
    outgoing.hold(first)
    try:
        async with call.while_present():
            await asyncio.wait([first], timeout=seconds)
        if first.done():
            first.result()
    except BaseException:
        await outgoing.aclose()
        raise
