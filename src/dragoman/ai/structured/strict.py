"""A schema as providers want it that promise to follow it to the letter.

They ask that every object lists all of its fields as required and allows no others, and they refuse
some words of JSON Schema. What only narrows a value moves into its description, where the model
still reads it; the answer is validated against the schema as it was given.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from dragoman.ai.errors import ValidationError

__all__ = ["copied", "noted", "strict_schema"]

_REFUSED = frozenset(
    {"not", "if", "then", "else", "dependentRequired", "dependentSchemas", "patternProperties", "prefixItems"}
    | {"$dynamicRef", "$dynamicAnchor"}
)
"""With one of these a schema cannot be strict."""

_NOTED = (
    "minLength",
    "maxLength",
    "uniqueItems",
    "contains",
    "minContains",
    "maxContains",
    "minProperties",
    "maxProperties",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
)
"""What narrows a value and is told in words."""

_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})
_DROPPED = frozenset({"default", "discriminator", "examples", "$schema", "$id", "$comment"})
_SCHEMAS = ("items", "additionalItems")
_LISTS = ("anyOf",)
_MAPS = ("properties", "$defs", "definitions")


class _NotStrict(Exception):
    """This schema cannot be said strictly."""


def strict_schema(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """The strict form of a schema, a new dict; None when it has none.

    It has none when an object is open (`dict[str, int]`), when the root is no object, or when it uses
    what strict providers refuse. References stay references, so that a schema that refers to itself is
    as long as before. Raises ValidationError for one that is nested too deeply or contains itself.
    """
    try:
        root = _rooted(schema)
        return _strict(root) if root is not None else None
    except _NotStrict:
        return None
    except RecursionError:
        raise _too_deep() from None


def copied(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A copy in all parts. Raises ValidationError for what is no JSON."""
    try:
        made: dict[str, Any] = json.loads(json.dumps(schema, allow_nan=False))
    except RecursionError:
        raise _too_deep() from None
    except (TypeError, ValueError) as error:
        if "Circular" in str(error):
            raise _too_deep() from None
        raise ValidationError(f"this schema is no JSON: {error}", field="schema") from error
    return made


def _too_deep() -> ValidationError:
    return ValidationError("this schema is nested too deeply, or contains itself; use $ref", field="schema")


def _rooted(schema: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The schema with an object at its root, which a reference there may stand for."""
    found: Any = schema
    seen: set[str] = set()
    while isinstance(found, Mapping) and isinstance(found.get("$ref"), str):
        ref = found["$ref"]
        if ref in seen or not ref.startswith("#/$defs/"):
            return None
        seen.add(ref)
        found = (schema.get("$defs") or {}).get(ref.removeprefix("#/$defs/"))
    if not isinstance(found, Mapping) or found.get("type") != "object":
        return None
    return {**found, "$defs": schema["$defs"]} if "$defs" in schema else found


def _strict(schema: Any) -> Any:
    if not isinstance(schema, Mapping):
        if schema is True or schema == {}:
            raise _NotStrict  # any value
        return schema
    if not schema or _REFUSED & schema.keys():
        raise _NotStrict
    parts = schema.get("allOf")
    if parts is not None:
        if not isinstance(parts, list) or len(parts) != 1 or not isinstance(parts[0], Mapping):
            raise _NotStrict
        rest = {name: value for name, value in schema.items() if name != "allOf"}
        return _strict({**parts[0], **rest})
    made = {name: value for name, value in schema.items() if name not in _DROPPED and name != "oneOf"}
    if "oneOf" in schema:
        made["anyOf"] = schema["oneOf"]
    noted(made, _NOTED)
    for name in _SCHEMAS:
        if name in made:
            made[name] = _strict(made[name])
    for name in _LISTS:
        if name in made:
            made[name] = [_strict(one) for one in made[name]]
    for name in _MAPS:
        if isinstance(made.get(name), Mapping):
            made[name] = {key: _strict(value) for key, value in made[name].items()}
    kind = made.get("type")
    if kind == "object" or "properties" in made or (isinstance(kind, list) and "object" in kind):
        _close(made)
    return _lone_reference(made)


def noted(made: dict[str, Any], words: Iterable[str]) -> None:
    """Move what only narrows a value into the description: these words, and formats that nobody knows."""
    notes = [f"{name}: {json.dumps(made.pop(name), ensure_ascii=False)}" for name in words if name in made]
    if isinstance(made.get("format"), str) and made["format"] not in _FORMATS:
        notes.append(f"format: {made.pop('format')}")
    if notes:
        told = made.get("description")
        made["description"] = f"{told} ({', '.join(notes)})" if told else ", ".join(notes)


def _close(made: dict[str, Any]) -> None:
    properties = made.setdefault("properties", {})
    if made.get("additionalProperties", bool(not properties)) is not False:
        raise _NotStrict  # fields of any name, which nothing lists
    if set(made.get("required") or ()) - set(properties):
        raise _NotStrict  # something is required that no schema is known of
    made["required"] = list(properties)
    made["additionalProperties"] = False


def _lone_reference(made: dict[str, Any]) -> dict[str, Any]:
    """A reference stands alone; what is said beside it goes around it."""
    if "$ref" not in made or len(made) == 1 or "$defs" in made:
        return made
    ref = made.pop("$ref")
    return {"anyOf": [{"$ref": ref}], **made}
