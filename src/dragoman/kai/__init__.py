"""The Kai dialect: a client for Kai servers, and the codec that our server shares with it.

    from dragoman.kai import KaiClient

    async with KaiClient(token, storage_url, base_url) as client:
        async for event in client.send_message(client.new_chat_id(), "Hello"):
            ...

`KaiClient` awaits, `KaiClientSync` is its blocking twin. Names load when they are first used, so
that the server, which needs only the codec, does not load the client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dragoman._version import __version__
from dragoman.core.lazy import lazily

if TYPE_CHECKING:
    from dragoman.kai import client as client
    from dragoman.kai import exceptions as exceptions
    from dragoman.kai import models as models
    from dragoman.kai import sse as sse
    from dragoman.kai import sync as sync
    from dragoman.kai import types as types
    from dragoman.kai.approvals import PendingApproval, pending_approvals
    from dragoman.kai.client import KaiClient
    from dragoman.kai.events import (
        AbortEvent,
        DataEvent,
        FileEvent,
        MetadataEvent,
        ReasoningEvent,
        SourceEvent,
        StartEvent,
        ToolInputDeltaEvent,
        ToolInputErrorEvent,
        ToolOutputDeniedEvent,
    )
    from dragoman.kai.exceptions import (
        KaiAuthenticationError,
        KaiBadRequestError,
        KaiConnectionError,
        KaiError,
        KaiForbiddenError,
        KaiNotFoundError,
        KaiRateLimitError,
        KaiStreamError,
        KaiTimeoutError,
        PartialStream,
    )
    from dragoman.kai.models import (
        AgentSettings,
        ApprovalResponse,
        Chat,
        ChatDetail,
        ChatRequest,
        ErrorEvent,
        ErrorResponse,
        FinishEvent,
        HistoryResponse,
        InfoResponse,
        McpConnection,
        Message,
        MessageMetadata,
        MessageRequest,
        PingResponse,
        RequestContext,
        SSEEvent,
        StepStartEvent,
        Suggestion,
        SuggestionsResponse,
        TextEvent,
        TextPart,
        ToolApproval,
        ToolApprovalRequestEvent,
        ToolApprovalResponsePart,
        ToolCallEvent,
        ToolCallPart,
        ToolInfo,
        ToolOutputErrorEvent,
        ToolResultPart,
        ToolsListResponse,
        UnknownEvent,
        UnknownPart,
        UsageEvent,
        UsageInfo,
        UsageResponse,
        UserAgentSettings,
        Vote,
        VoteRequest,
    )
    from dragoman.kai.sse import SSEStreamParser, parse_sse_event, parse_sse_stream
    from dragoman.kai.stream import EventStream
    from dragoman.kai.sync import KaiClientSync
    from dragoman.kai.types import (
        UNSET,
        ChatModel,
        FinishReason,
        MessageRole,
        SSEEventType,
        ToolCallState,
        VisibilityType,
        VoteType,
    )

_MODULES = ("client", "exceptions", "models", "sse", "sync", "types")
_NAMES = {
    "approvals": "PendingApproval pending_approvals",
    "client": "KaiClient",
    "events": (
        "AbortEvent DataEvent FileEvent MetadataEvent ReasoningEvent SourceEvent StartEvent ToolInputDeltaEvent"
        " ToolInputErrorEvent ToolOutputDeniedEvent"
    ),
    "exceptions": (
        "KaiAuthenticationError KaiBadRequestError KaiConnectionError KaiError KaiForbiddenError KaiNotFoundError"
        " KaiRateLimitError KaiStreamError KaiTimeoutError PartialStream"
    ),
    "models": (
        "AgentSettings ApprovalResponse Chat ChatDetail ChatRequest ErrorEvent ErrorResponse FinishEvent"
        " HistoryResponse InfoResponse McpConnection Message MessageMetadata MessageRequest PingResponse"
        " RequestContext SSEEvent StepStartEvent Suggestion SuggestionsResponse TextEvent TextPart ToolApproval"
        " ToolApprovalRequestEvent ToolApprovalResponsePart ToolCallEvent ToolCallPart ToolInfo ToolOutputErrorEvent"
        " ToolResultPart ToolsListResponse UnknownEvent UnknownPart UsageEvent UsageInfo UsageResponse"
        " UserAgentSettings Vote VoteRequest"
    ),
    "sse": "SSEStreamParser parse_sse_event parse_sse_stream",
    "stream": "EventStream",
    "sync": "KaiClientSync",
    "types": "UNSET ChatModel FinishReason MessageRole SSEEventType ToolCallState VisibilityType VoteType",
}

__all__ = [
    "AbortEvent",
    "AgentSettings",
    "ApprovalResponse",
    "Chat",
    "ChatDetail",
    "ChatModel",
    "ChatRequest",
    "DataEvent",
    "ErrorEvent",
    "ErrorResponse",
    "EventStream",
    "FileEvent",
    "FinishEvent",
    "FinishReason",
    "HistoryResponse",
    "InfoResponse",
    "KaiAuthenticationError",
    "KaiBadRequestError",
    "KaiClient",
    "KaiClientSync",
    "KaiConnectionError",
    "KaiError",
    "KaiForbiddenError",
    "KaiNotFoundError",
    "KaiRateLimitError",
    "KaiStreamError",
    "KaiTimeoutError",
    "McpConnection",
    "Message",
    "MessageMetadata",
    "MessageRequest",
    "MessageRole",
    "MetadataEvent",
    "PartialStream",
    "PendingApproval",
    "PingResponse",
    "ReasoningEvent",
    "RequestContext",
    "SSEEvent",
    "SSEEventType",
    "SSEStreamParser",
    "SourceEvent",
    "StartEvent",
    "StepStartEvent",
    "Suggestion",
    "SuggestionsResponse",
    "TextEvent",
    "TextPart",
    "ToolApproval",
    "ToolApprovalRequestEvent",
    "ToolApprovalResponsePart",
    "ToolCallEvent",
    "ToolCallPart",
    "ToolCallState",
    "ToolInfo",
    "ToolInputDeltaEvent",
    "ToolInputErrorEvent",
    "ToolOutputDeniedEvent",
    "ToolOutputErrorEvent",
    "ToolResultPart",
    "ToolsListResponse",
    "UNSET",
    "UnknownEvent",
    "UnknownPart",
    "UsageEvent",
    "UsageInfo",
    "UsageResponse",
    "UserAgentSettings",
    "VisibilityType",
    "Vote",
    "VoteRequest",
    "VoteType",
    "parse_sse_event",
    "parse_sse_stream",
    "pending_approvals",
    "__version__",
]

__getattr__, __dir__ = lazily(__name__, _NAMES, _MODULES)
