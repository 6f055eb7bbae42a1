"""The client of `dragoman.ai`: chats, streams, cancellation, fallbacks.

    async with await AiClient.create("ollama/llama3") as client:
        answer = await client.chat().user("Hello").execute()

Names load when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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
_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}

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


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
