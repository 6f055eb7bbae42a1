"""Threads, items and attachments for tests of stores, with what is easily lost."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from dragoman.chatkit.store import Store
from dragoman.chatkit.types import (
    AssistantMessageContent,
    AssistantMessageItem,
    Attachment,
    AttachmentUploadDescriptor,
    ClientToolCallItem,
    CustomTask,
    EndOfTurnItem,
    FileAttachment,
    GeneratedImage,
    GeneratedImageItem,
    HiddenContextItem,
    ImageAttachment,
    InferenceOptions,
    SDKHiddenContextItem,
    StructuredInputFreeform,
    StructuredInputItem,
    TaskItem,
    ThreadItem,
    ThreadMetadata,
    UserMessageItem,
    UserMessageTextContent,
    WidgetItem,
    Workflow,
    WorkflowItem,
)
from dragoman.chatkit.widgets import DynamicWidgetRoot

NOON = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
THREAD = "thr_0a1b2c3d4e5f60718293a4b5c6d7e8f9"


def every_item(thread_id: str) -> list[ThreadItem]:
    """One item of every type, with what is easily lost: nulls, unknown widget fields, empty lists."""
    common: dict[str, Any] = {"thread_id": thread_id, "created_at": NOON}
    widget = {
        "type": "Card",
        "border": {"size": 1},
        "children": [{"type": "Text", "id": "t", "value": "hi", "someday": True}],
        "confirm": {"label": "Go", "action": {"type": "go", "payload": {"none": None}}},
    }
    return [
        UserMessageItem(
            **common,
            id="msg_user",
            content=[UserMessageTextContent(text="hello")],
            attachments=[file("atc_9")],
            quoted_text="as you said",
            inference_options=InferenceOptions(model="demo"),
        ),
        AssistantMessageItem(**common, id="msg_answer", content=[AssistantMessageContent(text="hello back")]),
        ClientToolCallItem(**common, id="tc_1", call_id="call_1", name="look", arguments={"at": [1, None, {"x": "y"}]}),
        WidgetItem(**common, id="msg_widget", widget=DynamicWidgetRoot.model_validate(widget), copy_text="hi"),
        GeneratedImageItem(**common, id="msg_image", image=GeneratedImage(id="i", url="https://images.example/i.png")),
        StructuredInputItem(**common, id="msg_ask", inputs=[StructuredInputFreeform(id="q", question="Why?")]),
        WorkflowItem(**common, id="wf_1", workflow=Workflow(type="custom", tasks=[CustomTask(title="work")])),
        TaskItem(**common, id="tsk_1", task=CustomTask(title="work", content="done")),
        HiddenContextItem(**common, id="msg_hidden", content={"any": ["thing", None]}),
        SDKHiddenContextItem(**common, id="shcx_1", content="a note"),
        EndOfTurnItem(**common, id="msg_end"),
    ]


def said(text: str, item_id: str) -> AssistantMessageItem:
    content = [AssistantMessageContent(text=text)]
    return AssistantMessageItem(id=item_id, thread_id=THREAD, created_at=NOON, content=content)


def file(attachment_id: str, name: str = "notes.txt") -> Attachment:
    upload = AttachmentUploadDescriptor(url="https://files.example/up", method="PUT", headers={"x-a": "b"})
    return FileAttachment(
        id=attachment_id, name=name, mime_type="text/plain", upload_descriptor=upload, metadata={"private": 1}
    )


def image(attachment_id: str) -> Attachment:
    preview = "https://files.example/preview.png"
    return ImageAttachment(id=attachment_id, name="a.png", mime_type="image/png", preview_url=preview)


async def threads(store: Store[Any], context: Any, count: int) -> list[str]:
    """Threads of the same moment; their ids, which do not sort in the order of their making."""
    ids = [f"thr_{(number * 7) % 10:032x}" for number in range(count)]
    for one in ids:
        await store.save_thread(ThreadMetadata(id=one, created_at=NOON), context)
    return ids


async def filled(store: Store[Any], context: Any, count: int) -> list[str]:
    """A thread with messages of the same moment; their ids, which do not sort in the order of their making."""
    await store.save_thread(ThreadMetadata(id=THREAD, created_at=NOON), context)
    ids = [f"msg_{(number * 7) % 10:032x}" for number in range(count)]
    for number, one in enumerate(ids):
        await store.add_thread_item(THREAD, said(str(number), one), context)
    return ids


async def mixed(store: Store[Any], context: Any, count: int) -> list[str]:
    """A thread in which two hidden items follow each message; the ids of the messages."""
    ids = await filled(store, context, 0)
    for number in range(count):
        ids.append(f"msg_{number}")
        await store.add_thread_item(THREAD, said(str(number), ids[-1]), context)
        for side in ("a", "b"):
            hidden = HiddenContextItem(id=f"msg_{number}{side}", thread_id=THREAD, created_at=NOON, content="note")
            await store.add_thread_item(THREAD, hidden, context)
    return ids
