"""The writer thread: group commit, failures of the database, its own death."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from dragoman.core.errors import DragomanError, StaleWrite, Unavailable
from dragoman.store.writer import MAX_JOBS, Writer


def run_sql(db: sqlite3.Connection, writes: Sequence[Any]) -> None:
    """A job here is statements, and functions that are called with the connection."""
    for write in writes:
        if callable(write):
            write(db)
        else:
            db.execute(write)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "some.db"


@pytest.fixture
def statements() -> list[str]:
    """All that was executed."""
    return []


@pytest.fixture
async def writer(file: Path, statements: list[str]) -> AsyncIterator[Writer]:
    db = sqlite3.connect(file, isolation_level=None, check_same_thread=False, timeout=0.01)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("CREATE TABLE t (x)")
    db.set_trace_callback(statements.append)
    writer = Writer(db, run_sql)
    writer.start()
    yield writer
    writer.stop()


@pytest.fixture
def other(file: Path, writer: Writer) -> Iterator[sqlite3.Connection]:
    """What another process sees."""
    db = sqlite3.connect(file, isolation_level=None)
    yield db
    db.close()


def stored(other: sqlite3.Connection) -> list[int]:
    return [x for (x,) in other.execute("SELECT x FROM t ORDER BY rowid")]


class Held:
    """A job that keeps the writer busy until it is let go."""

    def __init__(self) -> None:
        self.begun, self._go = threading.Event(), threading.Event()

    def __call__(self, db: sqlite3.Connection) -> None:
        self.begun.set()
        assert self._go.wait(30)

    def let_go(self) -> None:
        self._go.set()


async def behind_a_held_job(writer: Writer, *jobs: Sequence[Any]) -> list[Any]:
    """Outcomes of jobs that gather while one transaction is under way."""
    held = Held()
    first = asyncio.create_task(writer.commit([held]))
    await asyncio.to_thread(held.begun.wait, 30)
    tasks = [asyncio.create_task(writer.commit(job)) for job in jobs]
    await asyncio.sleep(0)
    held.let_go()
    await first
    return await asyncio.gather(*tasks, return_exceptions=True)


def insert(x: int) -> str:
    return f"INSERT INTO t VALUES ({x})"


def stale(db: sqlite3.Connection) -> None:
    raise StaleWrite("too late", what="approval")


async def test_what_gathers_meanwhile_is_one_transaction(writer: Writer, other: Any, statements: list[str]) -> None:
    outcomes = await behind_a_held_job(writer, *([insert(n)] for n in range(20)))
    assert outcomes == [None] * 20
    assert statements.count("COMMIT") == 2
    assert stored(other) == list(range(20))


async def test_a_transaction_takes_a_bounded_number_of_commits(writer: Writer, statements: list[str]) -> None:
    await behind_a_held_job(writer, *([insert(n)] for n in range(MAX_JOBS + 1)))
    assert statements.count("COMMIT") == 3


async def test_a_failing_job_undoes_only_itself(writer: Writer, other: Any) -> None:
    outcomes = await behind_a_held_job(writer, [insert(1)], [insert(2), stale], [insert(3), "no SQL"], [insert(4)])
    assert [type(outcome) for outcome in outcomes] == [Unavailable] * 4  # broken SQL counts as a broken database
    assert stored(other) == []
    outcomes = await behind_a_held_job(writer, [insert(1)], [insert(2), stale], [insert(4)])
    assert [type(outcome) for outcome in outcomes] == [type(None), StaleWrite, type(None)]
    assert stored(other) == [1, 4]


async def test_a_full_disk_fails_every_waiter_and_the_writer_goes_on(writer: Writer, other: Any) -> None:
    large = "INSERT INTO t VALUES (zeroblob(100000))"
    await writer.commit(["PRAGMA max_page_count = 10"])
    outcomes = await behind_a_held_job(writer, [insert(1)], [insert(2), large], [insert(3)])
    assert [type(outcome) for outcome in outcomes] == [Unavailable] * 3
    assert "full" in str(outcomes[0])
    assert stored(other) == []
    await writer.commit(["PRAGMA max_page_count = 10000"])
    await writer.commit([large])
    assert len(stored(other)) == 1


async def test_a_database_that_stays_locked_is_unavailable(writer: Writer, other: Any) -> None:
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="locked"):
        await writer.commit([insert(1)])
    other.execute("ROLLBACK")
    await writer.commit([insert(2)])
    assert stored(other) == [2]


async def test_after_its_death_nobody_hangs(writer: Writer, other: Any) -> None:
    def die(db: sqlite3.Connection) -> None:
        raise SystemExit("out of luck")

    outcomes = await behind_a_held_job(writer, [insert(1)], [die], [insert(2)])
    assert [type(outcome) for outcome in outcomes] == [Unavailable] * 3
    with pytest.raises(Unavailable, match="out of luck"):
        await writer.commit([insert(3)])
    assert stored(other) == []


async def test_those_in_the_queue_at_its_death_do_not_hang_either(writer: Writer) -> None:
    held, released = Held(), threading.Event()

    def die(db: sqlite3.Connection) -> None:
        held(db)
        raise SystemExit

    dying = asyncio.create_task(writer.commit([die]))
    await asyncio.to_thread(held.begun.wait, 30)
    waiting = [asyncio.create_task(writer.commit([insert(n)])) for n in range(5)]
    await asyncio.sleep(0)
    held.let_go()
    outcomes = await asyncio.gather(dying, *waiting, return_exceptions=True)
    assert all(isinstance(outcome, Unavailable) for outcome in outcomes)
    assert not released.is_set()


async def test_several_loops_may_commit_through_one_writer(writer: Writer, other: Any) -> None:
    async def elsewhere(x: int) -> None:
        await writer.commit([insert(x)])

    await asyncio.gather(
        *(asyncio.to_thread(asyncio.run, elsewhere(n)) for n in range(3)),
        *(writer.commit([insert(n)]) for n in range(10, 20)),
    )
    assert sorted(stored(other)) == [0, 1, 2, *range(10, 20)]


async def test_a_loop_that_is_gone_does_not_hurt_the_others(writer: Writer, other: Any) -> None:
    async def leave() -> None:
        task = asyncio.create_task(writer.commit([insert(1)]))
        await asyncio.sleep(0)
        task.cancel()

    held = Held()
    first = asyncio.create_task(writer.commit([held]))
    await asyncio.to_thread(held.begun.wait, 30)
    await asyncio.to_thread(asyncio.run, leave())
    held.let_go()
    await first
    await writer.commit([insert(2)])
    assert stored(other) == [1, 2]


async def test_errors_of_different_waiters_are_different_objects(writer: Writer) -> None:
    outcomes = await behind_a_held_job(writer, ["no SQL"], ["no SQL"])
    assert all(isinstance(outcome, DragomanError) for outcome in outcomes)
    assert outcomes[0] is not outcomes[1]
