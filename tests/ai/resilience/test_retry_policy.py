"""The documented retry: which errors, how often, how long."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.ai.errors import ErrorClass, PipelineError, ProtocolError, RemoteError, TransportError, ValidationError
from dragoman.ai.resilience import (
    BackpressureError,
    CircuitOpenError,
    JitterStrategy,
    RetryConfig,
    RetryPolicy,
    with_retry,
)
from dragoman.core.errors import ConnectionFailed, UsageError
from dragoman.testing.clock import FakeClock

EVEN = RetryConfig(jitter=JitterStrategy.NONE)


def remote(error_class: ErrorClass, status: int | None = None, **more: Any) -> RemoteError:
    return RemoteError("no", status_code=status, error_class=error_class, **more)


class Flaky:
    """An operation that fails with each of the errors in turn, then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


# ------------------------------------------------------------------------------ configuration


@pytest.mark.requirement("AIP-65")
def test_the_defaults_are_the_documented_ones() -> None:
    config = RetryConfig()
    assert (config.max_retries, config.min_delay_ms, config.max_delay_ms) == (3, 1000, 60000)
    assert (config.jitter, config.exponential_base) == (JitterStrategy.FULL, 2.0)
    assert config.retry_on_status == {429, 500, 502, 503, 504}
    assert config.retry_on_error_class == {"rate_limited", "timeout", "server_error", "overloaded"}
    assert RetryConfig.from_protocol(None) == config
    assert RetryConfig.no_retry().max_retries == 0


@pytest.mark.requirement("AIP-40", "AIP-65")
def test_a_manifests_policy_is_read_whole() -> None:
    config = RetryConfig.from_protocol(
        {
            "strategy": "linear_backoff",
            "max_retries": 5,
            "min_delay_ms": 500,
            "max_delay_ms": 8000,
            "jitter": "equal",
            "retry_on_http_status": [429, "503"],
            "retry_on_error_status": ["UNAVAILABLE"],
            "retry_on_error_code": ["overloaded_error"],
            "notes": ["kept aside"],
        }
    )
    assert (config.strategy, config.max_retries, config.jitter) == ("linear_backoff", 5, JitterStrategy.EQUAL)
    assert (config.min_delay_ms, config.max_delay_ms) == (500, 8000)
    assert (config.retry_on_status, config.retry_on_error_class) == ({429, 503}, frozenset())
    assert (config.retry_on_error_status, config.retry_on_error_code) == ({"UNAVAILABLE"}, {"overloaded_error"})


@pytest.mark.requirement("AIP-40")
def test_strategy_none_never_retries_and_absent_bounds_are_the_defaults() -> None:
    config = RetryConfig.from_protocol({"strategy": "none", "max_retries": 5, "max_delay_ms": None})
    assert not RetryPolicy(config).should_retry(remote(ErrorClass.OVERLOADED, 503), 0)
    assert config.max_delay_ms == 60000


@pytest.mark.parametrize("bad", [{"strategy": "often"}, {"max_retries": -1}, {"min_delay_ms": -5}])
def test_a_configuration_that_makes_no_sense_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        RetryConfig(**bad)


# ------------------------------------------------------------------------------------- delays


@pytest.mark.requirement("AIP-65")
def test_attempt_0_is_the_first_and_the_delay_doubles_up_to_the_limit() -> None:
    policy = RetryPolicy(EVEN)
    assert [policy.calculate_delay(n) for n in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]


@pytest.mark.requirement("AIP-39")
def test_the_providers_wish_counts_where_it_is_longer() -> None:
    policy = RetryPolicy(EVEN)
    assert policy.calculate_delay(0, retry_after=7) == 7
    assert policy.calculate_delay(3, retry_after=7) == 8
    assert policy.get_retry_after(remote(ErrorClass.RATE_LIMITED, 429, retry_after=2.5)) == 2.5
    assert policy.get_retry_after(ValueError()) is None


@pytest.mark.requirement("AIP-40")
@given(st.sampled_from(JitterStrategy), st.integers(0, 40), st.floats(0, 1, exclude_max=True))
def test_jitter_keeps_its_bounds(jitter: JitterStrategy, attempt: int, random: float) -> None:
    whole = min(2.0**attempt, 60.0)
    least = {"none": whole, "equal": whole / 2, "full": 0.0}[jitter]
    policy = RetryPolicy(RetryConfig(jitter=jitter), random=lambda: random)
    assert least <= policy.calculate_delay(attempt) <= whole


# ---------------------------------------------------------------------------------- decisions


@pytest.mark.requirement("AIP-40", "AIP-41", "AIP-65")
@pytest.mark.parametrize(
    ("error", "retried"),
    [
        (remote(ErrorClass.RATE_LIMITED, 429), True),
        (remote(ErrorClass.SERVER_ERROR, 500), True),
        (remote(ErrorClass.OVERLOADED, 529), True),
        (remote(ErrorClass.OVERLOADED), True),
        (remote(ErrorClass.TIMEOUT, 408), True),
        (remote(ErrorClass.CONFLICT, 409, retryable=True), False),
        (remote(ErrorClass.INVALID_REQUEST, 400), False),
        (remote(ErrorClass.QUOTA_EXHAUSTED, 429), False),
        (remote(ErrorClass.AUTHENTICATION, 401), False),
        (remote(ErrorClass.CANCELLED, 499), False),
        (remote(ErrorClass.OTHER, 418, retryable=True), True),
        (remote(ErrorClass.OTHER, 418), False),
        (TransportError("no", kind="connect"), True),
        (TransportError("no", kind="dns"), True),
        (TransportError("no", kind="timeout_connect"), True),
        (TransportError("no", kind="timeout_read"), True),
        (TransportError("no", kind="tls"), False),
        (ConnectionFailed("no"), True),
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (PipelineError("no"), False),
        (ValidationError("no"), False),
        (ProtocolError("no key", error_class="authentication"), False),
        (CircuitOpenError(), False),
        (BackpressureError("full"), False),
        (ValueError("no"), False),
    ],
    ids=repr,
)
def test_only_what_may_pass_is_retried(error: Exception, retried: bool) -> None:
    assert RetryPolicy().should_retry(error, 0) is retried


@pytest.mark.requirement("AIP-65")
def test_the_last_attempt_is_not_followed_by_another() -> None:
    error = remote(ErrorClass.OVERLOADED, 503)
    assert [RetryPolicy().should_retry(error, n) for n in range(5)] == [True, True, True, False, False]


@pytest.mark.requirement("AIP-40")
@pytest.mark.parametrize(
    ("policy", "error", "retried"),
    [
        ({"retry_on_http_status": [500]}, remote(ErrorClass.OVERLOADED, 503), False),
        ({"retry_on_http_status": [409]}, remote(ErrorClass.CONFLICT, 409), True),
        ({"retry_on_http_status": [429]}, remote(ErrorClass.QUOTA_EXHAUSTED, 429), False),
        ({"retry_on_http_status": [503]}, remote(ErrorClass.OVERLOADED), True),
        (
            {"retry_on_error_status": ["UNAVAILABLE"]},
            remote(ErrorClass.OTHER, 400, raw_error={"error": {"status": "UNAVAILABLE"}}),
            False,
        ),
        (
            {"retry_on_error_status": ["ABORTED"]},
            remote(ErrorClass.CONFLICT, 409, raw_error={"error": {"status": "ABORTED"}}),
            True,
        ),
        (
            {"retry_on_error_code": ["busy"]},
            remote(ErrorClass.INVALID_REQUEST, 400, raw_error={"error": {"code": "busy"}}),
            True,
        ),
        (
            {"retry_on_error_code": ["busy"]},
            remote(ErrorClass.INVALID_REQUEST, 400, raw_error={"error": {"type": "busy"}}),
            True,
        ),
        ({"retry_on_error_code": ["overloaded"]}, remote(ErrorClass.OVERLOADED, 503), True),
        ({"retry_on_error_code": ["E3002"]}, remote(ErrorClass.OVERLOADED, 503), True),
        ({"retry_on_error_code": ["busy"]}, remote(ErrorClass.OVERLOADED, 503), False),
        ({}, remote(ErrorClass.CONFLICT, 409), True),
        ({}, remote(ErrorClass.NOT_FOUND, 404), False),
        ({"retry_on_http_status": [500]}, TransportError("no", kind="connect"), True),
    ],
)
def test_with_lists_only_these_without_every_retryable_class(
    policy: dict[str, Any], error: Exception, retried: bool
) -> None:
    assert RetryPolicy(RetryConfig.from_protocol(policy)).should_retry(error, 0) is retried


@pytest.mark.requirement("AIP-39")
def test_a_wish_beyond_the_cap_is_not_waited_for_unless_the_user_says_so() -> None:
    error = remote(ErrorClass.RATE_LIMITED, 429, retry_after=61.0)
    assert not RetryPolicy(RetryConfig()).should_retry(error, 0)
    assert RetryPolicy(RetryConfig(max_delay_ms=61000)).should_retry(error, 0)
    assert RetryPolicy(RetryConfig(max_retry_after_ms=float("inf"))).should_retry(error, 0)
    assert not RetryPolicy(RetryConfig(max_delay_ms=99000, max_retry_after_ms=60000)).should_retry(error, 0)


# ---------------------------------------------------------------------------------- execution


@pytest.mark.requirement("AIP-65", "AIP-41")
async def test_it_retries_waits_and_reports() -> None:
    clock, heard = FakeClock(), []
    operation = Flaky(TransportError("a", kind="connect"), remote(ErrorClass.RATE_LIMITED, 429, retry_after=5.0))
    policy = RetryPolicy(EVEN, sleep=clock.sleep)
    result = await policy.execute(operation, on_retry=lambda *args: heard.append(args))
    assert (result.success, result.value, result.error) == (True, "done", None)
    assert (result.attempts, result.total_delay_ms, clock.sleeps) == (3, 6000, [1, 5])
    assert [(retry, str(error)[:1], delay) for retry, error, delay in heard] == [(1, "a", 1.0), (2, "n", 5.0)]


@pytest.mark.requirement("AIP-65")
async def test_a_failure_is_in_the_result_and_with_retry_raises_it() -> None:
    clock = FakeClock()
    errors = [remote(ErrorClass.SERVER_ERROR, 500) for _ in range(8)]
    result = await RetryPolicy(EVEN, sleep=clock.sleep).execute(Flaky(*errors[:4]))
    assert (result.success, result.attempts, result.error) == (False, 4, errors[3])
    with pytest.raises(RemoteError) as caught:
        await with_retry(Flaky(*errors[4:]), EVEN, sleep=clock.sleep)
    assert caught.value is errors[7]
    assert "tried 4 time(s)" in caught.value.__notes__[0]


@pytest.mark.requirement("AIP-65")
async def test_what_is_not_worth_it_is_raised_at_once() -> None:
    clock, operation = FakeClock(), Flaky(ValueError("mine"))
    with pytest.raises(ValueError, match="mine"):
        await with_retry(operation, sleep=clock.sleep)
    assert (operation.calls, clock.sleeps) == (1, [])


@pytest.mark.requirement("AIP-39")
async def test_a_wish_beyond_the_cap_raises_the_error_with_its_value() -> None:
    clock = FakeClock()
    with pytest.raises(RemoteError) as caught:
        await with_retry(Flaky(remote(ErrorClass.RATE_LIMITED, 429, retry_after=3600.0)), sleep=clock.sleep)
    assert (caught.value.retry_after, clock.sleeps) == (3600, [])


async def test_an_observer_may_be_async() -> None:
    clock, heard = FakeClock(), []

    async def observe(retry: int, error: Exception, delay: float) -> None:
        heard.append(retry)

    assert await with_retry(Flaky(TimeoutError()), EVEN, observe, sleep=clock.sleep) == "done"
    assert heard == [1]


async def test_cancellation_is_never_retried_nor_swallowed(anyio_backend_name: str) -> None:
    calls = 0

    async def operation() -> None:
        nonlocal calls
        calls += 1
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await RetryPolicy().execute(operation)
    assert calls == 1
