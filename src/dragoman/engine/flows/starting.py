"""How a call of a flow becomes a run: checked, resolved to a version, and stored in one commit with what hangs on it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from dragoman.core import events as ev
from dragoman.core.errors import BadRequest, Conflict, NotFound, StaleWrite
from dragoman.core.flows import CaptureMode, Continue, FlowCall, FlowInfo, encode_node
from dragoman.core.ids import is_id, new_id
from dragoman.core.messages import ToolSpec
from dragoman.core.ports import Clock, Store
from dragoman.core.records import Run, Session
from dragoman.core.turns import Continued, Started
from dragoman.core.writes import PutRepeat, PutRun, PutSession, Write
from dragoman.engine.app import App
from dragoman.engine.capture import capture_mode
from dragoman.engine.driver import Driver
from dragoman.engine.drivers import Drivers
from dragoman.engine.flows.authoring import DRAFT, Flow
from dragoman.engine.flows.continuing import encode_tool
from dragoman.engine.flows.course import FlowCourse
from dragoman.engine.flows.inputs import Stale
from dragoman.engine.flows.overrides import check_overrides
from dragoman.engine.flows.values import NotJson, as_json
from dragoman.engine.jobs import JobQueue
from dragoman.engine.journal import Journal
from dragoman.engine.repeats import Repeats

QUEUE = "jobs"
"""The name of the one queue."""


@dataclass(frozen=True, slots=True)
class _Chosen:
    """What is called: the flow, its version, and that one's number."""

    flow: Flow
    info: FlowInfo
    version: int


class FlowStarting:
    """Accepts calls of flows and what lets them go on."""

    def __init__(
        self,
        app: App,
        store: Store,
        drivers: Drivers,
        jobs: JobQueue,
        *,
        clock: Clock,
        capture: CaptureMode,
        session_seconds: float,
        journal: Journal,
    ) -> None:
        self._app = app
        self._store = store
        self._drivers = drivers
        self._jobs = jobs
        self._clock = clock
        self._capture = capture
        self._session_seconds = session_seconds
        self._journal = journal
        self._repeats = Repeats(store, journal, clock=clock)

    async def start(self, call: FlowCall) -> Started:
        """See `core.ports.Engine.start_flow`."""
        self._drivers.refuse_when_closing()
        if (known := await self._repeats.known(call.repeat)) is not None:
            return known
        chosen = self._choose(call)
        call = _checked(call, chosen)
        now = self._clock()
        run = self._new_run(call, chosen, now)
        before = self._before(call, run, now)
        created = ev.RunCreated(run.kind, run.name, run.version, str(run.answer))
        live = self._journal.live(run.id)  # before it can end
        try:
            return Started(await self._store_run(run, created, before), "started", live=live)
        except StaleWrite as stale:
            if stale.what == "repeat" and (known := await self._repeats.known(call.repeat)) is not None:
                return known
            raise

    async def _store_run(self, run: Run, created: ev.RunCreated, before: list[Write]) -> Run:
        if run.kind == "job":
            with self._jobs.place(run.priority):
                return await self._drivers.enqueue(run, created, before)
        return await self._drivers.begin(run, created, before)

    # ------------------------------------------------------------------ what is called

    def _choose(self, call: FlowCall) -> _Chosen:
        flow, info = self._app.flow(call.flow), self._app.flow_info(call.flow)
        if flow is None or info is None:
            raise NotFound(f"there is no flow {call.flow!r}", code="not_found:flow")
        version = call.version
        if version is None:
            version = flow.production if flow.production is not None else DRAFT
        if isinstance(version, bool) or version not in flow.versions:
            known = ", ".join(str(number) for number in sorted(flow.versions) if number != DRAFT) or "the draft"
            raise NotFound(f"flow {call.flow!r} has no version {version!r}; known: {known}", code="not_found:version")
        return _Chosen(flow, info, version)

    # ------------------------------------------------------------------ what is stored

    def _before(self, call: FlowCall, run: Run, now: float) -> list[Write]:
        """What makes the run; the conditional write comes first, so that a repetition writes nothing."""
        before: list[Write] = []
        if call.repeat is not None:
            before.append(PutRepeat(replace(call.repeat, run=run.id)))
        before.append(PutRun(run))
        if call.session is not None:
            expires = now + self._session_seconds
            session = Session(call.tenant, call.session, now, now, run.id, run.id, expires)
            before.append(PutSession(session))
        return before

    def _new_run(self, call: FlowCall, chosen: _Chosen, now: float) -> Run:
        flow, is_job = chosen.flow, call.kind == "job"
        bounds = [bound for bound in (call.max_seconds, flow.max_seconds) if bound is not None]
        options: dict[str, Any] = {
            "flow_version": chosen.version,
            "tree": [encode_node(node) for node in flow.nodes[chosen.version]],
            "overrides": {id: dict(values) for id, values in call.overrides.items()},
            "input_overrides": {id: dict(values) for id, values in call.input_overrides.items()},
            "tools": [encode_tool(tool) for tool in call.tools],
            "tool_choice": call.tool_choice,
            "remaining": call.remaining,
            "trace": call.trace,
            "capture": capture_mode(call.capture, flow.capture, self._capture),
            "client_tools": call.client_tools,
            "call_index": call.call_index,
            "input_hash": call.input_hash,
            "max_seconds": min(bounds) if bounds else None,
            "metadata": call.metadata,
            "traceparent": call.traceparent,
            "keep_result": call.repeat is not None,
        }
        given = {
            "message": call.message,
            "messages": list(call.messages),
            "parameters": dict(call.parameters),
            "attachments": list(call.attachments),
        }
        return Run(
            new_id(now),
            call.tenant,
            call.owner,
            call.kind,
            flow.name,
            now,
            version=self._app.version,
            session=call.session,
            face=call.face,
            status="queued" if is_job else "running",
            answer=new_id(now),
            input=given,
            options={name: value for name, value in options.items() if value not in (None, {}, [])},
            queue=QUEUE if is_job else None,
            executor=None if is_job else self._drivers.executor,
            priority=call.priority,
        )

    # ------------------------------------------------------------------ going on

    async def go_on(self, tenant: str, run_id: str, given: Continue) -> Continued:
        """See `core.ports.Engine.continue_flow`."""
        run = await self._store.run(run_id, tenant=tenant) if is_id(run_id) else None
        if run is None or "tree" not in run.options:
            raise NotFound(f"no run has the id {run_id!r}", code="not_found:run")
        given = _checked_continue(given)
        live = self._journal.live(run_id)  # before it can end
        driver = await self._drivers.moving(run_id)
        if driver is not None:
            await self._refuse_stale(driver)
            if run.kind == "job" and run.status == "paused":
                self._jobs.resumed(run_id)  # if it is refused, the driver leaves, and frees the worker
            told: Continued = replace(await driver.go_on(given), live=live)
        else:
            course = await self._drivers.fold(run)
            judged = course.judge(given) if isinstance(course, FlowCourse) else None
            if not isinstance(judged, Continued):
                raise Conflict("the run has ended", code="conflict:run")
            told = judged
        now = await self._store.run(run_id)
        return replace(told, run=now if now is not None else told.run)

    async def _refuse_stale(self, driver: Driver) -> None:
        """End a paused run whose steps the code does not have any more."""
        course = driver.course
        if not isinstance(course, FlowCourse) or course.state.status != "paused":
            return
        if (fault := self._drivers.misfit(course)) is not None:
            driver.put(Stale(fault))
            await driver.ask(None)
            raise Conflict(fault, code="conflict:tree")


def _checked(call: FlowCall, chosen: _Chosen) -> FlowCall:
    if chosen.flow.requires_message and call.message is None and not call.messages:
        raise BadRequest(f"flow {call.flow!r} needs a message", code="bad_request:message")
    if call.session is not None and (not is_id(call.session) or call.session in (".", "..")):
        raise BadRequest("a session's id has 1 to 128 letters, digits or . _ ~ : -", code="bad_request:input")
    if call.max_seconds is not None and call.max_seconds <= 0:
        raise BadRequest("max_seconds is more than 0", code="bad_request:input")
    check_overrides(chosen.flow.steps(chosen.version), call.overrides, call.input_overrides)
    fields = ("messages", "parameters", "attachments", "overrides", "input_overrides", "metadata", "tool_choice")
    try:
        made = replace(call, **{name: _json(getattr(call, name), name) for name in ("message", *fields)})
        return replace(made, tools=_tools(call.tools))
    except NotJson as error:
        raise BadRequest(error.message, code="bad_request:input") from None


def _checked_continue(given: Continue) -> Continue:
    fields = ("outputs", "overrides", "input_overrides", "tool_choice")
    try:
        made = replace(given, **{name: _json(getattr(given, name), name) for name in fields})
        return made if given.tools is None else replace(made, tools=_tools(given.tools))
    except NotJson as error:
        raise BadRequest(error.message, code="bad_request:input") from None


def _json(value: Any, name: str) -> Any:
    made = as_json(value, name)
    return tuple(made) if isinstance(value, tuple) else made


def _tools(tools: tuple[ToolSpec, ...]) -> tuple[ToolSpec, ...]:
    names = [tool.name for tool in tools]
    if len({*names}) != len(names):
        raise BadRequest("two tools of one name", code="bad_request:input")
    return tuple(ToolSpec(**as_json(encode_tool(tool), f"tool {tool.name!r}")) for tool in tools)
