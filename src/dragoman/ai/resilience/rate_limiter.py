"""How fast requests may start: our own limit, and the provider's as its headers tell it.

First come, first served: only the head of the queue waits for tokens, the others wait for their
turn, and one that is cancelled hands the turn on. No lock is held while waiting.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import anyio

from dragoman.ai.resilience.waiting import Clock, Sleep
from dragoman.core.errors import UsageError
from dragoman.resilience.bucket import PeerLimit, TokenBucket
from dragoman.resilience.limits import LimitState, parse_limit_headers


@dataclass(frozen=True)
class RateLimiterConfig:
    """`requests_per_second` 0 switches the limit off; the burst is at least 1; the bucket starts full."""

    requests_per_second: float = 0.0
    burst_size: int | None = None
    initial_tokens: int | None = None

    @classmethod
    def from_rps(cls, rps: float, burst_multiplier: float = 1.5) -> RateLimiterConfig:
        """So many requests per second, with a burst of that many times `burst_multiplier`."""
        burst = max(1, int(rps * burst_multiplier))
        return cls(requests_per_second=rps, burst_size=burst, initial_tokens=burst)

    @classmethod
    def from_rpm(cls, rpm: float, burst_multiplier: float = 1.5) -> RateLimiterConfig:
        """So many requests per minute."""
        return cls.from_rps(rpm / 60, burst_multiplier)

    @classmethod
    def unlimited(cls) -> RateLimiterConfig:
        """No limit of our own."""
        return cls()

    def bucket(self, now: float) -> TokenBucket:
        """The bucket that this describes. Raises UsageError for a rate below 0."""
        capacity = float(max(1, self.burst_size or 1))
        tokens = capacity if self.initial_tokens is None else min(capacity, float(self.initial_tokens))
        return TokenBucket(float(self.requests_per_second), capacity, tokens, now)


class RateLimiter:
    """A token bucket with a fair queue.

    `clock` gives monotonic seconds, `sleep` waits. Usable from any event loop, one at a time.
    """

    def __init__(
        self,
        config: RateLimiterConfig | None = None,
        *,
        clock: Clock = time.monotonic,
        sleep: Sleep = anyio.sleep,
    ) -> None:
        self._config = config or RateLimiterConfig()
        self._clock = clock
        self._sleep = sleep
        self._bucket = self._config.bucket(clock())
        self._queue: deque[anyio.Event] = deque()

    @property
    def config(self) -> RateLimiterConfig:
        return self._config

    @property
    def available_tokens(self) -> float:
        """Tokens that could be taken now; the burst when there is no limit."""
        self._bucket.refill(self._clock())
        return max(0.0, self._bucket.tokens)

    @property
    def max_tokens(self) -> float:
        """The burst."""
        return self._bucket.capacity

    @property
    def is_limited(self) -> bool:
        """Whether a limit of our own is configured."""
        return self._bucket.rate > 0

    def get_wait_time(self, tokens: int = 1) -> float:
        """Seconds until so many tokens could be taken, those who wait already left aside."""
        return self._wait_for(tokens, hold=False)

    async def acquire(self, tokens: int = 1) -> float:
        """Take tokens, waiting behind all who came before; the seconds waited.

        More than the burst can be asked for: it waits until they have come.
        """
        _check(tokens)
        if not self._queue and not self._wait_for(tokens, hold=True):
            self._take(tokens)
            return 0.0
        since = self._clock()
        turn = anyio.Event()
        self._queue.append(turn)
        try:
            if self._queue[0] is not turn:
                await turn.wait()
            while wait := self._wait_for(tokens, hold=True):
                await self._sleep(wait)
            self._take(tokens)
        finally:
            self._queue.remove(turn)
            if self._queue:
                self._queue[0].set()
        return max(0.0, self._clock() - since)

    async def try_acquire(self, tokens: int = 1) -> bool:
        """Take tokens if they are there and nobody waits for them; never waits."""
        return self.take_now(tokens)

    def take_now(self, tokens: int = 1) -> bool:
        """`try_acquire` without an event loop."""
        _check(tokens)
        if self._queue or self._wait_for(tokens, hold=False):
            return False
        self._take(tokens)
        return True

    def give_back(self, tokens: int = 1) -> None:
        """Return tokens that were taken for a request that was not sent."""
        self._bucket.give_back(tokens)

    def reset(self) -> None:
        """A full bucket, as at the start; those who wait go on waiting."""
        self._bucket = self._config.bucket(self._clock())

    def _wait_for(self, tokens: int, *, hold: bool) -> float:
        return self._bucket.wait_for(tokens, self._clock(), hold=hold)

    def _take(self, tokens: int) -> None:
        self._bucket.take(tokens)


class AdaptiveRateLimiter(RateLimiter):
    """A rate limiter that also keeps to what the provider's headers say it has left.

    `header_config` names the headers by role (`requests_limit`, `requests_remaining`,
    `requests_reset`, `tokens_…`, `retry_after`): a mapping or a manifest's `rate_limit_headers`;
    None means the usual names. `wall` gives seconds since the epoch, for headers that hold a time.
    """

    def __init__(
        self,
        config: RateLimiterConfig | None = None,
        header_config: Any = None,
        *,
        clock: Clock = time.monotonic,
        sleep: Sleep = anyio.sleep,
        wall: Clock = time.time,
    ) -> None:
        super().__init__(config, clock=clock, sleep=sleep)
        self._names = header_names(header_config)
        self._wall = wall
        self._peer = PeerLimit()
        self._state = LimitState()
        self._learned_at = clock()

    def update_from_headers(self, headers: Mapping[str, str]) -> None:
        """Take over what an answer's headers say; names are compared case-blind, silence changes nothing."""
        self.update_from_state(parse_limit_headers(headers, self._wall(), names=self._names))

    def update_from_state(self, state: LimitState) -> None:
        """The same with headers that were read already."""
        if state:
            self._state = state
            self._learned_at = self._clock()
            self._peer.learn(state, self._learned_at)

    def get_pause(self) -> float:
        """Seconds for which the provider wants no request, by what it said last; 0 when it takes them."""
        return self._peer.wait_for(1, self._clock())

    def get_server_state(self) -> dict[str, Any]:
        """`limit`, `remaining` and `reset` (seconds from now) of requests as last heard; None where unknown."""
        requests = self._state.requests
        passed = self._clock() - self._learned_at
        reset = None if requests.reset is None else max(0.0, requests.reset - passed)
        return {"limit": requests.limit, "remaining": requests.remaining, "reset": reset}

    def reset(self) -> None:
        super().reset()
        self._peer = PeerLimit()
        self._state = LimitState()

    def give_back(self, tokens: int = 1) -> None:
        super().give_back(tokens)
        self._peer.give_back(tokens)

    def _wait_for(self, tokens: int, *, hold: bool) -> float:
        return max(super()._wait_for(tokens, hold=hold), self._peer.wait_for(tokens, self._clock()))

    def _take(self, tokens: int) -> None:
        super()._take(tokens)
        self._peer.take(tokens)


def header_names(config: Any) -> dict[str, str | None] | None:
    """Role → header name of a mapping or a manifest's `rate_limit_headers`; None when there is none."""
    if config is None:
        return None
    dumped = config.model_dump() if hasattr(config, "model_dump") else dict(config)
    return {role: name for role, name in dumped.items() if isinstance(name, str)} or None


def _check(tokens: int) -> None:
    if not (math.isfinite(tokens) and tokens > 0):
        raise UsageError(f"expected a number of tokens above 0, got {tokens!r}")
