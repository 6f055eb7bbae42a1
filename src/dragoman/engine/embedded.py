"""The engine of one process: asyncio tasks over the journal of one store.

It keeps which thread is busy with which run, one driver per run that is moving, and a timer for
approvals that expire. Everything else is in the store, so a new process goes on where this one
stopped. Knows no dialect and no HTTP.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import replace
from typing import Any, Literal, TypeVar
from weakref import WeakValueDictionary

from dragoman.core import events as ev
from dragoman.core.errors import BadRequest, Conflict, Forbidden, LimitExceeded, NotFound, StaleWrite, Unavailable
from dragoman.core.ids import is_id, new_id
from dragoman.core.ports import AgentInfo, Clock, Decided, Decision, Model, Started, Store, Turn
from dragoman.core.records import (
    Approval,
    Count,
    DeleteThread,
    Item,
    PutItem,
    PutRun,
    PutThread,
    RemoveItems,
    Run,
    Thread,
    Write,
)
from dragoman.engine.agents import Agent, as_model
from dragoman.engine.app import App
from dragoman.engine.driver import Driver
from dragoman.engine.journal import Journal, JournalTail
from dragoman.engine.projection import Projector
from dragoman.engine.reducer import Cancel, GiveUp, Recover, Rules
from dragoman.engine.state import RunState, evolve

logger = logging.getLogger("dragoman.engine")

T = TypeVar("T")

MAX_FAULTS = 5
"""How often a run is taken up again after a fault of ours before it is given up."""

FORGET_DELETED = 24 * 3600.0
"""Seconds for which lists know the place of a deleted thread."""

_TAKE_UP_SECONDS = 5.0
"""How long a start waits for the first commit of the runs it goes on with."""


class EmbeddedEngine:
    """`core.ports.Engine` for one process. Raises UsageError at once for a model no one knows."""

    def __init__(self, app: App, store: Store, *, clock: Clock = time.time, executor: str | None = None) -> None:
        self._app = app
        self._store = store
        self._clock = clock
        self._executor = executor or f"{socket.gethostname()}-{os.getpid()}"
        self._journal = Journal(store)
        self._models: dict[tuple[str, bool], Model] = {
            (agent.name, reasoning): as_model(agent.reasoning_model if reasoning else agent.model, app.models)
            for agent in app.agents
            for reasoning in (False, True)
        }
        self._drivers: dict[str, Driver] = {}
        self._active: dict[int, str] = {}
        self._locks: WeakValueDictionary[tuple[str, ...], asyncio.Lock] = WeakValueDictionary()
        self._sweeper: asyncio.Task[None] | None = None
        self._expiry_known = asyncio.Event()
        self._kept: set[asyncio.Future[Any]] = set()
        self._revivals: set[asyncio.Task[None]] = set()
        self._faults: dict[str, int] = {}

    # ------------------------------------------------------------------ life

    async def open(self) -> None:
        taken_up: list[JournalTail] = []
        for run in await self._store.unfinished():
            if run.thread is not None:
                self._active[run.thread] = run.id
            if run.status != "paused":
                taken_up.append(self.tail(run.id, after=run.last_seq))
                await self._take_up(run.id)
        # no reader may see what a broken attempt sent before the journal says that it is void
        await asyncio.gather(*(tail.next(_TAKE_UP_SECONDS) for tail in taken_up), return_exceptions=True)
        self._sweeper = asyncio.create_task(self._sweep(), name="approvals that expire")

    async def close(self, *, grace: float = 5.0) -> None:
        self._journal.close()
        tasks = [*self._revivals, *([self._sweeper] if self._sweeper else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        closing = [asyncio.ensure_future(driver.close(grace)) for driver in list(self._drivers.values())]
        if closing:
            await asyncio.wait(closing, timeout=grace + 1.0)

    # ------------------------------------------------------------------ starting

    async def start(self, turn: Turn) -> Started:
        # a caller that gives up in the middle must not leave a run that is stored but not driven
        return await self._unbroken(self._start(turn))

    async def _unbroken(self, work: Coroutine[Any, Any, T]) -> T:
        task = asyncio.ensure_future(work)
        self._kept.add(task)
        task.add_done_callback(self._kept.discard)
        return await asyncio.shield(task)

    async def _start(self, turn: Turn) -> Started:
        agent = self._app.agent(turn.agent)
        if agent is None:
            known = ", ".join(a.name for a in self._app.agents) or "none"
            raise BadRequest(f"unknown agent {turn.agent!r}; known: {known}", code="bad_request:agent")
        if self._journal.closing:
            raise Unavailable("the server is shutting down", code="closing", retry_after=1.0)
        turn = self._complete(turn)
        assert turn.thread_id is not None
        async with self._lock("thread", turn.tenant, turn.thread_id):
            thread = await self._store.thread(turn.tenant, turn.thread_id)
            if thread is not None and thread.owner != turn.owner:
                raise Forbidden("the thread belongs to somebody else", code="forbidden:thread")
            if thread is None and turn.mode != "new":
                raise NotFound(f"no thread has the id {turn.thread_id!r}", code="not_found:thread")
            asked = await self._question(turn, thread)
            if isinstance(asked, Started):
                return asked
            message, cut, again = asked
            await self._make_room(turn, thread)
            return await self._begin(turn, agent, thread, message, cut, again)

    def _complete(self, turn: Turn) -> Turn:
        thread_id = turn.thread_id if turn.thread_id is not None else new_id(self._clock())
        if not is_id(thread_id) or (turn.message_id is not None and not is_id(turn.message_id)):
            raise BadRequest("ids have 1 to 128 letters, digits or . _ ~ : -", code="bad_request:input")
        if turn.mode != "regenerate" and not turn.parts:
            raise BadRequest("a message needs at least one part", code="bad_request:input")
        return replace(turn, thread_id=thread_id)

    async def _question(self, turn: Turn, thread: Thread | None) -> Started | tuple[Item | None, int | None, bool]:
        """What is asked: (the message, from which pos on the thread is cut, whether it is stored already)."""
        if thread is None:
            return None, None, False
        if turn.mode == "regenerate":
            question = await self._stored_question(turn, thread)
            return question, question.pos + 1, True
        if turn.message_id is None:
            return None, None, False
        item = await self._store.item(thread.number, turn.message_id)
        if turn.mode == "edit":
            if item is None or item.role != "user":
                raise NotFound(f"no message of this thread has the id {turn.message_id!r}", code="not_found:message")
            return None, item.pos, False
        if item is None:
            return None, None, False
        if item.role != "user" or item.body != {"parts": list(turn.parts)}:
            raise Conflict(f"message {turn.message_id!r} exists with other content", code="conflict:message")
        run = await self._store.run(item.run) if item.run else None
        if run is not None and (run.status != "failed" or await self._has_later_question(thread, item)):
            return Started(run, "attached" if run.is_active else "answered")
        return item, item.pos + 1, True

    async def _has_later_question(self, thread: Thread, item: Item) -> bool:
        newest = await self._store.items(thread.number, after=item.pos, limit=1000)
        return newest.more or any(later.role == "user" for later in newest.rows)

    async def _stored_question(self, turn: Turn, thread: Thread) -> Item:
        if turn.message_id is not None:
            item = await self._store.item(thread.number, turn.message_id)
            if item is not None and item.role == "user":
                return item
            raise NotFound(f"no message of this thread has the id {turn.message_id!r}", code="not_found:message")
        before: int | None = None
        while True:
            page = await self._store.items(thread.number, before=before, limit=50, newest=True)
            for item in page.rows:
                if item.role == "user":
                    return item
            if not page.more:
                raise NotFound("the thread has no message to answer", code="not_found:message")
            before = page.rows[-1].pos

    async def _make_room(self, turn: Turn, thread: Thread | None) -> None:
        """Refuse what would be refused anyway, then settle the thread's active run as `busy` says."""
        now = self._clock()
        quota = turn.quota
        if quota is not None and quota.limit is not None:
            counter = await self._store.counter(turn.tenant, turn.owner, quota.name, now=now)
            if (counter.used if counter is not None else 0) >= quota.limit:
                raise LimitExceeded(
                    f"the limit of {quota.limit} is used up", code="limit_exceeded", retry_after=quota.resets - now
                )
        run_id = self._active.get(thread.number) if thread is not None else None
        if run_id is None:
            return
        if turn.busy == "reject":
            raise Conflict("the thread is busy with another message", code="conflict:busy", run_id=run_id)
        if turn.busy == "queue":
            run = await self._store.run(run_id)
            if run is not None and run.status != "paused":
                async for _ in self.events(run_id, after=run.last_seq):
                    current = self._drivers.get(run_id)
                    if current is None or current.state.status == "paused":
                        break
        await self.cancel(run_id, reason="superseded")

    async def _begin(
        self, turn: Turn, agent: Agent, thread: Thread | None, message: Item | None, cut: int | None, again: bool
    ) -> Started:
        now = self._clock()
        run_id, answer = new_id(now), new_id(now)
        number = thread.number if thread is not None else 0
        assert turn.thread_id is not None
        if message is None:
            message = Item(
                turn.message_id or new_id(now),
                "message",
                "user",
                now,
                {"parts": list(turn.parts)},
                extra=turn.message_extra,
            )
        message = replace(message, run=run_id)
        run = self._new_run(turn, agent, run_id, answer, number, message.id, now)
        before: list[Write] = []
        if thread is None:
            made = turn.new_thread
            before.append(
                PutThread(
                    Thread(
                        turn.thread_id,
                        turn.tenant,
                        turn.owner,
                        now,
                        now,
                        title=made.title,
                        visibility=made.visibility,
                        branch=made.branch,
                        metadata=made.metadata,
                    )
                )
            )
        if turn.quota is not None:
            quota = turn.quota
            before.append(Count(turn.tenant, turn.owner, quota.name, now, quota.resets, 1, quota.limit))
        if cut is not None:
            before.append(RemoveItems(number, cut))
        before.append(PutItem(number, message, replace=again))
        before.append(PutRun(run))
        driver = self._driver(run, RunState(run_id), Projector(run), agent)
        created = ev.RunCreated(run.kind, agent.name, run.version, answer, turn.thread_id, message.id)
        try:
            start = await driver.begin(created, before)
        except StaleWrite as stale:
            raise self._refusal(stale, turn) from stale
        if thread is None:
            thread = await self._store.thread(turn.tenant, turn.thread_id)
            assert thread is not None, "committed a moment ago, and its lock is ours"
        run = replace(run, thread=thread.number, last_seq=driver.state.last_seq)
        driver.attach(run)
        self._active[thread.number] = run_id
        self._drivers[run_id] = driver
        start()
        return Started(run, "started")

    def _new_run(
        self, turn: Turn, agent: Agent, run_id: str, answer: str, number: int, message: str, now: float
    ) -> Run:
        seconds = turn.max_seconds if agent.max_seconds is None else min(turn.max_seconds, agent.max_seconds)
        options: dict[str, Any] = {
            "reasoning": turn.reasoning,
            "instructions": list(turn.instructions),
            "permissions": dict(turn.permissions),
            "approvals": turn.approvals,
            "client_tools": turn.client_tools,
            "approval_ttl": turn.approval_ttl,
            "approval_reason": turn.approval_reason,
            "max_seconds": seconds,
        }
        return Run(
            run_id,
            turn.tenant,
            turn.owner,
            turn.kind,
            agent.name,
            now,
            version=self._app.version,
            thread=number,
            thread_id=turn.thread_id,
            face=turn.face,
            status="running",
            answer=answer,
            input={"message": message, **({"metadata": turn.metadata} if turn.metadata else {})},
            options=options,
            executor=self._executor,
        )

    @staticmethod
    def _refusal(stale: StaleWrite, turn: Turn) -> Exception:
        match stale.what:
            case "item_id":
                return Conflict(f"message {turn.message_id!r} exists already", code="conflict:message")
            case "thread_id":
                return Forbidden("the thread belongs to somebody else", code="forbidden:thread")
            case "thread_gone":
                return NotFound(f"no thread has the id {turn.thread_id!r}", code="not_found:thread")
            case _:
                return stale

    # ------------------------------------------------------------------ drivers

    def _driver(self, run: Run, state: RunState, projector: Projector, agent: Agent | None) -> Driver:
        options = run.options
        reasoning = bool(options.get("reasoning"))
        known = agent if agent is not None else Agent(run.name, model=_nobody)
        named = known.reasoning_model if reasoning else known.model
        rules = Rules(
            agent=known,
            model_name=named if isinstance(named, str) else str(getattr(named, "name", known.name)),
            executor=self._executor,
            permissions=options.get("permissions", {}),
            approvals=options.get("approvals", "ask"),
            client_tools=bool(options.get("client_tools")),
            approval_ttl=float(options.get("approval_ttl", 24 * 3600.0)),
            new_id=lambda: new_id(self._clock()),
            now=self._clock,
        )
        return Driver(
            run,
            state,
            projector,
            rules,
            model=self._models.get((run.name, reasoning)),
            store=self._store,
            feed=self._journal.feed(run.id),
            max_seconds=float(options.get("max_seconds", 600.0)),
            on_exit=self._exited,
        )

    async def _load(self, run: Run) -> Driver:
        """A driver whose state is folded from the journal."""
        state, projector, after = RunState(run.id), Projector(run), 0
        while events := await self._store.events(run.id, after=after):
            for event in events:
                evolve(state, event)
                projector.see(event)
            after = events[-1].seq
        return self._driver(run, state, projector, self._app.agent(run.name))

    async def _take_up(self, run_id: str) -> None:
        """Go on with a run that no driver has; closes one whose agent is gone or that fails again and again."""
        async with self._lock("run", run_id):
            run = await self._store.run(run_id)
            if run is None or not run.is_active or run_id in self._drivers:
                return
            driver = await self._load(run)
            self._drivers[run_id] = driver
            if self._app.agent(run.name) is None:
                driver.start(GiveUp("agent_gone", f"agent {run.name!r} is no longer served"))
            elif self._faults.get(run_id, 0) >= MAX_FAULTS:
                driver.start(GiveUp("internal", "the run was stopped by a fault of the server"))
            else:
                driver.start(Recover())

    async def _moving(self, run_id: str) -> Driver | None:
        """The run's driver, made from the journal if need be; None for a run that is over or unknown.

        The caller must ask the driver something before it awaits anything else: an idle driver
        of a paused run leaves at its next turn.
        """
        if run_id in self._drivers:
            return self._drivers[run_id]
        async with self._lock("run", run_id):
            if run_id in self._drivers:
                return self._drivers[run_id]
            run = await self._store.run(run_id)
            if run is None or not run.is_active:
                return None
            driver = await self._load(run)
            self._drivers[run_id] = driver
            driver.start(*(() if run.status == "paused" else (Recover(),)))
            return driver

    def _exited(self, driver: Driver, error: BaseException | None) -> None:
        run = driver.run
        if self._drivers.get(run.id) is driver:
            del self._drivers[run.id]
        if driver.state.is_final and error is None:
            self._faults.pop(run.id, None)
            if run.thread is not None and self._active.get(run.thread) == run.id:
                del self._active[run.thread]
        elif error is not None and not isinstance(error, asyncio.CancelledError) and not self._journal.closing:
            self._faults[run.id] = self._faults.get(run.id, 0) + 1
            task = asyncio.create_task(self._revive(run))
            self._revivals.add(task)
            task.add_done_callback(self._revivals.discard)
        else:
            self._expiry_known.set()

    async def _revive(self, run: Run) -> None:
        """Take a run up again that a fault (of the store, most likely) has stopped."""
        delay = 0.25 * 2 ** self._faults.get(run.id, 1)
        while True:
            await asyncio.sleep(delay)
            try:
                stored = await self._store.run(run.id)
                if stored is None or not stored.is_active:
                    if run.thread is not None and self._active.get(run.thread) == run.id:
                        del self._active[run.thread]
                    self._journal.feed(run.id).wake()
                    return
                if stored.status == "paused":
                    return
                await self._take_up(run.id)
                return
            except Exception:
                logger.exception("run could not be taken up again", extra={"run_id": run.id})
                delay = min(delay * 2, 30.0)

    # ------------------------------------------------------------------ deciding and ending

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
        return await self._ask(run_ids.pop(), tuple(named), by, channel)

    async def _ask(
        self,
        run_id: str,
        named: tuple[tuple[str, Decision], ...],
        by: str | None,
        channel: Literal["reply", "side", "system"],
    ) -> Decided:
        driver = await self._moving(run_id)
        if driver is None:
            run = await self._store.run(run_id)
            if run is None:
                raise NotFound(f"no tool call has the id {named[0][0]!r}", code="not_found:call")
            driver = await self._load(run)
            driver.start()  # over already: the loop ends at once and answers from what is stored
        answer: Decided = await driver.ask(named, by=by, channel=channel)
        return answer

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
        thread = await self._store.thread(tenant, thread_id)
        if thread is None:
            raise NotFound(f"no thread has the id {thread_id!r}", code="not_found:thread")
        if thread.owner != owner:
            raise Forbidden("the thread belongs to somebody else", code="forbidden:thread")
        return thread

    async def cancel(self, run_id: str, *, reason: str = "stopped") -> bool:
        driver = await self._moving(run_id)
        if driver is None:
            return False
        ended: bool = await driver.ask(Cancel(reason))
        return ended

    async def delete_thread(self, tenant: str, owner: str, thread_id: str) -> Thread:
        return await self._unbroken(self._delete(tenant, owner, thread_id))

    async def _delete(self, tenant: str, owner: str, thread_id: str) -> Thread:
        async with self._lock("thread", tenant, thread_id):
            thread = await self._owned(tenant, owner, thread_id)
            run_id = self._active.get(thread.number)
            if run_id is not None:
                await self.cancel(run_id, reason="deleted")
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

    def tail(self, run_id: str, *, after: int = 0) -> JournalTail:
        return self._journal.tail(run_id, after)

    async def events(self, run_id: str, *, after: int = 0) -> AsyncIterator[ev.Event]:
        tail = self.tail(run_id, after=after)
        while events := await tail.next():
            for event in events:
                yield event

    async def active_run(self, thread: Thread) -> Run | None:
        run_id = self._active.get(thread.number)
        run = await self._store.run(run_id) if run_id is not None else None
        return run if run is not None and run.is_active else None

    def agents(self) -> Sequence[AgentInfo]:
        return [agent.info() for agent in self._app.agents]

    # ------------------------------------------------------------------ expiry

    async def expire_due(self) -> float | None:
        """Deny the approvals whose time is over; the time of the next one to expire, None if there is none."""
        while True:
            now = self._clock()
            due: Sequence[Approval] = await self._store.pending_approvals(before=now, limit=100)
            for approval in due:
                run = await self._store.run(approval.run)
                reason = run.options.get("approval_reason", "expired") if run is not None else "expired"
                decision = Decision(approved=False, call=approval.call, reason=reason)
                try:
                    await self._ask(approval.run, ((approval.call, decision),), None, "system")
                except (Conflict, NotFound):  # decided by somebody in the same moment
                    continue
            if not due:
                following = await self._store.pending_approvals(limit=1)
                return following[0].expires if following else None

    async def _sweep(self) -> None:
        while True:
            self._expiry_known.clear()  # before the look, so that what comes in the meantime is not missed
            try:
                upcoming = await self.expire_due()
                pause = 3600.0 if upcoming is None else min(max(0.0, upcoming - self._clock()), 3600.0)
            except Exception:
                logger.exception("approvals could not be checked for expiry")
                pause = 5.0
            try:
                async with asyncio.timeout(pause):  # wait_for may swallow a cancel in Python 3.11
                    await self._expiry_known.wait()
            except TimeoutError:
                continue

    def _lock(self, *name: str) -> asyncio.Lock:
        found = self._locks.get(name)
        if found is None:
            found = self._locks[name] = asyncio.Lock()
        return found


async def _nobody(request: Any) -> AsyncIterator[str]:
    raise NotFound("the agent of this run is gone", code="agent_gone")
    yield ""
