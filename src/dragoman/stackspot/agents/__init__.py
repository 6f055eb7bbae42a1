"""Talking to agents: the names that the documentation of `stkai` imports from `stkai.agents`, and their async twins.

Names load when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dragoman.core.lazy import lazily

if TYPE_CHECKING:
    from dragoman.stackspot.agent import Agent
    from dragoman.stackspot.async_agent import AsyncAgent
    from dragoman.stackspot.chat_stream import AsyncChatResponseStream, ChatResponseStream
    from dragoman.stackspot.conversation import ConversationContext, ConversationScope, UseConversation
    from dragoman.stackspot.handlers import (
        DEFAULT_RESULT_HANDLER,
        JSON_RESULT_HANDLER,
        ChainedResultHandler,
        ChatResultContext,
        ChatResultHandler,
        ChatResultHandlerError,
        JsonResultHandler,
        RawResultHandler,
    )
    from dragoman.stackspot.models import ChatRequest, ChatResponse, ChatStatus, ChatTokenUsage
    from dragoman.stackspot.options import AgentOptions
    from dragoman.stackspot.sse_parser import ChatResponseStreamEvent, ChatResponseStreamEventType, SseEventParser

_NAMES = {
    ".agent": "Agent",
    ".async_agent": "AsyncAgent",
    ".chat_stream": "AsyncChatResponseStream ChatResponseStream",
    ".conversation": "ConversationContext ConversationScope UseConversation",
    ".handlers": (
        "DEFAULT_RESULT_HANDLER JSON_RESULT_HANDLER ChainedResultHandler ChatResultContext ChatResultHandler"
        " ChatResultHandlerError JsonResultHandler RawResultHandler"
    ),
    ".models": "ChatRequest ChatResponse ChatStatus ChatTokenUsage",
    ".options": "AgentOptions",
    ".sse_parser": "ChatResponseStreamEvent ChatResponseStreamEventType SseEventParser",
}

__all__ = [
    "Agent",
    "AgentOptions",
    "AsyncAgent",
    "AsyncChatResponseStream",
    "ChainedResultHandler",
    "ChatRequest",
    "ChatResponse",
    "ChatResponseStream",
    "ChatResponseStreamEvent",
    "ChatResponseStreamEventType",
    "ChatResultContext",
    "ChatResultHandler",
    "ChatResultHandlerError",
    "ChatStatus",
    "ChatTokenUsage",
    "ConversationContext",
    "ConversationScope",
    "DEFAULT_RESULT_HANDLER",
    "JSON_RESULT_HANDLER",
    "JsonResultHandler",
    "RawResultHandler",
    "SseEventParser",
    "UseConversation",
]

__getattr__, __dir__ = lazily(__name__, _NAMES)
