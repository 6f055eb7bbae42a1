"""Threads and the items in them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from dragoman.chatkit.types.attachments import Attachment
from dragoman.chatkit.types.base import Page, WireModel
from dragoman.chatkit.types.messages import AssistantMessageContent, InferenceOptions, UserMessageContent
from dragoman.chatkit.types.structured import StructuredInput
from dragoman.chatkit.types.times import Moment
from dragoman.chatkit.types.workflows import Task, Workflow
from dragoman.chatkit.widgets.roots import WidgetRoot


class ThreadItemBase(WireModel):
    """What all items have."""

    id: str
    thread_id: str
    created_at: Moment


class UserMessageItem(ThreadItemBase):
    """A message of the user."""

    type: Literal["user_message"] = "user_message"
    content: list[UserMessageContent]
    attachments: list[Attachment] = Field(default_factory=list)
    quoted_text: str | None = None
    inference_options: InferenceOptions = Field(default_factory=InferenceOptions)


class AssistantMessageItem(ThreadItemBase):
    """A message of the assistant."""

    type: Literal["assistant_message"] = "assistant_message"
    content: list[AssistantMessageContent]


class ClientToolCallItem(ThreadItemBase):
    """A call of a tool that the client runs; it sends the output back."""

    type: Literal["client_tool_call"] = "client_tool_call"
    status: Literal["pending", "completed"] = "pending"
    call_id: str
    name: str
    arguments: dict[str, Any]
    output: Any | None = None


class WidgetItem(ThreadItemBase):
    """A widget; `copy_text` is what its copy button gives."""

    type: Literal["widget"] = "widget"
    widget: WidgetRoot
    copy_text: str | None = None


class GeneratedImage(WireModel):
    """An image that a model made."""

    id: str
    url: str


class GeneratedImageItem(ThreadItemBase):
    """An image, which is null while it is being made."""

    type: Literal["generated_image"] = "generated_image"
    image: GeneratedImage | None = None


class StructuredInputItem(ThreadItemBase):
    """Questions to the user."""

    type: Literal["structured_input"] = "structured_input"
    status: Literal["pending", "answered", "skipped"] = "pending"
    inputs: list[StructuredInput]


class WorkflowItem(ThreadItemBase):
    """A workflow."""

    type: Literal["workflow"] = "workflow"
    workflow: Workflow


class TaskItem(ThreadItemBase):
    """A task that belongs to no workflow."""

    type: Literal["task"] = "task"
    task: Task


class HiddenContextItem(ThreadItemBase):
    """Something that the model shall know; never sent to the client."""

    type: Literal["hidden_context_item"] = "hidden_context_item"
    content: Any


class SDKHiddenContextItem(ThreadItemBase):
    """Something that this package tells the model; never sent to the client."""

    type: Literal["sdk_hidden_context"] = "sdk_hidden_context"
    content: str


class EndOfTurnItem(ThreadItemBase):
    """The assistant has said all for now."""

    type: Literal["end_of_turn"] = "end_of_turn"


ThreadItem = Annotated[
    UserMessageItem
    | AssistantMessageItem
    | ClientToolCallItem
    | WidgetItem
    | GeneratedImageItem
    | StructuredInputItem
    | WorkflowItem
    | TaskItem
    | HiddenContextItem
    | SDKHiddenContextItem
    | EndOfTurnItem,
    Field(discriminator="type"),
]


class ActiveStatus(WireModel):
    """The thread takes messages."""

    type: Literal["active"] = Field(default="active", frozen=True)


class LockedStatus(WireModel):
    """The thread takes no messages for now."""

    type: Literal["locked"] = Field(default="locked", frozen=True)
    reason: str | None = None


class ClosedStatus(WireModel):
    """The thread takes no messages any more."""

    type: Literal["closed"] = Field(default="closed", frozen=True)
    reason: str | None = None


ThreadStatus = Annotated[ActiveStatus | LockedStatus | ClosedStatus, Field(discriminator="type")]


class ThreadMetadata(WireModel):
    """A thread without its items. `metadata` is the server's own and never sent.

    `allowed_image_domains`: from where Markdown may show images; None leaves it to the front end.
    """

    title: str | None = None
    id: str
    created_at: Moment
    status: ThreadStatus = Field(default_factory=ActiveStatus)
    allowed_image_domains: list[str] | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)


class Thread(ThreadMetadata):
    """A thread with a page of its items."""

    items: Page[ThreadItem]
