"""How much one caller of the OpenAI face, and all of them together, may ask at once and in a minute.

Places are those of answers: one is held until its answer is over, also where nobody reads it any more. Nobody waits
for one: who finds none is told when to come back. Counts in this process.
"""

from __future__ import annotations

from collections import Counter
from functools import partial

from dragoman.core.errors import RateLimited
from dragoman.core.principal import Principal
from dragoman.server.occupancy import FULL_SECONDS, MINUTE, Occupancy, Place, caller
from dragoman.server.services import Services
from dragoman.server.settings import OpenAILimits


class Limits(Occupancy):
    """Counts the requests and the answers under way, of each caller, of each model, and of all."""

    def __init__(self, services: Services, settings: OpenAILimits) -> None:
        super().__init__(services.engine)
        self._rates = services.rates
        self._settings = settings
        self._concurrent = services.settings.models.concurrent
        self._running: Counter[str] = Counter()
        self._of_models: Counter[str] = Counter()
        self.open = 0

    def take_request(self, principal: Principal, now: float) -> None:
        """Count a request. Raises RateLimited, which says when one will pass."""
        most = self._settings.requests_per_minute
        if most is None:
            return
        try:
            self._rates.take(f"openai {caller(principal)}", (most, MINUTE), now)
        except RateLimited as error:
            text = f"Rate limit reached: at most {most} requests are taken in a minute."
            raise RateLimited(text, code="rate_limit_exceeded", retry_after=error.retry_after) from error

    def take(self, principal: Principal, model: str, most: int | None = None) -> Place:
        """A place for an answer of this model, of which `most` may be under way. Raises RateLimited if there is none."""
        who, settings = caller(principal), self._settings
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
        return Place(partial(self._give_back, who, model))

    def _give_back(self, who: str, model: str) -> None:
        self.open -= 1
        for counts, name in ((self._running, who), (self._of_models, model)):
            counts[name] -= 1
            if counts[name] <= 0:
                del counts[name]


def _full(text: str) -> RateLimited:
    return RateLimited(text, code="rate_limit_exceeded", retry_after=FULL_SECONDS)
