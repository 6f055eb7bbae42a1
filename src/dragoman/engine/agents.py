"""Agents: a model with instructions and tools."""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from dragoman.core.errors import UsageError
from dragoman.core.ids import is_id
from dragoman.core.messages import ModelEvent, ModelRequest
from dragoman.core.ports import Model
from dragoman.core.turns import AgentInfo
from dragoman.engine.tools import Tool
from dragoman.engine.tools import tool as make_tool

ModelLike: TypeAlias = str | Model | Callable[[ModelRequest], AsyncIterator[ModelEvent | str]]
"""A model's name, an object with `stream`, or an async generator function of a request."""

Resolve: TypeAlias = Callable[[str], Model]
"""Gives the model of a name that the app does not define itself, or raises for one that cannot be used."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class FunctionModel:
    """An async generator function as a `Model`."""

    def __init__(self, function: Callable[[ModelRequest], AsyncIterator[ModelEvent | str]]) -> None:
        self._function = function

    def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent | str]:
        return self._function(request)


def as_model(value: ModelLike, models: Mapping[str, ModelLike], resolve: Resolve | None = None) -> Model:
    """The `Model` for a name or an object.

    `models` are the app's own names and win; `resolve` is asked for the others. A name may stand
    for another name. Raises UsageError for an unknown name or a thing that cannot answer, and
    what `resolve` raises.
    """
    if isinstance(value, str):
        if value in models:
            others = {name: model for name, model in models.items() if name != value}
            return as_model(models[value], others, resolve)
        if resolve is not None:
            return resolve(value)
        known = ", ".join(sorted(models)) or "none"
        raise UsageError(f"unknown model {value!r}; App(models=…) knows: {known}")
    if isinstance(value, Model):
        return value
    if inspect.isasyncgenfunction(value):
        return FunctionModel(value)
    raise UsageError(
        f"a model is a name, an object with stream(request), or an async generator function, got {value!r}"
    )


class Agent:
    """What answers: a model, its instructions, its tools, and the bounds it works in.

    `reasoning_model` answers where the caller asks for reasoning (default: the same model).
    `max_rounds` bounds the model calls of one answer, `max_tokens` the tokens of one answer,
    `max_seconds` its time (default: the server's setting). `client_tools` names tools that the
    client runs beside those marked `client`; `"*"` means every tool name the agent does not know.
    `options` go to the model with every request (`temperature` and the like). `knowledge` names the knowledge sources
    that are searched for it.
    """

    def __init__(
        self,
        name: str,
        *,
        model: ModelLike,
        instructions: str = "",
        tools: Sequence[Tool | Callable[..., Any]] = (),
        reasoning_model: ModelLike | None = None,
        max_rounds: int = 16,
        max_seconds: float | None = None,
        max_tokens: int | None = None,
        client_tools: Sequence[str] | Literal["*"] = (),
        options: Mapping[str, Any] | None = None,
        description: str = "",
        knowledge: Sequence[str] = (),
    ) -> None:
        if not _NAME.fullmatch(name):
            raise UsageError(f"an agent name has 1 to 64 letters, digits, '.', '_' or '-', got {name!r}")
        if max_rounds < 1:
            raise UsageError(f"max_rounds is at least 1, got {max_rounds!r}")
        if isinstance(knowledge, str) or not all(isinstance(one, str) and is_id(one) for one in knowledge):
            raise UsageError(
                f"knowledge= is a sequence of names of 1 to 128 letters, digits or . _ ~ : -, got {knowledge!r}"
            )
        self.name = name
        self.model = model
        self.reasoning_model = reasoning_model if reasoning_model is not None else model
        self.instructions = instructions
        self.tools = {made.name: made for made in (t if isinstance(t, Tool) else make_tool(t) for t in tools)}
        if len(self.tools) != len(tools):
            raise UsageError(f"agent {name!r} has two tools of one name")
        self.max_rounds = max_rounds
        self.max_seconds = max_seconds
        self.max_tokens = max_tokens
        self.client_tools = client_tools
        self.options = dict(options or {})
        self.description = description
        self.knowledge = tuple(dict.fromkeys(knowledge))

    def __repr__(self) -> str:
        return f"Agent({self.name!r})"

    def is_client_tool(self, name: str) -> bool:
        """Whether the client, not the server, runs the tool of this name."""
        known = self.tools.get(name)
        if known is not None:
            return known.client
        return self.client_tools == "*" or name in self.client_tools

    def info(self) -> AgentInfo:
        """What faces may tell about this agent."""
        tools = self.tools.values()
        return AgentInfo(
            name=self.name,
            model=self.model if isinstance(self.model, str) else getattr(self.model, "name", type(self.model).__name__),
            instructions=self.instructions,
            tools=tuple(t.spec for t in tools),
            read_only=frozenset(t.name for t in tools if t.read_only),
            needs_approval=frozenset(t.name for t in tools if t.needs_approval),
            client_tools=frozenset(t.name for t in tools if t.client),
            forms=frozenset(t.name for t in tools if t.form),
            knowledge=self.knowledge,
        )
