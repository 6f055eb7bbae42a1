"""What each streaming operation asks of the engine: all checks first, then one turn or one decision.

The engine has committed it when an `Answer` is given; whatever is refused is refused before the thread changes. The
other half, reading the run, is the responder's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from dragoman.chatkit.actions import Action
from dragoman.chatkit.errors import BadTarget, NothingPending
from dragoman.chatkit.processing.structured import answered
from dragoman.chatkit.rows import HIDDEN_KINDS, item_of, item_row, moment, thread_id_of, thread_of
from dragoman.chatkit.store import AttachmentStore, NotFoundError
from dragoman.chatkit.texts import NOT_A_USER_MESSAGE
from dragoman.chatkit.types import (
    Attachment,
    InferenceOptions,
    StructuredInputItem,
    StructuredInputSubmission,
    ThreadItemDoneEvent,
    ThreadItemReplacedEvent,
    ThreadMetadata,
    ThreadStreamEvent,
    UserMessageInput,
    UserMessageItem,
)
from dragoman.core.errors import Conflict, NotFound
from dragoman.core.ids import canonical
from dragoman.core.ports import Engine
from dragoman.core.ports import Store as Rows
from dragoman.core.records import Item, Run, Thread
from dragoman.core.turns import Decision, Quota, Started, Turn
from dragoman.engine.locks import Locks
from dragoman.server.chatkit.deciding import call_of, decision_of, sayable, too_late
from dragoman.server.chatkit.following import calls_of, is_waiting
from dragoman.server.chatkit.rows_store import RowsStore
from dragoman.server.chatkit.turns import instructions_of, options_of

AgentOf: TypeAlias = Callable[[InferenceOptions], tuple[str, bool]]
"""What was picked in the composer → the agent, and whether its reasoning model is meant."""

QuotaOf: TypeAlias = Callable[[Any], Quota | None]
"""A context → the counter that a message of this caller moves on."""

Preferred: TypeAlias = Callable[[Turn], Awaitable[Turn]]
"""A turn → the turn as its owner wants it: instructions, and tools that may not run."""

ONE_AT_A_TIME = "not run: the client runs one tool at a time"
_RECENT = 20
"""How many of the newest items may hold a client tool call that waits for its output."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How turns are made; the words are those of `core.turns.Turn`."""

    agent_of: AgentOf
    busy: Literal["reject", "queue", "supersede"]
    approval_ttl: float
    max_seconds: float
    quota_of: QuotaOf | None = None
    preferred: Preferred | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the engine has accepted, and what its reader is told besides.

    `before` goes out before the stream's options, `told` behind them; then what happens in `run` behind `after`.
    `calls` are the tool calls that the run had made by then. Without a run nothing follows.
    """

    thread: Thread
    run: Run | None = None
    after: int = 0
    before: tuple[ThreadStreamEvent, ...] = ()
    told: tuple[ThreadStreamEvent, ...] = ()
    calls: Sequence[Item] = ()
    is_new: bool = False


class Operations:
    """The operations of one server on behalf of one caller."""

    def __init__(
        self,
        engine: Engine,
        rows: Rows,
        store: RowsStore[Any],
        files: AttachmentStore[Any] | None,
        rule: Rule,
        locks: Locks,
        context: Any,
        *,
        keep_failed: bool,
    ) -> None:
        self._engine = engine
        self._rows = rows
        self._store = store
        self._files = files
        self._rule = rule
        self._locks = locks
        self._context = context
        self._keep_failed = keep_failed

    async def thread(self, thread_id: str) -> Thread:
        """The caller's thread. Raises NotFoundError."""
        row = await self._store.find_thread(thread_id, self._context)
        if row is None:
            raise NotFoundError(f"Thread {thread_id} not found", code="not_found:thread")
        return row

    # ------------------------------------------------------------------- messages

    async def create(self, message: UserMessageInput) -> Answer:
        """A message that begins a thread."""
        thread = ThreadMetadata(id=self._store.generate_thread_id(self._context), created_at=datetime.now(UTC))
        item = await self._message(thread, message)
        return await self._ask(canonical(thread.id), item)

    async def add_message(self, row: Thread, message: UserMessageInput) -> Answer:
        """A message to a thread; what waited there for somebody is given up."""
        item = await self._message(thread_of(row), message)
        left = await self._waiting(row)
        answer = await self._ask(row.id, item)
        return replace(answer, is_new=False, told=await self._settled(row, left))

    async def _message(self, thread: ThreadMetadata, message: UserMessageInput) -> UserMessageItem:
        attachments = [await self._store.load_attachment(one, self._context) for one in message.attachments]
        await self._check(attachments)
        return UserMessageItem(
            id=self._store.generate_item_id("message", thread, self._context),
            thread_id=thread.id,
            created_at=moment(self._store.clock()),
            content=message.content,
            attachments=[one.model_copy(update={"thread_id": thread.id}) for one in attachments],
            quoted_text=message.quoted_text,
            inference_options=message.inference_options,
        )

    async def _check(self, attachments: list[Attachment]) -> None:
        """Raises what the attachment store says against one that was never uploaded."""
        check = getattr(self._files, "check", None)
        if attachments and check is not None:
            await check(attachments, self._context)

    async def _ask(self, thread_id: str, item: UserMessageItem) -> Answer:
        made = item_row(item)
        turn = replace(
            self._turn(thread_id, item.inference_options),
            message_id=made.id,
            parts=tuple(made.body["parts"]),
            message_extra=made.extra,
            instructions=instructions_of(item),
        )
        started = await self._start(turn)
        row = await self._stored(started)
        stored = await self._rows.item(row.number, made.id)
        shown = self._shown(row, stored) if stored is not None else item
        return Answer(row, started.run, started.after, before=(ThreadItemDoneEvent(item=shown),), is_new=True)

    async def retry(self, row: Thread, item_id: str) -> Answer:
        """Answer a message anew; everything behind it goes."""
        found = await self._store.find_item(row, item_id)
        if found is None:
            raise NotFoundError(f"Item {item_id} not found", code="not_found:item")
        item = self._shown(row, found)
        if not isinstance(item, UserMessageItem) or found.role != "user":
            raise BadTarget(NOT_A_USER_MESSAGE.format(item_id=item_id))
        turn = replace(
            self._turn(row.id, item.inference_options),
            mode="regenerate",
            message_id=found.id,
            instructions=instructions_of(item),
        )
        started = await self._start(turn)
        return Answer(row, started.run, started.after)

    # ------------------------------------------------------------------- going on

    async def go_on(self, row: Thread, item: Item | None = None) -> Answer:
        """Answer what the thread holds by now; `item` is stored with it, in place of what it was."""
        turn = replace(self._turn(row.id, await self._picked(row)), mode="continue", item=item, quota=None)
        started = await self._start(turn)
        return Answer(row, started.run, started.after)

    async def answer_questions(self, row: Thread, item_id: str, given: StructuredInputSubmission) -> Answer:
        """Answers to a structured input; only the first ones count."""
        async with self._locks.of("answers", row.tenant, row.id):
            found = await self._store.find_item(row, item_id)
            if found is None:
                raise NotFoundError(f"Item {item_id} not found", code="not_found:item")
            item = self._shown(row, found)
            if not isinstance(item, StructuredInputItem):
                raise BadTarget(f"Item {item_id!r} asks no questions: it is a {item.type}, not a structured_input")
            made = answered(item, given)
            answer = await self.go_on(row, item_row(made, existing=found))
        return replace(answer, told=(ThreadItemReplacedEvent(item=made),))

    async def add_output(self, row: Thread, output: Any) -> Answer:
        """The output of the newest client tool call that waits. Raises NothingPending."""
        output = sayable(output)
        async with self._locks.of("answers", row.tenant, row.id):
            page = await self._rows.items(row.number, limit=_RECENT, newest=True, without=HIDDEN_KINDS)
            calls = [item for item in page.rows if is_waiting(item) and _is_clients(item)]
            if not calls:
                raise NothingPending(f"No client tool call of thread {thread_id_of(row)} waits for an output")
            newest = calls[0]
            if newest.run is None:  # a server of the user's own had stored it
                body = {**newest.body, "state": "output-available", "output": output}
                return await self.go_on(row, replace(newest, body=body, extra=_completed(newest, output)))
            decisions = [Decision(call=newest.id, output=output, is_result=True)]
            decisions += [
                Decision(call=one.id, error=ONE_AT_A_TIME, is_result=True) for one in calls[1:] if one.run == newest.run
            ]
            answer = await self._decide(row, decisions)
        if answer is None:
            raise NothingPending(f"The client tool call {newest.id} has its output already")
        return answer

    async def act(self, row: Thread, item_id: str | None, action: Action[str, Any]) -> Answer:
        """Decide an approval or a form. The second time nothing changes, and a notice says so."""
        item = await call_of(self._store, row, item_id, action, self._context)
        decision = decision_of(item, action)
        answer = await self._decide(row, [decision]) if decision is not None else None
        if answer is not None:
            return answer
        now = await self._rows.item(row.number, item.id)
        return Answer(row, told=(too_late(now or item),))

    async def _decide(self, row: Thread, decisions: Sequence[Decision]) -> Answer | None:
        """None if somebody was quicker."""
        try:
            decided = await self._engine.decide(row.tenant, row.owner, row.id, decisions, by=row.owner, channel="reply")
        except Conflict as error:
            if error.code == "conflict:approval":
                return None
            raise
        except NotFound as error:
            raise NotFoundError(error.message, code=error.code) from error
        if decided.outcome == "repeated":
            return None
        calls = await calls_of(self._rows, row.number, decided.run.id)
        return Answer(row, decided.run, decided.after, calls=calls)

    # ------------------------------------------------------------------- turns

    def _turn(self, thread_id: str, options: InferenceOptions) -> Turn:
        tenant, owner = self._store.identify(self._context)
        agent, reasoning = self._rule.agent_of(options)
        return Turn(
            tenant,
            owner,
            agent,
            thread_id=thread_id,
            reasoning=reasoning,
            client_tools=True,
            forms=True,
            keep_failed=self._keep_failed,
            approval_ttl=self._rule.approval_ttl,
            busy=self._rule.busy,
            quota=self._rule.quota_of(self._context) if self._rule.quota_of is not None else None,
            face="chatkit",
            max_seconds=self._rule.max_seconds,
        )

    async def _start(self, turn: Turn) -> Started:
        if self._rule.preferred is not None:
            turn = await self._rule.preferred(turn)
        try:
            return await self._engine.start(turn)
        except Conflict as error:
            if error.code != "conflict:busy":
                raise
            text = "The thread is busy with another answer."
            raise Conflict(text, code="thread_busy", run_id=error.run_id, retry_after=1.0) from error
        except NotFound as error:
            raise NotFoundError(error.message, code=error.code) from error

    async def _stored(self, started: Started) -> Thread:
        row = await self._rows.thread_by_number(started.run.thread or 0)
        if row is None:
            raise NotFoundError("The thread was deleted in the same moment", code="not_found:thread")
        return row

    async def _picked(self, row: Thread) -> InferenceOptions:
        """What was picked for the latest message."""
        page = await self._rows.items(row.number, limit=_RECENT, newest=True)
        return options_of(next((one for one in page.rows if one.role == "user" and one.kind == "message"), None))

    async def _waiting(self, row: Thread) -> list[str]:
        """The calls of a paused run, which a new message gives up."""
        run = await self._engine.active_run(row)
        if run is None or run.status != "paused":
            return []
        return [item.id for item in await calls_of(self._rows, row.number, run.id) if is_waiting(item)]

    async def _settled(self, row: Thread, left: Sequence[str]) -> tuple[ThreadStreamEvent, ...]:
        """What has become of calls that were given up: their cards are not live any more."""
        items = [await self._rows.item(row.number, id) for id in left]
        return tuple(
            ThreadItemReplacedEvent(item=self._shown(row, item))
            for item in items
            if item is not None and not is_waiting(item)
        )

    def _shown(self, row: Thread, item: Item) -> Any:
        return item_of(item, thread_id_of(row), preview=self._store.previewing(self._context))


def _is_clients(item: Item) -> bool:
    return bool(item.body.get("client")) and not item.body.get("widget")


def _completed(item: Item, output: Any) -> dict[str, Any]:
    """What this dialect alone knows of a call, with its output."""
    kept = item.extra.get("chatkit")
    if not isinstance(kept, dict):
        return item.extra
    return {**item.extra, "chatkit": {**kept, "status": "completed", "output": output}}
