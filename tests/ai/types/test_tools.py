"""Tool definitions, tool calls, and schemas read from Python functions."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pydantic
import pytest

from dragoman.ai.types import FunctionDefinition, Message, ToolCall, ToolChoice, ToolDefinition

pytestmark = pytest.mark.requirement("AIP-46")


def test_a_tool_without_parameters_takes_an_empty_object() -> None:
    tool = ToolDefinition.from_function("now")
    assert (tool.type, tool.name, tool.description) == ("function", "now", None)
    assert tool.parameters == {"type": "object", "properties": {}}
    assert tool.to_dict() == {"type": "function", "function": {"name": "now", "parameters": tool.parameters}}


def test_default_schemas_are_not_shared() -> None:
    FunctionDefinition(name="a").parameters["properties"]["x"] = {}
    assert FunctionDefinition(name="b").parameters["properties"] == {}


def test_a_tool_keeps_schema_strictness_and_unknown_fields() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    tool = ToolDefinition.from_function("f", "does it", schema, strict=True)
    assert tool.to_dict()["function"] == {"name": "f", "description": "does it", "parameters": schema, "strict": True}
    assert ToolDefinition.model_validate({**tool.to_dict(), "cache_control": 1}).to_dict()["cache_control"] == 1


def test_tool_choices_are_words() -> None:
    assert [choice.value for choice in ToolChoice] == ["auto", "none", "required"]
    assert f"{ToolChoice.REQUIRED}" == "required"


@pytest.mark.parametrize(
    ("given", "arguments", "raw"),
    [
        ('{"a": 1}', {"a": 1}, '{"a": 1}'),
        ({"a": 1}, {"a": 1}, None),
        ("", {}, ""),
        (" ", {}, " "),
        ("null", {}, "null"),
        ("{}", {}, "{}"),
        (None, {}, None),
    ],
)
def test_arguments_come_as_text_or_object(given: Any, arguments: dict[str, Any], raw: str | None) -> None:
    call = ToolCall.from_openai_format("c", "f", given)
    assert (call.type, call.arguments, call.arguments_raw, call.parse_error) == ("function", arguments, raw, None)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": ', "not valid JSON"),
        ("[1]", "expected a JSON object, got list"),
        ("7", "got int"),
        ("[" * 100_000, "not valid JSON"),
    ],
)
def test_text_that_is_no_object_is_kept_with_the_reason(text: str, reason: str) -> None:
    call = ToolCall.from_openai_format("c", "f", text)
    assert (call.arguments, call.arguments_raw) == ({}, text)
    assert call.parse_error is not None
    assert reason in call.parse_error


def test_a_call_becomes_a_block_and_is_answered_by_a_message() -> None:
    call = ToolCall.from_openai_format("c", "f", {"a": 1})
    assert call.to_content_block() == {"type": "tool_use", "id": "c", "name": "f", "input": {"a": 1}}
    assert ToolCall.to_message(call, "plain") == Message.tool("c", "plain")
    assert ToolCall.to_message(call, {"grüße": [1]}) == Message.tool("c", '{"grüße": [1]}')


class Place(pydantic.BaseModel):
    """A place."""

    city: str


async def forecast(
    place: Place,
    days: int = 3,
    unit: Literal["c", "f"] = "c",
    model_config: str | None = None,
    exact: Annotated[bool, pydantic.Field(description="to the minute")] = False,
    *rest: int,
    **more: Any,
) -> str:
    """Tell the weather
    of a place.

    Long story.

    Args:
        place: where
        days (int): how many days,
            today included
        exact: not this one
    Returns:
        days: not a parameter
    """
    return ""


def test_a_function_describes_itself() -> None:
    tool = ToolDefinition.from_callable(forecast)
    assert (tool.name, tool.description) == ("forecast", "Tell the weather of a place.")
    properties = tool.parameters["properties"]
    assert set(properties) == {"place", "days", "unit", "model_config", "exact"}
    assert tool.parameters["required"] == ["place"]
    assert properties["days"] == {"type": "integer", "default": 3, "description": "how many days, today included"}
    assert properties["unit"]["enum"] == ["c", "f"]
    assert properties["exact"]["description"] == "to the minute"
    assert properties["place"]["description"] == "where"
    assert tool.parameters["$defs"]["Place"]["properties"]["city"]["type"] == "string"


def test_a_bare_function_and_a_callable_object_describe_themselves_too() -> None:
    def bare(x):  # type: ignore[no-untyped-def]  # that is the point
        return x

    class Caller:
        def __call__(self, word: str) -> str:
            return word

    assert ToolDefinition.from_callable(bare).parameters == {
        "properties": {"x": {}},
        "required": ["x"],
        "type": "object",
    }
    described = ToolDefinition.from_callable(Caller())
    assert (described.name, described.parameters["properties"]["word"]["type"]) == ("Caller", "string")


def test_a_function_without_a_name_and_parameters_without_one_are_refused() -> None:
    with pytest.raises(TypeError, match="'<lambda>' is no name for a tool"):
        ToolDefinition.from_callable(lambda x: x)

    def positional(x: int, /) -> int:
        return x

    with pytest.raises(TypeError, match="'positional' takes 'x' only by position"):
        ToolDefinition.from_callable(positional)
