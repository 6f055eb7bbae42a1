"""How much one caller of the OpenAI face, and all of them together, may ask at once and in a minute.

Places are those of answers: one is held until its answer is over, also where nobody reads it any more. Nobody waits
for one: who finds none is told when to come back. Counts in this process.
"""

from __future__ import annotations

import asyncio
from collections import Counter

from dragoman.core.errors import RateLimited, Unavailable
from dragoman.core.principal import Principal
from dragoman.server.services import Services
from dragoman.server.settings import OpenAILimits

MINUTE = 60.0
FULL_SECONDS = 1.0
"""When to come back if all places are taken: answers end at any time."""


class Place:
    """One answer's place; `release` may be called more than once."""

    __slots__ = ("_limits", "_model", "_who")

    def __init__(self, limits: Limits, who: str, model: str) -> None:
        self._limits: Limits | None = limits
        self._who = who
        self._model = model

    def release(self) -> None:
        """Let another answer have the place."""
        limits, self._limits = self._limits, None
        if limits is not None:
            limits.give_back(self._who, self._model)


class Limits:
    """Counts the requests and the answers under way, of each caller, of each model, and of all."""

    def __init__(self, services: Services, settings: OpenAILimits) -> None:
        self._services = services
        self._settings = settings
        self._concurrent = services.settings.models.concurrent
        self._running: Counter[str] = Counter()
        self._of_models: Counter[str] = Counter()
        self._watchers: set[asyncio.Task[None]] = set()
        self.open = 0

    def take_request(self, principal: Principal, now: float) -> None:
        """Count a request. Raises RateLimited, which says when one will pass."""
        most = self._settings.requests_per_minute
        if most is None:
            return
        try:
            self._services.rates.take(f"openai {_name(principal)}", (most, MINUTE), now)
        except RateLimited as error:
            text = f"Rate limit reached: at most {most} requests are taken in a minute."
            raise RateLimited(text, code="rate_limit_exceeded", retry_after=error.retry_after) from error

    def take(self, principal: Principal, model: str, most: int | None = None) -> Place:
        """A place for an answer of this model, of which `most` may be under way. Raises RateLimited if there is none."""
        who, settings = _name(principal), self._settings
        if self.open >= settings.calls:
            raise _full(f"{settings.calls} model calls are under way, which is as many as there may be.")
        if self._running[who] >= settings.parallel:
            raise _full(f"{settings.parallel} answers of yours are under way; wait for one of them.")
        concurrent = min((each for each in (self._concurrent, most) if each), default=None)
        if concurrent is not None and self._of_models[model] >= concurrent:
            raise _full(f"{concurrent} calls of this model are under way; wait for one of them.")
        self._running[who] += 1
        self._of_models[model] += 1
        self.open += 1
        return Place(self, who, model)

    def give_back(self, who: str, model: str) -> None:
        """Called by a place."""
        self.open -= 1
        for counts, name in ((self._running, who), (self._of_models, model)):
            counts[name] -= 1
            if counts[name] <= 0:
                del counts[name]

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


def _full(text: str) -> RateLimited:
    return RateLimited(text, code="rate_limit_exceeded", retry_after=FULL_SECONDS)


def _name(principal: Principal) -> str:
    return f"{principal.tenant} {principal.user}"
