"""Jobs in the real engine: they wait, run, pause, end, and survive what happens to the server."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from dragoman import Flow, client_tool, step
from dragoman.core import events as ev
from dragoman.core.errors import Conflict, Unavailable
from dragoman.core.flows import Continue, FlowCall
from dragoman.core.records import Repeat, Run
from dragoman.engine.app import App
from dragoman.engine.embedded import EmbeddedEngine
from dragoman.store import SQLiteStore, open_store

pytestmark = pytest.mark.requirement("NOU-25")


class Hall:
    """Jobs of one flow whose step waits at a gate; `ran` counts how often it ran for each message."""

    def __init__(self, store: SQLiteStore) -> None:
        self.store = store
        self.gate = asyncio.Event()
        self.ran: Counter[str] = Counter()
        self.order: list[str] = []
        self.most = 0
        self._inside = 0
        self.engine: EmbeddedEngine

    async def open(self, *, workers: int = 2, queue_limit: int = 10_000) -> None:
        @step
        async def work(ctx: Any) -> str:
            self.ran[ctx.message] += 1
            self.order.append(ctx.message)
            self._inside += 1
            self.most = max(self.most, self._inside)
            try:
                await self.gate.wait()
            finally:
                self._inside -= 1
            return f"done {ctx.message}"

        ask = client_tool("ask", arguments={})
        flows = [Flow("a/work", [work]), Flow("a/tool", [ask]), Flow("a/tool_work", [ask, work])]
        self.engine = EmbeddedEngine(App("test", flows=flows), self.store, workers=workers, queue_limit=queue_limit)
        await self.engine.open()

    async def offer(self, message: str, flow: str = "a/work", **more: Any) -> Run:
        call = FlowCall("acme", flow, kind="job", message=message, **more)
        return (await self.engine.start_flow(call)).run

    async def ended(self, run_id: str) -> Run:
        async with asyncio.timeout(20):
            async for _ in self.engine.events(run_id):
                pass
        run = await self.store.run(run_id)
        assert run is not None
        return run

    async def reach(self, number: int) -> None:
        """Wait until so many steps have begun."""
        async with asyncio.timeout(20):
            while len(self.order) < number:
                await self.store.check()


@pytest.fixture
async def hall(tmp_path: Path) -> AsyncIterator[Hall]:
    store = await open_store(tmp_path)
    hall = Hall(store)
    await hall.open()
    yield hall
    hall.gate.set()
    await hall.engine.close()
    await store.close()


async def test_a_job_is_stored_before_the_answer_waits_for_a_worker_and_keeps_its_result(hall: Hall) -> None:
    jobs = [await hall.offer(f"m{n}") for n in range(4)]
    assert {(await hall.store.run(job.id)).status for job in jobs[2:]} == {"queued"}  # type: ignore[union-attr]
    await hall.reach(2)
    assert (hall.engine.jobs.busy, hall.engine.jobs.length) == (2, 2)
    hall.gate.set()
    results = [(run.status, run.result) for run in [await hall.ended(job.id) for job in jobs]]
    assert results == [("completed", f"done m{n}") for n in range(4)]
    assert hall.most == 2


async def test_jobs_of_a_higher_priority_run_first(hall: Hall) -> None:
    await hall.offer("a")
    await hall.offer("b")
    await hall.reach(2)
    last = [await hall.offer(f"p{priority}", priority=priority) for priority in (0, -1, 7, 3)]
    hall.gate.set()
    for job in last:
        await hall.ended(job.id)
    assert hall.order[2:] == ["p7", "p3", "p0", "p-1"]


@pytest.mark.requirement("NOU-89")
async def test_jobs_that_wait_and_jobs_under_way_end_after_a_restart(hall: Hall) -> None:
    jobs = [await hall.offer(f"m{n}") for n in range(10)]
    await hall.reach(2)
    await hall.engine.close(grace=0.0)
    assert await hall.store.queue_length() == 8
    hall.gate.set()
    await hall.open(workers=3)
    runs = [await hall.ended(job.id) for job in jobs]
    assert [run.result for run in runs] == [f"done m{n}" for n in range(10)]
    assert hall.ran == {"m0": 2, "m1": 2, **{f"m{n}": 1 for n in range(2, 10)}}
    assert (await hall.store.queue_length(), list(await hall.store.unfinished())) == (0, [])


@pytest.mark.requirement("NOU-96")
async def test_a_job_that_is_cancelled_while_it_waits_never_runs(hall: Hall) -> None:
    jobs = [await hall.offer(f"m{n}") for n in range(4)]
    await hall.reach(2)
    assert await hall.engine.cancel(jobs[2].id)
    assert not await hall.engine.cancel(jobs[2].id)
    hall.gate.set()
    assert (await hall.ended(jobs[2].id)).status == "cancelled"
    assert (await hall.ended(jobs[3].id)).status == "completed"
    assert "m2" not in hall.ran
    assert isinstance((await hall.store.events(jobs[2].id))[-1].body, ev.RunCancelled)


async def test_a_job_that_is_cancelled_while_it_runs_makes_room(hall: Hall) -> None:
    jobs = [await hall.offer(f"m{n}") for n in range(3)]
    await hall.reach(2)
    await hall.engine.cancel(jobs[0].id)
    await hall.reach(3)
    hall.gate.set()
    assert [(await hall.ended(job.id)).status for job in jobs] == ["cancelled", "completed", "completed"]


@pytest.mark.requirement("NOU-96")
async def test_a_job_that_waits_for_a_tool_makes_room_and_goes_on_when_it_is_told(hall: Hall) -> None:
    waiting = [await hall.offer("x", "a/tool") for _ in range(4)]
    hall.gate.set()
    assert (await hall.ended((await hall.offer("m")).id)).status == "completed"
    for job in waiting:
        events = await hall.store.events(job.id)
        assert isinstance(events[-1].body, ev.RunPaused)
        call = events[-1].body.calls[0]
        await hall.engine.continue_flow("acme", job.id, Continue(outputs={call: "it is sunny"}))
    assert {(await hall.ended(job.id)).result for job in waiting} == {"it is sunny"}
    assert hall.engine.jobs.busy == 0


async def test_a_full_queue_refuses_and_stores_nothing(tmp_path: Path, hall: Hall) -> None:
    await hall.engine.close()
    await hall.open(workers=1, queue_limit=2)
    jobs = [await hall.offer("m0")]
    await hall.reach(1)
    jobs += [await hall.offer(f"m{n}") for n in (1, 2)]
    with pytest.raises(Unavailable) as refused:
        await hall.offer("m3")
    assert refused.value.code == "unavailable:queue"
    assert len((await hall.store.runs("acme", kind="job")).rows) == 3
    hall.gate.set()
    for job in jobs:
        await hall.ended(job.id)
    assert (await hall.ended((await hall.offer("m3")).id)).result == "done m3"


async def test_a_thousand_jobs_all_run_exactly_once(hall: Hall) -> None:
    hall.gate.set()
    jobs = [await hall.offer(f"m{n}") for n in range(1000)]
    for job in reversed(jobs):
        assert (await hall.ended(job.id)).status == "completed"
    assert hall.ran == Counter({f"m{n}": 1 for n in range(1000)})
    assert hall.most <= 2
    assert (hall.engine.jobs.busy, hall.engine.jobs.length, hall.engine.moving) == (0, 0, 0)


async def test_jobs_that_are_offered_at_once_never_pass_the_bound(hall: Hall) -> None:
    await hall.engine.close()
    await hall.open(workers=1, queue_limit=3)
    await hall.offer("under way")
    await hall.reach(1)
    offered = await asyncio.gather(*(hall.offer(f"m{n}") for n in range(20)), return_exceptions=True)
    refused = [one for one in offered if isinstance(one, Unavailable)]
    assert len(refused) == 17
    assert {one.code for one in refused} == {"unavailable:queue"}
    assert await hall.store.queue_length() == hall.engine.jobs.length == 3


async def test_a_job_that_is_cancelled_or_refused_while_it_waits_leaves_its_place_to_another(hall: Hall) -> None:
    await hall.engine.close()
    await hall.open(workers=1, queue_limit=3)
    await hall.offer("under way")
    await hall.reach(1)
    jobs = [await hall.offer(f"m{n}") for n in range(3)]
    for job in jobs:
        assert await hall.engine.cancel(job.id)
        assert not await hall.engine.cancel(job.id)
    assert hall.engine.jobs.length == 0
    repeat = Repeat("acme", "", "once", "digest", None, None, 0.0, 9e12)
    twice = await asyncio.gather(*(hall.offer("r", repeat=repeat) for _ in range(3)))
    assert len({run.id for run in twice}) == 1
    assert hall.engine.jobs.length == 1
    others = [await hall.offer(f"n{n}") for n in range(2)]
    with pytest.raises(Unavailable):
        await hall.offer("one too many")
    hall.gate.set()
    for job in (twice[0], *others):
        assert (await hall.ended(job.id)).status == "completed"
    assert not {"m0", "m1", "m2"} & set(hall.order)


async def test_jobs_that_are_cancelled_while_they_are_claimed_end_once_and_free_their_workers(hall: Hall) -> None:
    hall.gate.set()
    jobs = [await hall.offer(f"m{n}") for n in range(12)]
    cancelled = await asyncio.gather(*(hall.engine.cancel(job.id) for job in jobs))
    for job, was in zip(jobs, cancelled, strict=True):
        run = await hall.ended(job.id)
        assert run.status == ("cancelled" if was else "completed")
        finals = [event for event in await hall.store.events(job.id) if isinstance(event.body, ev.FINAL)]
        assert len(finals) == 1
    assert (await hall.ended((await hall.offer("after")).id)).status == "completed"
    async with asyncio.timeout(20):
        while hall.engine.jobs.busy:
            await hall.store.check()
    assert hall.engine.jobs.length == 0


async def test_a_paused_job_goes_on_at_once_and_counts_as_under_way(hall: Hall) -> None:
    waiting = await hall.offer("t", "a/tool_work")
    async with asyncio.timeout(20):
        async for event in hall.engine.events(waiting.id):
            if isinstance(event.body, ev.RunPaused):
                call = event.body.calls[0]
                break
    await hall.offer("a")
    await hall.offer("b")
    await hall.reach(2)
    await hall.engine.continue_flow("acme", waiting.id, Continue(outputs={call: 1}))
    await hall.reach(3)
    assert hall.engine.jobs.busy == 3, "it is not kept waiting"
    last = await hall.offer("c")
    await hall.engine.cancel(waiting.id)
    await hall.store.check()
    assert "c" not in hall.order, "two are under way still"
    hall.gate.set()
    assert (await hall.ended(last.id)).status == "completed"
    with pytest.raises(Conflict):
        await hall.engine.continue_flow("acme", waiting.id, Continue(outputs={call: 2}))
    async with asyncio.timeout(20):
        while hall.engine.jobs.busy:
            await hall.store.check()
