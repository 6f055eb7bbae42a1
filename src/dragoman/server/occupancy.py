"""Places of answers: one is held until its answer is over, also where nobody reads it any more.

Who has how many places, and with which words one is refused, is a face's business. Counts in this process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from dragoman.core.errors import Unavailable
from dragoman.core.ports import Engine
from dragoman.core.principal import Principal

MINUTE = 60.0
FULL_SECONDS = 1.0
"""When to come back if all places are taken: answers end at any time."""


class Place:
    """One answer's place; `release` may be called more than once."""

    __slots__ = ("_give_back",)

    def __init__(self, give_back: Callable[[], None]) -> None:
        self._give_back: Callable[[], None] | None = give_back

    def release(self) -> None:
        """Let another answer have the place."""
        give_back, self._give_back = self._give_back, None
        if give_back is not None:
            give_back()


class Occupancy:
    """Frees places of runs when these have ended."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._watchers: set[asyncio.Task[None]] = set()

    def release_at_end(self, place: Place, run_id: str, after: int) -> None:
        """Free the place as soon as the run has ended, though nobody reads it."""
        task = asyncio.create_task(self._watch(place, run_id, after), name=f"place of run {run_id}")
        self._watchers.add(task)
        task.add_done_callback(self._watchers.discard)

    async def _watch(self, place: Place, run_id: str, after: int) -> None:
        try:
            tail = self._engine.tail(run_id, after=after)
            while await tail.next():
                pass
        except Unavailable:
            pass  # the engine closes; with the process all places go
        finally:
            place.release()

    async def close(self) -> None:
        """End what watches runs."""
        for task in self._watchers:
            task.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)


def caller(principal: Principal) -> str:
    """Whose places are counted together."""
    return f"{principal.tenant} {principal.user}"
