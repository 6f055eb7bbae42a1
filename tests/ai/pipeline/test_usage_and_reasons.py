"""Usage and reasons to stop under one set of names."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from tests.ai.pipeline.transcripts import manifest

from dragoman.ai.pipeline.reasons import STOP_REASONS, standard_reason
from dragoman.ai.pipeline.usage import merge_usage, normalise_usage


@pytest.mark.requirement("AIP-111")
@pytest.mark.parametrize(
    ("raw", "added"),
    [
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "total_tokens": 15,
                "prompt_tokens_details": {"cached_tokens": 4},
                "completion_tokens_details": {"reasoning_tokens": 3},
            },
            {"cache_read_tokens": 4, "reasoning_tokens": 3},
        ),
        (
            {"prompt_tokens": 10, "completion_tokens": 5, "prompt_cache_hit_tokens": 6},
            {"total_tokens": 15, "cache_read_tokens": 6},
        ),
        (
            {
                "input_tokens": 10,
                "output_tokens": 5,
                "total_tokens": 15,
                "input_tokens_details": {"cached_tokens": 4},
                "output_tokens_details": {"reasoning_tokens": 3},
            },
            {"prompt_tokens": 10, "completion_tokens": 5, "cache_read_tokens": 4, "reasoning_tokens": 3},
        ),
        (
            {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 2},
            {
                "prompt_tokens": 15,
                "completion_tokens": 5,
                "total_tokens": 20,
                "cache_read_tokens": 3,
                "cache_creation_tokens": 2,
            },
        ),
        (
            {
                "promptTokenCount": 10,
                "candidatesTokenCount": 5,
                "thoughtsTokenCount": 2,
                "cachedContentTokenCount": 4,
                "totalTokenCount": 17,
            },
            {
                "prompt_tokens": 10,
                "completion_tokens": 7,
                "total_tokens": 17,
                "reasoning_tokens": 2,
                "cache_read_tokens": 4,
            },
        ),
        (
            {"billed_units": {"input_tokens": 1}, "tokens": {"input_tokens": 10, "output_tokens": 5}},
            {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
        ),
        ({"prompt_eval_count": 10, "eval_count": 5}, {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}),
        ({"output_tokens": 5}, {"completion_tokens": 5}),
        ({"promptTokenCount": 10}, {"prompt_tokens": 10}),
        ({"something": "else", "prompt_tokens": True}, {}),
    ],
    ids=[
        "openai",
        "deepseek",
        "responses",
        "anthropic",
        "gemini",
        "cohere",
        "ollama",
        "half",
        "gemini half",
        "strange",
    ],
)
def test_standard_names_are_added_and_unknown_stays_absent(raw: dict[str, Any], added: dict[str, int]) -> None:
    assert normalise_usage(raw) == {**raw, **added}


@pytest.mark.requirement("AIP-111")
def test_nothing_is_nothing() -> None:
    assert normalise_usage(None) is None
    assert normalise_usage({}) is None
    assert merge_usage(None, None) is None
    assert merge_usage(None, {"a": 1}) == merge_usage({"a": 1}, None) == {"a": 1}


@pytest.mark.requirement("AIP-32", "AIP-111")
def test_two_reports_are_merged_and_never_added() -> None:
    begun = {"input_tokens": 10, "cache_read_input_tokens": 3, "output_tokens": 1}
    assert merge_usage(begun, {"output_tokens": 7}) == {**begun, "output_tokens": 7}
    assert merge_usage(begun, {"input_tokens": 0, "output_tokens": 7}) == {**begun, "output_tokens": 7}
    first = {"prompt_tokens": 10, "completion_tokens": 9, "total_tokens": 19}
    last = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    assert merge_usage(first, last) == last
    assert merge_usage({"tokens": {"input_tokens": 4}}, {"tokens": {"output_tokens": 2}}) == {
        "tokens": {"input_tokens": 4, "output_tokens": 2}
    }


@pytest.mark.requirement("AIP-32", "AIP-111")
@pytest.mark.parametrize(
    ("place", "word", "reason"),
    [
        ("v1/openai", "stop", "end_turn"),
        ("v1/openai", "length", "max_tokens"),
        ("v1/openai", "content_filter", "refusal"),
        ("v1/openai", "function_call", "tool_use"),
        ("v1/anthropic", "pause_turn", "pause_turn"),
        ("v1/anthropic", "model_context_window_exceeded", "max_tokens"),
        ("v2/anthropic", "refusal", "refusal"),
        ("v1/gemini", "STOP", "end_turn"),
        ("v1/gemini", "MALFORMED_FUNCTION_CALL", "other"),
        ("v2/gemini", "IMAGE_SAFETY", "refusal"),
        ("v1/cohere", "STOP_SEQUENCE", "stop_sequence"),
        ("v1/cohere", "ERROR", "other"),
        ("v2/cohere", "COMPLETE", "end_turn"),
        ("v2/cohere", "TIMEOUT", "other"),
        ("own/ollama", "load", "other"),
        ("own/openai-responses", "max_output_tokens", "max_tokens"),
        ("v1/openai", "never heard of", "other"),
    ],
)
def test_a_providers_word_becomes_a_standard_reason(place: str, word: str, reason: str) -> None:
    found = standard_reason(manifest(place), word, tool_calls=False)
    assert found == reason
    assert found in STOP_REASONS


@pytest.mark.requirement("AIP-32")
def test_calls_correct_an_end_of_turn_and_nothing_else() -> None:
    assert standard_reason(manifest("v1/gemini"), "STOP", tool_calls=True) == "tool_use"
    assert standard_reason(manifest("v1/gemini"), "MAX_TOKENS", tool_calls=True) == "max_tokens"
    assert standard_reason(manifest("v1/gemini"), None, tool_calls=False) is None


@pytest.mark.requirement("AIP-111")
def test_a_contract_speaks_openais_words_and_termination_beats_it() -> None:
    contract = SimpleNamespace(response_mapping={"finish_reason_mapping": {"FIN": "stop", "BAD": "content_filter"}})
    silent = SimpleNamespace(contract=contract, termination=None)
    assert standard_reason(silent, "FIN", tool_calls=False) == "end_turn"
    assert standard_reason(silent, "BAD", tool_calls=False) == "refusal"
    louder = SimpleNamespace(contract=contract, termination=SimpleNamespace(mapping={"FIN": "max_tokens"}))
    assert standard_reason(louder, "FIN", tool_calls=False) == "max_tokens"
