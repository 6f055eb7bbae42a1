"""Each read of the port as SQL: functions of a connection, each one snapshot, whole pages.

They may run in any thread; whoever calls them gives a connection of that thread's own and
turns its errors into ours. Pages ask for one row more than wanted, to know whether more follow.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, TypeVar, get_args

from dragoman.core.errors import NotFound, UsageError
from dragoman.core.events import Event
from dragoman.core.records import (
    Approval,
    Counter,
    Item,
    Key,
    Page,
    Repeat,
    Run,
    RunKind,
    RunStatus,
    Session,
    Setting,
    Step,
    Thread,
    Vote,
)
from dragoman.store import journal, rows

T = TypeVar("T")

PAGE_CHARACTERS = 16 * 1024 * 1024
"""What the runs of one page may hold of their callers' inputs, each up to a body's limit: the next page has the rest."""

_END = 1 << 62
_EVER = float("inf")
_STATES: tuple[str, ...] = get_args(RunStatus)


def _one(db: sqlite3.Connection, decode: Callable[[rows.Row], T], sql: str, *values: Any) -> T | None:
    found = db.execute(sql, values).fetchall()
    return decode(found[0]) if found else None


def _page(decode: Callable[[rows.Row], T], found: list[rows.Row], limit: int) -> Page[T]:
    return Page(tuple(decode(row) for row in found[:limit]), len(found) > limit)


def _run_page(found: sqlite3.Cursor, limit: int) -> Page[Run]:
    """Up to `limit` runs, and fewer where those come with more than `PAGE_CHARACTERS` of input and result."""
    page: list[Run] = []
    size = 0
    with closing(found):  # one that is left open holds the snapshot that it reads from
        for row in found:
            if len(page) == limit or size > PAGE_CHARACTERS:
                return Page(tuple(page), True)
            page.append(rows.run_of(row))
            size += sum(len(column) for column in row if isinstance(column, str))
    return Page(tuple(page), False)


# --------------------------------------------------------------------------- threads and items

THREAD_ANY = f"SELECT {rows.THREAD} FROM threads WHERE tenant = ? AND id = ? ORDER BY number LIMIT 1"
THREAD_OWN = f"SELECT {rows.THREAD} FROM threads WHERE tenant = ? AND id = ? AND owner = ?"
THREAD_NUMBER = f"SELECT {rows.THREAD} FROM threads WHERE number = ?"
THREADS_ALL_AFTER = f"SELECT {rows.THREAD} FROM threads WHERE tenant = ? AND number < ? ORDER BY number DESC LIMIT ?"
THREADS_ALL_BEFORE = f"SELECT {rows.THREAD} FROM threads WHERE tenant = ? AND number > ? ORDER BY number LIMIT ?"
THREADS_AFTER = (
    f"SELECT {rows.THREAD} FROM threads WHERE tenant = ? AND owner = ? AND number < ? ORDER BY number DESC LIMIT ?"
)
THREADS_BEFORE = (
    f"SELECT {rows.THREAD} FROM threads WHERE tenant = ? AND owner = ? AND number > ? ORDER BY number LIMIT ?"
)
THREAD_PLACE = (
    "SELECT 0, number FROM threads WHERE tenant = ?1 AND id = ?2 AND (?3 IS NULL OR owner = ?3)"
    " UNION ALL SELECT 1, number FROM threads_gone"
    " WHERE tenant = ?1 AND id = ?2 AND (?3 IS NULL OR owner = ?3) AND forget_at > ?4"
    " ORDER BY 1, 2 DESC LIMIT 1"
)


def thread(db: sqlite3.Connection, tenant: str, id: str, owner: str | None) -> Thread | None:
    if owner is None:
        return _one(db, rows.thread_of, THREAD_ANY, tenant, id)
    return _one(db, rows.thread_of, THREAD_OWN, tenant, id, owner)


def thread_by_number(db: sqlite3.Connection, number: int) -> Thread | None:
    return _one(db, rows.thread_of, THREAD_NUMBER, number)


def threads(
    db: sqlite3.Connection,
    tenant: str,
    owner: str | None,
    limit: int,
    after: str | None,
    before: str | None,
    now: float,
    oldest: bool = False,
) -> Page[Thread]:
    if before is not None and (after is not None or oldest):
        raise UsageError("expected one of after and before, and no before with the oldest first")
    whose = (tenant,) if owner is None else (tenant, owner)
    if oldest:
        place = 0 if after is None else _thread_place(db, tenant, owner, after, now)
        sql = THREADS_ALL_BEFORE if owner is None else THREADS_BEFORE
        return _page(rows.thread_of, db.execute(sql, (*whose, place, limit + 1)).fetchall(), limit)
    if before is not None:
        place = _thread_place(db, tenant, owner, before, now)
        sql = THREADS_ALL_BEFORE if owner is None else THREADS_BEFORE
        page = _page(rows.thread_of, db.execute(sql, (*whose, place, limit + 1)).fetchall(), limit)
        return Page(page.rows[::-1], page.more)
    place = _END if after is None else _thread_place(db, tenant, owner, after, now)
    sql = THREADS_ALL_AFTER if owner is None else THREADS_AFTER
    return _page(rows.thread_of, db.execute(sql, (*whose, place, limit + 1)).fetchall(), limit)


def _thread_place(db: sqlite3.Connection, tenant: str, owner: str | None, id: str, now: float) -> int:
    found = db.execute(THREAD_PLACE, (tenant, id, owner, now)).fetchall()
    if not found:
        raise NotFound(f"there is no thread {id!r} to page from", code="not_found:cursor")
    return int(found[0][1])


ITEMS = f"SELECT {rows.ITEM} FROM items WHERE thread = ? AND pos > ? AND pos < ? ORDER BY pos LIMIT ?"
ITEMS_NEWEST = f"SELECT {rows.ITEM} FROM items WHERE thread = ? AND pos > ? AND pos < ? ORDER BY pos DESC LIMIT ?"
ITEM = f"SELECT {rows.ITEM} FROM items WHERE thread = ? AND id = ?"


@lru_cache(maxsize=32)
def items_sql(newest: bool, kinds: int) -> str:
    """The listing without items of this many kinds."""
    sql = ITEMS_NEWEST if newest else ITEMS
    return sql.replace(" ORDER", f" AND kind NOT IN ({', '.join('?' * kinds)}) ORDER") if kinds else sql


def items(
    db: sqlite3.Connection,
    thread: int,
    after: int,
    before: int | None,
    limit: int,
    newest: bool,
    without: Sequence[str] = (),
) -> Page[Item]:
    bounds = (thread, after, _END if before is None else before, *without, limit + 1)
    return _page(rows.item_of, db.execute(items_sql(newest, len(without)), bounds).fetchall(), limit)


def item(db: sqlite3.Connection, thread: int, id: str) -> Item | None:
    return _one(db, rows.item_of, ITEM, thread, id)


# oldest first; sorting is on what is read, all of it
VOTES = f"SELECT {rows.VOTE} FROM votes WHERE thread = ? ORDER BY number"
VOTES_OF = f"SELECT {rows.VOTE} FROM votes WHERE thread = ? AND user_id = ? ORDER BY number"
_THREAD_VOTES = (
    "SELECT "
    + ", ".join([*(f"t.{name}" for name in rows.THREAD.split(", ")), *(f"v.{name}" for name in rows.VOTE.split(", "))])
    + " FROM threads t CROSS JOIN votes v WHERE {} AND v.thread = t.number ORDER BY t.number DESC, v.number LIMIT ?"
)
TENANT_VOTES = _THREAD_VOTES.format("t.tenant = ?")
OWNER_VOTES = _THREAD_VOTES.format("t.tenant = ? AND t.owner = ?")


def votes(db: sqlite3.Connection, thread: int, user: str | None) -> Sequence[Vote]:
    found = db.execute(VOTES, (thread,)) if user is None else db.execute(VOTES_OF, (thread, user))
    return tuple(rows.vote_of(row) for row in found.fetchall())


def tenant_votes(db: sqlite3.Connection, tenant: str, owner: str | None, limit: int) -> Sequence[tuple[Thread, Vote]]:
    sql, whose = (TENANT_VOTES, (tenant,)) if owner is None else (OWNER_VOTES, (tenant, owner))
    size = rows.THREAD.count(",") + 1
    found = db.execute(sql, (*whose, limit)).fetchall()
    return tuple((rows.thread_of(row[:size]), rows.vote_of(row[size:])) for row in found)


# --------------------------------------------------------------------------- runs

RUN = f"SELECT {rows.RUN} FROM runs WHERE id = ?"
RUN_OF = f"SELECT {rows.RUN} FROM runs WHERE id = ? AND tenant = ?"
UNFINISHED = (
    f"SELECT {rows.RUN} FROM runs INDEXED BY runs_unfinished"
    " WHERE (status IN ('running', 'paused') OR (status = 'queued' AND kind <> 'job')) ORDER BY number"
)
_QUEUED = "runs INDEXED BY runs_queue WHERE kind = 'job' AND status = 'queued'"
QUEUED = f"SELECT {rows.RUN} FROM {_QUEUED} ORDER BY priority DESC, number LIMIT ?"
QUEUE_LENGTH = f"SELECT count(*) FROM {_QUEUED}"


def run(db: sqlite3.Connection, id: str, tenant: str | None) -> Run | None:
    if tenant is None:
        return _one(db, rows.run_of, RUN, id)
    return _one(db, rows.run_of, RUN_OF, id, tenant)


def unfinished(db: sqlite3.Connection) -> Sequence[Run]:
    return tuple(rows.run_of(row) for row in db.execute(UNFINISHED).fetchall())


def queued(db: sqlite3.Connection, limit: int) -> Sequence[Run]:
    return tuple(rows.run_of(row) for row in db.execute(QUEUED, (limit,)).fetchall())


def queue_length(db: sqlite3.Connection) -> int:
    return int(db.execute(QUEUE_LENGTH).fetchone()[0])


# the narrowest first
_INDEXES = {"thread": "thread", "session": "session_status", "owner": "owner", "name": "name", "kind": "kind"}
_SIFTS = {
    "since": "created >= :since AND number >= :first",
    "until": "created < :until",
    "text": "instr(lower(id || ' ' || name || ' ' || ifnull(thread_id, '') || ' ' || ifnull(session, '')), :text)",
}
CREATED = "SELECT min(number), max(number) FROM runs INDEXED BY runs_created WHERE tenant = ? AND created >= ? AND created < ?"
"""Which runs were made in a time; those between may have been made in another, where a clock was set back."""


@lru_cache(maxsize=512)
def runs_sql(states: int, filters: frozenset[str], jobs: bool = False) -> str:
    """The listing for this many states: each an ordered stretch of one index, merged by number.

    `filters` are some of thread, session, owner, name, kind, face, since, until, text; `jobs`: the kind is that of jobs.
    """
    index = next((f"runs_{_INDEXES[one]}" for one in _INDEXES if one in filters), "runs_tenant")
    if jobs and index == "runs_name":
        index = "runs_jobs"
    where = "tenant = :tenant AND number < :place"
    where += "".join(f" AND {_SIFTS.get(one, f'{one} = :{one}')}" for one in sorted(filters))
    where += " AND kind = 'job'" if jobs else ""  # as a literal, so that the index of jobs alone is seen to fit
    arms = (
        f"SELECT {rows.RUN} FROM runs INDEXED BY {index} WHERE status = :state{n} AND {where}" for n in range(states)
    )
    return " UNION ALL ".join(arms) + " ORDER BY 1 DESC LIMIT :rows"


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs of a tenant; None is any. As in `ports.Store.runs`."""

    owner: str | None = None
    thread: int | None = None
    status: Sequence[RunStatus] | None = None
    name: str | None = None
    kind: RunKind | None = None
    session: str | None = None
    face: str | None = None
    since: float | None = None
    until: float | None = None
    text: str | None = None

    @property
    def sifts(self) -> bool:
        """Whether rows may have to be read that are not wanted."""
        return any(one is not None for one in (self.face, self.since, self.until, self.text))


_LOWER = str.maketrans({chr(code): chr(code + 32) for code in range(ord("A"), ord("Z") + 1)})
"""As SQLite's `lower` does it."""


def runs(db: sqlite3.Connection, tenant: str, chosen: RunFilter, limit: int, after: str | None) -> Page[Run]:
    states = _STATES if chosen.status is None else tuple(dict.fromkeys(chosen.status))
    named = {field.name: getattr(chosen, field.name) for field in fields(RunFilter) if field.name != "status"}
    filters = {one: value for one, value in named.items() if value is not None}
    values = {"tenant": tenant, "place": _END, "rows": limit + 1, **filters}
    if chosen.text is not None:
        values["text"] = chosen.text.translate(_LOWER)
    if after is not None:
        found = db.execute("SELECT number, owner FROM runs WHERE id = ? AND tenant = ?", (after, tenant)).fetchall()
        if not found or chosen.owner not in (None, found[0][1]):
            raise NotFound(f"there is no run {after!r} to page from", code="not_found:cursor")
        values["place"] = found[0][0]
    if chosen.since is not None or chosen.until is not None:
        values["since"] = filters["since"] = -_EVER if chosen.since is None else chosen.since
        values["until"] = filters["until"] = _EVER if chosen.until is None else chosen.until
        values["first"], last = db.execute(CREATED, (tenant, values["since"], values["until"])).fetchall()[0]
        if last is None:
            return Page((), False)
        values["place"] = min(values["place"], last + 1)
    if not states:
        return Page((), False)
    values.update((f"state{n}", state) for n, state in enumerate(states))
    sql = runs_sql(len(states), frozenset(filters), chosen.kind == "job")
    return _run_page(db.execute(sql, values), limit)


SESSION_RUNS = (
    f"SELECT {rows.RUN} FROM runs INDEXED BY runs_session WHERE tenant = ? AND session = ? AND number > ?"
    " ORDER BY number LIMIT ?"
)


def session_runs(db: sqlite3.Connection, tenant: str, id: str, after: int, limit: int) -> Page[Run]:
    return _run_page(db.execute(SESSION_RUNS, (tenant, id, after, limit + 1)), limit)


EVENTS = (
    f"SELECT {journal.EVENT} FROM events WHERE run = (SELECT number FROM runs WHERE id = ?) AND seq > ?"
    " ORDER BY seq LIMIT ?"
)


def events(db: sqlite3.Connection, run: str, after: int, limit: int) -> Sequence[Event]:
    """At least `limit` events if there are, and no more rows than that takes."""
    found: list[Event] = []
    cursor = db.execute(EVENTS, (run, after, limit))
    try:
        for row in cursor:
            found.extend(journal.events_of(run, row, after))
            if len(found) >= limit:
                break
    finally:
        cursor.close()  # an open cursor would hold an old snapshot
    return found


def few_events(db: sqlite3.Connection, run: str, after: int, limit: int, most: int) -> Sequence[Event] | None:
    """Like `events`, but None where that would read more than `most` rows."""
    found: list[Event] = []
    lines = db.execute(EVENTS, (run, after, min(limit, most))).fetchall()
    for row in lines:
        found.extend(journal.events_of(run, row, after))
        if len(found) >= limit:
            return found
    return None if len(lines) == most else found


STEPS = f"SELECT {rows.STEP} FROM steps WHERE run = (SELECT number FROM runs WHERE id = ?) ORDER BY number"


def steps(db: sqlite3.Connection, run: str) -> Sequence[Step]:
    return tuple(rows.step_of(run, row) for row in db.execute(STEPS, (run,)).fetchall())


_APPROVALS = (
    "SELECT r.id, " + ", ".join(f"a.{name}" for name in rows.APPROVAL.split(", ")) + " FROM {} JOIN runs r ON {}"
)
APPROVAL = _APPROVALS.format("approvals a", "r.number = a.run WHERE a.id = ?1 AND (?2 IS NULL OR a.tenant = ?2)")
APPROVALS = _APPROVALS.format("approvals a", "r.number = a.run WHERE r.id = ? ORDER BY a.number")
PENDING = _APPROVALS.format(
    "approvals a INDEXED BY approvals_pending",
    "r.number = a.run WHERE a.state = 'pending' AND a.expires < ? ORDER BY a.expires, a.number LIMIT ?",
)


def approval(db: sqlite3.Connection, id: str, tenant: str | None) -> Approval | None:
    return _one(db, rows.approval_of, APPROVAL, id, tenant)


def approvals(db: sqlite3.Connection, run: str) -> Sequence[Approval]:
    return tuple(rows.approval_of(row) for row in db.execute(APPROVALS, (run,)).fetchall())


def pending_approvals(db: sqlite3.Connection, before: float | None, limit: int) -> Sequence[Approval]:
    found = db.execute(PENDING, (float("inf") if before is None else before, limit)).fetchall()
    return tuple(rows.approval_of(row) for row in found)


# --------------------------------------------------------------------------- sessions

SESSION = f"SELECT {rows.SESSION} FROM sessions WHERE tenant = ? AND id = ?"
SESSION_ELSEWHERE = "SELECT EXISTS (SELECT 1 FROM sessions WHERE id = ?2 AND (tenant < ?1 OR tenant > ?1))"
_SESSIONS = (
    f"SELECT {rows.SESSION} FROM sessions INDEXED BY sessions_updated"
    " WHERE tenant = ? AND tombstone IS NULL AND (expires IS NULL OR expires > ?)"
)
SESSIONS = f"{_SESSIONS} ORDER BY updated DESC, id LIMIT ?"
SESSIONS_AFTER = f"{_SESSIONS} AND updated <= ? AND (updated < ? OR id > ?) ORDER BY updated DESC, id LIMIT ?"


def session(db: sqlite3.Connection, tenant: str, id: str) -> Session | None:
    return _one(db, rows.session_of, SESSION, tenant, id)


def has_session_elsewhere(db: sqlite3.Connection, tenant: str, id: str) -> bool:
    return bool(db.execute(SESSION_ELSEWHERE, (tenant, id)).fetchone()[0])


def sessions(db: sqlite3.Connection, tenant: str, limit: int, after: str | None, now: float) -> Page[Session]:
    if after is None:
        found = db.execute(SESSIONS, (tenant, now, limit + 1)).fetchall()
        return _page(rows.session_of, found, limit)
    place = session(db, tenant, after)
    if place is None:
        raise NotFound(f"there is no session {after!r} to page from", code="not_found:cursor")
    bounds = (place.updated, place.updated, place.id)
    return _page(rows.session_of, db.execute(SESSIONS_AFTER, (tenant, now, *bounds, limit + 1)).fetchall(), limit)


# --------------------------------------------------------------------------- the small tables

SETTING = f"SELECT {rows.SETTING} FROM settings WHERE tenant = ? AND owner = ? AND name = ?"
COUNTER = "SELECT used, resets FROM counters WHERE tenant = ? AND owner = ? AND name = ? AND resets > ?"
KEY = f"SELECT {rows.KEY} FROM keys WHERE id = ?"
KEYS = f"SELECT {rows.KEY} FROM keys ORDER BY number"
KEYS_OF = f"SELECT {rows.KEY} FROM keys WHERE tenant = ? ORDER BY number"
REPEAT = f"SELECT {rows.REPEAT} FROM repeats WHERE tenant = ? AND owner = ? AND key = ? AND expires > ?"


def setting(db: sqlite3.Connection, tenant: str, owner: str, name: str) -> Setting | None:
    return _one(db, rows.setting_of, SETTING, tenant, owner, name)


def counter(db: sqlite3.Connection, tenant: str, owner: str, name: str, now: float) -> Counter | None:
    return _one(db, lambda row: Counter(*row), COUNTER, tenant, owner, name, now)


def key(db: sqlite3.Connection, id: str) -> Key | None:
    return _one(db, rows.key_of, KEY, id)


def keys(db: sqlite3.Connection, tenant: str | None) -> Sequence[Key]:
    found = db.execute(KEYS) if tenant is None else db.execute(KEYS_OF, (tenant,))
    return tuple(rows.key_of(row) for row in found.fetchall())


def repeat(db: sqlite3.Connection, tenant: str, owner: str, key: str, now: float) -> Repeat | None:
    return _one(db, rows.repeat_of, REPEAT, tenant, owner, key, now)


def secret(db: sqlite3.Connection, name: str) -> bytes | None:
    return _one(db, lambda row: bytes(row[0]), "SELECT value FROM secrets WHERE name = ?", name)


def check(db: sqlite3.Connection) -> None:
    db.execute("SELECT max(number) FROM migrations").fetchall()
