"""A schema as the messages wire of Anthropic takes it, which refuses more words than others.

It has no limits of numbers, lengths and lists, and no objects but closed ones. What only narrows a
value moves into its description, as `strict` does it for the words that all refuse.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from dragoman.ai.structured.strict import noted

__all__ = ["can_be_said", "messages_schema"]

_LIMITS = (
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "maxItems",
    "uniqueItems",
)
_MAPS = ("properties", "$defs", "definitions")
_LISTS = ("anyOf", "allOf")
_STRANGE = re.compile(r"\(\?[=!<]|\\[bB1-9]")
"""In patterns: looks around, borders of words, what was matched before."""


def messages_schema(schema: Any) -> Any:
    """The schema with nothing that the wire refuses, as far as there is another way; a new dict."""
    if not isinstance(schema, Mapping):
        return schema
    made = {name: value for name, value in schema.items() if name != "oneOf"}
    if "oneOf" in schema:
        made["anyOf"] = schema["oneOf"]
    for name in _MAPS:
        if isinstance(made.get(name), Mapping):
            made[name] = {key: messages_schema(value) for key, value in made[name].items()}
    for name in _LISTS:
        if isinstance(made.get(name), list):
            made[name] = [messages_schema(one) for one in made[name]]
    if "items" in made:
        made["items"] = messages_schema(made["items"])
    strange = [name for name in ("pattern",) if _STRANGE.search(str(made.get(name, "")))]
    least = made.get("minItems")
    noted(made, (*_LIMITS, *strange, *(("minItems",) if least not in (None, 0, 1) else ())))
    if made.get("type") == "object" and "properties" in made:
        made.setdefault("additionalProperties", False)
    return made


def can_be_said(schema: Mapping[str, Any]) -> bool:
    """Whether the wire takes the schema at all: not one with open objects, nor one that refers to itself."""
    if any(one.get("additionalProperties", False) is not False for one in _schemas(schema)):
        return False
    left = {name: _referred(one) for name, one in (schema.get("$defs") or {}).items()}
    while ended := [name for name, refs in left.items() if not refs & left.keys()]:
        for name in ended:
            del left[name]
    return not left and "" not in _referred(schema)


def _referred(schema: Any) -> set[str]:
    """The definitions that a schema refers to; the empty name is the whole."""
    refs = (one.get("$ref") for one in _schemas(schema))
    return {ref.removeprefix("#").removeprefix("/$defs/") for ref in refs if isinstance(ref, str)}


def _schemas(value: Any) -> Iterator[Mapping[str, Any]]:
    """All parts of a schema, itself among them."""
    if not isinstance(value, Mapping):
        return
    yield value
    for name in _MAPS:
        if isinstance(value.get(name), Mapping):
            for one in value[name].values():
                yield from _schemas(one)
    for name in (*_LISTS, "oneOf"):
        for one in value.get(name) or ():
            yield from _schemas(one)
    yield from _schemas(value.get("items"))
