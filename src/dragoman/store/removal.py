"""What leaves the store: what is over, and all of one user's, in short transactions.

A thread goes in two steps. It is buried: its row becomes a mark, and nobody finds it any more. Then
what hung on it goes slice by slice, whole runs at a time, so that no transaction holds the
others up for long. The marks are the list of what is left to clear, so that a crash between the
steps leaves nothing that the next pass does not find. A session goes likewise: it becomes a tombstone, then its
runs go. A run of it that belongs to a thread, or has not ended, only leaves the session.

Functions that find run over a reading connection. Those that remove run inside the writer's
transaction and look again at what they were told, since it may have changed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, TypeVar

from dragoman.core.records import Keep, Removed
from dragoman.store.rows import Row
from dragoman.store.statements import MARK_GONE, TAKE_ALONG

T = TypeVar("T")

SLICE = 2000
"""Rows that one transaction removes, unless a single run has more."""

_MOST_RUNS = 100
"""Runs that one transaction removes at most."""

FOUND = 5000
"""Rows of a kind that one pass looks for."""

MARKED = 24 * 3600.0
"""Seconds for which lists know the place of a thread that was swept."""

_MOST_ROUNDS = 50
"""How often an erasure begins anew while its user goes on writing."""

Work: TypeAlias = Callable[[sqlite3.Connection], Removed]
Find: TypeAlias = Callable[[Callable[[sqlite3.Connection], T]], Awaitable[T]]
Remove: TypeAlias = Callable[[Work], Awaitable[Removed]]


# --------------------------------------------------------------------------- passes


@dataclass(frozen=True, slots=True)
class _Over:
    """What a sweep has found."""

    buried: Sequence[int]
    threads: Sequence[int]
    sessions: Sequence[Row]
    entombed: Sequence[Row]
    runs: bool
    counters: Sequence[Row]
    marks: int
    repeats: int
    tombstones: int


async def sweep(find: Find[_Over], remove: Remove, keep: Keep) -> AsyncIterator[Removed]:
    """One pass over everything; what each transaction removed."""
    over = await find(partial(_over, keep=keep))
    for numbers in _slices(over.threads, 100):
        yield await remove(partial(_bury_idle, numbers=numbers, keep=keep))
    for number in (*over.buried, *over.threads):
        while removed := await remove(partial(_clear, number=number)):
            yield removed
    for places in _slices(over.sessions, 100):
        yield await remove(partial(_entomb, places=places, keep=keep))
    for place in (*over.entombed, *over.sessions):
        while removed := await remove(partial(_empty_session, place=place)):
            yield removed
    while over.runs and (removed := await remove(partial(_runs, where=_LONE, values=(keep.runs_since,)))):
        yield removed
    for _ in range(0, over.marks, SLICE):
        yield await remove(partial(_forget_marks, now=keep.now))
    for _ in range(0, over.repeats, SLICE):
        yield await remove(partial(_forget_repeats, now=keep.now))
    for _ in range(0, over.tombstones, SLICE):
        yield await remove(partial(_forget_tombstones, now=keep.now))
    for keys in _slices(over.counters, SLICE):
        yield await remove(partial(_forget_counters, keys=keys, now=keep.now))


@dataclass(frozen=True, slots=True)
class _Owned:
    """What an erasure has found."""

    threads: Sequence[int] = ()
    buried: Sequence[int] = ()
    runs: bool = False
    votes: Sequence[int] = ()
    small: int = 0


async def erase(find: Find[_Owned], remove: Remove, tenant: str, owner: str, now: float) -> AsyncIterator[Removed]:
    """Everything of one user, until nothing is left; what each transaction removed."""
    for _ in range(_MOST_ROUNDS):
        owned = await find(partial(_owned, tenant=tenant, owner=owner))
        if owned == _Owned():
            return
        while removed := await remove(partial(_passages, tenant=tenant, owner=owner)):
            yield removed
        yield await remove(partial(_small, tenant=tenant, owner=owner, now=now))
        for numbers in _slices(owned.threads, 100):
            yield await remove(partial(_bury, numbers=numbers))
        for number in (*owned.buried, *owned.threads):
            while removed := await remove(partial(_clear, number=number)):
                yield removed
        for numbers in _slices((*owned.buried, *owned.threads), SLICE):
            yield await remove(partial(_unmark, numbers=numbers))
        while owned.runs and (removed := await remove(partial(_own_runs, tenant=tenant, owner=owner))):
            yield removed
        for numbers in _slices(owned.votes, SLICE):
            yield await remove(partial(_votes_of, numbers=numbers, owner=owner))


def _slices(rows: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


# --------------------------------------------------------------------------- finding

_ACTIVE = "('queued', 'running', 'paused')"
_IDLE = (
    "(updated < :since OR expires <= :now)"
    f" AND NOT EXISTS (SELECT 1 FROM runs WHERE thread = threads.number AND status IN {_ACTIVE})"
)
_LEFT = " OR ".join(
    f"EXISTS (SELECT 1 FROM {table} WHERE thread = threads_gone.number)"
    for table in ("runs", "items", "votes", "blobs")
)
_LONE = f"thread IS NULL AND session IS NULL AND ended IS NOT NULL AND ended < ? AND status NOT IN {_ACTIVE}"
_OWN = "tenant = ? AND owner = ? AND thread IS NULL"
_OF_SESSION = "tenant = ? AND session = ?"
_EXPIRED = "tombstone IS NULL AND expires <= :now"
_ENTOMBED = (
    "SELECT tenant, id FROM sessions WHERE tombstone IS NOT NULL"
    " AND EXISTS (SELECT 1 FROM runs WHERE tenant = sessions.tenant AND session = sessions.id) LIMIT ?"
)


def _over(db: sqlite3.Connection, keep: Keep) -> _Over:
    idle_values = {"since": keep.threads_since, "now": keep.now, "most": FOUND}
    if keep.threads_since is not None:
        idle = _numbers(db, f"SELECT number FROM threads WHERE {_IDLE} LIMIT :most", idle_values)
    else:  # only those that were given an end, which have an index
        idle = _numbers(
            db, f"SELECT number FROM threads WHERE expires IS NOT NULL AND {_IDLE} LIMIT :most", idle_values
        )
    return _Over(
        _numbers(db, f"SELECT number FROM threads_gone WHERE {_LEFT}"),
        idle,
        db.execute(f"SELECT tenant, id FROM sessions WHERE {_EXPIRED} LIMIT {FOUND}", {"now": keep.now}).fetchall(),
        db.execute(_ENTOMBED, (FOUND,)).fetchall(),
        keep.runs_since is not None
        and bool(_numbers(db, f"SELECT number FROM runs WHERE {_LONE} LIMIT 1", (keep.runs_since,))),
        db.execute(
            "SELECT tenant, owner, name FROM counters WHERE resets <= ? AND tenant <> '' LIMIT ?", (keep.now, FOUND)
        ).fetchall(),
        _count(db, "SELECT count(*) FROM threads_gone WHERE forget_at <= ?", keep.now),
        _count(db, "SELECT count(*) FROM repeats WHERE expires <= ?", keep.now),
        _count(db, "SELECT count(*) FROM sessions WHERE tombstone <= ?", keep.now),
    )


def _owned(db: sqlite3.Connection, tenant: str, owner: str) -> _Owned:
    whose = (tenant, owner)
    keys = "SELECT count(*) FROM keys WHERE tenant = ? AND user_id = ? AND revoked IS NULL"
    return _Owned(
        _numbers(db, "SELECT number FROM threads WHERE tenant = ? AND owner = ? LIMIT ?", (*whose, FOUND)),
        _numbers(db, "SELECT number FROM threads_gone WHERE tenant = ? AND owner = ? LIMIT ?", (*whose, FOUND)),
        bool(_numbers(db, f"SELECT number FROM runs WHERE {_OWN} LIMIT 1", whose)),
        _numbers(
            db,
            "SELECT votes.number FROM votes JOIN threads ON threads.number = votes.thread"
            " WHERE votes.user_id = ? AND threads.tenant = ? AND threads.owner <> ? LIMIT ?",
            (owner, tenant, owner, FOUND),
        ),
        _count(db, keys, *whose)
        + sum(_count(db, f"SELECT count(*) FROM {table} WHERE tenant = ? AND owner = ?", *whose) for table in _SMALL),
    )


_SMALL = ("settings", "counters", "repeats", "blobs")
_TAKE = {"blobs": MARK_GONE}
"""Tables whose rows are not deleted: a file's row goes after its bytes."""


def tenants_of(db: sqlite3.Connection, owner: str) -> Sequence[str]:
    """The tenants in which this user has anything."""
    tables = ("threads", "threads_gone", "runs", *_SMALL)
    arms = [f"SELECT tenant FROM {table} WHERE owner = ?1" for table in tables]
    arms.append("SELECT tenant FROM keys WHERE user_id = ?1")
    return [tenant for (tenant,) in db.execute(f"{' UNION '.join(arms)} ORDER BY 1", (owner,))]


def _numbers(db: sqlite3.Connection, sql: str, values: Any = ()) -> Sequence[int]:
    return tuple(number for (number,) in db.execute(sql, values).fetchall())


def _count(db: sqlite3.Connection, sql: str, *values: Any) -> int:
    return int(db.execute(sql, values).fetchone()[0])


# --------------------------------------------------------------------------- removing

_MARK = (
    "INSERT OR REPLACE INTO threads_gone (number, tenant, owner, id, forget_at)"
    " SELECT number, tenant, owner, id, :forget_at FROM threads WHERE number = :number"
)


def _bury_idle(db: sqlite3.Connection, numbers: Sequence[int], keep: Keep) -> Removed:
    values = {"since": keep.threads_since, "now": keep.now, "forget_at": keep.now + MARKED}
    return _buried(db, f"{_MARK} AND {_IDLE}", numbers, values)


def _bury(db: sqlite3.Connection, numbers: Sequence[int]) -> Removed:
    return _buried(db, _MARK, numbers, {"forget_at": 0.0})


def _buried(db: sqlite3.Connection, mark: str, numbers: Sequence[int], values: dict[str, Any]) -> Removed:
    threads = 0
    for number in numbers:
        if db.execute(mark, {**values, "number": number}).rowcount:
            db.execute(TAKE_ALONG, (number,))
            threads += db.execute("DELETE FROM threads WHERE number = ?", (number,)).rowcount
    return Removed(threads=threads)


def _clear(db: sqlite3.Connection, number: int) -> Removed:
    """A slice of what hung on a buried thread; nothing if the thread is there (again) or all is gone."""
    if db.execute("SELECT 1 FROM threads WHERE number = ?", (number,)).fetchall():
        return Removed()
    removed = _runs(db, "thread = ?", (number,))
    if removed:
        return removed
    items = db.execute(
        "DELETE FROM items WHERE thread = ?1 AND pos IN (SELECT pos FROM items WHERE thread = ?1 ORDER BY pos LIMIT ?2)",
        (number, SLICE),
    ).rowcount
    if items:
        return Removed(items=items)
    votes = db.execute("DELETE FROM votes WHERE thread = ?", (number,)).rowcount
    db.execute("DELETE FROM passages WHERE blob IN (SELECT id FROM blobs WHERE thread = ?)", (number,))
    return Removed(votes=votes, blobs=db.execute(f"{MARK_GONE} WHERE thread = ?", (number,)).rowcount)


def _runs(db: sqlite3.Connection, where: str, values: Sequence[Any]) -> Removed:
    """Whole runs, until a slice is full: at least one if there is any."""
    size = "COALESCE((SELECT max(seq) FROM events WHERE run = runs.number), 0)"
    found = db.execute(f"SELECT number, id, {size} FROM runs WHERE {where} LIMIT {_MOST_RUNS}", values).fetchall()
    removed, taken = Removed(), 0
    for number, id, events in found:
        if taken and taken + events > SLICE:
            break
        taken += events
        db.execute("DELETE FROM events WHERE run = ?", (number,))
        removed += Removed(
            runs=db.execute("DELETE FROM runs WHERE number = ?", (number,)).rowcount,
            events=events,
            steps=db.execute("DELETE FROM steps WHERE run = ?", (number,)).rowcount,
            approvals=db.execute("DELETE FROM approvals WHERE run = ?", (number,)).rowcount,
            repeats=db.execute("DELETE FROM repeats WHERE run = ?", (id,)).rowcount,
        )
    return removed


def _own_runs(db: sqlite3.Connection, tenant: str, owner: str) -> Removed:
    """Like `_runs`, for a user's; sessions that are empty then go without a tombstone, the others know their ends."""
    sql = f"SELECT DISTINCT session FROM (SELECT session FROM runs WHERE {_OWN} LIMIT {_MOST_RUNS})"
    sessions = [id for (id,) in db.execute(sql, (tenant, owner)).fetchall() if id is not None]
    removed = _runs(db, _OWN, (tenant, owner))
    for id in sessions:
        left = f"(SELECT id FROM runs WHERE {_OF_SESSION} ORDER BY number"
        ends = f"UPDATE sessions SET first_run = {left} LIMIT 1), last_run = {left} DESC LIMIT 1)"
        db.execute(f"{ends} WHERE tenant = ? AND id = ? AND tombstone IS NULL", (tenant, id) * 3)
        empty = "DELETE FROM sessions WHERE tenant = ? AND id = ? AND tombstone IS NULL AND first_run IS NULL"
        removed += Removed(sessions=db.execute(empty, (tenant, id)).rowcount)
    return removed


def _entomb(db: sqlite3.Connection, places: Sequence[Row], keep: Keep) -> Removed:
    sql = (
        f"UPDATE sessions SET tombstone = :until, metadata = '{{}}' WHERE tenant = :tenant AND id = :id AND {_EXPIRED}"
    )
    values = {"until": keep.now + keep.tombstone_seconds, "now": keep.now}
    return Removed(
        sessions=sum(db.execute(sql, {**values, "tenant": tenant, "id": id}).rowcount for tenant, id in places)
    )


def _empty_session(db: sqlite3.Connection, place: Row) -> Removed:
    """A slice of what a tombstone stands for; nothing if it is a session (again) or all is gone."""
    if not db.execute("SELECT 1 FROM sessions WHERE tenant = ? AND id = ? AND tombstone IS NOT NULL", place).fetchall():
        return Removed()
    removed = _runs(db, f"{_OF_SESSION} AND thread IS NULL AND status NOT IN {_ACTIVE}", place)
    if not removed:
        db.execute(f"UPDATE runs SET session = NULL WHERE {_OF_SESSION}", place)
    return removed


def _forget_tombstones(db: sqlite3.Connection, now: float) -> Removed:
    found = db.execute(f"SELECT tenant, id FROM sessions WHERE tombstone <= ? LIMIT {SLICE}", (now,)).fetchall()
    sql = "DELETE FROM sessions WHERE tenant = ? AND id = ? AND tombstone <= ?"
    return Removed(sessions=sum(db.execute(sql, (*place, now)).rowcount for place in found))


def _votes_of(db: sqlite3.Connection, numbers: Sequence[int], owner: str) -> Removed:
    votes = 0
    for number in numbers:
        votes += db.execute("DELETE FROM votes WHERE number = ? AND user_id = ?", (number, owner)).rowcount
    return Removed(votes=votes)


def _passages(db: sqlite3.Connection, tenant: str, owner: str) -> Removed:
    """A slice of what the documents of a user say."""
    sql = (
        "DELETE FROM passages WHERE number IN (SELECT passages.number FROM blobs JOIN passages ON passages.blob = blobs.id"
        f" WHERE blobs.tenant = ? AND blobs.owner = ? LIMIT {SLICE})"
    )
    return Removed(passages=db.execute(sql, (tenant, owner)).rowcount)


def _small(db: sqlite3.Connection, tenant: str, owner: str, now: float) -> Removed:
    whose = (tenant, owner)
    db.execute("DELETE FROM passages WHERE blob IN (SELECT id FROM blobs WHERE tenant = ? AND owner = ?)", whose)
    gone = {
        table: db.execute(f"{_TAKE.get(table, f'DELETE FROM {table}')} WHERE tenant = ? AND owner = ?", whose).rowcount
        for table in _SMALL
    }
    revoke = "UPDATE keys SET revoked = ? WHERE tenant = ? AND user_id = ? AND revoked IS NULL"
    return Removed(**gone, keys=db.execute(revoke, (now, *whose)).rowcount)


def _unmark(db: sqlite3.Connection, numbers: Sequence[int]) -> Removed:
    return Removed(
        marks=sum(db.execute("DELETE FROM threads_gone WHERE number = ?", (number,)).rowcount for number in numbers)
    )


def _forget_marks(db: sqlite3.Connection, now: float) -> Removed:
    sql = (
        f"DELETE FROM threads_gone WHERE number IN (SELECT number FROM threads_gone WHERE forget_at <= ? LIMIT {SLICE})"
    )
    return Removed(marks=db.execute(sql, (now,)).rowcount)


def _forget_repeats(db: sqlite3.Connection, now: float) -> Removed:
    sql = f"DELETE FROM repeats WHERE number IN (SELECT number FROM repeats WHERE expires <= ? LIMIT {SLICE})"
    return Removed(repeats=db.execute(sql, (now,)).rowcount)


def _forget_counters(db: sqlite3.Connection, keys: Sequence[Row], now: float) -> Removed:
    sql = "DELETE FROM counters WHERE tenant = ? AND owner = ? AND name = ? AND resets <= ?"
    return Removed(counters=sum(db.execute(sql, (*key, now)).rowcount for key in keys))
