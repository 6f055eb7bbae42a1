"""A thousand jobs over three lives of an engine: none is lost, none runs twice, and few are in memory at a time."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from dragoman import App, Flow, FlowContext, step
from dragoman.core.flows import FlowCall
from dragoman.core.records import Run
from dragoman.core.writes import PutRun
from dragoman.engine.embedded import EmbeddedEngine
from dragoman.engine.jobs import JobQueue
from dragoman.store.sqlite import SQLiteStore, open_store

JOBS = 1000
WORKERS = 4
LONG = 60.0


class Counting:
    """An app whose only flow counts, here and not in the store, what it was run with."""

    def __init__(self) -> None:
        self.ran: Counter[str] = Counter()
        self.most = 0
        self._now = 0

        @step
        async def count(ctx: FlowContext) -> str:
            self._now += 1
            self.most = max(self.most, self._now)
            await asyncio.sleep(0)
            self._now -= 1
            self.ran[str(ctx.message)] += 1
            return str(ctx.message)

        self.app = App("many", flows=[Flow("many/count", [count])])

    async def life(self, store: SQLiteStore) -> EmbeddedEngine:
        engine = EmbeddedEngine(self.app, store, workers=WORKERS)
        await engine.open()
        return engine


async def drained(engine: EmbeddedEngine, store: SQLiteStore, most_left: int) -> int:
    """Wait until no more than this many wait in the queue; the most runs that moved meanwhile."""
    moving = 0
    async with asyncio.timeout(LONG):
        while await store.queue_length() > most_left or (most_left == 0 and engine.moving):
            moving = max(moving, engine.moving)
            await asyncio.sleep(0.001)
    return moving


@pytest.mark.requirement("NOU-89")
async def test_a_thousand_jobs_over_three_lives_run_exactly_once_each(tmp_path: Path) -> None:
    counting = Counting()
    store = await open_store(tmp_path)
    engine = await counting.life(store)
    for number in range(JOBS):
        await engine.start_flow(FlowCall("t", "many/count", kind="job", message=str(number), priority=number % 3))
    moving = 0
    for left in (700, 350, 0):
        moving = max(moving, await drained(engine, store, left))
        await engine.close()
        if left:
            engine = await counting.life(store)
    try:
        assert counting.ran == Counter(map(str, range(JOBS)))
        assert counting.most <= WORKERS
        assert moving <= WORKERS
        page = await store.runs("t", kind="job", limit=JOBS)
        assert Counter(run.status for run in page.rows) == {"completed": JOBS}
        assert {run.result for run in page.rows} == set(map(str, range(JOBS)))
    finally:
        await store.close()


async def test_a_job_that_is_about_to_begin_is_not_taken_again_when_the_queue_is_looked_at(tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    taken: list[str] = []
    go = asyncio.Event()

    async def take(run_id: str) -> None:
        taken.append(run_id)
        await go.wait()  # nothing is stored yet that says so

    queue = JobQueue(store, take, workers=3, limit=10)
    await queue.open()
    try:
        async with asyncio.timeout(LONG):
            for count in (1, 2):  # the second makes the queue look again, while the first still waits in the store
                await store.commit(PutRun(Run(f"j{count}", "t", "o", "job", "many/count", 1.0)))
                queue.notice(0)
                while len(taken) < count:
                    await store.check()
        for _ in range(20):
            await store.check()
        assert taken == ["j1", "j2"]
        assert (queue.busy, queue.length) == (2, 0)
    finally:
        go.set()
        await queue.close()
        await store.close()
