"""The queue of jobs: what begins when, and what becomes of jobs that cannot begin, end beside us, or wait very long."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from dragoman.core.errors import Unavailable
from dragoman.core.records import Run
from dragoman.core.writes import ChangeRun, PutRun
from dragoman.engine import jobs as queueing
from dragoman.engine.jobs import JobQueue
from dragoman.store import SQLiteStore, open_store

pytestmark = pytest.mark.requirement("NOU-25")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SQLiteStore]:
    store = await open_store(tmp_path)
    yield store
    await store.close()


def job(id: str, priority: int = 0, **more: Any) -> Run:
    known = {"id": id, "tenant": "acme", "owner": "ann", "kind": "job", "name": "basics/echo", "created": 1.0}
    return Run(**known | {"priority": priority} | more)


class Workers:
    """What `take` does: begins a job in the store, and ends it when it is told to (or at once)."""

    def __init__(self, store: SQLiteStore, *, at_once: bool = False) -> None:
        self.queue: JobQueue
        self.begun: list[str] = []
        self.failing: dict[str, int] = {}
        self.most = 0
        self._store = store
        self._at_once = at_once
        self._tasks: set[asyncio.Task[None]] = set()

    async def take(self, run_id: str) -> None:
        if self.failing.get(run_id, 0):
            self.failing[run_id] -= 1
            raise OSError(f"{run_id} cannot be read")
        self.begun.append(run_id)
        self.most = max(self.most, self.queue.busy)
        await self._store.commit(ChangeRun(run_id, {"status": "running"}, only_if=("queued",)))
        if self._at_once:
            task = asyncio.create_task(self.end(run_id))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def end(self, run_id: str) -> None:
        await self._store.commit(ChangeRun(run_id, {"status": "completed"}))
        self.queue.done(run_id)

    async def reach(self, begun: int) -> None:
        """Wait until so many jobs have begun."""
        async with asyncio.timeout(20):
            while len(self.begun) < begun:
                await self._store.check()

    async def settle(self) -> None:
        """Let whatever could begin do so."""
        for _ in range(20):
            await self._store.check()


Open = Callable[..., Awaitable[Workers]]


@pytest.fixture
async def opened(store: SQLiteStore) -> AsyncIterator[Open]:
    queues: list[JobQueue] = []

    async def make(
        *, workers: int = 2, limit: int = 100, look_seconds: float = 30.0, under_way: tuple[str, ...] = (), **more: Any
    ) -> Workers:
        crew = Workers(store, **more)
        crew.queue = JobQueue(store, crew.take, workers=workers, limit=limit, look_seconds=look_seconds)
        queues.append(crew.queue)
        await crew.queue.open(under_way)
        return crew

    yield make
    for queue in queues:
        await queue.close()


async def offer(store: SQLiteStore, crew: Workers, *runs: Run) -> None:
    for run in runs:
        await store.commit(PutRun(run))
        crew.queue.notice(run.priority)


async def idle(store: SQLiteStore, queue: JobQueue) -> None:
    """Wait until nothing waits and no worker has a job."""
    async with asyncio.timeout(20):
        while queue.busy or queue.length:
            await store.check()


async def test_as_many_jobs_run_as_there_are_workers_and_the_next_when_one_is_done(
    store: SQLiteStore, opened: Open
) -> None:
    crew = await opened(workers=2)
    await offer(store, crew, *(job(f"j{n}") for n in range(5)))
    await crew.reach(2)
    await crew.settle()
    assert crew.begun == ["j0", "j1"]
    assert (crew.queue.busy, crew.queue.length) == (2, 3)
    await crew.end("j1")
    await crew.reach(3)
    await crew.end("j0")
    await crew.reach(4)
    await crew.settle()
    assert crew.begun == ["j0", "j1", "j2", "j3"]
    assert crew.most == 2


async def test_a_job_of_higher_priority_overtakes_all_that_wait(store: SQLiteStore, opened: Open) -> None:
    crew = await opened(workers=1)
    await offer(store, crew, job("first"))
    await crew.reach(1)
    await offer(store, crew, job("low", -1), job("a", 0), job("b", 0), job("high", 9))
    for number in range(2, 6):
        await crew.end(crew.begun[-1])
        await crew.reach(number)
    assert crew.begun == ["first", "high", "a", "b", "low"]


async def test_a_job_that_comes_after_others_were_looked_up_still_overtakes_them(
    store: SQLiteStore, opened: Open
) -> None:
    await store.commit(*(PutRun(job(f"j{n}")) for n in range(8)))
    crew = await opened(workers=1)
    await crew.reach(1)
    await offer(store, crew, job("urgent", 1))
    await crew.end("j0")
    await crew.reach(2)
    assert crew.begun == ["j0", "urgent"]


async def test_jobs_that_come_after_all_that_were_looked_up_do_not_make_it_look_again(
    store: SQLiteStore, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    queued = store.queued

    async def counted(*, limit: int) -> Any:
        looks.append(limit)
        return await queued(limit=limit)

    monkeypatch.setattr(store, "queued", counted)
    await store.commit(*(PutRun(job(f"j{n}", 5)) for n in range(10)))
    crew = await opened(workers=1)
    await crew.reach(1)
    for number in range(2, 10):
        await offer(store, crew, job(f"late{number}", 5 if number % 2 else 4))
        await crew.end(crew.begun[-1])
        await crew.reach(number)
    assert crew.begun == [f"j{n}" for n in range(9)]
    assert len(looks) == 1
    await crew.end("j8")
    await crew.reach(10)
    for number in range(11, 19):
        await crew.end(crew.begun[-1])
        await crew.reach(number)
    assert crew.begun[10:] == ["late3", "late5", "late7", "late9", "late2", "late4", "late6", "late8"]
    await crew.end("late8")
    await crew.settle()
    assert len(looks) == 3
    crew.queue.done("late8")
    await crew.settle()
    assert len(looks) == 3


@pytest.mark.requirement("NOU-89")
async def test_what_waited_before_a_restart_begins_after_it_and_workers_of_what_goes_on_are_busy(
    store: SQLiteStore, opened: Open
) -> None:
    await store.commit(
        PutRun(job("running", status="running")), PutRun(job("paused", status="paused")), PutRun(job("j0"))
    )
    await store.commit(PutRun(job("j1")))
    crew = await opened(workers=2, under_way=("running",))
    assert crew.queue.length == 2
    await crew.reach(1)
    await crew.settle()
    assert crew.begun == ["j0"]
    await crew.end("running")
    await crew.reach(2)
    assert crew.begun == ["j0", "j1"]


async def test_a_full_queue_refuses_until_a_job_has_begun(store: SQLiteStore, opened: Open) -> None:
    crew = await opened(workers=1, limit=2)
    await offer(store, crew, job("j0"))
    await crew.reach(1)
    await offer(store, crew, job("j1"))
    crew.queue.refuse_when_full()
    await offer(store, crew, job("j2"))
    with pytest.raises(Unavailable) as refused:
        crew.queue.refuse_when_full()
    assert refused.value.code == "unavailable:queue"
    await crew.end("j0")
    await crew.reach(2)
    crew.queue.refuse_when_full()


async def test_a_job_that_is_cancelled_while_it_waits_does_not_begin(store: SQLiteStore, opened: Open) -> None:
    crew = await opened(workers=1)
    await offer(store, crew, job("j0"), job("j1"), job("j2"))
    await crew.reach(1)
    await store.commit(ChangeRun("j1", {"status": "cancelled"}))
    crew.queue.notice()
    await crew.end("j0")
    await crew.reach(2)
    assert crew.begun == ["j0", "j2"]


async def test_a_job_that_needs_no_worker_any_more_frees_it_at_once(store: SQLiteStore) -> None:
    seen: list[str] = []

    async def take(run_id: str) -> bool:
        seen.append(run_id)
        await store.commit(ChangeRun(run_id, {"status": "cancelled"}))
        return False

    await store.commit(*(PutRun(job(f"j{n}")) for n in range(5)))
    queue = JobQueue(store, take, workers=1, limit=9)
    await queue.open()
    async with asyncio.timeout(20):
        while len(seen) < 5 or queue.busy:
            await store.check()
    assert queue.length == 0
    await queue.close()


async def test_a_job_that_cannot_begin_is_put_aside_and_holds_nobody_up(
    store: SQLiteStore, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queueing, "_FIRST_DELAY", 0.02)
    crew = await opened(workers=1, at_once=True)
    crew.failing = {"bad": 2}
    await offer(store, crew, job("bad", 5), job("j0"), job("j1"))
    await crew.reach(3)
    assert sorted(crew.begun) == ["bad", "j0", "j1"]
    assert crew.begun[0] == "j0"


async def test_a_fault_of_everything_does_not_fill_the_memory(
    store: SQLiteStore, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queueing, "_MOST_ASIDE", 10)
    await store.commit(*(PutRun(job(f"j{n}")) for n in range(50)))
    crew = await opened(workers=4)
    crew.failing = {f"j{n}": 1 for n in range(50)}
    await crew.settle()
    assert sum(crew.failing.values()) >= 50 - 10 - 4
    assert crew.begun == []


async def test_what_others_queue_end_or_delete_is_found_by_a_look(store: SQLiteStore, opened: Open) -> None:
    crew = await opened(workers=2, look_seconds=0.02)
    await offer(store, crew, job("j0"), job("j1"))
    await crew.reach(2)
    await store.commit(ChangeRun("j0", {"status": "cancelled"}), PutRun(job("beside")))
    await crew.reach(3)
    assert crew.begun == ["j0", "j1", "beside"]
    async for _ in store.erase("acme", "ann"):
        pass
    await idle(store, crew.queue)


async def test_a_store_that_fails_for_a_moment_does_not_end_the_queue(
    store: SQLiteStore, caplog: pytest.LogCaptureFixture
) -> None:
    begun: list[str] = []
    faults = [Unavailable("the database is busy"), Unavailable("the database is busy")]

    class Failing:
        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        async def queued(self, *, limit: int) -> Any:
            if faults:
                raise faults.pop()
            return await store.queued(limit=limit)

    async def take(run_id: str) -> None:
        begun.append(run_id)

    await store.commit(PutRun(job("j0")))
    queue = JobQueue(Failing(), take, workers=1, limit=9, look_seconds=0.01)
    await queue.open()
    async with asyncio.timeout(20):
        while not begun:
            await store.check()
    await queue.close()
    assert "jobs could not be looked up" in caplog.text


async def test_a_closed_queue_begins_nothing_more(store: SQLiteStore, opened: Open) -> None:
    crew = await opened(workers=1)
    await offer(store, crew, job("j0"), job("j1"))
    await crew.reach(1)
    await crew.queue.close()
    await crew.end("j0")
    await crew.settle()
    assert crew.begun == ["j0"]
    assert [run.id for run in await store.queued(limit=9)] == ["j1"]


async def test_thousands_of_jobs_all_run_once_in_order_and_take_no_memory_while_they_wait(
    store: SQLiteStore, opened: Open
) -> None:
    number = 2000
    given = {"message": "x" * 1000}
    for start in range(0, number, 500):
        await store.commit(*(PutRun(job(f"j{n}", input=given)) for n in range(start, start + 500)))
    gc.collect()
    tracemalloc.start()
    crew = await opened(workers=4, limit=number, at_once=True)
    await crew.reach(100)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1_000_000
    await crew.reach(number)
    await idle(store, crew.queue)
    assert crew.begun == [f"j{n}" for n in range(number)]
    assert crew.most <= 4
    assert await store.queue_length() == 0
