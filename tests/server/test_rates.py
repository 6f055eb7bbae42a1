"""Sliding windows: never more than so many in any stretch of so long, and who waits as told gets through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core.errors import RateLimited
from dragoman.server.rates import SlidingWindows


def refused_for(windows: SlidingWindows, limit: tuple[int, float], now: float) -> float | None:
    """How long one has to wait that asks now; None if it was let through."""
    try:
        windows.take("k", limit, now)
    except RateLimited as refused:
        return refused.retry_after
    return None


@pytest.mark.requirement("NOU-40")
@given(
    waits=st.lists(st.floats(0, 8, allow_nan=False), max_size=60),
    limit=st.integers(1, 5),
    seconds=st.floats(0.5, 10, allow_nan=False),
)
def test_no_stretch_has_too_many_and_who_waits_as_told_gets_through(
    waits: list[float], limit: int, seconds: float
) -> None:
    windows, now, let_through = SlidingWindows(), 1000.0, []
    for pause in waits:
        now += pause
        wait = refused_for(windows, (limit, seconds), now)
        if wait is not None:
            now += wait + 1e-6
            windows.take("k", (limit, seconds), now)
        assert wait is None or 0 < wait <= seconds + 1e-6
        let_through.append(now)
        assert sum(1 for each in let_through if each + seconds > now) <= limit


def test_keys_have_windows_of_their_own_and_those_that_are_over_are_forgotten() -> None:
    windows = SlidingWindows()
    for number in range(30_000):
        windows.take(f"k{number}", (1, 10.0), 1000.0 + number / 100)
    with pytest.raises(RateLimited):
        windows.take("k29999", (1, 10.0), 1300.0)
    assert len(windows._windows) < 12_000


def test_a_clock_that_is_set_back_locks_nobody_out() -> None:
    windows = SlidingWindows()
    windows.take("k", (1, 10.0), 5000.0)
    windows.take("k", (1, 10.0), 1000.0)
