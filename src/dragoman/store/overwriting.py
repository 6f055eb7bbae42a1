"""Making deleted rows unreadable: freed pages overwritten, the file packed, the log emptied.

SQLite leaves what was deleted in its files until the place is used again. `pack` writes the whole
file anew, what earlier deletions left behind included, and works beside a server.
Blocks; call it from a command or a thread.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from dragoman.core.errors import Unavailable, UsageError
from dragoman.store.directory import connect, locate

_TRIES = 50


def copies_of(data: str | Path) -> list[Path]:
    """The copies that migrations made of the database; they hold what it held then."""
    file = locate(data).file
    return sorted(file.parent.glob(f"{file.name}.before-*"))


def pack(data: str | Path, *, sleep: Callable[[float], None] = time.sleep) -> int:
    """Write the database anew without its freed pages, and empty the log; the file's size afterwards.

    Whoever else writes waits meanwhile: about a second for every few hundred MB. Needs as much room on the
    disk as the database takes. Raises Unavailable if others keep the database busy, or the disk is full.
    """
    file = locate(data).file
    try:
        with closing(connect(file)) as db:
            db.execute("PRAGMA secure_delete = ON")
            db.execute(
                "INSERT INTO passages_words (passages_words) VALUES ('rebuild')"
            )  # deleted words stay in it else
            db.execute("VACUUM")
            _empty_log(db, sleep)
    except sqlite3.Error as error:
        raise Unavailable(f"deleted, but the freed pages could not be overwritten: {error}; try again") from error
    except UsageError as error:
        raise Unavailable(f"deleted, but the freed pages could not be overwritten: {error.message}") from error
    return file.stat().st_size


def _empty_log(db: sqlite3.Connection, sleep: Callable[[float], None]) -> None:
    """A reader that is in the middle of an old state keeps the log alive; readers are quick."""
    for attempt in range(_TRIES):
        busy, _, _ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if not busy:
            return
        sleep(0.05 * min(attempt, 10))
    raise Unavailable("deleted, but another program keeps reading an old state of the database; try again")
