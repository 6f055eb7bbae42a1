"""The drivers of all runs that move: made when needed, and made anew after a fault.

A run has at most one driver, while it moves; one that is paused or waits in the queue has none until
somebody wants something of it. What a fault (of the store, most likely) stops is taken up again after a
while, and given up after a few times. Knows neither turns nor owners.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Any

from dragoman.core.errors import NotFound, Unavailable, UsageError
from dragoman.core.events import RunCreated
from dragoman.core.ids import new_id
from dragoman.core.ports import Clock, Knowledge, Model, Store
from dragoman.core.records import Run
from dragoman.core.writes import Write
from dragoman.engine.agents import Agent, Resolve, as_model
from dragoman.engine.answering import Answering
from dragoman.engine.app import App
from dragoman.engine.course import Course
from dragoman.engine.driver import Driver, is_gone
from dragoman.engine.files import ResolveFile
from dragoman.engine.flows.course import FlowCourse
from dragoman.engine.flows.courses import FlowCourses
from dragoman.engine.inputs import Cancel, GiveUp, Recover, Rules
from dragoman.engine.journal import Journal
from dragoman.engine.locks import Locks
from dragoman.engine.masking import MASKING, Masking

logger = logging.getLogger("dragoman.engine")

MAX_FAULTS = 5
"""How often a run is taken up again after a fault of ours before it is given up."""

_FIRST_DELAY = 0.25
_LONGEST_DELAY = 30.0


class Drivers:
    """Raises UsageError at once for a model no one knows.

    `active` tells which run of a thread (by its number) has not ended.
    """

    def __init__(
        self,
        app: App,
        store: Store,
        journal: Journal,
        *,
        clock: Clock,
        executor: str,
        on_asked: Callable[[], None],
        on_idle: Callable[[str, bool], None] = lambda run, unbegun: None,
        most: int | None = None,
        resolve: Resolve | None = None,
        masking: Masking = MASKING,
        files: ResolveFile | None = None,
        knowledge: Knowledge | None = None,
    ) -> None:
        """`on_idle` is told of each run that has stopped moving here, and whether it ended before it had begun."""
        self.active: dict[int, str] = {}
        self.executor = executor
        self._app = app
        self._store = store
        self._journal = journal
        self._clock = clock
        self._on_asked = on_asked
        self._on_idle = on_idle
        self._most = most
        self._files = files
        self._knowledge = knowledge
        self._beginning = 0
        self._resolve = resolve
        self._models: dict[tuple[str, bool], Model] = {
            (agent.name, reasoning): as_model(agent.reasoning_model if reasoning else agent.model, app.models, resolve)
            for agent in app.agents
            for reasoning in (False, True)
        }
        self._flows = FlowCourses(
            app, store, journal, clock=clock, executor=executor, resolve=resolve, masking=masking, files=files
        )
        self._drivers: dict[str, Driver] = {}
        self._locks = Locks()
        self._faults: dict[str, int] = {}
        self._revivals: dict[asyncio.Task[None], Run] = {}

    async def moving(self, run_id: str) -> Driver | None:
        """The run's driver, made from the journal if need be; None for a run that is over or unknown.

        The caller must ask the driver something before it awaits anything else: an idle driver
        of a paused run leaves at its next turn. Raises Unavailable when the engine shuts down.
        """
        if run_id in self._drivers:
            return self._drivers[run_id]
        async with self._locks.of("run", run_id):
            if run_id in self._drivers:
                return self._drivers[run_id]
            run = await self._store.run(run_id)
            if run is None or not run.is_active:
                return None
            course = await self.fold(run)
            self.refuse_when_closing()
            driver = self._make(course)
            self._adopt(driver)
            driver.start(*self._first_inputs(run, course))
            return driver

    def _first_inputs(self, run: Run, course: Course, *, taken: bool = False) -> tuple[Any, ...]:
        if run.status == "paused" or (run.status == "queued" and not taken):
            return ()
        if self._faults.get(run.id, 0) >= MAX_FAULTS:
            return (GiveUp("internal", "the run was stopped by a fault of the server"),)
        if isinstance(course, Answering):
            if "completion" not in run.options and self._app.agent(run.name) is None:
                return (GiveUp("agent_gone", f"agent {run.name!r} is no longer served"),)
            if run.options.get("resume") is False and run.id not in self._faults:
                return (Cancel("nobody is left who could fetch the answer"),)
            return (Recover(),)
        return self._flows.first_inputs(course)

    async def take(self, run_id: str) -> bool:
        """Begin a run that waits in the queue; False if there is nothing to do for it any more."""
        run = await self._store.run(run_id)
        if run is None or run.status not in ("queued", "running"):
            return False
        driver = await self.moving(run_id)
        if driver is None:
            return False
        if driver.course.state.status == "new":
            for given in self._first_inputs(run, driver.course, taken=True):
                driver.put(given)
        return True

    def misfit(self, course: FlowCourse) -> str | None:
        """Why a flow's run cannot go on with the code of today; None if it can."""
        return self._flows.misfit(course)

    async def cancel(self, run_id: str, reason: str) -> bool:
        """End the run; returns once its last event is committed. False if it had ended before."""
        driver = await self.moving(run_id)
        return driver is not None and await driver.cancel(reason)

    async def begin(self, run: Run, created: RunCreated, before: Sequence[Write]) -> Run:
        """Store a new run with the writes that make it, and drive it; gives it with its thread's number.

        Raises what `Store.commit` raises, and Unavailable where too many move; then nothing has happened.
        """
        self.refuse_when_full()
        self._beginning += 1
        try:
            async with self._locks.of("run", run.id):  # nobody may take up what is stored and not driven yet
                driver = self._make(self.course(run))
                start = await driver.begin(created, before)
                number = run.thread if run.thread != 0 else await self._number(run)
                driver.attach(replace(run, thread=number, last_seq=driver.course.state.last_seq))
                self._adopt(driver)
        finally:
            self._beginning -= 1
        start()
        return driver.run

    async def enqueue(self, run: Run, created: RunCreated, before: Sequence[Write]) -> Run:
        """Store a new run that waits until it is taken. Raises what `Store.commit` raises; then nothing has happened."""
        driver = self._make(self.course(run))
        await driver.enqueue(created, before)
        return replace(run, last_seq=driver.course.state.last_seq)

    async def _number(self, run: Run) -> int:
        """The number that the store gave the run's new thread."""
        try:
            stored = await self._store.run(run.id)
        except Exception:
            self._take_up_later(run)  # it is stored, so it must not be left without a driver
            raise
        if stored is None or stored.thread is None:
            raise NotFound("the thread was deleted in the same moment", code="not_found:thread")
        return stored.thread

    def _adopt(self, driver: Driver) -> None:
        """From now on this is the driver of its run, and its run the active one of its thread."""
        run = driver.run
        self._drivers[run.id] = driver
        if run.thread is not None:
            self.active[run.thread] = run.id

    def asides(self, tenant: str, owner: str, thread_id: str) -> list[str]:
        """The runs beside this thread that have nothing in it yet: those that move, and those that a fault holds up."""
        whose = (tenant, owner, thread_id)
        runs = [*(driver.run for driver in self._drivers.values()), *self._revivals.values()]
        return [run.id for run in runs if run.thread is None and (run.tenant, run.owner, run.thread_id) == whose]

    def known(self) -> set[str]:
        """The runs that move, or that are the active one of their thread."""
        return {*self._drivers, *self.active.values()}

    def abandon(self, run_id: str) -> None:
        """The run's rows are gone: stop its work, commit nothing more, and tell its readers."""
        driver = self._drivers.get(run_id)
        if driver is not None:
            driver.abandon()
        self._forget(run_id)

    async def fold(self, run: Run) -> Course:
        """The run as the journal says that it stands."""
        course, after = self.course(run), 0
        while events := await self._store.events(run.id, after=after):
            for event in events:
                course.see(event)
            after = events[-1].seq
        return course

    def course(self, run: Run) -> Course:
        """The run before its first event."""
        return self._flows.course(run) if "tree" in run.options else self._answering(run)

    def _answering(self, run: Run) -> Answering:
        options = run.options
        reasoning = bool(options.get("reasoning"))
        alone = options.get("completion")
        if alone is not None:
            agent, model = self._taken_up(alone["model"])
        else:
            agent = self._app.agent(run.name) or Agent(run.name, model=_nobody)
            model = self._models.get((run.name, reasoning))
        named = agent.reasoning_model if reasoning else agent.model
        rules = Rules(
            agent=agent,
            model_name=named if isinstance(named, str) else str(getattr(named, "name", agent.name)),
            executor=self.executor,
            permissions=options.get("permissions", {}),
            approvals=options.get("approvals", "ask"),
            client_tools=bool(options.get("client_tools")),
            forms=bool(options.get("forms")),
            searches=bool(options.get("knowledge")),
            hands_over=alone is not None,
            approval_ttl=float(options.get("approval_ttl", 24 * 3600.0)),
            new_id=lambda: new_id(self._clock()),
            now=self._clock,
        )
        return Answering(
            run,
            rules,
            model=model,
            store=self._store,
            max_seconds=float(options.get("max_seconds", 600.0)),
            files=self._files,
            knowledge=self._knowledge,
        )

    def asked_alone(self, model: str) -> Agent:
        """The bounds of a call that asks a model itself. Raises UsageError for a model that nobody knows."""
        self._model(model)
        return Agent("completion", model=model, max_rounds=1)

    def _model(self, name: str) -> Model:
        return as_model(name, self._app.models, self._resolve)

    def _taken_up(self, name: str) -> tuple[Agent, Model | None]:
        agent = Agent("completion", model=name, max_rounds=1)
        try:
            return agent, self._model(name)
        except UsageError:  # a process before this one knew it
            return agent, None

    def _make(self, course: Course) -> Driver:
        """A driver that is not running yet."""
        return Driver(
            course,
            store=self._store,
            feed=self._journal.feed(course.run.id),
            now=self._clock,
            on_exit=self._exited,
            on_asked=self._on_asked,
        )

    def refuse_when_closing(self) -> None:
        """Raises Unavailable (`closing`) once the engine shuts down."""
        if self._journal.closing:
            raise Unavailable("the server is shutting down", code="closing", retry_after=1.0)

    @property
    def count(self) -> int:
        """How many runs move."""
        return len(self._drivers) + self._beginning

    def refuse_when_full(self) -> None:
        """Raises Unavailable (`unavailable:runs`) if as many runs move as may."""
        if self._most is not None and self.count >= self._most:
            raise Unavailable("as many runs are under way as may be", code="unavailable:runs", retry_after=5.0)

    async def close(self, grace: float) -> None:
        """Stop all drivers; what they drove goes on when it is taken up again."""
        for task in self._revivals:
            task.cancel()
        closing = [asyncio.ensure_future(driver.close(grace)) for driver in list(self._drivers.values())]
        if waited_for := [*self._revivals, *closing]:
            await asyncio.wait(waited_for, timeout=grace + 1.0)

    # ------------------------------------------------------------------ endings and faults

    def _exited(self, driver: Driver, error: BaseException | None) -> None:
        run = driver.run
        if self._drivers.get(run.id) is driver:
            del self._drivers[run.id]
        state = driver.course.state
        self._on_idle(run.id, error is None and state.is_final and not state.active_since)
        if error is None:
            if state.is_final:
                self._ended(run)
        elif is_gone(error):
            self._forget(run.id)
        elif not isinstance(error, asyncio.CancelledError):
            self._take_up_later(run)

    def _ended(self, run: Run) -> None:
        self._faults.pop(run.id, None)
        if run.thread is not None and self.active.get(run.thread) == run.id:
            del self.active[run.thread]

    def _forget(self, run_id: str) -> None:
        self._faults.pop(run_id, None)
        for thread in [thread for thread, active in self.active.items() if active == run_id]:
            del self.active[thread]
        self._journal.feed(run_id).forget()

    def _take_up_later(self, run: Run) -> None:
        """Take a run up again, after a while, that a fault has left without a driver."""
        if self._journal.closing:
            return
        self._faults[run.id] = self._faults.get(run.id, 0) + 1
        task = asyncio.create_task(self._revive(run), name=f"revive {run.id}")
        self._revivals[task] = run
        task.add_done_callback(self._revivals.pop)

    async def _revive(self, run: Run) -> None:
        delay = min(_FIRST_DELAY * 2 ** self._faults[run.id], _LONGEST_DELAY)
        while True:
            await asyncio.sleep(delay)
            try:
                if await self.moving(run.id) is None:  # ended after all, or deleted beside us
                    self._ended(run)
                    self._journal.feed(run.id).forget()
                return
            except Exception:
                logger.exception("run could not be taken up again", extra={"run_id": run.id})
                delay = min(2 * delay, _LONGEST_DELAY)


async def _nobody(request: Any) -> AsyncIterator[str]:
    raise NotFound("the agent of this run is gone", code="agent_gone")
    yield ""
