"""The engine of one process: asyncio tasks over the journal of one store.

Puts the pieces together: `starting` accepts turns, `drivers` moves runs, `expiry` ends what
nobody decides, `journal` is read. Everything that lasts is in the store, so a new process goes on
where this one stopped. Knows no dialect and no HTTP.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any, Literal, TypeVar

from dragoman.core import events as ev
from dragoman.core.errors import BadRequest, Forbidden, NotFound, StaleWrite
from dragoman.core.flows import CaptureMode, Continue, FlowCall, FlowInfo
from dragoman.core.ids import is_id
from dragoman.core.ports import Clock, Knowledge, Store
from dragoman.core.records import Approval, Run, Setting, Thread
from dragoman.core.turns import AgentInfo, Continued, Decided, Decision, Started, Turn
from dragoman.core.writes import DeleteThread, PutSetting
from dragoman.engine.absence import Absence
from dragoman.engine.agents import Resolve
from dragoman.engine.answering import Answering
from dragoman.engine.app import App
from dragoman.engine.asking import Channel, Decisions
from dragoman.engine.decisions import judge
from dragoman.engine.drivers import Drivers
from dragoman.engine.expiry import Expiry
from dragoman.engine.files import ResolveFile
from dragoman.engine.flows.starting import FlowStarting
from dragoman.engine.jobs import JobQueue
from dragoman.engine.journal import Journal, JournalTail
from dragoman.engine.knowledge import as_knowledge
from dragoman.engine.locks import Locks
from dragoman.engine.masking import MASKING, Masking
from dragoman.engine.starting import Starting

logger = logging.getLogger("dragoman.engine")

T = TypeVar("T")

FORGET_DELETED = 24 * 3600.0
"""Seconds for which lists know the place of a deleted thread."""

_TAKE_UP_SECONDS = 5.0
"""How long a start waits for the first commit of the runs it goes on with."""


class EmbeddedEngine:
    """`core.ports.Engine` for one process. Raises UsageError at once for a model no one knows."""

    def __init__(
        self,
        app: App,
        store: Store,
        *,
        clock: Clock = time.time,
        executor: str | None = None,
        most_moving: int | None = None,
        resolve: Resolve | None = None,
        workers: int = 4,
        queue_limit: int = 100_000,
        capture: CaptureMode = "redacted",
        masking: Masking = MASKING,
        session_seconds: float = 30 * 86400.0,
        files: ResolveFile | None = None,
        knowledge: Knowledge | None = None,
    ) -> None:
        """`resolve` gives the models of names that the app does not define; without it they are unknown.
        `files` fetches the files that lie in the store (`blob:ID`) for a model; see `engine.files.StoredFiles`.
        `knowledge` is searched for agents that are bound to sources; without it, the app's, else the store's own.

        `workers` jobs run at once, and at most `queue_limit` wait. `capture` holds for flows that do not say
        otherwise, `masking` is what its mode `redacted` takes out; a session lasts `session_seconds` after its last run.
        """
        self._app = app
        self._store = store
        self._clock = clock
        self._journal = Journal(store)
        self._expiry = Expiry(store, clock, self._expire)
        self._drivers = Drivers(
            app,
            store,
            self._journal,
            clock=clock,
            executor=executor or f"{socket.gethostname()}-{os.getpid()}",
            on_asked=self._expiry.notice,
            on_idle=self._idle,
            most=most_moving,
            resolve=resolve,
            masking=masking,
            files=files,
            knowledge=knowledge if knowledge is not None else as_knowledge(app.knowledge, store),
        )
        self._jobs = JobQueue(store, self._drivers.take, workers=workers, limit=queue_limit)
        self._absence = Absence(store, self._journal, self._drivers)
        self._locks = Locks()
        self._starting = Starting(app, store, self._journal, self._drivers, self._locks, clock=clock)
        self._flows = FlowStarting(
            app,
            store,
            self._drivers,
            self._jobs,
            clock=clock,
            capture=capture,
            session_seconds=session_seconds,
            journal=self._journal,
        )
        self._watches: list[asyncio.Task[None]] = []
        self._kept: set[asyncio.Future[Any]] = set()

    # ------------------------------------------------------------------ life

    async def open(self) -> None:
        taken_up: list[JournalTail] = []
        jobs: list[str] = []
        await self._keep_definitions()
        for run in await self._store.unfinished():
            if run.thread is not None:
                self._drivers.active[run.thread] = run.id
            if run.status == "paused":
                continue
            tail = self.tail(run.id, after=run.last_seq)
            try:
                await self._drivers.moving(run.id)
                taken_up.append(tail)
                if run.kind == "job":
                    jobs.append(run.id)
            except Exception:  # one journal that cannot be read must not keep the others from going on
                logger.exception("run could not be taken up", extra={"run_id": run.id})
        # no reader may see what a broken attempt sent before the journal says that it is void
        await asyncio.gather(*(tail.next(_TAKE_UP_SECONDS) for tail in taken_up), return_exceptions=True)
        await self._jobs.open(jobs)
        self._watches = [
            asyncio.create_task(self._expiry.watch(), name="approvals that expire"),
            asyncio.create_task(self._absence.watch(), name="runs that others delete"),
        ]

    async def _keep_definitions(self) -> None:
        """Once per version of the code: what it says, so that a later one can be compared with it."""
        name = f"app:{self._app.version}"
        if await self._store.setting("", "", name) is None:
            now = self._clock()
            await self._store.commit(PutSetting(Setting("", "", name, self._app.definitions(), now, now)))

    def _idle(self, run_id: str, unbegun: bool) -> None:
        self._jobs.done(run_id, waited=unbegun)

    async def close(self, *, grace: float = 5.0) -> None:
        self._journal.close()
        await self._jobs.close()
        for watch in self._watches:
            watch.cancel()
        if self._watches:
            await asyncio.wait(self._watches)
        if self._kept:  # what is being accepted is stored and driven, or refused, but nothing between
            await asyncio.wait(list(self._kept), timeout=grace)
        await self._drivers.close(grace)

    async def _unbroken(self, work: Coroutine[Any, Any, T]) -> T:
        # a caller that gives up in the middle must not leave a run that is stored but not driven
        task = asyncio.ensure_future(work)
        self._kept.add(task)
        task.add_done_callback(self._kept.discard)
        return await asyncio.shield(task)

    # ------------------------------------------------------------------ starting, deciding, ending

    async def start(self, turn: Turn) -> Started:
        return await self._unbroken(self._starting.start(turn))

    async def start_flow(self, call: FlowCall) -> Started:
        return await self._unbroken(self._flows.start(call))

    async def continue_flow(self, tenant: str, run_id: str, given: Continue) -> Continued:
        return await self._unbroken(self._flows.go_on(tenant, run_id, given))

    async def decide(
        self,
        tenant: str,
        owner: str,
        thread_id: str,
        decisions: Sequence[Decision],
        *,
        by: str | None = None,
        channel: Literal["reply", "side"] = "side",
    ) -> Decided:
        thread = await self._owned(tenant, owner, thread_id)
        if not decisions:
            raise BadRequest("expected at least one decision", code="bad_request:input")
        run_ids: set[str] = set()
        named: list[tuple[str, Decision]] = []
        for decision in decisions:
            run_id, call = await self._find_call(tenant, thread, decision)
            run_ids.add(run_id)
            named.append((call, decision))
        if len(run_ids) != 1:
            raise BadRequest("all decisions of one request belong to one answer", code="bad_request:input")
        return await self._decide(run_ids.pop(), tuple(named), by, channel)

    async def _decide(self, run_id: str, decisions: Decisions, by: str | None, channel: Channel) -> Decided:
        driver = await self._drivers.moving(run_id)
        if driver is not None:
            return await driver.decide(decisions, by=by, channel=channel)
        run = await self._store.run(run_id)
        calls = tuple(call for call, _ in decisions)
        if run is not None:
            course = await self._drivers.fold(run)
            if isinstance(course, Answering):
                judgement = judge(course.state, self._app.agent(run.name), decisions)
                if not judgement.accepted:
                    return Decided(run, "repeated", calls, judgement.repeated_since)
        # it was deleted in the same moment, perhaps while it was read
        raise NotFound(f"no tool call has the id {calls[0]!r}", code="not_found:call")

    async def _find_call(self, tenant: str, thread: Thread, decision: Decision) -> tuple[str, str]:
        if decision.approval is not None:
            approval = await self._store.approval(decision.approval, tenant=tenant)
            run = await self._store.run(approval.run, tenant=tenant) if approval is not None else None
            if approval is None or run is None or run.thread != thread.number:
                raise NotFound(f"no approval has the id {decision.approval!r}", code="not_found:approval")
            return approval.run, approval.call
        if decision.call is None:
            raise BadRequest("a decision names a tool call or an approval", code="bad_request:input")
        item = await self._store.item(thread.number, decision.call) if is_id(decision.call) else None
        if item is None or item.kind != "tool_call" or item.run is None:
            raise NotFound(f"no tool call has the id {decision.call!r}", code="not_found:call")
        return item.run, item.id

    async def _owned(self, tenant: str, owner: str, thread_id: str) -> Thread:
        thread = await self._store.thread(tenant, thread_id, owner=owner) or await self._store.thread(tenant, thread_id)
        if thread is None:
            raise NotFound(f"no thread has the id {thread_id!r}", code="not_found:thread")
        if thread.owner != owner:
            raise Forbidden("the thread belongs to somebody else", code="forbidden:thread")
        return thread

    async def cancel(self, run_id: str, *, reason: str = "stopped") -> bool:
        return await self._drivers.cancel(run_id, reason)

    async def delete_thread(self, tenant: str, owner: str, thread_id: str) -> Thread:
        return await self._unbroken(self._delete(tenant, owner, thread_id))

    async def _delete(self, tenant: str, owner: str, thread_id: str) -> Thread:
        async with self._locks.of("thread", tenant, thread_id):
            thread = await self._owned(tenant, owner, thread_id)
            self._drivers.refuse_when_closing()
            run_id = self._drivers.active.get(thread.number)
            for one in (run_id, *self._drivers.asides(tenant, owner, thread_id)):
                if one is not None:
                    await self._drivers.cancel(one, "deleted")
            await self._store.commit(DeleteThread(thread.number, self._clock() + FORGET_DELETED))
            return thread

    async def delete_threads(self, tenant: str, owner: str) -> int:
        deleted = 0
        while True:
            page = await self._store.threads(tenant, owner, limit=100)
            for thread in page.rows:
                try:
                    await self.delete_thread(tenant, owner, thread.id)
                    deleted += 1
                except (NotFound, StaleWrite):  # somebody else deleted it in the meantime
                    continue
            if not page.more:
                return deleted

    # ------------------------------------------------------------------ reading

    @property
    def moving(self) -> int:
        """How many runs are executed now."""
        return self._drivers.count

    def tail(self, run_id: str, *, after: int = 0) -> JournalTail:
        return self._journal.tail(run_id, after)

    async def events(self, run_id: str, *, after: int = 0) -> AsyncIterator[ev.Event]:
        tail = self.tail(run_id, after=after)
        while events := await tail.next():
            for event in events:
                yield event

    async def active_run(self, thread: Thread) -> Run | None:
        run_id = self._drivers.active.get(thread.number)
        run = await self._store.run(run_id) if run_id is not None else None
        return run if run is not None and run.is_active else None

    def agents(self) -> Sequence[AgentInfo]:
        return [agent.info() for agent in self._app.agents]

    def flows(self) -> Sequence[FlowInfo]:
        return [info for flow in self._app.flows if (info := self._app.flow_info(flow.name)) is not None]

    def flow(self, name: str) -> FlowInfo | None:
        return self._app.flow_info(name)

    @property
    def jobs(self) -> JobQueue:
        """The queue of jobs, for gauges."""
        return self._jobs

    # ------------------------------------------------------------------ expiry

    async def let_go(self) -> None:
        """Stop what drives or reads runs that another process has deleted; done every second by itself."""
        await self._absence.look()

    async def expire_due(self) -> float | None:
        """Deny the approvals whose time is over; the time of the next look, None if nothing is pending."""
        return await self._expiry.deny_due()

    async def _expire(self, approval: Approval) -> None:
        run = await self._store.run(approval.run)
        reason = run.options.get("approval_reason", "expired") if run is not None else "expired"
        decision = Decision(approved=False, call=approval.call, reason=reason)
        await self._decide(approval.run, ((approval.call, decision),), None, "system")
