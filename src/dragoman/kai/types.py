"""The words of the Kai wire that are no objects: enumerations and names for ids.

All enumerations are strings, so a member and its value compare equal and both may be sent.
Knows nothing of bytes or calls.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import Final, TypeAlias

from dragoman.kai.models import MessagePart

ChatId: TypeAlias = str
MessageId: TypeAlias = str
ToolCallId: TypeAlias = str
PartType: TypeAlias = MessagePart
"""A piece of a message; 0.2.0 has this name here."""


class ChatModel(StrEnum):
    """Model aliases that every Kai server has."""

    CHAT = "chat-model"
    REASONING = "chat-model-reasoning"


class VisibilityType(StrEnum):
    """Who may read a chat: its owner, or everybody in the project."""

    PRIVATE = "private"
    PUBLIC = "public"


class VoteType(StrEnum):
    """A verdict on an answer."""

    UP = "up"
    DOWN = "down"


class JobStatus(StrEnum):
    """States of a background job."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


class MessageRole(StrEnum):
    """Who said a message."""

    USER = "user"
    ASSISTANT = "assistant"


class SSEEventType(StrEnum):
    """The `type` of the main events of a stream."""

    TEXT = "text"
    STEP_START = "step-start"
    TOOL_CALL = "tool-call"
    TOOL_RESULT = "tool-result"
    TOOL_OUTPUT_ERROR = "tool-output-error"
    FINISH = "finish"
    ERROR = "error"


class FinishReason(StrEnum):
    """Why an answer ended, as the local format spells it; production servers send other words too."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    ERROR = "error"


class ToolCallState(StrEnum):
    """The stations of a tool call; the last three of the first block are final."""

    STARTED = "started"
    INPUT_STREAMING = "input-streaming"
    INPUT_AVAILABLE = "input-available"
    APPROVAL_REQUESTED = "approval-requested"
    APPROVAL_RESPONDED = "approval-responded"
    OUTPUT_AVAILABLE = "output-available"
    OUTPUT_ERROR = "output-error"
    OUTPUT_DENIED = "output-denied"

    STREAMING = "streaming"
    DONE = "done"


class Unset(Enum):
    """The type of `UNSET`."""

    UNSET = "unset"

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset.UNSET
"""An argument that was not given, where `None` means something of its own."""
