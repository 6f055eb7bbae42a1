"""The SQL of the writes, as constants: a statement that never changes stays prepared.

`changes` builds the few that depend on which fields are set, and keeps what it built.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from dragoman.core.errors import UsageError
from dragoman.store import columns, journal, rows

_EXPIRED_AT_ONCE = 16

# --------------------------------------------------------------------------- statements


def _marks(columns: str) -> str:
    return ", ".join("?" for _ in columns.split(","))


def _insert(table: str, columns: str) -> str:
    return f"INSERT INTO {table} ({columns}) VALUES ({_marks(columns)}) ON CONFLICT DO NOTHING"


_THREAD_STORED = rows.THREAD.removeprefix("number, ")
PUT_THREAD = _insert("threads", _THREAD_STORED)
OWN_THREAD = "SELECT number FROM threads WHERE tenant = ? AND id = ? AND owner = ?"
PUT_ITEM = _insert("items", f"thread, {rows.ITEM}")
REPLACE_ITEM = (
    "UPDATE items SET kind = ?, role = ?, status = ?, answer = ?, run = ?, step = ?, body = ?, extra = ?"
    " WHERE thread = ? AND id = ?"
)
REMOVE_VOTES = (
    "DELETE FROM votes WHERE thread = ? AND answer IN"
    " (SELECT answer FROM items WHERE thread = ? AND pos >= ? AND answer IS NOT NULL"
    " UNION SELECT id FROM items WHERE thread = ? AND pos >= ?)"
)
MARK_GONE = (
    "UPDATE blobs SET state = 'gone', owner = '', name = '', type = '', digest = NULL, thread = NULL, expires = NULL,"
    " metadata = '{}'"
)
"""What is left of a file that goes with its thread or its owner, until its bytes are deleted; a condition follows."""
REMOVE_VOTES_OF_ITEM = "DELETE FROM votes WHERE thread = ? AND answer = ?"
_RUNS = "(SELECT number FROM runs WHERE thread = ?)"
TAKE_ALONG = (
    "UPDATE runs SET thread = ?1 WHERE thread IS NULL AND thread_id IS NOT NULL AND ended IS NOT NULL"
    " AND (tenant, owner, thread_id) = (SELECT tenant, owner, id FROM threads WHERE number = ?1)"
)
"""Turns beside a thread that failed have left nothing in it, but their runs know what was asked: they go with it."""
DELETE_THREAD = (
    TAKE_ALONG,
    f"DELETE FROM events WHERE run IN {_RUNS}",
    f"DELETE FROM steps WHERE run IN {_RUNS}",
    f"DELETE FROM approvals WHERE run IN {_RUNS}",
    "DELETE FROM repeats WHERE run IN (SELECT id FROM runs WHERE thread = ?)",
    "DELETE FROM runs WHERE thread = ?",
    "DELETE FROM items WHERE thread = ?",
    "DELETE FROM votes WHERE thread = ?",
    "DELETE FROM passages WHERE blob IN (SELECT id FROM blobs WHERE thread = ?)",
    f"{MARK_GONE} WHERE thread = ?",
    "DELETE FROM threads WHERE number = ?",
)
# INSERT … SELECT: the row it hangs on must exist. OR REPLACE gives a new number: a changed vote is the newest.
PUT_VOTE = (
    "INSERT OR REPLACE INTO votes (answer, user_id, up, created, id, thread)"
    " SELECT ?, ?, ?, ?, ?, number FROM threads WHERE number = ?"
)
PUT_RUN = _insert("runs", rows.RUN_STORED)
RUN_PLACE = (
    "SELECT number, COALESCE((SELECT max(seq) FROM events WHERE run = runs.number), 0), first_token, kind"
    " FROM runs WHERE id = ?"
)
FIRST_TOKEN = "UPDATE runs SET first_token = ? WHERE number = ?"
EVENTS_BETWEEN = (
    f"SELECT {journal.EVENT} FROM events WHERE run = ?1 AND seq >= ?2"
    " AND seq <= COALESCE((SELECT min(seq) FROM events WHERE run = ?1 AND seq >= ?3), ?3) ORDER BY seq"
)
REPLACE_EVENT = "UPDATE events SET payload = ? WHERE run = ? AND seq = ?"
PUT_EVENT = f"INSERT INTO events (run, {journal.EVENT}) VALUES (?, {_marks(journal.EVENT)})"
_STEP_KEY = ("step", "idx", "attempt")
PUT_STEP = (
    f"INSERT INTO steps ({rows.STEP}, run) SELECT {_marks(rows.STEP)}, number FROM runs WHERE id = ?"
    " ON CONFLICT (run, step, idx, attempt) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in rows.STEP.split(", ") if name not in _STEP_KEY)
)
PUT_APPROVAL = (
    f"INSERT INTO approvals ({rows.APPROVAL}, run) SELECT {_marks(rows.APPROVAL)}, number FROM runs WHERE id = ?"
)
DECIDE_APPROVAL = (
    "UPDATE approvals SET state = ?, decision = ?, decided = ?, decided_by = ? WHERE id = ? AND state = 'pending'"
)
_SESSION_OVER = "(sessions.tombstone IS NOT NULL OR sessions.expires <= excluded.updated)"
_SESSION_ANEW = ", ".join(
    f"{name} = CASE WHEN {_SESSION_OVER} THEN excluded.{name} ELSE sessions.{name} END"
    for name in ("created", "metadata")
)
PUT_SESSION = (
    f"INSERT INTO sessions ({rows.SESSION}) VALUES ({_marks(rows.SESSION)})"
    f" ON CONFLICT (tenant, id) DO UPDATE SET {_SESSION_ANEW},"
    f" first_run = CASE WHEN {_SESSION_OVER} THEN excluded.first_run"
    " ELSE COALESCE(sessions.first_run, excluded.first_run) END,"
    f" last_run = CASE WHEN {_SESSION_OVER} THEN excluded.last_run"
    " ELSE COALESCE(excluded.last_run, sessions.last_run) END,"
    " updated = excluded.updated, expires = excluded.expires, tombstone = excluded.tombstone"
)
SESSION_OVER = "SELECT 1 FROM sessions WHERE tenant = ? AND id = ? AND (tombstone IS NOT NULL OR expires <= ?)"
LEAVE_SESSION = (
    "UPDATE runs SET session = NULL WHERE tenant = ?1 AND session = ?2"
    " AND number < COALESCE((SELECT number FROM runs WHERE id = ?3), number + 1)"
)
PUT_SETTING = (
    f"INSERT INTO settings ({rows.SETTING}) VALUES ({_marks(rows.SETTING)})"
    " ON CONFLICT (tenant, owner, name) DO UPDATE SET value = excluded.value, updated = excluded.updated"
)
COUNTER = "SELECT used, resets FROM counters WHERE tenant = ? AND owner = ? AND name = ?"
PUT_COUNTER = (
    "INSERT INTO counters (tenant, owner, name, used, resets) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (tenant, owner, name) DO UPDATE SET used = excluded.used, resets = excluded.resets"
)
PUT_KEY = _insert("keys", rows.KEY)
PUT_REPEAT = (
    f"INSERT INTO repeats ({rows.REPEAT}) VALUES ({_marks(rows.REPEAT)})"
    " ON CONFLICT (tenant, owner, key) DO UPDATE SET digest = excluded.digest, run = excluded.run,"
    " answer = excluded.answer, created = excluded.created, expires = excluded.expires"
    " WHERE repeats.expires <= excluded.created"
)
FORGET_REPEATS = (
    "DELETE FROM repeats WHERE number IN"
    f" (SELECT number FROM repeats WHERE expires <= ? ORDER BY expires LIMIT {_EXPIRED_AT_ONCE})"
)


# --------------------------------------------------------------------------- changes of chosen fields

_Encode = Callable[[Any], Any]


def _same(value: Any) -> Any:
    return value


THREAD_FIELDS: dict[str, _Encode] = {
    "title": columns.plain,
    "visibility": _same,
    "branch": _same,
    "status": _same,
    "metadata": columns.dump,
    "updated": _same,
    "expires": _same,
}
RUN_FIELDS: dict[str, _Encode] = {
    "status": _same,
    "usage": columns.dump_usage,
    "cost": _same,
    "error": columns.dump_optional,
    "started": _same,
    "ended": _same,
    "executor": _same,
    "lease": _same,
    "queue": _same,
    "options": columns.dump,
    "input": columns.dump,
    "result": columns.dump_optional,
    "priority": _same,
    "thread": _same,
}


def changes(table: str, key: str, known: dict[str, _Encode], changes: dict[str, Any]) -> tuple[str, list[Any]]:
    """The statement that sets these fields, and its values but for the key's.

    Raises UsageError for a field that may not change.
    """
    unknown = [name for name in changes if name not in known]
    if unknown:
        raise UsageError(f"cannot change {unknown[0]!r} of {table}, expected one of {sorted(known)}")
    return _update(table, key, tuple(changes)), [known[name](value) for name, value in changes.items()]


@lru_cache(maxsize=256)
def _update(table: str, key: str, names: tuple[str, ...]) -> str:
    # without changes the statement still tells whether the row is there
    fields = ", ".join(f"{name} = ?" for name in names) or "number = number"
    return f"UPDATE {table} SET {fields} WHERE {key} = ?"


@lru_cache(maxsize=16)
def moves_expiry(update: str) -> str:
    """The update of a thread, which also moves its expiry on as far as its time; the new time comes first."""
    return update.replace(" SET ", " SET expires = expires + max(0, ? - updated), ", 1)


@lru_cache(maxsize=16)
def among(states: int) -> str:
    return f" AND status IN ({', '.join('?' * states)})"
