"""How a stream of events is iterated and ended, whatever it reads from.

Nothing happens before the first event is asked for. Ending early, by `break`, `aclose` or leaving
an `async with` block, ends what it reads from at once.
"""

from __future__ import annotations

import weakref
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Generator
from types import AsyncGeneratorType
from typing import Any, TypeAlias, TypeVar

from dragoman.ai.client.response import ChatResponse
from dragoman.ai.types.events import StreamingEvent

__all__ = ["EventStream", "Events"]

Events: TypeAlias = AsyncGeneratorType[StreamingEvent, None]
Self = TypeVar("Self", bound="EventStream")


class EventStream(ABC):
    """An iterator of events that is also closable and awaitable: awaiting it gives the stream itself."""

    def __init__(self) -> None:
        self._is_closed = False
        self._held: Events | None = None
        self._lent: weakref.ref[Events] | None = None

    @abstractmethod
    def _events(self) -> AsyncGenerator[StreamingEvent, None]:
        """A new generator of the events; it gives none once `_is_closed`, and calls `_finish` at its end."""

    @abstractmethod
    async def _finish(self) -> None:
        """Set `_is_closed` and let go of everything, also while another task reads. Idempotent."""

    @abstractmethod
    def response(self) -> ChatResponse:
        """The answer as far as it was read. Raises what it failed with."""

    @property
    def has_begun(self) -> bool:
        """Whether anybody reads it, or has read it."""
        return self._lent is not None

    def __aiter__(self) -> AsyncIterator[StreamingEvent]:
        """The one iterator of this stream; lent, not held: a loop that is left drops it, which closes it."""
        return self._held if self._held is not None else self._lend()

    def __anext__(self) -> Awaitable[StreamingEvent]:
        if self._held is None:
            self._held = self._lend()
        return self._held.__anext__()

    def _lend(self) -> Events:
        lent = self._lent() if self._lent is not None else None
        if lent is None:
            made = self._events() if self._lent is None else _none()  # a loop was left: that was the end
            assert isinstance(made, AsyncGeneratorType)  # every `_events` is written with `yield`
            lent = made
            self._lent = weakref.ref(lent)
        return lent

    async def aclose(self) -> None:
        """End the stream and close its connection. Idempotent, and safe while another task reads."""
        await self._finish()
        for iterator in (self._held, self._lent() if self._lent is not None else None):
            if iterator is not None and not iterator.ag_running:
                await iterator.aclose()

    async def __aenter__(self: Self) -> Self:
        if self._held is None:
            self._held = self._lend()  # the block ends it, not the loop in it
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()

    def __await__(self: Self) -> Generator[Any, None, Self]:
        return self
        yield  # makes this a generator: awaiting gives the stream itself

    async def collect(self) -> ChatResponse:
        """Read to the end; the whole answer.

        Raises what iterating raises, RemoteError for an error that the provider reported, and
        AiRuntimeError (class cancelled) when a token ended it.
        """
        try:
            async for _ in self:
                pass
        finally:
            await self.aclose()
        return self.response()


async def _none() -> AsyncGenerator[StreamingEvent, None]:
    return
    yield  # makes this a generator: one without events
