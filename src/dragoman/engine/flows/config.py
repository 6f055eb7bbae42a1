"""The keywords of a step's function: its configuration, which a caller may override.

Their defaults are JSON, their annotations say what fits. Knows no run.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.errors import PydanticUserError

from dragoman.core.errors import UsageError
from dragoman.engine.flows.values import NotJson, as_json


class InvalidOverride(UsageError):
    """An override of a keyword that there is not, or whose value does not fit."""

    default_code = "bad_request:overrides"


class Config:
    """The keywords of one function `(ctx, **keywords)`.

    `defaults` are their JSON forms; `open`: the function takes any other keyword too. Raises
    UsageError for a function that is not of this shape.
    """

    def __init__(self, function: Callable[..., Any], what: str) -> None:
        self._what = what
        self.open = False
        self.defaults: dict[str, Any] = {}
        members: dict[str, Any] = {}
        hints = _hints(function, what)
        for name, parameter in _keywords(function, what).items():
            if parameter.kind is parameter.VAR_KEYWORD:
                self.open = True
                continue
            if parameter.default is parameter.empty:
                raise UsageError(f"{what}: keyword {name!r} is configuration, so it needs a default")
            try:
                self.defaults[name] = as_json(parameter.default, f"{what}: the default of {name!r}")
            except NotJson as error:
                raise UsageError(error.message) from None
            members[_field(name)] = (Annotated[hints.get(name, Any), Field(alias=name)], None)
        extra: typing.Literal["allow", "forbid"] = "allow" if self.open else "forbid"
        try:
            self._model: type[BaseModel] = create_model("config", __config__=ConfigDict(extra=extra), **members)
        except PydanticUserError as error:
            raise UsageError(f"{what}: an annotation has no schema: {error.message}") from None

    def check(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The overrides as they are passed to the function. Raises InvalidOverride, naming each fault."""
        if not given:
            return {}
        try:
            checked = self._model.model_validate(dict(given))
        except ValidationError as error:
            raise InvalidOverride(f"{self._what}: {'; '.join(_faults(error, list(self.defaults)))}") from None
        return {name: getattr(checked, _field(name), value) for name, value in given.items()}


def _faults(error: ValidationError, known: list[str]) -> typing.Iterator[str]:
    for fault in error.errors(include_url=False, include_input=False)[:5]:
        place = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "extra_forbidden":
            yield f"there is no keyword {place!r}; known: {', '.join(known) or 'none'}"
        else:
            yield f"{place}: {fault['msg']}"


def _keywords(function: Callable[..., Any], what: str) -> dict[str, inspect.Parameter]:
    """The parameters behind the context."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (ValueError, TypeError, NameError) as error:
        raise UsageError(f"{what}: its signature cannot be read: {error}") from None
    if not parameters or parameters[0].kind not in (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
    ):
        raise UsageError(
            f"{what}: a step's function takes the context first: def {what.split()[-1].strip(chr(39))}(ctx)"
        )
    for parameter in parameters[1:]:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY):
            raise UsageError(f"{what}: parameter {parameter.name!r} must be a keyword; the others are configuration")
    return {parameter.name: parameter for parameter in parameters[1:]}


def _hints(function: Callable[..., Any], what: str) -> dict[str, Any]:
    """The annotations of the keywords; that of the context may name what only type checkers import."""

    def stub() -> None: ...

    inner = inspect.unwrap(function)
    inner = getattr(inner, "__func__", inner)
    if not inspect.isfunction(inner):
        inner = type(inner).__call__
    try:
        noted = dict(getattr(inner, "__annotations__", {}))
        names = list(inspect.signature(function).parameters)[1:]
        stub.__annotations__ = {name: noted[name] for name in names if name in noted}
        return typing.get_type_hints(stub, globalns=getattr(inner, "__globals__", {}), include_extras=True)
    except (NameError, TypeError, ValueError) as error:
        raise UsageError(f"{what}: an annotation cannot be resolved: {error}") from None


def _field(name: str) -> str:
    # pydantic reserves leading underscores and some method names; a suffix keeps any parameter name usable
    return f"{name.lstrip('_')}_config"
