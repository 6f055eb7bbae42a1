"""`ModelChatKitServer`: models and tools of ours behind the wire of ChatKit.

Whatever asks for an answer becomes a turn or a decision of the engine (`operations`), which has committed it before the
first event goes out; the stream is a reading of the run's journal. Threads, items and attachments are rows that every
face shares. JSON operations and actions of the user's own are those of `ChatKitServer`.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, Literal, Self, TypeAlias, TypeVar, assert_never, cast

from dragoman.chatkit.actions import Action
from dragoman.chatkit.errors import NotSupported
from dragoman.chatkit.processing.frames import FrameEncoder
from dragoman.chatkit.rows import thread_of
from dragoman.chatkit.server import ChatKitServer
from dragoman.chatkit.store import AttachmentStore, TContext
from dragoman.chatkit.translate import StreamTranslator
from dragoman.chatkit.types import (
    AssistantMessageContent,
    AssistantMessageItem,
    HiddenContextItem,
    NonStreamingReq,
    StreamingReq,
    StreamOptionsEvent,
    ThreadCreatedEvent,
    ThreadItemDoneEvent,
    ThreadMetadata,
    ThreadsAddClientToolOutputReq,
    ThreadsAddStructuredInputReq,
    ThreadsAddUserMessageReq,
    ThreadsCreateReq,
    ThreadsCustomActionReq,
    ThreadsDeleteReq,
    ThreadsRetryAfterItemReq,
    ThreadStreamEvent,
    ThreadUpdatedEvent,
    UserMessageItem,
    WidgetItem,
)
from dragoman.core.errors import UsageError
from dragoman.core.ports import Engine
from dragoman.core.records import Thread
from dragoman.engine.agents import Agent, ModelLike
from dragoman.engine.locks import Locks
from dragoman.engine.tools import Tool, form, tool
from dragoman.server.chatkit.deciding import DECIDING
from dragoman.server.chatkit.finishing import Title, finish
from dragoman.server.chatkit.following import follow
from dragoman.server.chatkit.operations import AgentOf, Answer, Operations, Preferred, QuotaOf, Rule
from dragoman.server.chatkit.owned import OwnEngine
from dragoman.server.chatkit.rows_store import RowsStore

Frames: TypeAlias = AsyncGenerator[ThreadStreamEvent | bytes, None]
Handler: TypeAlias = Callable[[ThreadMetadata, Action[str, Any], WidgetItem | None, Any], Any]
"""What reacts to an action: an async generator of events, or a coroutine that gives one event, a list or None."""

approve, ask_form = tool, form
"""A tool that asks before it runs, and a form that waits for its values, by the names that ChatKit's users know."""

H = TypeVar("H", bound=Handler)
OnDisconnect: TypeAlias = Literal["auto", "cancel", "continue"]


class ModelChatKitServer(ChatKitServer[TContext]):
    """A `ChatKitServer` whose answers are runs of an agent.

    By itself it has one agent, made of `model`, `tools` and `instructions` or given whole, and an engine over the
    store's own directory; let go of it with `aclose`. `over` puts it on an engine that is there. Both need a store
    that stands on rows: `SQLiteStore`, or the server's.

    `title` names threads that have no name yet, before their first stream ends (see `finishing.Title`). A stream that
    is closed early cancels its answer where the user may stop it (`get_stream_options`), else the answer goes on;
    `on_disconnect` forces one. `busy` is for a message that comes while another is answered. `expose` sends the text of
    failures to the client.
    """

    manages_runs = True

    def __init__(
        self,
        store: RowsStore[TContext],
        *,
        model: ModelLike | None = None,
        tools: Sequence[Tool | Callable[..., Any]] = (),
        instructions: str = "",
        agent: Agent | None = None,
        attachment_store: AttachmentStore[TContext] | None = None,
        title: Title | None = None,
        on_disconnect: OnDisconnect = "auto",
        busy: Literal["reject", "queue", "supersede"] = "reject",
        expose: bool = False,
        approval_ttl: float = 24 * 3600.0,
        max_seconds: float = 600.0,
        engine: Engine | None = None,
        agent_of: AgentOf | None = None,
        quota_of: QuotaOf | None = None,
        preferred: Preferred | None = None,
    ) -> None:
        super().__init__(store, attachment_store)
        if not isinstance(store, RowsStore):
            raise UsageError(f"{type(self).__name__} needs a store over rows such as SQLiteStore, got {store!r}")
        self.rows_store = store
        self._title = title
        self._on_disconnect = on_disconnect
        self._expose = expose
        self._handlers: dict[str, Handler] = {}
        self._locks = Locks()
        self._engine = engine
        self._own: OwnEngine | None = None
        if engine is None:
            agent = agent if agent is not None else _agent(model, tools, instructions)
            self._own = OwnEngine(agent, store, getattr(attachment_store, "blobs", None))
        name = agent.name if agent is not None else ""
        self._rule = Rule(
            agent_of or (lambda options: (name, False)), busy, approval_ttl, max_seconds, quota_of, preferred
        )

    @classmethod
    def over(
        cls, engine: Engine, store: RowsStore[TContext], *, agent_of: AgentOf, **options: Any
    ) -> ModelChatKitServer[TContext]:
        """One over an engine that is there; `options` as for the class, and whoever serves it says when a closed
        stream means that its answer is cancelled."""
        given: dict[str, Any] = {"engine": engine, "agent_of": agent_of, "on_disconnect": "cancel"}
        return cls(store, **given | options)

    async def engine(self) -> Engine:
        """The engine beneath; an own one is opened now if nobody has asked before."""
        if self._engine is not None:
            return self._engine
        return await cast("OwnEngine", self._own).engine()

    async def aclose(self) -> None:
        """Stop the own engine; its runs go on when the store is opened again. The store stays open."""
        if self._own is not None:
            await self._own.aclose()

    async def __aenter__(self) -> Self:
        await self.engine()
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.aclose()

    # ------------------------------------------------------------------------- for users

    def on_action(self, type: str) -> Callable[[H], H]:
        """A decorator: the function reacts to actions of this type, with what `action` gets."""
        if type in DECIDING:
            raise UsageError(f"actions of type {type!r} belong to approvals and forms")

        def keep(handler: H) -> H:
            self._handlers[type] = handler
            return handler

        return keep

    def reply(self, thread: ThreadMetadata, text: str) -> ThreadItemDoneEvent:
        """An event that says `text` in the assistant's name, to be yielded by an action."""
        id = self.store.generate_item_id("message", thread, cast("TContext", None))
        content = [AssistantMessageContent(text=text)]
        created = datetime.now(UTC)
        item = AssistantMessageItem(id=id, thread_id=thread.id, created_at=created, content=content)
        return ThreadItemDoneEvent(item=item)

    async def hide(self, thread: ThreadMetadata, text: str, context: TContext) -> HiddenContextItem:
        """Tell the model something that the user does not see."""
        id = self.store.generate_item_id("message", thread, context)
        item = HiddenContextItem(id=id, thread_id=thread.id, created_at=datetime.now(UTC), content=text)
        await self.store.add_thread_item(thread.id, item, context=context)
        return item

    async def respond(  # type: ignore[override]  # its frames are passed on, which the base does not declare
        self, thread: ThreadMetadata, input_user_message: UserMessageItem | None, context: TContext
    ) -> AsyncIterator[bytes]:
        """The agent's answer to what the thread holds by now, for an action to pass on: the frames of its events.

        With a message the answer is to that one, and what lies behind it goes.
        """
        work = await self._operations(context)
        row = await work.thread(thread.id)
        if input_user_message is None:
            answer = await self._unbroken(row.id, work.go_on(row), context)
        else:
            answer = await self._unbroken(row.id, work.retry(row, input_user_message.id), context)
        encode = FrameEncoder(self._serialize)
        async with aclosing(self._events(answer, context, options=False)) as events:
            async for event in events:
                yield event if isinstance(event, bytes) else encode(event)

    async def action(
        self, thread: ThreadMetadata, action: Action[str, Any], sender: WidgetItem | None, context: TContext
    ) -> AsyncIterator[ThreadStreamEvent]:
        """What `on_action` has for this type. Override it for a dispatch of your own."""
        handler = self._handlers.get(action.type)
        if handler is None:
            raise NotSupported(f"Nothing reacts to actions of type {action.type!r}.")
        made = handler(thread, action, sender, context)
        if inspect.isawaitable(made):
            made = await made
        if hasattr(made, "__aiter__"):
            async for event in made:
                yield event
        elif made is not None:
            for event in made if isinstance(made, list | tuple) else [made]:
                yield event

    # ------------------------------------------------------------------------- requests

    async def _process_non_streaming(self, request: NonStreamingReq, context: TContext) -> bytes:
        if isinstance(request, ThreadsDeleteReq):
            engine = await self.engine()
            row = await self.rows_store.find_thread(request.params.thread_id, context)
            run = await engine.active_run(row) if row is not None else None
            if run is not None:
                await engine.cancel(run.id, reason="deleted")
        return await super()._process_non_streaming(request, context)

    async def _process_streaming_impl(self, request: StreamingReq, context: TContext) -> Frames:
        if isinstance(request, ThreadsCustomActionReq) and request.params.action.type not in DECIDING:
            self._refuse_unknown(request.params.action.type)
            events = super()._process_streaming_impl(request, context)
        else:
            events = self._answered(request, context)
        async with aclosing(events):
            async for event in events:
                yield event

    def _refuse_unknown(self, type: str) -> None:
        """Raises NotSupported where nobody reacts, as long as it can be a status."""
        if self.__class__.action is ModelChatKitServer.action and type not in self._handlers:
            raise NotSupported(f"Nothing reacts to actions of type {type!r}.")

    async def _answered(self, request: StreamingReq, context: TContext) -> Frames:
        work = await self._operations(context)
        if isinstance(request, ThreadsCreateReq):
            asked, key = work.create(request.params.input), ""
        else:
            row = await work.thread(request.params.thread_id)
            key = row.id
            await self.cleanups.settled(key)
            asked = _asked(work, row, request)
        answer = await self._unbroken(key, asked, context)
        if answer.run is not None:
            self.tell_run(request, answer.run.id)
        async with aclosing(self._events(answer, context)) as events:
            async for event in events:
                yield event

    async def _operations(self, context: TContext) -> Operations:
        engine, rows = await self.engine(), await self.rows_store.rows()
        return Operations(
            engine,
            rows,
            self.rows_store,
            self.attachment_store,
            self._rule,
            self._locks,
            context,
            keep_failed=self.persist_on_error,
        )

    async def _unbroken(self, key: str, asked: Coroutine[Any, Any, Answer], context: TContext) -> Answer:
        """What was asked is accepted wholly or not at all; a caller that has gone meanwhile has left its answer."""
        asking = asyncio.ensure_future(asked)
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:
            await self.cleanups.run(key, self._left_early(asking, context))
            raise

    async def _left_early(self, asking: asyncio.Future[Answer], context: TContext) -> None:
        await asyncio.wait((asking,))
        if not asking.cancelled() and asking.exception() is None:
            await self._left(asking.result(), context)

    async def _events(self, answer: Answer, context: TContext, *, options: bool = True) -> Frames:
        thread = thread_of(answer.thread)
        translator: StreamTranslator | None = None
        try:
            if answer.is_new:
                yield ThreadCreatedEvent(thread=self._to_thread_response(thread))
            for event in answer.before:
                yield event
            if options:
                yield StreamOptionsEvent(stream_options=self.get_stream_options(thread, context))
            for event in answer.told:
                yield event
            if answer.run is None:
                return
            translator = StreamTranslator(
                answer.run.id,
                thread.id,
                calls=answer.calls,
                expose=self._expose,
                keeps_failed=bool(answer.run.options.get("keep_failed", True)),
                preview=self.rows_store.previewing(context),
            )
            async with aclosing(follow(await self.engine(), answer.run.id, translator, after=answer.after)) as events:
                async for told in events:
                    yield told
            named = await finish(await self.rows_store.rows(), answer.thread.number, self._title, context)
            if named is not None:
                yield ThreadUpdatedEvent(thread=self._to_thread_response(named))
        except (asyncio.CancelledError, GeneratorExit):
            if translator is None or not translator.done:  # else the run is over, or somebody else's by now
                await self.cleanups.run(answer.thread.id, self._left(answer, context))
            raise

    async def _left(self, answer: Answer, context: TContext) -> None:
        """The reader has gone. A run that waits for somebody goes on waiting, whatever is said."""
        allows = self.get_stream_options(thread_of(answer.thread), context).allow_cancel
        if answer.run is None or not (self._on_disconnect == "cancel" or (self._on_disconnect == "auto" and allows)):
            return
        run = await (await self.rows_store.rows()).run(answer.run.id)
        if run is not None and run.status in ("queued", "running"):
            await (await self.engine()).cancel(run.id, reason="disconnected")


def _asked(work: Operations, row: Thread, request: StreamingReq) -> Coroutine[Any, Any, Answer]:
    match request:
        case ThreadsAddUserMessageReq():
            return work.add_message(row, request.params.input)
        case ThreadsAddClientToolOutputReq():
            return work.add_output(row, request.params.result)
        case ThreadsAddStructuredInputReq():
            return work.answer_questions(row, request.params.item_id, request.params.input)
        case ThreadsRetryAfterItemReq():
            return work.retry(row, request.params.item_id)
        case ThreadsCustomActionReq():
            return work.act(row, request.params.item_id, request.params.action)
        case ThreadsCreateReq():
            return work.create(request.params.input)
        case _:
            assert_never(request)


def _agent(model: ModelLike | None, tools: Sequence[Tool | Callable[..., Any]], instructions: str) -> Agent:
    if model is None:
        raise UsageError("give the server a model=… or an agent=…")
    return Agent("assistant", model=model, tools=tools, instructions=instructions)
