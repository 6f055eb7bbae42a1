"""All policies around one call, in a fixed order.

    backpressure ( retry ( limiter → breaker → operation ) )

The place is taken once and held to the end; each attempt passes limiter and breaker anew. A stream
is opened in the same way (`open`): its operation ends when the first event is there, from then on
nothing is tried again, and the place is held until the lease is released.
"""

from __future__ import annotations

import random as _random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, TypeVar

import anyio

from dragoman.ai.errors import ErrorClass
from dragoman.ai.resilience.backpressure import Backpressure, BackpressureConfig
from dragoman.ai.resilience.circuit_breaker import CircuitBreaker, CircuitBreakerConfig, CircuitState
from dragoman.ai.resilience.judging import blames_the_provider
from dragoman.ai.resilience.rate_limiter import AdaptiveRateLimiter, RateLimiterConfig, header_names
from dragoman.ai.resilience.refusals import PreflightError
from dragoman.ai.resilience.retry import OnRetry, RetryConfig, RetryPolicy, RetryResult
from dragoman.ai.resilience.waiting import Clock, Random, Sleep

T = TypeVar("T")


@dataclass(frozen=True)
class ResilientConfig:
    """Which policies are on; None switches one off. `limit_headers` names a provider's headers by role."""

    retry: RetryConfig | None = None
    rate_limit: RateLimiterConfig | None = None
    circuit_breaker: CircuitBreakerConfig | None = None
    backpressure: BackpressureConfig | None = None
    limit_headers: Mapping[str, str | None] | None = None

    @classmethod
    def default(cls) -> ResilientConfig:
        """All four, each with its defaults; no rate limit of our own."""
        return cls(RetryConfig(), RateLimiterConfig(), CircuitBreakerConfig(), BackpressureConfig())

    @classmethod
    def minimal(cls) -> ResilientConfig:
        """Two retries and nothing else."""
        return cls(retry=RetryConfig(max_retries=2))

    @classmethod
    def production(cls) -> ResilientConfig:
        """Three retries of 1 s to 30 s, 10 requests a second, a breaker, ten requests at once."""
        return cls(
            retry=RetryConfig(max_retries=3, min_delay_ms=1000, max_delay_ms=30000),
            rate_limit=RateLimiterConfig.from_rps(10),
            circuit_breaker=CircuitBreakerConfig(failure_threshold=5, cooldown_seconds=30.0),
            backpressure=BackpressureConfig(max_concurrent=10),
        )

    @classmethod
    def from_manifest(cls, manifest: Any) -> ResilientConfig:
        """What the manifest says: its retry policy, and its limits as its headers tell them."""
        policy = manifest.retry_policy
        stated: Mapping[str, Any] = manifest.raw.get("retry_policy") or {}
        headers = header_names(manifest.rate_limit_headers)
        return cls(
            retry=None if policy is None else RetryConfig.from_protocol({**stated, "jitter": policy.jitter}),
            rate_limit=RateLimiterConfig.unlimited() if headers else None,
            limit_headers=headers,
        )


@dataclass
class ExecutionStats:
    """How one call went through the policies."""

    success: bool
    retry_result: RetryResult | None = None
    rate_limit_wait_ms: float = 0.0
    circuit_state: str = "unknown"
    inflight_at_start: int = 0

    @property
    def retry_count(self) -> int:
        """Attempts after the first."""
        return max(0, self.retry_result.attempts - 1) if self.retry_result else 0


@dataclass
class _Attempt:
    """Where the attempt under way stands with the breaker."""

    era: int | None = None
    settled: bool = True


class Lease(Generic[T]):
    """An opened stream with the place it holds. Release it when the stream is over; `async with` does.

    `value` is what the operation gave, `stats` how it was opened.
    """

    def __init__(self, value: T, stats: ExecutionStats, end: Callable[[BaseException | None], None]) -> None:
        self.value = value
        self.stats = stats
        self._end: Callable[[BaseException | None], None] | None = end

    @property
    def released(self) -> bool:
        return self._end is None

    async def release(self, error: BaseException | None = None) -> None:
        """Give the place back and tell the breaker how the stream ended; again, it does nothing. Never waits."""
        end, self._end = self._end, None
        if end is not None:
            end(error)

    def and_then(self, call: Callable[[BaseException | None], None]) -> Lease[T]:
        """The same lease, whose release calls this as well, with the error that it was released with."""
        before = self._end

        def end(error: BaseException | None) -> None:
            try:
                if before is not None:
                    before(error)
            finally:
                call(error)

        self._end = end
        return self

    async def __aenter__(self) -> Lease[T]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.release(error)


def _nothing(error: BaseException | None) -> None:
    """There is no place to give back."""


class ResilientExecutor:
    """Runs operations through the policies of a configuration; `name` is for statistics.

    `clock` gives monotonic seconds, `wall` seconds since the epoch, `random` numbers in [0, 1).
    `on_wait` is told the seconds that a request waited for the limiter, `on_open` that the breaker opened.
    """

    def __init__(
        self,
        config: ResilientConfig | None = None,
        name: str = "default",
        *,
        clock: Clock = time.monotonic,
        sleep: Sleep = anyio.sleep,
        random: Random = _random.random,
        wall: Clock = time.time,
        on_wait: Callable[[float], None] | None = None,
        on_open: Callable[[], None] | None = None,
    ) -> None:
        self._config = config or ResilientConfig()
        self._name = name
        self._on_wait = on_wait
        chosen = self._config
        self.retry = RetryPolicy(chosen.retry, sleep=sleep, random=random) if chosen.retry else None
        self.limiter = (
            AdaptiveRateLimiter(chosen.rate_limit, chosen.limit_headers, clock=clock, sleep=sleep, wall=wall)
            if chosen.rate_limit
            else None
        )
        self.breaker = (
            CircuitBreaker(chosen.circuit_breaker, clock=clock, sleep=sleep, on_open=on_open)
            if chosen.circuit_breaker
            else None
        )
        self.backpressure = Backpressure(chosen.backpressure, clock=clock, sleep=sleep) if chosen.backpressure else None

    @property
    def _has_no_policy(self) -> bool:
        return not (self.retry or self.limiter or self.breaker or self.backpressure)

    @property
    def name(self) -> str:
        return self._name

    @property
    def config(self) -> ResilientConfig:
        return self._config

    @property
    def circuit_state(self) -> str:
        """`closed`, `open`, `half_open`, or `disabled` without a breaker."""
        return self.breaker.state.value if self.breaker else "disabled"

    @property
    def current_inflight(self) -> int:
        """Places taken now; 0 without backpressure."""
        return self.backpressure.current_inflight if self.backpressure else 0

    async def execute(self, operation: Callable[[], Awaitable[T]], on_retry: OnRetry | None = None) -> T:
        """The operation's value; raises its last error, or the refusal of a policy."""
        return (await self.execute_with_stats(operation, on_retry))[0]

    async def execute_with_stats(
        self, operation: Callable[[], Awaitable[T]], on_retry: OnRetry | None = None
    ) -> tuple[T, ExecutionStats]:
        """`execute`, and how it went."""
        async with await self.open(operation, on_retry) as lease:
            return lease.value, lease.stats

    async def open(self, operation: Callable[[], Awaitable[T]], on_retry: OnRetry | None = None) -> Lease[T]:
        """The operation's value with a place that is held until the lease is released.

        The operation is to return as soon as the first event of its stream is there.
        """
        if self._has_no_policy:
            return Lease(await operation(), ExecutionStats(success=True, circuit_state=self.circuit_state), _nothing)
        stats = ExecutionStats(success=False, inflight_at_start=self.current_inflight)
        last = _Attempt()

        async def attempt() -> T:
            return await self._attempt(operation, stats, last)

        if self.backpressure:
            await self.backpressure.enter()
        try:
            if self.retry:
                stats.retry_result = RetryResult(success=False)
                value = await self.retry.run(attempt, on_retry, stats.retry_result)
            else:
                value = await attempt()
        except BaseException:
            self._leave()
            raise
        stats.success = True
        stats.circuit_state = self.circuit_state

        def end(error: BaseException | None) -> None:
            self._settle(last, error)
            stats.circuit_state = self.circuit_state
            self._leave()

        return Lease(value, stats, end)

    async def _attempt(self, operation: Callable[[], Awaitable[T]], stats: ExecutionStats, last: _Attempt) -> T:
        if self.limiter:
            self._require_patience(self.limiter.get_pause())
            waited = await self.limiter.acquire()
            stats.rate_limit_wait_ms += waited * 1000
            if waited and self._on_wait is not None:
                self._on_wait(waited)
        if not self.breaker:
            return await operation()
        era = self.breaker.ask()
        if era is None:
            if self.limiter:
                self.limiter.give_back()
            raise self.breaker.refusal()
        last.era, last.settled = era, False
        try:
            value = await self.breaker.timed(operation)
        except BaseException as error:
            self._settle(last, error)
            raise
        if self.breaker.state is CircuitState.HALF_OPEN:
            self._settle(last, None)  # a trial has answered; the next one need not wait for the stream's end
        return value

    def _require_patience(self, pause: float) -> None:
        """What retries would not wait for, the limiter does not wait for either."""
        if self.retry and pause > self.retry.patience:
            raise PreflightError(
                f"the provider asked to be left alone for another {pause:.3g} s",
                "rate_limiter",
                retry_after_ms=pause * 1000,
                error_class=ErrorClass.RATE_LIMITED,
            )

    def _settle(self, last: _Attempt, error: BaseException | None) -> None:
        """Tell the breaker how an attempt ended, once; a trial that had answered may still turn out a failure."""
        if not self.breaker:
            return
        if not last.settled:
            last.settled = True
            self.breaker.settle(error, last.era)
        elif last.era is not None and error is not None and blames_the_provider(error):
            self.breaker.on_failure()

    def _leave(self) -> None:
        if self.backpressure:
            self.backpressure.release()

    def update_from_headers(self, headers: Mapping[str, str]) -> None:
        """Let the limiter keep to what an answer's headers say is left."""
        if self.limiter:
            self.limiter.update_from_headers(headers)

    def get_stats(self) -> dict[str, Any]:
        """`name`, and a part for each policy that is on."""
        stats: dict[str, Any] = {"name": self._name}
        if self.limiter:
            stats["rate_limiter"] = {
                "available_tokens": self.limiter.available_tokens,
                "is_limited": self.limiter.is_limited,
            }
        if self.breaker:
            counted = self.breaker.get_stats()
            stats["circuit_breaker"] = {
                "state": self.circuit_state,
                "total_requests": counted.total_requests,
                "failed_requests": counted.failed_requests,
                "rejected_requests": counted.rejected_requests,
            }
        if self.backpressure:
            stats["backpressure"] = self.backpressure.get_stats()
        return stats

    def reset(self) -> None:
        """The breaker closed, the bucket full; what is under way keeps its place."""
        if self.breaker:
            self.breaker.reset()
        if self.limiter:
            self.limiter.reset()
