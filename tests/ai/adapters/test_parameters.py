"""Standard parameters on every wire: the table of section A9, cell by cell, and the rules around it."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from tests.ai.adapters.families import FAMILIES, body, family, published, request

from dragoman.ai.adapters import ChatCall, build_chat, native_candidates
from dragoman.ai.errors import ValidationError
from dragoman.ai.types import Message

pytestmark = pytest.mark.requirement("AIP-18")

NOTHING: dict[str, Any] = {}
ROWS: list[tuple[str, Any, list[dict[str, Any] | None]]] = [
    # standard name, value, then openai_chat, openai_responses, anthropic, gemini, cohere_v2, ollama; None: no such thing
    (
        "max_tokens",
        9,
        [
            {"max_tokens": 9},
            {"max_output_tokens": 9},
            {"max_tokens": 9},
            {"generationConfig": {"maxOutputTokens": 9}},
            {"max_tokens": 9},
            {"options": {"num_predict": 9}},
        ],
    ),
    (
        "temperature",
        0.5,
        [
            {"temperature": 0.5},
            {"temperature": 0.5},
            {"temperature": 0.5},
            {"generationConfig": {"temperature": 0.5}},
            {"temperature": 0.5},
            {"options": {"temperature": 0.5}},
        ],
    ),
    (
        "top_p",
        0.9,
        [
            {"top_p": 0.9},
            {"top_p": 0.9},
            {"top_p": 0.9},
            {"generationConfig": {"topP": 0.9}},
            {"p": 0.9},
            {"options": {"top_p": 0.9}},
        ],
    ),
    (
        "top_k",
        40,
        [
            None,
            None,
            {"top_k": 40},
            {"generationConfig": {"topK": 40}},
            {"k": 40},
            {"options": {"top_k": 40}},
        ],
    ),
    (
        "stop_sequences",
        ["END"],
        [
            {"stop": ["END"]},
            None,
            {"stop_sequences": ["END"]},
            {"generationConfig": {"stopSequences": ["END"]}},
            {"stop_sequences": ["END"]},
            {"options": {"stop": ["END"]}},
        ],
    ),
    (
        "seed",
        4,
        [{"seed": 4}, None, None, {"generationConfig": {"seed": 4}}, {"seed": 4}, {"options": {"seed": 4}}],
    ),
    (
        "frequency_penalty",
        0.1,
        [
            {"frequency_penalty": 0.1},
            None,
            None,
            {"generationConfig": {"frequencyPenalty": 0.1}},
            {"frequency_penalty": 0.1},
            {"options": {"frequency_penalty": 0.1}},
        ],
    ),
    (
        "presence_penalty",
        0.1,
        [
            {"presence_penalty": 0.1},
            None,
            None,
            {"generationConfig": {"presencePenalty": 0.1}},
            {"presence_penalty": 0.1},
            {"options": {"presence_penalty": 0.1}},
        ],
    ),
    (
        "logprobs",
        True,
        [
            {"logprobs": True},
            None,
            None,
            {"generationConfig": {"responseLogprobs": True}},
            {"logprobs": True},
            {"logprobs": True},
        ],
    ),
    (
        "top_logprobs",
        3,
        [
            {"top_logprobs": 3},
            {"top_logprobs": 3},
            None,
            {"generationConfig": {"logprobs": 3}},
            None,
            {"top_logprobs": 3},
        ],
    ),
]
CELLS = [
    pytest.param(wire, name, value, cell, id=f"{name}-{wire}")
    for name, value, cells in ROWS
    for wire, cell in zip(FAMILIES, cells, strict=True)
]


@pytest.mark.parametrize(("wire", "name", "value", "cell"), CELLS)
def test_a_standard_parameter_stands_where_its_wire_wants_it(
    wire: str, name: str, value: Any, cell: dict[str, Any] | None
) -> None:
    without, sent = request(wire), request(wire, parameters={name: value})
    expected = {**without.body, **(cell or {})}
    assert sent.body == expected
    assert sent.dropped == (() if cell else (name,))


@pytest.mark.parametrize(("wire", "name", "value", "cell"), [cell for cell in CELLS if cell.values[3] is None])
def test_a_parameter_that_a_wire_lacks_is_an_error_when_strict(wire: str, name: str, value: Any, cell: None) -> None:
    with pytest.raises(ValidationError, match=name):
        request(wire, parameters={name: value}, strict=True)


@pytest.mark.parametrize(
    ("wire", "streaming", "plain"),
    [
        ("openai_chat", {"stream": True}, NOTHING),
        ("openai_responses", {"stream": True}, NOTHING),
        ("anthropic", {"stream": True}, NOTHING),
        ("gemini", NOTHING, NOTHING),
        ("cohere_v2", {"stream": True}, NOTHING),
        ("ollama", {"stream": True}, {"stream": False}),
    ],
)
def test_streaming_is_asked_for_in_the_words_of_the_wire(
    wire: str, streaming: dict[str, Any], plain: dict[str, Any]
) -> None:
    found = body(wire, stream=True)
    assert {key: value for key, value in found.items() if key == "stream"} == streaming
    found = body(wire)
    assert {key: value for key, value in found.items() if key == "stream"} == plain


@pytest.mark.parametrize(
    ("wire", "cell"),
    [
        ("openai_chat", {"n": 3}),
        ("openai_responses", None),
        ("anthropic", None),
        ("gemini", {"generationConfig": {"candidateCount": 3}}),
        ("cohere_v2", None),
        ("ollama", None),
    ],
)
def test_several_candidates_are_asked_for_where_the_wire_can(wire: str, cell: dict[str, Any] | None) -> None:
    assert native_candidates(family(wire)) is (cell is not None)
    assert body(wire, n=3) == {**body(wire), **(cell or {})}


def test_the_manifest_says_how_candidates_are_asked_for() -> None:
    said = {"multi_candidate": {"support_type": "native", "param_name": "options.answers"}}
    assert body(family("openai_chat", features=said), n=2)["options"] == {"answers": 2}
    simulated = family("openai_chat", features={"multi_candidate": {"support_type": "simulated"}})
    assert not native_candidates(simulated)
    assert "n" not in body(simulated, n=2)
    assert body(published("v1/providers/gemini"), n=2)["generationConfig"] == {"candidateCount": 2}


# ------------------------------------------------------------------------- names of the manifest


def test_parameter_mappings_rename_and_nest() -> None:
    manifest = family("openai_chat", parameter_mappings={"temperature": "settings.heat", "top_k": "settings.k"})
    assert body(manifest, parameters={"temperature": 1, "top_k": 2})["settings"] == {"heat": 1, "k": 2}


def test_an_alias_of_v2_names_the_providers_parameter() -> None:
    manifest = family("openai_chat", parameters={"heat": {"type": "float", "alias": "temperature"}})
    assert body(manifest, parameters={"temperature": 1})["heat"] == 1


def test_a_contract_may_alias_parameters() -> None:
    contract = {"request_mapping": {"parameter_aliases": {"max_tokens": "limits.out"}}}
    manifest = family("openai_chat", provider_contract={"api_style": "openai_compatible", **contract})
    assert body(manifest, parameters={"max_tokens": 3})["limits"] == {"out": 3}


def test_settings_of_gemini_are_nested_even_when_the_manifest_forgets_it() -> None:
    for name in ("v1/providers/gemini", "v2/providers/gemini"):
        given = {"temperature": 0.1, "top_p": 0.2, "top_k": 3, "max_tokens": 4, "stop_sequences": ["x"]}
        assert body(published(name), parameters=given)["generationConfig"] == {
            "temperature": 0.1,
            "topP": 0.2,
            "topK": 3,
            "maxOutputTokens": 4,
            "stopSequences": ["x"],
        }


def test_a_seed_goes_under_the_name_that_the_manifest_lists() -> None:
    assert body(published("v1/providers/mistral"), parameters={"seed": 7})["random_seed"] == 7


def test_other_parameters_go_to_the_top_level_verbatim_and_objects_merge() -> None:
    found = body(
        "ollama",
        parameters={"temperature": 1, "keep_alive": "5m"},
        extra={"options": {"num_ctx": 8192}, "nothing": None},
    )
    assert found["options"] == {"temperature": 1, "num_ctx": 8192}
    assert found["keep_alive"] == "5m"
    assert "nothing" not in found


def test_none_is_not_sent() -> None:
    assert body("openai_chat", parameters={"temperature": None, "seed": None}) == body("openai_chat")


# ------------------------------------------------------------------------- bounds and required values


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("temperature", 2.5, "0 to 2"),
        ("temperature", -1, "0 to 2"),
        ("temperature", float("nan"), "0 to 2"),
        ("max_tokens", 0, "at least 1"),
        ("max_tokens", "many", "an integer"),
        ("max_tokens", 1.5, "an integer"),
        ("max_tokens", True, "an integer"),
        ("heat", 10, "at most 9"),
        ("reasoning_effort", "huge", r"one of \['low', 'high'\]"),
    ],
)
def test_a_value_out_of_bounds_is_refused_before_sending(name: str, value: Any, expected: str) -> None:
    rules = {
        "temperature": {"type": "float", "range": [0, 2], "default": 1},
        "maxTokens": {"type": "integer", "min": 1, "alias": "max_tokens"},
        "heat": {"max": 9},
        "reasoning_effort": {"type": "string", "enum": ["low", "high"]},
    }
    manifest = family("openai_chat", parameters=rules)
    with pytest.raises(ValidationError, match=expected) as caught:
        request(manifest, parameters={name: value})
    assert caught.value.field == name
    assert caught.value.expected
    assert caught.value.actual == repr(value)


def test_bounds_hold_for_what_is_given_verbatim_too() -> None:
    manifest = family("openai_chat", parameters={"heat": {"max": 9}})
    with pytest.raises(ValidationError, match="heat"):
        request(manifest, extra={"heat": 10})
    assert body(manifest, extra={"heat": 9})["heat"] == 9


def test_defaults_are_facts_and_not_sent() -> None:
    manifest = family("openai_chat", parameters={"temperature": {"range": [0, 2], "default": 1}})
    assert "temperature" not in body(manifest)
    assert "temperature" not in body(published("v2/providers/openai"))


def test_a_required_parameter_takes_its_default_then_that_of_the_adapter() -> None:
    rules = {"max_tokens": {"type": "integer", "required": True, "default": 100}}
    assert body(family("anthropic", parameters=rules))["max_tokens"] == 100
    assert body(published("v2/providers/anthropic"))["max_tokens"] == 4096
    assert body("anthropic")["max_tokens"] == 4096
    bounded = {"max_tokens": {"type": "integer", "required": True, "max": 2048}}
    assert body(family("anthropic", parameters=bounded))["max_tokens"] == 2048


def test_a_required_parameter_without_any_value_is_an_error() -> None:
    manifest = family("openai_chat", parameters={"zone": {"type": "string", "required": True}})
    with pytest.raises(ValidationError, match="'zone' is required"):
        request(manifest)
    assert body(manifest, extra={"zone": "eu"})["zone"] == "eu"
    assert body(manifest, parameters={"zone": "eu"})["zone"] == "eu"


def test_what_is_left_out_is_warned_of_once_per_client(caplog: pytest.LogCaptureFixture) -> None:
    warned: set[str] = set()
    call = ChatCall("m", [Message.user("Hi")], parameters={"top_k": 4}, warned=warned)
    with caplog.at_level(logging.WARNING, "dragoman.ai.adapters"):
        build_chat(family("openai_chat"), call)
        build_chat(family("openai_chat"), call)
    assert len([record for record in caplog.records if "top_k" in record.getMessage()]) == 1


# ------------------------------------------------------------------------- reasoning models


@pytest.mark.requirement("AIP-105")
def test_reasoning_models_count_their_completion() -> None:
    manifest = published("v2/providers/openai")
    assert body(manifest, model="o3", parameters={"max_tokens": 5})["max_completion_tokens"] == 5
    assert "max_tokens" not in body(manifest, model="o3", parameters={"max_tokens": 5})
    assert body(manifest, model="gpt-4o", parameters={"max_tokens": 5})["max_tokens"] == 5
    assert body(manifest, model="o3", extra={"max_tokens": 5})["max_tokens"] == 5


@pytest.mark.requirement("AIP-105")
def test_usage_of_a_stream_is_asked_for_only_where_the_manifest_says_so() -> None:
    asked = {"include_usage": True}
    assert body(published("v2/providers/openai"), stream=True)["stream_options"] == asked
    assert body(published("v1/providers/openai"), stream=True)["stream_options"] == asked
    assert "stream_options" not in body(published("v1/providers/openai"))
    assert "stream_options" not in body(published("v2/providers/mistral"), stream=True)
    assert "stream_options" not in body("openai_chat", stream=True)
    own = {"stream_options": {"include_usage": False}}
    assert body(published("v2/providers/openai"), stream=True, extra=own)["stream_options"] == own["stream_options"]


def test_one_stop_sequence_may_be_given_as_text() -> None:
    assert body("anthropic", parameters={"stop_sequences": "END"})["stop_sequences"] == ["END"]


def test_the_number_of_candidates_may_be_a_parameter() -> None:
    assert body("openai_chat", parameters={"n": 2})["n"] == 2
    for wrong in (0, "two", True):
        with pytest.raises(ValidationError, match="n must be"):
            body("openai_chat", parameters={"n": wrong})


def test_the_word_of_an_effort_is_held_to_the_listed_ones() -> None:
    rules = {"reasoning_effort": {"type": "string", "enum": ["low", "high"]}}
    manifest = family("openai_chat", parameters=rules)
    assert body(manifest, reasoning_effort={"effort": "low"})["reasoning_effort"] == "low"
    for wrong in ("huge", "none", {"effort": "huge"}):
        with pytest.raises(ValidationError, match="one of"):
            body(manifest, reasoning_effort=wrong)
