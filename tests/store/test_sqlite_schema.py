"""Migrations forward, refusal backward, and the query plan of everything that is listed."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from dragoman.core.errors import UsageError
from dragoman.core.writes import PutThread
from dragoman.store import blob_rows, figures, open_beside, open_store, reads, removal, statements
from dragoman.store.schema import Migration, load_migrations, migrate

DUMP = Path(__file__).parent / "data" / "schema-0001.sql"
NEXT = Migration(2, "next", "CREATE TABLE later (x INTEGER) STRICT; INSERT INTO later VALUES (1);")
BROKEN = Migration(3, "broken", "DROP TABLE later; CREATE TABLE half (x); INSERT INTO nowhere VALUES (1);")


def clock() -> float:
    return 7.0


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    db = sqlite3.connect(tmp_path / "dragoman.db", isolation_level=None)
    yield db
    db.close()


def names(db: sqlite3.Connection) -> set[str]:
    return {name for (name,) in db.execute("SELECT name FROM sqlite_schema")}


def versions(db: sqlite3.Connection) -> list[tuple[int, str, float]]:
    return db.execute("SELECT number, name, applied FROM migrations ORDER BY number").fetchall()


# --------------------------------------------------------------------------- migrations


def test_migrations_are_numbered_without_gaps() -> None:
    assert [migration.number for migration in load_migrations()] == list(range(1, len(load_migrations()) + 1))


def test_a_fresh_database_gets_every_table_of_the_design_and_no_copy(db: sqlite3.Connection, tmp_path: Path) -> None:
    migrate(db, tmp_path / "dragoman.db", clock=clock, migrations=load_migrations()[:1])
    tables = "keys threads items runs events steps approvals sessions blobs passages votes settings counters repeats"
    assert set(f"{tables} secrets migrations".split()) <= names(db)
    assert versions(db) == [(1, "first_schema", 7.0)]
    assert [path.name for path in tmp_path.iterdir()] == ["dragoman.db"]


def test_an_upgrade_copies_the_database_first(db: sqlite3.Connection, tmp_path: Path) -> None:
    first = load_migrations()[:1]
    migrate(db, tmp_path / "dragoman.db", clock=clock, migrations=first)
    db.execute("INSERT INTO secrets VALUES ('s', x'00', 1.0)")
    migrate(db, tmp_path / "dragoman.db", clock=clock, migrations=(*first, NEXT))
    assert [number for number, _, _ in versions(db)] == [1, 2]
    assert "later" in names(db)
    copy = sqlite3.connect(tmp_path / "dragoman.db.before-0002")
    assert "later" not in names(copy)
    assert copy.execute("SELECT name FROM secrets").fetchall() == [("s",)]
    copy.close()
    migrate(db, tmp_path / "dragoman.db", clock=clock, migrations=(*first, NEXT))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dragoman.db", "dragoman.db.before-0002"]


def test_a_migration_that_fails_leaves_the_database_as_the_one_before_made_it(
    db: sqlite3.Connection, tmp_path: Path
) -> None:
    first = load_migrations()[:1]
    migrate(db, tmp_path / "dragoman.db", clock=clock, migrations=first)
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        migrate(db, tmp_path / "dragoman.db", clock=clock, migrations=(*first, NEXT, BROKEN))
    assert [number for number, _, _ in versions(db)] == [1, 2]
    assert "later" in names(db)
    assert "half" not in names(db)


async def test_a_program_older_than_its_data_refuses_to_start_and_changes_nothing(tmp_path: Path, make: Any) -> None:
    store = await open_store(tmp_path)
    await store.commit(PutThread(make.thread()))
    await store.close()
    newest = load_migrations()[-1].number
    db = sqlite3.connect(tmp_path / "dragoman.db")
    db.execute("INSERT INTO migrations VALUES (?, 'of the future', 1.0)", (newest + 1,))
    db.commit()
    for opening in (open_store, open_beside):
        with pytest.raises(UsageError, match=f"schema {newest + 1}, this program knows schemas up to {newest}"):
            await opening(tmp_path)
    db.execute("DELETE FROM migrations WHERE number > ?", (newest,))
    db.commit()
    db.close()
    store = await open_store(tmp_path)
    assert await store.thread("acme", "t") is not None
    await store.close()


async def test_a_view_does_not_migrate(tmp_path: Path, db: sqlite3.Connection) -> None:
    db.execute("PRAGMA user_version = 1")  # so that there is a file
    with pytest.raises(UsageError, match=r"older schema \(0\)"):
        await open_beside(tmp_path)
    assert not names(db)


# --------------------------------------------------------------------------- plans


def plan(db: sqlite3.Connection, sql: str) -> str:
    # the plan of a statement does not depend on its values
    values: Any = [None] * sql.count("?")
    if ":tenant" in sql:
        values = {"tenant": "", "owner": "", "thread": 0, "name": "", "kind": "", "session": "", "place": 0, "rows": 0}
        values |= {"face": "", "since": 0, "until": 0, "first": 0, "text": "", "projects": "[]"}
        values |= {f"state{n}": "" for n in range(6)}
    elif "?1" in sql or "?2" in sql:
        values = [None] * max(n for n in range(1, 6) if f"?{n}" in sql)
    return "\n".join(row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}", values))


def constants(module: Any) -> dict[str, str]:
    named = vars(module).items()
    return {name: value for name, value in named if name[0].isalpha() and name.isupper() and isinstance(value, str)}


FILES = {f"FILE_{name}": sql for name, sql in constants(blob_rows).items() if sql.startswith(("SELECT", "DELETE"))}
READS = constants(reads) | FILES | {"ITEMS_WITHOUT": reads.items_sql(True, 2)}
WHOLE = {"KEYS"}  # all rows of a small table are asked for
WHOLE_INDEX = {
    "UNFINISHED": "runs_unfinished",
    "QUEUED": "runs_queue",
    "QUEUE_LENGTH": "runs_queue",
    "FILE_GONE": "blobs_gone",
}
"""What is asked for is all of a partial index, or its beginning."""
SORTED = {
    "VOTES",
    "VOTES_OF",
    "TENANT_VOTES",
    "OWNER_VOTES",
    "FILE_OF_THREAD",
    "THREAD_ANY",
    "THREAD_PLACE",
}  # what is sorted is all asked for, or a handful


@pytest.fixture
def schema(db: sqlite3.Connection) -> sqlite3.Connection:
    for migration in load_migrations():
        db.executescript(migration.sql)
    return db


@pytest.mark.parametrize("name", sorted(READS.keys() - WHOLE))
def test_every_read_is_a_search_in_an_index(schema: sqlite3.Connection, name: str) -> None:
    steps = plan(schema, READS[name])
    if name in WHOLE_INDEX:
        assert re.search(rf"SCAN (runs|blobs) USING (COVERING )?INDEX {WHOLE_INDEX[name]}$", steps, re.MULTILINE)
    else:
        assert "SCAN" not in steps.replace("SCAN CONSTANT ROW", "")
    assert name in SORTED or "TEMP B-TREE" not in steps


FILTERS = [
    frozenset(chosen)
    for size in range(6)
    for chosen in combinations(("thread", "session", "owner", "name", "kind"), size)
]


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        ({"kind"}, "runs_kind (tenant=? AND kind=? AND status=? AND rowid<?)"),
        ({"name", "kind"}, "runs_jobs (tenant=? AND name=? AND status=? AND rowid<?)"),
        ({"session"}, "runs_session_status (tenant=? AND session=? AND status=? AND rowid<?)"),
    ],
)
def test_jobs_and_sessions_have_indexes_of_their_own(schema: sqlite3.Connection, filters: set[str], index: str) -> None:
    assert index in plan(schema, reads.runs_sql(1, frozenset(filters), "kind" in filters))


@pytest.mark.parametrize("states", [1, 2, 6])
@pytest.mark.parametrize("jobs", [True, False])
@pytest.mark.parametrize("filters", FILTERS, ids=lambda filters: "-".join(sorted(filters)))
def test_every_listing_of_runs_merges_ordered_stretches_of_one_index(
    schema: sqlite3.Connection, states: int, filters: frozenset[str], jobs: bool
) -> None:
    steps = plan(schema, reads.runs_sql(states, filters, jobs))
    assert "SCAN" not in steps
    assert "TEMP B-TREE" not in steps
    assert steps.count("SEARCH runs USING INDEX") == states
    assert states == 1 or "MERGE (UNION ALL)" in steps


@pytest.mark.parametrize("sifts", [{"face"}, {"text"}, {"since", "until"}, {"face", "text", "since", "until"}])
@pytest.mark.parametrize("filters", [set(), {"owner"}, {"thread"}, {"name", "kind"}])
def test_what_is_sifted_is_sifted_out_of_the_same_stretches(
    schema: sqlite3.Connection, filters: set[str], sifts: set[str]
) -> None:
    steps = plan(schema, reads.runs_sql(6, frozenset(filters | sifts)))
    assert "SCAN" not in steps
    assert "TEMP B-TREE" not in steps
    assert steps.count("SEARCH runs USING INDEX") == 6


@pytest.mark.parametrize("owned", [True, False])
@pytest.mark.parametrize("bound", [True, False])
def test_figures_read_the_runs_of_their_time_and_no_more(schema: sqlite3.Connection, owned: bool, bound: bool) -> None:
    place = "INDEX runs_created (tenant=? AND created>? AND created<?)"
    runs = plan(schema, figures.runs_sql(owned=owned, bound=bound))
    models = plan(schema, figures.models_sql(owned=owned, bound=bound))
    assert place in runs
    assert place in models
    assert "SEARCH s USING INDEX steps_" in models
    assert "TEMP B-TREE" not in runs


WRITES = constants(statements) | {f"DELETE_THREAD {n}": sql for n, sql in enumerate(statements.DELETE_THREAD)}
WRITES["MARK_GONE"] += " WHERE tenant = ? AND owner = ?"


@pytest.mark.parametrize("name", sorted(WRITES))
def test_no_write_reads_a_whole_table(schema: sqlite3.Connection, name: str) -> None:
    assert "SCAN" not in plan(schema, WRITES[name])


SWEPT = {
    "sessions that are over": f"SELECT id FROM sessions WHERE {removal._EXPIRED.replace(':now', '?')} LIMIT 9",
    "tombstones with runs": removal._ENTOMBED,
    "tombstones that are over": "SELECT count(*) FROM sessions WHERE tombstone <= ?",
    "runs alone": f"SELECT number FROM runs WHERE {removal._LONE} LIMIT 9",
    "runs of a session": f"SELECT number FROM runs WHERE {removal._OF_SESSION} LIMIT 9",
    "runs of a user": f"SELECT number FROM runs WHERE {removal._OWN} LIMIT 9",
}


@pytest.mark.parametrize("name", sorted(SWEPT))
def test_what_is_swept_is_found_in_an_index(schema: sqlite3.Connection, name: str) -> None:
    steps = plan(schema, SWEPT[name])
    assert "SCAN" not in steps
    assert "TEMP B-TREE" not in steps
