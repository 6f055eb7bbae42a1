"""Copies of a whole data directory: made beside a server, checked, and put back.

A backup is a directory with one database file, which is no WAL and needs nothing beside it, and
the blobs. It is one moment of the original: everything that was committed before it began, and
no half of anything. Blocks; call it from a command or a thread.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from dragoman.core.errors import UsageError
from dragoman.core.ports import Clock
from dragoman.store.directory import DATABASE_NAME, Place, connect, locate
from dragoman.store.lock import LOCK_NAME, hold
from dragoman.store.schema import load_migrations, refuse_newer, version_of

BLOBS_NAME = "blobs"


@dataclass(frozen=True, slots=True)
class Copied:
    """What was copied: `threads` and `runs` are rows, `size` bytes of all files."""

    directory: Path
    schema: int
    threads: int
    runs: int
    blobs: int
    size: int


def back_up(data: str | Path, target: str | Path) -> Copied:
    """Copy the data directory, which a server may be using, into the new or empty `target`.

    Raises UsageError if there is no store, if `target` holds anything, or if the copy is not sound.
    """
    place = _existing(data)
    if place.directory in Path(target).expanduser().absolute().parents:
        raise UsageError(f"a backup of {str(place.directory)!r} cannot lie inside it")
    directory = _empty(target)
    with closing(connect(place.file, reading=True)) as db:
        _copy(db, directory)
    blobs = _copy_blobs(place.directory, directory)
    return _counted(directory, blobs)


def restore(backup: str | Path, target: str | Path, *, clock: Clock) -> Copied:
    """Put a backup (or the copy of a stopped server's directory) into the new or empty `target`.

    Raises UsageError as `back_up` does, and for a backup that a newer program made.
    """
    place = _existing(backup)
    used = Path(target).expanduser().absolute()
    if (used / LOCK_NAME).exists():
        hold(used, clock=clock)()  # names the server that is there
    directory = _empty(target)
    release = hold(directory, clock=clock)  # none may begin in it while it fills
    try:
        with closing(_opened(place.file)) as db:
            _checked(db, place.file)
            refuse_newer(version_of(db), load_migrations())
            _copy(db, directory)
        blobs = _copy_blobs(place.directory, directory)
        return _counted(directory, blobs)
    finally:
        release()


def _existing(path: str | Path) -> Place:
    place = locate(path)
    if place.temporary or not place.file.is_file():
        place.remove_if_temporary()
        raise UsageError(f"there is no store at {str(path)!r}")
    return place


def _empty(path: str | Path) -> Path:
    """The directory, made if need be. Raises UsageError unless it is empty."""
    directory = Path(path).expanduser().absolute()
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        held = sorted(os.listdir(directory))
    except OSError as error:
        raise UsageError(f"cannot use {str(directory)!r}: {error.strerror or error}") from error
    if held:
        raise UsageError(f"expected a new or empty directory, but {str(directory)!r} holds {held[0]!r}")
    return directory


def _opened(file: Path) -> sqlite3.Connection:
    """A connection that leaves the file as it is; it may lie where nothing can be written."""
    db: sqlite3.Connection | None = None
    try:
        db = sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, isolation_level=None)
        db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.Error as error:
        if db is not None:
            db.close()
        raise UsageError(f"{str(file)!r} cannot be read as a database: {error}") from error
    return db


def _copy(db: sqlite3.Connection, directory: Path) -> None:
    """The whole database as one file, that appears under its name once it is sound."""
    partial = directory / f"{DATABASE_NAME}.partial"
    try:
        os.close(os.open(partial, os.O_CREAT | os.O_WRONLY, 0o600))
        with closing(sqlite3.connect(partial, isolation_level=None)) as copy:
            db.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
            _checked(copy, partial)
        _flush(partial)
        partial.replace(directory / DATABASE_NAME)
    except (OSError, sqlite3.Error) as error:
        partial.unlink(missing_ok=True)
        raise UsageError(f"cannot copy the data to {str(directory)!r}: {error}") from error
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _checked(db: sqlite3.Connection, file: Path) -> None:
    try:
        (verdict,) = db.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        verdict = error
    if verdict != "ok":
        raise UsageError(f"{str(file)!r} is damaged: {' '.join(str(verdict).split())}")


def _flush(file: Path) -> None:
    fd = os.open(file, os.O_RDWR)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _copy_blobs(source: Path, directory: Path) -> int:
    """Copy the blobs; one that is deleted at the same time is left out."""
    folder = source / BLOBS_NAME
    copied = 0
    for file in sorted(folder.rglob("*")) if folder.is_dir() else ():
        target = directory / BLOBS_NAME / file.relative_to(folder)
        if file.is_symlink() or not file.is_file():
            continue
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            shutil.copyfile(file, target)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise UsageError(f"cannot copy {str(file)!r}: {error.strerror or error}") from error
        target.chmod(0o600)
        copied += 1
    return copied


def _counted(directory: Path, blobs: int) -> Copied:
    with closing(_opened(directory / DATABASE_NAME)) as db:
        schema = version_of(db)
        threads, runs = db.execute("SELECT (SELECT count(*) FROM threads), (SELECT count(*) FROM runs)").fetchone()
    size = sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())
    return Copied(directory, schema, threads, runs, blobs, size)
