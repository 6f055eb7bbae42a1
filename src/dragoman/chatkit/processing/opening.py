"""What each streaming operation does before its answer: all checks first, then all writes, then the first events.

So whatever is refused is refused before the thread changes, and before the client has seen an event.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, assert_never

from dragoman.chatkit.errors import BadTarget, NothingPending
from dragoman.chatkit.logger import logger
from dragoman.chatkit.processing.host import Host
from dragoman.chatkit.processing.structured import answered
from dragoman.chatkit.store import NotFoundError, Store
from dragoman.chatkit.texts import NOT_A_USER_MESSAGE
from dragoman.chatkit.types import (
    Attachment,
    ClientToolCallItem,
    StreamingReq,
    StructuredInputItem,
    Thread,
    ThreadCreatedEvent,
    ThreadCustomActionParams,
    ThreadItem,
    ThreadItemDoneEvent,
    ThreadItemReplacedEvent,
    ThreadMetadata,
    ThreadsAddClientToolOutputReq,
    ThreadsAddStructuredInputReq,
    ThreadsAddUserMessageReq,
    ThreadsCreateReq,
    ThreadsCustomActionReq,
    ThreadsRetryAfterItemReq,
    ThreadStreamEvent,
    UserMessageInput,
    UserMessageItem,
    WidgetItem,
)

RECENT = 20
"""How many of the newest items may hold a client tool call that waits for its output."""

_WALK = 100
"""How many items a retry reads at a time on its way back."""


@dataclass(frozen=True, slots=True)
class Opening:
    """A thread that is ready for its answer: the events to send first, and who answers."""

    thread: ThreadMetadata
    handler: Callable[[], AsyncIterator[ThreadStreamEvent]]
    events: tuple[ThreadStreamEvent, ...] = ()


async def open_stream(host: Host, request: StreamingReq, context: Any) -> Opening:
    """Raises NotFoundError, BadTarget, NothingPending, and what the store raises."""
    match request:
        case ThreadsCreateReq():
            return await _create(host, request.params.input, context)
        case ThreadsAddUserMessageReq():
            thread = await load_metadata(host.store, request.params.thread_id, context)
            return await _add_message(host, thread, request.params.input, context)
        case ThreadsAddClientToolOutputReq():
            return await _add_output(host, request, context)
        case ThreadsAddStructuredInputReq():
            return await _add_answers(host, request, context)
        case ThreadsRetryAfterItemReq():
            return await _retry(host, request, context)
        case ThreadsCustomActionReq():
            thread, sender = await load_sender(host.store, request.params, context)
            return Opening(thread, lambda: host.action(thread, request.params.action, sender, context))
        case _:
            assert_never(request)


async def load_metadata(store: Store[Any], thread_id: str, context: Any) -> ThreadMetadata:
    """The thread without items, whatever class the store keeps. Raises NotFoundError."""
    thread = await store.load_thread(thread_id, context=context)
    if not isinstance(thread, Thread):
        return thread
    return ThreadMetadata(**{name: value for name, value in thread if name != "items"})


async def load_sender(
    store: Store[Any], params: ThreadCustomActionParams, context: Any
) -> tuple[ThreadMetadata, WidgetItem | None]:
    """The thread of an action, and the widget that it came from. Raises NotFoundError, BadTarget."""
    thread = await load_metadata(store, params.thread_id, context)
    if not params.item_id:
        return thread, None
    item = await store.load_item(params.thread_id, params.item_id, context=context)
    if not isinstance(item, WidgetItem):
        raise BadTarget(f"An action comes from a widget, but item {params.item_id!r} is a {item.type}")
    return thread, item


# ------------------------------------------------------------------------------------ messages


async def _create(host: Host, message: UserMessageInput, context: Any) -> Opening:
    thread = ThreadMetadata(id=host.store.generate_thread_id(context), created_at=datetime.now(UTC))
    attachments = await _load_attachments(host, message, context)
    item = _message_item(host, thread, message, attachments, context)
    begin = getattr(host.store, "begin_thread", None)
    if begin is not None and not attachments:
        await begin(thread, item, context)  # both in one commit, where the store can do that
    else:
        await host.store.save_thread(thread, context=context)
        await _store_message(host, item, context)
    created = ThreadCreatedEvent(thread=host._to_thread_response(thread))
    return Opening(thread, lambda: host.respond(thread, item, context), (created, ThreadItemDoneEvent(item=item)))


async def _add_message(host: Host, thread: ThreadMetadata, message: UserMessageInput, context: Any) -> Opening:
    attachments = await _load_attachments(host, message, context)
    item = _message_item(host, thread, message, attachments, context)
    await _store_message(host, item, context)
    return Opening(thread, lambda: host.respond(thread, item, context), (ThreadItemDoneEvent(item=item),))


async def _load_attachments(host: Host, message: UserMessageInput, context: Any) -> list[Attachment]:
    """Raises NotFoundError, and what an attachment store says against one that was never uploaded."""
    found = [await host.store.load_attachment(one, context=context) for one in message.attachments]
    check = getattr(host.attachment_store, "check", None)
    if found and check is not None:
        await check(found, context)
    return found


def _message_item(
    host: Host, thread: ThreadMetadata, message: UserMessageInput, attachments: list[Attachment], context: Any
) -> UserMessageItem:
    return UserMessageItem(
        id=host.store.generate_item_id("message", thread, context),
        thread_id=thread.id,
        created_at=datetime.now(UTC),
        content=message.content,
        attachments=[one.model_copy(update={"thread_id": thread.id}) for one in attachments],
        quoted_text=message.quoted_text,
        inference_options=message.inference_options,
    )


async def _store_message(host: Host, item: UserMessageItem, context: Any) -> None:
    for attachment in item.attachments:
        await host.store.save_attachment(attachment, context=context)
    await host.store.add_thread_item(item.thread_id, item, context=context)


# --------------------------------------------------------------------------- answers of a client


async def _add_output(host: Host, request: ThreadsAddClientToolOutputReq, context: Any) -> Opening:
    thread = await load_metadata(host.store, request.params.thread_id, context)
    pending = await pending_calls(host.store, thread.id, context)
    if not pending:
        raise NothingPending(f"No client tool call of thread {thread.id} waits for an output")
    call = pending[0].model_copy(update={"output": request.params.result, "status": "completed"})
    await host.store.save_item(thread.id, call, context=context)
    for left in pending[1:]:
        logger.warning("Client tool call %s was never answered; deleted", left.call_id)
        await host.store.delete_thread_item(thread.id, left.id, context=context)
    return Opening(thread, lambda: host.respond(thread, None, context))


async def pending_calls(store: Store[Any], thread_id: str, context: Any) -> list[ClientToolCallItem]:
    """Client tool calls without an output among the newest items, newest first; hidden items do not count."""
    page = await store.load_thread_items(thread_id, None, RECENT, "desc", context)
    return [item for item in page.data if isinstance(item, ClientToolCallItem) and item.status == "pending"]


async def _add_answers(host: Host, request: ThreadsAddStructuredInputReq, context: Any) -> Opening:
    params = request.params
    thread = await load_metadata(host.store, params.thread_id, context)
    item = await host.store.load_item(params.thread_id, params.item_id, context=context)
    if not isinstance(item, StructuredInputItem):
        raise BadTarget(f"Item {params.item_id!r} asks no questions: it is a {item.type}, not a structured_input")
    replaced = ThreadItemReplacedEvent(item=answered(item, params.input))

    async def handler() -> AsyncIterator[ThreadStreamEvent]:
        yield replaced  # as an event of the answer, so that it is stored like any other
        async for event in host.respond(thread, None, context):
            yield event

    return Opening(thread, handler)


# --------------------------------------------------------------------------------------- retry


async def _retry(host: Host, request: ThreadsRetryAfterItemReq, context: Any) -> Opening:
    thread_id, item_id = request.params.thread_id, request.params.item_id
    thread = await load_metadata(host.store, thread_id, context)
    target = await host.store.load_item(thread_id, item_id, context=context)
    if not isinstance(target, UserMessageItem):
        raise BadTarget(NOT_A_USER_MESSAGE.format(item_id=item_id))
    for newer in await _items_after(host.store, thread_id, target, context):
        await host.store.delete_thread_item(thread_id, newer.id, context=context)
    return Opening(thread, lambda: host.respond(thread, target, context))


async def _items_after(store: Store[Any], thread_id: str, target: ThreadItem, context: Any) -> list[ThreadItem]:
    """Everything newer than the target, hidden items included, newest first. Raises NotFoundError if it is not there."""
    newer: list[ThreadItem] = []
    cursor: str | None = None
    while True:
        page = await store.load_thread_items(thread_id, cursor, _WALK, "desc", context)
        for item in page.data:
            if item.id == target.id:
                return newer
            newer.append(item)
        if not page.has_more or not page.data:  # the store gave an item of another thread: nothing here is newer
            raise NotFoundError(f"Item {target.id} not found")
        cursor = page.after or page.data[-1].id
