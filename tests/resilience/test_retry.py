"""Backoff, Retry-After and the loop around them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core.errors import BadRequest, BudgetSpent, ConnectionLost, DragomanError, RateLimited, UsageError
from dragoman.resilience.retry import Backoff, next_delay, parse_retry_after, with_retry
from dragoman.transport.io import run_blocking
from dragoman.transport.scripted import ScriptedIO

EVEN = Backoff(retries=5, base=1.0, factor=2.0, ceiling=10.0, jitter=0.0)
NOW = 784111770.0  # Sun, 06 Nov 1994 08:49:30 GMT


def middle() -> float:
    return 0.5


# ------------------------------------------------------------------------------------- delays


def test_delays_grow_by_the_factor_up_to_the_ceiling() -> None:
    assert [next_delay(n, EVEN, random=middle) for n in range(5)] == [1, 2, 4, 8, 10]


@pytest.mark.parametrize(("random", "delay"), [(0.0, 6.0), (0.5, 8.0), (0.75, 9.0)])
def test_jitter_spreads_a_delay_by_its_fraction(random: float, delay: float) -> None:
    policy = Backoff(retries=9, base=8.0, jitter=0.25)
    assert next_delay(0, policy, random=lambda: random) == pytest.approx(delay)


@given(
    st.integers(0, 5000),
    st.builds(Backoff, st.just(5001), st.floats(0, 100), st.floats(1, 100), st.floats(0, 1000), st.floats(0, 1)),
    st.floats(0, 1, exclude_max=True),
)
def test_a_delay_is_finite_and_within_the_spread_ceiling(attempt: int, policy: Backoff, random: float) -> None:
    delay = next_delay(attempt, policy, random=lambda: random)
    assert math.isfinite(delay)
    assert 0 <= delay <= policy.ceiling * (1 + policy.jitter)


def test_after_the_last_retry_the_budget_is_spent() -> None:
    assert next_delay(4, EVEN, random=middle) == 10
    with pytest.raises(BudgetSpent, match="no retry left after 5"):
        next_delay(5, EVEN, random=middle)
    with pytest.raises(BudgetSpent):
        next_delay(0, Backoff(retries=0), random=middle)


def test_the_peers_wish_is_a_lower_bound() -> None:
    assert next_delay(0, EVEN, random=middle, retry_after=7.5) == 7.5
    assert next_delay(3, EVEN, random=middle, retry_after=7.5) == 8
    assert next_delay(0, EVEN, random=middle, retry_after=60.0) == 60, "the ceiling is for our own delays"


def test_a_wish_beyond_patience_spends_the_budget() -> None:
    with pytest.raises(BudgetSpent, match="3600 s") as caught:
        next_delay(0, EVEN, random=middle, retry_after=3600.0)
    assert caught.value.retry_after == 3600
    assert next_delay(0, Backoff(patience=None), random=middle, retry_after=3600.0) == 3600


@pytest.mark.parametrize(
    "bad", [{"retries": -1}, {"base": -1.0}, {"factor": 0.5}, {"ceiling": -1.0}, {"jitter": 1.5}, {"jitter": -0.1}]
)
def test_a_policy_that_makes_no_sense_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="jitter between 0 and 1"):
        Backoff(**bad)  # type: ignore[arg-type]  # each case is one wrong field


# -------------------------------------------------------------------------------- Retry-After


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 1.5 ", 1.5),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 7.0),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 7.0),
        ("Sun Nov  6 08:49:37 1994", 7.0),
        ("Sun, 06 Nov 1994 08:49:37 -0000", 7.0),
        ("Sun, 06 Nov 1994 09:49:37 +0100", 7.0),
        ("Sun, 06 Nov 1994 08:00:00 GMT", 0.0),
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("nan", None),
        ("inf", None),
        ("1e3", None),
        ("٣", None),
        ("9" * 400, None),
        ("Sun, 99 Nov 1994 08:49:37 GMT", None),
        ("Sun, 06 Nov 99999 08:49:37 GMT", None),
    ],
)
def test_retry_after_is_read_in_both_forms(header: str | None, seconds: float | None) -> None:
    assert parse_retry_after(header, NOW) == seconds


@given(st.text(max_size=40))
def test_no_header_can_break_the_parser(header: str) -> None:
    seconds = parse_retry_after(header, NOW)
    assert seconds is None or seconds >= 0


# --------------------------------------------------------------------------------- with_retry


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


def test_retryable_failures_are_retried_after_growing_waits() -> None:
    io, operation = ScriptedIO([]), Flaky(ConnectionLost("a"), ConnectionLost("b"))
    assert run_blocking(with_retry(io, operation, EVEN, random=middle)) == "done"
    assert io.sleeps == [1, 2]
    assert operation.calls == 3


def test_the_peers_retry_after_is_waited_for() -> None:
    io = ScriptedIO([])
    assert run_blocking(with_retry(io, Flaky(RateLimited("slow", retry_after=42.0)), EVEN, random=middle)) == "done"
    assert io.sleeps == [42]


@pytest.mark.parametrize("error", [BadRequest("no"), ValueError("not ours")])
def test_other_failures_are_raised_at_once(error: Exception) -> None:
    io, operation = ScriptedIO([]), Flaky(error)
    with pytest.raises(type(error)):
        run_blocking(with_retry(io, operation, EVEN))
    assert (io.sleeps, operation.calls) == ([], 1)


def test_the_caller_may_decide_what_is_retryable() -> None:
    io = ScriptedIO([])
    assert run_blocking(with_retry(io, Flaky(BadRequest("no")), EVEN, is_retryable=lambda e: True)) == "done"
    with pytest.raises(ConnectionLost):
        run_blocking(with_retry(io, Flaky(ConnectionLost("a")), EVEN, is_retryable=lambda e: False))


def test_when_the_budget_is_spent_the_last_error_comes_out_with_a_note() -> None:
    cause = OSError("reset")
    last = ConnectionLost("second")
    last.__cause__ = cause
    io, operation = ScriptedIO([]), Flaky(ConnectionLost("first"), last)
    with pytest.raises(DragomanError, match="second") as caught:
        run_blocking(with_retry(io, operation, Backoff(retries=1), random=middle))
    assert caught.value is last
    assert caught.value.__cause__ is cause
    assert caught.value.__notes__ == ["tried 2 time(s): no retry left after 1"]
    assert len(io.sleeps) == 1


def test_an_impatient_policy_gives_up_on_a_long_retry_after() -> None:
    io = ScriptedIO([])
    with pytest.raises(RateLimited) as caught:
        run_blocking(with_retry(io, Flaky(RateLimited("slow", retry_after=86400.0)), EVEN))
    assert caught.value.retry_after == 86400
    assert io.sleeps == []
