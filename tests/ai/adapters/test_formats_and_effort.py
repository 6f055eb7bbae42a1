"""Structured answers and reasoning effort on every wire: two rows of the parameter table of A9."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel
from tests.ai.adapters.families import SCHEMA, body, family, request

from dragoman.ai.errors import ValidationError
from dragoman.ai.protocol import ProtocolLoader

pytestmark = pytest.mark.requirement("AIP-18")

NAMED = {"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA, "strict": True}}
JSON = {"type": "json_object"}


@pytest.mark.parametrize(
    ("wire", "schema", "bare"),
    [
        ("openai_chat", {"response_format": NAMED}, {"response_format": JSON}),
        (
            "openai_responses",
            {"text": {"format": {"type": "json_schema", "name": "place", "schema": SCHEMA, "strict": True}}},
            {"text": {"format": JSON}},
        ),
        (
            "anthropic",  # which takes closed objects alone
            {"output_config": {"format": {"type": "json_schema", "schema": {**SCHEMA, "additionalProperties": False}}}},
            {},
        ),
        (
            "gemini",
            {"generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA}},
            {"generationConfig": {"responseMimeType": "application/json"}},
        ),
        (
            "cohere_v2",
            {"response_format": {"type": "json_object", "json_schema": SCHEMA}},
            {"response_format": JSON},
        ),
        ("ollama", {"format": SCHEMA}, {"format": "json"}),
    ],
)
def test_a_structured_answer_is_asked_for_in_the_words_of_the_wire(
    wire: str, schema: dict[str, Any], bare: dict[str, Any]
) -> None:
    assert body(wire, response_format=NAMED) == {**body(wire), **schema}
    assert body(wire, parameters={"response_format": NAMED}) == {**body(wire), **schema}
    assert body(wire, response_format=JSON) == {**body(wire), **bare}


class Place(BaseModel):
    city: str


class Written:
    """What later helpers offer: an object that writes itself in OpenAI's form."""

    def to_openai_format(self) -> dict[str, Any]:
        return NAMED


@pytest.mark.parametrize("value", [NAMED, SCHEMA, Place, Written(), {"type": "json_schema", "json_schema": SCHEMA}])
def test_a_schema_may_be_given_in_several_ways(value: Any) -> None:
    assert body("ollama", response_format=value)["format"]["properties"]["city"]["type"] == "string"


def test_words_for_json_and_text() -> None:
    assert body("ollama", response_format="json")["format"] == "json"
    assert body("ollama", response_format="text") == body("ollama")
    assert body("openai_chat", response_format={"type": "text"})["response_format"] == {"type": "text"}
    with pytest.raises(ValidationError, match="response_format"):
        body("ollama", response_format="xml")


def test_anthropic_has_no_json_without_a_schema() -> None:
    assert request("anthropic", response_format="json").dropped == ("response_format",)
    with pytest.raises(ValidationError, match="response_format"):
        request("anthropic", response_format="json", strict=True)


@pytest.mark.requirement("AIP-107")
def test_the_older_place_of_anthropics_format_needs_its_beta_header() -> None:
    manifest = family("anthropic", parameter_mappings={"response_format": "output_format"})
    sent = request(manifest, response_format=NAMED, headers={"anthropic-beta": "other-1"})
    assert sent.body["output_format"] == {"type": "json_schema", "schema": {**SCHEMA, "additionalProperties": False}}
    assert sent.headers["anthropic-beta"] == "structured-outputs-2025-11-13,other-1"


# ------------------------------------------------------------------------- effort


@pytest.mark.parametrize(
    ("wire", "effort", "cell"),
    [
        ("openai_chat", "high", {"reasoning_effort": "high"}),
        ("openai_chat", "none", {"reasoning_effort": "none"}),
        ("openai_responses", "high", {"reasoning": {"effort": "high"}}),
        ("openai_responses", {"effort": "low", "summary": "auto"}, {"reasoning": {"effort": "low", "summary": "auto"}}),
        ("anthropic", "high", {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}),
        ("anthropic", "minimal", {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}),
        ("anthropic", True, {"thinking": {"type": "adaptive"}}),
        ("anthropic", "none", {"thinking": {"type": "disabled"}}),
        ("anthropic", 2000, {"thinking": {"type": "enabled", "budget_tokens": 2000}, "max_tokens": 6096}),
        ("gemini", "low", {"generationConfig": {"thinkingConfig": {"includeThoughts": True, "thinkingBudget": 1024}}}),
        ("gemini", 99, {"generationConfig": {"thinkingConfig": {"includeThoughts": True, "thinkingBudget": 99}}}),
        ("gemini", "none", {"generationConfig": {"thinkingConfig": {"includeThoughts": False, "thinkingBudget": 0}}}),
        ("cohere_v2", "high", {"thinking": {"type": "enabled"}}),
        ("cohere_v2", 300, {"thinking": {"type": "enabled", "token_budget": 300}}),
        ("cohere_v2", "none", {"thinking": {"type": "disabled"}}),
        ("ollama", "high", {"think": True}),
        ("ollama", "none", {"think": False}),
    ],
)
def test_effort_is_asked_for_in_the_words_of_the_wire(wire: str, effort: Any, cell: dict[str, Any]) -> None:
    assert body(wire, reasoning_effort=effort) == {**body(wire), **cell}
    assert body(wire, parameters={"reasoning_effort": effort}) == {**body(wire), **cell}


@pytest.mark.parametrize("wire", ["openai_chat", "openai_responses"])
def test_a_budget_cannot_be_said_where_effort_is_a_word(wire: str) -> None:
    assert request(wire, reasoning_effort=2000).dropped == ("reasoning_effort",)
    with pytest.raises(ValidationError, match="reasoning_effort"):
        request(wire, reasoning_effort=2000, strict=True)


def _model(*options: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"models": {"m-1": {"max_output_tokens": 9000, "reasoning_options": list(options)}}}}


@pytest.mark.requirement("AIP-107", "AIP-108", "AIP-109")
def test_facts_of_the_model_decide_between_older_and_newer_ways() -> None:
    budget, effort = {"type": "budget_tokens"}, {"type": "effort", "values": ["low", "high"]}
    older = body(family("anthropic", **_model(budget)), reasoning_effort="medium")
    assert older["thinking"] == {"type": "enabled", "budget_tokens": 4500}  # room is left for the answer
    assert older["max_tokens"] == 4500 + 4096
    bounded = body(family("anthropic", **_model(budget)), parameters={"max_tokens": 3000}, reasoning_effort="high")
    assert (bounded["thinking"]["budget_tokens"], bounded["max_tokens"]) == (1500, 3000)
    told = body(family("anthropic", **_model(budget)), reasoning_effort=9999)
    assert (told["thinking"]["budget_tokens"], told["max_tokens"]) == (9999, 9999 + 4096)
    assert "output_config" not in older
    both = body(family("anthropic", **_model(budget, effort)), reasoning_effort="medium")
    assert both["output_config"] == {"effort": "medium"}
    levels = body(family("gemini", **_model(effort)), reasoning_effort="high")
    assert levels["generationConfig"]["thinkingConfig"] == {"includeThoughts": True, "thinkingLevel": "high"}
    assert body(family("ollama", **_model(effort)), reasoning_effort="high")["think"] == "high"


@pytest.mark.requirement("AIP-107", "AIP-112")
def test_models_that_come_along_are_asked_to_think_in_their_own_way() -> None:
    manifest = ProtocolLoader().load_provider_sync("anthropic")
    older = body(manifest, model="claude-sonnet-4-5", reasoning_effort="high")
    assert older["thinking"]["type"] == "enabled"
    assert older["max_tokens"] - older["thinking"]["budget_tokens"] >= 4096
    newer = body(manifest, model="claude-opus-4-6", reasoning_effort="high")
    assert (newer["thinking"], newer["output_config"]) == ({"type": "adaptive"}, {"effort": "high"})


@pytest.mark.requirement("AIP-107")
def test_a_thinking_model_of_anthropic_has_temperature_one_and_room_to_answer() -> None:
    sent = request("anthropic", parameters={"temperature": 0.2}, reasoning_effort="low")
    assert "temperature" not in sent.body
    assert sent.dropped == ("temperature",)
    assert body("anthropic", parameters={"temperature": 1}, reasoning_effort="low")["temperature"] == 1
    assert body("anthropic", parameters={"temperature": 0.2}, reasoning_effort="none")["temperature"] == 0.2
    with pytest.raises(ValidationError, match="larger than the 2000 tokens"):
        request("anthropic", parameters={"max_tokens": 2000}, reasoning_effort=2000)
    assert body("anthropic", parameters={"max_tokens": 2001}, reasoning_effort=2000)["max_tokens"] == 2001


def test_a_mapped_effort_goes_where_the_manifest_says() -> None:
    for wire in ("openai_chat", "anthropic", "gemini", "cohere_v2"):
        manifest = family(wire, parameter_mappings={"reasoning_effort": "deep.thought"})
        assert body(manifest, reasoning_effort="high")["deep"] == {"thought": "high"}


def test_effort_must_be_one_of_the_known_shapes() -> None:
    for wrong in (1.5, ["high"], {"effort": 4}):
        with pytest.raises(ValidationError, match="reasoning_effort"):
            body("openai_chat", reasoning_effort=wrong)
