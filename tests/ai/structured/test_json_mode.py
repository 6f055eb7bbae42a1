"""JSON mode in the words of the six families, and that the adapters say the same."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel
from tests.ai.adapters.families import body, request

from dragoman.ai.errors import ValidationError
from dragoman.ai.structured import JsonMode, JsonModeConfig

pytestmark = pytest.mark.requirement("AIP-91")


class Place(BaseModel):
    city: str
    country: str = "CH"


CLOSED = {
    "title": "Place",
    "type": "object",
    "properties": {"city": {"title": "City", "type": "string"}, "country": {"title": "Country", "type": "string"}},
    "required": ["city", "country"],
    "additionalProperties": False,
}
CONFIG = JsonModeConfig.from_pydantic(Place)
ANY = JsonModeConfig.json_object()
OFF = JsonModeConfig(JsonMode.OFF)

WIRES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "openai_chat": (
        "to_openai_format",
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "Place", "strict": True, "schema": CLOSED},
            }
        },
        {"response_format": {"type": "json_object"}},
    ),
    "openai_responses": (
        "to_responses_format",
        {"text": {"format": {"type": "json_schema", "name": "Place", "strict": True, "schema": CLOSED}}},
        {"text": {"format": {"type": "json_object"}}},
    ),
    "anthropic": ("to_anthropic_format", {"output_config": {"format": {"type": "json_schema", "schema": CLOSED}}}, {}),
    "gemini": (
        "to_gemini_format",
        {"generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": CLOSED}},
        {"generationConfig": {"responseMimeType": "application/json"}},
    ),
    "cohere_v2": (
        "to_cohere_format",
        {"response_format": {"type": "json_object", "json_schema": CLOSED}},
        {"response_format": {"type": "json_object"}},
    ),
    "ollama": ("to_ollama_format", {"format": CLOSED}, {"format": "json"}),
}
wires = pytest.mark.parametrize("wire", WIRES)


@wires
def test_a_schema_has_the_shape_of_each_wire(wire: str) -> None:
    method, schema, bare = WIRES[wire]
    assert getattr(CONFIG, method)() == schema
    assert getattr(ANY, method)() == bare
    assert getattr(OFF, method)() == {}


@wires
def test_the_adapters_send_what_the_configuration_shows(wire: str) -> None:
    method = WIRES[wire][0]
    for config in (CONFIG, ANY):
        assert body(wire, response_format=config) == {**body(wire), **getattr(config, method)()}
    assert body(wire, response_format=OFF) == body(wire, response_format="text")


def test_what_a_wire_cannot_say_is_dropped_with_a_word() -> None:
    assert request("anthropic", response_format=ANY).dropped == ("response_format",)


def test_a_schema_that_cannot_be_strict_goes_out_as_it_is_and_not_as_strict() -> None:
    schema = {"type": "object", "additionalProperties": {"type": "integer"}}
    sent = JsonModeConfig.from_schema(schema, "counts").to_openai_format()["response_format"]["json_schema"]
    assert sent == {"name": "counts", "strict": False, "schema": schema}
    loose = JsonModeConfig.from_pydantic(Place, strict=False)
    assert loose.to_ollama_format()["format"] == Place.model_json_schema()
    assert loose.to_openai_format()["response_format"]["json_schema"]["strict"] is False


def test_what_goes_out_is_a_copy() -> None:
    config = JsonModeConfig.from_schema({"type": "object", "additionalProperties": True})
    config.to_ollama_format()["format"]["type"] = "array"
    assert config.schema == {"type": "object", "additionalProperties": True}


def test_names_are_made_of_what_openai_takes() -> None:
    named = JsonModeConfig.from_schema({"type": "object"}, "List[Ort] für " + "x" * 80)
    name = named.to_openai_format()["response_format"]["json_schema"]["name"]
    assert (name[:14], len(name)) == ("List_Ort__f_r_", 64)


def test_the_mode_json_schema_needs_a_schema() -> None:
    with pytest.raises(ValidationError, match="needs a schema"):
        JsonModeConfig(JsonMode.JSON_SCHEMA)
    with pytest.raises(ValueError, match="xml"):
        JsonModeConfig("xml")  # type: ignore[arg-type]  # that is what is tried
    assert JsonModeConfig("json").mode is JsonMode.JSON  # type: ignore[arg-type]  # a word will do
