"""The client of `dragoman.ai`: chats, streams, cancellation, fallbacks.

    async with await AiClient.create("ollama/llama3") as client:
        answer = await client.chat().user("Hello").execute()

Names load when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dragoman.core.lazy import lazily

if TYPE_CHECKING:
    from dragoman.ai.client.builder import AiClientBuilder
    from dragoman.ai.client.cancel import CancelHandle, CancelReason, CancelState, CancelToken, create_cancel_pair
    from dragoman.ai.client.cancellable import CancellableStream, with_cancellation
    from dragoman.ai.client.chat import ChatRequestBuilder
    from dragoman.ai.client.client import AiClient
    from dragoman.ai.client.event_stream import EventStream as EventStream
    from dragoman.ai.client.response import ChatResponse
    from dragoman.ai.client.stats import CallStats

_NAMES = {
    "builder": "AiClientBuilder",
    "cancel": "CancelHandle CancelReason CancelState CancelToken create_cancel_pair",
    "cancellable": "CancellableStream with_cancellation",
    "chat": "ChatRequestBuilder",
    "client": "AiClient",
    "event_stream": "EventStream",
    "response": "ChatResponse",
    "stats": "CallStats",
}

__all__ = [
    "AiClient",
    "AiClientBuilder",
    "CallStats",
    "CancelHandle",
    "CancelReason",
    "CancelState",
    "CancelToken",
    "CancellableStream",
    "ChatRequestBuilder",
    "ChatResponse",
    "create_cancel_pair",
    "with_cancellation",
]

__getattr__, __dir__ = lazily(__name__, _NAMES)
