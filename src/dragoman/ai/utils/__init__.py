"""Small tools for those who read streaming events themselves.

Names load when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dragoman.ai.utils import json_text as json_text
    from dragoman.ai.utils import thinking_extract as thinking_extract
    from dragoman.ai.utils import tool_call_assembler as tool_call_assembler
    from dragoman.ai.utils.tool_call_assembler import MultiToolCallAssembler, ToolCallAssembler, ToolCallFragment

_MODULES = ("json_text", "thinking_extract", "tool_call_assembler")
_HOMES = dict.fromkeys(("MultiToolCallAssembler", "ToolCallAssembler", "ToolCallFragment"), "tool_call_assembler")

__all__ = ["MultiToolCallAssembler", "ToolCallAssembler", "ToolCallFragment"]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, *_MODULES})
