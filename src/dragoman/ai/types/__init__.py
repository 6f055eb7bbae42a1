"""Messages, tools and streaming events: the words of `dragoman.ai`.

Names load when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dragoman.core.lazy import lazily

if TYPE_CHECKING:
    from dragoman.ai.types import events as events
    from dragoman.ai.types import execution_result as execution_result
    from dragoman.ai.types import manifest_encode as manifest_encode
    from dragoman.ai.types import message as message
    from dragoman.ai.types import text_tool as text_tool
    from dragoman.ai.types import tool as tool
    from dragoman.ai.types.events import StreamingEvent
    from dragoman.ai.types.message import AudioSource, ContentBlock, ImageSource, Message, MessageContent, MessageRole
    from dragoman.ai.types.text_tool import NativeStrategy as NativeStrategy
    from dragoman.ai.types.text_tool import PromptLevel as PromptLevel
    from dragoman.ai.types.text_tool import StandardTextToolParser as StandardTextToolParser
    from dragoman.ai.types.text_tool import TextToolConfig as TextToolConfig
    from dragoman.ai.types.text_tool import ToolCallingPolicy as ToolCallingPolicy
    from dragoman.ai.types.tool import FunctionDefinition, ToolCall, ToolChoice, ToolDefinition

_MODULES = ("events", "execution_result", "manifest_encode", "message", "text_tool", "tool")
_NAMES = {
    "events": "StreamingEvent",
    "message": "AudioSource ContentBlock ImageSource Message MessageContent MessageRole",
    "text_tool": "NativeStrategy PromptLevel StandardTextToolParser TextToolConfig ToolCallingPolicy",
    "tool": "FunctionDefinition ToolCall ToolChoice ToolDefinition",
}

__all__ = [
    "AudioSource",
    "ContentBlock",
    "FunctionDefinition",
    "ImageSource",
    "Message",
    "MessageContent",
    "MessageRole",
    "StreamingEvent",
    "ToolCall",
    "ToolChoice",
    "ToolDefinition",
]

__getattr__, __dir__ = lazily(__name__, _NAMES, _MODULES)
