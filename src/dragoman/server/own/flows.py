"""What the own face does for flows, jobs, sessions and traces.

Flow runs, jobs and sessions belong to the tenant: whoever of it may use the server reads, continues and
cancels them; a key that is bound to projects only those of its projects' flows. Which path leads here is said in `own`.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from typing import Any, Literal

from dragoman.core.errors import BadRequest, Gone, NotFound, RemoteError
from dragoman.core.failures import told_event
from dragoman.core.flows import FlowCall, FlowInfo
from dragoman.core.ids import is_id
from dragoman.core.principal import Principal
from dragoman.core.records import Page, Repeat, Session, Thread
from dragoman.server.credits import BUDGET_OF, StoredLedger
from dragoman.server.http import Answer, Call, Reply
from dragoman.server.own import flow_models as models
from dragoman.server.own.access import Access, read_body, sifted
from dragoman.server.own.models import FLOW_KINDS
from dragoman.server.own.query import STATUSES, choices, idempotency_key, identifier, number, prefers
from dragoman.server.own.trace import Timeline, encode_trace
from dragoman.server.sessions import export_session

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_EVENTS_AT_ONCE = 1000
_RUNS_AT_ONCE = 100
_REPEAT_SECONDS = 86400.0


class OwnFlows(Access):
    """The handlers; one for each operation."""

    # ------------------------------------------------------------------ flows

    async def list_flows(self, call: Call) -> Answer:
        flows = [flow for flow in self._engine.flows() if self._may_use(call.principal, flow.name)]
        return Answer.json({"flows": [models.encode_flow(flow) for flow in flows]})

    async def get_flow(self, call: Call) -> Answer:
        return Answer.json(models.encode_flow_detail(self._flow(call), instructions=call.principal.is_admin))

    async def start_run(self, call: Call) -> Reply:
        flow, asked = self._flow(call), await read_body(call, models.StartFlow)
        return await self._start(call, await self._call(call, flow, asked, "step" if asked.stepwise else "execute"))

    async def submit_job(self, call: Call) -> Reply:
        flow, asked = self._flow(call), await read_body(call, models.SubmitJob)
        return await self._start(call, await self._call(call, flow, asked, "job", priority=asked.priority))

    async def continue_run(self, call: Call) -> Reply:
        run, asked = await self._run(call), await read_body(call, models.ContinueRun)
        if run.kind not in FLOW_KINDS:
            raise BadRequest("This run is an agent's; its calls are answered at …/approvals.", code="bad_request:run")
        await self._check_credits(call.principal)
        continued = await self._engine.continue_flow(run.tenant, run.id, asked.given())
        if prefers(call) == "stream":
            return self._stream(continued.run, continued.after, call, continued.live)
        body = {**self._detail(continued.run, call), "outcome": continued.outcome, "after": continued.after}
        return Answer.json(body, run_id=run.id)

    async def _start(self, call: Call, asked: FlowCall) -> Reply:
        started = await self._engine.start_flow(asked)
        run = started.run
        if prefers(call) == "stream" and asked.kind != "job":
            return self._stream(run, started.after, call, started.live)
        body = {**self._detail(run, call), "outcome": started.outcome, "after": started.after}
        return Answer.json(body, 201 if started.outcome == "started" else 200, run_id=run.id)

    async def _call(
        self,
        call: Call,
        flow: FlowInfo,
        asked: models.StartFlow,
        kind: Literal["execute", "step", "job"],
        *,
        priority: int = 0,
    ) -> FlowCall:
        """The call as the engine takes it."""
        who, traceparent = call.principal, call.headers.get("traceparent", "")
        repeat = await self._repeat(call)
        await self._check_credits(who, repeat)
        return FlowCall(
            who.tenant,
            flow.name,
            owner=who.user,
            kind=kind,
            version=_version(flow, asked.version),
            message=asked.message,
            messages=tuple(message.model_dump() for message in asked.messages),
            parameters=asked.parameters,
            attachments=tuple({"url": one.url, "mime_type": one.media_type} for one in asked.attachments),
            overrides=asked.overrides,
            input_overrides=asked.input_overrides,
            tools=tuple(tool.spec() for tool in asked.tools),
            tool_choice=asked.tool_choice,
            client_tools=asked.client_tools,
            remaining=not asked.stepwise,
            trace=asked.trace,
            capture=asked.capture,
            session=asked.session,
            priority=priority,
            repeat=repeat,
            max_seconds=asked.max_seconds,
            metadata=with_budget(who, asked.metadata),
            traceparent=traceparent if _TRACEPARENT.fullmatch(traceparent) else None,
        )

    async def _repeat(self, call: Call) -> Repeat | None:
        """The record that makes the same call twice one run, if there is an `Idempotency-Key`."""
        key = idempotency_key(call)
        if key is None:
            return None
        asked = await call.json() if await call.body() else None
        told = json.dumps([call.path, asked], sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(told.encode()).hexdigest()
        now, who = self.services.clock(), call.principal
        return Repeat(who.tenant, who.user, f"own:{key}", digest, None, None, now, now + _REPEAT_SECONDS)

    async def _check_credits(self, who: Principal, repeat: Repeat | None = None) -> None:
        """Refuse whoever has nothing left to spend; what was paid for once may be asked for again."""
        now = self.services.clock()
        if (
            repeat is not None
            and await self._store.repeat(repeat.tenant, repeat.owner, repeat.key, now=now) is not None
        ):
            return
        balances = self.services.settings.credits.balances
        left = await StoredLedger(self._store, balances, self.services.clock).left(who)
        if left is not None and left <= 0:
            raise RemoteError("There are no credits left for this.", code="insufficient_credits", status=402)

    def _flow(self, call: Call) -> FlowInfo:
        """The flow of the path, if there is one that the caller may use."""
        name = f"{call.params['project']}/{call.params['slug']}"
        flow = self._engine.flow(name)
        if flow is None or not self._may_use(call.principal, name):
            raise NotFound(
                f"There is no flow {name[:200]!r}; GET /flows lists those that there are.", code="not_found:flow"
            )
        return flow

    # ------------------------------------------------------------------ jobs

    async def list_jobs(self, call: Call) -> Answer:
        page = await self._run_page(
            call,
            after=await self._older_than(call),
            kind="job",
            status=choices(call, "status", STATUSES),
            name=call.query.get("flow"),
        )
        return Answer.json(page)

    # ------------------------------------------------------------------ traces

    async def trace(self, call: Call) -> Answer:
        run, expose = await self._run(call), self._exposes(call)
        timeline, only = Timeline(run), call.query.get("step")
        while timeline.last_seq < run.last_seq:
            events = await self._store.events(run.id, after=timeline.last_seq, limit=_EVENTS_AT_ONCE)
            if not events:
                break  # the run was deleted meanwhile
            for event in events:
                timeline.see(told_event(event, expose=expose))
        rows = await self._store.steps(run.id)
        if only is not None and only not in timeline.spans:
            raise NotFound("There is no such step in this run.", code="not_found:step")
        told = encode_trace(timeline, rows, self._encode(run, call), only=only)
        return Answer.json(told, run_id=run.id)

    # ------------------------------------------------------------------ sessions

    async def list_sessions(self, call: Call) -> Answer:
        who, after = call.principal, identifier(call, "after")
        limit = number(call, "limit", default=50, least=1, most=1000)

        async def rows(limit: int, after: str | None) -> Page[Session]:
            return await self._store.sessions(who.tenant, limit=limit, after=after)

        async def readable(session: Session) -> Session | None:
            return await self._of_projects(who, session)

        if who.projects is None:
            page = await rows(limit, after)
        else:
            place = await self._store.session(who.tenant, after) if after is not None else None
            if place is not None and await readable(place) is None:
                raise NotFound(f"there is no session {after!r} to page from", code="not_found:cursor")
            page = await sifted(rows, readable, limit, after)
        last = page.rows[-1].id if page.more and page.rows else None
        told = [models.encode_session(session) for session in page.rows]
        return Answer.json({"sessions": told, "more": page.more, "next": last})

    async def get_session(self, call: Call) -> Answer:
        who, id = call.principal, call.params["session"]
        session, thread = await self._session(who, id)
        page = await self._run_page(
            call,
            after=await self._older_than(call, thread),
            of_thread=thread is not None,
            session=id if thread is None else None,
            thread=None if thread is None else thread.number,
        )
        return Answer.json({**models.encode_session(session), "thread": thread is not None, **page})

    async def get_cassette(self, call: Call) -> Answer:
        return Answer.json(await self._cassette(call, instructions=call.principal.is_admin))

    async def _cassette(self, call: Call, *, instructions: bool) -> dict[str, Any]:
        """The session of the path as a cassette's document."""
        who, id = call.principal, call.params["session"]
        _, thread = await self._session(who, id)
        owner = None if thread is None else thread.owner
        if who.projects is not None and thread is None:
            await self._must_use_all(who, id)
        return await export_session(self.services, who.tenant, id, owner=owner, instructions=instructions)

    async def _must_use_all(self, who: Principal, id: str) -> None:
        """Raises NotFound for a session with a run of a project that is not the key's: it is told whole or not at all."""
        after, more = 0, True
        while more:
            page = await self._store.session_runs(who.tenant, id, after=after)
            if not all(self._may_read(who, run) for run in page.rows):
                raise NotFound("There is no such session.", code="not_found:session")
            after, more = page.rows[-1].number if page.rows else 0, page.more

    async def _of_projects(self, who: Principal, session: Session) -> Session | None:
        """The session as a key that is bound to projects may know of it: None without a run of theirs."""
        if who.projects is None:
            return session
        known: dict[str, str | None] = {}
        for name, id in (("first_run", session.first_run), ("last_run", session.last_run)):
            run = await self._store.run(id, tenant=who.tenant) if id is not None else None
            known[name] = run.id if run is not None and self._may_read(who, run) else None
        seen, after, more = any(known.values()), 0, True
        while more and not seen:
            page = await self._store.session_runs(who.tenant, session.id, after=after, limit=_RUNS_AT_ONCE)
            seen = any(self._may_read(who, run) for run in page.rows)
            after, more = page.rows[-1].number if page.rows else 0, page.more
        return replace(session, first_run=known["first_run"], last_run=known["last_run"]) if seen else None

    async def _session(self, who: Principal, id: str) -> tuple[Session, Thread | None]:
        """The tenant's session of this id; else the thread that the caller may read, as one. Raises Gone for one that has expired."""
        found = await self._store.session(who.tenant, id) if is_id(id) else None
        now = self.services.clock()
        if found is not None and found.tombstone is None and (found.expires is None or found.expires > now):
            found = await self._of_projects(who, found)
            if found is not None:
                return found, None
        try:
            thread = await self._thread(who, id, called="session")
        except NotFound:
            if found is not None and (found.tombstone is None or found.tombstone > now):
                raise Gone("This session has expired; its runs are deleted.", code="gone:session") from None
            raise
        return Session(who.tenant, id, thread.created, thread.updated), thread


def with_budget(who: Principal, given: dict[str, Any]) -> dict[str, Any]:
    """What a run keeps of its call: the caller's own words, and the key whose budget it is charged to."""
    if BUDGET_OF in given:
        raise BadRequest(f"metadata: {BUDGET_OF!r} is a word of the server's own", code="bad_request:input")
    if who.budget is None or who.key_id is None:
        return given
    return {**given, BUDGET_OF: {"key": who.key_id, "budget": who.budget}}


def _version(flow: FlowInfo, asked: int | str | None) -> int | None:
    """The number as the engine takes it. Raises NotFound where `production` is asked for and nothing is published."""
    if asked == "production":
        if flow.production is None:
            raise NotFound("Nothing of this flow is published.", code="not_found:version")
        return flow.production
    return 0 if asked == "draft" else int(asked) if asked is not None else None
