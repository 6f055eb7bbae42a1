"""Any model of any provider, driven by AI-Protocol manifests instead of provider code.

    from dragoman.ai import AiClient

    async with await AiClient.create("anthropic/claude-sonnet-4-5") as client:
        async for event in client.chat().user("Hello").stream():
            if event.is_content_delta:
                print(event.as_content_delta.content, end="")

The room may use core, wire, resilience and transport; it does not know the server, the engine or
another dialect. Names load when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dragoman._version import __version__
from dragoman.core.lazy import lazily

if TYPE_CHECKING:
    from dragoman.ai.client import AiClient, AiClientBuilder, CallStats, ChatResponse
    from dragoman.ai.errors import AiLibError, ProtocolError, TransportError
    from dragoman.ai.features import HAS_AUDIO as HAS_AUDIO
    from dragoman.ai.features import HAS_KEYRING as HAS_KEYRING
    from dragoman.ai.features import HAS_TELEMETRY as HAS_TELEMETRY
    from dragoman.ai.features import HAS_TOKENIZER as HAS_TOKENIZER
    from dragoman.ai.features import HAS_VISION as HAS_VISION
    from dragoman.ai.features import HAS_WATCHDOG as HAS_WATCHDOG
    from dragoman.ai.features import require_extra as require_extra
    from dragoman.ai.types import (
        ContentBlock,
        Message,
        MessageContent,
        MessageRole,
        StreamingEvent,
        ToolCall,
        ToolDefinition,
    )

_MODULES = (
    "adapters",
    "batch",
    "cache",
    "client",
    "computer_use",
    "drivers",
    "embeddings",
    "errors",
    "features",
    "generative",
    "guardrails",
    "mcp",
    "model",
    "multimodal",
    "pipeline",
    "plugins",
    "protocol",
    "registry",
    "rerank",
    "resilience",
    "routing",
    "services",
    "structured",
    "stt",
    "telemetry",
    "tokens",
    "translate",
    "transport",
    "tts",
    "types",
    "utils",
)
_NAMES = {
    "client": "AiClient AiClientBuilder CallStats ChatResponse",
    "errors": "AiLibError ProtocolError TransportError",
    "features": "HAS_AUDIO HAS_KEYRING HAS_TELEMETRY HAS_TOKENIZER HAS_VISION HAS_WATCHDOG require_extra",
    "types": "ContentBlock Message MessageContent MessageRole StreamingEvent ToolCall ToolDefinition",
}

__all__ = [
    "AiClient",
    "AiClientBuilder",
    "AiLibError",
    "CallStats",
    "ChatResponse",
    "ContentBlock",
    "Message",
    "MessageContent",
    "MessageRole",
    "ProtocolError",
    "StreamingEvent",
    "ToolCall",
    "ToolDefinition",
    "TransportError",
    "__version__",
]

__getattr__, __dir__ = lazily(__name__, _NAMES, _MODULES)
