"""How the policies are doing, as plain values: for dashboards, for choosing a model, for health checks.

Taken from the real parts; nothing here changes them.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any

from dragoman.ai.resilience.circuit_breaker import CircuitBreaker, CircuitState
from dragoman.ai.resilience.rate_limiter import RateLimiter


@dataclass(frozen=True)
class InflightSnapshot:
    """Places: `in_use` of `max_concurrent`."""

    max_concurrent: int
    available: int
    in_use: int

    @property
    def utilization(self) -> float:
        """0 to 1; 0 without a limit."""
        return min(1.0, self.in_use / self.max_concurrent) if self.max_concurrent > 0 else 0.0

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "utilization": self.utilization}


@dataclass(frozen=True)
class RateLimiterSnapshot:
    """The bucket; `refill_rate` is tokens per second, `is_throttled` that a request would wait now."""

    tokens_available: float
    max_tokens: float
    refill_rate: float
    is_throttled: bool = False

    @property
    def utilization(self) -> float:
        """0 for a full bucket, 1 for an empty one."""
        if self.max_tokens <= 0:
            return 0.0
        return min(1.0, max(0.0, 1 - self.tokens_available / self.max_tokens))

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "utilization": self.utilization}

    @classmethod
    def of(cls, limiter: RateLimiter) -> RateLimiterSnapshot:
        """The limiter as it is now."""
        return cls(
            tokens_available=limiter.available_tokens,
            max_tokens=limiter.max_tokens,
            refill_rate=limiter.config.requests_per_second,
            is_throttled=limiter.get_wait_time() > 0,
        )


@dataclass(frozen=True)
class CircuitBreakerSnapshot:
    """The breaker; `state` is closed, open or half_open, `last_failure_time` a time of its clock."""

    state: str
    failure_count: int
    failure_threshold: int
    success_count: int = 0
    last_failure_time: float | None = None
    cooldown_remaining_ms: float | None = None

    @property
    def is_open(self) -> bool:
        return self.state == CircuitState.OPEN.value

    @property
    def is_closed(self) -> bool:
        return self.state == CircuitState.CLOSED.value

    @property
    def is_half_open(self) -> bool:
        return self.state == CircuitState.HALF_OPEN.value

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "is_open": self.is_open}

    @classmethod
    def of(cls, breaker: CircuitBreaker) -> CircuitBreakerSnapshot:
        """The breaker as it is now."""
        remaining = breaker.get_time_until_retry()
        return cls(
            state=breaker.state.value,
            failure_count=breaker.failure_count,
            failure_threshold=breaker.config.failure_threshold,
            success_count=breaker.success_count,
            last_failure_time=breaker.get_stats().last_failure_time,
            cooldown_remaining_ms=None if remaining is None else remaining * 1000,
        )


@dataclass(frozen=True)
class SignalsSnapshot:
    """All signals of one moment; None where there is no such policy. `timestamp` is epoch seconds."""

    inflight: InflightSnapshot | None = None
    rate_limiter: RateLimiterSnapshot | None = None
    circuit_breaker: CircuitBreakerSnapshot | None = None
    timestamp: float = field(default_factory=time.time)
    provider: str | None = None
    model: str | None = None

    @property
    def is_healthy(self) -> bool:
        """Whether a request would go through now: no open breaker, no empty bucket, a free place."""
        if self.circuit_breaker is not None and self.circuit_breaker.is_open:
            return False
        if self.rate_limiter is not None and self.rate_limiter.is_throttled:
            return False
        return self.inflight is None or self.inflight.max_concurrent <= 0 or self.inflight.available > 0

    @property
    def health_score(self) -> float:
        """0 (nothing goes through) to 1: the mean of what is known, 1 when nothing is."""
        scores: list[float] = []
        if self.circuit_breaker is not None:
            scores.append({"closed": 1.0, "half_open": 0.5}.get(self.circuit_breaker.state, 0.0))
        if self.rate_limiter is not None:
            scores.append(0.0 if self.rate_limiter.is_throttled else 1 - self.rate_limiter.utilization)
        if self.inflight is not None:
            scores.append(1 - self.inflight.utilization)
        return sum(scores) / len(scores) if scores else 1.0

    def to_dict(self) -> dict[str, Any]:
        return {
            "inflight": self.inflight.to_dict() if self.inflight else None,
            "rate_limiter": self.rate_limiter.to_dict() if self.rate_limiter else None,
            "circuit_breaker": self.circuit_breaker.to_dict() if self.circuit_breaker else None,
            "timestamp": self.timestamp,
            "provider": self.provider,
            "model": self.model,
            "is_healthy": self.is_healthy,
            "health_score": self.health_score,
        }

    @classmethod
    def from_components(
        cls,
        inflight: tuple[int, int] | None = None,
        rate_limiter: RateLimiter | None = None,
        circuit_breaker: CircuitBreaker | None = None,
        provider: str | None = None,
        model: str | None = None,
    ) -> SignalsSnapshot:
        """From the parts themselves; `inflight` is (most at once, under way now)."""
        places = None
        if inflight is not None:
            most, under_way = inflight
            places = InflightSnapshot(most, max(0, most - under_way), under_way)
        return cls(
            inflight=places,
            rate_limiter=RateLimiterSnapshot.of(rate_limiter) if rate_limiter else None,
            circuit_breaker=CircuitBreakerSnapshot.of(circuit_breaker) if circuit_breaker else None,
            provider=provider,
            model=model,
        )
