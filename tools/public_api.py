"""Writes the frozen list of public names and signatures, which `tests/contract` compares with the code.

    python tools/public_api.py

What is listed is the promise of semantic versioning: the user modules, each name of their `__all__` (or
each public name that they define), with bases, parameters, fields and members.
"""

from __future__ import annotations

import enum
import importlib
import inspect
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SNAPSHOT = Path(__file__).resolve().parent.parent / "tests" / "contract" / "public_api.txt"
MODULES = (
    "dragoman",
    "dragoman.ai",
    "dragoman.ai.client",
    "dragoman.ai.errors",
    "dragoman.ai.model",
    "dragoman.ai.pipeline",
    "dragoman.ai.protocol",
    "dragoman.ai.resilience",
    "dragoman.ai.routing",
    "dragoman.ai.transport",
    "dragoman.ai.types",
    "dragoman.ai.types.events",
    "dragoman.core.errors",
    "dragoman.core.events",
    "dragoman.core.messages",
    "dragoman.core.principal",
    "dragoman.core.usage",
    "dragoman.engine.tools",
    "dragoman.kai",
    "dragoman.kai.client",
    "dragoman.kai.exceptions",
    "dragoman.kai.models",
    "dragoman.kai.sse",
    "dragoman.kai.types",
    "dragoman.noukai",
    "dragoman.noukai.adapters.fastapi",
    "dragoman.noukai.adapters.flask",
    "dragoman.noukai.adapters.relay",
    "dragoman.noukai.exceptions",
    "dragoman.noukai.models",
    "dragoman.server.asgi",
    "dragoman.stackspot",
    "dragoman.stackspot.agents",
    "dragoman.stackspot.progress",
    "dragoman.stackspot.rqc",
    "dragoman.testing",
    "dragoman.testing.serving",
)
LISTED: set[type] = set()
"""The classes that the snapshot describes."""


def public_names(module: types.ModuleType) -> list[str]:
    listed = getattr(module, "__all__", None)
    if listed is not None:
        return sorted(listed)
    own = (name for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__)
    return sorted(name for name in own if not name.startswith("_"))


def annotation(value: Any) -> str:
    return value if isinstance(value, str) else inspect.formatannotation(value)


class Verbatim:
    """Text that a signature prints as it stands."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def default(value: Any) -> Verbatim:
    """A default in words that are the same on every Python and in every process."""
    if isinstance(value, enum.Enum):
        return Verbatim(f"{type(value).__name__}.{value.name}")
    plain = value is None or isinstance(value, bool | int | float | str | bytes | tuple)
    return Verbatim(repr(value) if plain else "…")


def signature(function: Any) -> str:
    """Parameters and result, with annotations as they are written; `(…)` where Python knows none."""
    try:
        found = inspect.signature(function)
    except (TypeError, ValueError):
        return "(…)"
    parameters = [
        parameter.replace(
            annotation=parameter.empty
            if parameter.annotation is parameter.empty
            else Verbatim(annotation(parameter.annotation)),
            default=parameter.empty if parameter.default is parameter.empty else default(parameter.default),
        )
        for parameter in found.parameters.values()
    ]
    result = found.empty if found.return_annotation is found.empty else Verbatim(annotation(found.return_annotation))
    return str(found.replace(parameters=parameters, return_annotation=result))


def own_classes(cls: type) -> Iterator[type]:
    """The class, and the bases that give it members without being listed themselves."""
    yield cls
    for base in cls.__bases__:
        if base.__module__.startswith("dragoman.") and base not in LISTED:
            yield from own_classes(base)


def members(cls: type) -> Iterator[str]:
    """The public members that the class has of its own."""
    if issubclass(cls, enum.Enum):
        yield from (f"{member.name} = {member.value!r}" for member in cls)
        return
    seen: set[str] = set()
    for owner in own_classes(cls):
        hints = inspect.get_annotations(owner)
        for name in [*hints, *vars(owner)]:
            if name in seen or (name.startswith("_") and name != "__init__"):
                continue
            seen.add(name)
            line = f"{name}: {annotation(hints[name])}" if name in hints else member(name, vars(owner)[name])
            if line:
                yield line


def member(name: str, value: Any) -> str:
    """A method or property in one line; empty for anything else."""
    static = isinstance(value, staticmethod | classmethod)
    function = value.__func__ if static else value
    if isinstance(value, property):
        return f"{name} (property)"
    if not inspect.isfunction(function):
        return ""
    kind = f"{type(value).__name__} " if static else ""
    prefix = "async " if inspect.iscoroutinefunction(function) else ""
    return f"{kind}{prefix}{name}{signature(function)}"


def describe(name: str, value: Any) -> Iterator[str]:
    if inspect.isclass(value):
        bases = ", ".join(base.__name__ for base in value.__bases__ if base is not object)
        yield f"  class {name}({bases})" if bases else f"  class {name}"
        yield from sorted(f"    {member}" for member in members(value))
    elif inspect.isroutine(value):
        prefix = "async " if inspect.iscoroutinefunction(value) else ""
        yield f"  {prefix}def {name}{signature(value)}"
    else:
        yield f"  {name}"


def snapshot() -> str:
    for path in MODULES:
        module = importlib.import_module(path)
        LISTED.update(value for name in public_names(module) if inspect.isclass(value := getattr(module, name)))
    lines = ["# Public names and signatures. After a change on purpose: python tools/public_api.py", ""]
    for path in MODULES:
        module = importlib.import_module(path)
        lines.append(path)
        for name in public_names(module):
            lines += describe(name, getattr(module, name))
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    SNAPSHOT.write_text(snapshot(), encoding="utf-8")
