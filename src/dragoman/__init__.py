"""Dragoman: one system between AI clients and AI models.

The names below load on first use, so that `import dragoman` costs next to nothing. Documented
paths are the homes of the classes (`dragoman.kai.client` …), not this module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dragoman._version import __version__
from dragoman.core.lazy import lazily

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
    from dragoman.engine.flows.authoring import Flow, agent_step, client_tool, flow, loop, model_step, step, when
    from dragoman.engine.flows.context import FlowContext, StepError
    from dragoman.engine.tools import Tool, form, tool

_NAMES = {
    "ai.model": "openai_compatible provider_model",
    "core.errors": (
        "DragomanError MissingExtra PolicyError ProtocolError RemoteError RunError TransportError UsageError"
    ),
    "core.messages": "ModelRequest",
    "engine.agents": "Agent",
    "engine.app": "App",
    "engine.flows.authoring": "Flow agent_step client_tool flow loop model_step step when",
    "engine.flows.context": "FlowContext StepError",
    "engine.tools": "Tool form tool",
}

__all__ = [
    "App",
    "Agent",
    "Tool",
    "tool",
    "form",
    "Flow",
    "flow",
    "step",
    "model_step",
    "agent_step",
    "client_tool",
    "loop",
    "when",
    "FlowContext",
    "StepError",
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

__getattr__, __dir__ = lazily(__name__, _NAMES)
