"""The driver of one run: takes what happened, asks the reducer, commits, then acts.

Everything that happens to a run goes through one inbox, so a run needs no locks. What has
gathered while a commit was under way becomes the next commit; an idle driver commits at once.
A paused run's driver goes to sleep for good (`parked`) and is made anew when it is needed.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from dragoman.core.errors import (
    DragomanError,
    PolicyError,
    RemoteError,
    StaleWrite,
    TransportError,
    Unavailable,
    UsageError,
)
from dragoman.core.events import Event, RunCreated
from dragoman.core.messages import ModelFinish, ModelRequest
from dragoman.core.ports import Decided, Model, Store
from dragoman.core.records import PutApproval, Run, Write
from dragoman.core.redact import redact_text
from dragoman.engine.asking import Answer, Asked, Channel, Decisions, refuse, settle
from dragoman.engine.conversation import conversation
from dragoman.engine.decisions import judge
from dragoman.engine.inputs import (
    Begin,
    CallModel,
    Cancel,
    Command,
    Decide,
    Fact,
    GiveUp,
    Heard,
    Input,
    ModelEnded,
    ModelFailed,
    Rules,
    RunTool,
    StopWork,
    ToolRaised,
    ToolReturned,
)
from dragoman.engine.journal import Feed
from dragoman.engine.pieces import Pieces
from dragoman.engine.projection import Projector
from dragoman.engine.reducer import decide
from dragoman.engine.state import RunState, evolve
from dragoman.engine.tools import ToolContext

logger = logging.getLogger("dragoman.engine")

_TOLD = (RemoteError, TransportError, PolicyError)
"""What a provider or the network did: the text says it all, and a traceback would only bury it."""

MAX_WAITING = 512
"""Pieces a model may be ahead of the journal before it has to wait."""

CONTEXT_ITEMS = 2000
"""How many of a thread's newest items a model is given at most."""


def is_gone(error: BaseException) -> bool:
    """Whether a commit failed because the run or its thread has been deleted."""
    return isinstance(error, StaleWrite) and error.what in ("run_gone", "thread_gone")


class Driver:
    """Executes one run. Whoever made it is told by `on_exit(driver, error)` when it stops, and by
    `on_asked()` when somebody must decide."""

    def __init__(
        self,
        run: Run,
        state: RunState,
        projector: Projector,
        rules: Rules,
        *,
        model: Model | None,
        store: Store,
        feed: Feed,
        max_seconds: float,
        on_exit: Callable[[Driver, BaseException | None], None],
        on_asked: Callable[[], None],
    ) -> None:
        self.run = run
        self.state = state
        self._projector = projector
        self._rules = rules
        self._model = model
        self._store = store
        self._feed = feed
        self._max_seconds = max_seconds
        self._on_exit = on_exit
        self._on_asked = on_asked
        self._inbox: list[Input | Asked] = []
        self._wake = asyncio.Event()
        self._drained = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._model_tasks: set[asyncio.Task[None]] = set()
        self._loop_task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False

    # ------------------------------------------------------------------ from outside

    async def begin(self, created: RunCreated, before: Sequence[Write]) -> Callable[[], None]:
        """Commit the first events together with the writes that make the run, and give the start button.

        Raises whatever `Store.commit` raises; then nothing has happened.
        """
        outcome = decide(self.state, Begin(), self._rules)
        now = self._rules.now()
        events = self._number([Fact(created), *outcome.facts], now)
        await self._store.commit(*before, *self._projector.writes(self.state, events))
        self._feed.publish(events, final=self.state.is_final)

        def start() -> None:
            self._carry_out(outcome.commands)
            self.start()

        return start

    def attach(self, run: Run) -> None:
        """Learn what the store gave the run: its thread's number."""
        self.run = self._projector.run = run

    def start(self, *inputs: Input) -> None:
        """Run the loop, with these inputs first."""
        self._inbox.extend(inputs)
        self._set_timer()
        self._loop_task = asyncio.create_task(self._loop(), name=f"run {self.run.id}")

    def cancel(self, reason: str) -> asyncio.Future[bool]:
        """End the run; whether it was still active comes after the commit."""
        return self._ask(Cancel(reason))

    def decide(self, decisions: Decisions, *, by: str | None, channel: Channel) -> asyncio.Future[Decided]:
        """Decide pending calls; what became of it comes after the commit. Raises what `judge` raises."""
        if self._closing:
            raise Unavailable("the server is shutting down", code="closing", retry_after=1.0)
        return self._ask(decisions, by, channel)

    def _ask(self, what: Decisions | Cancel, by: str | None = None, channel: Channel = "side") -> asyncio.Future[Any]:
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._put(Asked(what, reply, by, channel))
        return reply

    def abandon(self) -> None:
        """The run was deleted beside us: stop, and commit nothing more."""
        if self._loop_task is not None:
            self._loop_task.cancel()

    async def close(self, grace: float) -> None:
        """Stop executing; the run goes on when it is taken up again.

        A tool that is under way gets `grace` seconds to finish, and then its result is kept.
        """
        self._closing = True
        for task in self._model_tasks:
            task.cancel()
        await self._flush()  # a tool call that is on its way into the journal as begun does begin
        if tools := self._tasks - self._model_tasks:
            await asyncio.wait(tools, timeout=grace)
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
                await self._ask(())  # it is answered behind the commit of its batch

    # ------------------------------------------------------------------ the loop

    def _put(self, given: Input | Asked) -> None:
        self._inbox.append(given)
        self._wake.set()

    async def _loop(self) -> None:
        error: BaseException | None = None
        try:
            while not self.state.is_final:
                if not self._inbox:
                    if self.state.status == "paused" and not self._tasks:
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
            self._stop_work()
            # in one go with the check of the inbox above, so that no request falls between
            self._on_exit(self, error)
            if error is not None:
                refuse(self._inbox, error)
            else:
                settle([self._take(left)[1] for left in self._inbox if isinstance(left, Asked)])

    async def _step(self, batch: Sequence[Input | Asked]) -> None:
        """One commit: number what follows from the batch, store it, show it, answer, act."""
        events: list[Event] = []
        commands: list[Command] = []
        answers: list[Answer] = []
        writes: Sequence[Write] = ()
        now = self._rules.now()
        try:
            for given in batch:
                taken: Input | None
                if isinstance(given, Asked):
                    taken, answer = self._take(given)
                    answers.append(answer)
                else:
                    taken = given
                if taken is not None:
                    outcome = decide(self.state, taken, self._rules)
                    events += self._number(outcome.facts, now)
                    commands += outcome.commands
            if events:
                writes = self._projector.writes(self.state, events)
                await self._store.commit(*writes)
        except BaseException as error:
            refuse(batch, error)
            raise
        if events:
            self._feed.publish(events, final=self.state.is_final)
        settle(answers)
        if any(isinstance(write, PutApproval) for write in writes):
            self._on_asked()
        self._carry_out(commands)
        self._set_timer()

    def _take(self, asked: Asked) -> tuple[Input | None, Answer]:
        """The input that a request amounts to, if any, and what to answer once that is stored."""
        what = asked.what
        if isinstance(what, Cancel):
            return what, (asked.reply, not self.state.is_final)
        try:
            judgement = judge(self.state, self._rules.agent, what)
        except DragomanError as refused:
            return None, (asked.reply, refused)
        calls = tuple(call for call, _ in what)
        if not judgement.accepted:
            return None, (asked.reply, Decided(self.run, "repeated", calls, judgement.repeated_since))
        after = min(self.state.last_seq, judgement.repeated_since)
        decided = Decided(self.run, "accepted", calls, after)
        return Decide(judgement.accepted, asked.by, asked.channel), (asked.reply, decided)

    def _number(self, facts: Sequence[Fact], now: float) -> list[Event]:
        events: list[Event] = []
        for fact in facts:
            event = Event(self.run.id, self.state.last_seq + 1, now, fact.body, fact.step)
            evolve(self.state, event)
            events.append(event)
        return events

    # ------------------------------------------------------------------ doing

    def _carry_out(self, commands: Sequence[Command]) -> None:
        for command in commands:
            match command:
                case StopWork():
                    self._stop_work()
                case CallModel() if self._closing:
                    pass  # whoever takes the run up calls it
                case CallModel():
                    lost: Input = ModelFailed("model_error", "the model call was cancelled")
                    self._model_tasks.add(self._spawn(self._call_model(), lost))
                case RunTool(call=call):
                    self._spawn(self._run_tool(call), ToolRaised(call, "the tool was cancelled"))

    def _spawn(self, work: Coroutine[Any, Any, None], lost: Input) -> asyncio.Task[None]:
        """`lost` is what happened if the work ends without telling: users' code may raise CancelledError itself."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(partial(self._done, lost))
        return task

    def _done(self, lost: Input, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._model_tasks.discard(task)
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
        if self.state.status != "running":
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        elif self._timer is None:
            left = self.state.active_since + self._max_seconds - self._rules.now()
            late = GiveUp("timeout", f"the run took longer than {self._max_seconds:g} seconds")
            self._timer = asyncio.get_running_loop().call_later(max(0.0, left), self._put, late)

    async def _call_model(self) -> None:
        try:
            if self._model is None:
                raise UsageError(f"agent {self.run.name!r} is gone", code="agent_gone")
            request = await self._request()
            stream = self._model.stream(request)
            finish = ModelFinish()
            pieces = Pieces(self._rules.new_id)
            try:
                async for piece in stream:
                    if isinstance(piece, ModelFinish):
                        finish = piece
                        continue
                    self._put(Heard(pieces.take(piece)))
                    if len(self._inbox) >= MAX_WAITING or len(self._inbox) == 1:
                        await self._yield()
            finally:
                aclose = getattr(stream, "aclose", None)
                if aclose is not None:
                    await aclose()
            self._put(ModelEnded(finish.reason))
        except Exception as error:
            self._put(self._model_failure(error))

    async def _yield(self) -> None:
        # a model that never suspends would starve every other run; one that is far ahead waits for the journal
        await asyncio.sleep(0)
        while len(self._inbox) >= MAX_WAITING:
            self._drained.clear()
            await self._drained.wait()

    def _model_failure(self, error: Exception) -> ModelFailed:
        ref = secrets.token_hex(6)
        ours = error if isinstance(error, DragomanError) else None
        text = redact_text(ours.message if ours is not None else str(error) or type(error).__name__)
        extra = {"run_id": self.run.id, "ref": ref, "model": self._rules.model_name, "error": text}
        logger.warning("model call failed", exc_info=None if isinstance(error, _TOLD) else error, extra=extra)
        if ours is not None:
            return ModelFailed(ours.code or "model_error", text, ours.retryable, ref)
        return ModelFailed("model_error", text, False, ref)

    async def _request(self) -> ModelRequest:
        run, agent = self.run, self._rules.agent
        items: Sequence[Any] = ()
        if run.thread is not None:
            page = await self._store.items(run.thread, limit=CONTEXT_ITEMS, newest=True)
            items = page.rows[::-1]
        return ModelRequest(
            model=self._rules.model_name,
            messages=conversation(items),
            instructions="\n\n".join(
                text for text in (agent.instructions, *run.options.get("instructions", ())) if text
            ),
            tools=tuple(tool.spec for tool in agent.tools.values() if self._rules.offers(tool)),
            options=agent.options,
            run_id=run.id,
        )

    async def _run_tool(self, call_id: str) -> None:
        call = self.state.calls[call_id]
        made = self._rules.agent.tools.get(call.name)
        try:
            if made is None:
                raise UsageError(f"tool {call.name!r} is gone")
            context = ToolContext(self.run.id, call_id, self.run.tenant, self.run.owner, call.answers)
            self._put(ToolReturned(call_id, await made.invoke(call.input, context)))
        except Exception as error:
            logger.warning("tool failed", exc_info=error, extra={"run_id": self.run.id, "tool": call.name})
            self._put(ToolRaised(call_id, redact_text(str(error) or type(error).__name__)))
