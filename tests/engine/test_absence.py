"""A user is erased beside the engine: what moves stops, who reads comes to an end."""

import asyncio
from typing import Any

import pytest
from tests.engine.world import LONG, World

from dragoman.core import events as ev
from dragoman.core.turns import Turn
from dragoman.store import open_beside

pytestmark = pytest.mark.requirement("CORE-13")


async def erase(world: World, owner: str) -> None:
    beside = await open_beside(world.store.directory, writable=True)  # type: ignore[attr-defined]
    async for _ in beside.erase("t", owner):
        pass
    await beside.close()


async def read(world: World, run: str) -> list[ev.EventBody]:
    async with asyncio.timeout(LONG):
        return [event.body async for event in world.engine.events(run)]


def turn(text: str) -> Turn:
    return Turn("t", "bob", "helper", parts=({"type": "text", "text": text},))


async def until_it_says(world: World, run: str, kind: type[Any]) -> None:
    async with asyncio.timeout(LONG):
        async for event in world.engine.events(run):
            if isinstance(event.body, kind):
                return


@pytest.mark.parametrize("asked", ["slow tool", "approval"])
async def test_readers_of_an_erased_run_come_to_an_end_and_its_work_stops(world: World, asked: str) -> None:
    await world.engine.let_go()
    run = (await world.engine.start(turn("call look x" if asked == "slow tool" else "call write y"))).run
    await until_it_says(world, run.id, ev.StepStarted if asked == "slow tool" else ev.RunPaused)
    if asked == "slow tool":
        async with asyncio.timeout(LONG):
            await world.running.wait()
    reader = asyncio.create_task(read(world, run.id))
    await asyncio.sleep(0)
    await erase(world, "bob")
    await world.engine.let_go()
    events = await reader
    assert not isinstance(events[-1], ev.FINAL)
    assert await world.store.run(run.id) is None
    assert not (await world.store.threads("t", "bob", limit=5)).rows
    after = await world.engine.start(turn("hello"))  # and the engine goes on
    assert isinstance((await read(world, after.run.id))[-1], ev.RunCompleted)


async def test_a_run_that_was_erased_while_it_moved_ends_at_its_next_commit(world: World) -> None:
    run = (await world.engine.start(turn("call look x"))).run
    async with asyncio.timeout(LONG):
        await world.running.wait()
    reader = asyncio.create_task(read(world, run.id))
    await asyncio.sleep(0)
    await erase(world, "bob")
    world.gate.set()
    assert not isinstance((await reader)[-1], ev.FINAL)


async def test_the_runs_of_others_go_on(world: World) -> None:
    await world.engine.let_go()
    run = (await world.engine.start(turn("call look x"))).run
    async with asyncio.timeout(LONG):
        await world.running.wait()
    await erase(world, "ann")
    beside = await open_beside(world.store.directory, writable=True)  # type: ignore[attr-defined]
    await beside.secret("makes a commit")
    await beside.close()
    await world.engine.let_go()
    world.gate.set()
    assert isinstance((await read(world, run.id))[-1], ev.RunCompleted)
