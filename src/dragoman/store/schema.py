"""Migrations: numbered SQL files, run forward only, each in a transaction of its own.

A database knows its version by the rows of its table `migrations`. Called once at the start,
by the one process that holds the directory's lock. Knows no table but that one.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from dragoman.core.errors import UsageError
from dragoman.core.ports import Clock

_FILE_NAME = re.compile(r"(\d{4})_(\w+)\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    """One step forward; numbers count 1, 2, 3 … without gaps."""

    number: int
    name: str
    sql: str


def load_migrations(backend: str = "sqlite") -> tuple[Migration, ...]:
    """The migrations that this version of the program ships, in order."""
    found = []
    for file in (resources.files("dragoman.store") / "migrations" / backend).iterdir():
        match = _FILE_NAME.fullmatch(file.name)
        if match is not None:
            found.append(Migration(int(match[1]), match[2], file.read_text("utf-8")))
    return tuple(sorted(found, key=lambda migration: migration.number))


def version_of(db: sqlite3.Connection) -> int:
    """The number of the last migration, 0 for an empty database.

    Raises UsageError for a database that is not one of ours.
    """
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if not tables:
        return 0
    if "migrations" not in tables:
        raise UsageError("expected a Dragoman database, found another one; give another data directory with --data")
    (number,) = db.execute("SELECT COALESCE(max(number), 0) FROM migrations").fetchone()
    return int(number)


def migrate(db: sqlite3.Connection, file: Path, *, clock: Clock, migrations: Sequence[Migration]) -> None:
    """Bring the database to the newest version, after a copy if there is anything to lose.

    The copy is `<file>.before-000N`, N being the first migration that runs. A migration that
    fails leaves the database as the one before made it. Raises UsageError if the data is
    newer than the program.
    """
    version = version_of(db)
    refuse_newer(version, migrations)
    pending = [migration for migration in migrations if migration.number > version]
    if pending and version:
        _copy(db, file.with_name(f"{file.name}.before-{pending[0].number:04d}"))
    for migration in pending:
        _apply(db, migration, clock())


def refuse_newer(version: int, migrations: Sequence[Migration]) -> None:
    """Raises UsageError if a database of this version was made by a newer program."""
    newest = migrations[-1].number
    if version > newest:
        raise UsageError(
            f"this data has schema {version}, this program knows schemas up to {newest}:"
            " it was written by a newer version of dragoman; upgrade, or restore a copy made before the upgrade"
        )


def _copy(db: sqlite3.Connection, target: Path) -> None:
    partial = target.with_name(f"{target.name}.partial")
    partial.unlink(missing_ok=True)
    os.close(os.open(partial, os.O_CREAT | os.O_WRONLY, 0o600))
    copy = sqlite3.connect(partial, isolation_level=None)
    try:
        db.backup(copy)
    finally:
        copy.close()
    partial.replace(target)


def _apply(db: sqlite3.Connection, migration: Migration, now: float) -> None:
    try:
        # executescript takes no parameters and would end a transaction begun before it
        db.executescript(f"BEGIN IMMEDIATE;\n{migration.sql}")
        db.execute("INSERT INTO migrations VALUES (?, ?, ?)", (migration.number, migration.name, now))
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
