"""The rate limiter: bounds, fairness, cancelling, and what a provider's headers say."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.ai.protocol import ProtocolManifest
from dragoman.ai.resilience import AdaptiveRateLimiter, RateLimiter, RateLimiterConfig
from dragoman.core.errors import UsageError

WALL = 1_800_000_000.0


def limiter(clock: Any, rps: float, burst: int = 1, tokens: int | None = None) -> RateLimiter:
    return RateLimiter(RateLimiterConfig(rps, burst, tokens), clock=clock, sleep=clock.sleep)


@pytest.mark.requirement("AIP-66")
def test_configurations_have_a_burst_of_at_least_one() -> None:
    assert RateLimiterConfig.from_rps(10) == RateLimiterConfig(10, 15, 15)
    assert RateLimiterConfig.from_rpm(30) == RateLimiterConfig(0.5, 1, 1)
    assert RateLimiterConfig.from_rpm(120, 3) == RateLimiterConfig(2.0, 6, 6)
    assert RateLimiterConfig.unlimited() == RateLimiterConfig()
    assert RateLimiter(RateLimiterConfig(5.0, 0)).max_tokens == 1


@pytest.mark.requirement("AIP-66")
async def test_no_limit_never_waits() -> None:
    unlimited = RateLimiter()
    assert [await unlimited.acquire(100) for _ in range(100)] == [0.0] * 100
    assert (unlimited.is_limited, unlimited.get_wait_time()) == (False, 0.0)


@pytest.mark.requirement("AIP-66")
async def test_a_burst_passes_and_then_each_waits_its_share(clock: Any) -> None:
    limited = limiter(clock, rps=4.0, burst=2)
    waits: list[float] = []

    async def one() -> None:
        waits.append(await limited.acquire())

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(one)
        await clock.pass_time(10)
    assert sorted(waits) == pytest.approx([0, 0, 0.25, 0.5])
    assert limited.is_limited


@pytest.mark.requirement("AIP-66")
async def test_trying_never_waits_and_never_overtakes(clock: Any) -> None:
    limited = limiter(clock, rps=1.0)
    assert await limited.try_acquire()
    assert not await limited.try_acquire()
    assert limited.get_wait_time() == pytest.approx(1)
    async with anyio.create_task_group() as group:
        group.start_soon(limited.acquire)
        await clock.settle()
        clock.advance(5)
        assert not await limited.try_acquire(), "somebody waits already"
        await clock.pass_time(0)
    assert limited.available_tokens == pytest.approx(0, abs=1e-3)


@pytest.mark.requirement("AIP-66")
async def test_more_than_the_burst_waits_until_it_has_come(clock: Any) -> None:
    limited = limiter(clock, rps=2.0, burst=3)
    waits: list[float] = []

    async def one() -> None:
        waits.append(await limited.acquire(7))

    async with anyio.create_task_group() as group:
        group.start_soon(one)
        await clock.pass_time(1.9)
        assert waits == []
        await clock.pass_time(0.2)
    assert waits == [pytest.approx(2.0)]
    assert not await limited.try_acquire(3)


@pytest.mark.requirement("AIP-66")
async def test_a_cancelled_head_gives_its_turn_on_and_takes_nothing(clock: Any) -> None:
    limited = limiter(clock, rps=1.0, tokens=0)
    served: list[str] = []

    async def one(name: str, scope: anyio.CancelScope) -> None:
        with scope:
            await limited.acquire()
            served.append(name)

    scopes = {name: anyio.CancelScope() for name in "abc"}
    async with anyio.create_task_group() as group:
        for name, scope in scopes.items():
            group.start_soon(one, name, scope)
            await clock.settle()
        await clock.pass_time(0.5)
        scopes["a"].cancel()
        await clock.pass_time(0.6)
        assert served == ["b"], "what flowed in while a waited is b's"
        await clock.pass_time(1)
    assert served == ["b", "c"]


@pytest.mark.requirement("AIP-66")
async def test_a_deadline_while_waiting_leaves_the_queue(clock: Any) -> None:
    limited = limiter(clock, rps=0.001, tokens=0)
    with anyio.move_on_after(0) as scope:
        await limited.acquire()
    assert scope.cancelled_caught
    clock.advance(2000)
    assert await limited.acquire() == 0


@pytest.mark.requirement("AIP-66")
@settings(max_examples=40)
@given(
    rps=st.sampled_from([0.5, 3.0, 10.0]),
    burst=st.integers(1, 4),
    arrivals=st.lists(st.tuples(st.floats(0, 2), st.integers(1, 3), st.none() | st.floats(0.01, 3)), max_size=14),
)
def test_any_crowd_is_served_in_order_within_the_rate(
    new_clock: Any, rps: float, burst: int, arrivals: list[tuple[float, int, float | None]]
) -> None:
    """Some give up after a while; the others are served first come first served, none too early."""

    async def main() -> None:
        clock = new_clock(0.0)
        limited = limiter(clock, rps, burst)
        served: list[tuple[int, float, int]] = []
        given_up: set[int] = set()

        async def one(number: int, amount: int, patience: float | None) -> None:
            with anyio.CancelScope() as scope:
                if patience is not None:
                    group.start_soon(give_up, number, scope, patience)
                await limited.acquire(amount)
                served.append((number, clock(), amount))

        async def give_up(number: int, scope: anyio.CancelScope, patience: float) -> None:
            await clock.sleep(patience)
            if number not in [name for name, *_ in served]:
                given_up.add(number)
            scope.cancel()

        async with anyio.create_task_group() as group:
            for number, (pause, amount, patience) in enumerate(arrivals):
                await clock.pass_time(pause)
                group.start_soon(one, number, amount, patience)
            await clock.pass_time(10_000)
        order = [number for number, *_ in served]
        assert order == sorted(order)
        assert {*order, *given_up} == set(range(len(arrivals)))
        total = 0
        for _, moment, amount in served:
            total += amount
            assert total <= burst + rps * moment + 1e-3

    anyio.run(main)


@pytest.mark.parametrize("tokens", [0, -1, float("nan")])
async def test_tokens_that_make_no_sense_are_refused(tokens: Any) -> None:
    with pytest.raises(UsageError, match="above 0"):
        await RateLimiter().acquire(tokens)


def test_a_limiter_can_be_made_outside_a_loop_and_used_in_several(new_clock: Any) -> None:
    clock = new_clock()
    limited = limiter(clock, rps=1.0)
    for _ in range(3):
        assert anyio.run(limited.acquire) == 0
        clock.advance(1)


def test_reset_fills_the_bucket(clock: Any) -> None:
    limited = limiter(clock, rps=1.0, burst=2)
    assert limited.take_now(2)
    limited.reset()
    assert limited.available_tokens == 2


# ----------------------------------------------------------------------------------- adaptive


def adaptive(clock: Any, config: RateLimiterConfig | None = None, names: Any = None) -> AdaptiveRateLimiter:
    return AdaptiveRateLimiter(config, names, clock=clock, sleep=clock.sleep, wall=lambda: WALL)


@pytest.mark.requirement("AIP-66", "AIP-42")
def test_what_the_server_says_is_remembered(clock: Any) -> None:
    limited = adaptive(clock)
    assert limited.get_server_state() == {"limit": None, "remaining": None, "reset": None}
    limited.update_from_headers(
        {
            "X-RateLimit-Limit-Requests": "10",
            "X-RateLimit-Remaining-Requests": "3",
            "X-RateLimit-Reset-Requests": "1m30s",
        }
    )
    assert limited.get_server_state() == {"limit": 10, "remaining": 3, "reset": 90.0}
    clock.advance(60)
    assert limited.get_server_state()["reset"] == pytest.approx(30)
    limited.update_from_headers({"content-type": "text/plain"})
    assert limited.get_server_state()["limit"] == 10


@pytest.mark.requirement("AIP-66", "AIP-42")
async def test_a_used_up_limit_is_waited_out(clock: Any) -> None:
    limited = adaptive(clock)
    limited.update_from_headers({"x-ratelimit-remaining-requests": "1", "x-ratelimit-reset-requests": "20s"})
    assert await limited.acquire() == 0
    waits: list[float] = []

    async def one() -> None:
        waits.append(await limited.acquire())

    async with anyio.create_task_group() as group:
        group.start_soon(one)
        await clock.pass_time(19)
        assert waits == []
        await clock.pass_time(2)
    assert waits == [pytest.approx(20)]


@pytest.mark.requirement("AIP-66", "AIP-42")
def test_a_manifest_names_the_headers(clock: Any) -> None:
    manifest = ProtocolManifest(
        id="acme",
        protocol_version="1.5",
        endpoint={"base_url": "https://acme.example"},
        rate_limit_headers={"requests_remaining": "acme-left", "requests_reset": "acme-until"},
    )
    limited = adaptive(clock, names=manifest.rate_limit_headers)
    limited.update_from_headers({"Acme-Left": "0", "Acme-Until": "2027-01-15T08:00:40Z"})
    assert limited.get_wait_time() == pytest.approx(40)
    limited.reset()
    assert limited.get_wait_time() == 0


def test_tokens_given_back_count_on_both_sides(clock: Any) -> None:
    limited = adaptive(clock, RateLimiterConfig(0.1, 1))
    limited.update_from_headers({"x-ratelimit-remaining-requests": "1", "x-ratelimit-reset-requests": "20s"})
    assert limited.take_now()
    assert not limited.take_now()
    limited.give_back()
    assert limited.take_now()
