"""The states of a circuit breaker."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core.errors import UsageError
from dragoman.resilience.breaker import Breaker, BreakerState


def opened(**settings: int) -> Breaker:
    """A breaker that opened at time 0."""
    breaker = Breaker(failure_threshold=1, cooldown=30.0, **settings)
    breaker.failed(0.0, breaker.ask(0.0))
    return breaker


def test_it_opens_at_the_threshold_and_tells_how_long() -> None:
    breaker = Breaker(failure_threshold=3, cooldown=30.0)
    for moment in (0.0, 1.0, 2.0):
        era = breaker.ask(moment)
        assert era is not None
        breaker.failed(moment, era)
    assert breaker.state(2.0) is BreakerState.OPEN
    assert breaker.ask(2.0) is None
    assert breaker.retry_in(12.0) == 20
    assert breaker.retry_in(32.0) is None


def test_a_success_takes_one_failure_off() -> None:
    breaker = Breaker(failure_threshold=3)
    for outcome in ("failed", "failed", "succeeded", "failed"):
        getattr(breaker, outcome)(0.0, breaker.ask(0.0))
    assert (breaker.failures, breaker.state(0.0)) == (2, BreakerState.CLOSED)
    for _ in range(5):
        breaker.succeeded(0.0)
    assert breaker.failures == 0


def test_half_open_lets_so_many_try_and_refuses_the_rest() -> None:
    breaker = opened(trials_at_once=2)
    assert breaker.ask(30.0) is not None
    assert breaker.ask(30.0) is not None
    assert breaker.ask(30.0) is None
    breaker.abandoned(30.0)
    assert breaker.ask(30.0) is not None


def test_enough_successes_close_it_and_one_failure_opens_it_again() -> None:
    breaker = opened(success_threshold=2)
    breaker.succeeded(30.0, breaker.ask(30.0))
    assert breaker.state(30.0) is BreakerState.HALF_OPEN
    breaker.succeeded(31.0, breaker.ask(31.0))
    assert breaker.state(31.0) is BreakerState.CLOSED
    breaker = opened()
    breaker.failed(40.0, breaker.ask(40.0))
    assert breaker.retry_in(40.0) == 30


def test_an_answer_from_before_the_change_does_not_count_after_it() -> None:
    breaker = Breaker(failure_threshold=1, success_threshold=1, cooldown=30.0)
    slow = breaker.ask(0.0)
    breaker.failed(0.0, breaker.ask(0.0))
    assert breaker.state(30.0) is BreakerState.HALF_OPEN
    breaker.succeeded(31.0, slow)
    assert breaker.state(31.0) is BreakerState.HALF_OPEN
    trial = breaker.ask(31.0)
    breaker.failed(32.0, slow)
    assert breaker.state(32.0) is BreakerState.HALF_OPEN
    breaker.succeeded(33.0, trial)
    assert breaker.state(33.0) is BreakerState.CLOSED


def test_reset_closes_and_forgets() -> None:
    breaker = opened()
    breaker.reset()
    assert (breaker.state(0.0), breaker.failures) == (BreakerState.CLOSED, 0)


@pytest.mark.parametrize(
    "bad", [{"failure_threshold": 0}, {"success_threshold": 0}, {"trials_at_once": 0}, {"cooldown": -1}]
)
def test_a_breaker_that_makes_no_sense_is_refused(bad: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="thresholds"):
        Breaker(**bad)


@given(
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(1, 3),
    st.lists(
        st.tuples(st.sampled_from(["ask", "succeeded", "failed", "abandoned", "wait"]), st.integers(0, 12)), max_size=80
    ),
)
def test_whatever_happens_the_promises_hold(
    threshold: int, successes: int, at_once: int, steps: list[tuple[str, int]]
) -> None:
    breaker = Breaker(threshold, successes, 10.0, at_once)
    now, opened_at = 0.0, 0.0
    out: list[int] = []
    for step, number in steps:
        before = breaker.state(now)
        if step == "wait":
            now += number
        elif step == "ask":
            era = breaker.ask(now)
            if before is BreakerState.CLOSED:
                assert era is not None
            if before is BreakerState.OPEN:
                assert era is None
            if era is not None:
                out.append(era)
        elif out:
            getattr(breaker, step)(now, out.pop(number % len(out)))
        after = breaker.state(now)
        if after is BreakerState.OPEN and before is not BreakerState.OPEN:
            opened_at = now
        assert (breaker.ask(now) is None) if after is BreakerState.OPEN else True
        if before is BreakerState.OPEN and after is not before:
            assert now - opened_at >= 10
        trials = sum(era == breaker.era for era in out) if after is BreakerState.HALF_OPEN else 0
        assert trials <= at_once
        assert after is not BreakerState.CLOSED or breaker.failures < threshold
