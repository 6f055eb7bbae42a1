"""Who sees what on the own face, and how rows leave it.

Threads and what hangs on them belong to their owner; public ones can be read by the tenant. Runs of
flows belong to the tenant, bound to projects where the key is. A thing that the caller may not know
of is answered exactly like one that does not exist.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from dragoman.core.errors import BadRequest, NotFound
from dragoman.core.ids import is_id
from dragoman.core.principal import Principal
from dragoman.core.records import Page, Run, Session, Thread
from dragoman.core.turns import Live
from dragoman.server.http import Call, EventStream
from dragoman.server.own import models as models
from dragoman.server.own.events import stream_events
from dragoman.server.own.query import identifier, number
from dragoman.server.services import Services

M = TypeVar("M", bound=BaseModel)
R = TypeVar("R", Run, Session)

_LOOKED_AT = 100
"""Rows at once where some are not the caller's to read."""


class Access:
    """What the handlers of this face have in common."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self._engine = services.engine
        self._store = services.store

    async def _run(self, call: Call) -> Run:
        """The run of the path, if the caller may read it."""
        who, run_id = call.principal, call.params["run"]
        run = await self._store.run(run_id, tenant=who.tenant) if is_id(run_id) else None
        if run is None or not (self._may_read(who, run) or await self._is_public(run)):
            raise NotFound("There is no such run.", code="not_found:run")
        return run

    def _may_read(self, who: Principal, run: Run) -> bool:
        """Whether a run of the caller's tenant is the caller's to read, public threads left aside."""
        if run.kind in models.FLOW_KINDS:
            return _may_use(who, run.name)
        return who.is_admin or run.owner == who.user

    async def _older_than(self, call: Call, thread: Thread | None = None) -> str | None:
        """The run of `?after=`, if the caller may read it, else NotFound: where lists hold other users' runs."""
        after, who = identifier(call, "after"), call.principal
        run = await self._store.run(after, tenant=who.tenant) if after is not None else None
        if after is not None and (run is None or (not self._may_read(who, run) and _number_of(thread) != run.thread)):
            raise NotFound("There is no such run.", code="not_found:run")
        return after

    def _may_use(self, who: Principal, flow: str) -> bool:
        """Whether the caller's key is good for the project of this flow."""
        return _may_use(who, flow)

    async def _is_public(self, run: Run) -> bool:
        thread = await self._store.thread_by_number(run.thread) if run.thread is not None else None
        return thread is not None and thread.visibility == "public"

    async def _thread(self, who: Principal, thread_id: str, *, called: str = "thread") -> Thread:
        """The thread, if the caller may read it; else NotFound for a thing that is `called` so."""
        thread = await self._any_thread(who, thread_id) if is_id(thread_id) else None
        if thread is None or not (who.is_admin or thread.owner == who.user or thread.visibility == "public"):
            raise NotFound(f"There is no such {called}.", code=f"not_found:{called}")
        return thread

    async def _any_thread(self, who: Principal, thread_id: str) -> Thread | None:
        """The caller's own thread of this id before anybody else's."""
        own = await self._store.thread(who.tenant, thread_id, owner=who.user)
        return own or await self._store.thread(who.tenant, thread_id)

    def _exposes(self, call: Call) -> bool:
        """Whether the caller may see the text of a model's exception."""
        return self.services.settings.errors.expose or call.principal.is_admin

    def _encode(self, run: Run, call: Call) -> dict[str, Any]:
        told = models.encode_run(run, expose=self._exposes(call))
        return told if call.principal.is_admin or run.owner == call.principal.user else told | {"user": None}

    def _detail(self, run: Run, call: Call) -> dict[str, Any]:
        return self._encode(run, call) | {"result": run.result}

    async def _run_page(
        self, call: Call, *, default: int = 50, after: str | None, of_thread: bool = False, **chosen: Any
    ) -> dict[str, Any]:
        """`RunList` of those chosen that the caller may read: all, if they are of a thread that the caller may read."""
        who, limit = call.principal, number(call, "limit", default=default, least=1, most=1000)

        async def rows(limit: int, after: str | None) -> Page[Run]:
            return await self._store.runs(who.tenant, limit=limit, after=after, **chosen)

        async def readable(run: Run) -> Run | None:
            return run if self._may_read(who, run) else None

        page = await (rows(limit, after) if of_thread or who.projects is None else sifted(rows, readable, limit, after))
        last = page.rows[-1].id if page.more and page.rows else None
        told = [self._encode(run, call) for run in page.rows if of_thread or self._may_read(who, run)]
        return {"runs": told, "more": page.more, "next": last}

    def _stream(self, run: Run, after: int, call: Call, live: Live | None = None) -> EventStream:
        source = stream_events(self.services, run.id, after, expose=self._exposes(call), live=live)
        return EventStream(source, run_id=run.id)


async def sifted(
    rows: Callable[[int, str | None], Awaitable[Page[R]]],
    keep: Callable[[R], Awaitable[R | None]],
    limit: int,
    after: str | None,
) -> Page[R]:
    """A page of what `keep` keeps: what a caller may not know of neither shortens it nor is named as the place to go on."""
    found: list[R] = []
    while True:
        page = await rows(_LOOKED_AT, after)
        found += [kept for row in page.rows if (kept := await keep(row)) is not None]
        if len(found) > limit or not page.more or not page.rows:
            return Page(tuple(found[:limit]), len(found) > limit)
        after = page.rows[-1].id


def _number_of(thread: Thread | None) -> int:
    return 0 if thread is None else thread.number


def _may_use(who: Principal, flow: str) -> bool:
    return who.projects is None or flow.partition("/")[0] in who.projects


async def read_body(call: Call, model: type[M]) -> M:
    """The body as a model. Raises BadRequest that names the first field that does not fit."""
    value: Any = await call.json()
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "body"
        raise BadRequest(f"{place}: {first['msg']}", code="bad_request:input") from error
