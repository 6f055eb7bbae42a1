"""All policies around one call: their order, and streams."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from dragoman.ai.errors import ErrorClass, RemoteError, TransportError
from dragoman.ai.protocol import ProtocolLoader, ProtocolManifest
from dragoman.ai.resilience import (
    BackpressureConfig,
    CircuitBreakerConfig,
    CircuitOpenError,
    JitterStrategy,
    RateLimiterConfig,
    ResilientConfig,
    ResilientExecutor,
    RetryConfig,
)

RETRY = RetryConfig(max_retries=2, jitter=JitterStrategy.NONE)


def executor(clock: Any, **policies: Any) -> ResilientExecutor:
    return ResilientExecutor(ResilientConfig(**policies), "test", clock=clock, sleep=clock.sleep, wall=clock)


def down() -> TransportError:
    return TransportError("down", kind="connect")


class Flaky:
    """An operation that fails with each of the errors in turn, then succeeds; knows when it was called."""

    def __init__(self, clock: Any, *errors: Exception) -> None:
        self.clock = clock
        self.errors = list(errors)
        self.calls: list[float] = []

    async def __call__(self) -> str:
        self.calls.append(self.clock())
        if self.errors:
            raise self.errors.pop(0)
        return "done"


async def finished(clock: Any, seconds: float, operation: Any) -> list[Any]:
    """What the operation gave or raised, while so many seconds pass."""
    outcome: list[Any] = []

    async def run() -> None:
        try:
            outcome.append(await operation())
        except Exception as error:
            outcome.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await clock.pass_time(seconds)
        group.cancel_scope.cancel()
    return outcome


# ------------------------------------------------------------------------------ configuration


@pytest.mark.requirement("AIP-69", "AIP-52")
def test_the_presets_are_the_documented_ones() -> None:
    assert ResilientConfig.minimal() == ResilientConfig(retry=RetryConfig(max_retries=2))
    assert ResilientConfig.default() == ResilientConfig(
        RetryConfig(), RateLimiterConfig(), CircuitBreakerConfig(), BackpressureConfig()
    )
    assert ResilientConfig.production() == ResilientConfig(
        RetryConfig(3, 1000, 30000),
        RateLimiterConfig(10, 15, 15),
        CircuitBreakerConfig(5, cooldown_seconds=30.0),
        BackpressureConfig(10),
    )


@pytest.mark.requirement("AIP-40", "AIP-69")
def test_a_manifest_gives_retry_and_limits() -> None:
    manifest = ProtocolManifest(
        id="acme",
        protocol_version="1.5",
        endpoint={"base_url": "https://acme.example"},
        retry_policy={"strategy": "fixed_delay", "max_retries": 4, "retry_on_http_status": [503]},
        rate_limit_headers={"requests_remaining": "acme-left"},
    )
    config = ResilientConfig.from_manifest(manifest)
    assert config.retry == RetryConfig(
        max_retries=4, strategy="fixed_delay", retry_on_status={503}, retry_on_error_class=frozenset()
    )
    assert (config.rate_limit, config.limit_headers) == (RateLimiterConfig(), {"requests_remaining": "acme-left"})
    assert (config.circuit_breaker, config.backpressure) == (None, None)
    silent = ProtocolManifest(id="acme", protocol_version="1.5", endpoint={"base_url": "https://acme.example"})
    assert ResilientConfig.from_manifest(silent) == ResilientConfig()


# ---------------------------------------------------------------------------------- execution


@pytest.mark.requirement("AIP-69")
async def test_without_policies_the_operation_just_runs(clock: Any) -> None:
    bare = ResilientExecutor(name="bare")
    value, stats = await bare.execute_with_stats(Flaky(clock))
    assert (value, stats.success, stats.retry_count, stats.retry_result) == ("done", True, 0, None)
    assert (bare.circuit_state, bare.current_inflight, bare.get_stats()) == ("disabled", 0, {"name": "bare"})


@pytest.mark.requirement("AIP-69")
async def test_each_attempt_passes_limiter_and_breaker_anew(clock: Any) -> None:
    """Three attempts: the delays are 1 s and 2 s, but the limiter lets one through every 10 s."""
    tried = executor(
        clock,
        retry=RETRY,
        rate_limit=RateLimiterConfig(0.1, 1),
        circuit_breaker=CircuitBreakerConfig(),
        backpressure=BackpressureConfig(1),
    )
    started, operation = clock(), Flaky(clock, down(), down())
    outcome = await finished(clock, 60, lambda: tried.execute_with_stats(operation))
    value, stats = outcome[0]
    assert value == "done"
    assert [moment - started for moment in operation.calls] == pytest.approx([0, 10, 20])
    assert (stats.retry_count, stats.retry_result.total_delay_ms) == (2, 3000)
    assert stats.rate_limit_wait_ms == pytest.approx(9000 + 8000)
    assert (stats.circuit_state, stats.inflight_at_start) == ("closed", 0)
    assert tried.get_stats()["circuit_breaker"] == {
        "state": "closed",
        "total_requests": 3,
        "failed_requests": 2,
        "rejected_requests": 0,
    }
    assert set(tried.get_stats()) == {"name", "rate_limiter", "circuit_breaker", "backpressure"}


@pytest.mark.requirement("AIP-69")
async def test_one_call_takes_one_place_however_often_it_is_tried(clock: Any) -> None:
    tried = executor(clock, retry=RETRY, backpressure=BackpressureConfig(1))
    held: list[int] = []

    async def operation() -> None:
        held.append(tried.current_inflight)
        raise down()

    await finished(clock, 60, lambda: tried.execute(operation))
    assert held == [1, 1, 1]
    assert tried.backpressure is not None
    assert tried.backpressure.get_stats()["total_acquired"] == 1


@pytest.mark.requirement("AIP-69", "AIP-67")
async def test_a_breaker_that_opens_ends_the_retries(clock: Any) -> None:
    tried = executor(
        clock,
        retry=RetryConfig(max_retries=9, jitter=JitterStrategy.NONE),
        rate_limit=RateLimiterConfig(100.0, 10),
        circuit_breaker=CircuitBreakerConfig(failure_threshold=2),
    )
    operation = Flaky(clock, *[down() for _ in range(9)])
    outcome = await finished(clock, 600, lambda: tried.execute(operation))
    assert isinstance(outcome[0], CircuitOpenError)
    assert len(operation.calls) == 2
    assert tried.limiter is not None
    assert tried.limiter.available_tokens == pytest.approx(10), "a refused attempt uses up no token"


@pytest.mark.requirement("AIP-69")
async def test_the_last_error_comes_out_and_everything_is_given_back(clock: Any) -> None:
    tried = executor(clock, retry=RETRY, backpressure=BackpressureConfig(1))
    heard: list[tuple[int, float]] = []
    last = down()

    async def call() -> str:
        return await tried.execute(Flaky(clock, down(), down(), last), lambda n, e, d: heard.append((n, d)))

    assert await finished(clock, 60, call) == [last]
    assert (heard, tried.current_inflight) == ([(1, 1.0), (2, 2.0)], 0)


@pytest.mark.requirement("AIP-69", "AIP-66")
@pytest.mark.parametrize(
    "config",
    [
        {"rate_limit": RateLimiterConfig(0.001, 1, 0)},
        {"retry": RETRY},
        {"circuit_breaker": CircuitBreakerConfig(failure_threshold=1, timeout_seconds=9.0)},
        {"backpressure": BackpressureConfig(1)},
    ],
    ids=["limiter", "retry", "operation", "queue"],
)
async def test_a_cancelled_call_leaves_nothing_behind_wherever_it_was(clock: Any, config: dict[str, Any]) -> None:
    tried = executor(clock, **{"backpressure": BackpressureConfig(2), **config})

    async def operation() -> None:
        if tried.retry:
            raise down()
        await clock.sleep(1000)

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(tried.execute, operation)
        await clock.settle()
        group.cancel_scope.cancel()
    assert (tried.current_inflight, clock.asleep) == (0, 0)
    assert tried.circuit_state in ("closed", "disabled")


@pytest.mark.requirement("AIP-66", "AIP-42")
async def test_headers_reach_the_limiter(clock: Any) -> None:
    tried = executor(clock, rate_limit=RateLimiterConfig(), limit_headers={"retry_after": "acme-wait"})
    tried.update_from_headers({"Acme-Wait": "7"})
    operation, started = Flaky(clock), clock()
    await finished(clock, 60, lambda: tried.execute(operation))
    assert operation.calls == [pytest.approx(started + 7)]
    executor(clock).update_from_headers({"retry-after": "7"})


@pytest.mark.requirement("AIP-69")
async def test_reset_closes_the_breaker_and_fills_the_bucket(clock: Any) -> None:
    tried = executor(
        clock, rate_limit=RateLimiterConfig(0.01, 1), circuit_breaker=CircuitBreakerConfig(failure_threshold=1)
    )
    with pytest.raises(TransportError):
        await tried.execute(Flaky(clock, down()))
    assert tried.circuit_state == "open"
    tried.reset()
    assert tried.circuit_state == "closed"
    assert await tried.execute(Flaky(clock)) == "done"


def test_an_executor_can_be_made_outside_a_loop_and_used_in_several() -> None:
    shared = ResilientExecutor(ResilientConfig.production())

    async def operation() -> str:
        return "done"

    for _ in range(3):
        assert anyio.run(shared.execute, operation) == "done"


# ------------------------------------------------------------------------------------ streams


@pytest.mark.requirement("AIP-69", "AIP-52")
async def test_a_stream_holds_its_place_until_it_is_released(clock: Any) -> None:
    tried = executor(clock, backpressure=BackpressureConfig(1))
    lease = await tried.open(Flaky(clock))
    assert (lease.value, lease.stats.success, tried.current_inflight) == ("done", True, 1)
    second: list[str] = []

    async def next_one() -> None:
        async with await tried.open(Flaky(clock)) as other:
            second.append(other.value)

    async with anyio.create_task_group() as group:
        group.start_soon(next_one)
        await clock.settle()
        assert second == []
        await lease.release()
        await lease.release()
    assert (second, tried.current_inflight, lease.released) == (["done"], 0, True)


@pytest.mark.requirement("AIP-41", "AIP-69")
async def test_opening_is_retried_and_a_broken_stream_is_not(clock: Any) -> None:
    tried = executor(clock, retry=RETRY, circuit_breaker=CircuitBreakerConfig(failure_threshold=2))
    operation = Flaky(clock, down())
    outcome = await finished(clock, 60, lambda: tried.open(operation))
    lease = outcome[0]
    assert (lease.stats.retry_count, len(operation.calls)) == (1, 2)
    assert tried.circuit_state == "closed"
    await lease.release(TransportError("cut", kind="stream_truncated"))
    assert len(operation.calls) == 2
    assert tried.circuit_state == "open", "one failure at opening, one in mid-stream"


@pytest.mark.requirement("AIP-67")
async def test_streams_that_always_break_open_the_breaker_and_the_callers_mistakes_do_not(clock: Any) -> None:
    tried = executor(clock, circuit_breaker=CircuitBreakerConfig(failure_threshold=3))
    mistake = RemoteError("no", status_code=None, error_class=ErrorClass.INVALID_REQUEST)
    for error in [mistake] * 5 + [TransportError("cut", kind="stream_truncated")] * 3:
        assert tried.circuit_state == "closed"
        lease = await tried.open(Flaky(clock))
        await lease.release(error)
    assert tried.circuit_state == "open"


@pytest.mark.requirement("AIP-67")
async def test_a_trial_stream_proves_itself_by_its_first_event(clock: Any) -> None:
    tried = executor(clock, circuit_breaker=CircuitBreakerConfig(failure_threshold=1, success_threshold=2))
    with pytest.raises(TransportError):
        await tried.open(Flaky(clock, down()))
    clock.advance(30)
    first = await tried.open(Flaky(clock))
    assert tried.circuit_state == "half_open"
    second = await tried.open(Flaky(clock))
    assert tried.circuit_state == "closed", "the second need not wait for the first to end"
    await second.release()
    await first.release(TransportError("cut", kind="stream_truncated"))
    assert tried.circuit_state == "open", "a trial that breaks later is a failure yet"


# --------------------------------------------------------------------------- real manifests


@pytest.mark.requirement("AIP-40")
def test_every_packaged_manifest_gives_a_policy_that_makes_sense() -> None:
    configs = {
        entry.id: ResilientConfig.from_manifest(entry.manifest)
        for entry in ProtocolLoader().providers()
        if entry.manifest is not None
    }
    assert sum(config.retry is not None for config in configs.values()) > 5
    for config in configs.values():
        if config.retry is not None:
            assert config.retry.max_retries >= 1
            assert config.retry.retry_on_status >= {429} or config.retry.retry_on_error_class


@pytest.mark.requirement("AIP-39", "AIP-40")
async def test_an_answers_own_wish_is_waited_for_and_capped_by_the_manifests_delay(clock: Any) -> None:
    manifest = ProtocolManifest(
        id="acme",
        protocol_version="1.5",
        endpoint={"base_url": "https://acme.example"},
        retry_policy={"strategy": "exponential_backoff", "max_retries": 2, "max_delay_ms": 8000, "jitter": "none"},
        rate_limit_headers={"retry_after": "acme-wait"},
    )

    def refused(**headers: str) -> RemoteError:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return RemoteError.from_response(429, {}, named, limit_headers=manifest.rate_limit_headers, now=clock())

    config = ResilientConfig.from_manifest(manifest)
    tried = ResilientExecutor(config, clock=clock, sleep=clock.sleep)
    date = "Fri, 15 Jan 2027 08:00:05 GMT"  # 5 s after the clock's start
    operation, started = Flaky(clock, refused(acme_wait="7s"), refused(retry_after=date)), clock()
    assert await finished(clock, 60, lambda: tried.execute(operation)) == ["done"]
    assert [moment - started for moment in operation.calls] == pytest.approx([0, 7, 12])
    too_long = refused(retry_after_ms="8001")
    assert await finished(clock, 60, lambda: tried.execute(Flaky(clock, too_long))) == [too_long]
    assert too_long.retry_after == pytest.approx(8.001)
