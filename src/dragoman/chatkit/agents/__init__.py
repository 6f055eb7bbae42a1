"""Agents behind a ChatKit thread: the bridge to the OpenAI Agents SDK, which need not be installed.

Run results are recognised by their shape, and inputs are plain dicts of the Responses API, so that
every version of the SDK, and anything that behaves like it, will do.
"""

from __future__ import annotations

from dragoman.chatkit.agents.context import AgentContext, ClientToolCall
from dragoman.chatkit.agents.converter import ResponseStreamConverter
from dragoman.chatkit.agents.items import ThreadItemConverter, simple_to_agent_input
from dragoman.chatkit.agents.streaming import StreamingThoughtTracker, accumulate_text, stream_agent_response

__all__ = [
    "AgentContext",
    "ClientToolCall",
    "ResponseStreamConverter",
    "StreamingThoughtTracker",
    "ThreadItemConverter",
    "accumulate_text",
    "simple_to_agent_input",
    "stream_agent_response",
]
