"""Small tools for those who read streaming events themselves.

Names load when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dragoman.core.lazy import lazily

if TYPE_CHECKING:
    from dragoman.ai.utils import json_text as json_text
    from dragoman.ai.utils import thinking_extract as thinking_extract
    from dragoman.ai.utils import tool_call_assembler as tool_call_assembler
    from dragoman.ai.utils.tool_call_assembler import MultiToolCallAssembler, ToolCallAssembler, ToolCallFragment

_MODULES = ("json_text", "thinking_extract", "tool_call_assembler")
_NAMES = {"tool_call_assembler": "MultiToolCallAssembler ToolCallAssembler ToolCallFragment"}

__all__ = ["MultiToolCallAssembler", "ToolCallAssembler", "ToolCallFragment"]

__getattr__, __dir__ = lazily(__name__, _NAMES, _MODULES)
