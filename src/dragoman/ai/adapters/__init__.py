"""One internal conversation, six wires: requests are built and plain answers read here.

    request = build_chat(manifest, ChatCall(model="m", messages=[Message.user("Hi")]))
    answer = parse_answer(manifest, response_body)

Which adapter speaks is decided by what the manifest says, never by a provider's id; `custom` speaks
for wires that only their manifest describes. Nothing here opens a connection or knows a secret.
Streams are read by `dragoman.ai.pipeline`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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
_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}

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


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
