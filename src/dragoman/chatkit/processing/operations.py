"""The operations with one JSON answer."""

from __future__ import annotations

import base64
import binascii
from typing import Any, assert_never

from dragoman.chatkit.errors import BadTarget
from dragoman.chatkit.logger import logger
from dragoman.chatkit.processing.host import Host
from dragoman.chatkit.processing.opening import load_metadata, load_sender
from dragoman.chatkit.store import NotFoundError, Store, is_hidden
from dragoman.chatkit.types import (
    AttachmentsCreateReq,
    AttachmentsDeleteReq,
    AudioInput,
    InputTranscribeReq,
    ItemsFeedbackReq,
    ItemsListReq,
    NonStreamingReq,
    Page,
    SyncCustomActionResponse,
    Thread,
    ThreadItem,
    ThreadsDeleteReq,
    ThreadsGetByIdReq,
    ThreadsListReq,
    ThreadsSyncCustomActionReq,
    ThreadsUpdateReq,
)

DEFAULT_PAGE_SIZE = 20
"""The rows of a page whose size nobody chose."""

EMPTY = b"{}"


async def answer(host: Host, request: NonStreamingReq, context: Any) -> bytes:
    """The JSON document that answers. Raises NotFoundError, BadTarget, NotSupported, and what hooks raise."""
    match request:
        case ThreadsGetByIdReq():
            return await _get_thread(host, request.params.thread_id, context)
        case ThreadsListReq():
            return await _list_threads(host, request, context)
        case ThreadsUpdateReq():
            thread = await load_metadata(host.store, request.params.thread_id, context)
            thread.title = request.params.title
            await host.store.save_thread(thread, context=context)
            return host._serialize(host._to_thread_response(thread))
        case ThreadsDeleteReq():
            return await _delete_thread(host, request.params.thread_id, context)
        case ItemsListReq():
            return await _list_items(host, request, context)
        case ItemsFeedbackReq():
            return await _keep_feedback(host, request, context)
        case AttachmentsCreateReq():
            attachment = await host._get_attachment_store().create_attachment(request.params, context)
            await host.store.save_attachment(attachment, context=context)
            return host._serialize(attachment)
        case AttachmentsDeleteReq():
            attachment_id = request.params.attachment_id
            files = host._get_attachment_store()
            await files.delete_attachment(attachment_id, context=context)
            await host.store.delete_attachment(attachment_id, context=context)
            return EMPTY
        case InputTranscribeReq():
            audio = AudioInput(data=_decoded(request.params.audio_base64), mime_type=request.params.mime_type)
            return host._serialize(await host.transcribe(audio, context))
        case ThreadsSyncCustomActionReq():
            return await _sync_action(host, request, context)
        case _:
            assert_never(request)


def page_size(limit: int | None) -> int:
    """The rows that a request asks for; one that asks for none or fewer gets the default."""
    return limit if limit is not None and limit > 0 else DEFAULT_PAGE_SIZE


# --------------------------------------------------------------------------------------- reading


async def _visible(
    store: Store[Any], thread_id: str, after: str | None, limit: int, order: str, context: Any
) -> Page[ThreadItem]:
    """A full page of what a client may see, also from a store that has never heard of it."""
    load = getattr(store, "load_visible_items", None)
    if load is None:
        return await Store.load_visible_items(store, thread_id, after, limit, order, context)
    page: Page[ThreadItem] = await load(thread_id, after, limit, order, context)
    return page


async def _get_thread(host: Host, thread_id: str, context: Any) -> bytes:
    thread = await load_metadata(host.store, thread_id, context)
    items = await _visible(host.store, thread_id, None, DEFAULT_PAGE_SIZE, "asc", context)
    return host._serialize(host._to_thread_response(Thread(**dict(thread), items=items)))


async def _list_threads(host: Host, request: ThreadsListReq, context: Any) -> bytes:
    params = request.params
    page = await host.store.load_threads(
        limit=page_size(params.limit), after=params.after, order=params.order, context=context
    )
    shown = [host._to_thread_response(thread).model_copy(update={"items": Page()}) for thread in page.data]
    return host._serialize(Page(data=shown, has_more=page.has_more, after=page.after))


async def _list_items(host: Host, request: ItemsListReq, context: Any) -> bytes:
    params = request.params
    await host.store.load_thread(params.thread_id, context=context)  # an unknown one is not an empty one
    page = await _visible(host.store, params.thread_id, params.after, page_size(params.limit), params.order, context)
    return host._serialize(page)


# --------------------------------------------------------------------------------------- writing


async def _delete_thread(host: Host, thread_id: str, context: Any) -> bytes:
    """With its attachments, as far as the store knows which they are."""
    load = getattr(host.store, "load_thread_attachments", None)
    attachments = await load(thread_id, context) if load is not None else []
    await host.store.delete_thread(thread_id, context=context)
    for attachment in attachments:
        try:
            if host.attachment_store is not None:
                await host.attachment_store.delete_attachment(attachment.id, context=context)
            await host.store.delete_attachment(attachment.id, context=context)
        except Exception:
            logger.exception("Attachment %s of a deleted thread could not be deleted", attachment.id)
    return EMPTY


async def _keep_feedback(host: Host, request: ItemsFeedbackReq, context: Any) -> bytes:
    params = request.params
    await host.store.load_thread(params.thread_id, context=context)
    for item_id in params.item_ids:
        if is_hidden(await host.store.load_item(params.thread_id, item_id, context=context)):
            raise NotFoundError(f"Item {item_id} not found")
    keep = getattr(host.store, "save_feedback", None)
    if keep is not None:
        await keep(params.thread_id, params.item_ids, params.kind, context)
    await host.add_feedback(params.thread_id, params.item_ids, params.kind, context)
    return EMPTY


async def _sync_action(host: Host, request: ThreadsSyncCustomActionReq, context: Any) -> bytes:
    """What the action changes is stored, so that a reload shows it too."""
    params = request.params
    thread, sender = await load_sender(host.store, params, context)
    before = thread.model_copy(deep=True)
    response = await host.sync_action(thread, params.action, sender, context)
    item = response.updated_item
    if item is not None:
        await host.store.save_item(thread.id, item, context=context)
    if thread != before:
        await host.store.save_thread(thread, context=context)
    shown = response if item is None or not is_hidden(item) else SyncCustomActionResponse()
    return host._serialize(shown)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadTarget("audio_base64 is not base64", code="bad_request") from error
