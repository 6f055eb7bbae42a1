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
    __slots__ = ("error", "has_value", "landed", "left", "value")

    def __init__(self) -> None:
        self.landed = anyio.Event()
        self.left = False
        """Whether whoever made the call was cancelled before there was a value or an error."""
        self.has_value = False
        self.value: T | None = None
        self.error: Exception | None = None


class Flights(Generic[T]):
    """Calls under way, by key; those of one event loop each, since nobody can wait across loops."""

    def __init__(self) -> None:
        self._under_way: dict[tuple[Any, str], _Flight[T]] = {}

    def __len__(self) -> int:
        return len(self._under_way)

    async def join(
        self, key: str, call: Callable[[], Awaitable[T]], then: Callable[[T], Awaitable[None]]
    ) -> tuple[T, bool]:
        """(what the call gives, whether it was somebody else's). Raises what the call raises, to all who wait.

        `then` is done with it before it is handed out, by whoever made the call.
        """
        place = (current_token(), key)
        while (flight := self._under_way.get(place)) is not None:
            await flight.landed.wait()
            if flight.error is not None:
                raise flight.error
            if not flight.left:
                return flight.value, True  # type: ignore[return-value]  # it landed, so there is one
        return await self._fly(place, call, then), False

    async def _fly(
        self, place: tuple[Any, str], call: Callable[[], Awaitable[T]], then: Callable[[T], Awaitable[None]]
    ) -> T:
        flight = self._under_way[place] = _Flight[T]()
        try:
            flight.value = await call()
            flight.has_value = True
            await then(flight.value)
            return flight.value
        except Exception as error:
            flight.error = error
            raise
        except BaseException:
            flight.left = not flight.has_value
            raise
        finally:
            del self._under_way[place]
            flight.landed.set()
