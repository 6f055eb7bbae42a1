"""A token bucket, and what a peer says about its own: how long to wait before the next request.

`TokenBucket` is our limit, `PeerLimit` the peer's. Both are told the time and never read it; who
waits, and in which order, is for the rate limiter above.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from dragoman.core.errors import UsageError
from dragoman.resilience.limits import LimitState

GRAIN = 1e-6
"""Seconds that count as no wait at all: below what a clock of epoch size can show."""
LONGEST_WORD = 86400.0
"""Seconds for which a peer is believed that it takes no request."""


@dataclass(slots=True)
class TokenBucket:
    """`rate` tokens per second flow in, at most `capacity` are kept; a rate of 0 means no limit.

    Times are seconds on any clock that does not go back.
    """

    rate: float
    capacity: float
    tokens: float
    at: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.rate) and self.rate >= 0 and self.capacity > 0):
            raise UsageError(f"expected a rate of at least 0 and a capacity above 0, got {self!r}")

    def refill(self, now: float, *, room: float = 0.0) -> None:
        """Let flow in what has come since the last time. `room`: keep up to that many beyond the capacity."""
        passed = max(0.0, now - self.at)
        self.at = now
        self.tokens = min(self.tokens + passed * self.rate, max(self.capacity, room))

    def wait_for(self, amount: float, now: float, *, hold: bool = False) -> float:
        """Seconds until `amount` tokens are there, 0 if they are now.

        `hold` keeps what flows in beyond the capacity, for one that waits for more than that.
        """
        if not self.rate:
            return 0.0
        self.refill(now, room=amount if hold else 0.0)
        wait = (amount - self.tokens) / self.rate
        return wait if wait > GRAIN else 0.0

    def take(self, amount: float) -> None:
        """Use up tokens that `wait_for` said are there."""
        if self.rate:
            self.tokens -= amount

    def give_back(self, amount: float) -> None:
        """Return tokens that were taken and not used."""
        if self.rate:
            self.tokens = min(self.tokens + amount, self.capacity)


@dataclass(slots=True)
class PeerLimit:
    """What the peer has left by its own count, from its headers.

    `remaining` requests until `until`; none before `tokens_until` (its tokens are used up) and
    `paused_until` (it said so).
    """

    remaining: int | None = None
    until: float = 0.0
    tokens_until: float = 0.0
    paused_until: float = 0.0

    def learn(self, state: LimitState, now: float) -> None:
        """Take over what an answer said; newer words replace older ones, a pause is never shortened.

        A count without a reset is not kept: nobody could tell when it ends. No word holds for longer than
        a day: then the peer is asked anew.
        """
        requests, tokens = state.requests, state.tokens
        if requests.remaining is not None:
            self.remaining = requests.remaining if requests.reset is not None else None
            self.until = now + min(requests.reset or 0.0, LONGEST_WORD)
        if tokens.remaining is not None:
            self.tokens_until = now + min(tokens.reset or 0.0, LONGEST_WORD) if tokens.remaining == 0 else 0.0
        if state.retry_after is not None:
            self.paused_until = max(self.paused_until, now + min(state.retry_after, LONGEST_WORD))

    def wait_for(self, amount: float, now: float) -> float:
        """Seconds until the peer will take `amount` more, as far as is known.

        An amount above all that is left waits for the reset; after it nothing is known and nothing
        is held back.
        """
        if self.remaining is not None and now >= self.until - GRAIN:
            self.remaining = None
        moments = [self.tokens_until, self.paused_until]
        if self.remaining is not None and self.remaining < amount:
            moments.append(self.until)
        wait = max(moments) - now
        return wait if wait > GRAIN else 0.0

    def take(self, amount: float) -> None:
        """Count what is on its way to the peer."""
        if self.remaining is not None:
            self.remaining = max(0, self.remaining - math.ceil(amount))

    def give_back(self, amount: float) -> None:
        """It was not sent after all."""
        if self.remaining is not None:
            self.remaining += math.ceil(amount)
