"""What a sweep and an erasure take away, and what they leave; over every backend of the port."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from dragoman.core.errors import LimitExceeded, NotFound, StaleWrite
from dragoman.core.ports import Store
from dragoman.core.records import Keep, Removed, Session, Thread
from dragoman.core.writes import (
    AppendEvents,
    ChangeThread,
    Count,
    DeleteThread,
    PutItem,
    PutKey,
    PutRepeat,
    PutRun,
    PutSession,
    PutSetting,
    PutStep,
    PutThread,
    PutVote,
)
from dragoman.store import open_beside, open_store, removal, statements

pytestmark = pytest.mark.requirement("CORE-12")

DAY = 86_400.0


async def total(passes: AsyncIterator[Removed]) -> Removed:
    gone = Removed()
    async for removed in passes:
        gone += removed
    return gone


async def put_thread(store: Store, make: Any, id: str, *, runs: int = 1, items: int = 2, **more: Any) -> Thread:
    """A thread with its runs, each with two events, a step, an approval."""
    await store.commit(PutThread(make.thread(id, **more)))
    thread = await store.thread("acme", id)
    assert thread is not None
    for n in range(items):
        await store.commit(PutItem(thread.number, make.item(f"{id}-m{n}")))
    for n in range(runs):
        run = make.run(f"{id}-r{n}", thread=thread.number, thread_id=id, status="completed", owner=thread.owner)
        await store.commit(
            PutRun(run),
            AppendEvents(make.events(1, 2, run=run.id)),
            PutStep(make.step(run=run.id)),
        )
    return thread


async def test_threads_that_nobody_wrote_to_go_and_leave_a_mark(store: Store, make: Any, clock: Any) -> None:
    old = await put_thread(store, make, "old", runs=3, items=5, updated=clock() - 31 * DAY)
    await put_thread(store, make, "new", updated=clock() - 29 * DAY)
    await store.commit(PutVote(make.vote(thread=old.number)))
    gone = await total(store.sweep(Keep(clock(), threads_since=clock() - 30 * DAY)))
    assert gone == Removed(threads=1, items=5, runs=3, events=6, steps=3, votes=1)
    assert await store.thread("acme", "old") is None
    assert await store.run("old-r0") is None
    assert not await store.events("old-r0")
    assert (await store.items(old.number)).rows == ()
    assert await store.run("new-r0") is not None
    page = await store.threads("acme", "ann", limit=10, after="new")  # its place is known for a day
    assert page.rows == ()
    assert (await store.threads("acme", "ann", limit=10, before="old")).rows[0].id == "new"
    assert not await total(store.sweep(Keep(clock(), threads_since=clock() - 30 * DAY)))


async def test_without_a_bound_threads_stay_for_ever_but_for_those_with_an_end(
    store: Store, make: Any, clock: Any
) -> None:
    await put_thread(store, make, "kept", updated=1.0)
    await put_thread(store, make, "ended", updated=clock(), expires=clock() - 1)
    await put_thread(store, make, "later", updated=1.0, expires=clock() + 1)
    assert (await total(store.sweep(Keep(clock())))).threads == 1
    assert [thread.id for thread in (await store.threads("acme", "ann", limit=9)).rows] == ["later", "kept"]


@pytest.mark.parametrize("status", ["queued", "running", "paused"])
async def test_a_thread_with_a_run_that_has_not_ended_stays(store: Store, make: Any, clock: Any, status: str) -> None:
    thread = await put_thread(store, make, "busy", updated=1.0)
    await store.commit(PutRun(make.run("active", thread=thread.number, status=status)))
    assert not await total(store.sweep(Keep(clock(), threads_since=clock())))
    assert await store.thread("acme", "busy") is not None


async def test_a_thread_that_was_written_to_in_the_meantime_stays(store: Store, make: Any, clock: Any) -> None:
    thread = await put_thread(store, make, "woken", updated=1.0)
    keep = Keep(clock(), threads_since=clock() - DAY)
    passes = removal.sweep(store._readers.far, _waking(store, make, thread), keep)  # type: ignore[attr-defined]
    assert not await total(passes)
    assert await store.thread("acme", "woken") is not None


def _waking(store: Any, make: Any, thread: Thread) -> Any:
    async def remove(work: Any) -> Removed:
        await store.commit(ChangeThread(thread.number, {"updated": 1e12}))
        found: Removed = await store._remove(work)
        return found

    return remove


async def test_runs_that_failed_beside_a_thread_go_with_it(store: Store, make: Any, clock: Any) -> None:
    await put_thread(store, make, "swept", expires=clock() - 1)
    beside = {"thread_id": "swept", "ended": 2.0, "status": "failed"}
    for id, more in (("mine", {}), ("theirs", {"owner": "bob"}), ("open", {"ended": None, "status": "running"})):
        await store.commit(PutRun(make.run(id, **beside | more)), AppendEvents(make.events(1, 2, run=id)))
    await total(store.sweep(Keep(clock())))
    assert await store.thread("acme", "swept") is None
    assert [await store.run(id) is None for id in ("mine", "theirs", "open")] == [True, False, False]
    assert not await store.events("mine", after=0)


async def test_what_goes_with_a_thread_is_found_by_an_index(store: Store) -> None:
    def plan(db: sqlite3.Connection) -> str:
        return " ".join(row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {statements.TAKE_ALONG}", (1,)))

    assert "runs_beside" in await store._readers.far(plan)  # type: ignore[attr-defined]


async def test_runs_without_a_thread_go_when_their_time_is_over(store: Store, make: Any, clock: Any) -> None:
    for id, ended in (("old", clock() - 31 * DAY), ("new", clock() - DAY), ("open", None)):
        status = "running" if ended is None else "failed"
        await store.commit(PutRun(make.run(id, ended=ended, status=status)), AppendEvents(make.events(1, 2, 3, run=id)))
    gone = await total(store.sweep(Keep(clock(), runs_since=clock() - 30 * DAY)))
    assert gone == Removed(runs=1, events=3)
    assert [await store.run(id) is None for id in ("old", "new", "open")] == [True, False, False]


async def put_session(store: Store, make: Any, id: str, *, expires: float | None, runs: int = 2, **more: Any) -> None:
    """A session with its runs, each with two events and a step."""
    for n in range(runs):
        run = make.run(f"{id}-r{n}", kind="execute", session=id, **{"status": "completed", "ended": 2.0} | more)
        await store.commit(PutRun(run), AppendEvents(make.events(1, 2, run=run.id)), PutStep(make.step(run=run.id)))
    ends = {"first_run": f"{id}-r0", "last_run": f"{id}-r{runs - 1}", "expires": expires}
    await store.commit(PutSession(Session("acme", id, 1.0, 2.0, metadata={"of": "ann"}, **ends)))


@pytest.mark.requirement("NOU-81")
async def test_a_session_that_expires_loses_its_runs_and_leaves_a_tombstone_for_a_while(
    store: Store, make: Any, clock: Any
) -> None:
    await put_session(store, make, "s", expires=clock() + 10)
    await put_session(store, make, "live", expires=clock() + 99 * DAY)
    await put_session(store, make, "endless", expires=None)
    keep = {"runs_since": clock() + 9 * DAY, "tombstone_seconds": 90 * DAY}
    assert not await total(store.sweep(Keep(clock(), **keep)))  # the runs of a session live as long as it does
    clock.now += 10
    assert await total(store.sweep(Keep(clock(), **keep))) == Removed(sessions=1, runs=2, events=4, steps=2)
    assert await store.session("acme", "s") == Session(
        "acme", "s", 1.0, 2.0, "s-r0", "s-r1", clock(), clock() + 90 * DAY, {}
    )
    assert [session.id for session in (await store.sessions("acme")).rows] == ["endless", "live"]
    assert await store.run("s-r0") is None
    assert await store.run("live-r0") is not None
    assert not await total(store.sweep(Keep(clock(), **keep)))
    clock.now += 90 * DAY
    assert await total(store.sweep(Keep(clock()))) == Removed(sessions=1)
    assert await store.session("acme", "s") is None


@pytest.mark.parametrize("status", ["queued", "running", "paused"])
async def test_a_run_that_has_not_ended_when_its_session_expires_only_leaves_it(
    store: Store, make: Any, clock: Any, status: str
) -> None:
    await put_session(store, make, "s", expires=clock(), runs=1)
    await store.commit(PutRun(make.run("active", session="s", status=status)))
    assert (await total(store.sweep(Keep(clock())))).runs == 1
    run = await store.run("active")
    assert run is not None
    assert run.session is None
    assert not (await store.session_runs("acme", "s")).rows


async def test_a_run_of_a_thread_stays_with_it_when_its_session_expires(store: Store, make: Any, clock: Any) -> None:
    thread = await put_thread(store, make, "t", runs=0)
    await store.commit(PutRun(make.run("both", thread=thread.number, session="s", status="completed", ended=1.0)))
    await store.commit(PutSession(Session("acme", "s", 1.0, 1.0, expires=clock())))
    assert await total(store.sweep(Keep(clock(), runs_since=clock()))) == Removed(sessions=1)
    run = await store.run("both")
    assert run is not None
    assert (run.thread, run.session) == (thread.number, None)


async def test_what_a_crash_left_of_an_expired_session_is_found_by_the_next_pass(
    tmp_path: Path, make: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(removal, "SLICE", 4)
    store = await open_store(tmp_path)
    await put_session(store, make, "s", expires=50.0, runs=5)
    passes = store.sweep(Keep(100.0))
    assert await anext(passes) == Removed(sessions=1)
    assert (await anext(passes)).runs == 2
    await store.close()  # as if it ended here
    store = await open_store(tmp_path)
    assert (await total(store.sweep(Keep(100.0)))).runs == 3
    await store.close()


async def test_a_session_that_was_moved_on_in_the_meantime_stays(store: Store, make: Any, clock: Any) -> None:
    await put_session(store, make, "s", expires=clock())

    async def remove(work: Any) -> Removed:
        await store.commit(PutSession(Session("acme", "s", 1.0, 2.0, expires=clock() + DAY)))
        found: Removed = await store._remove(work)  # type: ignore[attr-defined]
        return found

    assert not await total(removal.sweep(store._readers.far, remove, Keep(clock())))  # type: ignore[attr-defined]
    assert len((await store.session_runs("acme", "s")).rows) == 2


@pytest.mark.requirement("CORE-12", "NOU-81")
async def test_an_erasure_takes_the_users_runs_out_of_sessions_and_those_that_are_empty_then(
    store: Store, make: Any, clock: Any
) -> None:
    await put_session(store, make, "mine", expires=clock() + DAY)
    await put_session(store, make, "shared", expires=clock() + DAY, runs=3)
    for id in ("theirs", "theirs too"):
        await store.commit(PutRun(make.run(id, owner="bob", session="shared", status="completed")))
    await store.commit(PutSession(Session("acme", "empty", 1.0, 1.0)), PutRun(make.run("job", kind="job")))
    gone = await total(store.erase("acme", "ann"))
    assert gone == Removed(sessions=1, runs=6, events=10, steps=5)
    assert await store.session("acme", "mine") is None
    shared = await store.session("acme", "shared")
    assert shared is not None
    assert (shared.first_run, shared.last_run) == ("theirs", "theirs too")
    assert await store.session("acme", "empty") is not None
    assert await store.queued(limit=9) == ()
    assert not await total(store.erase("acme", "ann"))


async def test_marks_repeats_and_counters_go_when_they_are_over(store: Store, make: Any, clock: Any) -> None:
    thread = await put_thread(store, make, "t", runs=0, items=0)
    await store.commit(DeleteThread(thread.number, forget_at=clock() + 10))
    for n in range(3):
        await store.commit(PutRepeat(make.repeat(f"k{n}", created=clock(), expires=clock() + 10 * n + 1)))
        await store.commit(Count("acme", "ann", f"c{n}", clock(), clock() + 10 * n + 1))
    await store.check()  # leaves a counter of its own
    assert not await total(store.sweep(Keep(clock())))
    clock.now += 11
    assert await total(store.sweep(Keep(clock()))) == Removed(marks=1, repeats=2, counters=2)
    assert await store.counter("acme", "ann", "c2", now=clock()) is not None
    with pytest.raises(NotFound):
        await store.threads("acme", "ann", limit=1, after="t")


async def test_what_a_crash_left_of_a_buried_thread_is_found_by_the_next_pass(tmp_path: Path, make: Any) -> None:
    store = await open_store(tmp_path)
    thread = await put_thread(store, make, "big", runs=5, items=5, updated=1.0)
    passes = store.sweep(Keep(100.0, threads_since=50.0))
    assert await anext(passes) == Removed(threads=1)
    await store.close()  # as if it ended here
    store = await open_store(tmp_path)
    assert (await store.items(thread.number)).rows
    gone = await total(store.sweep(Keep(100.0)))
    assert (gone.runs, gone.items) == (5, 5)
    assert (await store.items(thread.number)).rows == ()
    await store.close()


async def test_no_transaction_of_a_sweep_removes_more_than_a_slice(store: Store, make: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(removal, "SLICE", 10)
    await put_thread(store, make, "big", runs=20, items=35, updated=1.0)
    slices = [removed async for removed in store.sweep(Keep(100.0, threads_since=50.0))]
    assert sum(slices, Removed()) == Removed(threads=1, items=35, runs=20, events=40, steps=20)
    assert max(removed.items + removed.events for removed in slices) == 10


async def test_whoever_writes_to_a_thread_that_was_swept_is_told(store: Store, make: Any) -> None:
    thread = await put_thread(store, make, "old", updated=1.0)
    await total(store.sweep(Keep(100.0, threads_since=50.0)))
    for write in (PutItem(thread.number, make.item("late")), PutRun(make.run("late", thread=thread.number))):
        with pytest.raises(StaleWrite):
            await store.commit(write)


async def test_an_erasure_takes_everything_of_one_user_and_nothing_of_others(
    store: Store, make: Any, clock: Any
) -> None:
    mine = await put_thread(store, make, "mine", runs=2)
    theirs = await put_thread(store, make, "theirs", owner="bob", visibility="public")
    deleted = await put_thread(store, make, "deleted", runs=0)
    await store.commit(
        DeleteThread(deleted.number, forget_at=clock() + DAY),
        PutRun(make.run("lone", status="running")),
        PutRun(make.run("elsewhere", tenant="other")),
        PutVote(make.vote(thread=mine.number)),
        PutVote(make.vote(thread=theirs.number, user="ann")),
        PutVote(make.vote(thread=theirs.number, user="bob")),
        PutSetting(make.setting("dark")),
        PutSetting(make.setting("all", owner="")),
        PutKey(make.key("k1")),
        PutKey(make.key("k2", user="bob")),
        PutRepeat(make.repeat(created=clock(), expires=clock() + 9)),
        Count("acme", "ann", "messages", clock(), clock() + 9),
    )
    gone = await total(store.erase("acme", "ann"))
    assert gone == Removed(
        threads=1, items=2, runs=3, events=4, steps=2, votes=2, settings=1, counters=1, repeats=1, marks=2, keys=1
    )
    assert not (await store.threads("acme", "ann", limit=9)).rows
    assert not (await store.runs("acme", owner="ann")).rows
    assert await store.run("elsewhere") is not None
    assert [vote.user for vote in await store.votes(theirs.number)] == ["bob"]
    assert [key.id for key in await store.keys("acme") if key.revoked is None] == ["k2"]
    assert await store.setting("acme", "", "tone") is not None
    assert await store.thread("acme", "theirs") is not None
    assert not await total(store.erase("acme", "ann"))


async def test_only_the_commits_of_others_are_told(tmp_path: Path, make: Any) -> None:
    store = await open_store(tmp_path)
    before = await store.changes_beside()
    await store.commit(PutThread(make.thread()))
    assert await store.changes_beside() == before
    beside = await open_beside(tmp_path, writable=True)
    await beside.commit(PutThread(make.thread("t2")))
    assert await beside.tenants_of("ann") == ["acme"]
    await beside.close()
    after = await store.changes_beside()
    assert after != before
    assert await store.changes_beside() == after
    await store.close()


async def test_a_window_does_not_grow_when_the_clock_is_set_back(store: Store) -> None:
    await store.commit(Count("acme", "", "rate", 10_000.0, 10_060.0, limit=1))
    await store.commit(Count("acme", "", "rate", 6_400.0, 6_460.0, limit=1))
    with pytest.raises(LimitExceeded) as refused:
        await store.commit(Count("acme", "", "rate", 6_410.0, 6_470.0, limit=1))
    assert refused.value.retry_after == 50.0
