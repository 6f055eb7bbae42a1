"""Recorded sessions in core words, whatever dialect recorded them.

A session is the runs that a client has grouped by an id of its own; a thread reads as one, too: its
runs are the executions, its agents the flows of a project `agents`. Faces spell what is read here, and
exports are made of it; this module knows no wire and changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dragoman.core.cassette import VERSION as CASSETTE_VERSION
from dragoman.core.cassette import transcript
from dragoman.core.errors import BadRequest, Conflict, Forbidden, Gone, NotFound
from dragoman.core.ids import is_id
from dragoman.core.ports import Store
from dragoman.core.records import Run, Thread
from dragoman.core.redact import redact
from dragoman.server.recorded import AGENTS, Pause, PendingCall, Recorded, question, read_events, read_run
from dragoman.server.services import Services

_PAGE = 1000


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
    (`forbidden:session`: only another tenant has it), else NotFound for that, too.
    """
    store = services.store
    if not is_id(id) or id in (".", ".."):
        raise BadRequest("a session id has 1 to 128 letters, digits or . _ ~ : -", code="bad_request:session")
    session = await store.session(tenant, id)
    if session is not None and session.tombstone is None:
        if session.expires is not None and session.expires <= services.clock():
            raise Gone(f"session {id!r} has expired", code="gone:session")
        runs = await _session_runs(store, tenant, id)
        recorded = [await read_run(services, run) for run in _in_order(runs)]
        return RecordedSession(id, tuple(recorded), session.created, session.updated, session.expires)
    thread = await _thread(store, tenant, id, owner, admin)
    if thread is not None:
        runs = await _thread_runs(store, thread)
        recorded = [await read_run(services, run) for run in runs]
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


async def _session_runs(store: Store, tenant: str, id: str) -> list[Run]:
    found: list[Run] = []
    while True:
        page = await store.session_runs(tenant, id, after=found[-1].number if found else 0, limit=_PAGE)
        found += page.rows
        if not page.more:
            return found


async def _thread_runs(store: Store, thread: Thread) -> list[Run]:
    found: list[Run] = []
    while True:
        after = found[-1].id if found else None
        page = await store.runs(thread.tenant, thread=thread.number, limit=_PAGE, after=after)
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
    services: Services, tenant: str, id: str, *, owner: str | None = None, admin: bool = False
) -> dict[str, Any]:
    """The session as a cassette's document (see `dragoman.testing.cassette`), without secrets.

    Raises what `read_session` raises, and Conflict (`conflict:snapshots`) for a session with a run that was not recorded.
    """
    session = await read_session(services, tenant, id, owner=owner, admin=admin, tells_of_others=False)
    bare = next((each for each in session.recorded if not each.has_snapshots), None)
    if bare is not None:
        raise Conflict(
            f"session {id!r} cannot be replayed: run {bare.run.id!r} of {bare.run.name!r} was traced in mode"
            f" {bare.capture!r}, which keeps no outputs",
            code="conflict:snapshots",
        )
    executions = []
    for n, each in enumerate(session.recorded, start=1):
        events = each.events or await read_events(services.store, each.run.id)
        asked = await question(services.store, each.run)
        body = asked.body if asked is not None else None
        executions.append(transcript(each.run, events, label=f"run-{n}", question=body))
    return {
        "dragoman_cassette": CASSETTE_VERSION,
        "app": services.app.name,
        "session": id,
        "kind": "thread" if session.thread is not None else "session",
        "definitions": await _definitions(services, session.recorded),
        "executions": executions,
    }


async def _definitions(services: Services, recorded: Sequence[Recorded]) -> dict[str, Any]:
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
    return redacted


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
