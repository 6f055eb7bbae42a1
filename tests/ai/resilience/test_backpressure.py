"""Backpressure: the bound, the queue, its timeout, and cancelling."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.ai.errors import AiLibError
from dragoman.ai.resilience import Backpressure, BackpressureConfig, BackpressureError
from dragoman.core.errors import LimitExceeded, UsageError


def places(clock: Any, most: int = 1, timeout: float | None = None) -> Backpressure:
    return Backpressure(BackpressureConfig(most, timeout), clock=clock, sleep=clock.sleep)


@pytest.mark.requirement("AIP-68")
async def test_a_place_is_held_for_the_body(clock: Any) -> None:
    held = places(clock, 2)
    async with held.acquire():
        assert (held.current_inflight, held.available_permits, held.is_limited) == (1, 1, True)
    with pytest.raises(ValueError, match="mine"):
        async with held.acquire():
            raise ValueError("mine")
    assert held.get_stats() == {
        "current_inflight": 0,
        "peak_inflight": 1,
        "total_acquired": 2,
        "total_rejected": 0,
        "max_concurrent": 2,
    }


@pytest.mark.requirement("AIP-68")
async def test_trying_takes_a_place_or_says_no(clock: Any) -> None:
    held = places(clock)
    assert await held.try_acquire()
    assert not await held.try_acquire()
    held.release()
    held.release()
    assert (held.current_inflight, held.get_stats()["total_rejected"]) == (0, 1)


@pytest.mark.requirement("AIP-68")
def test_its_error_needs_no_words_of_the_caller() -> None:
    assert str(BackpressureError()) == "too many requests are under way [backpressure]"


@pytest.mark.requirement("AIP-68")
async def test_nobody_waits_longer_than_the_queue_timeout(clock: Any) -> None:
    held = places(clock, timeout=5.0)
    await held.enter()
    async with anyio.create_task_group() as group:

        async def second() -> None:
            with pytest.raises(BackpressureError, match="within 5 s") as caught:
                await held.enter()
            assert isinstance(caught.value, AiLibError)
            assert isinstance(caught.value, LimitExceeded)

        group.start_soon(second)
        await clock.pass_time(6)
    assert held.get_stats()["total_rejected"] == 1
    held.release()
    assert await held.try_acquire()


@pytest.mark.requirement("AIP-68")
async def test_a_timeout_of_zero_never_queues(clock: Any) -> None:
    held = places(clock, timeout=0.0)
    await held.enter()
    with pytest.raises(BackpressureError):
        await held.enter()


@pytest.mark.requirement("AIP-68")
async def test_a_timeout_inside_the_body_is_the_bodys_own(clock: Any) -> None:
    async def slow() -> None:
        raise TimeoutError("the body's own")

    with pytest.raises(TimeoutError, match="own"):
        await places(clock, timeout=5.0).execute(slow)


@pytest.mark.requirement("AIP-68")
async def test_a_place_that_comes_with_the_cancellation_is_handed_on(clock: Any) -> None:
    held = places(clock)
    await held.enter()
    served: list[str] = []

    async def one(name: str, scope: anyio.CancelScope) -> None:
        with scope:
            async with held.acquire():
                served.append(name)

    first = anyio.CancelScope()
    async with anyio.create_task_group() as group:
        for name, scope in (("first", first), ("second", anyio.CancelScope())):
            group.start_soon(one, name, scope)
            await clock.settle()
        first.cancel()
        held.release()
    assert served == ["second"]
    assert held.current_inflight == 0


@pytest.mark.requirement("AIP-68")
async def test_a_place_that_comes_with_the_timeout_is_kept(clock: Any) -> None:
    held = places(clock, timeout=5.0)
    await held.enter()
    waits: list[float] = []

    async def second() -> None:
        waits.append(await held.enter())

    async def leave() -> None:
        await clock.sleep(5.0)
        held.release()

    async with anyio.create_task_group() as group:
        group.start_soon(leave)
        await clock.settle()
        group.start_soon(second)
        await clock.pass_time(10)
    assert waits == [5.0]
    assert held.current_inflight == 1


@pytest.mark.requirement("AIP-68")
async def test_no_limit_counts_and_never_waits() -> None:
    held = Backpressure(BackpressureConfig.unlimited())
    for _ in range(1000):
        await held.enter()
    assert (held.current_inflight, held.available_permits, held.is_limited) == (1000, float("inf"), False)


@pytest.mark.requirement("AIP-68")
def test_the_environment_configures_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert BackpressureConfig.from_env() == BackpressureConfig(10, None)
    monkeypatch.setenv("AI_LIB_MAX_INFLIGHT", "3")
    monkeypatch.setenv("AI_LIB_QUEUE_TIMEOUT", "1.5")
    assert BackpressureConfig.from_env() == BackpressureConfig(3, 1.5)
    monkeypatch.setenv("AI_LIB_MAX_INFLIGHT", "many")
    with pytest.raises(UsageError, match="AI_LIB_MAX_INFLIGHT"):
        BackpressureConfig.from_env()


@pytest.mark.requirement("AIP-68")
@settings(max_examples=40)
@given(
    most=st.integers(1, 3),
    timeout=st.none() | st.floats(0.1, 2),
    crowd=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 3), st.none() | st.floats(0.05, 3)), max_size=14),
)
def test_any_crowd_keeps_the_bound_and_leaves_nothing_behind(
    new_clock: Any, most: int, timeout: float | None, crowd: list[tuple[float, float, float | None]]
) -> None:
    """Each comes, stays a while, and may be cancelled at any moment, in the queue or inside."""

    async def main() -> None:
        clock = new_clock(0.0)
        held = places(clock, most, timeout)
        inside: set[int] = set()
        order: list[int] = []

        async def one(number: int, stay: float, scope: anyio.CancelScope) -> None:
            with scope:
                try:
                    async with held.acquire():
                        inside.add(number)
                        order.append(number)
                        assert len(inside) <= most
                        try:
                            await clock.sleep(stay)
                        finally:
                            inside.discard(number)
                except BackpressureError:
                    assert timeout is not None

        async def cancel(scope: anyio.CancelScope, after: float) -> None:
            await clock.sleep(after)
            scope.cancel()

        async with anyio.create_task_group() as group:
            for number, (pause, stay, patience) in enumerate(crowd):
                await clock.pass_time(pause)
                scope = anyio.CancelScope()
                group.start_soon(one, number, stay, scope)
                if patience is not None:
                    group.start_soon(cancel, scope, patience)
            await clock.pass_time(1000)
        assert order == sorted(order)
        assert held.current_inflight == 0
        assert await held.try_acquire()

    anyio.run(main)
