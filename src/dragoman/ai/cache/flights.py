"""Equal calls that are under way at once, made once.

The first caller makes the call, in its own task and under its own limits; the others wait for what it
gives. When the first is cancelled, the next takes over. Knows no cache.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

import anyio
from anyio.lowlevel import current_token

__all__ = ["Flights"]

T = TypeVar("T")


class _Flight(Generic[T]):
    __slots__ = ("error", "landed", "left", "value")

    def __init__(self) -> None:
        self.landed = anyio.Event()
        self.left = False
        """Whether whoever made the call was cancelled: then there is neither value nor error."""
        self.value: T | None = None
        self.error: Exception | None = None


class Flights(Generic[T]):
    """Calls under way, by key; those of one event loop each, since nobody can wait across loops."""

    def __init__(self) -> None:
        self._under_way: dict[tuple[Any, str], _Flight[T]] = {}

    def __len__(self) -> int:
        return len(self._under_way)

    async def join(self, key: str, call: Callable[[], Awaitable[T]]) -> tuple[T, bool]:
        """(what the call gives, whether it was somebody else's). Raises what the call raises, to all who wait."""
        place = (current_token(), key)
        while (flight := self._under_way.get(place)) is not None:
            await flight.landed.wait()
            if flight.error is not None:
                raise flight.error
            if not flight.left:
                return flight.value, True  # type: ignore[return-value]  # it landed, so there is one
        return await self._fly(place, call), False

    async def _fly(self, place: tuple[Any, str], call: Callable[[], Awaitable[T]]) -> T:
        flight = self._under_way[place] = _Flight[T]()
        try:
            flight.value = await call()
            return flight.value
        except Exception as error:
            flight.error = error
            raise
        except BaseException:
            flight.left = True
            raise
        finally:
            del self._under_way[place]
            flight.landed.set()
