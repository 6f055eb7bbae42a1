import json

import pytest

from dragoman.demo.app import app, demo_app, suggestions
from dragoman.engine.tools import ToolContext
from dragoman.testing import FakeClock
from dragoman.testing.model import decimal_text


async def use(name, arguments, **kwargs):
    return await demo_app(**kwargs).agents[0].tools[name].invoke(arguments, ToolContext())


@pytest.mark.parametrize(
    ("a", "b", "total"),
    [
        (2, 3, "5"),
        (0.1, 0.2, "0.3"),
        (2, 0.5, "2.5"),
        (-1, 1, "0"),
        (2**63 - 1, 1, "9223372036854775808"),
    ],
)
async def test_add_gives_the_sum_that_people_expect(a, b, total):
    assert decimal_text(await use("add", {"a": a, "b": b})) == total


async def test_add_keeps_integers():
    assert type(await use("add", {"a": 2, "b": 3})) is int


async def test_a_sum_beyond_all_bounds_is_an_error():
    with pytest.raises(ValueError, match="too large"):
        await use("add", {"a": 1e308, "b": 1e308})


@pytest.mark.parametrize(("name", "seconds"), [("photos", []), ("slow-photos", [1.0])])
async def test_a_slow_bucket_takes_a_second(name, seconds):
    clock = FakeClock()
    assert await use("create_bucket", {"name": name}, sleep=clock.sleep) == {"name": name, "status": "created"}
    assert clock.sleeps == seconds


def test_only_create_bucket_asks_first():
    info = app.agents[0].info()
    assert info.name == "demo"
    assert (info.read_only, info.needs_approval) == (frozenset({"add"}), frozenset({"create_bucket"}))


@pytest.mark.parametrize("context", ["dashboard", "job-detail", "configuration-detail"])
def test_every_context_has_suggestions_highest_priority_first(context):
    rows = suggestions(context, {}, None)
    assert 1 <= len(rows) <= 6
    assert [row["priority"] for row in rows] == sorted((row["priority"] for row in rows), reverse=True)
    assert all(row.keys() == {"id", "label", "prompt", "priority", "category", "reasoning"} for row in rows)
    json.dumps(rows)


def test_an_unknown_context_has_none():
    assert suggestions("elsewhere", {}, None) == []
