"""Checks that are asked, and how providers did of late."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import pytest
from tests.ai.stepped import LOOPS

from dragoman.ai.errors import ValidationError
from dragoman.ai.telemetry import (
    HealthChecker,
    HealthCheckResult,
    HealthStatus,
    ProviderHealthTracker,
    get_health_checker,
    get_health_tracker,
    set_health_checker,
    set_health_tracker,
)

pytestmark = [pytest.mark.requirement("AIP-80"), pytest.mark.parametrize("anyio_backend", LOOPS)]

WELL, SO_SO, ILL, UNKNOWN = HealthStatus.HEALTHY, HealthStatus.DEGRADED, HealthStatus.UNHEALTHY, HealthStatus.UNKNOWN


def saying(status: HealthStatus) -> Callable[[], Awaitable[HealthCheckResult]]:
    async def check() -> HealthCheckResult:
        return HealthCheckResult("it", status)

    return check


@pytest.mark.parametrize(
    ("statuses", "together"),
    [
        ([WELL, WELL], WELL),
        ([WELL, SO_SO], SO_SO),
        ([SO_SO, ILL, WELL], ILL),
        ([WELL, UNKNOWN], UNKNOWN),
        ([], UNKNOWN),
    ],
)
async def test_the_worst_status_is_that_of_all(statuses: list[HealthStatus], together: HealthStatus) -> None:
    checker = HealthChecker()
    for number, status in enumerate(statuses):
        checker.register(f"c{number}", saying(status))
    found = await checker.check_all()
    assert found.status is together
    assert [one["status"] for one in found.to_dict()["checks"]] == [str(status) for status in statuses]


async def test_a_check_that_raises_is_ill_and_shows_no_secret() -> None:
    checker = HealthChecker(clock=iter([1.0, 1.5]).__next__, wall=lambda: 7.0)

    async def broken() -> HealthCheckResult:
        raise OSError("refused for sk-abcdefghijklmnop")

    checker.register("db", broken)
    found = await checker.check("db")
    assert (found.status, found.message) == (ILL, "refused for [redacted]")
    assert (found.latency_ms, found.timestamp) == (500, 7.0)
    assert checker.get_last_result("db") is found


async def test_an_unknown_check_is_a_key_error_and_a_forgotten_one_is_unknown() -> None:
    checker = HealthChecker()
    with pytest.raises(KeyError, match="nobody"):
        await checker.check("nobody")
    checker.register("it", saying(WELL))
    await checker.check_all()
    assert set(checker.get_all_last_results()) == set(checker.get_last_results()) == {"it"}
    checker.unregister("it")
    assert checker.get_last_result("it") is None


async def test_checks_that_are_done_in_time_keep_their_results() -> None:
    checker, never = HealthChecker(), anyio.Event()

    async def hangs() -> HealthCheckResult:
        await never.wait()
        return HealthCheckResult("slow", WELL)

    checker.register("slow", hangs)
    checker.register("fast", saying(WELL))
    found = await checker.check_all(timeout=0.05)
    assert [one.status for one in found.checks] == [ILL, WELL]
    assert "0.05 s" in found.checks[0].message
    assert found.status is ILL


async def test_checks_are_asked_at_the_same_time() -> None:
    checker, met = HealthChecker(), anyio.Event()

    async def waits() -> HealthCheckResult:
        await met.wait()
        return HealthCheckResult("a", WELL)

    async def comes() -> HealthCheckResult:
        met.set()
        return HealthCheckResult("b", WELL)

    checker.register("a", waits)
    checker.register("b", comes)
    assert (await checker.check_all(timeout=10)).status is WELL


async def test_a_provider_is_judged_by_its_last_outcomes() -> None:
    tracker = ProviderHealthTracker(window_size=10, wall=lambda: 5.0)
    assert tracker.get_status("p") is UNKNOWN
    for _ in range(19):
        tracker.record_success("p")
    assert tracker.get_status("p") is WELL
    tracker.record_failure("p", "boom sk-abcdefghijklmnop")
    assert (tracker.get_status("p"), tracker.get_error_rate("p")) == (SO_SO, 0.1)
    for _ in range(4):
        tracker.record_failure("p")
    assert tracker.get_status("p") is ILL
    assert tracker.get_details("p") == {
        "provider": "p",
        "status": "unhealthy",
        "error_rate": 0.5,
        "sample_count": 10,
        "last_error": None,
        "last_success_time": 5.0,
        "last_failure_time": 5.0,
    }


async def test_nothing_is_known_of_a_provider_that_was_reset_or_never_seen() -> None:
    tracker = ProviderHealthTracker()
    tracker.record_failure("a", "token=abcdef123456")
    assert tracker.get_details("a")["last_error"] == "token=[redacted]"
    tracker.record_success("b")
    assert tracker.get_all_providers() == ["a", "b"]
    tracker.reset("a")
    assert tracker.get_details("a")["sample_count"] == 0
    tracker.reset()
    assert tracker.get_all_providers() == []
    assert tracker.get_error_rate("b") == 0
    with pytest.raises(ValidationError):
        ProviderHealthTracker(window_size=0)


async def test_there_is_one_of_each_in_a_process() -> None:
    assert get_health_checker() is get_health_checker()
    assert get_health_tracker() is get_health_tracker()
    checker, tracker = HealthChecker(), ProviderHealthTracker()
    set_health_checker(checker)
    set_health_tracker(tracker)
    assert (get_health_checker(), get_health_tracker()) == (checker, tracker)
    set_health_checker(None)
    set_health_tracker(None)
