"""The objects of the Kai wire: requests, answers, and the events of a stream.

JSON is camelCase through aliases, attributes are snake_case, and both spellings are accepted on
construction. What a server sends beyond these fields is kept, except where the documentation
says that it is ignored. `events` holds the events that the documented API does not know. This
module knows no bytes and no calls.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag
from pydantic.alias_generators import to_camel


class _Strict(BaseModel):
    """Unknown fields are ignored."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, defer_build=True)


class _Open(BaseModel):
    """Unknown fields are kept."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="allow", defer_build=True)


# ------------------------------------------------------------------------------ message parts


class TextPart(_Open):
    """Text; `state` is `streaming` or `done` in answers."""

    type: Literal["text"] = "text"
    text: str
    state: str | None = None


class StepStartPart(_Open):
    """A model call begins."""

    type: Literal["step-start"] = "step-start"


class ToolResultPart(_Open):
    """A decision on a tool call, or its result."""

    type: Literal["tool-result"] = "tool-result"
    tool_call_id: str
    tool_name: str
    result: Any


class ToolApprovalResponsePart(_Open):
    """A decision named by the approval's id."""

    type: Literal["tool-approval-response"] = "tool-approval-response"
    approval_id: str
    approved: bool
    reason: str | None = None


class ToolCallPart(_Open):
    """A tool call within an answer; `type` is `tool-<name>`."""

    type: str
    tool_call_id: str
    state: str
    input: Any = None
    output: Any = None
    tool_name: str | None = None


class UnknownPart(_Open):
    """A part of another kind (reasoning, file, source, data …); all its fields are kept."""

    type: str = ""


_EXACT_PARTS = frozenset({"text", "step-start", "tool-result", "tool-approval-response"})


def _part_kind(part: Any) -> str:
    kind = part.get("type") if isinstance(part, dict) else getattr(part, "type", None)
    if not isinstance(kind, str):
        return "unknown"
    if kind in _EXACT_PARTS:
        return kind
    return "tool-call" if kind.startswith("tool-") or kind == "dynamic-tool" else "unknown"


MessagePart: TypeAlias = Annotated[
    Annotated[TextPart, Tag("text")]
    | Annotated[StepStartPart, Tag("step-start")]
    | Annotated[ToolResultPart, Tag("tool-result")]
    | Annotated[ToolApprovalResponsePart, Tag("tool-approval-response")]
    | Annotated[ToolCallPart, Tag("tool-call")]
    | Annotated[UnknownPart, Tag("unknown")],
    Discriminator(_part_kind),
]
"""Any part of a message, for `pydantic.TypeAdapter(MessagePart)`."""


# ----------------------------------------------------------------------------------- requests


class RequestContext(_Open):
    """Where in an application the user was."""

    path: str | None = None


class MessageMetadata(_Open):
    """What is sent along with a message."""

    hidden: bool = False
    request_context: RequestContext | None = None


class MessageRequest(_Strict):
    """A user's message, or a control message that carries decisions."""

    id: str
    role: Literal["user"] = "user"
    parts: list[TextPart | ToolResultPart | ToolApprovalResponsePart]
    metadata: MessageMetadata | None = None


class ChatRequest(_Strict):
    """The body of `POST /api/chat` with a user's message."""

    id: str
    message: MessageRequest
    selected_chat_model: str
    selected_visibility_type: str
    branch_id: int | None = None


class AnswerRequest(_Strict):
    """An assistant's message that goes back with decisions in its parts."""

    id: str
    role: Literal["assistant"] = "assistant"
    parts: list[dict[str, Any]]


class DecisionRequest(_Strict):
    """The body of `POST /api/chat` with an assistant's message."""

    id: str
    message: AnswerRequest
    selected_chat_model: str
    selected_visibility_type: str
    branch_id: int | None = None


class VoteRequest(_Strict):
    """The body of `PATCH /api/vote`. Another word than `up` or `down` is a ValidationError, which is a ValueError."""

    chat_id: str
    message_id: str
    type: Literal["up", "down"]


# ------------------------------------------------------------------------------------ answers


class PingResponse(_Strict):
    """The server is alive."""

    timestamp: datetime


class McpConnection(_Open):
    """A tool server that the assistant uses."""

    name: str
    status: str


class InfoResponse(_Open):
    """What the server says of itself; `connected_mcp` is a list or an object, `uptime` in seconds."""

    timestamp: datetime
    uptime: float
    app_name: str
    app_version: str
    server_version: str
    connected_mcp: Any = Field(default_factory=list)


class Message(_Open):
    """A stored message; `parts` are plain objects, see `MessagePart`."""

    id: str
    role: str
    parts: list[dict[str, Any]]
    created_at: datetime | None = None
    metadata: dict[str, Any] | None = None


class Chat(_Open):
    """A chat in a list."""

    id: str
    title: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    visibility: str | None = None
    user_id: str | None = None


class ChatDetail(Chat):
    """A chat with its messages, in order."""

    messages: list[Message] = Field(default_factory=list)


class HistoryResponse(_Open):
    """A page of chats, newest first."""

    chats: list[Chat]
    has_more: bool


class Vote(_Open):
    """A verdict on an answer."""

    id: str | None = None
    chat_id: str
    message_id: str
    type: Literal["up", "down"]
    created_at: datetime | None = None


class ErrorResponse(_Open):
    """The body of an error answer."""

    code: str
    message: str
    cause: str | None = None


class ApprovalResponse(_Open):
    """A decision was accepted."""

    success: bool
    tool_use_id: str
    approved: bool


class UsageResponse(_Open):
    """The quota of messages and when it begins anew."""

    messages_used: int
    messages_limit: int
    reset_date: datetime


class AgentSettings(_Open):
    """Settings of a project."""

    project_id: str
    custom_instructions: str | None = None
    created_at: datetime
    updated_at: datetime


class UserAgentSettings(_Open):
    """Settings of a user; permissions are `always_allow`, `always_ask` or `blocked` by tool name."""

    project_id: str
    user_id: str
    custom_instructions: str | None = None
    tool_permissions: dict[str, str] | None = None
    created_at: datetime
    updated_at: datetime


class ToolInfo(_Open):
    """A tool that the assistant may use."""

    name: str
    description: str
    read_only: bool


class ToolsListResponse(_Open):
    """All tools that the user can reach."""

    tools: list[ToolInfo]


class Suggestion(_Open):
    """Something the user might ask next."""

    id: str
    label: str
    prompt: str
    priority: int
    category: str
    reasoning: str


class SuggestionsResponse(_Open):
    """Suggestions for a context, highest priority first."""

    suggestions: list[Suggestion]
    suggestion_session_id: str


# ------------------------------------------------------------------------------------- events


class BaseSSEEvent(_Open):
    """What all events of a stream have in common."""

    type: str


class TextEvent(BaseSSEEvent):
    """A piece of the answer's text."""

    type: Literal["text"] = "text"
    text: str
    state: str | None = None


def new_text_event(text: str) -> TextEvent:
    """`TextEvent(text=text, state=None)`, put together by hand.

    Nearly all events of a stream are these, and `text` is known to be a string: validating it once
    more would be a third of what an event costs, from its bytes on.
    """
    event = _new(TextEvent)
    fields = event.__dict__
    fields["type"] = "text"
    fields["text"] = text
    fields["state"] = None
    _set_fields_set(event, {"text", "state"})
    _set_extra(event, {})
    _set_private(event, None)
    return event


_new = object.__new__
_set_fields_set, _set_extra, _set_private = (
    BaseModel.__dict__[f"__pydantic_{name}__"].__set__ for name in ("fields_set", "extra", "private")
)


class StepStartEvent(BaseSSEEvent):
    """A model call begins."""

    type: Literal["step-start"] = "step-start"


class ToolApproval(_Open):
    """The approval of a tool call; `approved` is None while nobody has decided."""

    id: str
    approved: bool | None = None
    reason: str | None = None


class ToolCallEvent(BaseSSEEvent):
    """A tool call has come to `state`: `started`, `input-available`, `output-available` …"""

    type: Literal["tool-call"] = "tool-call"
    tool_call_id: str
    tool_name: str | None = None
    state: str
    input: Any = None
    output: Any = None
    approval: ToolApproval | None = None


class ToolApprovalRequestEvent(BaseSSEEvent):
    """A human must decide on a tool call."""

    type: Literal["tool-approval-request"] = "tool-approval-request"
    approval_id: str
    tool_call_id: str
    tool_name: str | None = None


class ToolOutputErrorEvent(BaseSSEEvent):
    """A tool call failed."""

    type: Literal["tool-output-error"] = "tool-output-error"
    tool_call_id: str
    error_text: str
    tool_name: str | None = None


class UsageInfo(_Open):
    """Tokens."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0


class UsageEvent(BaseSSEEvent):
    """Tokens of the whole run."""

    type: Literal["data-usage"] = "data-usage"
    usage: UsageInfo


class FinishEvent(BaseSSEEvent):
    """The answer ended; with `is_step` only one model call of it."""

    type: Literal["finish"] = "finish"
    finish_reason: str
    usage: UsageInfo | None = None
    is_step: bool = False


class ErrorEvent(BaseSSEEvent):
    """The run failed; `code` is whatever the server sent, usually a text."""

    type: Literal["error"] = "error"
    message: str
    code: str | int | float | bool | None = None


class UnknownEvent(BaseSSEEvent):
    """An event without a documented class; `data` is the whole object."""

    data: dict[str, Any] = Field(default_factory=dict)

    if TYPE_CHECKING:
        # `if event.type == "text"` cannot rule this class out for a type checker, since any word
        # may be its type; with this, the documented loops check.
        def __getattr__(self, name: str) -> Any: ...


SSEEvent: TypeAlias = (
    TextEvent
    | StepStartEvent
    | ToolCallEvent
    | ToolApprovalRequestEvent
    | UsageEvent
    | FinishEvent
    | ErrorEvent
    | ToolOutputErrorEvent
    | UnknownEvent
)
"""Everything that a stream yields."""
