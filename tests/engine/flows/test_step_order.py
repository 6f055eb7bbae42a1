"""The promise of a durable flow at its narrowest: a step's result is stored before the next one's code runs."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.engine.flows.stage import LONG, Stage
from tests.engine.scripted_store import ScriptedStore

from dragoman.core import events as ev
from dragoman.core.writes import AppendEvents
from dragoman.engine.flows.authoring import Flow, flow, step
from dragoman.engine.flows.context import FlowContext
from dragoman.store.sqlite import open_store


class Watched:
    """A stage, and a hold on the commit that stores the result of a step; all others pass."""

    def __init__(self, stage: Stage, store: ScriptedStore) -> None:
        self.stage = stage
        self.begun = asyncio.Event()
        self.go = asyncio.Event()
        self._store = store
        store.before["commit"] = [self]

    async def __call__(self, *writes: Any) -> None:
        self._store.before["commit"] = [self]
        bodies = [event.body for write in writes if isinstance(write, AppendEvents) for event in write.events]
        if any(isinstance(body, ev.StepCompleted) for body in bodies):
            self.begun.set()
            await self.go.wait()


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    store = ScriptedStore(await open_store(tmp_path / "data"))
    made = Watched(Stage(store), store)  # type: ignore[arg-type]  # hands every call on to the real store
    yield made
    made.go.set()
    store.before.clear()
    await made.stage.close()
    await store.close()


async def never_before(watched: Watched, second_ran: asyncio.Event) -> None:
    """The result of the first step is held back: the second does not begin. It is stored: the second runs."""
    started = await watched.stage.start()
    async with asyncio.timeout(LONG):
        await watched.begun.wait()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await second_ran.wait()
        watched.go.set()
        await second_ran.wait()
    assert isinstance(await watched.stage.end(started), ev.RunCompleted)


@pytest.mark.requirement("CORE-02")
async def test_no_step_runs_before_the_result_of_the_one_before_is_stored(watched: Watched) -> None:
    second_ran = asyncio.Event()

    @step
    async def first(ctx: FlowContext) -> int:
        return 1

    @step
    async def second(ctx: FlowContext) -> int:
        second_ran.set()
        return 2

    await watched.stage.open(Flow("p/f", [first, second]))
    await never_before(watched, second_ran)


@pytest.mark.requirement("CORE-02")
async def test_no_inner_step_runs_before_the_result_of_the_one_before_is_stored(watched: Watched) -> None:
    second_ran = asyncio.Event()

    async def first() -> int:
        return 1

    async def second(n: int) -> int:
        second_ran.set()
        return n + 1

    @flow("p/f")
    async def both(ctx: FlowContext) -> int:
        return int(await ctx.step("second", second, await ctx.step("first", first)))

    await watched.stage.open(both)
    await never_before(watched, second_ran)
