"""What stands in for tools while a run is replayed: each recorded call answers once."""

from typing import Any

import pytest

from dragoman.core.errors import UsageError
from dragoman.testing.replaying.playback import MISS, Playback


def recorded(*calls: tuple[str, dict[str, Any], Any]) -> Playback:
    tools = [{"name": name, "input": given, "output": output} for name, given, output in calls]
    return Playback({"answers": [], "tools": tools})


async def test_the_same_call_made_twice_gives_both_outputs_in_their_order_and_no_third() -> None:
    playback = recorded(("count", {}, 1), ("other", {}, "x"), ("count", {}, 2))
    assert [await playback.tool("count", {}) for _ in range(2)] == [1, 2]
    with pytest.raises(UsageError) as missed:
        await playback.tool("count", {})
    assert missed.value.code == MISS
    assert playback.missed == ["this call of 'count' has no recording"]


async def test_a_call_is_found_by_its_arguments_before_its_place() -> None:
    playback = recorded(("add", {"n": 1}, "one"), ("add", {"n": 2}, "two"))
    assert await playback.tool("add", {"n": 2}) == "two"
    assert await playback.tool("add", {"n": 3}) == "one"
