"""Tools: typed functions that a model may call.

Name, docstring and annotations become the tool's JSON Schema; pydantic checks what a model
sends before the function sees it. Knows nothing of runs: the driver calls `Tool.invoke`.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, overload

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic_core import from_json, to_json

from dragoman.core.errors import UsageError
from dragoman.core.messages import ToolSpec
from dragoman.engine.threads import in_thread

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class ToolContext:
    """Who calls a tool and why; a parameter annotated with this class is filled in, not shown to the model.

    `answers` is what a human added to an approval.
    """

    run_id: str = ""
    call_id: str = ""
    tenant: str = ""
    user: str = ""
    answers: dict[str, Any] = field(default_factory=dict)


class InvalidToolInput(UsageError):
    """Arguments that do not fit the tool's parameters; the text goes back to the model."""

    default_code = "bad_request:input"


class Tool:
    """A function with a schema and the marks that decide how it may be run.

    `read_only`: changes nothing, so it needs no approval and may run again after a crash.
    `idempotent`: running it twice is as good as once. `client`: the client runs it; the function's
    body is never called. `form`: a client tool whose function gives the form that the human fills in; what
    they submit is the output. Calling the tool calls the function.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        description: str | None = None,
        read_only: bool = False,
        idempotent: bool = False,
        approval: bool | None = None,
        client: bool = False,
        form: bool = False,
    ) -> None:
        self.function = function
        self.name = name if name is not None else function.__name__
        if not _NAME.fullmatch(self.name):
            raise UsageError(f"a tool name has 1 to 64 letters, digits, '_' or '-', got {self.name!r}")
        self.description = description if description is not None else inspect.getdoc(function) or self.name
        self.read_only = read_only
        self.idempotent = idempotent
        self.form = form
        self.client = client = client or form
        self.needs_approval = (not read_only and not client) if approval is None else approval
        self._context_name, self._parameters = _parameters(function, self.name)
        schema = self._parameters.model_json_schema()
        schema.pop("title", None)
        for prop in schema.get("properties", {}).values():
            prop.pop("title", None)
        self.spec = ToolSpec(self.name, self.description, schema)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"Tool({self.name!r})"

    @property
    def may_run_again(self) -> bool:
        """Whether a call that a crash cut short may simply be made again."""
        return self.read_only or self.idempotent

    def check(self, arguments: Any) -> dict[str, Any]:
        """The arguments as they will be passed. Raises InvalidToolInput, naming each fault."""
        if not isinstance(arguments, dict):
            raise InvalidToolInput(f"tool {self.name!r} expects a JSON object, got {type(arguments).__name__}")
        try:
            checked = self._parameters.model_validate(arguments)
        except ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(str(place) for place in fault['loc']) or 'input'}: {fault['msg']}"
                for fault in error.errors(include_url=False, include_input=False)[:5]
            )
            raise InvalidToolInput(f"the input does not fit tool {self.name!r}: {faults}") from None
        return {name: getattr(checked, _field_name(name)) for name in self._names()}

    def _names(self) -> list[str]:
        return [info.alias or name for name, info in self._parameters.model_fields.items()]

    async def invoke(self, arguments: dict[str, Any], context: ToolContext) -> Any:
        """Check the arguments, run the function (a plain one in a thread), give its result as JSON."""
        # through text, so that what is stored is JSON: no NaN, no type that only Python knows
        return from_json(to_json(await self._run(arguments, context), fallback=str, inf_nan_mode="null"))

    async def draw(self, arguments: dict[str, Any], context: ToolContext) -> dict[str, Any]:
        """The widget that a form tool shows for these arguments, as a JSON object.

        The function gives a dict or a pydantic model. Raises UsageError for anything else.
        """
        made = await self._run(arguments, context)
        dump = getattr(made, "model_dump", None)
        drawn = dump(mode="json", by_alias=True, exclude_none=True) if dump is not None else made
        if not isinstance(drawn, dict) or not isinstance(drawn.get("type"), str):
            raise UsageError(f"form {self.name!r} must give a widget: a dict with a type or a model, got {made!r:.100}")
        return dict(from_json(to_json(drawn, fallback=str, inf_nan_mode="null")))

    async def _run(self, arguments: dict[str, Any], context: ToolContext) -> Any:
        given = self.check(arguments)
        if self._context_name is not None:
            given[self._context_name] = context
        if inspect.iscoroutinefunction(self.function):
            return await self.function(**given)
        result = await in_thread(partial(self.function, **given))
        return await result if inspect.isawaitable(result) else result


def _field_name(name: str) -> str:
    # pydantic reserves leading underscores and some method names; a suffix keeps any parameter name usable
    return f"{name.lstrip('_')}_arg"


def _parameters(function: Callable[..., Any], tool_name: str) -> tuple[str | None, type[BaseModel]]:
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except NameError as error:
        raise UsageError(f"tool {tool_name!r}: an annotation cannot be resolved: {error}") from error
    context_name: str | None = None
    members: dict[str, Any] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise UsageError(f"tool {tool_name!r}: parameter {name!r} must be a plain named parameter")
        hint = hints.get(name, Any)
        if hint is ToolContext:
            context_name = name
            continue
        default = ... if parameter.default is parameter.empty else parameter.default
        members[_field_name(name)] = (Annotated[hint, Field(alias=name)], default)
    config = ConfigDict(extra="forbid", arbitrary_types_allowed=False)
    return context_name, create_model(f"{tool_name}_input", __config__=config, **members)


@overload
def tool(function: Callable[..., Any], /) -> Tool: ...


@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    read_only: bool = False,
    idempotent: bool = False,
    approval: bool | None = None,
    client: bool = False,
) -> Callable[[Callable[..., Any]], Tool]: ...


def tool(function: Callable[..., Any] | None = None, /, **marks: Any) -> Any:
    """Make a tool of a typed function, sync or async; bare or with marks.

    A tool asks a human first unless it is `read_only` or `approval=False`. `idempotent=True` allows
    a second run after a crash. `client=True` declares a tool that the client runs.
    Raises UsageError for a signature that has no schema.
    """
    if function is not None:
        return Tool(function)
    return lambda decorated: Tool(decorated, **marks)


@overload
def form(function: Callable[..., Any], /) -> Tool: ...


@overload
def form(*, name: str | None = None, description: str | None = None) -> Callable[[Callable[..., Any]], Tool]: ...


def form(function: Callable[..., Any] | None = None, /, **marks: Any) -> Any:
    """Make a form of a typed function, sync or async: it takes the model's arguments and gives the widget to show.

    The model calls it as a tool; the run waits until a human has submitted the form, and the values are the tool's
    output. The function runs once per call; the widget's words are those of ChatKit. Offered only where the form can
    be shown. Raises UsageError for a signature that has no schema.
    """
    if function is not None:
        return Tool(function, form=True)
    return lambda decorated: Tool(decorated, form=True, **marks)
