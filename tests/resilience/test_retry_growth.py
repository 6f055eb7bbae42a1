"""Other ways to grow and spread a delay, and what is told before a wait."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core.errors import ConnectionLost
from dragoman.resilience.retry import Backoff, next_delay, own_delay, with_retry
from dragoman.transport.io import run_blocking
from dragoman.transport.scripted import ScriptedIO


@pytest.mark.requirement("AIP-40")
@pytest.mark.parametrize(
    ("growth", "delays"),
    [("exponential", [1, 2, 4, 5, 5]), ("linear", [1, 2, 3, 4, 5]), ("fixed", [1, 1, 1, 1, 1])],
)
def test_each_strategy_grows_in_its_way_up_to_the_ceiling(growth: str, delays: list[float]) -> None:
    policy = Backoff(retries=9, base=1.0, ceiling=5.0, growth=growth, spread="none")  # type: ignore[arg-type]  # drawn
    assert [next_delay(n, policy, random=lambda: 0.9) for n in range(5)] == delays


@pytest.mark.requirement("AIP-40")
@given(
    st.sampled_from(["full", "equal", "none"]),
    st.integers(0, 5000),
    st.floats(0, 1, exclude_max=True),
)
def test_jitter_stays_within_its_bounds(spread: str, attempt: int, random: float) -> None:
    policy = Backoff(retries=1, base=1.0, ceiling=30.0, spread=spread)  # type: ignore[arg-type]  # drawn
    whole = min(2.0 ** min(attempt, 10), 30.0)
    least = {"full": 0.0, "equal": whole / 2, "none": whole}[spread]
    assert least <= own_delay(attempt, policy, random=lambda: random) <= whole


def test_an_observer_hears_of_each_wait_before_it() -> None:
    io, heard = ScriptedIO([]), []

    async def observe(retry: int, error: Exception, delay: float) -> None:
        heard.append((retry, str(error), delay, list(io.sleeps)))

    errors = [ConnectionLost("a"), ConnectionLost("b")]

    async def operation() -> str:
        if errors:
            raise errors.pop(0)
        return "done"

    policy = Backoff(base=1.0, jitter=0.0)
    assert run_blocking(with_retry(io, operation, policy, before_wait=observe)) == "done"
    assert heard == [(1, "a", 1.0, []), (2, "b", 2.0, [1.0])]


def test_other_kinds_of_errors_can_be_let_in() -> None:
    io, errors = ScriptedIO([]), [ValueError("a")]

    async def operation() -> str:
        if errors:
            raise errors.pop(0)
        return "done"

    assert run_blocking(with_retry(io, operation, Backoff(), kinds=ValueError, is_retryable=lambda e: True)) == "done"
