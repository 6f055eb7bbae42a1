"""Recorded sessions in core words, whatever dialect recorded them.

A session is the runs that a client has grouped by an id of its own; a thread reads as one, too: its
runs are the executions, its agents the flows of a project `agents`. Faces spell what is read here, and
exports are made of it; this module knows no wire and changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from dragoman.core.cassette import VERSION as CASSETTE_VERSION
from dragoman.core.cassette import transcript, without_instructions
from dragoman.core.errors import BadRequest, Conflict, Forbidden, Gone, NotFound, PayloadTooLarge
from dragoman.core.events import Event
from dragoman.core.ids import is_id
from dragoman.core.ports import Store
from dragoman.core.records import Run, Thread
from dragoman.core.redact import redact
from dragoman.server.recorded import AGENTS, Pause, PendingCall, Recorded, question, read_events, read_run
from dragoman.server.services import Services

_PAGE = 70
"""Rows at once: each may hold as much as a body."""

MOST_BYTES = 64 * 1024 * 1024
"""How much of what was recorded one answer about a session may hold: it is made as a whole, in memory."""


@dataclass(frozen=True, slots=True)
class RecordedSession:
    """A session. `thread` is set where a thread is read as one; then it does not expire by itself."""

    id: str
    recorded: tuple[Recorded, ...]
    created: float
    updated: float
    expires: float | None = None
    thread: Thread | None = None


async def read_session(
    services: Services,
    tenant: str,
    id: str,
    *,
    owner: str | None = None,
    admin: bool = False,
    tells_of_others: bool = True,
) -> RecordedSession:
    """The tenant's session of this id, or the thread of it that is `owner`'s (anybody's for an `admin`).

    Without owner there are no threads. Raises BadRequest (`bad_request:session`: no id at all), NotFound
    (`not_found:session`), Gone (`gone:session`: it has expired) and, where `tells_of_others`, Forbidden
    (`forbidden:session`: only another tenant has it), else NotFound for that, too. PayloadTooLarge (`too_large:session`)
    for one that holds more than `MOST_BYTES`.
    """
    store = services.store
    if not is_id(id) or id in (".", ".."):
        raise BadRequest("a session id has 1 to 128 letters, digits or . _ ~ : -", code="bad_request:session")
    session = await store.session(tenant, id)
    if session is not None and session.tombstone is None:
        if session.expires is not None and session.expires <= services.clock():
            raise Gone(f"session {id!r} has expired", code="gone:session")
        size = _Size(id)
        runs = await _session_runs(store, tenant, id, size)
        recorded = [size.checked(await read_run(services, run)) for run in _in_order(runs)]
        return RecordedSession(id, tuple(recorded), session.created, session.updated, session.expires)
    thread = await _thread(store, tenant, id, owner, admin)
    if thread is not None:
        size = _Size(id)
        runs = await _thread_runs(store, thread, size)
        recorded = [size.checked(await read_run(services, run)) for run in runs]
        return RecordedSession(id, tuple(recorded), thread.created, thread.updated, thread.expires, thread)
    if session is not None and session.tombstone is not None and session.tombstone > services.clock():
        raise Gone(f"session {id!r} has expired", code="gone:session")
    if tells_of_others and session is None and await store.has_session_elsewhere(tenant, id):
        raise Forbidden(f"session {id!r} is not yours", code="forbidden:session")
    raise NotFound(f"no session has the id {id!r}", code="not_found:session")


# ---------------------------------------------------------------------------------------------- rows


async def _thread(store: Store, tenant: str, id: str, owner: str | None, admin: bool) -> Thread | None:
    if admin:
        return await store.thread(tenant, id)
    return await store.thread(tenant, id, owner=owner) if owner is not None else None


class _Size:
    """Adds up what a session holds. Raises PayloadTooLarge once it is too much."""

    def __init__(self, id: str) -> None:
        self._id = id
        self._bytes = 0

    def add(self, *values: Any) -> None:
        self._bytes += sum(map(_weight, values))
        if self._bytes > MOST_BYTES:
            text = f"session {self._id!r} holds more than {MOST_BYTES} bytes; read its runs one by one"
            raise PayloadTooLarge(text, code="too_large:session")

    def rows(self, runs: Sequence[Run]) -> None:
        for run in runs:
            self.add(run.input, run.options, run.result)

    def checked(self, recorded: Recorded) -> Recorded:
        self.add(*((step.input, step.output, step.error) for step in recorded.steps))
        self.events(recorded.events)
        return recorded

    def events(self, events: Sequence[Event]) -> None:
        for event in events:
            self.add(*(getattr(event.body, field.name) for field in fields(event.body)))


def _weight(value: Any) -> int:
    """About how many bytes a JSON-like value is as text."""
    found, todo = 0, [value]
    while todo:
        one = todo.pop()
        match one:
            case str():
                found += len(one) + 3
            case dict():
                found += sum(len(str(name)) + 4 for name in one)
                todo += one.values()
            case list() | tuple():
                found += 2
                todo += one
            case _:
                found += 8
    return found


async def _session_runs(store: Store, tenant: str, id: str, size: _Size) -> list[Run]:
    found: list[Run] = []
    while True:
        page = await store.session_runs(tenant, id, after=found[-1].number if found else 0, limit=_PAGE)
        size.rows(page.rows)
        found += page.rows
        if not page.more:
            return found


async def _thread_runs(store: Store, thread: Thread, size: _Size) -> list[Run]:
    found: list[Run] = []
    while True:
        after = found[-1].id if found else None
        page = await store.runs(thread.tenant, thread=thread.number, limit=_PAGE, after=after)
        size.rows(page.rows)
        found += page.rows
        if not page.more:
            return found[::-1]


def _in_order(runs: Sequence[Run]) -> list[Run]:
    """By arrival, but calls of one kind that were numbered by their caller in the order of those numbers."""
    places: dict[tuple[str, str], list[int]] = {}
    for place, run in enumerate(runs):
        if isinstance(run.options.get("call_index"), int):
            places.setdefault((run.name, run.kind), []).append(place)
    ordered = list(runs)
    for of_kind in places.values():
        by_index = sorted(of_kind, key=lambda place: (runs[place].options["call_index"], place))
        for place, source in zip(of_kind, by_index, strict=True):
            ordered[place] = runs[source]
    return ordered


# ---------------------------------------------------------------------------------------------- export


async def export_session(
    services: Services,
    tenant: str,
    id: str,
    *,
    owner: str | None = None,
    admin: bool = False,
    instructions: bool = True,
) -> dict[str, Any]:
    """The session as a cassette's document (see `dragoman.testing.cassette`), without secrets.

    Without `instructions`, those of models are told by a digest only, which is enough to see that they have changed. Raises what `read_session` raises, and Conflict (`conflict:snapshots`) for a session with a run that was not recorded.
    """
    session = await read_session(services, tenant, id, owner=owner, admin=admin, tells_of_others=False)
    bare = next((each for each in session.recorded if not each.has_snapshots), None)
    if bare is not None:
        raise Conflict(
            f"session {id!r} cannot be replayed: run {bare.run.id!r} of {bare.run.name!r} was traced in mode"
            f" {bare.capture!r}, which keeps no outputs",
            code="conflict:snapshots",
        )
    executions, size = [], _Size(id)
    for n, each in enumerate(session.recorded, start=1):
        events = each.events or await read_events(services.store, each.run.id)
        size.events(events)
        asked = await question(services.store, each.run)
        body = asked.body if asked is not None else None
        # taking secrets out of megabytes takes a while, and nobody else is to wait for it
        executions.append(await asyncio.to_thread(transcript, each.run, events, label=f"run-{n}", question=body))
    return {
        "dragoman_cassette": CASSETTE_VERSION,
        "app": services.app.name,
        "session": id,
        "kind": "thread" if session.thread is not None else "session",
        "definitions": await _definitions(services, session.recorded, instructions=instructions),
        "executions": executions,
    }


async def _definitions(services: Services, recorded: Sequence[Recorded], *, instructions: bool) -> dict[str, Any]:
    """What the runs' code said, by version: of the flows and agents that they used."""
    found: dict[str, Any] = {}
    for version in sorted({each.run.version for each in recorded}):
        kept = await services.store.setting("", "", f"app:{version}")
        if kept is None:
            continue
        names = {each.run.name for each in recorded if each.run.version == version}
        has_flow = any("/" in name for name in names)  # whose steps may call agents
        found[version] = {
            "agents": {name: one for name, one in kept.value["agents"].items() if has_flow or name in names},
            "flows": {name: one for name, one in kept.value["flows"].items() if name in names},
        }
    redacted: dict[str, Any] = redact(found)
    return redacted if instructions else without_instructions(redacted)


__all__ = [
    "AGENTS",
    "Pause",
    "PendingCall",
    "Recorded",
    "RecordedSession",
    "export_session",
    "read_events",
    "read_run",
    "read_session",
]
