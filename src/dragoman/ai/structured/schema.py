"""JSON Schema (2020-12) of Python types, and a builder for schemas without a type.

Pydantic knows the types; what is added here is that parts of several schemas come together in one
without their definitions getting mixed up.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticUndefinedAnnotation, PydanticUserError

from dragoman.ai.errors import ValidationError
from dragoman.ai.structured.strict import copied

__all__ = ["SchemaGenerator", "adapter_of", "json_schema_from_pydantic", "json_schema_from_type"]

_JSON_TYPES = frozenset({"string", "integer", "number", "boolean", "object", "array", "null"})


def adapter_of(python_type: Any) -> TypeAdapter[Any]:
    """Pydantic's adapter of a type. Raises ValidationError for one that it does not understand."""
    try:
        return TypeAdapter(python_type)
    except (PydanticUserError, PydanticUndefinedAnnotation, TypeError, NameError) as error:
        raise _no_schema(python_type, error) from error


def json_schema_from_type(python_type: Any) -> dict[str, Any]:
    """The schema of what a type takes: classes of pydantic, dataclasses, TypedDict, unions, Literal, Enum, lists …

    Optional is `anyOf` with null. Types that occur by name stand in `$defs`. Raises ValidationError for
    a type that has no JSON.
    """
    try:
        return adapter_of(python_type).json_schema()
    except (PydanticInvalidForJsonSchema, PydanticUserError, PydanticUndefinedAnnotation, RecursionError) as error:
        raise _no_schema(python_type, error) from error


def json_schema_from_pydantic(model: Any) -> dict[str, Any]:
    """The schema of a pydantic class, its `$defs` included."""
    if not hasattr(model, "model_json_schema"):
        raise ValidationError(
            f"expected a pydantic class, got {model!r}; json_schema_from_type takes other types",
            field="model",
            expected="a pydantic class",
        )
    return json_schema_from_type(model)


def _no_schema(python_type: Any, error: Exception) -> ValidationError:
    lines = str(error).splitlines() or [type(error).__name__]
    return ValidationError(
        f"{getattr(python_type, '__name__', python_type)!r} has no JSON Schema: {lines[0]}",
        field="type",
        expected="a type that JSON can hold",
    )


class SchemaGenerator:
    """Puts the schema of an object together, field by field. Fields not listed are refused unless allowed."""

    def __init__(self, title: str | None = None, description: str | None = None) -> None:
        self._title = title
        self._description = description
        self._properties: dict[str, dict[str, Any]] = {}
        self._required: list[str] = []
        self._definitions: dict[str, Any] = {}
        self._additional: Any = False
        self._whole: dict[str, Any] | None = None

    def add_property(
        self,
        name: str,
        python_type: Any,
        *,
        description: str | None = None,
        required: bool = True,
        default: Any = None,
        enum: list[Any] | None = None,
        minimum: float | None = None,
        maximum: float | None = None,
        min_length: int | None = None,
        max_length: int | None = None,
        pattern: str | None = None,
    ) -> SchemaGenerator:
        """A field of a type. Lengths are those of a text, or of a list; `default` None means none."""
        schema = json_schema_from_type(python_type)
        is_list = schema.get("type") == "array"
        narrowed = {
            "description": description,
            "default": default,
            "enum": enum,
            "minimum": minimum,
            "maximum": maximum,
            "minItems" if is_list else "minLength": min_length,
            "maxItems" if is_list else "maxLength": max_length,
            "pattern": pattern,
        }
        return self._add(name, schema, {key: value for key, value in narrowed.items() if value is not None}, required)

    def add_object_property(
        self, name: str, nested_schema: Mapping[str, Any], *, description: str | None = None, required: bool = True
    ) -> SchemaGenerator:
        """A field that is described by a schema of its own, whose references keep their meaning."""
        told = {} if description is None else {"description": description}
        return self._add(name, copied(nested_schema), told, required)

    def _add(self, name: str, schema: dict[str, Any], told: dict[str, Any], required: bool) -> SchemaGenerator:
        if self._whole is not None:
            raise ValidationError("a generator of a pydantic class takes no further fields", field=name)
        self._properties[name] = {**self._taken_over(name, schema), **told}
        if name in self._required:
            self._required.remove(name)
        if required:
            self._required.append(name)
        return self

    def _taken_over(self, name: str, schema: dict[str, Any]) -> dict[str, Any]:
        """A schema as a part of ours: its definitions among ours, its references led there."""
        definitions = schema.pop("$defs", {})
        names = {known: self._free(known, value) for known, value in definitions.items()}
        place = f"#/properties/{_pointer(name)}"
        for known, value in definitions.items():
            self._definitions[names[known]] = _led(value, names, place)
        moved: dict[str, Any] = _led(schema, names, place)
        return moved

    def _free(self, name: str, value: Any) -> str:
        """The name under which a definition can stand: its own, or a numbered one where another has that."""
        free, number = name, 1
        while free in self._definitions and self._definitions[free] != value:
            number += 1
            free = f"{name}_{number}"
        return free

    def allow_additional_properties(self, allowed: Any = True) -> SchemaGenerator:
        """Whether fields that are not listed may come; a type says of which type."""
        if isinstance(allowed, bool):
            self._additional = allowed
        else:
            self._additional = self._taken_over("additionalProperties", json_schema_from_type(allowed))
        return self

    def build(self) -> dict[str, Any]:
        """The schema, a new dict."""
        if self._whole is not None:
            return copied(self._whole)
        made: dict[str, Any] = {"type": "object", "properties": self._properties}
        made |= {name: value for name, value in (("title", self._title), ("description", self._description)) if value}
        if self._required:
            made["required"] = self._required
        made["additionalProperties"] = self._additional
        if self._definitions:
            made["$defs"] = self._definitions
        return copied(made)

    def to_json(self, indent: int = 2) -> str:
        return json.dumps(self.build(), indent=indent, ensure_ascii=False)

    @classmethod
    def from_pydantic(cls, model: Any) -> SchemaGenerator:
        """A generator that builds the schema of a pydantic class, `$defs` included."""
        made = cls()
        made._whole = json_schema_from_pydantic(model)
        return made

    # ------------------------------------------------------------------------------- as dicts alone

    @staticmethod
    def property(type: Any = str, description: str | None = None, **words: Any) -> dict[str, Any]:
        """The schema of one value; `type` is a Python type or a word of JSON Schema, `words` go in as they are."""
        named = isinstance(type, str) and type in _JSON_TYPES
        schema = {"type": type} if named else json_schema_from_type(type)
        return {**schema, **({} if description is None else {"description": description}), **words}

    @staticmethod
    def object(properties: Mapping[str, Any], required: Sequence[str] | None = None, **words: Any) -> dict[str, Any]:
        """The schema of an object. Properties are schemas or types; all are required unless said otherwise."""
        generator = SchemaGenerator()
        for name, value in properties.items():
            schema = value if isinstance(value, Mapping) else json_schema_from_type(value)
            generator.add_object_property(name, schema, required=required is None or name in required)
        return {**generator.build(), **words}


def _pointer(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _led(value: Any, names: Mapping[str, str], place: str) -> Any:
    """A part of a schema with its references led to where their targets now are."""
    if isinstance(value, list):
        return [_led(one, names, place) for one in value]
    if not isinstance(value, dict):
        return value
    made = {key: _led(one, names, place) for key, one in value.items()}
    ref = value.get("$ref")
    if isinstance(ref, str):
        head, mark, name = ref.partition("#/$defs/")
        if mark and not head:
            first, slash, rest = name.partition("/")
            made["$ref"] = f"#/$defs/{names.get(first, first)}{slash}{rest}"
        elif ref == "#" or ref.startswith("#/"):
            made["$ref"] = place + ref[1:]
    return made
