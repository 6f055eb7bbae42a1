"""Tools as the model sees them: functions with a description and a schema of their arguments.

The calls a model makes are part of its messages and live there. Nothing here runs a tool or
knows a wire format.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from dragoman.ai.types.callables import describe
from dragoman.ai.types.message import ToolCall

__all__ = [
    "FunctionDefinition",
    "ToolCall",
    "ToolChoice",
    "ToolDefinition",
]


class ToolChoice(StrEnum):
    """Whether the model may, must not or must call a tool."""

    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"


class FunctionDefinition(BaseModel):
    """A function the model may call; `parameters` is the JSON Schema of its arguments object."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow", defer_build=True)

    name: str
    description: str | None = None
    parameters: dict[str, Any] = Field(default_factory=lambda: {"type": "object", "properties": {}})
    strict: bool | None = None


class ToolDefinition(BaseModel):
    """A tool offered to the model."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow", defer_build=True)

    type: str = "function"
    function: FunctionDefinition

    @classmethod
    def from_function(
        cls,
        name: str,
        description: str | None = None,
        parameters: dict[str, Any] | None = None,
        strict: bool | None = None,
    ) -> ToolDefinition:
        """A tool by its name and the JSON Schema of its arguments (none: no arguments)."""
        given: dict[str, Any] = {"name": name, "description": description, "strict": strict}
        if parameters is not None:
            given["parameters"] = parameters
        return cls(function=FunctionDefinition(**given))

    @classmethod
    def from_callable(cls, fn: Callable[..., Any]) -> ToolDefinition:
        """A tool that describes a Python function: name, docstring, schema from its type hints.

        The first paragraph of the docstring is the description; lines `name: text` of an `Args:`
        section describe the parameters. Parameters without a default are required.
        """
        name, description, parameters = describe(fn)
        return cls.from_function(name, description, parameters)

    @property
    def name(self) -> str:
        """The function's name."""
        return self.function.name

    @property
    def description(self) -> str | None:
        """The function's description."""
        return self.function.description

    @property
    def parameters(self) -> dict[str, Any]:
        """The JSON Schema of the function's arguments."""
        return self.function.parameters

    def to_dict(self) -> dict[str, Any]:
        """`{"type": "function", "function": {…}}` without empty fields."""
        return self.model_dump(mode="json", exclude_none=True)
