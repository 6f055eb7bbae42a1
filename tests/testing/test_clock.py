import pytest

from dragoman.testing import FakeClock


def test_it_stands_still_until_it_is_moved():
    clock = FakeClock(100)
    assert clock() == clock.now() == 100.0
    clock.advance(2.5)
    assert clock() == 102.5


async def test_sleeping_moves_it_at_once():
    clock = FakeClock(0)
    await clock.sleep(3)
    await clock.sleep(-1)
    assert (clock(), clock.sleeps) == (3.0, [3, -1])


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_it_never_goes_back(seconds):
    with pytest.raises(ValueError, match="cannot advance"):
        FakeClock().advance(seconds)
