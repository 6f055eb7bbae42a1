"""A ChatKit server with a store of its own in memory, as a user of the published package writes them.

`play.py` changes the import lines for ours. What the user says chooses what the server does.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import shown
from chatkit.actions import Action
from chatkit.errors import CustomStreamError, ErrorCode, StreamError
from chatkit.server import ChatKitServer, stream_widget
from chatkit.store import AttachmentStore, NotFoundError, Store, StoreItemType
from chatkit.types import (
    AssistantMessageContent,
    AssistantMessageItem,
    Attachment,
    AttachmentCreateParams,
    AttachmentUploadDescriptor,
    AudioInput,
    FileAttachment,
    HiddenContextItem,
    ImageAttachment,
    Page,
    StreamOptions,
    SyncCustomActionResponse,
    ThreadItem,
    ThreadItemAddedEvent,
    ThreadItemDoneEvent,
    ThreadItemReplacedEvent,
    ThreadItemUpdatedEvent,
    ThreadMetadata,
    ThreadStreamEvent,
    TranscriptionResult,
    UserMessageItem,
    WidgetItem,
    WidgetRootUpdated,
)
from chatkit.widgets import Card, Text
from pydantic import TypeAdapter

Context = dict[str, Any]
ITEM: Any = TypeAdapter(ThreadItem)


class OwnStore(Store[Context]):
    """Threads as objects and items as JSON texts, in the order in which they came."""

    def __init__(self) -> None:
        self.threads: dict[str, ThreadMetadata] = {}
        self.items: dict[str, dict[str, bytes]] = {}
        self.attachments: dict[str, Attachment] = {}
        self.made = 0

    def generate_thread_id(self, context: Context) -> str:
        self.made += 1
        return f"thr_{self.made}"

    def generate_item_id(self, item_type: StoreItemType, thread: ThreadMetadata, context: Context) -> str:
        self.made += 1
        return f"{item_type}_{self.made}"

    async def load_thread(self, thread_id: str, context: Context) -> ThreadMetadata:
        return found(self.threads, thread_id)

    async def save_thread(self, thread: ThreadMetadata, context: Context) -> None:
        self.threads[thread.id] = thread.model_copy(deep=True)
        self.items.setdefault(thread.id, {})

    async def load_threads(self, limit: int, after: str | None, order: str, context: Context) -> Page[ThreadMetadata]:
        return page(self.threads, limit, after, order)

    async def load_thread_items(
        self, thread_id: str, after: str | None, limit: int, order: str, context: Context
    ) -> Page[ThreadItem]:
        return page(
            {id: ITEM.validate_json(text) for id, text in self.items.get(thread_id, {}).items()}, limit, after, order
        )

    async def add_thread_item(self, thread_id: str, item: ThreadItem, context: Context) -> None:
        assert item.id not in self.items[thread_id], "inserted twice"
        await self.save_item(thread_id, item, context)

    async def save_item(self, thread_id: str, item: ThreadItem, context: Context) -> None:
        await asyncio.sleep(0)
        self.items[thread_id][item.id] = ITEM.dump_json(item, by_alias=True)

    async def load_item(self, thread_id: str, item_id: str, context: Context) -> ThreadItem:
        if item_id not in self.items.get(thread_id, {}):
            raise NotFoundError(f"{item_id} not found")
        return ITEM.validate_json(self.items[thread_id][item_id])

    async def delete_thread(self, thread_id: str, context: Context) -> None:
        self.threads.pop(thread_id, None)
        self.items.pop(thread_id, None)

    async def delete_thread_item(self, thread_id: str, item_id: str, context: Context) -> None:
        self.items[thread_id].pop(item_id, None)

    async def save_attachment(self, attachment: Attachment, context: Context) -> None:
        self.attachments[attachment.id] = attachment.model_copy(deep=True)

    async def load_attachment(self, attachment_id: str, context: Context) -> Attachment:
        return found(self.attachments, attachment_id)

    async def delete_attachment(self, attachment_id: str, context: Context) -> None:
        self.attachments.pop(attachment_id, None)


def found(rows: dict[str, Any], id: str) -> Any:
    if id not in rows:
        raise NotFoundError(f"{id} not found")
    return rows[id].model_copy(deep=True)


def page(rows: dict[str, Any], limit: int, after: str | None, order: str) -> Any:
    all_rows = [row.model_copy(deep=True) for row in rows.values()]
    if order == "desc":
        all_rows.reverse()
    start = 0
    if after is not None:
        found(rows, after)
        start = 1 + next(place for place, row in enumerate(all_rows) if row.id == after)
    data = all_rows[start : start + limit]
    more = len(all_rows) > start + limit
    return Page(data=data, has_more=more, after=data[-1].id if more else None)


class OwnAttachments(AttachmentStore[Context]):
    async def create_attachment(self, input: AttachmentCreateParams, context: Context) -> Attachment:
        id = self.generate_attachment_id(input.mime_type, context)
        common: Any = {"id": id, "name": input.name, "mime_type": input.mime_type, "metadata": {"size": input.size}}
        common["upload_descriptor"] = AttachmentUploadDescriptor(
            url="https://example.com/up", method="PUT", headers={"x-a": "b"}
        )
        if input.mime_type.startswith("image/"):
            return ImageAttachment(preview_url="https://example.com/p", **common)
        return FileAttachment(**common)

    async def delete_attachment(self, attachment_id: str, context: Context) -> None:
        context.setdefault("deleted", []).append(attachment_id)


class SideServer(ChatKitServer[Context]):
    def __init__(self, store: Store[Context]) -> None:
        super().__init__(store, OwnAttachments())

    async def respond(
        self, thread: ThreadMetadata, input_user_message: UserMessageItem | None, context: Context
    ) -> AsyncIterator[ThreadStreamEvent]:
        def new(kind: StoreItemType) -> dict[str, Any]:
            id = self.store.generate_item_id(kind, thread, context)
            return {"id": id, "thread_id": thread.id, "created_at": datetime.now()}

        said = self.said(input_user_message)
        if said == "go on":
            yield self.text(new, "gone on")
        else:
            async for event in getattr(self, f"do_{said.partition(' ')[0]}")(thread, new, context, said):
                yield event

    def said(self, message: UserMessageItem | None) -> str:
        if message is None:
            return "go on"
        return "".join(part.text for part in message.content if part.type == "input_text")

    def text(self, new: Any, text: str) -> ThreadItemDoneEvent:
        item = AssistantMessageItem(content=[AssistantMessageContent(text=text)], **new("message"))
        return ThreadItemDoneEvent(item=item)

    async def do_say(self, thread: Any, new: Any, context: Any, said: str) -> Any:
        yield self.text(new, said)

    async def do_transient(self, thread: Any, new: Any, context: Any, said: str) -> Any:
        for event in shown.transient():
            yield event

    async def do_items(self, thread: Any, new: Any, context: Any, said: str) -> Any:
        for item in shown.items(new):
            yield ThreadItemDoneEvent(item=item)

    async def do_grow(self, thread: Any, new: Any, context: Any, said: str) -> Any:
        for event in shown.growing(new):
            yield event

    async def do_widgets(self, thread: Any, new: Any, context: Any, said: str) -> Any:
        for widget in shown.widgets():
            yield ThreadItemDoneEvent(item=WidgetItem(widget=widget, copy_text="c", **new("message")))

    async def do_stream(self, thread: Any, new: Any, context: Any, said: str) -> Any:
        growing = shown.nameless_states() if said.endswith("nameless") else shown.states()

        async def states() -> Any:
            for state in growing:
                yield state

        def generate(kind: StoreItemType) -> str:
            return new(kind)["id"]

        async for event in stream_widget(thread, states(), "copy", generate):
            yield event
        async for event in stream_widget(thread, Card(children=[Text(value="whole")]), None, generate):
            yield event

    async def do_thread(self, thread: Any, new: Any, context: Any, said: str) -> Any:
        thread.title = "A title"
        yield self.text(new, "one")
        thread.metadata["private"] = "yes"
        thread.allowed_image_domains = ["example.com"]
        for status in shown.STATUSES:
            thread.status = status
            yield self.text(new, status.type)
        thread.title = "The last title"

    async def do_ask(self, thread: Any, new: Any, context: Any, said: str) -> Any:
        yield ThreadItemDoneEvent(item=shown.questions(new))

    async def do_client(self, thread: Any, new: Any, context: Any, said: str) -> Any:
        yield self.text(new, "let me see")
        yield ThreadItemDoneEvent(item=shown.client_call(new))

    async def do_fail(self, thread: Any, new: Any, context: Any, said: str) -> Any:
        yield self.text(new, "before it fails")
        thread.title = "Failed"
        match said.split()[1]:
            case "custom":
                raise CustomStreamError("in my words", allow_retry=True)
            case "coded":
                raise StreamError(ErrorCode.STREAM_ERROR, allow_retry=False)
            case _:
                raise LookupError("a secret")

    async def do_wait(self, thread: Any, new: Any, context: Any, said: str) -> Any:
        for event in shown.growing(new)[:4]:
            yield event
        await asyncio.Event().wait()

    async def do_hide(self, thread: Any, new: Any, context: Any, said: str) -> Any:
        item = HiddenContextItem(content="hidden", **new("message"))
        yield ThreadItemAddedEvent(item=item)
        yield ThreadItemDoneEvent(item=item)
        yield ThreadItemReplacedEvent(item=item.model_copy(update={"content": "still hidden"}))

    async def do_repaint(self, thread: Any, new: Any, context: Any, said: str) -> Any:
        root = WidgetRootUpdated(widget=Card(children=[Text(value="repainted")]))
        yield ThreadItemUpdatedEvent(item_id=said.split()[1], update=root)

    async def action(
        self, thread: ThreadMetadata, action: Action[str, Any], sender: WidgetItem | None, context: Context
    ) -> AsyncIterator[ThreadStreamEvent]:
        def new(kind: StoreItemType) -> dict[str, Any]:
            id = self.store.generate_item_id(kind, thread, context)
            return {"id": id, "thread_id": thread.id, "created_at": datetime.now()}

        told = {"type": action.type, "payload": action.payload, "sender": sender.id if sender else None}
        yield self.text(new, json.dumps(told))
        if sender is not None:
            changed = sender.model_copy(update={"widget": Card(children=[Text(value="clicked")])})
            yield ThreadItemReplacedEvent(item=changed)

    async def sync_action(
        self, thread: ThreadMetadata, action: Action[str, Any], sender: WidgetItem | None, context: Context
    ) -> SyncCustomActionResponse:
        if sender is None:
            return SyncCustomActionResponse()
        changed = sender.model_copy(update={"widget": Card(children=[Text(value="synced")])})
        return SyncCustomActionResponse(updated_item=changed)

    def get_stream_options(self, thread: ThreadMetadata, context: Context) -> StreamOptions:
        return StreamOptions(allow_cancel=not thread.title)

    async def add_feedback(self, thread_id: str, item_ids: list[str], feedback: Any, context: Context) -> None:
        context.setdefault("feedback", []).append([thread_id, item_ids, feedback])

    async def transcribe(self, audio_input: AudioInput, context: Context) -> TranscriptionResult:
        return TranscriptionResult(text=f"{len(audio_input.data)} bytes of {audio_input.media_type}")
