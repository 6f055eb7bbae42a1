"""Each write of `core.records` as SQL: one function per write, found through one table.

They run inside the writer's transaction, one commit after the other, and raise to undo their
commit: StaleWrite, LimitExceeded, ProtocolError as the writes' docstrings say. Beyond those,
nothing may hang on what does not exist: a run, step, approval, event or vote whose thread or
run is gone is StaleWrite("thread_gone") or StaleWrite("run_gone").

A thread's number is not known before its commit: number 0 means the thread that the same
commit has put.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from dragoman.core.errors import LimitExceeded, ProtocolError, StaleWrite
from dragoman.core.ports import Clock
from dragoman.core.records import Removed
from dragoman.core.writes import (
    AppendEvents,
    ChangeBlob,
    ChangeRun,
    ChangeThread,
    Count,
    DecideApproval,
    DeleteThread,
    DropBlob,
    DropPassages,
    PutApproval,
    PutBlob,
    PutItem,
    PutKey,
    PutPassages,
    PutRepeat,
    PutRun,
    PutSession,
    PutSetting,
    PutStep,
    PutThread,
    PutVote,
    RemoveItem,
    RemoveItems,
    ReplaceEvents,
    RevokeKey,
)
from dragoman.store import blob_rows, journal, passages, rows
from dragoman.store import statements as sql
from dragoman.store.columns import dump

_CLOCK_SLACK = 60.0
"""Seconds by which the clocks of two who count may differ."""


@dataclass(slots=True)
class Scope:
    """One commit under way: its connection, and the thread that it has put, if any."""

    db: sqlite3.Connection
    clock: Clock
    thread: int = 0


@dataclass(frozen=True, slots=True)
class KeepSecret:
    """The store's own write: keep a secret unless there is one of this name."""

    name: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Probe:
    """The store's own write: change one row, to see that the disk takes it."""


@dataclass(slots=True)
class Remove:
    """The store's own write: take away what `work` says; `removed` is what that was."""

    work: Callable[[sqlite3.Connection], Removed]
    removed: Removed = field(default_factory=Removed)


@dataclass(slots=True)
class LookBeside:
    """The store's own, and no write at all: only the writing connection can tell its commits from others'."""

    version: int = 0


def apply(db: sqlite3.Connection, clock: Clock, writes: Sequence[Any]) -> None:
    """Do the writes of one commit in order. The caller undoes all of them if this raises."""
    scope = Scope(db, clock)
    for write in writes:
        WRITES[type(write)](scope, write)


# --------------------------------------------------------------------------- threads and items


def _put_thread(scope: Scope, write: PutThread) -> None:
    thread = write.thread
    taken = write.tenant_wide and scope.db.execute(
        "SELECT EXISTS (SELECT 1 FROM threads WHERE tenant = ? AND id = ?)", (thread.tenant, thread.id)
    ).fetchone() == (1,)
    if not taken:
        put = scope.db.execute(sql.PUT_THREAD, rows.thread_values(thread))
        if put.rowcount:
            scope.thread = put.lastrowid or 0
            return
    if write.join and (own := scope.db.execute(sql.OWN_THREAD, (thread.tenant, thread.id, thread.owner)).fetchone()):
        scope.thread = own[0]
        return
    raise StaleWrite(f"there is a thread {thread.id!r} already", what="thread_id")


def _change_thread(scope: Scope, write: ChangeThread) -> None:
    update, values = sql.changes("threads", "number", sql.THREAD_FIELDS, write.changes)
    if "updated" in write.changes and "expires" not in write.changes:
        update, values = sql.moves_expiry(update), [write.changes["updated"], *values]
    if not scope.db.execute(update, (*values, write.thread or scope.thread)).rowcount:
        raise _thread_gone(write.thread)


def _delete_thread(scope: Scope, write: DeleteThread) -> None:
    number = write.thread or scope.thread
    marked = scope.db.execute(
        "INSERT OR REPLACE INTO threads_gone (number, tenant, owner, id, forget_at)"
        " SELECT number, tenant, owner, id, ? FROM threads WHERE number = ?",
        (write.forget_at, number),
    )
    if not marked.rowcount:
        raise _thread_gone(write.thread)
    for delete in sql.DELETE_THREAD:
        scope.db.execute(delete, (number,))


def _put_item(scope: Scope, write: PutItem) -> None:
    number, item = write.thread or scope.thread, write.item
    values = rows.item_values(item)
    if write.replace and scope.db.execute(sql.REPLACE_ITEM, (*values[1:7], *values[8:], number, item.id)).rowcount:
        return
    place = scope.db.execute(
        "UPDATE threads SET last_pos = last_pos + 1 WHERE number = ? RETURNING last_pos", (number,)
    ).fetchall()
    if not place:
        raise _thread_gone(write.thread)
    if not scope.db.execute(sql.PUT_ITEM, (number, place[0][0], *values)).rowcount:
        raise StaleWrite(f"the thread has an item {item.id!r} already", what="item_id")


def _remove_items(scope: Scope, write: RemoveItems) -> None:
    place = (write.thread or scope.thread, write.from_pos)
    scope.db.execute(sql.REMOVE_VOTES, (place[0], *place, *place))
    scope.db.execute("DELETE FROM items WHERE thread = ? AND pos >= ?", place)


def _remove_item(scope: Scope, write: RemoveItem) -> None:
    number = write.thread or scope.thread
    scope.db.execute(sql.REMOVE_VOTES_OF_ITEM, (number, write.item))
    scope.db.execute("DELETE FROM items WHERE thread = ? AND id = ?", (number, write.item))


def _put_vote(scope: Scope, write: PutVote) -> None:
    values = rows.vote_values(write.vote)
    thread = write.vote.thread or scope.thread
    if not scope.db.execute(sql.PUT_VOTE, (*values[1:], thread)).rowcount:
        raise _thread_gone(write.vote.thread)


def _thread_gone(number: int) -> StaleWrite:
    return StaleWrite(f"there is no thread number {number}", what="thread_gone")


# --------------------------------------------------------------------------- runs


def _put_run(scope: Scope, write: PutRun) -> None:
    run = write.run
    thread = scope.thread if run.thread == 0 else run.thread
    if thread is not None and not scope.db.execute("SELECT 1 FROM threads WHERE number = ?", (thread,)).fetchall():
        raise _thread_gone(thread)
    if not scope.db.execute(sql.PUT_RUN, rows.run_values(run, thread)).rowcount:
        raise StaleWrite(f"there is a run {run.id!r} already", what="run_id")


def _change_run(scope: Scope, write: ChangeRun) -> None:
    changes = {**write.changes, "thread": scope.thread} if write.changes.get("thread") == 0 else write.changes
    update, values = sql.changes("runs", "id", sql.RUN_FIELDS, changes)
    values.append(write.run)
    if write.only_if is not None:
        update += sql.among(len(write.only_if))
        values.extend(write.only_if)
    if scope.db.execute(update, values).rowcount:
        return
    if write.only_if is None:
        raise _run_gone(write.run)
    raise StaleWrite(f"run {write.run!r} is not {' or '.join(write.only_if)} any more", what="run_status")


def _append_events(scope: Scope, write: AppendEvents) -> None:
    events = write.events
    if not events:
        return
    run = events[0].run
    found = scope.db.execute(sql.RUN_PLACE, (run,)).fetchone()
    if found is None:
        raise _run_gone(run)
    number, last, first_token, kind = found
    for seq, event in enumerate(events, last + 1):
        if event.seq != seq or event.run != run:
            raise ProtocolError(f"expected event {seq} of run {run!r}, got {event.seq} of {event.run!r}")
    lines = journal.event_rows(number, events)
    if len(lines) == 1:
        scope.db.execute(sql.PUT_EVENT, lines[0])
    else:
        scope.db.executemany(sql.PUT_EVENT, lines)
    if first_token is None and (spoken := journal.first_token(events, kind)) is not None:
        scope.db.execute(sql.FIRST_TOKEN, (spoken, number))


def _replace_events(scope: Scope, write: ReplaceEvents) -> None:
    if not write.events:
        return
    run = write.events[0].run
    found = scope.db.execute(sql.RUN_PLACE, (run,)).fetchone()
    if found is None:
        raise _run_gone(run)
    seqs = [event.seq for event in write.events]
    held = scope.db.execute(sql.EVENTS_BETWEEN, (found[0], min(seqs), max(seqs))).fetchall()
    payloads = journal.replaced(run, held, write.events)
    scope.db.executemany(sql.REPLACE_EVENT, ((payload, found[0], seq) for seq, payload in payloads))


def _put_session(scope: Scope, write: PutSession) -> None:
    session = write.session
    place = (session.tenant, session.id)
    if scope.db.execute(sql.SESSION_OVER, (*place, session.updated)).fetchall():
        # its runs belong to nobody's session any more, and are swept as such
        scope.db.execute(sql.LEAVE_SESSION, (*place, session.last_run))
    scope.db.execute(sql.PUT_SESSION, rows.session_values(session))


def _put_step(scope: Scope, write: PutStep) -> None:
    if not scope.db.execute(sql.PUT_STEP, (*rows.step_values(write.step), write.step.run)).rowcount:
        raise _run_gone(write.step.run)


def _put_approval(scope: Scope, write: PutApproval) -> None:
    approval = write.approval
    try:
        put = scope.db.execute(sql.PUT_APPROVAL, (*rows.approval_values(approval), approval.run))
    except sqlite3.IntegrityError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_CONSTRAINT_UNIQUE:
            raise
        raise StaleWrite(f"there is an approval of call {approval.call!r} already", what="approval") from error
    if not put.rowcount:
        raise _run_gone(approval.run)


def _decide_approval(scope: Scope, write: DecideApproval) -> None:
    state = "approved" if write.approved else "denied"
    values = (state, dump(write.decision), write.decided, write.by, write.approval)
    if not scope.db.execute(sql.DECIDE_APPROVAL, values).rowcount:
        raise StaleWrite(f"approval {write.approval!r} is not pending", what="approval")


def _run_gone(run: str) -> StaleWrite:
    return StaleWrite(f"there is no run {run!r}", what="run_gone")


# --------------------------------------------------------------------------- settings, quotas, keys


def _put_setting(scope: Scope, write: PutSetting) -> None:
    scope.db.execute(sql.PUT_SETTING, rows.setting_values(write.setting))


def _count(scope: Scope, write: Count) -> None:
    key = (write.tenant, write.owner, write.name)
    found = scope.db.execute(sql.COUNTER, key).fetchone()
    # a window that ends far behind a new one's end is of a clock that was set back since: nobody waits for that
    runs = found is not None and write.now < found[1] <= write.resets + _CLOCK_SLACK
    used, resets = found if runs and found is not None else (0, write.resets)
    used += write.amount
    if write.limit is not None and write.amount > 0 and used > write.limit:
        raise LimitExceeded(
            f"the limit of {write.limit} for {write.name!r} is reached", retry_after=max(0.0, resets - write.now)
        )
    scope.db.execute(sql.PUT_COUNTER, (*key, used, resets))


def _put_key(scope: Scope, write: PutKey) -> None:
    if not scope.db.execute(sql.PUT_KEY, rows.key_values(write.key)).rowcount:
        raise StaleWrite(f"there is a key {write.key.id!r} already", what="key_id")


def _revoke_key(scope: Scope, write: RevokeKey) -> None:
    changed = scope.db.execute("UPDATE keys SET revoked = COALESCE(revoked, ?) WHERE id = ?", (write.at, write.key))
    if not changed.rowcount:
        raise StaleWrite(f"there is no key {write.key!r}", what="key_gone")


def _put_repeat(scope: Scope, write: PutRepeat) -> None:
    scope.db.execute(sql.FORGET_REPEATS, (write.repeat.created,))
    if not scope.db.execute(sql.PUT_REPEAT, rows.repeat_values(write.repeat)).rowcount:
        raise StaleWrite(f"the idempotency key {write.repeat.key!r} is in use", what="repeat")


def _keep_secret(scope: Scope, write: KeepSecret) -> None:
    scope.db.execute(
        "INSERT INTO secrets (name, value, created) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        (write.name, write.value, scope.clock()),
    )


def _probe(scope: Scope, write: Probe) -> None:
    scope.db.execute(sql.PUT_COUNTER, ("", "", "store.check", 0, scope.clock()))


def _remove(scope: Scope, write: Remove) -> None:
    write.removed = write.work(scope.db)


def _look_beside(scope: Scope, write: LookBeside) -> None:
    write.version = scope.db.execute("PRAGMA data_version").fetchone()[0]


WRITES: dict[type, Callable[[Scope, Any], None]] = {
    PutThread: _put_thread,
    ChangeThread: _change_thread,
    DeleteThread: _delete_thread,
    PutItem: _put_item,
    RemoveItems: _remove_items,
    PutRun: _put_run,
    ChangeRun: _change_run,
    AppendEvents: _append_events,
    ReplaceEvents: _replace_events,
    PutSession: _put_session,
    PutStep: _put_step,
    PutApproval: _put_approval,
    DecideApproval: _decide_approval,
    PutVote: _put_vote,
    PutSetting: _put_setting,
    Count: _count,
    PutKey: _put_key,
    RevokeKey: _revoke_key,
    PutRepeat: _put_repeat,
    PutBlob: lambda scope, write: blob_rows.put(scope.db, write),
    ChangeBlob: lambda scope, write: blob_rows.change(scope.db, write, scope.thread),
    DropBlob: lambda scope, write: blob_rows.drop(scope.db, write),
    RemoveItem: _remove_item,
    PutPassages: lambda scope, write: passages.put(scope.db, write),
    DropPassages: lambda scope, write: passages.drop(scope.db, write),
    KeepSecret: _keep_secret,
    Probe: _probe,
    Remove: _remove,
    LookBeside: _look_beside,
}
