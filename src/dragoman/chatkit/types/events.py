"""What a stream says: events, and the updates of items inside them.

Types that a client does not know are to be ignored.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from dragoman.chatkit.errors import ErrorCode
from dragoman.chatkit.icons import LenientIcon
from dragoman.chatkit.types.base import WireModel
from dragoman.chatkit.types.messages import Annotation, AssistantMessageContent
from dragoman.chatkit.types.threads import GeneratedImage, Thread, ThreadItem
from dragoman.chatkit.types.workflows import Task
from dragoman.chatkit.widgets.roots import WidgetComponent, WidgetRoot

# --------------------------------------------------------------------------- updates of one item


class AssistantMessageContentPartAdded(WireModel):
    """A part of the message begins."""

    type: Literal["assistant_message.content_part.added"] = "assistant_message.content_part.added"
    content_index: int
    content: AssistantMessageContent


class AssistantMessageContentPartTextDelta(WireModel):
    """A part grows."""

    type: Literal["assistant_message.content_part.text_delta"] = "assistant_message.content_part.text_delta"
    content_index: int
    delta: str


class AssistantMessageContentPartAnnotationAdded(WireModel):
    """A part gets a source."""

    type: Literal["assistant_message.content_part.annotation_added"] = "assistant_message.content_part.annotation_added"
    content_index: int
    annotation_index: int
    annotation: Annotation


class AssistantMessageContentPartDone(WireModel):
    """A part is whole."""

    type: Literal["assistant_message.content_part.done"] = "assistant_message.content_part.done"
    content_index: int
    content: AssistantMessageContent


class WidgetStreamingTextValueDelta(WireModel):
    """A text of the widget grows."""

    type: Literal["widget.streaming_text.value_delta"] = "widget.streaming_text.value_delta"
    component_id: str
    delta: str
    done: bool


class WidgetComponentUpdated(WireModel):
    """A component of the widget is another now."""

    type: Literal["widget.component.updated"] = "widget.component.updated"
    component_id: str
    component: WidgetComponent


class WidgetRootUpdated(WireModel):
    """The widget is another now."""

    type: Literal["widget.root.updated"] = "widget.root.updated"
    widget: WidgetRoot


class WorkflowTaskAdded(WireModel):
    """The workflow has one more task."""

    type: Literal["workflow.task.added"] = "workflow.task.added"
    task_index: int
    task: Task


class WorkflowTaskUpdated(WireModel):
    """A task of the workflow is another now."""

    type: Literal["workflow.task.updated"] = "workflow.task.updated"
    task_index: int
    task: Task


class GeneratedImageUpdated(WireModel):
    """More of the image is there; `progress` from 0 to 1."""

    type: Literal["generated_image.updated"] = "generated_image.updated"
    image: GeneratedImage
    progress: float | None = None


ThreadItemUpdate = Annotated[
    AssistantMessageContentPartAdded
    | AssistantMessageContentPartTextDelta
    | AssistantMessageContentPartAnnotationAdded
    | AssistantMessageContentPartDone
    | WidgetStreamingTextValueDelta
    | WidgetComponentUpdated
    | WidgetRootUpdated
    | WorkflowTaskAdded
    | WorkflowTaskUpdated
    | GeneratedImageUpdated,
    Field(discriminator="type"),
]


# --------------------------------------------------------------------------- events


class ThreadCreatedEvent(WireModel):
    """A thread begins."""

    type: Literal["thread.created"] = "thread.created"
    thread: Thread


class ThreadUpdatedEvent(WireModel):
    """The thread's title, status or image domains are others now."""

    type: Literal["thread.updated"] = "thread.updated"
    thread: Thread


class ThreadItemAddedEvent(WireModel):
    """An item begins; updates follow."""

    type: Literal["thread.item.added"] = "thread.item.added"
    item: ThreadItem


class ThreadItemUpdatedEvent(WireModel):
    """An item changes."""

    type: Literal["thread.item.updated"] = "thread.item.updated"
    item_id: str
    update: ThreadItemUpdate


ThreadItemUpdated = ThreadItemUpdatedEvent


class ThreadItemDoneEvent(WireModel):
    """An item is whole, and is stored."""

    type: Literal["thread.item.done"] = "thread.item.done"
    item: ThreadItem


class ThreadItemRemovedEvent(WireModel):
    """An item is gone."""

    type: Literal["thread.item.removed"] = "thread.item.removed"
    item_id: str


class ThreadItemReplacedEvent(WireModel):
    """An item has new content under its old id."""

    type: Literal["thread.item.replaced"] = "thread.item.replaced"
    item: ThreadItem


class StreamOptions(WireModel):
    """What the client may do with the stream; `allow_cancel` shows a stop button."""

    allow_cancel: bool


class StreamOptionsEvent(WireModel):
    """The options of this stream."""

    type: Literal["stream_options"] = "stream_options"
    stream_options: StreamOptions


class ProgressUpdateEvent(WireModel):
    """What the assistant does right now; not stored."""

    type: Literal["progress_update"] = "progress_update"
    icon: LenientIcon = None
    text: str


class ClientEffectEvent(WireModel):
    """Something for the page to do; nobody waits for it."""

    type: Literal["client_effect"] = "client_effect"
    name: str
    data: dict[str, Any] = Field(default_factory=dict)


class ErrorEvent(WireModel):
    """The answer failed. `custom` shows the message; for any other code the front end has a text."""

    type: Literal["error"] = "error"
    code: ErrorCode | Literal["custom"] | str = Field(default="custom", union_mode="left_to_right")
    message: str | None = None
    allow_retry: bool = Field(default=False)


class NoticeEvent(WireModel):
    """A message beside the conversation, in Markdown; not stored."""

    type: Literal["notice"] = "notice"
    level: Literal["info", "warning", "danger"]
    message: str
    title: str | None = None


ThreadStreamEvent = Annotated[
    ThreadCreatedEvent
    | ThreadUpdatedEvent
    | ThreadItemDoneEvent
    | ThreadItemAddedEvent
    | ThreadItemUpdatedEvent
    | ThreadItemRemovedEvent
    | ThreadItemReplacedEvent
    | StreamOptionsEvent
    | ProgressUpdateEvent
    | ClientEffectEvent
    | ErrorEvent
    | NoticeEvent,
    Field(discriminator="type"),
]


class SyncCustomActionResponse(WireModel):
    """The item that a synchronous action changed, if it changed one."""

    updated_item: ThreadItem | None = None
