"""Writes: the whole vocabulary of change.

A `commit` of several writes is one transaction, all or nothing, and a conditional write that does not
hold raises `StaleWrite` or `LimitExceeded` and undoes the whole commit.

`thread=0` in PutItem, ChangeThread, RemoveItems, ChangeBlob, ChangeRun and in PutRun's run means the thread that a
PutThread earlier in the same commit has made or joined (its number is not known before).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from dragoman.core.events import Event
from dragoman.core.records import Approval, Blob, Item, Key, Repeat, Run, Session, Setting, Step, Thread, Vote


@dataclass(frozen=True, slots=True)
class PutThread:
    """Insert a thread. StaleWrite("thread_id") if its tenant has that id already (any owner)
    while `tenant_wide` is set, else if its (tenant, owner) has it. With `join`, one that the (tenant, owner) has is no
    fault: it stays as it is."""

    thread: Thread
    tenant_wide: bool = True
    join: bool = False


@dataclass(frozen=True, slots=True)
class ChangeThread:
    """Set the fields given (any of title, visibility, branch, status, metadata, updated, expires).

    Where `updated` is given without `expires`, an expiry that the thread has moves on by as much as `updated` does.
    StaleWrite("thread_gone") if there is no such thread.
    """

    thread: int
    changes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class DeleteThread:
    """Delete the thread with items, runs, events, steps, approvals, votes and blobs.

    A mark of its place is kept until `forget_at`, so that cursors go on working.
    StaleWrite("thread_gone") if there is no such thread.
    """

    thread: int
    forget_at: float


@dataclass(frozen=True, slots=True)
class PutItem:
    """Append an item at the end of the thread, or replace the one with its id (keeps pos, created).

    Without `replace`, an id that the thread has already is StaleWrite("item_id").
    With `replace`, an item that does not exist yet is appended.
    StaleWrite("thread_gone") if the thread does not exist.
    """

    thread: int
    item: Item
    replace: bool = False


@dataclass(frozen=True, slots=True)
class RemoveItems:
    """Delete all items of a thread from `from_pos` on (inclusive), and the votes on their answers."""

    thread: int
    from_pos: int


@dataclass(frozen=True, slots=True)
class PutRun:
    """Insert a run."""

    run: Run


@dataclass(frozen=True, slots=True)
class ChangeRun:
    """Set the fields given (status, usage, cost, error, started, ended, executor, lease, queue, priority, options, input,
    result, thread).

    With `only_if`, StaleWrite("run_status") unless the status is one of these.
    """

    run: str
    changes: dict[str, Any]
    only_if: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class AppendEvents:
    """Append events of one run; their seqs continue `last_seq` without a gap (else ProtocolError).

    The run's `last_seq` moves along. Consecutive deltas of one block (or of one tool input)
    become one row; readers get every event back as it was.
    """

    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class ReplaceEvents:
    """Give stored events of one run other bodies of the same types: what a capture mode does not keep goes.

    Done once, in the commit that ends the run; seqs, times, steps and the number of events stay.
    """

    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class PutSession:
    """Insert a session, or move on the one of this (tenant, id): `updated`, `last_run` and `expires`.

    A tombstone becomes a session again, as if it had never been.
    """

    session: Session


@dataclass(frozen=True, slots=True)
class PutStep:
    """Insert or replace a step by (run, step, index, attempt)."""

    step: Step


@dataclass(frozen=True, slots=True)
class PutApproval:
    """Insert an approval; (run, call) is unique."""

    approval: Approval


@dataclass(frozen=True, slots=True)
class DecideApproval:
    """Decide, by one conditional update; StaleWrite("approval") unless it is still pending."""

    approval: str
    approved: bool
    decision: dict[str, Any]
    decided: float
    by: str | None = None


@dataclass(frozen=True, slots=True)
class PutVote:
    """Insert or replace the vote of (thread, answer, user)."""

    vote: Vote


@dataclass(frozen=True, slots=True)
class PutSetting:
    """Insert or replace (tenant, owner, name); `created` of the first is kept."""

    setting: Setting


@dataclass(frozen=True, slots=True)
class Count:
    """Add `amount` to the counter (tenant, owner, name); a window that is over starts anew.

    Raises LimitExceeded with `retry_after` when `limit` would be passed; nothing is counted then.
    """

    tenant: str
    owner: str
    name: str
    now: float
    resets: float
    amount: int = 1
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class PutKey:
    """Insert a key."""

    key: Key


@dataclass(frozen=True, slots=True)
class RevokeKey:
    """Mark a key as revoked."""

    key: str
    at: float


@dataclass(frozen=True, slots=True)
class PutRepeat:
    """Insert an idempotency record; StaleWrite("repeat") if the key is there and has not expired."""

    repeat: Repeat


@dataclass(frozen=True, slots=True)
class PutBlob:
    """Insert a file's row; StaleWrite("blob_id") if its id is there."""

    blob: Blob


@dataclass(frozen=True, slots=True)
class ChangeBlob:
    """Set the fields given (any of name, size, digest, state, thread, expires, metadata).

    StaleWrite("blob") if there is no such row, or, with `only_if`, if its state is none of these, or, with
    `expired_by`, if it does not expire up to then. `lenient`: then nothing happens instead.
    """

    blob: str
    changes: dict[str, Any]
    only_if: tuple[str, ...] | None = None
    expired_by: float | None = None
    lenient: bool = False


@dataclass(frozen=True, slots=True)
class DropBlob:
    """Delete a file's row; its bytes are gone already. Nothing happens if there is none."""

    blob: str


@dataclass(frozen=True, slots=True)
class RemoveItem:
    """Delete one item of a thread by its id; nothing happens if there is none."""

    thread: int
    item: str


@dataclass(frozen=True, slots=True)
class PutPassages:
    """Keep the passages of a document, in order, in place of those that the source has of this file from `first` on.

    `first` is the number of the first text. StaleWrite("blob") if the tenant has no such file. They go with the file.
    `vectors` has one for each text, or none at all; `space` names the model that they are from.
    """

    tenant: str
    source: str
    blob: str
    name: str
    texts: tuple[str, ...]
    first: int = 1
    vectors: tuple[Sequence[float], ...] = ()
    space: str | None = None


@dataclass(frozen=True, slots=True)
class DropPassages:
    """Delete the passages of a document; nothing happens if there are none."""

    tenant: str
    source: str
    blob: str


Write: TypeAlias = (
    PutThread
    | ChangeThread
    | DeleteThread
    | PutItem
    | RemoveItems
    | PutRun
    | ChangeRun
    | AppendEvents
    | ReplaceEvents
    | PutSession
    | PutStep
    | PutApproval
    | DecideApproval
    | PutVote
    | PutSetting
    | Count
    | PutKey
    | RevokeKey
    | PutRepeat
    | PutBlob
    | ChangeBlob
    | DropBlob
    | RemoveItem
    | PutPassages
    | DropPassages
)
