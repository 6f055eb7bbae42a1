"""Writes `data/schema-000N.sql`: a dump of a database of this version, with rows in every table.

Run it once for each new migration, before the release that ships it, and keep the file as it
is from then on: `test_sqlite_dumps.py` opens every dump with every later version.

    .venv/bin/python tests/store/dump_schema.py
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from dragoman.core.events import (
    BlockDelta,
    BlockEnded,
    BlockStarted,
    Event,
    RunCompleted,
    RunCreated,
    RunPaused,
    StepStarted,
    ToolOutput,
)
from dragoman.core.records import Approval, Item, Key, Repeat, Run, Session, Setting, Step, Thread, Vote
from dragoman.core.usage import Usage
from dragoman.core.writes import (
    AppendEvents,
    Count,
    DeleteThread,
    PutApproval,
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
from dragoman.store import SQLiteStore, open_store
from dragoman.store.schema import load_migrations

DATA = Path(__file__).parent / "data"
NOW = 1_800_000_000.0

BODIES = (
    RunCreated("chat", "helper", "v1", "answer-1", thread="thread-1", message="question-1"),
    StepStarted("model", "scripted"),
    BlockStarted("b1", "text"),
    BlockDelta("b1", "Two and "),
    BlockDelta("b1", "three are "),
    BlockDelta("b1", "five. ☃"),
    BlockEnded("b1"),
    RunPaused("approval", ("call-1",)),
    ToolOutput("call-1", "add", {"sum": 5}),
    RunCompleted(),
)
EVENTS = tuple(Event("run-1", seq, NOW + seq / 4, body, "s1") for seq, body in enumerate(BODIES, 1))

LATER_TABLES = """
INSERT INTO secrets VALUES ('signing', x'000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f', 1.0);
INSERT INTO sessions VALUES ('acme', 'session-1', 'run-1', 'run-1', 1.0, 2.0, 3.0, NULL, '{}');
INSERT INTO blobs (id, tenant, owner, thread, purpose, name, type, size, digest, state, created, expires, metadata)
    VALUES ('blob-1', 'acme', 'ann', 2, 'attachment', 'a.txt', 'text/plain', 5, 'sha256:00', 'ready', 1.0, NULL, '{}');
INSERT INTO passages (tenant, source, blob, n, name, text, space, vector, signature, metadata)
    VALUES ('acme', 'handbook', 'blob-1', 1, 'a.txt', 'hello', 'acme/e 1', x'0000803f', x'01', '{}');
"""


async def fill(store: SQLiteStore) -> None:
    """Rows in every table that a write can reach."""
    await store.commit(
        PutThread(Thread("thread-0", "acme", "ann", NOW, NOW)),
        DeleteThread(0, forget_at=NOW + 1e9),
        PutThread(
            Thread("thread-1", "acme", "ann", NOW, NOW + 1, 0, "Sums", "public", "main", "active", {"kai": {}}, 9e9)
        ),
        PutItem(0, Item("question-1", "message", "user", NOW, {"parts": [{"type": "text", "text": "2 + 3?"}]})),
        PutItem(
            0,
            Item(
                "part-1",
                "message",
                "assistant",
                NOW + 1,
                {"text": "Two and three are five. ☃"},
                answer="answer-1",
                run="run-1",
                step=1,
                extra={"kai": {"x": 1}},
            ),
        ),
        PutRun(
            Run(
                "run-1",
                "acme",
                "ann",
                "chat",
                "helper",
                NOW,
                version="v1",
                thread=0,
                thread_id="thread-1",
                session="session-1",
                face="kai",
                status="completed",
                answer="answer-1",
                input={"message": "question-1"},
                options={"max_rounds": 16},
                usage=Usage(10, 5, 2, 1, 3),
                cost=0.125,
                error={"code": "none", "message": "for the record"},
                started=NOW,
                ended=NOW + 3,
                queue="q",
                executor="e",
                lease=NOW + 9,
            )
        ),
        PutRun(Run("run-2", "acme", "bob", "job", "report", NOW, status="queued")),
        PutStep(
            Step("run-1", "s1", "model", "scripted", "completed", NOW, ended=NOW + 1, usage=Usage(10, 5), input=[1])
        ),
        PutApproval(
            Approval("approval-1", "acme", "ann", "run-1", "call-1", NOW, NOW + 60, {"name": "add", "input": {}})
        ),
        PutVote(Vote(0, "answer-1", "ann", True, NOW, "vote-1")),
        PutSetting(Setting("acme", "ann", "instructions", {"text": "Be brief."}, NOW, NOW)),
        Count("acme", "ann", "messages", NOW, NOW + 86400, amount=3),
        PutKey(
            Key("key-1", "00" * 32, "acme", "ann", ("use", "admin"), NOW, "first", ("p",), (5, 60.0), 9.5, 9e9, None)
        ),
        PutRepeat(Repeat("acme", "ann", "once", "digest", "run-1", {"status": 200}, NOW, NOW + 86400)),
    )
    await store.commit(
        PutRun(
            Run(
                "run-3",
                "acme",
                "bob",
                "execute",
                "basics/two-step",
                NOW,
                session="session-2",
                status="completed",
                ended=NOW + 1,
                priority=5,
                result={"said": ["HI!", None]},
            )
        ),
        PutSession(Session("acme", "session-2", NOW, NOW, "run-3", "run-3", NOW + 9e9, None, {"from": "kai"})),
        PutStep(
            Step(
                "run-3",
                "say",
                "flow",
                "say",
                "completed",
                NOW,
                index=2,
                output="HI!",
                place=1,
                input_bytes=17,
                output_bytes=5,
                truncated=True,
            )
        ),
    )
    await store.commit(AppendEvents(EVENTS[:6]))
    await store.commit(AppendEvents(EVENTS[6:]))


def _statements(db: sqlite3.Connection) -> Iterator[str]:
    """Like `iterdump`, which writes a virtual table in a form that no connection takes back."""
    found = "SELECT name, sql FROM sqlite_schema WHERE sql LIKE 'CREATE VIRTUAL TABLE%'"
    virtual: dict[str, str] = dict(db.execute(found).fetchall())
    for statement in db.iterdump():
        if "writable_schema" in statement or any(_is_of(name, statement) for name in virtual):
            continue
        if statement == "COMMIT;":
            for name, sql in virtual.items():
                yield f"{sql};"
                yield f"INSERT INTO {name} ({name}) VALUES ('rebuild');"
        yield statement


def _is_of(name: str, statement: str) -> bool:
    """Whether it makes or fills the virtual table or one of those that it keeps its data in."""
    head = statement.partition("(")[0]
    return head.startswith((f'INSERT INTO "{name}', f"CREATE TABLE '{name}")) or (
        head.startswith("INSERT INTO sqlite_master") and f"'{name}'" in statement
    )


async def dump() -> str:
    store = await open_store(":memory:", clock=lambda: NOW)
    await fill(store)
    file = store.directory / "dragoman.db"
    db = sqlite3.connect(file)
    db.executescript(LATER_TABLES)
    text = "\n".join(_statements(db)) + "\n"
    db.close()
    await store.close()
    return text


if __name__ == "__main__":
    target = DATA / f"schema-{load_migrations()[-1].number:04d}.sql"
    target.write_text(asyncio.run(dump()), "utf-8")
    print(target)
