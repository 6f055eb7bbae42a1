"""The sweeper of a server: what goes by the settings, when, and what it tells."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from dragoman.core.errors import Unavailable
from dragoman.core.events import Event, RunPaused
from dragoman.core.ports import Store
from dragoman.core.records import Blob, Keep, Removed, Run, Session, Thread
from dragoman.core.records import Item as StoredItem
from dragoman.core.writes import AppendEvents, DeleteThread, PutBlob, PutItem, PutRun, PutSession, PutThread
from dragoman.server.logs import logger
from dragoman.server.metrics import Metrics
from dragoman.server.settings import RetentionSettings
from dragoman.server.sweeping import DAY, Sweeper
from dragoman.store import SQLiteStore, open_store
from dragoman.store.blobs import FileBlobs
from dragoman.testing import FakeClock

Start = Callable[..., Awaitable[Any]]
V1 = "/dragoman/v1"

pytestmark = pytest.mark.requirement("CORE-12")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def store(tmp_path: Path, clock: FakeClock) -> AsyncIterator[SQLiteStore]:
    store = await open_store(tmp_path / "data", clock=clock)
    yield store
    await store.close()


def sweeper(store: Store, clock: FakeClock, **settings: Any) -> tuple[Sweeper, Metrics]:
    metrics = Metrics()
    return Sweeper(store, RetentionSettings(**settings), metrics, logger(), cancel=nothing_waits, clock=clock), metrics


async def nothing_waits(run: str, reason: str) -> bool:
    raise AssertionError(f"{run} was cancelled: {reason}")


async def put_thread(store: Store, clock: FakeClock, id: str, items: int = 1) -> int:
    await store.commit(PutThread(Thread(id, "acme", "ann", clock(), clock())))
    thread = await store.thread("acme", id)
    assert thread is not None
    writes = [
        PutItem(thread.number, StoredItem(f"{id}-{n}", "message", "user", clock(), {"text": "x"})) for n in range(items)
    ]
    await store.commit(*writes)
    return thread.number


async def test_by_default_threads_stay_for_ever_and_lone_runs_thirty_days(store: SQLiteStore, clock: FakeClock) -> None:
    await put_thread(store, clock, "t")
    await store.commit(PutRun(Run("lone", "acme", "ann", "job", "a", clock(), status="completed", ended=clock())))
    broom, _ = sweeper(store, clock)
    clock.advance(29.9 * DAY)
    assert not await broom.sweep()
    clock.advance(0.2 * DAY)
    assert await broom.sweep() == Removed(runs=1)
    clock.advance(3650 * DAY)
    assert not await broom.sweep()
    assert await store.thread("acme", "t") is not None


async def test_threads_go_when_the_setting_says_so(store: SQLiteStore, clock: FakeClock) -> None:
    await put_thread(store, clock, "old", items=3)
    clock.advance(6 * DAY)
    await put_thread(store, clock, "young")
    broom, metrics = sweeper(store, clock, threads_days=7)
    clock.advance(1.5 * DAY)
    assert await broom.sweep() == Removed(threads=1, items=3)
    assert metrics.value("dragoman_swept_total", (("kind", "items"),)) == 3
    assert metrics.value("dragoman_sweeps_total", (("outcome", "done"),)) == 1
    assert [thread.id for thread in (await store.threads("acme", "ann", limit=5)).rows] == ["young"]
    clock.advance(1.1 * DAY)  # the mark of the deleted one is over as well
    assert await broom.sweep() == Removed(marks=1)


@pytest.mark.requirement("NOU-81")
async def test_a_session_goes_after_thirty_days_and_is_forgotten_after_ninety_more(
    store: SQLiteStore, clock: FakeClock
) -> None:
    session = Session("acme", "s", clock(), clock(), "r", "r", clock() + 30 * DAY)
    run = Run("r", "acme", "ann", "execute", "a/b", clock(), session="s", status="completed", ended=clock())
    await store.commit(PutRun(run), PutSession(session))
    broom, metrics = sweeper(store, clock, runs_days=1)
    clock.advance(29.9 * DAY)
    assert not await broom.sweep()
    clock.advance(0.1 * DAY)
    assert await broom.sweep() == Removed(sessions=1, runs=1)
    assert metrics.value("dragoman_swept_total", (("kind", "sessions"),)) == 1
    gone = await store.session("acme", "s")
    assert gone is not None
    assert gone.tombstone == clock() + 90 * DAY
    clock.advance(90 * DAY)
    assert await broom.sweep() == Removed(sessions=1)
    assert await store.session("acme", "s") is None


async def test_how_long_a_tombstone_stays_is_a_setting(store: SQLiteStore, clock: FakeClock) -> None:
    await store.commit(PutSession(Session("acme", "s", clock(), clock(), expires=clock())))
    broom, _ = sweeper(store, clock, tombstones_days=2)
    await broom.sweep()
    clock.advance(2 * DAY)
    assert await broom.sweep() == Removed(sessions=1)


@pytest.mark.parametrize(("reason", "ends"), [("client_tool", True), ("segment", True), ("approval", False)])
async def test_a_run_that_nobody_lets_go_on_ends_after_a_day(
    store: SQLiteStore, clock: FakeClock, reason: Any, ends: bool
) -> None:
    await store.commit(
        PutRun(Run("r", "acme", "", "step", "a/b", clock(), status="paused")),
        AppendEvents((Event("r", 1, clock(), RunPaused(reason)),)),
    )
    cancelled: list[tuple[str, str]] = []

    async def cancel(run: str, why: str) -> bool:
        cancelled.append((run, why))
        return True

    broom = Sweeper(store, RetentionSettings(), Metrics(), logger(), cancel=cancel, clock=clock)
    clock.advance(0.99 * DAY)
    await broom.sweep()
    assert cancelled == []
    clock.advance(0.02 * DAY)
    await broom.sweep()
    assert cancelled == ([("r", "expired")] if ends else [])


async def test_what_was_swept_is_one_line_in_the_log(
    store: SQLiteStore, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    await put_thread(store, clock, "old", items=3)
    broom, _ = sweeper(store, clock, threads_days=7)
    clock.advance(8 * DAY)
    with caplog.at_level(logging.INFO, "dragoman.server"):
        await broom.sweep()
        await broom.sweep()
    (line,) = caplog.records
    assert (line.getMessage(), line.__dict__["threads"], line.__dict__["items"]) == ("swept", 1, 3)


async def test_a_clock_that_was_set_back_deletes_nothing(store: SQLiteStore, clock: FakeClock) -> None:
    await put_thread(store, clock, "t")
    earlier = FakeClock(clock() - 3600)
    broom, _ = sweeper(store, earlier, threads_days=0.01)
    assert not await broom.sweep()


async def test_others_write_while_a_large_thread_goes(store: SQLiteStore, clock: FakeClock) -> None:
    await put_thread(store, clock, "large", items=20_000)
    clock.advance(8 * DAY)
    broom, _ = sweeper(store, clock, threads_days=7)
    sweeping = asyncio.create_task(broom.sweep())
    commits = 0
    while not sweeping.done():
        await store.check()
        commits += 1
    assert (await sweeping).items == 20_000
    assert commits > 10


class Failing:
    """A store whose sweep fails, the given number of times."""

    def __init__(self, times: int) -> None:
        self.left = times
        self.tried = asyncio.Event()

    async def unfinished(self) -> list[Run]:
        return []

    async def sweep(self, keep: Keep) -> AsyncIterator[Removed]:
        self.left -= 1
        if self.left < 0:
            self.tried.set()
            return
        raise Unavailable("the disk is full")
        yield Removed()


async def test_a_sweep_that_fails_is_told_and_tried_again(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    failing = Failing(2)
    broom, metrics = sweeper(failing, clock, sweep_seconds=0.001)  # type: ignore[arg-type]  # only what is asked for
    watching = asyncio.create_task(broom.watch())
    await asyncio.wait_for(failing.tried.wait(), 10)
    watching.cancel()
    await asyncio.wait([watching])
    assert metrics.value("dragoman_sweeps_total", (("outcome", "failed"),)) == 2
    assert [record.getMessage() for record in caplog.records] == ["sweep failed"] * 2


async def test_a_server_sweeps_by_itself_and_says_so(start_inside: Start, tmp_path: Path) -> None:
    clock = FakeClock()
    settings = {"retention.threads_days": 7}
    first = await start_inside(data=tmp_path / "data", clock=clock, settings=settings)
    made = (
        await first.ask("POST", V1 + "/runs", {"message": {"text": "echo: x"}}, headers={"accept": "text/event-stream"})
    ).headers["x-dragoman-run"]
    await first.application.stop()
    clock.advance(8 * DAY)
    second = await start_inside(data=tmp_path / "data", clock=clock, settings=settings)
    text = ""
    async with asyncio.timeout(10):
        while 'dragoman_swept_total{kind="runs"} 1' not in text:
            text = (await second.ask("GET", "/metrics")).text
    assert (await second.ask("GET", f"{V1}/runs/{made}")).status == 404
    assert (await second.ask("GET", V1 + "/threads")).json()["threads"] == []


async def test_a_run_whose_client_never_brings_its_tools_output_ends_after_a_day(
    start_inside: Start, tmp_path: Path
) -> None:
    clock = FakeClock()
    settings = {"retention.sweep_seconds": 0.001}
    inside = await start_inside(data=tmp_path / "data", clock=clock, settings=settings)

    async def status_of(run: str) -> str:
        return str((await inside.ask("GET", f"{V1}/runs/{run}")).json()["status"])

    async def until(run: str, status: str) -> None:
        found = ""
        async with asyncio.timeout(10):
            while found != status:
                found = await status_of(run)
                await asyncio.sleep(0)  # an answer from memory lets nobody else go on

    async def paused(**body: Any) -> str:
        """A run that waits."""
        run: str = (await inside.ask("POST", V1 + "/runs", body)).json()["id"]
        await until(run, "paused")
        return run

    early = await paused(message={"text": 'client: where {"of": "me"}'}, client_tools=True)
    clock.advance(0.9 * DAY)
    late = await paused(message={"text": 'client: where {"of": "me"}'}, client_tools=True)
    clock.advance(0.2 * DAY)
    await until(early, "cancelled")
    assert await status_of(late) == "paused"
    reply = await inside.ask("GET", f"{V1}/runs/{early}/events", headers={"accept": "application/json"})
    last = reply.json()["events"][-1]
    assert (last["type"], last["payload"]["reason"]) == ("run.cancelled", "expired")


@pytest.mark.requirement("CHK-15")
async def test_the_bytes_of_files_go_with_their_threads_and_when_they_expire_unused(
    store: SQLiteStore, clock: FakeClock, tmp_path: Path
) -> None:
    blobs = FileBlobs(tmp_path / "blobs")
    number = await put_thread(store, clock, "t")
    for n in range(230):
        id = f"b{n}"
        thread, expires = (number, None) if n % 2 else (None, clock() + DAY)
        row = Blob(id, "acme", "ann", "attachment", "a", "a/b", clock(), thread=thread, expires=expires)
        await store.commit(PutBlob(row))
        await blobs.write(id, _chunks(b"x"))
    await store.commit(PutBlob(Blob("kept", "acme", "ann", "attachment", "a", "a/b", clock())))
    await blobs.write("kept", _chunks(b"x"))
    metrics = Metrics()
    broom = Sweeper(store, RetentionSettings(), metrics, logger(), cancel=nothing_waits, blobs=blobs, clock=clock)
    assert (await broom.sweep()).blobs == 0
    await store.commit(DeleteThread(number, forget_at=clock()))
    clock.advance(DAY)
    assert (await broom.sweep()).blobs == 115
    assert [path.name for path in (tmp_path / "blobs").rglob("*") if path.is_file()] == ["kept"]
    assert not await store.dead_blobs(now=clock())
    assert (await broom.sweep()).blobs == 0


async def _chunks(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk
