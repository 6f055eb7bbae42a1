"""Preflight with the real parts, and the signals they give."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dragoman.ai.errors import AiLibError, TransportError, ValidationError
from dragoman.ai.resilience import (
    AdaptiveRateLimiter,
    Backpressure,
    BackpressureConfig,
    CircuitBreaker,
    CircuitBreakerConfig,
    CircuitBreakerSnapshot,
    InflightSnapshot,
    PreflightChecker,
    PreflightConfig,
    PreflightContext,
    RateLimiter,
    RateLimiterConfig,
    RateLimiterSnapshot,
    SignalsSnapshot,
)


class Parts:
    """The three policies, and a checker over them."""

    def __init__(self, clock: Any, **config: Any) -> None:
        self.limiter = AdaptiveRateLimiter(
            RateLimiterConfig(0.1, 2), clock=clock, sleep=clock.sleep, wall=lambda: 1_800_000_000.0
        )
        self.breaker = CircuitBreaker(CircuitBreakerConfig(failure_threshold=1), clock=clock)
        self.places = Backpressure(BackpressureConfig(1), clock=clock)
        self.checker = PreflightChecker(
            self.limiter, self.breaker, self.places, PreflightConfig(**config), provider="acme", model="m"
        )


@pytest.fixture
def parts(clock: Any) -> Parts:
    return Parts(clock)


@pytest.mark.requirement("AIP-71")
async def test_a_check_passes_and_holds_what_it_took(parts: Parts) -> None:
    result = await parts.checker.check()
    assert (result.passed, result.errors) == (True, [])
    assert (parts.places.current_inflight, parts.limiter.available_tokens) == (1, pytest.approx(1))
    parts.checker.on_success()
    result.release_permit()
    result.release_permit()
    assert (parts.places.current_inflight, result.permit) == (0, None)
    assert parts.breaker.get_stats().successful_requests == 1


@pytest.mark.requirement("AIP-71")
async def test_without_any_part_everything_passes() -> None:
    result = await PreflightChecker().check()
    assert result.passed
    result.release_permit()


@pytest.mark.requirement("AIP-71")
async def test_each_part_can_refuse_and_a_refusal_takes_nothing(parts: Parts, clock: Any) -> None:
    await parts.places.enter()
    result = await parts.checker.check()
    assert (result.passed, result.permit, [error.component for error in result.errors]) == (
        False,
        None,
        ["backpressure"],
    )
    assert result.errors[0].retry_after_ms == 30000
    assert parts.limiter.available_tokens == pytest.approx(2), "the token went back"
    parts.places.release()
    assert await parts.limiter.try_acquire(2)
    result = await parts.checker.check()
    assert [error.component for error in result.errors] == ["rate_limiter"]
    assert result.errors[0].retry_after_ms == pytest.approx(10000)
    parts.breaker.on_failure()
    result = await parts.checker.check()
    assert [error.component for error in result.errors] == ["circuit_breaker"]
    assert (result.errors[0].retryable, result.errors[0].retry_after_ms) == (True, pytest.approx(30000))
    assert isinstance(result.errors[0], AiLibError)
    assert parts.places.current_inflight == 0


@pytest.mark.requirement("AIP-71")
async def test_without_fail_fast_all_refusals_are_listed(clock: Any) -> None:
    parts = Parts(clock, fail_fast=False)
    parts.breaker.on_failure()
    await parts.places.enter()
    assert await parts.limiter.try_acquire(2)
    result = await parts.checker.check()
    assert [error.component for error in result.errors] == ["circuit_breaker", "rate_limiter", "backpressure"]


@pytest.mark.requirement("AIP-71")
async def test_checks_can_be_switched_off(clock: Any) -> None:
    parts = Parts(clock, check_rate_limiter=False, check_circuit_breaker=False, check_backpressure=False)
    parts.breaker.on_failure()
    await parts.places.enter()
    assert (await parts.checker.check()).passed


@pytest.mark.requirement("AIP-71", "AIP-67")
async def test_a_half_open_trial_is_settled_by_the_outcome_or_freed(parts: Parts, clock: Any) -> None:
    parts.breaker.on_failure()
    clock.advance(30)
    first = await parts.checker.check()
    assert first.passed
    second = await parts.checker.check()
    assert [error.component for error in second.errors] == ["circuit_breaker"]
    first.release_permit()
    again = await parts.checker.check()
    assert again.passed, "an outcome nobody reported frees the trial"
    parts.checker.on_failure()
    again.release_permit()
    assert parts.breaker.is_open


@pytest.mark.requirement("AIP-71")
@pytest.mark.parametrize(
    ("error", "opens"), [(TransportError("cut"), True), (ValidationError("mine"), False), (None, False)]
)
async def test_a_context_gives_back_and_judges_by_how_its_body_ends(
    parts: Parts, error: Exception | None, opens: bool
) -> None:
    async def body() -> None:
        async with PreflightContext(parts.checker) as flight:
            assert (flight.passed, flight.errors) == (True, [])
            assert flight.signals is not None
            if error is not None:
                raise error

    if error is None:
        await body()
    else:
        with pytest.raises(type(error)):
            await body()
    assert (parts.places.current_inflight, parts.breaker.is_open) == (0, opens)


@pytest.mark.requirement("AIP-71")
async def test_a_context_that_may_not_go_says_so_and_raises_nothing(parts: Parts) -> None:
    parts.breaker.on_failure()
    async with PreflightContext(parts.checker) as flight:
        assert (flight.passed, flight.errors[0].component) == (False, "circuit_breaker")
        flight.on_success()
    async with PreflightContext(parts.checker) as flight:
        flight.on_failure()
    assert parts.places.current_inflight == 0


@pytest.mark.requirement("AIP-71")
async def test_headers_reach_an_adaptive_limiter(parts: Parts) -> None:
    await parts.checker.update_rate_limits(
        {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m30s"}
    )
    result = await parts.checker.check()
    assert result.errors[0].retry_after_ms == pytest.approx(90000)
    await PreflightChecker(RateLimiter()).update_rate_limits({"retry-after": "1"})


# ------------------------------------------------------------------------------------ signals


@pytest.mark.requirement("AIP-71")
async def test_signals_of_the_real_parts(parts: Parts) -> None:
    signals = parts.checker.get_signals()
    assert (signals.is_healthy, signals.health_score) == (True, 1.0)
    assert (signals.provider, signals.model) == ("acme", "m")
    assert signals.inflight == InflightSnapshot(1, 1, 0)
    await parts.places.enter()
    await parts.limiter.acquire()
    signals = parts.checker.get_signals()
    assert not signals.is_healthy, "no free place"
    assert signals.health_score == pytest.approx((1 + 0.5 + 0) / 3, abs=1e-3)
    parts.breaker.on_failure()
    await parts.limiter.acquire()
    signals = parts.checker.get_signals()
    assert signals.circuit_breaker is not None
    assert signals.circuit_breaker.cooldown_remaining_ms == 30000
    assert signals.rate_limiter is not None
    assert signals.rate_limiter.is_throttled
    assert signals.health_score == 0
    assert json.loads(json.dumps(signals.to_dict()))["circuit_breaker"]["is_open"] is True


@pytest.mark.requirement("AIP-71")
def test_signals_from_components() -> None:
    signals = SignalsSnapshot.from_components(inflight=(10, 3), provider="p")
    assert signals.inflight == InflightSnapshot(10, 7, 3)
    assert signals.health_score == pytest.approx(0.7)
    unlimited = SignalsSnapshot.from_components(inflight=(0, 3), rate_limiter=RateLimiter())
    assert (unlimited.is_healthy, unlimited.health_score) == (True, 1.0)
    assert SignalsSnapshot().health_score == 1
    assert SignalsSnapshot().to_dict()["is_healthy"] is True


@pytest.mark.requirement("AIP-71")
def test_snapshots_score_by_their_state() -> None:
    halfway = SignalsSnapshot(circuit_breaker=CircuitBreakerSnapshot("half_open", 1, 2))
    assert (halfway.is_healthy, halfway.health_score) == (True, 0.5)
    assert halfway.circuit_breaker is not None
    assert halfway.circuit_breaker.is_half_open
    throttled = RateLimiterSnapshot(0.2, 2.0, 1.0, is_throttled=True)
    assert throttled.to_dict() == {
        "tokens_available": 0.2,
        "max_tokens": 2.0,
        "refill_rate": 1.0,
        "is_throttled": True,
        "utilization": 0.9,
    }
    assert SignalsSnapshot(rate_limiter=throttled).is_healthy is False
