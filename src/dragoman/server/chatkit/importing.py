"""Taking over what a ChatKit server has kept so far: the tables of the sample store that upstream's guide shows.

`threads (id, user_id, created_at, data)`, `items (id, thread_id, user_id, created_at, data)` and `attachments` or
`files` (id, user_id, data), where `data` is a JSON document, bare or inside `{"thread" | "item" | "attachment": …}`.
What can be read is taken, what cannot is told: the file may be anybody's, and nothing in it is believed. Taking the
same file twice changes nothing.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dragoman.chatkit.file_rows import attachment_blob
from dragoman.chatkit.rows import item_row, row_ids, thread_row
from dragoman.chatkit.types import Attachment, ThreadItem, ThreadMetadata
from dragoman.chatkit.types.adapters import attachment_adapter, item_adapter
from dragoman.core.errors import StaleWrite, UsageError
from dragoman.core.ids import is_id, new_id
from dragoman.core.ports import Store
from dragoman.core.records import Item, Thread
from dragoman.core.writes import ChangeThread, PutBlob, PutItem, PutThread, Write

_AT_ONCE = 500
_SHOWN = 40
_ATTACHMENTS = ("attachments", "files")


@dataclass(slots=True)
class Imported:
    """What has become of the rows: how many are new here, how many were here, and which could not be read."""

    threads: int = 0
    items: int = 0
    attachments: int = 0
    known: int = 0
    refused: list[str] = field(default_factory=list)


class SampleFile:
    """The sample store's file, opened for reading; it is not changed."""

    def __init__(self, file: Path, *, owner: str | None = None) -> None:
        """`owner` is whose the rows are where the tables have no `user_id`. Raises UsageError for another kind of file."""
        if not file.is_file():
            raise UsageError(f"there is no file {str(file)!r}")
        self._owner = owner
        self._db = sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)
        try:
            self._columns = {name: self._columns_of(name) for name in self._tables()}
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise UsageError(f"{str(file)!r} cannot be read as a database: {error}") from error
        problem = self._problem()
        if problem is not None:
            self._db.close()
            raise UsageError(f"{str(file)!r} is none of the sample store's: {problem}")
        self._db.text_factory = bytes  # one text that is no UTF-8 must not end the reading of all

    def close(self) -> None:
        self._db.close()

    def _tables(self) -> list[str]:
        return [name for (name,) in self._db.execute("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')")]

    def _columns_of(self, table: str) -> set[str]:
        quoted = table.replace('"', '""')
        return {row[1] for row in self._db.execute(f'PRAGMA table_info("{quoted}")')}

    def _problem(self) -> str | None:
        needed = {"threads": {"id", "data"}, "items": {"id", "thread_id", "data"}}
        for table, columns in needed.items():
            if table not in self._columns:
                return f"it has no table {table!r} (it has: {', '.join(sorted(self._columns)) or 'none'})"
            if lacking := columns - self._columns[table]:
                return f"its table {table!r} has no column {min(lacking)!r}"
        if self._owner is None and "user_id" not in self._columns["threads"]:
            return "its table 'threads' has no column 'user_id'; say whose the threads are with --owner"
        return None

    def rows(self, table: str, thread: str | None = None) -> Iterator[tuple[str, str | None, Any]]:
        """(id, owner, data) in the order in which they were made, of one thread where its id is given.

        The owner is None where the row does not say it. Raises UsageError where the file is damaged.
        """
        where, values = ("", ()) if thread is None else ("WHERE thread_id = ?", (thread,))
        owner = "user_id" if "user_id" in self._columns[table] and self._owner is None else "NULL"
        sql = f"SELECT id, {owner}, data FROM {table} {where} ORDER BY {self._order(table)}"
        try:
            with closing(self._db.execute(sql, values)) as found:
                for id, user, data in found:
                    yield _text(id) or "", self._owner if self._owner is not None else _text(user), data
        except sqlite3.DatabaseError as error:
            raise UsageError(f"the table {table!r} cannot be read to its end: {error}") from error

    def _order(self, table: str) -> str:
        made = "created_at, " if "created_at" in self._columns[table] else ""
        try:
            self._db.execute(f"SELECT rowid FROM {table} LIMIT 0").close()
        except sqlite3.OperationalError:  # a table WITHOUT ROWID, or a view
            return f"{made}id"
        return f"{made}rowid"

    @property
    def attachments(self) -> str | None:
        """The table of attachments, if there is one."""
        return next((name for name in _ATTACHMENTS if {"id", "data"} <= self._columns.get(name, set())), None)


async def import_sample(file: SampleFile, store: Store, *, tenant: str, now: float) -> Imported:
    """Put everything into the store. A thread comes with its items, so that an interrupted import goes on."""
    done = Imported()
    for id, user, data in file.rows("threads"):
        try:
            owner = _owner(user)
            thread = ThreadMetadata.model_validate(_document(data, "thread"))
            _check_ids(id, thread.id)
        except ValueError as error:
            done.refused.append(f"thread {id!r}: {_reason(error)}")
            continue
        items = list(_items(file, id, owner, done))
        await _take_thread(store, done, thread, items, tenant, owner)
    if file.attachments is not None:
        for id, user, data in file.rows(file.attachments):
            try:
                owner = _owner(user)
                attachment = attachment_adapter.validate_python(_document(data, "attachment"))
                _check_ids(attachment.id)
            except ValueError as error:
                done.refused.append(f"attachment {id!r}: {_reason(error)}")
                continue
            await _take_attachment(store, done, attachment, tenant, owner, now)
    return done


async def _take_thread(
    store: Store, done: Imported, thread: ThreadMetadata, items: list[Item], tenant: str, owner: str
) -> None:
    row = await _known(store, thread.id, tenant, owner)
    began, ended = thread.created_at.timestamp(), max((item.created for item in items), default=0.0)
    if row is None:
        made = thread_row(thread, tenant=tenant, owner=owner, now=max(began, ended))
        await store.commit(PutThread(made, tenant_wide=False), *(PutItem(0, item) for item in items[:_AT_ONCE]))
        done.threads += 1
        done.items += len(items[:_AT_ONCE])
        items, row = items[_AT_ONCE:], await _known(store, thread.id, tenant, owner)
    else:
        done.known += 1
    if row is None:
        raise UsageError(f"thread {thread.id!r} was deleted while it was imported; import once more")
    missing = [item for item in items if await store.item(row.number, item.id) is None]
    done.known += len(items) - len(missing)
    for start in range(0, len(missing), _AT_ONCE):
        some: list[Write] = [PutItem(row.number, item) for item in missing[start : start + _AT_ONCE]]
        await store.commit(*some)
        done.items += len(some)


def _items(file: SampleFile, thread_id: str, owner: str, done: Imported) -> Iterator[Item]:
    """The rows of a thread's items, each answer's under one id."""
    answer: str | None = None
    seen: set[str] = set()
    for id, user, data in file.rows("items", thread_id):
        try:
            if user not in (None, owner):
                raise ValueError("it is another user's than the thread")
            item: ThreadItem = item_adapter.validate_python(_document(data, "item"))
            _check_ids(item.id)
            row = item_row(item)
            if row.id in seen:
                raise ValueError("its document has the id of an earlier one")
        except ValueError as error:
            done.refused.append(f"item {id!r} of thread {thread_id!r}: {_reason(error)}")
            continue
        seen.add(row.id)
        if row.role == "user":
            answer = None
        elif row.role == "assistant":
            answer = answer or new_id(row.created)
            row = replace(row, answer=answer)
        yield row


async def _take_attachment(
    store: Store, done: Imported, attachment: Attachment, tenant: str, owner: str, now: float
) -> None:
    thread: Thread | None = None
    is_there: tuple[Write, ...] = ()
    if attachment.thread_id is not None:
        thread = await _known(store, attachment.thread_id, tenant, owner)
        is_there = (ChangeThread(thread.number, {}),) if thread is not None else ()
    blob = attachment_blob(attachment, tenant=tenant, owner=owner, now=now, lost=thread is None)
    try:
        await store.commit(*is_there, PutBlob(replace(blob, thread=thread.number if thread is not None else None)))
    except StaleWrite:
        if await store.blob(blob.id, tenant=tenant, owner=owner) is None:
            done.refused.append(f"attachment {attachment.id!r}: its id is taken")
        else:
            done.known += 1
        return
    done.attachments += 1


async def _known(store: Store, thread_id: str, tenant: str, owner: str) -> Thread | None:
    for id in row_ids(thread_id):
        if (row := await store.thread(tenant, id, owner=owner)) is not None:
            return row
    return None


def _text(value: Any) -> str | None:
    """A value of a column as text, whatever it is; None for NULL."""
    return None if value is None else value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _owner(user: str | None) -> str:
    """Raises ValueError unless the row says whose it is."""
    if not user or not user.isprintable():
        raise ValueError("it does not say whose it is (user_id)")
    return user


def _check_ids(*ids: str) -> None:
    """Raises ValueError for one that no wire can name."""
    for id in ids:
        if not is_id(id):
            shown = id if len(id) <= _SHOWN else f"{id[:_SHOWN]}…"
            raise ValueError(f"{shown!r} cannot be an id; expected 1 to 128 letters, digits and . _ ~ : -")


def _document(data: Any, name: str) -> Mapping[str, Any]:
    """The JSON document of a row. Raises ValueError."""
    if not isinstance(data, str | bytes):
        raise ValueError("expected a JSON document, got none")
    try:
        document = json.loads(data if isinstance(data, str) else data.decode())
    except RecursionError:
        raise ValueError("its document is nested too deeply") from None
    if isinstance(document, dict) and isinstance(document.get(name), dict) and "id" not in document:
        document = document[name]
    if not isinstance(document, dict):
        raise ValueError(f"expected a JSON object, got {type(document).__name__}")
    return document


def _reason(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(one) for one in first["loc"])
        return f"{place}: {first['msg']}" if place else first["msg"]
    return f"{error}"
