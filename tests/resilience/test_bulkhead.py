"""Places, and the queue for them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dragoman.resilience.bulkhead import Bulkhead


def test_a_free_place_goes_to_the_first_in_the_queue() -> None:
    places: Bulkhead[str] = Bulkhead(1)
    assert places.enter()
    places.queue("a")
    places.queue("b")
    assert not places.enter(), "nobody overtakes"
    assert places.leave() == "a"
    assert places.leave() == "b"
    assert places.leave() is None
    assert (places.inside, places.peak, places.entered) == (0, 1, 3)


def test_one_that_withdraws_loses_its_turn_and_one_that_has_a_place_cannot() -> None:
    places: Bulkhead[str] = Bulkhead(1)
    places.enter()
    for ticket in "abc":
        places.queue(ticket)
    assert places.withdraw("b")
    assert places.leave() == "a"
    assert not places.withdraw("a")
    assert places.leave() == "c"


def test_no_limit_lets_everybody_in_and_a_leave_too_many_does_nothing() -> None:
    places: Bulkhead[str] = Bulkhead(0)
    assert all(places.enter() for _ in range(1000))
    assert places.free == float("inf")
    for _ in range(1100):
        places.leave()
    assert places.inside == 0


@given(
    st.integers(1, 4),
    st.lists(st.tuples(st.sampled_from(["come", "leave", "withdraw"]), st.integers(0, 10)), max_size=80),
)
def test_never_too_many_inside_and_always_first_come_first_served(limit: int, steps: list[tuple[str, int]]) -> None:
    places: Bulkhead[int] = Bulkhead(limit)
    inside: list[int] = []
    queue: list[int] = []
    for ticket, (step, pick) in enumerate(steps):
        if step == "come":
            if places.enter():
                assert not queue
                inside.append(ticket)
            else:
                places.queue(ticket)
                queue.append(ticket)
        elif step == "leave" and inside:
            inside.pop(pick % len(inside))
            heir = places.leave()
            assert heir == (queue[0] if queue else None)
            if heir is not None:
                inside.append(queue.pop(0))
        elif step == "withdraw" and queue:
            assert places.withdraw(queue.pop(pick % len(queue)))
        assert places.inside == len(inside) <= limit
        assert list(places.waiting) == queue
        assert not queue or len(inside) == limit, "nobody waits while a place is free"
