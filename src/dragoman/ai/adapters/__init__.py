"""One internal conversation, six wires: requests are built and plain answers read here.

    request = build_chat(manifest, ChatCall(model="m", messages=[Message.user("Hi")]))
    answer = parse_answer(manifest, response_body)

Which adapter speaks is decided by what the manifest says, never by a provider's id; `custom` speaks
for wires that only their manifest describes. Nothing here opens a connection or knows a secret.
Streams are read by `dragoman.ai.pipeline`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dragoman.core.lazy import lazily

if TYPE_CHECKING:
    from dragoman.ai.adapters.call import ChatCall, ChatRequest
    from dragoman.ai.adapters.draft import Adapter
    from dragoman.ai.adapters.guard import check_call, needed_capabilities
    from dragoman.ai.adapters.requests import adapter_of, build_chat, native_candidates, parse_answer

_NAMES = {
    "call": "ChatCall ChatRequest",
    "draft": "Adapter",
    "guard": "check_call needed_capabilities",
    "requests": "adapter_of build_chat native_candidates parse_answer",
}

__all__ = [
    "Adapter",
    "ChatCall",
    "ChatRequest",
    "adapter_of",
    "build_chat",
    "check_call",
    "native_candidates",
    "needed_capabilities",
    "parse_answer",
]

__getattr__, __dir__ = lazily(__name__, _NAMES)
