"""The order of targets, and the walk along them."""

from __future__ import annotations

from dataclasses import dataclass

from dragoman.resilience.fallback import Walk, in_order


@dataclass(frozen=True)
class Target:
    name: str
    weight: float = 1.0
    enabled: bool = True


def test_the_heaviest_comes_first_and_equals_keep_their_order() -> None:
    targets = [Target("a"), Target("b", 2.0), Target("c", 9.0, enabled=False), Target("d")]
    assert [target.name for target in in_order(targets)] == ["b", "a", "d"]


def test_each_target_is_asked_as_often_as_allowed() -> None:
    walk = Walk(["a", "b"], attempts=2)
    asked = []
    while walk.current is not None:
        asked.append(walk.current)
        walk.begin()
        walk.failed(go_on=True)
    assert asked == ["a", "a", "b", "b"]
    assert walk.tried == ["a", "b"]


def test_an_error_that_all_would_have_ends_the_walk() -> None:
    walk = Walk(["a", "b"])
    walk.begin()
    assert walk.failed(go_on=False) is None
    assert (walk.current, walk.tried) == (None, ["a"])
