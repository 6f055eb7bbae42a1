"""A tool's name, description and argument schema, read from a Python function.

The function is looked at, never called.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any, get_type_hints

from pydantic import BaseModel, Field, create_model

_ARGUMENT = re.compile(r"^\s+\*{0,2}(?P<name>\w+)\s*(?:\([^)]*\))?\s*:\s*(?P<text>.+)$")
_SECTION = re.compile(r"^(?:Args|Arguments|Parameters):\s*$", re.IGNORECASE)


def describe(fn: Callable[..., Any]) -> tuple[str, str | None, dict[str, Any]]:
    """Name, first paragraph of the docstring, and the JSON Schema of the arguments object.

    Parameters without a default are required; `*args` and `**kwargs` are left out, a missing type
    hint means any value. TypeError for a lambda, or when a parameter can only be given by position.
    """
    name = getattr(fn, "__name__", type(fn).__name__)
    if not name.isidentifier():
        raise TypeError(f"{name!r} is no name for a tool; use ToolDefinition.from_function")
    text = inspect.getdoc(fn) or ""
    hints = get_type_hints(fn if inspect.isroutine(fn) else type(fn).__call__, include_extras=True)
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(fn).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise TypeError(f"{name!r} takes {parameter.name!r} only by position; a tool's arguments have names")
        default = ... if parameter.default is parameter.empty else parameter.default
        # By alias, since a parameter may have a name that a model cannot give to a field.
        fields[f"field_{len(fields)}"] = (hints.get(parameter.name, Any), Field(default, alias=parameter.name))
    return name, _first_paragraph(text), _parameters(name, fields, _argument_texts(text))


def _parameters(name: str, fields: dict[str, Any], texts: dict[str, str]) -> dict[str, Any]:
    model: type[BaseModel] = create_model(name, **fields)
    schema = model.model_json_schema()
    schema.pop("title", None)
    schema.pop("description", None)
    properties = schema.setdefault("properties", {})
    for field, value in properties.items():
        value.pop("title", None)
        if field in texts:
            value.setdefault("description", texts[field])
    return schema


def _first_paragraph(text: str) -> str | None:
    paragraph = text.split("\n\n", 1)[0]
    return " ".join(line.strip() for line in paragraph.splitlines()).strip() or None


def _argument_texts(text: str) -> dict[str, str]:
    """What an `Args:` section says of each parameter; further lines of one are joined to it."""
    found: dict[str, str] = {}
    inside, indent, current = False, 0, ""
    for line in text.splitlines():
        if _SECTION.match(line):
            inside, indent = True, 0
            continue
        if not inside or not line.strip():
            continue
        depth = len(line) - len(line.lstrip())
        if depth == 0:
            break
        match = _ARGUMENT.match(line) if not indent or depth <= indent else None
        if match is not None:
            indent, current = depth, match["name"]
            found[current] = match["text"].strip()
        elif current:
            found[current] += " " + line.strip()
    return found
