"""The breaker around operations: what counts, what is refused, what is timed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from dragoman.ai.errors import AiLibError, ErrorClass, ProtocolError, RemoteError, TransportError, ValidationError
from dragoman.ai.resilience import (
    BackpressureError,
    CircuitBreaker,
    CircuitBreakerConfig,
    CircuitOpenError,
    CircuitState,
)
from dragoman.core.errors import CircuitOpen, TimedOut


def breaker(clock: Any, **settings: Any) -> CircuitBreaker:
    return CircuitBreaker(CircuitBreakerConfig(**settings), clock=clock, sleep=clock.sleep)


def failing(error: BaseException) -> Callable[[], Awaitable[None]]:
    async def operation() -> None:
        raise error

    return operation


async def fine() -> str:
    return "fine"


DOWN = TransportError("down", kind="connect")


async def fail(broken: CircuitBreaker, times: int = 1, error: Exception = DOWN) -> None:
    for _ in range(times):
        with pytest.raises(type(error)):
            await broken.execute(failing(error))


@pytest.mark.requirement("AIP-67")
def test_the_defaults_are_the_documented_ones() -> None:
    assert CircuitBreakerConfig.default() == CircuitBreakerConfig(5, 2, 30.0, None, 1)


@pytest.mark.requirement("AIP-67")
def test_the_environment_configures_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AI_LIB_BREAKER_FAILURE_THRESHOLD", "2")
    monkeypatch.setenv("AI_LIB_BREAKER_COOLDOWN_SECS", "0.5")
    assert CircuitBreakerConfig.from_env() == CircuitBreakerConfig(failure_threshold=2, cooldown_seconds=0.5)


@pytest.mark.requirement("AIP-67")
async def test_it_opens_refuses_tries_and_closes(clock: Any) -> None:
    broken = breaker(clock, failure_threshold=2)
    await fail(broken, 2)
    assert (broken.state, broken.is_open) == (CircuitState.OPEN, True)
    clock.advance(10)
    with pytest.raises(CircuitOpenError, match="try again in 20 s") as caught:
        await broken.execute(fine)
    assert (caught.value.time_until_retry, caught.value.retry_after) == (20.0, 20.0)
    assert isinstance(caught.value, AiLibError)
    assert isinstance(caught.value, CircuitOpen)
    clock.advance(20)
    assert broken.is_half_open
    assert await broken.execute(fine) == "fine"
    assert await broken.execute(fine) == "fine"
    assert broken.is_closed
    stats = broken.get_stats()
    assert (stats.total_requests, stats.successful_requests, stats.failed_requests) == (4, 2, 2)
    assert (stats.rejected_requests, stats.state_changes) == (1, 3)
    assert (stats.last_failure_time, stats.last_success_time) == (clock() - 30, clock())


@pytest.mark.requirement("AIP-67")
@pytest.mark.parametrize(
    ("error", "counts"),
    [
        *[
            (RemoteError("no", status_code=None, error_class=name), name not in harmless)
            for harmless in [
                {
                    "invalid_request",
                    "authentication",
                    "permission_denied",
                    "not_found",
                    "request_too_large",
                    "quota_exhausted",
                    "cancelled",
                }
            ]
            for name in ErrorClass
        ],
        (TransportError("no", kind="timeout_read"), True),
        (ValueError("what an operation does wrong"), True),
        (ValidationError("no"), False),
        (ProtocolError("no key", error_class="authentication"), False),
        (BackpressureError("full"), False),
    ],
    ids=repr,
)
async def test_only_the_providers_failures_count(clock: Any, error: Exception, counts: bool) -> None:
    broken = breaker(clock, failure_threshold=5)
    await fail(broken, 5, error)
    assert broken.is_open is counts
    assert broken.get_stats().failed_requests == (5 if counts else 0)


@pytest.mark.requirement("AIP-67")
async def test_cancelling_counts_for_nothing_and_frees_the_trial(clock: Any) -> None:
    broken = breaker(clock, failure_threshold=1)
    await fail(broken)
    clock.advance(30)
    with anyio.move_on_after(0) as scope:
        await broken.execute(anyio.sleep_forever)
    assert scope.cancelled_caught
    assert broken.is_half_open
    assert await broken.execute(fine) == "fine"


@pytest.mark.requirement("AIP-67")
async def test_half_open_refuses_all_but_its_trials(clock: Any) -> None:
    broken = breaker(clock, failure_threshold=1)
    await fail(broken)
    clock.advance(30)
    done = anyio.Event()

    async def trial() -> None:
        await broken.execute(done.wait)

    async with anyio.create_task_group() as group:
        group.start_soon(trial)
        await clock.settle()
        with pytest.raises(CircuitOpenError, match="half open"):
            await broken.execute(fine)
        assert not broken.allow()
        done.set()
    assert broken.allow()
    broken.on_failure()
    assert broken.is_open


@pytest.mark.requirement("AIP-67")
async def test_a_fallback_answers_while_the_breaker_is_open(clock: Any) -> None:
    broken = breaker(clock, failure_threshold=1)
    await fail(broken)
    assert await broken.execute(failing(DOWN), fallback=fine) == "fine"


@pytest.mark.requirement("AIP-67")
async def test_an_operation_that_takes_too_long_is_cut_and_counts(clock: Any) -> None:
    broken = breaker(clock, failure_threshold=1, timeout_seconds=5.0)
    cut = []

    async def slow() -> None:
        try:
            await clock.sleep(60)
        except BaseException:
            cut.append("cut")
            raise

    async def run() -> None:
        with pytest.raises(TransportError, match="longer than 5 s") as caught:
            await broken.execute(slow)
        assert isinstance(caught.value, TimedOut)
        assert isinstance(caught.value, TimeoutError)

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await clock.pass_time(6)
    assert cut == ["cut"]
    assert broken.is_open


async def test_an_operation_in_time_gives_its_value_or_its_own_error(clock: Any) -> None:
    broken = breaker(clock, timeout_seconds=5.0)
    assert await broken.execute(fine) == "fine"
    with pytest.raises(TimeoutError, match="own"):
        await broken.execute(failing(TimeoutError("its own")))
    assert clock.asleep == 0


@pytest.mark.requirement("AIP-67")
async def test_a_success_takes_one_failure_off_and_reset_all(clock: Any) -> None:
    broken = breaker(clock, failure_threshold=3)
    await fail(broken, 2)
    await broken.execute(fine)
    assert broken.failure_count == 1
    await fail(broken, 2)
    assert broken.get_time_until_retry() == 30
    broken.reset()
    assert (broken.state, broken.get_time_until_retry()) == (CircuitState.CLOSED, None)
    broken.reset()
    assert broken.get_stats().state_changes == 2
