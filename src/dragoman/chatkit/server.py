"""`ChatKitServer`: from one request to one answer, over a store and a responder of the user's own.

It knows no HTTP. What it raises says with its class which status a wire would give; see `dragoman.chatkit.errors`.
"""

from __future__ import annotations

import asyncio
import weakref
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, Generic

from pydantic import BaseModel

from dragoman.chatkit.actions import Action
from dragoman.chatkit.agents_sdk import agents_sdk_user_agent_override
from dragoman.chatkit.diff import diff_widget
from dragoman.chatkit.errors import NotSupported
from dragoman.chatkit.logger import logger
from dragoman.chatkit.processing.cleanups import Cleanups
from dragoman.chatkit.processing.frames import FrameEncoder
from dragoman.chatkit.processing.opening import Opening, open_stream
from dragoman.chatkit.processing.operations import DEFAULT_PAGE_SIZE, answer
from dragoman.chatkit.processing.tail import Tail, error_event, has_text
from dragoman.chatkit.store import AttachmentStore, Store, StoreItemType, TContext, default_generate_id, is_hidden
from dragoman.chatkit.texts import ANSWER_CANCELLED, DEFAULT_ERROR_MESSAGE
from dragoman.chatkit.types import (
    AudioInput,
    FeedbackKind,
    NonStreamingReq,
    Page,
    SDKHiddenContextItem,
    StreamingReq,
    StreamOptions,
    SyncCustomActionResponse,
    Thread,
    ThreadItem,
    ThreadMetadata,
    ThreadsCustomActionReq,
    ThreadStreamEvent,
    TranscriptionResult,
    UserMessageItem,
    WidgetItem,
    is_streaming_req,
)
from dragoman.chatkit.types.adapters import request_adapter
from dragoman.chatkit.widget_stream import stream_widget
from dragoman.core.errors import RemoteError

__all__ = [
    "DEFAULT_ERROR_MESSAGE",
    "DEFAULT_PAGE_SIZE",
    "ChatKitServer",
    "NonStreamingResult",
    "StoreItemType",
    "StreamingResult",
    "agents_sdk_user_agent_override",
    "default_generate_id",
    "diff_widget",
    "stream_widget",
]

NO_ACTIONS = "{} does not react to actions: implement action()."


class StreamingResult(AsyncIterable[bytes]):
    """An answer of Server-Sent Events: each chunk is one event, `data: {json}` and an empty line.

    `run_id` is set by the time the first event is out, where a run answers. Close it when you leave it early.
    """

    def __init__(self, json_events: AsyncGenerator[bytes, None]) -> None:
        self.json_events = json_events
        self.run_id: str | None = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self.json_events

    async def aclose(self) -> None:
        """End the answer early, as a client that goes away does."""
        await self.json_events.aclose()


class NonStreamingResult:
    """An answer of one JSON document."""

    def __init__(self, json: bytes) -> None:
        self.json = json


class ChatKitServer(ABC, Generic[TContext]):
    """Subclass it and write `respond`. `context` is made by the caller per request and handed to every hook."""

    manages_runs = False
    """Whether a message that comes while another is answered is settled by the server itself."""

    persist_on_error = False
    """Whether the partial text of an answer that failed is stored."""

    def __init__(self, store: Store[TContext], attachment_store: AttachmentStore[TContext] | None = None) -> None:
        self.store = store
        self.attachment_store = attachment_store

    # --------------------------------------------------------------------------------- hooks

    @abstractmethod
    def respond(
        self, thread: ThreadMetadata, input_user_message: UserMessageItem | None, context: TContext
    ) -> AsyncIterator[ThreadStreamEvent]:
        """Answer a message; None means to go on after a client tool's output or a structured input.

        Changes of `thread` are saved and told to the client.
        """

    def action(
        self, thread: ThreadMetadata, action: Action[str, Any], sender: WidgetItem | None, context: TContext
    ) -> AsyncIterator[ThreadStreamEvent]:
        """React to an action of a widget, or of the page. Validate its payload: it comes from the browser."""
        raise NotSupported(NO_ACTIONS.format(type(self).__name__))

    async def sync_action(
        self, thread: ThreadMetadata, action: Action[str, Any], sender: WidgetItem | None, context: TContext
    ) -> SyncCustomActionResponse:
        """React to an action without a stream. The item of the response is stored and replaces the shown one."""
        raise NotSupported(f"{type(self).__name__} does not react to such actions: implement sync_action().")

    async def add_feedback(
        self, thread_id: str, item_ids: list[str], feedback: FeedbackKind, context: TContext
    ) -> None:
        """Told about thumbs up or down on items that exist, after the store was."""

    async def transcribe(self, audio_input: AudioInput, context: TContext) -> TranscriptionResult:
        """Turn speech into text for the composer."""
        raise NotSupported(f"{type(self).__name__} understands no speech: implement transcribe().")

    def get_stream_options(self, thread: ThreadMetadata, context: TContext) -> StreamOptions:
        """What the user may do with the stream; by default they may stop it."""
        return StreamOptions(allow_cancel=True)

    async def handle_stream_cancelled(
        self, thread: ThreadMetadata, pending_items: list[ThreadItem], context: TContext
    ) -> None:
        """Store what remains of a cancelled answer: its text, and a hidden note so that the next turn knows.

        `pending_items` were added and not done. Nothing here reaches the client before it reloads. It runs to its
        end even if the request is gone.
        """
        for item in pending_items:
            if has_text(item):
                try:
                    await self.store.add_thread_item(thread.id, item, context=context)
                except Exception:
                    logger.exception("The text of a cancelled answer could not be stored")
        note = SDKHiddenContextItem(
            id=self.store.generate_item_id("sdk_hidden_context", thread, context),
            thread_id=thread.id,
            created_at=datetime.now(UTC),
            content=ANSWER_CANCELLED,
        )
        await self.store.add_thread_item(thread.id, note, context=context)

    # ------------------------------------------------------------------------------- requests

    async def process(
        self, request: str | bytes | bytearray, context: TContext
    ) -> StreamingResult | NonStreamingResult:
        """Answer one request envelope. A stream does its work while it is iterated.

        Raises pydantic's ValidationError for a request that is none; here or at the first step of the stream
        NotFoundError, ValueError for a bad target, NotImplementedError for a hook that is not there.
        """
        return await self.process_request(request_adapter.validate_json(request), context)

    async def process_request(
        self, request: StreamingReq | NonStreamingReq, context: TContext
    ) -> StreamingResult | NonStreamingResult:
        """The same for a request that is validated already."""
        logger.info("Received request op: %s", request.type)
        if not is_streaming_req(request):
            return NonStreamingResult(await self._process_non_streaming(request, context))
        result = StreamingResult(self._process_streaming(request, context))
        self._results[id(request)] = result
        return result

    def tell_run(self, request: StreamingReq, run_id: str) -> None:
        """Say which run answers a request; for servers that override `_process_streaming_impl`."""
        result = self._results.get(id(request))
        if result is not None:
            result.run_id = run_id

    @property
    def cleanups(self) -> Cleanups:
        """What is still being stored for answers that were cancelled."""
        return self.__dict__.setdefault("_cleanups", Cleanups())  # type: ignore[no-any-return]  # of a plain dict

    @property
    def _results(self) -> Any:
        return self.__dict__.setdefault("_streaming_results", weakref.WeakValueDictionary())

    async def _process_non_streaming(self, request: NonStreamingReq, context: TContext) -> bytes:
        return await answer(self, request, context)

    async def _process_streaming(self, request: StreamingReq, context: TContext) -> AsyncGenerator[bytes, None]:
        """Frames. Closing it closes all that is below, and returns when the cleanup is done."""
        encode = FrameEncoder(self._serialize, prebuild=type(self)._serialize is ChatKitServer._serialize)
        try:
            async with aclosing(self._process_streaming_impl(request, context)) as events:
                async for event in events:
                    if isinstance(event, bytes):
                        yield event
                        continue
                    try:
                        frame = encode(event)
                    except Exception as error:
                        yield encode(error_event(error))
                        return
                    yield frame
        except Exception as error:
            if not isinstance(error, RemoteError) or (error.status or 500) >= 500:
                logger.exception("A stream could not be made")
            raise

    async def _process_streaming_impl(
        self, request: StreamingReq, context: TContext
    ) -> AsyncGenerator[ThreadStreamEvent | bytes, None]:
        """Events, or frames that are ready. What it raises before its first event is a refusal."""
        opening = await self._open(request, context)
        try:
            for event in opening.events:
                yield event
        except GeneratorExit:
            await self._put_away(opening.thread, context)
            raise
        async with aclosing(self._process_events(opening.thread, context, opening.handler)) as events:
            async for event in events:
                yield event

    async def _open(self, request: StreamingReq, context: TContext) -> Opening:
        """Make the thread ready, wholly or not at all: a request that is cancelled meanwhile is put away after it."""
        if isinstance(request, ThreadsCustomActionReq) and type(self).action is ChatKitServer.action:
            raise NotSupported(NO_ACTIONS.format(type(self).__name__))
        thread_id = getattr(request.params, "thread_id", None)
        if thread_id is not None:
            await self.cleanups.settled(thread_id)
        opening = asyncio.ensure_future(open_stream(self, request, context))
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            if not opening.cancelled():
                await self.cleanups.run(thread_id or "", self._abandon(opening, context))
            raise

    async def _abandon(self, opening: asyncio.Future[Opening], context: TContext) -> None:
        await asyncio.wait((opening,))
        if not opening.cancelled() and opening.exception() is None:
            await self.handle_stream_cancelled(opening.result().thread, [], context)

    async def _put_away(self, thread: ThreadMetadata, context: TContext) -> None:
        await self.cleanups.run(thread.id, self.handle_stream_cancelled(thread, [], context))

    def _process_events(
        self,
        thread: ThreadMetadata,
        context: TContext,
        stream: Callable[[], AsyncIterator[ThreadStreamEvent]],
    ) -> AsyncGenerator[ThreadStreamEvent, None]:
        """The stream's options, then what a responder yields, with all that it means for the store."""
        return Tail(self, thread, context).run(stream)

    # --------------------------------------------------------------------------------- shapes

    def _get_attachment_store(self) -> AttachmentStore[TContext]:
        """Raises NotSupported, a RuntimeError, without one."""
        if self.attachment_store is None:
            raise NotSupported(f"{type(self).__name__} takes no files: give it an attachment_store.")
        return self.attachment_store

    def _serialize(self, obj: BaseModel) -> bytes:
        """JSON as the wire wants it: aliases, no nulls, nothing private of an attachment."""
        return obj.model_dump_json(by_alias=True, exclude_none=True, context={"exclude_metadata": True}).encode()

    def _to_thread_response(self, thread: ThreadMetadata | Thread) -> Thread:
        """The thread as a client may see it: without metadata and hidden items."""
        items: Page[ThreadItem] = Page()
        if isinstance(thread, Thread):
            shown = [item for item in thread.items.data if not is_hidden(item)]
            items = thread.items.model_copy(update={"data": shown})
        return Thread(
            id=thread.id,
            title=thread.title,
            created_at=thread.created_at,
            status=thread.status,
            allowed_image_domains=thread.allowed_image_domains,
            items=items,
        )
