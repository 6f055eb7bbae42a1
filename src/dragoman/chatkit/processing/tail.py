"""How an answer runs: what a responder yields is stored, filtered and passed on; however it ends, the thread is usable.

A `done` item is stored, a `removed` one deleted, a `replaced` one saved; `added` and `updated` are kept aside until
then. Hidden items are stored and never passed on. A change of the thread is saved and told after the event that it
came with. When the stream is cancelled or closed, what there is by then is handed to the server's hook.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from time import monotonic
from typing import Any

from dragoman.chatkit.agents_sdk import agents_sdk_user_agent_override
from dragoman.chatkit.errors import CustomStreamError, ErrorCode, StreamError
from dragoman.chatkit.logger import logger
from dragoman.chatkit.pending import PendingItems
from dragoman.chatkit.processing.copies import Snapshot
from dragoman.chatkit.processing.host import Host
from dragoman.chatkit.processing.turns import BURST, BURST_SECONDS, yields_for_others
from dragoman.chatkit.store import find_item, is_hidden
from dragoman.chatkit.texts import DEFAULT_ERROR_MESSAGE
from dragoman.chatkit.types import (
    AssistantMessageItem,
    ErrorEvent,
    StreamOptionsEvent,
    ThreadCreatedEvent,
    ThreadItem,
    ThreadItemAddedEvent,
    ThreadItemDoneEvent,
    ThreadItemRemovedEvent,
    ThreadItemReplacedEvent,
    ThreadItemUpdatedEvent,
    ThreadMetadata,
    ThreadStreamEvent,
    ThreadUpdatedEvent,
    WidgetItem,
    WidgetRootUpdated,
    WorkflowItem,
)


class Tail:
    """One answer in one thread. Use it once."""

    def __init__(self, host: Host, thread: ThreadMetadata, context: Any) -> None:
        self._host = host
        self._thread = thread
        self._context = context
        self._saved = Snapshot(thread)
        self._pending = PendingItems()
        self._hidden: set[str] = set()
        self._writing: asyncio.Future[Any] | None = None

    async def run(
        self, stream: Callable[[], AsyncIterator[ThreadStreamEvent]]
    ) -> AsyncGenerator[ThreadStreamEvent, None]:
        """The events to send. Cancelling the task and closing this both end the answer early."""
        ending: list[ThreadStreamEvent] = []
        try:
            await asyncio.sleep(0)  # what was sent before may leave first
            yield StreamOptionsEvent(stream_options=self._host.get_stream_options(self._thread, self._context))
            with agents_sdk_user_agent_override():
                source = aiter(stream())
                try:
                    burst, since, alone = 0, monotonic(), not yields_for_others.get()
                    pending = self._pending.open
                    async for event in source:
                        if type(event) is ThreadItemUpdatedEvent and event.item_id in pending:
                            pending[event.item_id].update(event.update)
                            if event.item_id not in self._hidden:
                                yield event
                        elif (shown := await self._apply(event)) is not None:
                            yield shown
                        if self._saved.is_outdated:
                            yield await self._save_thread()
                        burst += 1
                        if alone and (burst >= BURST or monotonic() - since >= BURST_SECONDS):
                            await asyncio.sleep(0)
                            burst, since = 0, monotonic()
                finally:
                    await _close(source)
        except (asyncio.CancelledError, GeneratorExit):
            await self._host.cleanups.run(self._thread.id, self._put_away())
            raise
        except Exception as error:
            await self._keep_partial()
            ending.append(error_event(error))
        if self._saved.is_outdated:
            ending.append(await self._save_thread_at_last())
        for event in ending:  # all is stored by now, whoever still listens
            yield event

    # -------------------------------------------------------------------------------- events

    async def _apply(self, event: ThreadStreamEvent) -> ThreadStreamEvent | None:
        """Do what the event means for the store; the event to send, None to send nothing."""
        match event:
            case ThreadItemUpdatedEvent():
                return await self._apply_update(event)
            case ThreadItemAddedEvent():
                self._pending.add(event.item)
            case ThreadItemDoneEvent():
                await self._write(self._insert(event.item))
            case ThreadItemReplacedEvent():
                await self._write(self._replace(event.item))
            case ThreadItemRemovedEvent():
                await self._write(self._remove(event.item_id))
                return None if event.item_id in self._hidden else event
            case ThreadCreatedEvent() | ThreadUpdatedEvent():
                return event.model_copy(update={"thread": self._host._to_thread_response(event.thread)})
            case _:
                return event
        if is_hidden(event.item):
            self._hidden.add(event.item.id)
            return None
        return event

    async def _apply_update(self, event: ThreadItemUpdatedEvent) -> ThreadItemUpdatedEvent | None:
        """An update of an item that is pending, or stored already, or unknown to us."""
        if event.item_id in self._pending:
            self._pending.update(event.item_id, event.update)
        elif isinstance(event.update, WidgetRootUpdated):
            await self._write(self._save_root(event.item_id, event.update))
        return None if event.item_id in self._hidden else event

    # --------------------------------------------------------------------------------- store

    async def _write(self, work: Coroutine[Any, Any, None]) -> None:
        """A write goes on to its end when the answer is cancelled meanwhile; nobody knows otherwise what is stored."""
        self._writing = writing = asyncio.ensure_future(work)
        try:
            await asyncio.shield(writing)
        finally:
            if writing.done():
                self._writing = None

    async def _insert(self, item: ThreadItem) -> None:
        """Append; a workflow that went on from an earlier answer is stored already and is saved."""
        store, thread_id = self._host.store, self._thread.id
        if isinstance(item, WorkflowItem) and await self._stored(item.id) is not None:
            await store.save_item(thread_id, item, context=self._context)
        else:
            await store.add_thread_item(thread_id, item, context=self._context)
        self._pending.settle(item.id)

    async def _stored(self, item_id: str) -> ThreadItem | None:
        return await find_item(self._host.store, self._thread.id, item_id, self._context)

    async def _replace(self, item: ThreadItem) -> None:
        await self._host.store.save_item(self._thread.id, item, context=self._context)
        self._pending.settle(item.id)

    async def _remove(self, item_id: str) -> None:
        await self._host.store.delete_thread_item(self._thread.id, item_id, context=self._context)
        self._pending.settle(item_id)

    async def _save_root(self, item_id: str, update: WidgetRootUpdated) -> None:
        """A widget that was shown earlier changes in the store too; one that is not there changes on screen alone."""
        item = await self._stored(item_id)
        if isinstance(item, WidgetItem):
            changed = item.model_copy(update={"widget": update.widget})
            await self._host.store.save_item(self._thread.id, changed, context=self._context)

    async def _save_thread(self) -> ThreadUpdatedEvent:
        await self._write(self._merge_thread())
        return ThreadUpdatedEvent(thread=self._host._to_thread_response(self._thread))

    async def _merge_thread(self) -> None:
        """Save what the handler changed, and nothing else: somebody may have renamed the thread meanwhile."""
        saved, self._saved = self._saved, Snapshot(self._thread)
        fresh = await self._host.store.load_thread(self._thread.id, context=self._context)
        saved.merge(fresh)
        await self._host.store.save_thread(self._thread, context=self._context)
        self._saved = Snapshot(self._thread)

    # ------------------------------------------------------------------------------- endings

    async def _save_thread_at_last(self) -> ThreadStreamEvent:
        try:
            return await self._save_thread()
        except Exception as error:
            return error_event(error)

    async def _keep_partial(self) -> None:
        """Store the text of an answer that failed, if the server wants it."""
        if not self._host.persist_on_error:
            return
        try:
            for item in self._pending.items():
                if has_text(item):
                    await self._write(self._insert(item))
        except Exception:
            logger.exception("The partial text of a failed answer could not be stored")

    async def _put_away(self) -> None:
        """What a cancelled answer leaves behind, after the write that was under way."""
        if self._writing is not None:
            await asyncio.wait((self._writing,))
            if not self._writing.cancelled() and (error := self._writing.exception()) is not None:
                logger.error("A write of a cancelled answer failed", exc_info=error)
        if self._saved.is_outdated:
            try:
                await self._merge_thread()
            except Exception:
                logger.exception("The thread of a cancelled answer could not be saved")
        await self._host.handle_stream_cancelled(self._thread, self._pending.items(), self._context)


def has_text(item: ThreadItem) -> bool:
    """Whether it is an assistant message that says something."""
    return isinstance(item, AssistantMessageItem) and any(content.text.strip() for content in item.content)


def error_event(error: Exception) -> ErrorEvent:
    """What the client is told; the text of an unexpected error stays in the log."""
    if isinstance(error, CustomStreamError):
        return ErrorEvent(code="custom", message=error.message, allow_retry=error.allow_retry)
    if isinstance(error, StreamError):
        return ErrorEvent(code=error.code, allow_retry=error.allow_retry)
    logger.error("An answer failed", exc_info=error)
    return ErrorEvent(code=ErrorCode.STREAM_ERROR, message=DEFAULT_ERROR_MESSAGE, allow_retry=True)


async def _close(source: AsyncIterator[Any]) -> None:
    """End a responder that was left early, now and not when it is collected."""
    close = getattr(source, "aclose", None)
    if close is None:
        return
    try:
        await close()
    except Exception:
        logger.exception("A responder failed while it was closed")
