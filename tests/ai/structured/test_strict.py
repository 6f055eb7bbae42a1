"""Schemas as providers want them that promise to follow them to the letter."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field
from tests.ai.adapters.families import request

from dragoman.ai.errors import ValidationError
from dragoman.ai.structured import JsonModeConfig, json_schema_from_type, strict_schema
from dragoman.ai.structured.messages_schema import can_be_said

pytestmark = pytest.mark.requirement("AIP-91", "AIP-92")


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"]


class Tree(BaseModel):
    """A tree."""

    name: Annotated[str, Field(min_length=1, max_length=9, description="What it is called")]
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    parent: Tree | None = None
    best: Annotated[Cat, Field(description="the best one")] = Cat(kind="cat")
    place: Annotated[str, Field(json_schema_extra={"format": "uri"})] = ""


def objects(value: Any) -> list[dict[str, Any]]:
    """All schemas of objects in a schema."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    own = [value] if isinstance(value, dict) and value.get("type") == "object" else []
    return [*own, *(one for part in parts for one in objects(part))]


def test_every_object_is_closed_and_all_of_its_fields_are_required() -> None:
    made = strict_schema(json_schema_from_type(Tree))
    assert made is not None
    assert made["type"] == "object"
    found = objects(made)
    assert len(found) == 4  # the root, which is the class itself, and three definitions
    for one in found:
        assert one["required"] == list(one["properties"])
        assert one["additionalProperties"] is False


def test_words_that_strict_providers_refuse_are_said_otherwise() -> None:
    made = strict_schema(json_schema_from_type(Tree))
    assert made is not None
    fields = made["properties"]
    assert fields["name"] == {
        "description": "What it is called (minLength: 1, maxLength: 9)",
        "title": "Name",
        "type": "string",
    }
    assert fields["pet"] == {"anyOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}], "title": "Pet"}
    assert fields["best"] == {"anyOf": [{"$ref": "#/$defs/Cat"}], "description": "the best one"}
    assert fields["place"]["description"] == "format: uri"
    assert fields["parent"]["anyOf"] == [{"$ref": "#/$defs/Tree"}, {"type": "null"}]


def test_the_schema_that_was_given_stays_as_it_was() -> None:
    schema = json_schema_from_type(Tree)
    strict_schema(schema)
    assert schema == json_schema_from_type(Tree)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": "object", "properties": {"a": {}}},
        {"type": "object", "properties": {"a": True}},
        {"type": "object", "properties": {"a": {"type": "object"}}},
        {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": True},
        {"type": "object", "properties": {"a": {"type": "object", "additionalProperties": {"type": "string"}}}},
        {"type": "object", "properties": {"a": {"not": {"type": "string"}}}},
        {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["b"]},
        {"type": "object", "properties": {"a": {"prefixItems": [{"type": "integer"}]}}},
        {"type": "object", "properties": {"a": {"allOf": [{"type": "string"}, {"maxLength": 2}]}}},
        {"type": "array", "items": {"type": "integer"}},
        {"anyOf": [{"type": "object", "properties": {"a": {"type": "integer"}}}]},
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
        {"$ref": "#"},
        {"$ref": "https://example.org/x"},
    ],
)
def test_what_cannot_be_said_strictly_has_no_strict_form(schema: dict[str, Any]) -> None:
    assert strict_schema(schema) is None


def test_one_part_of_all_of_is_the_schema_itself() -> None:
    schema = {"type": "object", "properties": {"a": {"allOf": [{"$ref": "#/$defs/N"}], "description": "d"}}}
    made = strict_schema({**schema, "$defs": {"N": {"type": "integer"}}})
    assert made is not None
    assert made["properties"]["a"] == {"anyOf": [{"$ref": "#/$defs/N"}], "description": "d"}


def test_described_references_do_not_make_a_schema_longer_and_longer() -> None:
    last = 40
    definitions: dict[str, Any] = {f"d{last}": {"type": "object", "properties": {"x": {"type": "integer"}}}}
    for number in range(last):
        both = {name: {"$ref": f"#/$defs/d{number + 1}", "description": name} for name in ("a", "b")}
        definitions[f"d{number}"] = {"type": "object", "properties": both}
    made = strict_schema({"$ref": "#/$defs/d0", "$defs": definitions})
    assert made is not None
    assert len(str(made)) < 3 * len(str(definitions))


def test_a_schema_without_end_is_refused() -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {}}
    schema["properties"]["a"] = schema
    with pytest.raises(ValidationError, match="contains itself"):
        strict_schema(schema)
    deep: dict[str, Any] = {"type": "integer"}
    for _ in range(20_000):
        deep = {"type": "array", "items": deep}
    with pytest.raises(ValidationError, match="too deeply"):
        strict_schema({"type": "object", "properties": {"a": deep}})


class Hotel(BaseModel):
    stars: Annotated[int, Field(ge=1, le=5, description="as the guide says")]
    name: Annotated[str, Field(pattern="^[A-Z]")]
    code: Annotated[str, Field(json_schema_extra={"pattern": r"\bx"})]
    rooms: Annotated[list[int], Field(min_length=2, max_length=9)]
    beds: Annotated[list[int], Field(min_length=1)]
    pet: Cat | Dog | None = None


def test_the_messages_wire_gets_no_limits_but_hears_of_them() -> None:
    config = JsonModeConfig.from_pydantic(Hotel)
    made = config.to_anthropic_format()["output_config"]["format"]["schema"]
    fields = made["properties"]
    assert fields["stars"] == {
        "type": "integer",
        "title": "Stars",
        "description": "as the guide says (minimum: 1, maximum: 5)",
    }
    assert fields["name"]["pattern"] == "^[A-Z]"
    assert (fields["code"].get("pattern"), fields["code"]["description"]) == (None, r'pattern: "\\bx"')
    assert fields["rooms"].keys() == {"type", "items", "title", "description"}
    assert fields["rooms"]["description"] == "maxItems: 9, minItems: 2"
    assert fields["beds"]["minItems"] == 1
    assert fields["pet"]["anyOf"][-1] == {"type": "null"}
    assert all(one["additionalProperties"] is False for one in objects(made))
    assert config.wire_schema is not None
    assert config.wire_schema["properties"]["stars"]["maximum"] == 5  # on the other wires it stays
    assert request("anthropic", response_format=config).body["output_config"]["format"]["schema"] == made


def test_fields_that_are_named_like_words_of_schemas_stay() -> None:
    given = {"type": "object", "properties": {"maximum": {"type": "integer", "maximum": 3}}}
    made = JsonModeConfig.from_schema(given).to_anthropic_format()["output_config"]["format"]["schema"]
    assert made["properties"] == {"maximum": {"type": "integer", "description": "maximum: 3"}}
    assert made["required"] == ["maximum"]


def test_what_the_messages_wire_can_say() -> None:
    class Pair(BaseModel):
        left: Cat
        right: Cat

    assert can_be_said(json_schema_from_type(Pair))
    assert not can_be_said(json_schema_from_type(Tree))
    assert not can_be_said({"type": "object", "properties": {"more": {"$ref": "#"}}})
    assert not can_be_said({"type": "object", "additionalProperties": {"type": "integer"}})
