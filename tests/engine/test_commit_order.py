"""Promise 3 of DESIGN.md at its narrowest: numbered and committed first, then seen, then acknowledged."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.engine.scripted_store import ScriptedStore
from tests.engine.world import LONG, World, pending_call

from dragoman.core.turns import Decision
from dragoman.core.writes import AppendEvents
from dragoman.store.sqlite import open_store


@pytest.fixture
async def scripted(tmp_path: Path) -> AsyncIterator[tuple[World, ScriptedStore]]:
    store = ScriptedStore(await open_store(tmp_path / "data"))
    world = World(store)  # type: ignore[arg-type]  # hands every call on to the real store
    await world.engine.open()
    yield world, store
    world.gate.set()
    store.before.clear()
    await world.engine.close()
    await store.close()


class Held:
    """A commit that waits until the test lets it go."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.go = asyncio.Event()

    async def __call__(self, *writes: Any) -> None:
        self.begun.set()
        await self.go.wait()


@pytest.mark.requirement("CORE-03")
async def test_no_reader_sees_an_event_before_it_is_committed(scripted: tuple[World, ScriptedStore]) -> None:
    world, store = scripted
    run = (await world.ask("hang")).run
    held = Held()
    store.before["commit"] = [held]
    async with asyncio.timeout(LONG):
        await held.begun.wait()
        tail = world.engine.tail(run.id)
        seen = list(await tail.next())
        with pytest.raises(TimeoutError):
            await tail.next(0.05)
        stored = [event.seq for write in store.commits[-1] if isinstance(write, AppendEvents) for event in write.events]
        assert [event.seq for event in seen] == stored
        held.go.set()
        assert (await tail.next())[0].seq == stored[-1] + 1


@pytest.mark.requirement("CORE-02")
async def test_no_decision_is_acknowledged_before_it_is_committed(scripted: tuple[World, ScriptedStore]) -> None:
    world, store = scripted
    _, call = await pending_call(world)
    held = Held()
    store.before["commit"] = [held]
    decided = asyncio.ensure_future(world.engine.decide("t", "ann", "k", [Decision(call=call)]))
    async with asyncio.timeout(LONG):
        await held.begun.wait()
        await asyncio.wait([decided], timeout=0.05)
        assert not decided.done()
        assert world.ran == []
        held.go.set()
        assert (await decided).outcome == "accepted"
