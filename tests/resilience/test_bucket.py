"""The token bucket, and the peer's own count."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core.errors import UsageError
from dragoman.resilience.bucket import PeerLimit, TokenBucket
from dragoman.resilience.limits import LimitState, Window


def test_tokens_flow_in_up_to_the_capacity() -> None:
    bucket = TokenBucket(rate=2.0, capacity=3.0, tokens=0.0, at=100.0)
    assert bucket.wait_for(1, 100.0) == 0.5
    assert bucket.wait_for(1, 100.5) == 0
    bucket.refill(200.0)
    assert bucket.tokens == 3


def test_no_rate_means_no_limit() -> None:
    bucket = TokenBucket(rate=0.0, capacity=1.0, tokens=1.0, at=0.0)
    for _ in range(5):
        assert bucket.wait_for(10, 0.0) == 0
        bucket.take(10)
    assert bucket.tokens == 1


def test_more_than_the_capacity_is_kept_only_for_one_that_waits_for_it() -> None:
    bucket = TokenBucket(rate=1.0, capacity=2.0, tokens=2.0, at=0.0)
    assert bucket.wait_for(5, 0.0, hold=True) == 3
    assert bucket.wait_for(5, 3.0, hold=True) == 0
    bucket.take(5)
    assert bucket.wait_for(1, 3.0) == 1
    for moment in range(4, 20):
        assert bucket.wait_for(5, float(moment)) > 0, "looking at it must not fill it beyond the capacity"


@given(
    st.floats(0.01, 1000),
    st.integers(1, 50),
    st.lists(st.tuples(st.floats(0, 10), st.integers(1, 5)), max_size=60),
)
def test_never_more_is_given_than_the_burst_and_what_flowed_in(
    rate: float, capacity: int, steps: list[tuple[float, int]]
) -> None:
    bucket = TokenBucket(rate, float(capacity), float(capacity), 0.0)
    now = given_out = 0.0
    for pause, amount in steps:
        now += pause
        if amount <= capacity and not bucket.wait_for(amount, now):
            bucket.take(amount)
            given_out += amount
        assert given_out <= capacity + rate * now + rate * 1e-5 + 1e-6


@given(st.floats(0.01, 1e6), st.integers(1, 20), st.floats(1e9, 2e9))
def test_after_the_wait_the_tokens_are_there_on_a_clock_of_any_size(rate: float, amount: int, now: float) -> None:
    bucket = TokenBucket(rate, 20.0, 0.0, now)
    wait = bucket.wait_for(amount, now)
    assert bucket.wait_for(amount, now + wait) <= 1e-6 * max(1.0, wait)


def test_a_clock_that_stumbles_backwards_gives_nothing() -> None:
    bucket = TokenBucket(1.0, 5.0, 0.0, 100.0)
    bucket.refill(90.0)
    assert bucket.tokens == 0


@pytest.mark.parametrize("bad", [{"rate": -1.0}, {"capacity": 0.0}, {"rate": float("nan")}])
def test_a_bucket_that_makes_no_sense_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="rate"):
        TokenBucket(**{"rate": 1.0, "capacity": 1.0, "tokens": 0.0, "at": 0.0, **bad})


@pytest.mark.requirement("AIP-66")
def test_what_the_peer_has_left_is_counted_down_and_forgotten_at_its_reset() -> None:
    peer = PeerLimit()
    peer.learn(LimitState(requests=Window(10, 2, 30.0)), now=100.0)
    assert peer.wait_for(1, 100.0) == 0
    peer.take(1)
    peer.take(1)
    assert peer.wait_for(1, 110.0) == 20
    assert peer.wait_for(1, 130.0) == 0
    peer.take(1)
    assert peer.wait_for(1000, 130.0) == 0, "nothing is known after the reset"


@pytest.mark.requirement("AIP-66")
def test_a_used_up_token_limit_and_a_wish_to_wait_hold_requests_back() -> None:
    peer = PeerLimit()
    peer.learn(LimitState(tokens=Window(1000, 0, 12.0), retry_after=5.0), now=100.0)
    assert peer.wait_for(1, 100.0) == 12
    peer.learn(LimitState(tokens=Window(1000, 900, 1.0)), now=101.0)
    assert peer.wait_for(1, 101.0) == 4, "newer words lift a limit, a wish to wait stands"


def test_a_count_without_a_reset_holds_nothing_back() -> None:
    peer = PeerLimit()
    peer.learn(LimitState(requests=Window(10, 0, None)), now=100.0)
    assert peer.wait_for(1, 100.0) == 0


def test_what_was_not_sent_is_given_back() -> None:
    peer = PeerLimit()
    peer.learn(LimitState(requests=Window(10, 1, 30.0)), now=0.0)
    peer.take(1)
    assert peer.wait_for(1, 0.0) == 30
    peer.give_back(1)
    assert peer.wait_for(1, 0.0) == 0


@pytest.mark.requirement("AIP-42")
def test_a_peer_is_believed_for_a_day_and_then_asked_again() -> None:
    """One that says it takes nothing for a thousand years would hold a caller up that long."""
    for state in (
        LimitState(requests=Window(10, 0, 1e12)),
        LimitState(tokens=Window(10, 0, 1e12)),
        LimitState(retry_after=1e12),
    ):
        peer = PeerLimit()
        peer.learn(state, 100.0)
        assert peer.wait_for(1, 100.0) == 86400.0
        assert peer.wait_for(1, 100.0 + 86401.0) == 0.0
