"""The steps of a flow as a user declares them; `authoring` has the functions that make them.

Each kind is one class, and each can be told as data (`node`). They hold users' functions and run none.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

from dragoman.core.errors import UsageError
from dragoman.core.flows import Node, NodeKind
from dragoman.core.steps import STEP_ID
from dragoman.engine.agents import Agent, ModelLike
from dragoman.engine.flows.config import Config, InvalidOverride
from dragoman.engine.flows.values import as_json


class Step:
    """One declared step. `id` is its name unless another is given; unique in a version of a flow."""

    kind: ClassVar[NodeKind]

    def __init__(self, name: str, id: str | None = None) -> None:
        self.name = name
        self.id = id if id is not None else name
        if not isinstance(self.id, str) or not STEP_ID.fullmatch(self.id):
            raise UsageError(
                f"the id of a step has 1 to 128 letters, digits or . _ ~ -, got {self.id!r}; give one with name= or id="
            )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id!r})"

    @property
    def config(self) -> dict[str, Any]:
        """The keywords that a caller may override, with their defaults."""
        return {}

    @property
    def is_open(self) -> bool:
        """Whether any other keyword is taken too."""
        return False

    @property
    def model_name(self) -> str | None:
        """The model that the step asks, if any."""
        return None

    @property
    def branches(self) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
        """The steps inside, and those of the other branch."""
        return (), ()

    def check(self, overrides: Mapping[str, Any]) -> dict[str, Any]:
        """Overrides as the step uses them. Raises InvalidOverride."""
        if overrides:
            raise InvalidOverride(f"step {self.id!r} has no keyword {next(iter(overrides))!r}; known: none")
        return {}

    def fingerprint(self) -> Iterator[Any]:
        """What makes the step another one when it changes."""
        yield self.id, self.name, self.kind, sorted(self.config.items(), key=repr)

    def node(self) -> Node:
        """The step as data."""
        children, otherwise = self.branches
        digest = hashlib.sha256(repr([*self.fingerprint()]).encode("utf-8", "replace")).hexdigest()[:12]
        return Node(
            self.id,
            self.name,
            self.kind,
            self.config,
            self.is_open,
            self.model_name,
            tuple(step.node() for step in children),
            tuple(step.node() for step in otherwise),
            digest,
        )


def source(function: Any) -> str:
    """The text of a function; its name where none is kept."""
    try:
        return inspect.getsource(inspect.unwrap(function))
    except (OSError, TypeError):
        return getattr(function, "__qualname__", type(function).__qualname__)


class FunctionStep(Step):
    """A function `(ctx, **keywords)`: plain, async, or an async generator of text. Calling it calls the function."""

    kind = "function"

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        id: str | None = None,
        retries: int = 0,
        timeout: float | None = None,
        backoff: float = 1.0,
    ) -> None:
        self.function = function
        super().__init__(name if name is not None else getattr(function, "__name__", type(function).__name__), id)
        if not isinstance(retries, int) or retries < 0:
            raise UsageError(f"step {self.id!r}: retries is 0 or more, got {retries!r}")
        if timeout is not None and timeout <= 0:
            raise UsageError(f"step {self.id!r}: timeout is more than 0 seconds, got {timeout!r}")
        if backoff < 0:
            raise UsageError(f"step {self.id!r}: backoff is 0 or more seconds, got {backoff!r}")
        self.retries, self.timeout, self.backoff = retries, timeout, backoff
        self._config = Config(function, f"step {self.id!r}")
        self.__wrapped_step__ = function
        self.__doc__ = getattr(function, "__doc__", None)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    @property
    def config(self) -> dict[str, Any]:
        return self._config.defaults

    @property
    def is_open(self) -> bool:
        return self._config.open

    def check(self, overrides: Mapping[str, Any]) -> dict[str, Any]:
        return self._config.check(overrides)

    def fingerprint(self) -> Iterator[Any]:
        yield from super().fingerprint()
        yield source(self.function), self.retries, self.timeout


class ModelStep(Step):
    """One question to a model, with the caller's tools where there are any."""

    kind = "model"

    def __init__(
        self,
        name: str,
        *,
        model: ModelLike,
        instructions: str = "",
        prompt: Callable[..., Any] | None = None,
        output: Literal["text", "json"] = "text",
        id: str | None = None,
        options: Mapping[str, Any],
    ) -> None:
        super().__init__(name, id)
        if output not in ("text", "json"):
            raise UsageError(f"step {self.id!r}: output is 'text' or 'json', got {output!r}")
        self.model, self.instructions, self.prompt, self.output = model, instructions, prompt, output
        self.options = {key: as_json(value, f"step {self.id!r}: option {key!r}") for key, value in options.items()}

    @property
    def config(self) -> dict[str, Any]:
        return {"instructions": self.instructions, **self.options}

    @property
    def is_open(self) -> bool:
        return True  # options that this step does not set are the model's to know

    @property
    def model_name(self) -> str | None:
        return model_name(self.model)

    def check(self, overrides: Mapping[str, Any]) -> dict[str, Any]:
        if "model" in overrides:
            raise InvalidOverride(f"step {self.id!r}: the model cannot be overridden")
        if not isinstance(overrides.get("instructions", ""), str):
            raise InvalidOverride(f"step {self.id!r}: instructions are a text")
        return dict(overrides)

    def fingerprint(self) -> Iterator[Any]:
        yield from super().fingerprint()
        yield self.model_name, self.output, source(self.prompt) if self.prompt is not None else None


class AgentStep(Step):
    """An agent that answers, with its own tools and the caller's."""

    kind = "agent"

    def __init__(
        self, name: str, agent: Agent | str, *, prompt: Callable[..., Any] | None = None, id: str | None = None
    ) -> None:
        super().__init__(name, id)
        self.agent, self.prompt = agent, prompt

    @property
    def model_name(self) -> str | None:
        return model_name(self.agent.model) if isinstance(self.agent, Agent) else None

    def fingerprint(self) -> Iterator[Any]:
        yield from super().fingerprint()
        yield self.agent.name if isinstance(self.agent, Agent) else self.agent
        if isinstance(self.agent, Agent):
            yield self.model_name, self.agent.instructions, sorted(self.agent.options.items(), key=repr)
            yield [(tool.spec, tool.read_only, source(tool.function)) for tool in self.agent.tools.values()]
        yield source(self.prompt) if self.prompt is not None else None


class ClientTool(Step):
    """One call of a tool that the caller runs."""

    kind = "client_tool"

    def __init__(
        self,
        name: str,
        *,
        tool: str | None = None,
        arguments: Callable[..., Any] | Mapping[str, Any] | None = None,
        result: Callable[..., Any] | None = None,
        id: str | None = None,
    ) -> None:
        super().__init__(name, id)
        self.tool = tool if tool is not None else name
        self.arguments = arguments if callable(arguments) else as_json(dict(arguments or {}), f"{name!r}: arguments")
        self.result = result

    def fingerprint(self) -> Iterator[Any]:
        yield from super().fingerprint()
        yield self.tool, source(self.arguments) if callable(self.arguments) else self.arguments
        yield source(self.result) if self.result is not None else None


class Loop(Step):
    """Steps that run again: so many times, once per element, or until something holds."""

    kind = "loop"

    def __init__(
        self,
        name: str,
        steps: Sequence[Step],
        *,
        times: int | Callable[..., Any] | None = None,
        over: Callable[..., Any] | None = None,
        until: Callable[..., Any] | None = None,
        most: int = 1000,
        id: str | None = None,
    ) -> None:
        super().__init__(name, id)
        self.steps = tuple(steps)
        if not self.steps:
            raise UsageError(f"loop {self.id!r} has no steps", code="NO_STEPS")
        if times is None and over is None and until is None:
            raise UsageError(f"loop {self.id!r} has no end: give it times=, over= or until=")
        if times is not None and over is not None:
            raise UsageError(f"loop {self.id!r} has times= and over=; the number of elements is the number of rounds")
        if most < 1:
            raise UsageError(f"loop {self.id!r}: most is 1 or more, got {most!r}")
        if not callable(times) and times is not None and (isinstance(times, bool) or not 0 <= times <= most):
            raise UsageError(f"loop {self.id!r}: times is from 0 to most={most}, got {times!r}")
        self.times, self.over, self.until, self.most = times, over, until, most

    @property
    def branches(self) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
        return self.steps, ()

    def fingerprint(self) -> Iterator[Any]:
        yield from super().fingerprint()
        for function in (self.times, self.over, self.until):
            yield source(function) if callable(function) else function
        yield self.most, [[*step.fingerprint()] for step in self.steps]


class When(Step):
    """Steps that run if a condition holds, and others if not."""

    kind = "when"

    def __init__(
        self,
        name: str,
        condition: Callable[..., Any],
        then: Sequence[Step],
        otherwise: Sequence[Step] = (),
        *,
        id: str | None = None,
    ) -> None:
        super().__init__(name, id)
        if not callable(condition):
            raise UsageError(f"when {self.id!r}: the condition is a function of the context, got {condition!r}")
        self.condition, self.then, self.otherwise = condition, tuple(then), tuple(otherwise)
        if not self.then and not self.otherwise:
            raise UsageError(f"when {self.id!r} has no steps", code="NO_STEPS")

    @property
    def branches(self) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
        return self.then, self.otherwise

    def fingerprint(self) -> Iterator[Any]:
        yield from super().fingerprint()
        yield source(self.condition), [[*step.fingerprint()] for step in (*self.then, *self.otherwise)]


def model_name(model: ModelLike) -> str:
    """The name under which traces show a model."""
    if isinstance(model, str):
        return model
    return str(getattr(model, "name", None) or getattr(model, "__name__", None) or type(model).__name__)
