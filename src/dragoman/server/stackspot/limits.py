"""How much one caller of the StackSpot face may ask at once and in a minute.

Places are those of answers, not of connections: a call with an idempotency key keeps its place after its client has
gone, for its answer is still being made. Counts in this process.
"""

from __future__ import annotations

from collections import Counter
from functools import partial

from dragoman.core.errors import RateLimited
from dragoman.core.principal import Principal
from dragoman.server.occupancy import FULL_SECONDS, MINUTE, Occupancy, Place, caller
from dragoman.server.services import Services
from dragoman.server.settings import StackSpotLimits
from dragoman.server.stackspot.errors import CHAT_RATE, refuse


class Limits(Occupancy):
    """Counts the requests and the answers under way of each caller."""

    def __init__(self, services: Services, settings: StackSpotLimits) -> None:
        super().__init__(services.engine)
        self._rates = services.rates
        self._settings = settings
        self._running: Counter[str] = Counter()

    def take_request(self, principal: Principal, now: float, *, code: str = CHAT_RATE) -> None:
        """Count a request. Raises RateLimited with this code, which says when one will pass."""
        most = self._settings.requests_per_minute
        if most is None:
            return
        try:
            self._rates.take(f"stackspot {caller(principal)}", (most, MINUTE), now)
        except RateLimited as error:
            text = f"At most {most} requests are taken in a minute."
            raise refuse(429, code, text, retry_after=error.retry_after) from error

    def take_run(self, principal: Principal, *, code: str = CHAT_RATE) -> Place:
        """A place for an answer. Raises RateLimited with this code if the caller has too many under way."""
        who = caller(principal)
        if self._running[who] >= self._settings.parallel:
            text = f"{self._settings.parallel} answers are under way; wait for one of them."
            raise refuse(429, code, text, retry_after=FULL_SECONDS)
        self._running[who] += 1
        return Place(partial(self._give_back, who))

    def _give_back(self, who: str) -> None:
        self._running[who] -= 1
        if self._running[who] <= 0:
            del self._running[who]
