"""The driver of one run: takes what happened, asks the run's course, commits, then acts.

Everything that happens to a run goes through one inbox, so a run needs no locks. What has
gathered while a commit was under way becomes the next commit; an idle driver commits at once.
A paused run's driver goes to sleep for good (`parked`) and is made anew when it is needed. Knows neither
agents nor flows: what follows from what, and how it is done, is the `Course`'s.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from dragoman.core.errors import DragomanError, StaleWrite, Unavailable
from dragoman.core.events import Event, RunCreated
from dragoman.core.ports import Store
from dragoman.core.records import Run
from dragoman.core.turns import Decided
from dragoman.core.writes import PutApproval, Write
from dragoman.engine.asking import Answer, Asked, Channel, Decisions, refuse, settle
from dragoman.engine.course import Course, LastWrites, Work
from dragoman.engine.inputs import Begin, Cancel, Fact, GiveUp, StopWork
from dragoman.engine.journal import Feed

logger = logging.getLogger("dragoman.engine")

MAX_WAITING = 512
"""Pieces a model may be ahead of the journal before it has to wait."""


def is_gone(error: BaseException) -> bool:
    """Whether a commit failed because the run or its thread has been deleted."""
    return isinstance(error, StaleWrite) and error.what in ("run_gone", "thread_gone")


class Driver:
    """Executes one run. Whoever made it is told by `on_exit(driver, error)` when it stops, and by
    `on_asked()` when somebody must decide."""

    def __init__(
        self,
        course: Course,
        *,
        store: Store,
        feed: Feed,
        now: Callable[[], float],
        on_exit: Callable[[Driver, BaseException | None], None],
        on_asked: Callable[[], None],
    ) -> None:
        self.course = course
        self._store = store
        self._feed = feed
        self._now = now
        self._on_exit = on_exit
        self._on_asked = on_asked
        self._inbox: list[Any] = []
        self._wake = asyncio.Event()
        self._drained = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle_tasks: set[asyncio.Task[None]] = set()
        self._loop_task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False
        self._over = False

    @property
    def run(self) -> Run:
        """The run as it was when it was taken up."""
        return self.course.run

    @property
    def is_closing(self) -> bool:
        """Whether nothing more is begun here."""
        return self._closing

    # ------------------------------------------------------------------ from outside

    async def begin(self, created: RunCreated, before: Sequence[Write]) -> Callable[[], None]:
        """Commit the first events together with the writes that make the run, and give the start button.

        Raises whatever `Store.commit` raises; then nothing has happened.
        """
        events = self._number([Fact(created)], now := self._now())
        commands = self._decide(Begin(), events, now)
        await self._commit(before, events)

        def start() -> None:
            self._carry_out(commands)
            self.start()

        return start

    async def enqueue(self, created: RunCreated, before: Sequence[Write]) -> None:
        """Commit the first event together with the writes that make the run; it begins when it is told to."""
        await self._commit(before, self._number([Fact(created)], self._now()))

    def attach(self, run: Run) -> None:
        """Learn what the store gave the run: its thread's number."""
        self.course.run = run

    def start(self, *inputs: Any) -> None:
        """Run the loop, with these inputs first."""
        self._inbox.extend(inputs)
        self._set_timer()
        self._loop_task = asyncio.create_task(self._loop(), name=f"run {self.run.id}")

    def cancel(self, reason: str) -> asyncio.Future[bool]:
        """End the run; whether it was still active comes after the commit."""
        return self.ask(Cancel(reason))

    def decide(self, decisions: Decisions, *, by: str | None, channel: Channel) -> asyncio.Future[Decided]:
        """Decide pending calls; what became of it comes after the commit. Raises what `judge` raises."""
        self._refuse_when_closing()
        return self.ask(decisions, by, channel)

    def go_on(self, given: Any) -> asyncio.Future[Any]:
        """Give a paused run what it waits for; what became of it comes after the commit."""
        self._refuse_when_closing()
        return self.ask(given)

    def _refuse_when_closing(self) -> None:
        if self._closing:
            raise Unavailable("the server is shutting down", code="closing", retry_after=1.0)

    def ask(self, what: Any, by: str | None = None, channel: Channel = "side") -> asyncio.Future[Any]:
        """Put a request into the inbox; the course's answer comes behind the commit."""
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self._over:  # nobody would take it any more: a step's function that cleans up after its run has ended
            reply.set_exception(Unavailable("the run does not move here any more", retry_after=1.0))
        else:
            self.put(Asked(what, reply, by, channel))
        return reply

    def abandon(self) -> None:
        """The run was deleted beside us: stop, and commit nothing more."""
        if self._loop_task is not None:
            self._loop_task.cancel()

    async def close(self, grace: float) -> None:
        """Stop executing; the run goes on when it is taken up again.

        A tool or step that is under way gets `grace` seconds to finish, and then its result is kept.
        """
        self._closing = True
        for task in self._idle_tasks:
            task.cancel()
        await self._flush()  # a tool call that is on its way into the journal as begun does begin
        if working := self._tasks - self._idle_tasks:
            await asyncio.wait(working, timeout=grace)
            await self._flush()
        self._stop_work()
        tasks = [*self._tasks, *([self._loop_task] if self._loop_task else [])]
        if self._loop_task is not None:
            self._loop_task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _flush(self) -> None:
        """Until everything that has gathered so far is committed; a fault of the store ends it too."""
        if self._loop_task is not None and not self._loop_task.done():
            with suppress(DragomanError):
                await self.ask(None)  # it is answered behind the commit of its batch

    # ------------------------------------------------------------------ the loop

    def put(self, given: Any) -> None:
        """Put an input into the inbox."""
        self._inbox.append(given)
        self._wake.set()

    async def breathe(self) -> None:
        """Let others run: work that never suspends would starve every other run; what is far ahead waits for the
        journal."""
        if len(self._inbox) >= MAX_WAITING or len(self._inbox) == 1:
            await asyncio.sleep(0)
            while len(self._inbox) >= MAX_WAITING:
                self._drained.clear()
                await self._drained.wait()

    async def _loop(self) -> None:
        error: BaseException | None = None
        state = self.course.state
        try:
            while not state.is_final:
                if not self._inbox:
                    if state.status in ("paused", "new") and not self._tasks:
                        return  # parked: nothing can happen but what comes from outside
                    self._wake.clear()
                    await self._wake.wait()
                batch, self._inbox = self._inbox, []
                self._drained.set()
                await self._step(batch)
        except asyncio.CancelledError as cancelled:
            error = cancelled
            if not self._closing:
                raise
        except Exception as failure:
            error = failure
            if is_gone(failure):
                logger.info("run was deleted while it moved", extra={"run_id": self.run.id})
            else:
                logger.exception("run stopped by a fault", extra={"run_id": self.run.id})
        finally:
            self._over = True
            self._stop_work()
            # in one go with the check of the inbox above, so that no request falls between
            self._on_exit(self, error)
            if error is not None:
                refuse(self._inbox, error)
            else:
                settle([self._take(left)[1] for left in self._inbox if isinstance(left, Asked)])

    async def _step(self, batch: Sequence[Any]) -> None:
        """One commit: number what follows from the batch, store it, show it, answer, act."""
        events: list[Event] = []
        commands: list[Any] = []
        answers: list[Answer] = []
        writes: Sequence[Write] = ()
        now = self._now()
        try:
            for given in batch:
                taken = given
                if isinstance(given, Asked):
                    taken, answer = self._take(given)
                    answers.append(answer)
                if taken is not None:
                    commands += self._decide(taken, events, now)
            if events:
                writes = await self._commit((), events)
        except BaseException as error:
            refuse(batch, error)
            raise
        settle(answers)
        if any(isinstance(write, PutApproval) for write in writes):
            self._on_asked()
        self._carry_out(commands)
        self._set_timer()

    def _take(self, asked: Asked) -> tuple[Any, Answer]:
        """The input that a request amounts to, if any, and what to answer once that is stored."""
        if asked.what is None:
            return None, (asked.reply, None)
        try:
            taken, value = self.course.admit(asked)
        except DragomanError as refused:
            return None, (asked.reply, refused)
        return taken, (asked.reply, value)

    def _decide(self, given: Any, events: list[Event], now: float) -> Sequence[Any]:
        """Number what follows from an input; the commands to carry out once it is stored."""
        outcome = self.course.decide(given)
        events += self._number(outcome.facts, now)
        if outcome.then is None:
            return outcome.commands
        commands = outcome.commands
        while outcome.then is not None:
            outcome = self.course.decide(outcome.then)
            events += self._number(outcome.facts, now)
            commands += outcome.commands
        return commands

    def _number(self, facts: Sequence[Fact], now: float) -> list[Event]:
        events: list[Event] = []
        course, run = self.course, self.run.id
        for fact in facts:
            event = Event(run, course.state.last_seq + 1, now, fact.body, fact.step)
            course.evolve(event)
            events.append(event)
        return events

    async def _commit(self, before: Sequence[Write], events: Sequence[Event]) -> Sequence[Write]:
        """Store the events and what follows from them, then show them."""
        writes = [*before, *self.course.writes(events)]
        is_final = self.course.state.is_final
        last = await self.course.last_writes(events) if is_final else LastWrites()
        writes += last.writes
        await self._store.commit(*writes)
        if last.was is not None:
            self._feed.seal(last.was)
            self._feed = Feed(self.run.id)  # all that the run has said is its readers' to hold
        else:
            self._feed.publish(events, final=is_final)
        return writes

    # ------------------------------------------------------------------ doing

    def _carry_out(self, commands: Sequence[Any]) -> None:
        for command in commands:
            if isinstance(command, StopWork):
                self._stop_work()
                continue
            work = self.course.work(command, self)
            if work.idle and self._closing:
                work.coroutine.close()  # whoever takes the run up does it
            else:
                self._spawn(work)

    def _spawn(self, work: Work) -> None:
        task = asyncio.create_task(work.coroutine)
        self._tasks.add(task)
        if work.idle:
            self._idle_tasks.add(task)
        task.add_done_callback(partial(self._done, work.lost))

    def _done(self, lost: Any, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._idle_tasks.discard(task)
        if (task.cancelled() or task.exception() is not None) and not self._closing:
            self._inbox.append(lost)
        self._wake.set()

    def _stop_work(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set_timer(self) -> None:
        state, most = self.course.state, self.course.max_seconds
        if state.status != "running" or most is None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        elif self._timer is None:
            left = state.active_since + most - self._now()
            late = GiveUp("timeout", f"the run took longer than {most:g} seconds")
            self._timer = asyncio.get_running_loop().call_later(max(0.0, left), self.put, late)
