"""What the own face does for each of its routes.

What the caller may not know of is answered exactly like what does not exist (`access`); one that may
be read but not changed (a public thread, or any of the tenant for scope `admin`) answers changes
with 403. Which path leads here is said in `own`.
"""

from __future__ import annotations

import uuid
from typing import Any

from dragoman.core import writes
from dragoman.core.errors import BadRequest, Forbidden, NotFound, StaleWrite
from dragoman.core.principal import Principal
from dragoman.core.records import Thread
from dragoman.core.turns import NewThread, Quota, Turn
from dragoman.server.addressing import address_of
from dragoman.server.http import Answer, Call, Reply
from dragoman.server.own import models as models
from dragoman.server.own.access import Access, read_body
from dragoman.server.own.console_models import ChangeThread
from dragoman.server.own.events import list_events
from dragoman.server.own.query import (
    KINDS,
    STATUSES,
    choices,
    flag,
    idempotency_key,
    identifier,
    moment,
    number,
    one_of,
    prefers,
    seen_seq,
    words,
)
from dragoman.server.preferences import preferred
from dragoman.server.services import Services

DAY = 86400.0
_BEGUN_BY_MESSAGE = uuid.UUID("7b1f6c0e-52a4-4d0b-9a3e-3f1f0c8d6e21")
_GIVEN_A_KEY = uuid.UUID("0d7a1a52-9f0e-4d43-8a3e-6a1c5c0f4b77")
MESSAGES = "messages"
"""The counter of user messages per UTC day; the Kai face counts on the same one."""

MOST_THREADS = 10_000
"""Titles that one search looks at."""

_THREADS_AT_ONCE = 500


class OwnFace(Access):
    """The handlers; one for each operation."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self.openapi = Answer()

    # ------------------------------------------------------------------ runs

    async def list_runs(self, call: Call) -> Answer:
        who = call.principal
        named, kind, session = call.query.get("thread"), one_of(call, "kind", KINDS), identifier(call, "session")
        agent, flow = call.query.get("agent"), call.query.get("flow")
        if agent is not None and flow is not None:
            raise BadRequest("expected either 'agent' or 'flow', got both", code="bad_request:input")
        user = identifier(call, "user")
        if user not in (None, who.user) and not who.is_admin:
            raise Forbidden("Looking at another user's runs needs the scope 'admin'.", code="forbidden:user")
        thread = await self._thread(who, named) if named is not None else None
        is_flows = kind in models.FLOW_KINDS if kind else session is not None or (flow is not None and "/" in flow)
        page = await self._run_page(
            call,
            after=await self._older_than(call) if is_flows else identifier(call, "after"),
            of_thread=thread is not None,
            owner=user or (None if who.is_admin or is_flows or thread is not None else who.user),
            thread=thread.number if thread is not None else None,
            status=_states(call),
            name=agent if flow is None else flow,
            kind=kind,
            session=session,
            face=identifier(call, "face"),
            since=moment(call, "from"),
            until=moment(call, "to"),
            text=words(call, "q"),
        )
        return Answer.json(page)

    async def get_run(self, call: Call) -> Answer:
        run = await self._run(call)
        return Answer.json(self._detail(run, call), run_id=run.id)

    async def start_run(self, call: Call) -> Reply:
        who, asked = call.principal, await read_body(call, models.StartRun)
        text_limit = self.services.settings.limits.text
        content = asked.message.content()
        if any(len(part.get("text", "")) > text_limit for part in content):
            raise BadRequest(f"A text part has at most {text_limit} characters.", code="bad_request:input")
        agents = self._engine.agents()
        agent = asked.agent or (agents[0].name if agents else "")
        thread_id, message_id = asked.thread, asked.message.id
        if message_id is None and (key := idempotency_key(call)) is not None:
            message_id = message_for(who, key)
        if thread_id is not None and (await self._thread(who, thread_id)).owner != who.user:
            raise Forbidden("Only its owner may write to this thread.", code="forbidden:thread")
        if thread_id is None and message_id is not None:
            thread_id = thread_for(who, message_id)
        turn = Turn(
            who.tenant,
            who.user,
            agent,
            thread_id=thread_id,
            message_id=message_id,
            parts=content,
            new_thread=NewThread(title=asked.title or _title(content), visibility=asked.visibility),
            reasoning=asked.reasoning,
            client_tools=asked.client_tools,
            forms=asked.forms,
            approval_ttl=self.services.settings.kai.approval.ttl,
            busy=asked.busy,
            quota=quota_of(self.services, who),
            max_seconds=self.services.settings.run.max_seconds,
            metadata=asked.metadata,
        )
        started = await self._engine.start(await preferred(self.services.store, turn))
        run = started.run
        if prefers(call) == "stream":
            return self._stream(run, started.after, call)
        body = {**self._detail(run, call), "outcome": started.outcome, "after": started.after}
        return Answer.json(body, 201 if started.outcome == "started" else 200, run_id=run.id)

    async def cancel_run(self, call: Call) -> Answer:
        run = await self._run(call)
        who = call.principal
        if run.kind not in models.FLOW_KINDS and run.owner != who.user and not who.is_admin:
            raise Forbidden("Only its owner may cancel this run.", code="forbidden:run")
        cancelled = await self._engine.cancel(run.id)
        after = await self._store.run(run.id) or run
        return Answer.json({**self._encode(after, call), "cancelled": cancelled}, run_id=run.id)

    async def decide(self, call: Call) -> Answer:
        run, asked = await self._run(call), await read_body(call, models.Decisions)
        if run.thread_id is None:
            raise NotFound("This run waits for nothing that is answered here.", code="not_found:call")
        if run.owner != call.principal.user:
            raise Forbidden("Only its owner may decide for this run.", code="forbidden:run")
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
            return await list_events(self.services, run, after, limit, expose=self._exposes(call))
        # The standard's way to tell an EventSource that there is no point in coming back.
        if "last-event-id" in call.headers and not run.is_active and after >= run.last_seq:
            return Answer(204, run_id=run.id)
        return self._stream(run, after, call)

    # ------------------------------------------------------------------ threads

    async def list_threads(self, call: Call) -> Answer:
        who, after, sought = call.principal, identifier(call, "after"), words(call, "q")
        limit = number(call, "limit", default=50, least=1, most=1000)
        owner = None if who.is_admin and not flag(call, "mine") else who.user
        if sought is not None:
            found, last = await self._threads_called(who.tenant, owner, sought.casefold(), limit, after)
        else:
            page = await self._store.threads(who.tenant, owner, limit=limit, after=after)
            found, last = list(page.rows), page.rows[-1].id if page.more and page.rows else None
        rows = [models.encode_thread(thread, who) for thread in found]
        return Answer.json({"threads": rows, "more": last is not None, "next": last})

    async def _threads_called(
        self, tenant: str, owner: str | None, sought: str, limit: int, after: str | None
    ) -> tuple[list[Thread], str | None]:
        """Threads with this in their titles, and where to go on: behind the last one looked at, since one call looks
        at so many and no more."""
        found: list[Thread] = []
        looked = 0
        while True:
            page = await self._store.threads(tenant, owner, limit=_THREADS_AT_ONCE, after=after)
            for place, thread in enumerate(page.rows, 1):
                if sought in thread.title.casefold():
                    found.append(thread)
                if len(found) == limit:
                    return found, thread.id if page.more or place < len(page.rows) else None
            looked += len(page.rows)
            if not page.more or not page.rows:
                return found, None
            after = page.rows[-1].id
            if looked >= MOST_THREADS:
                return found, after

    async def change_thread(self, call: Call) -> Answer:
        thread, asked = await self._thread(call.principal, call.params["thread"]), await read_body(call, ChangeThread)
        if thread.owner != call.principal.user:
            raise Forbidden("Only its owner may change this thread.", code="forbidden:thread")
        try:
            await self._store.commit(writes.ChangeThread(thread.number, {"title": asked.title}))
        except StaleWrite:  # deleted in the same moment
            raise NotFound("There is no such thread.", code="not_found:thread") from None
        return await self.get_thread(call)

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
        address = address_of(self.services, call, thread.owner)
        rows = [models.encode_item(item, address) for item in page.rows if item.kind != "hidden"]
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


def _states(call: Call) -> Any:
    """The states that `status` and `failed` leave; None for all."""
    chosen, failed = choices(call, "status", STATUSES), flag(call, "failed")
    return chosen if failed is None else [one for one in chosen or STATUSES if (one == "failed") == failed]


def quota_of(services: Services, who: Principal) -> Quota:
    """The counter of the user's messages; see `MESSAGES`."""
    limit = who.message_limit
    if limit is None:
        limit = services.settings.kai.limits.messages_per_day
    now = services.clock()
    return Quota(MESSAGES, limit, now - now % DAY + DAY)


def thread_for(who: Principal, message_id: str) -> str:
    """The id of the thread that this message begins: the same when it is sent again."""
    return str(uuid.uuid5(_BEGUN_BY_MESSAGE, "\0".join((who.tenant, who.user, message_id))))


def message_for(who: Principal, key: str) -> str:
    """The id of the message that an idempotency key stands for."""
    return str(uuid.uuid5(_GIVEN_A_KEY, "\0".join((who.tenant, who.user, key))))


def _title(content: tuple[dict[str, Any], ...]) -> str:
    text = next((part["text"] for part in content if part["type"] == "text"), "")
    line = " ".join(text.split())
    return (line[:77] + "…" if len(line) > 78 else line) or "New thread"
