"""How a turn becomes a run: checked, its thread made free, and stored in one commit.

What is refused leaves nothing behind. Everything here happens under the thread's lock, so
that questions and answers of one thread lie in turn.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from typing import Any

from dragoman.core import events as ev
from dragoman.core.errors import BadRequest, Conflict, Forbidden, LimitExceeded, NotFound, StaleWrite
from dragoman.core.ids import is_id, new_id
from dragoman.core.message_json import encode_messages
from dragoman.core.ports import Clock, Store
from dragoman.core.records import Item, Run, Thread
from dragoman.core.turns import NewThread, Started, Turn
from dragoman.core.writes import ChangeRun, Count, PutItem, PutRepeat, PutRun, PutThread, RemoveItems, Write
from dragoman.engine.agents import Agent
from dragoman.engine.app import App
from dragoman.engine.drivers import Drivers
from dragoman.engine.files import claims, holds
from dragoman.engine.journal import Journal
from dragoman.engine.locks import Locks
from dragoman.engine.repeats import Repeats


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked. `stored`: the message if the thread has it; `cut`: from which pos on the thread is dropped.

    `before`: the message as it was, whose run is about to lose it to another.
    """

    stored: Item | None = None
    cut: int | None = None
    before: Item | None = None


class Starting:
    """Accepts turns; `locks` are shared with whoever deletes threads."""

    def __init__(
        self, app: App, store: Store, journal: Journal, drivers: Drivers, locks: Locks, *, clock: Clock
    ) -> None:
        self._app = app
        self._store = store
        self._journal = journal
        self._drivers = drivers
        self._locks = locks
        self._clock = clock
        self._repeats = Repeats(store, journal, clock=clock)

    async def start(self, turn: Turn) -> Started:
        """See `core.ports.Engine.start`."""
        self._drivers.refuse_when_closing()
        turn, agent = self._completed(turn), self._agent(turn)
        if (known := await self._repeats.known(turn.repeat)) is not None:
            return known
        try:
            if turn.aside:
                return await self._begin_aside(turn, agent)
            async with self._in_turn(turn):
                while isinstance(outcome := await self._accept(turn, agent), Run):
                    await self._settled(outcome)
            return outcome
        except (StaleWrite, Conflict, LimitExceeded):  # the same turn, sent at once, may have been the first
            if (known := await self._repeats.known(turn.repeat)) is not None:
                return known
            raise

    def _agent(self, turn: Turn) -> Agent:
        if turn.completion is not None:
            return self._drivers.asked_alone(turn.completion.model)
        agent = self._app.agent(turn.agent)
        if agent is None:
            known = ", ".join(a.name for a in self._app.agents)
            if not known:
                raise BadRequest(f"app {self._app.name!r} has no agent that could answer", code="bad_request:agent")
            raise BadRequest(f"unknown agent {turn.agent!r}; known: {known}", code="bad_request:agent")
        return agent

    def _completed(self, turn: Turn) -> Turn:
        thread_id = turn.thread_id
        if thread_id is None and not turn.aside:
            thread_id = new_id(self._clock())
        if turn.aside:
            if turn.mode != "new" or turn.item is not None:
                raise BadRequest("a turn aside brings a new message", code="bad_request:input")
            approvals = "deny" if turn.approvals == "ask" else turn.approvals
            turn = replace(turn, approvals=approvals, client_tools=False, forms=False)
        if (turn.history or turn.completion is not None) and not (turn.aside and turn.thread_id is None):
            raise BadRequest("what was said before comes from the thread", code="bad_request:input")
        if (thread_id is not None and not is_id(thread_id)) or (
            turn.message_id is not None and not is_id(turn.message_id)
        ):
            raise BadRequest("ids have 1 to 128 letters, digits or . _ ~ : -", code="bad_request:input")
        if turn.mode in ("new", "edit") and not turn.parts:
            raise BadRequest("a message needs at least one part", code="bad_request:input")
        if turn.mode == "edit" and turn.message_id is None:
            raise BadRequest("an edit names the message that it replaces", code="bad_request:input")
        return replace(turn, thread_id=thread_id)

    def _in_turn(self, turn: Turn) -> AbstractAsyncContextManager[Any]:
        # those that wait keep their order among themselves, and leave the thread's lock to others meanwhile
        return self._locks.of("queue", turn.tenant, str(turn.thread_id)) if turn.busy == "queue" else nullcontext()

    async def _settled(self, run: Run) -> None:
        """Until the run has paused or ended."""
        tail = self._journal.tail(run.id, run.last_seq)
        while events := await tail.next():
            if isinstance(events[-1].body, ev.RunPaused):
                return

    async def _accept(self, turn: Turn, agent: Agent) -> Started | Run:
        """The new run, or what became of the same message before; a Run that is to be waited for."""
        async with self._locks.of("thread", turn.tenant, str(turn.thread_id)):
            if (
                known := await self._repeats.known(turn.repeat)
            ) is not None:  # before it is cancelled for its repetition
                return known
            thread = await self._thread(turn)
            if thread is not None and thread.owner != turn.owner:
                raise Forbidden("the thread belongs to somebody else", code="forbidden:thread")
            asked = await self._question(turn, thread)
            if isinstance(asked, Started):
                return asked
            await self._check_quota(turn)
            self._drivers.refuse_when_full()
            busy = await self._make_room(turn, thread) if thread is not None else None
            return busy if busy is not None else await self._begin(turn, agent, thread, asked)

    async def _thread(self, turn: Turn) -> Thread | None:
        """The owner's thread of this id, else somebody else's: that one is refused."""
        tenant, id = turn.tenant, str(turn.thread_id)
        found = await self._store.thread(tenant, id)
        if found is None or found.owner == turn.owner:
            return found
        return await self._store.thread(tenant, id, owner=turn.owner) or found

    # ------------------------------------------------------------------ what is asked

    async def _question(self, turn: Turn, thread: Thread | None) -> Started | _Question:
        if thread is None:
            if turn.mode != "new":
                raise NotFound(f"no thread has the id {turn.thread_id!r}", code="not_found:thread")
            return _Question()
        if turn.mode == "regenerate":
            question = await self._stored_question(turn, thread)
            return _Question(question, question.pos + 1, question)
        if turn.mode == "continue":
            return _Question()
        if turn.mode == "edit":
            old = await self._user_message(turn, thread)
            return _Question(None, old.pos, old)
        item = await self._store.item(thread.number, turn.message_id) if turn.message_id is not None else None
        if item is None:
            return _Question()
        if item.role != "user" or item.body != {"parts": list(turn.parts)}:
            raise Conflict(f"message {turn.message_id!r} exists with other content", code="conflict:message")
        run = await self._store.run(item.run) if item.run else None
        if run is not None and (run.status != "failed" or await self._has_later_question(thread, item)):
            return Started(run, "attached" if run.is_active else "answered")
        return _Question(item, item.pos + 1)

    async def _has_later_question(self, thread: Thread, item: Item) -> bool:
        later = await self._store.items(thread.number, after=item.pos, limit=1000)
        return later.more or any(one.role == "user" for one in later.rows)

    async def _user_message(self, turn: Turn, thread: Thread) -> Item:
        item = await self._store.item(thread.number, turn.message_id or "")
        if item is None or item.role != "user" or item.kind != "message":
            raise NotFound(f"no message of this thread has the id {turn.message_id!r}", code="not_found:message")
        return item

    async def _stored_question(self, turn: Turn, thread: Thread) -> Item:
        if turn.message_id is not None:
            return await self._user_message(turn, thread)
        before: int | None = None
        while True:
            page = await self._store.items(thread.number, before=before, limit=50, newest=True)
            for item in page.rows:
                if item.role == "user" and item.kind == "message":
                    return item
            if not page.more:
                raise NotFound("the thread has no message to answer", code="not_found:message")
            before = page.rows[-1].pos

    # ------------------------------------------------------------------ room for it

    async def _check_quota(self, turn: Turn) -> None:
        """Refuse what the commit would refuse anyway, before the thread's active run has to go."""
        quota, now = turn.quota, self._clock()
        if quota is None or quota.limit is None:
            return
        counter = await self._store.counter(turn.tenant, turn.owner, quota.name, now=now)
        if (counter.used if counter is not None else 0) >= quota.limit:
            raise LimitExceeded(
                f"the limit of {quota.limit} is used up", code="limit_exceeded", retry_after=quota.resets - now
            )

    async def _make_room(self, turn: Turn, thread: Thread) -> Run | None:
        """Settle the thread's active run as `busy` says; a Run that is to be waited for.

        One that waits for a human or a client is settled by any new message: that wait may take a day.
        """
        run_id = self._drivers.active.get(thread.number)
        run = await self._store.run(run_id) if run_id is not None else None
        if run is None or not run.is_active:
            return None
        if run.status != "paused":
            if turn.busy == "reject":
                raise Conflict("the thread is busy with another message", code="conflict:busy", run_id=run_id)
            if turn.busy == "queue":
                return run
        await self._drivers.cancel(run.id, "superseded")
        return None

    # ------------------------------------------------------------------ the new run

    async def _begin(self, turn: Turn, agent: Agent, thread: Thread | None, asked: _Question) -> Started:
        now = self._clock()
        self._drivers.refuse_when_closing()
        number = thread.number if thread is not None else 0
        message = None if turn.mode == "continue" else asked.stored or self._message(turn, now)
        asked_by = message.id if message is not None else None
        run = self._new_run(turn, agent, number, asked_by, now)
        before = _conditions(turn, run, now)
        before += await self._kept_question(asked.before)
        if thread is None:
            before.append(PutThread(_new_thread(turn, now)))
        if asked.cut is not None:
            before.append(RemoveItems(number, asked.cut))
        before += await claims(self._store, turn.tenant, turn.owner, turn.parts, number)
        if turn.item is not None:
            before.append(PutItem(number, turn.item, replace=True))
        if message is not None:
            before.append(PutItem(number, replace(message, run=run.id), replace=asked.stored is not None))
        before.append(PutRun(run))
        created = ev.RunCreated(run.kind, run.name, run.version, str(run.answer), turn.thread_id, asked_by)
        try:
            return Started(await self._drivers.begin(run, created, before), "started")
        except StaleWrite as stale:
            raise _refusal(stale, turn) from stale

    async def _kept_question(self, item: Item | None) -> list[Write]:
        """The run that has answered this message keeps it, for the thread keeps only what was asked last."""
        run = await self._store.run(item.run) if item is not None and item.run is not None else None
        if item is None or run is None or "parts" in run.input:
            return []
        return [ChangeRun(run.id, {"input": run.input | {"parts": item.body.get("parts", [])}})]

    async def _begin_aside(self, turn: Turn, agent: Agent) -> Started:
        """The new run beside the thread: its row has all that the thread is to get of it."""
        now, tenant, thread_id = self._clock(), turn.tenant, turn.thread_id
        thread = await self._store.thread(tenant, thread_id, owner=turn.owner) if thread_id is not None else None
        message = self._message(turn, now)
        if thread is not None and await self._store.item(thread.number, message.id) is not None:
            raise Conflict(f"message {message.id!r} exists already", code="conflict:message")
        await self._check_quota(turn)
        self._drivers.refuse_when_full()
        run = self._new_run(turn, agent, None, message.id, now)
        run.input["parts"] = message.body["parts"]
        if message.extra:
            run.input["extra"] = message.extra
        if turn.history:
            run.input["history"] = encode_messages(turn.history)
        if turn.completion is not None:
            run.options["completion"] = asdict(turn.completion)
        run.options["aside"] = True
        if turn.new_thread != NewThread():
            made = turn.new_thread
            kept = {
                "title": made.title,
                "visibility": made.visibility,
                "branch": made.branch,
                "metadata": made.metadata,
            }
            run.options["new_thread"] = kept
        if thread is not None:
            newest = await self._store.items(thread.number, limit=1, newest=True)
            run.options["upto"] = [thread.number, newest.rows[0].pos if newest.rows else 0]
        before = _conditions(turn, run, now)
        before += await holds(self._store, tenant, turn.owner, turn.parts, now + run.options["max_seconds"])
        created = ev.RunCreated(run.kind, run.name, run.version, str(run.answer), thread_id, message.id)
        return Started(await self._drivers.begin(run, created, [*before, PutRun(run)]), "started")

    def _message(self, turn: Turn, now: float) -> Item:
        parts = {"parts": list(turn.parts)}
        return Item(turn.message_id or new_id(now), "message", "user", now, parts, extra=turn.message_extra)

    def _new_run(self, turn: Turn, agent: Agent, number: int | None, message: str | None, now: float) -> Run:
        seconds = turn.max_seconds if agent.max_seconds is None else min(turn.max_seconds, agent.max_seconds)
        options: dict[str, Any] = {
            "reasoning": turn.reasoning,
            "instructions": list(turn.instructions),
            "permissions": dict(turn.permissions),
            "approvals": turn.approvals,
            "client_tools": turn.client_tools,
            "forms": turn.forms,
            "keep_failed": turn.keep_failed,
            "approval_ttl": turn.approval_ttl,
            "approval_reason": turn.approval_reason,
            "max_seconds": seconds,
        }
        if turn.knowledge and agent.knowledge:
            options["knowledge"] = True
        if not turn.resume:
            options["resume"] = False
        if turn.thread_ttl is not None:
            options["thread_ttl"] = turn.thread_ttl
        return Run(
            new_id(now),
            turn.tenant,
            turn.owner,
            turn.kind,
            turn.agent,
            now,
            version=self._app.version,
            thread=number,
            thread_id=turn.thread_id,
            face=turn.face,
            status="running",
            answer=new_id(now),
            input={
                **({"message": message} if message is not None else {}),
                **({"metadata": turn.metadata} if turn.metadata else {}),
            },
            options=options,
            executor=self._drivers.executor,
        )


def _new_thread(turn: Turn, now: float) -> Thread:
    made = turn.new_thread
    return Thread(
        str(turn.thread_id),
        turn.tenant,
        turn.owner,
        now,
        now,
        title=made.title,
        visibility=made.visibility,
        branch=made.branch,
        metadata=made.metadata,
        expires=now + turn.thread_ttl if turn.thread_ttl is not None else None,
    )


def _conditions(turn: Turn, run: Run, now: float) -> list[Write]:
    """What must hold for the run to begin; it comes first, so that a repetition counts and writes nothing."""
    conditions: list[Write] = []
    if turn.repeat is not None:
        conditions.append(PutRepeat(replace(turn.repeat, run=run.id)))
    if turn.quota is not None:
        quota = turn.quota
        conditions.append(Count(turn.tenant, turn.owner, quota.name, now, quota.resets, 1, quota.limit))
    return conditions


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
