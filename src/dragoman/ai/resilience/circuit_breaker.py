"""Stop asking a provider that keeps failing, and try it again with care.

The rules of the states stand in `dragoman.resilience.breaker`; this shell runs operations, says
which of their errors count, and keeps statistics.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import anyio

from dragoman.ai.resilience.judging import blames_the_provider
from dragoman.ai.resilience.refusals import CircuitOpenError, OperationTimeout
from dragoman.ai.resilience.waiting import Clock, Late, Sleep, from_env, within
from dragoman.resilience.breaker import Breaker
from dragoman.resilience.breaker import BreakerState as CircuitState

__all__ = ["CircuitBreaker", "CircuitBreakerConfig", "CircuitOpenError", "CircuitState", "CircuitStats"]

T = TypeVar("T")


@dataclass(frozen=True)
class CircuitBreakerConfig:
    """`timeout_seconds` bounds one operation, None leaves it alone; the rest is as its name says."""

    failure_threshold: int = 5
    success_threshold: int = 2
    cooldown_seconds: float = 30.0
    timeout_seconds: float | None = None
    half_open_max_concurrent: int = 1

    @classmethod
    def default(cls) -> CircuitBreakerConfig:
        return cls()

    @classmethod
    def from_env(cls) -> CircuitBreakerConfig:
        """`AI_LIB_BREAKER_FAILURE_THRESHOLD`, `AI_LIB_BREAKER_COOLDOWN_SECS`, the defaults where not set."""
        return cls(
            failure_threshold=from_env("AI_LIB_BREAKER_FAILURE_THRESHOLD", int, 5),
            cooldown_seconds=from_env("AI_LIB_BREAKER_COOLDOWN_SECS", float, 30.0),
        )


@dataclass
class CircuitStats:
    """What went through one breaker; times are of its clock. What proves nothing is in the total alone."""

    total_requests: int = 0
    successful_requests: int = 0
    failed_requests: int = 0
    rejected_requests: int = 0
    state_changes: int = 0
    last_failure_time: float | None = None
    last_success_time: float | None = None


class CircuitBreaker:
    """Lets operations through, refuses them, or lets a few try, by how the last ones went.

    `on_open` is called each time it opens.
    """

    def __init__(
        self,
        config: CircuitBreakerConfig | None = None,
        *,
        clock: Clock = time.monotonic,
        sleep: Sleep = anyio.sleep,
        on_open: Callable[[], None] | None = None,
    ) -> None:
        self._config = config or CircuitBreakerConfig()
        self._clock = clock
        self._sleep = sleep
        self._on_open = on_open
        self._stats = CircuitStats()
        self._breaker = Breaker(
            failure_threshold=self._config.failure_threshold,
            success_threshold=self._config.success_threshold,
            cooldown=self._config.cooldown_seconds,
            trials_at_once=self._config.half_open_max_concurrent,
        )

    @property
    def config(self) -> CircuitBreakerConfig:
        return self._config

    @property
    def state(self) -> CircuitState:
        return self._breaker.state(self._clock())

    @property
    def is_closed(self) -> bool:
        return self.state is CircuitState.CLOSED

    @property
    def is_open(self) -> bool:
        return self.state is CircuitState.OPEN

    @property
    def is_half_open(self) -> bool:
        return self.state is CircuitState.HALF_OPEN

    @property
    def failure_count(self) -> int:
        """Failures that count at present."""
        return self._breaker.failures

    @property
    def success_count(self) -> int:
        """Successful trials since the breaker is half open."""
        return self._breaker.successes

    def get_time_until_retry(self) -> float | None:
        """Seconds until a trial may be made; None unless the breaker is open."""
        return self._breaker.retry_in(self._clock())

    def allow(self) -> bool:
        """Permission for one request, which `on_success`, `on_failure` or `on_abandoned` must settle."""
        return self.ask() is not None

    def ask(self) -> int | None:
        """`allow`, giving the era for settling; None is a refusal."""
        era = self._breaker.ask(self._clock())
        if era is None:
            self._stats.rejected_requests += 1
        else:
            self._stats.total_requests += 1
        return era

    def on_success(self, era: int | None = None) -> None:
        """A permitted request succeeded. With its `era` one from before a change of state does not count."""
        now = self._clock()
        self._stats.successful_requests += 1
        self._stats.last_success_time = now
        self._breaker.succeeded(now, era)

    def on_failure(self, era: int | None = None) -> None:
        """A permitted request failed, and the provider is to blame."""
        now = self._clock()
        self._stats.failed_requests += 1
        self._stats.last_failure_time = now
        was_open = self._breaker.state(now) is CircuitState.OPEN
        self._breaker.failed(now, era)
        if self._on_open is not None and not was_open and self._breaker.state(now) is CircuitState.OPEN:
            self._on_open()

    def on_abandoned(self, era: int | None = None) -> None:
        """A permitted request proved nothing: cancelled, or the caller's own mistake."""
        self._breaker.abandoned(self._clock(), era)

    def settle(self, error: BaseException | None, era: int | None = None) -> None:
        """One of the three, by how the request ended; None is success."""
        if error is None:
            self.on_success(era)
        elif blames_the_provider(error):
            self.on_failure(era)
        else:
            self.on_abandoned(era)

    def refusal(self) -> CircuitOpenError:
        """The error for a refused request."""
        retry_in = self.get_time_until_retry()
        if retry_in is None:
            return CircuitOpenError("the circuit breaker is half open and its trials are under way")
        return CircuitOpenError(f"the circuit breaker is open; try again in {retry_in:.3g} s", retry_in)

    async def execute(
        self, operation: Callable[[], Awaitable[T]], fallback: Callable[[], Awaitable[T]] | None = None
    ) -> T:
        """Run the operation if the breaker lets it through, else `fallback`.

        Raises CircuitOpenError when refused without a fallback, OperationTimeout (a TransportError)
        when it takes longer than `timeout_seconds`, else what the operation raises.
        """
        era = self.ask()
        if era is None:
            if fallback is None:
                raise self.refusal()
            return await fallback()
        try:
            value = await self.timed(operation)
        except BaseException as error:
            self.settle(error, era)
            raise
        self.on_success(era)
        return value

    async def timed(self, operation: Callable[[], Awaitable[T]]) -> T:
        """Run the operation within `timeout_seconds`, judging nothing."""
        limit = self._config.timeout_seconds
        if limit is None:
            return await operation()
        try:
            return await within(limit, operation, self._sleep)
        except Late:
            raise OperationTimeout(f"the operation took longer than {limit:g} s") from None

    def reset(self) -> None:
        """Closed, as at the start; the statistics go on."""
        self._breaker.reset()

    def get_stats(self) -> CircuitStats:
        """A copy."""
        self._breaker.state(self._clock())
        return replace(self._stats, state_changes=self._breaker.changes)
