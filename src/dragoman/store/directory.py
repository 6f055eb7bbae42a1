"""The data directory: where the database lies, who may read it, how connections are made.

Everything in it is for its owner only where the platform has such a thing. Knows SQLite's
settings, and no table.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from dragoman.core.errors import UsageError

Synchronous: TypeAlias = Literal["NORMAL", "FULL"]

DATABASE_NAME = "dragoman.db"
MEMORY = ":memory:"
BUSY_SECONDS = 5.0
"""How long to wait for a command-line tool that writes beside us."""


@dataclass(frozen=True, slots=True)
class Place:
    """The database file and its directory; `temporary` ones vanish when the store closes."""

    directory: Path
    file: Path
    temporary: bool = False

    def remove_if_temporary(self) -> None:
        """Delete a `:memory:` directory with all that is in it."""
        if self.temporary:
            shutil.rmtree(self.directory, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes: of the database, of its log, and free on the disk."""

    database: int
    wal: int
    free: int


def sizes(place: Place) -> Sizes:
    """How much the place takes, and how much more it could; 0 for what cannot be told."""
    try:
        free = shutil.disk_usage(place.directory).free
    except OSError:
        free = 0
    return Sizes(_size(place.file), _size(place.file.with_name(f"{place.file.name}-wal")), free)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def locate(path: str | Path) -> Place:
    """What `path` means: `:memory:`, a database file (`*.db`), or a directory."""
    if str(path) == MEMORY:
        directory = Path(tempfile.mkdtemp(prefix="dragoman-"))
        return Place(directory, directory / DATABASE_NAME, temporary=True)
    path = Path(path).expanduser().absolute()
    if path.suffix == ".db" or path.is_file():
        return Place(path.parent, path)
    return Place(path, path / DATABASE_NAME)


def prepare(place: Place) -> None:
    """Make the directory (0700) and an empty file (0600), where they are missing.

    Raises UsageError if that cannot be done.
    """
    try:
        place.directory.parent.mkdir(parents=True, exist_ok=True)
        place.directory.mkdir(mode=0o700, exist_ok=True)
        # SQLite gives its -wal and -shm files the permissions of the database
        os.close(os.open(place.file, os.O_CREAT | os.O_RDWR, 0o600))
        place.file.chmod(0o600)
    except OSError as error:
        raise UsageError(f"cannot use {str(place.file)!r} for data: {error.strerror or error}") from error


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file is a database, but not a sound one."""
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_CORRUPT


def connect(file: Path, *, synchronous: Synchronous = "NORMAL", reading: bool = False) -> sqlite3.Connection:
    """A connection in autocommit mode; statements are kept prepared.

    Raises UsageError for a file that is no database, or a disk that cannot do WAL.
    """
    db = sqlite3.connect(
        file, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    try:
        db.execute("PRAGMA cache_size = -8000")
        if reading:
            db.execute("PRAGMA query_only = ON")
            return db
        (mode,) = db.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise UsageError(f"the disk of {str(file)!r} cannot do SQLite's WAL; put the data on a local disk")
        db.execute(f"PRAGMA synchronous = {synchronous}")
        db.execute("PRAGMA journal_size_limit = 67108864")
        # what a commit takes out is overwritten in the file; not every SQLite does that by itself
        db.execute("PRAGMA secure_delete = ON")
    except sqlite3.DatabaseError as error:
        db.close()
        if isinstance(error, sqlite3.OperationalError):
            raise UsageError(f"cannot open {str(file)!r}: {error}") from error
        if is_damage(error):
            raise UsageError(
                f"cannot open {str(file)!r}: {error}; put a backup in its place with `dragoman restore`"
            ) from error
        raise UsageError(f"{str(file)!r} is not a database: {error}") from error
    except UsageError:
        db.close()
        raise
    return db
