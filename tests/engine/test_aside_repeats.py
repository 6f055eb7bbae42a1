"""Turns with an idempotency key: one run and one answer, however often they are sent."""

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest
from tests.engine.scripted_store import ScriptedStore
from tests.engine.world import World, texts

from dragoman.core import events as ev
from dragoman.core.errors import Conflict
from dragoman.core.ports import Store
from dragoman.core.records import Repeat
from dragoman.core.turns import Quota, Started
from dragoman.store.sqlite import open_store


def key(world: World, digest: str = "d", name: str = "once") -> Repeat:
    return Repeat("t", "ann", name, digest, None, None, world.time, world.time + 600)


@pytest.mark.parametrize("is_aside", [True, False])
async def test_the_same_key_gives_the_same_run(world: World, is_aside: bool) -> None:
    first = await world.ask("hang on", aside=is_aside, repeat=key(world))
    second = await world.ask("hang on", aside=is_aside, repeat=key(world))
    assert (first.outcome, second.outcome) == ("started", "attached")
    assert second.run.id == first.run.id
    world.gate.set()
    await world.until(first)
    third = await world.ask("hang on", aside=is_aside, repeat=key(world))
    assert (third.outcome, third.run.id, third.run.status) == ("answered", first.run.id, "completed")
    assert len(world.requests) == 1
    assert texts(await world.items()) == ["hang on", "some more"]


async def test_many_at_once_run_once(world: World) -> None:
    quota = Quota("messages", 1, world.time + 100)
    turns = [world.ask("hello", aside=True, repeat=key(world), quota=quota) for _ in range(20)]
    told = await asyncio.gather(*turns)
    assert sorted({one.outcome for one in told} - {"answered"}) in (["attached", "started"], ["started"])
    assert len({one.run.id for one in told}) == 1
    for one in told:
        await world.until(one)
    assert len(world.requests) == 1
    assert texts(await world.items()) == ["hello", "heard hello"]


async def test_another_request_with_the_key_is_refused(world: World) -> None:
    await world.until(await world.ask("one", aside=True, repeat=key(world)))
    with pytest.raises(Conflict) as caught:
        await world.ask("two", aside=True, repeat=key(world, "other"))
    assert caught.value.code == "conflict:repeat"


async def test_a_key_is_forgotten_when_it_expires(world: World) -> None:
    first = await world.ask("one", aside=True, repeat=key(world))
    await world.until(first)
    world.time += 601
    second = await world.ask("one", aside=True, repeat=key(world))
    assert (second.outcome, second.run.id == first.run.id) == ("started", False)


async def test_keys_of_others_are_not_met(world: World) -> None:
    await world.until(await world.ask("one", aside=True, repeat=key(world)))
    other = Repeat("t", "bob", "once", "d", None, None, world.time, world.time + 600)
    assert (await world.ask("one", owner="bob", aside=True, repeat=other)).outcome == "started"


async def test_a_repetition_after_a_crash_gets_the_one_answer(world: World) -> None:
    first = await world.ask("hang on", aside=True, repeat=key(world))
    await world.until(first, ev.BlockDelta)
    await world.restart()
    again = await world.ask("hang on", aside=True, repeat=key(world))
    assert (again.outcome, again.run.id) == ("attached", first.run.id)
    world.gate.set()
    assert isinstance((await world.until(again))[-1].body, ev.RunCompleted)
    assert texts(await world.items()) == ["hang on", "some more"]


async def test_a_chat_that_is_sent_twice_at_once_is_not_superseded_by_itself(world: World) -> None:
    first, second = await asyncio.gather(*(world.ask("hang on", repeat=key(world)) for _ in range(2)))
    assert sorted((first.outcome, second.outcome)) == ["attached", "started"]
    assert first.run.id == second.run.id
    world.gate.set()
    assert isinstance((await world.until(first))[-1].body, ev.RunCompleted)
    assert texts(await world.items()) == ["hang on", "some more"]


async def test_a_repetition_that_meets_the_used_up_quota_of_the_first_gets_its_run(tmp_path: Path) -> None:
    store = ScriptedStore(await open_store(tmp_path / "data"))
    world = World(cast(Store, store))
    await world.engine.open()
    turn = {"aside": True, "repeat": key(world), "quota": Quota("messages", 1, world.time + 100)}
    firsts: list[Started] = []

    async def the_other_one_comes_first(*args: Any) -> None:
        firsts.append(await world.ask("hello", **turn))

    store.before["counter"] = [the_other_one_comes_first]
    second = await world.ask("hello", **turn)
    await world.until(second)
    assert [one.run.id for one in firsts] == [second.run.id]
    await world.engine.close()
    await store.close()
