"""Schemas of types, and schemas put together field by field."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import Any, Literal, Optional, Union

import pytest
from pydantic import BaseModel
from typing_extensions import TypedDict

from dragoman.ai.errors import ValidationError
from dragoman.ai.structured import OutputValidator, SchemaGenerator, json_schema_from_pydantic, json_schema_from_type

pytestmark = pytest.mark.requirement("AIP-92")


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Point(TypedDict):
    x: int
    y: float


@dataclass
class Pair:
    left: str
    right: int | None = None


class Node(BaseModel):
    name: str
    children: list[Node] = []


class Leaf(BaseModel):
    node: Node | None = None


@pytest.mark.parametrize(
    ("python_type", "schema"),
    [
        (int, {"type": "integer"}),
        (str, {"type": "string"}),
        (float, {"type": "number"}),
        (bool, {"type": "boolean"}),
        (type(None), {"type": "null"}),
        (list[str], {"type": "array", "items": {"type": "string"}}),
        (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (Optional[int], {"anyOf": [{"type": "integer"}, {"type": "null"}]}),  # noqa: UP045  # the older spelling is what is tried
        (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        (Union[int, str], {"anyOf": [{"type": "integer"}, {"type": "string"}]}),  # noqa: UP007  # likewise
        (Literal["a", "b"], {"enum": ["a", "b"], "type": "string"}),
        (Color, {"enum": ["red", "blue"], "title": "Color", "type": "string"}),
        (datetime, {"type": "string", "format": "date-time"}),
        (date, {"type": "string", "format": "date"}),
        (Any, {}),
    ],
)
def test_a_type_has_the_schema_of_what_it_takes(python_type: Any, schema: dict[str, Any]) -> None:
    assert json_schema_from_type(python_type) == schema


def test_records_list_their_fields() -> None:
    point = json_schema_from_type(Point)
    assert (point["type"], point["required"]) == ("object", ["x", "y"])
    pair = json_schema_from_type(Pair)
    assert pair["properties"]["right"]["anyOf"] == [{"type": "integer"}, {"type": "null"}]
    assert pair["required"] == ["left"]


def test_a_class_that_refers_to_itself_has_a_definition() -> None:
    schema = json_schema_from_pydantic(Node)
    assert schema["$ref"] == "#/$defs/Node"
    assert schema["$defs"]["Node"]["properties"]["children"]["items"] == {"$ref": "#/$defs/Node"}
    assert "nullable" not in json.dumps(json_schema_from_type(Leaf))


class Strange:
    """Pydantic knows nothing of it."""


@pytest.mark.parametrize("python_type", [Strange, list[Strange], Callable[[int], int]])
def test_a_type_that_json_cannot_hold_is_refused_by_name(python_type: Any) -> None:
    with pytest.raises(ValidationError, match="has no JSON Schema"):
        json_schema_from_type(python_type)


def test_only_classes_of_pydantic_are_pydantic_classes() -> None:
    with pytest.raises(ValidationError, match="json_schema_from_type"):
        json_schema_from_pydantic(int)


# --------------------------------------------------------------------------------------- generator


def test_a_generator_lists_what_it_was_told() -> None:
    generator = SchemaGenerator("Order", "What is bought").add_property("id", int, minimum=1, description="number")
    generator.add_property("note", str | None, required=False, max_length=9).add_property(
        "tags", list[str], min_length=1
    )
    generator.add_property("kind", str, enum=["a", "b"], default="a", pattern="^.$")
    assert generator.build() == {
        "type": "object",
        "title": "Order",
        "description": "What is bought",
        "properties": {
            "id": {"type": "integer", "minimum": 1, "description": "number"},
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "maxLength": 9},
            "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1},
            "kind": {"type": "string", "enum": ["a", "b"], "default": "a", "pattern": "^.$"},
        },
        "required": ["id", "tags", "kind"],
        "additionalProperties": False,
    }
    assert json.loads(generator.to_json()) == generator.build()


def test_more_fields_may_be_allowed_of_any_type_or_of_one() -> None:
    generator = SchemaGenerator().add_property("a", int)
    assert generator.allow_additional_properties().build()["additionalProperties"] is True
    assert generator.allow_additional_properties(int).build()["additionalProperties"] == {"type": "integer"}
    assert generator.allow_additional_properties(False).build()["additionalProperties"] is False


def test_definitions_of_several_parts_do_not_get_mixed_up() -> None:
    other = {"$defs": {"Node": {"type": "integer"}}, "$ref": "#/$defs/Node"}
    generator = SchemaGenerator().add_property("tree", Node).add_object_property("number", other)
    schema = generator.build()
    assert schema["$defs"]["Node_2"] == {"type": "integer"}
    validator = OutputValidator(schema)
    assert validator.validate({"tree": {"name": "a", "children": [{"name": "b"}]}, "number": 3}).valid
    assert not validator.validate({"tree": {"name": "a", "children": [{"name": 1}]}, "number": 3}).valid
    assert not validator.validate({"tree": {"name": "a"}, "number": "3"}).valid


def test_a_part_that_refers_to_its_own_root_still_does() -> None:
    nested = {"type": "object", "properties": {"child": {"$ref": "#"}, "n": {"type": "integer"}}}
    schema = SchemaGenerator().add_object_property("a/b", nested).build()
    assert schema["properties"]["a/b"]["properties"]["child"] == {"$ref": "#/properties/a~1b"}
    validator = OutputValidator(schema)
    assert validator.validate({"a/b": {"child": {"child": {"n": 1}}}}).valid
    assert not validator.validate({"a/b": {"child": {"child": {"n": "x"}}}}).valid


def test_a_generator_of_a_class_builds_its_schema_and_takes_no_more() -> None:
    generator = SchemaGenerator.from_pydantic(Node)
    assert generator.build() == json_schema_from_pydantic(Node)
    with pytest.raises(ValidationError, match="no further fields"):
        generator.add_property("x", int)


def test_what_a_generator_built_is_not_what_it_holds() -> None:
    generator = SchemaGenerator().add_property("a", int)
    generator.build()["properties"]["a"]["type"] = "string"
    assert generator.build()["properties"]["a"] == {"type": "integer"}


def test_a_schema_that_contains_itself_is_refused() -> None:
    schema: dict[str, Any] = {"type": "object"}
    schema["properties"] = {"a": schema}
    with pytest.raises(ValidationError, match="contains itself"):
        SchemaGenerator().add_object_property("x", schema)
