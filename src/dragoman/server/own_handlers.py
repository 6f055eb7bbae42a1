"""What the own face does for each of its routes.

A thing of another tenant or user is answered exactly like one that does not exist; one that may
be read but not changed (a public thread, or any of the tenant for scope `admin`) answers changes
with 403. Which path leads here is said in `own`.
"""

from __future__ import annotations

import uuid
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from dragoman.core.errors import BadRequest, Forbidden, NotFound
from dragoman.core.ids import is_id
from dragoman.core.ports import NewThread, Quota, Turn
from dragoman.core.principal import Principal
from dragoman.core.records import Run, Thread
from dragoman.server import own_models as models
from dragoman.server.http import Answer, Call, EventStream, Reply
from dragoman.server.own_events import list_events, stream_events
from dragoman.server.own_query import choices, identifier, number, prefers, seen_seq
from dragoman.server.services import Services

M = TypeVar("M", bound=BaseModel)

DAY = 86400.0
_BEGUN_BY_MESSAGE = uuid.UUID("7b1f6c0e-52a4-4d0b-9a3e-3f1f0c8d6e21")
MESSAGES = "messages"
"""The counter of user messages per UTC day; the Kai face counts on the same one."""


class OwnFace:
    """The handlers; one for each operation."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._engine = services.engine
        self._store = services.store
        self.openapi = Answer()

    # ------------------------------------------------------------------ runs

    async def list_runs(self, call: Call) -> Answer:
        who = call.principal
        named = call.query.get("thread")
        thread = await self._thread(who, named) if named is not None else None
        page = await self._store.runs(
            who.tenant,
            owner=None if who.is_admin or thread is not None else who.user,
            thread=thread.number if thread is not None else None,
            status=choices(call, "status", ("queued", "running", "paused", "completed", "failed", "cancelled")),
            name=call.query.get("agent"),
            limit=number(call, "limit", default=50, least=1, most=1000),
            after=identifier(call, "after"),
        )
        last = page.rows[-1].id if page.more and page.rows else None
        return Answer.json({"runs": [self._encode(run, call) for run in page.rows], "more": page.more, "next": last})

    async def get_run(self, call: Call) -> Answer:
        run = await self._run(call)
        return Answer.json(self._encode(run, call), run_id=run.id)

    async def start_run(self, call: Call) -> Reply:
        who, asked = call.principal, await _body(call, models.StartRun)
        text_limit = self._services.settings.limits.text
        content = asked.message.content()
        if any(len(part.get("text", "")) > text_limit for part in content):
            raise BadRequest(f"A text part has at most {text_limit} characters.", code="bad_request:input")
        agents = self._engine.agents()
        agent = asked.agent or (agents[0].name if agents else "")
        thread_id = asked.thread
        if thread_id is not None and (await self._thread(who, thread_id)).owner != who.user:
            raise Forbidden("Only its owner may write to this thread.", code="forbidden:thread")
        if thread_id is None and asked.message.id is not None:
            thread_id = _thread_for(who, asked.message.id)
        started = await self._engine.start(
            Turn(
                who.tenant,
                who.user,
                agent,
                thread_id=thread_id,
                message_id=asked.message.id,
                parts=content,
                new_thread=NewThread(title=asked.title or _title(content), visibility=asked.visibility),
                reasoning=asked.reasoning,
                client_tools=asked.client_tools,
                approval_ttl=self._services.settings.kai.approval.ttl,
                busy=asked.busy,
                quota=self._quota(who),
                max_seconds=self._services.settings.run.max_seconds,
                metadata=asked.metadata,
            )
        )
        run = started.run
        if prefers(call) == "stream":
            return self._stream(run, started.after, call)
        body = {**self._encode(run, call), "outcome": started.outcome, "after": started.after}
        return Answer.json(body, 201 if started.outcome == "started" else 200, run_id=run.id)

    async def cancel_run(self, call: Call) -> Answer:
        run = await self._run(call)
        if run.owner != call.principal.user and not call.principal.is_admin:
            raise Forbidden("Only its owner may cancel this run.", code="forbidden:run")
        cancelled = await self._engine.cancel(run.id)
        after = await self._store.run(run.id) or run
        return Answer.json({**self._encode(after, call), "cancelled": cancelled}, run_id=run.id)

    async def decide(self, call: Call) -> Answer:
        run, asked = await self._run(call), await _body(call, models.Decisions)
        if run.owner != call.principal.user:
            raise Forbidden("Only its owner may decide for this run.", code="forbidden:run")
        if run.thread_id is None:
            raise NotFound("This run waits for nothing.", code="not_found:call")
        decided = await self._engine.decide(
            run.tenant,
            run.owner,
            run.thread_id,
            [decision.decision() for decision in asked.decisions],
            by=call.principal.user,
        )
        body = {"outcome": decided.outcome, "calls": list(decided.calls), "after": decided.after}
        return Answer.json({**self._encode(decided.run, call), **body}, run_id=decided.run.id)

    async def events(self, call: Call) -> Reply:
        run, after = await self._run(call), seen_seq(call)
        if prefers(call) == "json":
            limit = number(call, "limit", default=1000, least=1, most=10_000)
            return await list_events(self._services, run, after, limit, expose=self._exposes(call))
        # The standard's way to tell an EventSource that there is no point in coming back.
        if "last-event-id" in call.headers and not run.is_active and after >= run.last_seq:
            return Answer(204, run_id=run.id)
        return self._stream(run, after, call)

    # ------------------------------------------------------------------ threads

    async def list_threads(self, call: Call) -> Answer:
        who = call.principal
        page = await self._store.threads(
            who.tenant,
            None if who.is_admin else who.user,
            limit=number(call, "limit", default=50, least=1, most=1000),
            after=identifier(call, "after"),
        )
        last = page.rows[-1].id if page.more and page.rows else None
        rows = [models.encode_thread(thread, who) for thread in page.rows]
        return Answer.json({"threads": rows, "more": page.more, "next": last})

    async def get_thread(self, call: Call) -> Answer:
        thread = await self._thread(call.principal, call.params["thread"])
        active = await self._engine.active_run(thread)
        return Answer.json(
            {**models.encode_thread(thread, call.principal), "active_run": active.id if active else None}
        )

    async def list_items(self, call: Call) -> Answer:
        thread = await self._thread(call.principal, call.params["thread"])
        newest = "newest" in (choices(call, "order", ("oldest", "newest")) or ())
        cursor = number(call, "after", default=0, least=0, most=2**53)
        page = await self._store.items(
            thread.number,
            after=0 if newest else cursor,
            before=(cursor or None) if newest else None,
            limit=number(call, "limit", default=100, least=1, most=1000),
            newest=newest,
        )
        last = page.rows[-1].pos if page.more and page.rows else None
        rows = [models.encode_item(item) for item in page.rows if item.kind != "hidden"]
        return Answer.json({"items": rows, "more": page.more, "next": last})

    async def delete_thread(self, call: Call) -> Answer:
        thread = await self._thread(call.principal, call.params["thread"])
        if thread.owner != call.principal.user:
            raise Forbidden("Only its owner may delete this thread.", code="forbidden:thread")
        gone = await self._engine.delete_thread(thread.tenant, thread.owner, thread.id)
        return Answer.json(models.encode_thread(gone, call.principal))

    # ------------------------------------------------------------------ the rest

    async def list_agents(self, call: Call) -> Answer:
        return Answer.json({"agents": [models.encode_agent(agent) for agent in self._engine.agents()]})

    async def me(self, call: Call) -> Answer:
        return Answer.json(models.encode_me(call.principal))

    async def describe(self, call: Call) -> Answer:
        return self.openapi

    # ------------------------------------------------------------------ who sees what

    async def _run(self, call: Call) -> Run:
        """The run of the path, if the caller may read it."""
        who, run_id = call.principal, call.params["run"]
        run = await self._store.run(run_id, tenant=who.tenant) if is_id(run_id) else None
        if run is None or not (who.is_admin or run.owner == who.user or await self._is_public(run)):
            raise NotFound("There is no such run.", code="not_found:run")
        return run

    async def _is_public(self, run: Run) -> bool:
        thread = await self._store.thread_by_number(run.thread) if run.thread is not None else None
        return thread is not None and thread.visibility == "public"

    async def _thread(self, who: Principal, thread_id: str) -> Thread:
        """The thread, if the caller may read it."""
        thread = await self._store.thread(who.tenant, thread_id) if is_id(thread_id) else None
        if thread is None or not (who.is_admin or thread.owner == who.user or thread.visibility == "public"):
            raise NotFound("There is no such thread.", code="not_found:thread")
        return thread

    def _exposes(self, call: Call) -> bool:
        """Whether the caller may see the text of a model's exception."""
        return self._services.settings.errors.expose or call.principal.is_admin

    def _encode(self, run: Run, call: Call) -> dict[str, Any]:
        return models.encode_run(run, expose=self._exposes(call))

    def _stream(self, run: Run, after: int, call: Call) -> EventStream:
        source = stream_events(self._services, run.id, after, expose=self._exposes(call))
        return EventStream(source, run_id=run.id)

    def _quota(self, who: Principal) -> Quota:
        limit = who.message_limit
        if limit is None:
            limit = self._services.settings.kai.limits.messages_per_day
        now = self._services.clock()
        return Quota(MESSAGES, limit, now - now % DAY + DAY)


async def _body(call: Call, model: type[M]) -> M:
    """The body as a model. Raises BadRequest that names the first field that does not fit."""
    value: Any = await call.json()
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "body"
        raise BadRequest(f"{place}: {first['msg']}", code="bad_request:input") from error


def _thread_for(who: Principal, message_id: str) -> str:
    """The id of the thread that this message begins: the same when it is sent again."""
    return str(uuid.uuid5(_BEGUN_BY_MESSAGE, "\0".join((who.tenant, who.user, message_id))))


def _title(content: tuple[dict[str, Any], ...]) -> str:
    text = next((part["text"] for part in content if part["type"] == "text"), "")
    line = " ".join(text.split())
    return (line[:77] + "…" if len(line) > 78 else line) or "New thread"
