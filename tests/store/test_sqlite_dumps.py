"""Every later version opens what an earlier one wrote: dumps of old schemas, with rows.

`dump_schema.py` made them. They are never made again: they are the past.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from dragoman.core.events import (
    BlockDelta,
    RunCompleted,
    RunCreated,
    RunPaused,
    ToolInput,
    ToolOutput,
    UsageCounted,
)
from dragoman.core.records import Approval, Counter, Key, Repeat, Session, Setting, Step, Thread, Vote
from dragoman.core.usage import Usage
from dragoman.core.writes import DropBlob, PutThread
from dragoman.store import SQLiteStore, open_store
from dragoman.store.schema import load_migrations

DUMPS = sorted((Path(__file__).parent / "data").glob("schema-*.sql"))
NOW = 1_800_000_000.0
SECRET = bytes(range(32))


def restore(dump: Path, directory: Path) -> None:
    db = sqlite3.connect(directory / "dragoman.db")
    db.executescript(dump.read_text("utf-8"))
    db.close()


@pytest.fixture(params=DUMPS, ids=lambda dump: dump.stem)
async def restored(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SQLiteStore]:
    restore(request.param, tmp_path)
    store = await open_store(tmp_path, clock=lambda: NOW)
    yield store
    await store.close()


def test_there_is_a_dump_of_every_schema() -> None:
    assert [int(dump.stem[-4:]) for dump in DUMPS] == [migration.number for migration in load_migrations()]


@pytest.mark.requirement("CORE-11")
def test_the_first_dump_has_rows_in_every_table(tmp_path: Path) -> None:
    restore(DUMPS[0], tmp_path)
    db = sqlite3.connect(tmp_path / "dragoman.db")
    tables = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    assert [name for name in tables if not db.execute(f"SELECT count(*) FROM {name}").fetchone()[0]] == []
    db.close()


@pytest.mark.requirement("CORE-11")
async def test_threads_and_items_of_a_dump_are_read(restored: SQLiteStore) -> None:
    thread = await restored.thread("acme", "thread-1", owner="ann")
    assert thread == Thread(
        "thread-1", "acme", "ann", NOW, NOW + 1, 2, "Sums", "public", "main", "active", {"kai": {}}, 9e9
    )
    assert (await restored.threads("acme", "ann", limit=9, before="thread-0")).rows == (thread,)
    question, part = (await restored.items(2)).rows
    assert (question.pos, question.body["parts"][0]["text"]) == (1, "2 + 3?")
    assert (part.pos, part.answer, part.run, part.step, part.extra) == (2, "answer-1", "run-1", 1, {"kai": {"x": 1}})
    assert await restored.votes(2) == (Vote(2, "answer-1", "ann", True, NOW, "vote-1"),)


async def test_runs_of_a_dump_are_read(restored: SQLiteStore) -> None:
    run = await restored.run("run-1", tenant="acme")
    assert run is not None
    assert (run.number, run.thread, run.thread_id, run.session, run.face) == (1, 2, "thread-1", "session-1", "kai")
    assert (run.status, run.answer, run.usage, run.cost) == ("completed", "answer-1", Usage(10, 5, 2, 1, 3), 0.125)
    assert (run.input, run.options, run.last_seq) == ({"message": "question-1"}, {"max_rounds": 16}, 10)
    assert (run.started, run.ended, run.queue, run.executor, run.lease) == (NOW, NOW + 3, "q", "e", NOW + 9)
    assert (run.priority, run.result) == (0, None)
    assert await restored.unfinished() == ()
    assert [queued.id for queued in await restored.queued(limit=9)] == ["run-2"]
    assert await restored.approvals("run-1") == (
        Approval("approval-1", "acme", "ann", "run-1", "call-1", NOW, NOW + 60, {"name": "add", "input": {}}),
    )
    (step,) = await restored.steps("run-1")
    assert step == Step(
        "run-1", "s1", "model", "scripted", "completed", NOW, ended=NOW + 1, usage=Usage(10, 5), input=[1]
    )


async def test_sessions_of_a_dump_are_read(restored: SQLiteStore) -> None:
    assert await restored.session("acme", "session-1") == Session("acme", "session-1", 1.0, 2.0, "run-1", "run-1", 3.0)
    assert (await restored.session_runs("acme", "session-1")).rows == (await restored.run("run-1"),)


async def test_what_came_with_flows_is_read(tmp_path: Path) -> None:
    restore(DUMPS[1], tmp_path)
    store = await open_store(tmp_path, clock=lambda: NOW)
    run = await store.run("run-3", tenant="acme")
    assert run is not None
    assert (run.priority, run.result, run.session) == (5, {"said": ["HI!", None]}, "session-2")
    session = Session("acme", "session-2", NOW, NOW, "run-3", "run-3", NOW + 9e9, None, {"from": "kai"})
    assert (await store.sessions("acme")).rows == (session,)
    (step,) = await store.steps("run-3")
    assert (step.index, step.place, step.input_bytes, step.output_bytes, step.truncated) == (2, 1, 17, 5, True)
    await store.close()


@pytest.mark.requirement("CORE-11")
async def test_a_store_of_the_first_schema_becomes_one_of_the_newest_and_a_copy_stays(tmp_path: Path) -> None:
    restore(DUMPS[0], tmp_path)
    store = await open_store(tmp_path, clock=lambda: NOW)
    await store.close()
    old, new = (sqlite3.connect(tmp_path / name) for name in ("dragoman.db.before-0002", "dragoman.db"))
    assert [db.execute("SELECT max(number) FROM migrations").fetchone()[0] for db in (old, new)] == [1, len(DUMPS)]
    made = sqlite3.connect(":memory:")
    for migration in load_migrations():
        made.executescript(migration.sql)
    schema = "SELECT type, name, sql FROM sqlite_schema ORDER BY type, name"
    tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    assert _normal(new, schema) == _normal(made, schema)
    for (table,) in old.execute(tables).fetchall():
        if table != "migrations":
            counts = [db.execute(f"SELECT count(*) FROM {table}").fetchone() for db in (old, new)]
            assert counts[0] == counts[1], table
    assert new.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    for db in (old, new, made):
        db.close()


def _normal(db: sqlite3.Connection, sql: str) -> list[Any]:
    return [row for row in db.execute(sql) if not row[1].startswith("sqlite_")]


async def test_events_of_a_dump_are_read(restored: SQLiteStore) -> None:
    events = await restored.events("run-1")
    assert [event.seq for event in events] == list(range(1, 11))
    assert [event.time for event in events] == [NOW + seq / 4 for seq in range(1, 11)]
    assert {event.step for event in events} == {"s1"}
    bodies: list[Any] = [event.body for event in events]
    assert bodies[0] == RunCreated("chat", "helper", "v1", "answer-1", thread="thread-1", message="question-1")
    assert bodies[3:6] == [BlockDelta("b1", "Two and "), BlockDelta("b1", "three are "), BlockDelta("b1", "five. ☃")]
    assert bodies[7:] == [RunPaused("approval", ("call-1",)), ToolOutput("call-1", "add", {"sum": 5}), RunCompleted()]
    assert list(await restored.events("run-1", after=4)) == list(events[4:])


@pytest.mark.requirement("CORE-11", "AIP-111")
async def test_what_was_journalled_before_counts_could_be_unknown_is_read(tmp_path: Path) -> None:
    restore(DUMPS[0], tmp_path)
    db = sqlite3.connect(tmp_path / "dragoman.db")
    before = [  # a count of zero was left out, and nothing had provider data
        ("usage", '{"prompt_tokens":10}'),
        ("usage", "{}"),
        ("tool.input", '{"call":"c","name":"add","input":{"a":2}}'),
    ]
    for seq, (kind, payload) in enumerate(before, 1):
        db.execute("INSERT INTO events VALUES (2, ?, 1, ?, 's1', 1.0, ?)", (seq, kind, payload))
    db.execute("UPDATE runs SET usage = ? WHERE number = 2", ('{"prompt_tokens":10}',))
    db.commit()
    db.close()
    store = await open_store(tmp_path, clock=lambda: NOW)
    bodies = [event.body for event in await store.events("run-2")]
    assert bodies == [UsageCounted(10), UsageCounted(), ToolInput("c", "add", {"a": 2})]
    run = await store.run("run-2", tenant="acme")
    assert run is not None
    assert (run.usage, run.usage.total_tokens) == (Usage(10), 10)
    await store.close()


async def test_the_small_tables_of_a_dump_are_read(restored: SQLiteStore) -> None:
    key = Key("key-1", "00" * 32, "acme", "ann", ("use", "admin"), NOW, "first", ("p",), (5, 60.0), 9.5, 9e9, None)
    assert await restored.keys("acme") == (key,)
    setting = Setting("acme", "ann", "instructions", {"text": "Be brief."}, NOW, NOW)
    assert await restored.setting("acme", "ann", "instructions") == setting
    assert await restored.counter("acme", "ann", "messages", now=NOW) == Counter(3, NOW + 86400)
    repeat = Repeat("acme", "ann", "once", "digest", "run-1", {"status": 200}, NOW, NOW + 86400)
    assert await restored.repeat("acme", "ann", "once", now=NOW) == repeat
    assert await restored.secret("signing") == SECRET


async def test_a_restored_store_takes_writes(restored: SQLiteStore, make: Any) -> None:
    await restored.commit(PutThread(make.thread("new")))
    stored = await restored.thread("acme", "new")
    assert stored is not None
    assert stored.number == 3
    await restored.check()


@pytest.mark.requirement("CORE-11")
async def test_passages_of_a_dump_are_found(restored: SQLiteStore) -> None:
    (found,) = await restored.passages("acme", ["handbook"], "anything", limit=5)
    assert (found.blob, found.number, found.text) == ("blob-1", 1, "hello")
    await restored.commit(DropBlob("blob-1"))
    assert await restored.passages("acme", ["handbook"], "anything", limit=5) == []
