"""Turns aside when the ground gives way: the one commit that stores a turn is made once, later if need be."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest
from anyio.lowlevel import checkpoint
from tests.engine.scripted_store import ScriptedStore, fails_with
from tests.engine.world import LONG, World, texts

from dragoman.core import events as ev
from dragoman.core.errors import Unavailable
from dragoman.core.ports import Store
from dragoman.core.writes import AppendEvents, ChangeThread, DeleteThread, PutItem, PutThread
from dragoman.store.sqlite import open_store


@pytest.fixture
async def scripted(tmp_path: Path) -> AsyncIterator[tuple[World, ScriptedStore]]:
    store = ScriptedStore(await open_store(tmp_path / "data"))
    world = World(cast(Store, store))
    await world.engine.open()
    yield world, store
    world.gate.set()
    store.before.clear()
    store.after.clear()
    await world.engine.close()
    await store.close()


@pytest.mark.parametrize("resume", [True, False])
async def test_a_last_commit_that_fails_is_made_again_and_stores_one_turn(
    scripted: tuple[World, ScriptedStore], resume: bool
) -> None:
    world, store = scripted
    started = await world.ask("hang on", aside=True, resume=resume)
    seen = await world.until(started, ev.BlockDelta)
    store.before["commit"] = [fails_with(Unavailable("the disk is full"))]
    world.gate.set()
    tail = world.engine.tail(started.run.id, after=seen[-1].seq)
    while events := await tail.next(LONG):
        seen += events
    assert isinstance(seen[-1].body, ev.RunCompleted)
    assert texts(await world.items()) == ["hang on", "some more"]


async def test_a_last_commit_that_was_said_to_have_failed_is_not_made_twice(
    scripted: tuple[World, ScriptedStore],
) -> None:
    world, store = scripted
    started = await world.ask("hang on", aside=True)
    seen = await world.until(started, ev.BlockDelta)
    store.after["commit"] = [fails_with(Unavailable("perhaps"))]
    world.gate.set()
    tail = world.engine.tail(started.run.id, after=seen[-1].seq)
    while events := await tail.next(LONG):
        seen += events
    assert seen == list(await store.events(started.run.id))
    assert texts(await world.items()) == ["hang on", "some more"]


async def test_nothing_reaches_the_thread_before_the_last_commit(scripted: tuple[World, ScriptedStore]) -> None:
    world, store = scripted
    world.gate.set()
    await world.until(await world.ask("call look x", aside=True))
    of_runs = [writes for writes in store.commits if any(isinstance(one, AppendEvents) for one in writes)]
    *before, last = [
        [one for one in writes if isinstance(one, PutThread | PutItem | ChangeThread)] for writes in of_runs
    ]
    assert len(before) >= 2
    assert before == [[]] * len(before)
    assert [type(one) for one in last] == [PutThread, PutItem, PutItem, PutItem, ChangeThread]


async def test_a_fault_at_the_start_leaves_nothing(scripted: tuple[World, ScriptedStore]) -> None:
    world, store = scripted
    store.before["commit"] = [fails_with(Unavailable("no"))]
    with pytest.raises(Unavailable):
        await world.ask("hello", aside=True)
    assert list(await store.unfinished()) == []
    assert world.engine.moving == 0


async def test_a_thread_made_in_the_same_moment_is_joined(scripted: tuple[World, ScriptedStore]) -> None:
    world, store = scripted
    begun = [await world.ask(f"hang {n}", aside=True) for n in range(3)]
    for one in begun:
        await world.until(one, ev.BlockDelta)
    world.gate.set()
    await asyncio.gather(*(world.until(one) for one in begun))
    put = [one for writes in store.commits for one in writes if isinstance(one, PutThread)]
    assert len(put) == 3
    assert sorted(texts(await world.items())[::2]) == ["hang 0", "hang 1", "hang 2"]
    assert len((await world.store.threads("t", "ann", limit=9)).rows) == 1


async def test_an_erasure_beside_the_engine_ends_a_turn_aside(scripted: tuple[World, ScriptedStore]) -> None:
    world, store = scripted
    started = await world.ask("hang on", aside=True)
    seen = await world.until(started, ev.BlockDelta)
    async for _ in store.real.erase("t", "ann"):
        pass
    world.gate.set()
    tail = world.engine.tail(started.run.id, after=seen[-1].seq)
    assert await tail.next(LONG) == []
    assert await store.thread("t", "k") is None


async def test_a_thread_deleted_beside_the_engine_is_made_anew(scripted: tuple[World, ScriptedStore]) -> None:
    world, store = scripted
    await world.until(await world.ask("one", aside=True))
    started = await world.ask("hang on", aside=True)
    await world.until(started, ev.BlockDelta)
    thread = await world.store.thread("t", "k")
    assert thread is not None
    await store.commit(DeleteThread(thread.number, world.time + 60))
    world.gate.set()
    await world.until(started)
    assert texts(await world.items()) == ["hang on", "some more"]


async def test_deleting_the_thread_ends_what_a_fault_holds_up_beside_it(scripted: tuple[World, ScriptedStore]) -> None:
    world, store = scripted
    await world.until(await world.ask("one", aside=True))
    started = await world.ask("hang on", aside=True)
    seen = await world.until(started, ev.BlockDelta)
    store.before["commit"] = [fails_with(Unavailable("the disk is full"))]
    world.gate.set()
    async with asyncio.timeout(LONG):
        while world.engine.moving:  # until the fault has stopped it
            await checkpoint()
    await world.engine.delete_thread("t", "ann", "k")
    tail = world.engine.tail(started.run.id, after=seen[-1].seq)
    while events := await tail.next(LONG):
        seen += events
    assert not isinstance(seen[-1].body, ev.RunCompleted)
    assert await store.run(started.run.id) is None
    assert await store.thread("t", "k") is None
