"""The table `blobs`: rows of files, not their bytes. Columns, reads and writes beside each other.

Functions of a connection, as in `reads` and `writes`. A row whose file is to be deleted is kept as a mark without
anything that tells of its owner, until whoever deletes the bytes drops it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from dragoman.core.errors import StaleWrite
from dragoman.core.records import Blob
from dragoman.core.writes import ChangeBlob, DropBlob, PutBlob
from dragoman.store import passages, statements
from dragoman.store.columns import dump, load, plain
from dragoman.store.rows import Row

COLUMNS = "id, tenant, owner, purpose, name, type, created, size, digest, state, thread, expires, metadata"

PUT = f"INSERT INTO blobs ({COLUMNS}) VALUES ({', '.join('?' * 13)}) ON CONFLICT DO NOTHING"
DROP = "DELETE FROM blobs WHERE id = ?"
ONE = f"SELECT {COLUMNS} FROM blobs WHERE id = ? AND tenant = ? AND state <> 'gone'"
ONE_OWN = f"{ONE} AND owner = ?"
OF_THREAD = f"SELECT {COLUMNS} FROM blobs WHERE thread = ? AND state <> 'gone' ORDER BY number"
GONE = f"SELECT {COLUMNS} FROM blobs INDEXED BY blobs_gone WHERE state = 'gone' ORDER BY number LIMIT ?"
EXPIRED = f"SELECT {COLUMNS} FROM blobs WHERE expires <= ? AND expires IS NOT NULL LIMIT ?"
_FIELDS: dict[str, Any] = {
    "name": plain,
    "size": lambda value: value,
    "digest": lambda value: value,
    "state": lambda value: value,
    "thread": lambda value: value,
    "expires": lambda value: value,
    "metadata": dump,
}


def values(blob: Blob) -> Row:
    """The columns of `COLUMNS`."""
    return (
        blob.id,
        blob.tenant,
        blob.owner,
        blob.purpose,
        plain(blob.name),
        plain(blob.type),
        blob.created,
        blob.size,
        blob.digest,
        blob.state,
        blob.thread,
        blob.expires,
        dump(blob.metadata),
    )


def blob_of(row: Row) -> Blob:
    """The inverse of `values`."""
    given: list[Any] = list(row)
    given[-1] = load(given[-1])
    return Blob(*given)


# --------------------------------------------------------------------------- reads


def one(db: sqlite3.Connection, id: str, tenant: str, owner: str | None) -> Blob | None:
    found = db.execute(ONE, (id, tenant)) if owner is None else db.execute(ONE_OWN, (id, tenant, owner))
    row = found.fetchall()
    return blob_of(row[0]) if row else None


def of_thread(db: sqlite3.Connection, thread: int) -> Sequence[Blob]:
    return tuple(blob_of(row) for row in db.execute(OF_THREAD, (thread,)).fetchall())


def dead(db: sqlite3.Connection, now: float, limit: int) -> Sequence[Blob]:
    found = db.execute(GONE, (limit,)).fetchall()
    found += db.execute(EXPIRED, (now, limit - len(found))).fetchall() if len(found) < limit else []
    return tuple(blob_of(row) for row in found)


# --------------------------------------------------------------------------- writes


def put(db: sqlite3.Connection, write: PutBlob) -> None:
    if not db.execute(PUT, values(write.blob)).rowcount:
        raise StaleWrite(f"there is a file {write.blob.id!r} already", what="blob_id")


def change(db: sqlite3.Connection, write: ChangeBlob, new_thread: int = 0) -> None:
    """`new_thread` is the number that `thread=0` means."""
    changes = {**write.changes, "thread": new_thread} if write.changes.get("thread") == 0 else write.changes
    update, given = statements.changes("blobs", "id", _FIELDS, changes)
    given.append(write.blob)
    if write.only_if is not None:
        update += f" AND state IN ({', '.join('?' * len(write.only_if))})"
        given.extend(write.only_if)
    if write.expired_by is not None:
        update += " AND expires <= ?"
        given.append(write.expired_by)
    if db.execute(update, given).rowcount:
        if write.changes.get("state") == "gone":
            passages.drop_all(db, write.blob)
    elif not write.lenient:
        raise StaleWrite(f"there is no file {write.blob!r}, or not one in this state", what="blob")


def drop(db: sqlite3.Connection, write: DropBlob) -> None:
    passages.drop_all(db, write.blob)
    db.execute(DROP, (write.blob,))
