"""What a client may ask for. Fields that a class does not know are ignored."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field
from typing_extensions import TypeIs

from dragoman.chatkit.actions import Action
from dragoman.chatkit.types.base import WireModel
from dragoman.chatkit.types.messages import UserMessageInput
from dragoman.chatkit.types.structured import StructuredInputSubmission

FeedbackKind = Literal["positive", "negative"]
Order = Literal["asc", "desc"]


class BaseReq(WireModel):
    """The envelope of every request; `metadata` is the integrator's."""

    metadata: dict[str, Any] = Field(default_factory=dict)


class ThreadCreateParams(WireModel):
    """The message that begins the thread."""

    input: UserMessageInput


class ThreadsCreateReq(BaseReq):
    """Begin a thread with a message."""

    type: Literal["threads.create"] = "threads.create"
    params: ThreadCreateParams


class ThreadAddUserMessageParams(WireModel):
    """A message, and the thread that it goes to."""

    input: UserMessageInput
    thread_id: str


class ThreadsAddUserMessageReq(BaseReq):
    """Send a message."""

    type: Literal["threads.add_user_message"] = "threads.add_user_message"
    params: ThreadAddUserMessageParams


class ThreadAddClientToolOutputParams(WireModel):
    """What the client's tool gave."""

    thread_id: str
    result: Any


class ThreadsAddClientToolOutputReq(BaseReq):
    """Answer the pending call of a client tool."""

    type: Literal["threads.add_client_tool_output"] = "threads.add_client_tool_output"
    params: ThreadAddClientToolOutputParams


class ThreadAddStructuredInputParams(WireModel):
    """Answers to the questions of an item."""

    thread_id: str
    item_id: str
    input: StructuredInputSubmission


class ThreadsAddStructuredInputReq(BaseReq):
    """Answer questions."""

    type: Literal["threads.add_structured_input"] = "threads.add_structured_input"
    params: ThreadAddStructuredInputParams


class ThreadRetryAfterItemParams(WireModel):
    """The user message to answer anew."""

    thread_id: str
    item_id: str


class ThreadsRetryAfterItemReq(BaseReq):
    """Drop what follows a user message, and answer it anew."""

    type: Literal["threads.retry_after_item"] = "threads.retry_after_item"
    params: ThreadRetryAfterItemParams


class ThreadCustomActionParams(WireModel):
    """An action, and the widget item that sent it, if one did."""

    thread_id: str
    item_id: str | None = None
    action: Action[str, Any]


class ThreadsCustomActionReq(BaseReq):
    """Do what a widget's action asks for, and stream what comes of it."""

    type: Literal["threads.custom_action"] = "threads.custom_action"
    params: ThreadCustomActionParams


class ThreadsSyncCustomActionReq(BaseReq):
    """Do what a widget's action asks for, and give back the changed item."""

    type: Literal["threads.sync_custom_action"] = "threads.sync_custom_action"
    params: ThreadCustomActionParams


class ThreadGetByIdParams(WireModel):
    """A thread."""

    thread_id: str


class ThreadsGetByIdReq(BaseReq):
    """A thread with its first items."""

    type: Literal["threads.get_by_id"] = "threads.get_by_id"
    params: ThreadGetByIdParams


class ThreadListParams(WireModel):
    """Which page of threads; a limit of 0 or null is the default."""

    limit: int | None = None
    order: Order = "desc"
    after: str | None = None


class ThreadsListReq(BaseReq):
    """The user's threads."""

    type: Literal["threads.list"] = "threads.list"
    params: ThreadListParams


class ThreadUpdateParams(WireModel):
    """A thread's new title."""

    thread_id: str
    title: str


class ThreadsUpdateReq(BaseReq):
    """Rename a thread."""

    type: Literal["threads.update"] = "threads.update"
    params: ThreadUpdateParams


class ThreadDeleteParams(WireModel):
    """The thread to delete."""

    thread_id: str


class ThreadsDeleteReq(BaseReq):
    """Delete a thread."""

    type: Literal["threads.delete"] = "threads.delete"
    params: ThreadDeleteParams


class ItemsListParams(WireModel):
    """Which page of items; a limit of 0 or null is the default."""

    thread_id: str
    limit: int | None = None
    order: Order = "desc"
    after: str | None = None


class ItemsListReq(BaseReq):
    """Items of a thread."""

    type: Literal["items.list"] = "items.list"
    params: ItemsListParams


class ItemFeedbackParams(WireModel):
    """Thumbs up or down for items."""

    thread_id: str
    item_ids: list[str]
    kind: FeedbackKind


class ItemsFeedbackReq(BaseReq):
    """Say how good items are."""

    type: Literal["items.feedback"] = "items.feedback"
    params: ItemFeedbackParams


class AttachmentCreateParams(WireModel):
    """A file to come; `size` in bytes."""

    name: str
    size: int
    mime_type: str


class AttachmentsCreateReq(BaseReq):
    """Declare a file, and learn where to send its bytes."""

    type: Literal["attachments.create"] = "attachments.create"
    params: AttachmentCreateParams


class AttachmentDeleteParams(WireModel):
    """The file to delete."""

    attachment_id: str


class AttachmentsDeleteReq(BaseReq):
    """Delete a file."""

    type: Literal["attachments.delete"] = "attachments.delete"
    params: AttachmentDeleteParams


class InputTranscribeParams(WireModel):
    """Speech, with its type such as `audio/webm;codecs=opus`."""

    audio_base64: str
    mime_type: str


class InputTranscribeReq(BaseReq):
    """Turn speech into text."""

    type: Literal["input.transcribe"] = "input.transcribe"
    params: InputTranscribeParams


class AudioInput(WireModel):
    """Speech as `transcribe` gets it; `mime_type` as the client sent it."""

    data: bytes
    mime_type: str

    @property
    def media_type(self) -> str:
        """The type without its parameters, such as `audio/webm`."""
        return self.mime_type.split(";", 1)[0]


class TranscriptionResult(WireModel):
    """What was said."""

    text: str


StreamingReq = (
    ThreadsCreateReq
    | ThreadsAddUserMessageReq
    | ThreadsAddClientToolOutputReq
    | ThreadsAddStructuredInputReq
    | ThreadsRetryAfterItemReq
    | ThreadsCustomActionReq
)
"""Requests that are answered with a stream of events."""

NonStreamingReq = (
    ThreadsGetByIdReq
    | ThreadsListReq
    | ItemsListReq
    | ItemsFeedbackReq
    | AttachmentsCreateReq
    | AttachmentsDeleteReq
    | ThreadsUpdateReq
    | ThreadsDeleteReq
    | InputTranscribeReq
    | ThreadsSyncCustomActionReq
)
"""Requests that are answered with one JSON document."""

ChatKitReq = Annotated[StreamingReq | NonStreamingReq, Field(discriminator="type")]


def is_streaming_req(request: ChatKitReq) -> TypeIs[StreamingReq]:
    """Whether the answer is a stream."""
    return isinstance(request, StreamingReq)
