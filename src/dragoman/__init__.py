"""Dragoman: one system between AI clients and AI models.

The names below load on first use, so that `import dragoman` costs next to nothing. Documented
paths are the homes of the classes (`dragoman.kai.client` …), not this module.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from dragoman._version import __version__

if TYPE_CHECKING:
    from dragoman.ai.model import openai_compatible, provider_model
    from dragoman.core.errors import (
        DragomanError,
        MissingExtra,
        PolicyError,
        ProtocolError,
        RemoteError,
        RunError,
        TransportError,
        UsageError,
    )
    from dragoman.core.messages import ModelRequest
    from dragoman.engine.agents import Agent
    from dragoman.engine.app import App
    from dragoman.engine.tools import Tool, tool

_HOMES = {
    "App": "dragoman.engine.app",
    "Agent": "dragoman.engine.agents",
    "Tool": "dragoman.engine.tools",
    "tool": "dragoman.engine.tools",
    "openai_compatible": "dragoman.ai.model",
    "provider_model": "dragoman.ai.model",
    "ModelRequest": "dragoman.core.messages",
    "DragomanError": "dragoman.core.errors",
    "UsageError": "dragoman.core.errors",
    "MissingExtra": "dragoman.core.errors",
    "TransportError": "dragoman.core.errors",
    "RemoteError": "dragoman.core.errors",
    "ProtocolError": "dragoman.core.errors",
    "PolicyError": "dragoman.core.errors",
    "RunError": "dragoman.core.errors",
}

__all__ = [
    "App",
    "Agent",
    "Tool",
    "tool",
    "openai_compatible",
    "provider_model",
    "ModelRequest",
    "DragomanError",
    "UsageError",
    "MissingExtra",
    "TransportError",
    "RemoteError",
    "ProtocolError",
    "PolicyError",
    "RunError",
    "__version__",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'dragoman' has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
