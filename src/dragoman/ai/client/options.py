"""What is given for messages and tools, made into the types that the adapters take."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from dragoman.ai.errors import ValidationError
from dragoman.ai.types.message import Message
from dragoman.ai.types.tool import ToolDefinition

__all__ = ["as_message", "as_tools"]


def as_message(value: Any) -> Message:
    """A message, or the dict of one. Raises ValidationError for anything else."""
    if isinstance(value, Message):
        return value
    if not isinstance(value, Mapping):
        raise ValidationError(
            f"expected a Message or a dict, got {type(value).__name__}",
            field="messages",
            expected="Message",
            actual=value,
        )
    try:
        return Message.from_dict(dict(value))
    except ValueError as error:
        raise ValidationError(f"this dict is no message: {error}", field="messages") from error


def as_tools(values: Iterable[Any]) -> list[ToolDefinition]:
    """Tool definitions, their dicts, or functions to describe. Raises ValidationError for anything else."""
    return [_as_tool(value) for value in values]


def _as_tool(value: ToolDefinition | Mapping[str, Any] | Callable[..., Any]) -> ToolDefinition:
    if isinstance(value, ToolDefinition):
        return value
    try:
        if isinstance(value, Mapping):
            return ToolDefinition.model_validate(dict(value))
        if callable(value):
            return ToolDefinition.from_callable(value)
    except (ValueError, TypeError) as error:
        raise ValidationError(f"this is no tool: {error}", field="tools") from error
    raise ValidationError(f"expected a tool, got {type(value).__name__}", field="tools", expected="ToolDefinition")
