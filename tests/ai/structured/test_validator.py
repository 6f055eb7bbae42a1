"""Judging by schemas and by types, and reading JSON out of what a model wrote."""

from __future__ import annotations

import math
import sys
from datetime import date
from typing import Any, Literal

import pytest
from pydantic import BaseModel
from tests.ai.counted import steps

from dragoman.ai import errors
from dragoman.ai.structured import OutputValidator, StructuredOutput, ValidationError, ValidationResult, extract_json
from dragoman.core.errors import MissingExtra, ProtocolError

pytestmark = pytest.mark.requirement("AIP-93")


class Item(BaseModel):
    name: str
    count: int = 1


class Order(BaseModel):
    items: list[Item]
    day: date | None = None
    state: Literal["open", "done"] = "open"


ORDER = {
    "type": "object",
    "properties": {"items": {"type": "array", "items": {"$ref": "#/$defs/Item"}, "minItems": 1}},
    "required": ["items"],
    "$defs": {
        "Item": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "count": {"type": "integer", "minimum": 1}},
            "required": ["name"],
            "additionalProperties": False,
        }
    },
}


# ------------------------------------------------------------------------------------- by a schema


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ({"items": [{"name": "a", "count": 2}]}, []),
        ({"items": [{"name": "a"}, {"name": 3}]}, ["items[1].name: 3 is not of type"]),
        ({"items": [{"count": 0}]}, ["items[0].count: 0 is less than", 'items[0]: "name" is a required']),
        ({"items": [{"name": "a", "x": 1}]}, ["items[0]: Additional properties are not allowed"]),
        ({"items": []}, ["items: [] has less than 1 item"]),
        ([], ["[] is not of type"]),
    ],
)
def test_a_schema_is_applied_at_every_level_and_through_references(value: Any, wrong: list[str]) -> None:
    result = OutputValidator(ORDER).validate(value)
    assert result.valid is (not wrong)
    assert bool(result) is result.valid
    assert len(result.errors) == len(wrong)
    for line, start in zip(sorted(result.errors), sorted(wrong), strict=True):
        assert line.startswith(start)


def test_valid_text_gives_the_value() -> None:
    assert OutputValidator(ORDER).validate('{"items": [{"name": "a"}]}').data == {"items": [{"name": "a"}]}
    assert OutputValidator().validate("[1]").data == [1]


@pytest.mark.parametrize(
    "text", ["", "nope", '{"a": NaN}', '{"a": 1e999}', "{'a': 1}", '{"a": 1', "[" * 300 + "]" * 300, "[" * 90_000]
)
def test_text_that_is_no_sound_json_is_not_valid(text: str) -> None:
    result = OutputValidator().validate(text)
    assert not result.valid
    assert result.errors[0].startswith("not valid JSON: ")


@pytest.mark.parametrize("value", [{"a": math.nan}, {"a": -math.inf}, {"a": {1, 2}}, {"a": object()}, b"\xff\xff"])
def test_a_value_that_json_cannot_hold_is_not_valid(value: Any) -> None:
    assert not OutputValidator({"type": "object"}).validate(value).valid


def test_a_value_that_contains_itself_is_not_valid() -> None:
    value: list[Any] = []
    value.append(value)
    assert not OutputValidator().validate(value).valid


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
        {"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/a"}]}}},
        {"$dynamicRef": "#x", "$dynamicAnchor": "x"},
    ],
)
def test_a_schema_that_goes_in_circles_comes_to_an_end(schema: dict[str, Any]) -> None:
    OutputValidator(schema).validate({"a": [1]})


def test_a_schema_for_trees_judges_deep_ones() -> None:
    schema = {"type": "object", "properties": {"child": {"$ref": "#"}}, "additionalProperties": False}
    value: dict[str, Any] = {}
    for _ in range(150):
        value = {"child": value}
    assert OutputValidator(schema).validate(value).valid
    for _ in range(100):
        value = {"child": value}
    assert not OutputValidator(schema).validate(value).valid


def test_nothing_is_fetched() -> None:
    with pytest.raises(errors.ValidationError, match="nothing is fetched"):
        OutputValidator({"$ref": "http://127.0.0.1:9/schema.json"})


@pytest.mark.parametrize("schema", [{"type": "nope"}, {"pattern": "("}, {"$ref": "#/$defs/missing"}, {"items": 3}])
def test_what_is_no_schema_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(errors.ValidationError, match="no JSON Schema"):
        OutputValidator(schema)


def test_patterns_of_a_schema_are_bounded() -> None:
    validator = OutputValidator({"pattern": r"^(?=a)(a+)+\1$"})
    assert not validator.validate('"' + "a" * 5000 + '!"').valid


def test_errors_are_few_and_short() -> None:
    result = OutputValidator({"type": "array", "items": {"type": "integer"}}).validate(["x" * 9999] * 5000)
    assert len(result.errors) == 50
    assert max(map(len, result.errors)) < 700


def test_a_schema_needs_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema_rs", None)
    with pytest.raises(MissingExtra, match="protocol"):
        OutputValidator({"type": "object"})
    assert OutputValidator(Item).validate({"name": "a"}).valid


# --------------------------------------------------------------------------------------- by a type


def test_a_class_gives_its_objects() -> None:
    result = OutputValidator(Order).validate('{"items": [{"name": "a"}], "day": "2026-01-31", "state": "done"}')
    assert result.data == Order(items=[Item(name="a")], day=date(2026, 1, 31), state="done")
    assert OutputValidator(list[Item]).validate([{"name": "a"}]).data == [Item(name="a")]
    assert OutputValidator(int | None).validate("null") == ValidationResult(True, [], None)


def test_errors_of_a_class_have_their_places() -> None:
    result = OutputValidator(Order).validate({"items": [{"name": 1}], "state": "x"})
    assert result.errors[0] == "items[0].name: Input should be a valid string"
    assert result.errors[1].startswith("state: Input should be 'open' or 'done'")


def test_strict_takes_no_value_of_another_kind() -> None:
    assert not OutputValidator(Item).validate({"name": "a", "count": "2"}).valid
    assert OutputValidator(Item, strict=False).validate({"name": "a", "count": "2"}).data == Item(name="a", count=2)


def test_half_a_surrogate_pair_is_no_trouble() -> None:
    assert OutputValidator(Item).validate('{"name": "\\ud83d"}').data == Item(name="\ufffd")
    assert not OutputValidator(Item).validate({"name": "\ud83d"}).valid


def test_parse_gives_an_object_of_the_class() -> None:
    text = '{"items": [{"name": "a"}]}'
    assert OutputValidator(ORDER).parse(text, Order) == Order(items=[Item(name="a")])
    assert OutputValidator(Order).parse(text, Order) == Order(items=[Item(name="a")])
    with pytest.raises(ValidationError, match="items"):
        OutputValidator(ORDER).parse("{}", Order)


def test_raising_names_the_first_error_and_how_many_there_are() -> None:
    with pytest.raises(ValidationError) as caught:
        OutputValidator(Order).validate_or_raise({"items": [{}, {}]})
    assert str(caught.value).startswith("items[0].name: Field required (and 1 more)")
    assert (caught.value.path, isinstance(caught.value, ProtocolError)) == ("items[0].name", True)
    error = ValidationError("too small", "a.b", 3)
    assert (error.message, error.path, error.value) == ("too small", "a.b", 3)
    assert OutputValidator(Order).validate_or_raise({"items": []}) == Order(items=[])


# -------------------------------------------------------------------------------------- extracting


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"a": 1}', {"a": 1}),
        ("  [1, 2]\n", [1, 2]),
        ('Here you are:\n```json\n{"a": 1}\n```\nAnything else?', {"a": 1}),
        ('```\n{"a": "```"}\n```', {"a": "```"}),
        ('```json\n{"a": 1}', {"a": 1}),
        ('```py\nx = 1\n```\n```json\n{"a": 1}\n```', {"a": 1}),
        ('Use {braces} so: {"a": {"b": "}]"}} and {"c": 2}', {"a": {"b": "}]"}}),
        ('first [1, "]"] then {"a": 1}', [1, "]"]),
        ('a "quoted { brace" and {"b": "\\"}"}', {"b": '"}'}),
        ('{"a": NaN} {"b": 1}', {"b": 1}),
        ("42", None),
        ("null", None),
        ('"{}" is empty', {}),
        ("no json", None),
        ("", None),
        ('{"a": [{"b": 1}, {"b"', None),
        ("{" * 50, None),
    ],
)
def test_the_first_object_or_array_is_found(text: str, found: Any) -> None:
    assert extract_json(text) == found


@pytest.mark.parametrize(
    "piece", ["[", '{"', '["', "[1,", '{"a":', "[[1", "`", "```\n", '"[', "{}x{", '{"a":1}}', "[1,x"]
)
def test_looking_for_json_costs_what_the_text_is_long(piece: str) -> None:
    def work(size: int) -> int:
        return steps(lambda: extract_json("x " + piece * size))

    assert work(2000) < 3 * work(1000) + 10_000


# ------------------------------------------------------------------------------ structured output


def test_an_answer_is_read_and_validated() -> None:
    output = StructuredOutput.from_response('Sure: {"name": "a"}', OutputValidator(Item))
    assert (output.is_valid, output.parsed, output.data) == (True, {"name": "a"}, Item(name="a"))
    assert output.as_model(Item) == Item(name="a")
    plain = StructuredOutput.from_response('{"name": "a"}')
    assert (plain.data, plain.as_model(Item)) == ({"name": "a"}, Item(name="a"))


def test_an_answer_without_json_is_not_valid() -> None:
    for validator in (None, OutputValidator(Item)):
        output = StructuredOutput.from_response("I cannot do that", validator)
        assert (output.is_valid, output.data) == (False, None)
        with pytest.raises(ValidationError, match="not valid JSON"):
            output.as_model(Item)


def test_an_answer_that_is_a_number_or_a_word_is_json_too() -> None:
    assert StructuredOutput.from_response("42", OutputValidator(int)).data == 42
    assert StructuredOutput.from_response("true").data is True


def test_many_openings_before_a_long_broken_value_cost_no_more_than_a_few() -> None:
    def work(openings: int) -> int:
        return steps(lambda: extract_json("[" * openings + "1," * 2000 + "}"))

    assert work(150) < 8 * work(1)
