"""Tools, tool choice and tool results on every wire."""

from __future__ import annotations

from typing import Any

import pytest
from tests.ai.adapters.families import PNG, SCHEMA, WEATHER, body, calling, family, request

from dragoman.ai.errors import ValidationError
from dragoman.ai.types import ContentBlock, Message, ToolChoice, ToolDefinition

pytestmark = pytest.mark.requirement("AIP-20")

FUNCTION = {"name": "weather", "description": "The weather of a city"}
OPENAI = [{"type": "function", "function": {**FUNCTION, "parameters": SCHEMA}}]


@pytest.mark.parametrize(
    ("wire", "tools"),
    [
        ("openai_chat", OPENAI),
        ("openai_responses", [{"type": "function", **FUNCTION, "parameters": SCHEMA}]),
        ("anthropic", [{**FUNCTION, "input_schema": SCHEMA}]),
        ("gemini", [{"functionDeclarations": [{**FUNCTION, "parameters": SCHEMA}]}]),
        ("cohere_v2", OPENAI),
        ("ollama", OPENAI),
    ],
)
def test_a_tool_is_described_in_the_words_of_the_wire(wire: str, tools: list[dict[str, Any]]) -> None:
    assert body(wire, tools=[WEATHER])["tools"] == tools
    assert "tools" not in body(wire)


AUTO, NONE, ANY = {"mode": "AUTO"}, {"mode": "NONE"}, {"mode": "ANY"}
ONE = {"mode": "ANY", "allowedFunctionNames": ["weather"]}
CHOICES: list[tuple[str, list[Any]]] = [
    ("openai_chat", ["auto", "none", "required", {"type": "function", "function": {"name": "weather"}}]),
    ("openai_responses", ["auto", "none", "required", {"type": "function", "name": "weather"}]),
    ("anthropic", [{"type": "auto"}, {"type": "none"}, {"type": "any"}, {"type": "tool", "name": "weather"}]),
    ("cohere_v2", [None, "NONE", "REQUIRED", "REQUIRED"]),
    ("ollama", [None, None, None, None]),
]


@pytest.mark.parametrize(("wire", "wanted"), CHOICES, ids=[wire for wire, _ in CHOICES])
def test_a_tool_choice_is_made_in_the_words_of_the_wire(wire: str, wanted: list[Any]) -> None:
    found = [
        body(wire, tools=[WEATHER], tool_choice=choice).get("tool_choice")
        for choice in (ToolChoice.AUTO, ToolChoice.NONE, ToolChoice.REQUIRED, "weather")
    ]
    assert found == wanted


def test_a_tool_choice_of_gemini_is_a_mode_and_names() -> None:
    found = [
        body("gemini", tools=[WEATHER], tool_choice=choice)["toolConfig"]["functionCallingConfig"]
        for choice in ("auto", "none", "required", "weather")
    ]
    assert found == [AUTO, NONE, ANY, ONE]


@pytest.mark.parametrize(
    "choice",
    [
        {"type": "function", "function": {"name": "weather"}},
        {"type": "function", "name": "weather"},
        {"type": "tool", "name": "weather"},
        "weather",
    ],
)
def test_one_tool_may_be_named_in_any_way(choice: Any) -> None:
    found = body("anthropic", tools=[WEATHER], tool_choice=choice)
    assert found["tool_choice"] == {"type": "tool", "name": "weather"}


def test_an_unknown_choice_goes_out_as_it_is() -> None:
    own = {"type": "allowed_tools", "tools": [], "mode": "auto"}
    assert body("openai_responses", tools=[WEATHER], tool_choice=own)["tool_choice"] == own
    own = {"type": "auto", "disable_parallel_tool_use": True}
    assert body("anthropic", tools=[WEATHER], tool_choice=own)["tool_choice"] == own
    with pytest.raises(ValidationError, match="tool_choice"):
        body("anthropic", tool_choice=4)


def test_a_named_tool_is_the_only_one_offered_where_names_cannot_be_said() -> None:
    other = ToolDefinition.from_function("other")
    found = body("cohere_v2", tools=[WEATHER, other], tool_choice="weather")
    assert found["tools"] == OPENAI


def test_no_tools_are_offered_where_none_cannot_be_said() -> None:
    assert "tools" not in body("ollama", tools=[WEATHER], tool_choice="none")
    assert request("ollama", tools=[WEATHER], tool_choice="required").dropped == ("tool_choice",)
    with pytest.raises(ValidationError, match="tool_choice"):
        request("ollama", tools=[WEATHER], tool_choice="required", strict=True)


def test_strictness_of_a_tool_is_kept_where_it_means_something() -> None:
    strict = ToolDefinition.from_function("weather", None, SCHEMA, strict=True)
    assert body("openai_chat", tools=[strict])["tools"][0]["function"]["strict"] is True
    assert body("openai_responses", tools=[strict])["tools"][0]["strict"] is True
    assert body("anthropic", tools=[strict])["tools"][0]["strict"] is True
    assert "strict" not in body("gemini", tools=[strict])["tools"][0]["functionDeclarations"][0]


# ------------------------------------------------------------------------- schemas of Gemini


def _declared(schema: dict[str, Any]) -> dict[str, Any]:
    tool = ToolDefinition.from_function("f", None, schema)
    found: dict[str, Any] = body("gemini", tools=[tool])["tools"][0]["functionDeclarations"][0]
    return found


def test_a_schema_is_cleaned_of_what_gemini_refuses() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "a": {"type": "array", "items": {"type": "object", "additionalProperties": False, "properties": {}}},
            "b": {"anyOf": [{"type": "string"}, {"type": "number", "minimum": 0}]},
            "additionalProperties": {"type": "string"},
        },
    }
    assert _declared(schema) == {
        "name": "f",
        "parameters": {
            "type": "object",
            "properties": {
                "a": {"type": "array", "items": {"type": "object", "properties": {}}},
                "b": {"anyOf": [{"type": "string"}, {"type": "number", "minimum": 0}]},
                "additionalProperties": {"type": "string"},
            },
        },
    }
    assert "additionalProperties" in schema


@pytest.mark.parametrize(
    "inner",
    [
        {"$ref": "#/$defs/X"},
        {"type": ["string", "null"]},
        {"oneOf": [{"type": "string"}]},
        {"type": "array", "items": {"const": 4}},
        {"anyOf": [{"const": 4}]},
    ],
)
def test_a_richer_schema_goes_as_json_schema(inner: dict[str, Any]) -> None:
    schema = {"$schema": "x", "type": "object", "properties": {"a": inner}}
    assert _declared(schema) == {
        "name": "f",
        "parametersJsonSchema": {"type": "object", "properties": {"a": inner}},
    }


def test_a_function_without_parameters_declares_none() -> None:
    tool = ToolDefinition.from_function("now", "The time")
    assert body("gemini", tools=[tool])["tools"] == [
        {"functionDeclarations": [{"name": "now", "description": "The time"}]}
    ]


# ------------------------------------------------------------------------- results


ASKED = calling(("c1", "weather", '{"city":"Ulm"}'))
FAILED = Message.with_content("user", [ContentBlock.tool_result("c1", "no such city", is_error=True)])


def _answered(wire: str, result: Message) -> dict[str, Any]:
    found = body(wire, [ASKED, result])
    last: dict[str, Any] = found.get("messages", found.get("input", found.get("contents")))[-1]
    return last


def test_a_failed_result_says_so_where_it_can() -> None:
    assert _answered("anthropic", FAILED)["content"] == [
        {"type": "tool_result", "tool_use_id": "c1", "content": "no such city", "is_error": True}
    ]
    assert _answered("gemini", FAILED)["parts"] == [
        {"functionResponse": {"id": "c1", "name": "weather", "response": {"error": "no such city"}}}
    ]
    assert _answered("openai_chat", FAILED) == {"role": "tool", "tool_call_id": "c1", "content": "no such city"}
    flagged = Message(role="tool", content="no such city", tool_call_id="c1", is_error=True)
    assert _answered("anthropic", flagged) == _answered("anthropic", FAILED)


def test_an_object_as_result_is_the_response_of_gemini() -> None:
    part = _answered("gemini", Message.tool("c1", '{"degrees": 21}'))["parts"][0]
    assert part["functionResponse"]["response"] == {"degrees": 21}
    part = _answered("gemini", Message.tool("c1", "[1, 2]"))["parts"][0]
    assert part["functionResponse"]["response"] == {"output": "[1, 2]"}


def test_a_picture_in_a_result_is_sent_where_it_can_be() -> None:
    blocks = [ContentBlock.text_block("See"), ContentBlock.image_base64(PNG, "image/png")]
    result = Message.with_content("user", [ContentBlock.tool_result("c1", blocks)])
    assert _answered("anthropic", result)["content"][0]["content"] == [
        {"type": "text", "text": "See"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
    ]
    assert _answered("gemini", result)["parts"][1] == {"inlineData": {"mimeType": "image/png", "data": PNG}}
    assert _answered("openai_responses", result)["output"][1]["type"] == "input_image"
    for wire in ("openai_chat", "cohere_v2", "ollama"):
        with pytest.raises(ValidationError, match="tool result"):
            _answered(wire, result)


def test_arguments_that_were_no_json_go_back_as_an_empty_object() -> None:
    broken = calling(("c1", "weather", '{"city": '))
    assert body("openai_chat", [broken])["messages"][0]["tool_calls"][0]["function"]["arguments"] == "{}"
    assert body("anthropic", [broken])["messages"][0]["content"][0]["input"] == {}


def test_a_tool_may_be_given_as_a_plain_object() -> None:
    assert body("openai_chat", parameters={"tools": OPENAI})["tools"] == OPENAI


def test_a_mapped_tool_choice_goes_where_the_manifest_says() -> None:
    manifest = family("ollama", parameter_mappings={"tool_choice": "options.pick"})
    assert body(manifest, tools=[WEATHER], tool_choice="required")["options"] == {"pick": "required"}


@pytest.mark.parametrize(
    ("wire", "own"),
    [
        ("openai_chat", {"type": "web_search"}),
        ("openai_responses", {"type": "web_search"}),
        ("anthropic", {"type": "web_search_20250305", "name": "web_search"}),
        ("gemini", {"googleSearch": {}}),
    ],
)
def test_a_tool_of_the_providers_own_goes_out_as_it_is(wire: str, own: dict[str, Any]) -> None:
    assert body(wire, tools=[own])["tools"] == [own]
    assert body(wire, tools=[WEATHER, own])["tools"] == [*body(wire, tools=[WEATHER])["tools"], own]


def test_a_tool_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(ValidationError, match="tool cannot be read"):
        body("openai_chat", tools=[{"type": "function", "function": {}}])
