"""Rows and records: how each word of `core.records` lies in the columns of a table.

Pure: no connection, no SQL beyond lists of column names. For every function that encodes
there is one that decodes, beside it. Events have a module of their own, `journal`.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from dragoman.core.records import Approval, Item, Key, Repeat, Run, Session, Setting, Step, Thread, Vote
from dragoman.store.columns import dump, dump_optional, dump_usage, load, load_optional, load_usage, plain

Row: TypeAlias = tuple[Any, ...]


# --------------------------------------------------------------------------- threads and items

THREAD = "number, tenant, owner, id, title, visibility, branch, status, metadata, created, updated, expires"


def thread_values(thread: Thread) -> Row:
    """The columns of `THREAD` without the number."""
    return (
        thread.tenant,
        thread.owner,
        thread.id,
        plain(thread.title),
        thread.visibility,
        thread.branch,
        thread.status,
        dump(thread.metadata),
        thread.created,
        thread.updated,
        thread.expires,
    )


def thread_of(row: Row) -> Thread:
    """The inverse of `thread_values`, with the number."""
    number, tenant, owner, id, title, visibility, branch, status, metadata, created, updated, expires = row
    return Thread(
        id, tenant, owner, created, updated, number, title, visibility, branch, status, load(metadata), expires
    )


ITEM = "pos, id, kind, role, status, answer, run, step, created, body, extra"


def item_values(item: Item) -> Row:
    """The columns of `ITEM` without the place."""
    return (
        item.id,
        item.kind,
        item.role,
        item.status,
        item.answer,
        item.run,
        item.step,
        item.created,
        dump(item.body),
        dump(item.extra) if item.extra else "{}",
    )


def item_of(row: Row) -> Item:
    """The inverse of `item_values`, with the place."""
    pos, id, kind, role, status, answer, run, step, created, body, extra = row
    return Item(
        id, kind, role, created, load(body), pos, status, answer, run, step, {} if extra == "{}" else load(extra)
    )


# --------------------------------------------------------------------------- runs and what hangs on them

RUN_STORED = (
    "id, tenant, owner, kind, name, version, thread, thread_id, session, face, status, answer,"
    " created, started, ended, queue, executor, lease, usage, cost, error, options, input,"
    " priority, result, first_token"
)
RUN = f"number, COALESCE((SELECT max(seq) FROM events WHERE run = runs.number), 0), {RUN_STORED}"


def run_values(run: Run, thread: int | None) -> Row:
    """The columns of `RUN_STORED`; `thread` is the thread's true number."""
    return (
        run.id,
        run.tenant,
        run.owner,
        run.kind,
        run.name,
        run.version,
        thread,
        run.thread_id,
        run.session,
        run.face,
        run.status,
        run.answer,
        run.created,
        run.started,
        run.ended,
        run.queue,
        run.executor,
        run.lease,
        dump_usage(run.usage),
        run.cost,
        dump_optional(run.error),
        dump(run.options),
        dump(run.input),
        run.priority,
        dump_optional(run.result),
        run.first_token,
    )


def run_of(row: Row) -> Run:
    """The inverse of `run_values`, from the columns of `RUN`."""
    number, last_seq, id, tenant, owner, kind, name, version, thread, thread_id, session, face, *rest = row
    status, answer, created, started, ended, queue, executor, lease, usage, cost, error, options, input_, *new = rest
    priority, result, first_token = new
    return Run(
        id,
        tenant,
        owner,
        kind,
        name,
        created,
        number,
        version,
        thread,
        thread_id,
        session,
        face,
        status,
        answer,
        load(input_),
        load(options),
        load_usage(usage),
        cost,
        load_optional(error),
        started,
        ended,
        last_seq,
        queue,
        executor,
        lease,
        priority,
        load_optional(result),
        first_token,
    )


STEP = (
    "step, idx, attempt, kind, name, status, started, ended, model, usage, cost, error, input, output,"
    " place, input_bytes, output_bytes, truncated"
)


def step_values(step: Step) -> Row:
    """The columns of `STEP`."""
    return (
        step.step,
        step.index,
        step.attempt,
        step.kind,
        step.name,
        step.status,
        step.started,
        step.ended,
        step.model,
        dump_usage(step.usage),
        step.cost,
        dump_optional(step.error),
        dump_optional(step.input),
        dump_optional(step.output),
        step.place,
        step.input_bytes,
        step.output_bytes,
        int(step.truncated),
    )


def step_of(run: str, row: Row) -> Step:
    """The inverse of `step_values`."""
    step, index, attempt, kind, name, status, started, ended, model, usage, cost, error, *rest = row
    input_, output, place, input_bytes, output_bytes, truncated = rest
    return Step(
        run,
        step,
        kind,
        name,
        status,
        started,
        index,
        attempt,
        ended,
        model,
        load_usage(usage),
        cost,
        load_optional(input_),
        load_optional(output),
        load_optional(error),
        place,
        input_bytes,
        output_bytes,
        bool(truncated),
    )


APPROVAL = "id, tenant, owner, call, created, expires, state, request, decision, decided, decided_by"


def approval_values(approval: Approval) -> Row:
    """The columns of `APPROVAL`."""
    return (
        approval.id,
        approval.tenant,
        approval.owner,
        approval.call,
        approval.created,
        approval.expires,
        approval.state,
        dump(approval.request),
        dump_optional(approval.decision),
        approval.decided,
        approval.by,
    )


def approval_of(row: Row) -> Approval:
    """The inverse of `approval_values`, with the run's id before the other columns."""
    run, id, tenant, owner, call, created, expires, state, request, decision, decided, by = row
    return Approval(
        id,
        tenant,
        owner,
        run,
        call,
        created,
        expires,
        load(request),
        state,
        load_optional(decision),
        decided,
        by,
    )


# --------------------------------------------------------------------------- the small tables

SESSION = "tenant, id, first_run, last_run, created, updated, expires, tombstone, metadata"


def session_values(session: Session) -> Row:
    """The columns of `SESSION`."""
    return (
        session.tenant,
        session.id,
        session.first_run,
        session.last_run,
        session.created,
        session.updated,
        session.expires,
        session.tombstone,
        dump(session.metadata),
    )


def session_of(row: Row) -> Session:
    """The inverse of `session_values`."""
    tenant, id, first_run, last_run, created, updated, expires, tombstone, metadata = row
    return Session(tenant, id, created, updated, first_run, last_run, expires, tombstone, load(metadata))


VOTE = "thread, answer, user_id, up, created, id"


def vote_values(vote: Vote) -> Row:
    """The columns of `VOTE`."""
    return (vote.thread, vote.answer, vote.user, int(vote.up), vote.created, vote.id)


def vote_of(row: Row) -> Vote:
    """The inverse of `vote_values`."""
    thread, answer, user, up, created, id = row
    return Vote(thread, answer, user, bool(up), created, id)


SETTING = "tenant, owner, name, value, created, updated"


def setting_values(setting: Setting) -> Row:
    """The columns of `SETTING`."""
    return (setting.tenant, setting.owner, setting.name, dump(setting.value), setting.created, setting.updated)


def setting_of(row: Row) -> Setting:
    """The inverse of `setting_values`."""
    tenant, owner, name, value, created, updated = row
    return Setting(tenant, owner, name, load(value), created, updated)


KEY = "id, hash, tenant, user_id, scopes, name, projects, rate_limit, budget, created, expires, revoked"


def key_values(key: Key) -> Row:
    """The columns of `KEY`."""
    return (
        key.id,
        key.hash,
        key.tenant,
        key.user,
        dump(key.scopes),
        plain(key.name),
        dump_optional(key.projects),
        dump_optional(key.rate_limit),
        key.budget,
        key.created,
        key.expires,
        key.revoked,
    )


def key_of(row: Row) -> Key:
    """The inverse of `key_values`."""
    id, hash, tenant, user, scopes, name, projects, rate_limit, budget, created, expires, revoked = row
    return Key(
        id,
        hash,
        tenant,
        user,
        tuple(load(scopes)),
        created,
        name,
        None if projects is None else tuple(load(projects)),
        None if rate_limit is None else tuple(load(rate_limit)),
        budget,
        expires,
        revoked,
    )


REPEAT = "tenant, owner, key, digest, run, answer, created, expires"


def repeat_values(repeat: Repeat) -> Row:
    """The columns of `REPEAT`."""
    return (
        repeat.tenant,
        repeat.owner,
        repeat.key,
        repeat.digest,
        repeat.run,
        dump(repeat.answer),
        repeat.created,
        repeat.expires,
    )


def repeat_of(row: Row) -> Repeat:
    """The inverse of `repeat_values`."""
    tenant, owner, key, digest, run, answer, created, expires = row
    return Repeat(tenant, owner, key, digest, run, load(answer), created, expires)
