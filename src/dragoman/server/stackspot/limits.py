"""How much one caller of the StackSpot face may ask at once and in a minute.

Places are those of answers, not of connections: a call with an idempotency key keeps its place after its client has
gone, for its answer is still being made. Counts in this process.
"""

from __future__ import annotations

import asyncio
from collections import Counter

from dragoman.core.errors import RateLimited, Unavailable
from dragoman.core.principal import Principal
from dragoman.server.services import Services
from dragoman.server.settings import StackSpotLimits
from dragoman.server.stackspot.errors import CHAT_RATE, refuse

MINUTE = 60.0
_FULL_SECONDS = 1.0
"""When to come back if all places are taken: answers end at any time."""


class Place:
    """One answer's place; `release` may be called more than once."""

    __slots__ = ("_limits", "_who")

    def __init__(self, limits: Limits, who: str) -> None:
        self._limits: Limits | None = limits
        self._who = who

    def release(self) -> None:
        """Let another answer have the place."""
        limits, self._limits = self._limits, None
        if limits is not None:
            limits.give_back(self._who)


class Limits:
    """Counts the requests and the answers under way of each caller."""

    def __init__(self, services: Services, settings: StackSpotLimits) -> None:
        self._services = services
        self._settings = settings
        self._running: Counter[str] = Counter()
        self._watchers: set[asyncio.Task[None]] = set()

    def take_request(self, principal: Principal, now: float, *, code: str = CHAT_RATE) -> None:
        """Count a request. Raises RateLimited with this code, which says when one will pass."""
        most = self._settings.requests_per_minute
        if most is None:
            return
        try:
            self._services.rates.take(f"stackspot {_name(principal)}", (most, MINUTE), now)
        except RateLimited as error:
            text = f"At most {most} requests are taken in a minute."
            raise refuse(429, code, text, retry_after=error.retry_after) from error

    def take_run(self, principal: Principal, *, code: str = CHAT_RATE) -> Place:
        """A place for an answer. Raises RateLimited with this code if the caller has too many under way."""
        who = _name(principal)
        if self._running[who] >= self._settings.parallel:
            text = f"{self._settings.parallel} answers are under way; wait for one of them."
            raise refuse(429, code, text, retry_after=_FULL_SECONDS)
        self._running[who] += 1
        return Place(self, who)

    def give_back(self, who: str) -> None:
        """Called by a place."""
        self._running[who] -= 1
        if self._running[who] <= 0:
            del self._running[who]

    def release_at_end(self, place: Place, run_id: str, after: int) -> None:
        """Free the place as soon as the run has ended, though nobody reads it."""
        task = asyncio.create_task(self._watch(place, run_id, after), name=f"place of run {run_id}")
        self._watchers.add(task)
        task.add_done_callback(self._watchers.discard)

    async def _watch(self, place: Place, run_id: str, after: int) -> None:
        try:
            tail = self._services.engine.tail(run_id, after=after)
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


def _name(principal: Principal) -> str:
    return f"{principal.tenant} {principal.user}"
