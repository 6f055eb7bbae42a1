"""Plain answers of every wire: text, thinking, calls, reasons and usage; and bodies that are none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.ai.adapters.families import FAMILIES, family, published

from dragoman.ai.adapters import parse_answer
from dragoman.ai.errors import ErrorClass, PipelineError, RemoteError

pytestmark = pytest.mark.requirement("AIP-36")

BODIES: dict[str, dict[str, Any]] = {
    "openai_chat": {
        "id": "r1",
        "model": "m-1-2026",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "I look.",
                    "reasoning_content": "Hm.",
                    "tool_calls": [
                        {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Ulm"}'}}
                    ],
                },
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "total_tokens": 15,
            "completion_tokens_details": {"reasoning_tokens": 3},
        },
    },
    "openai_responses": {
        "id": "r1",
        "model": "m-1-2026",
        "status": "completed",
        "error": None,
        "output": [
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [{"type": "summary_text", "text": "Hm."}],
                "encrypted_content": "sealed",
            },
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
            {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "weather", "arguments": '{"city":"Ulm"}'},
        ],
        "usage": {
            "input_tokens": 10,
            "output_tokens": 5,
            "total_tokens": 15,
            "output_tokens_details": {"reasoning_tokens": 3},
        },
    },
    "anthropic": {
        "id": "r1",
        "type": "message",
        "model": "m-1-2026",
        "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": "sealed"},
            {"type": "text", "text": "I "},
            {"type": "text", "text": "look."},
            {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Ulm"}},
        ],
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 7, "cache_read_input_tokens": 3, "output_tokens": 5},
    },
    "gemini": {
        "responseId": "r1",
        "modelVersion": "m-1-2026",
        "candidates": [
            {
                "content": {
                    "role": "model",
                    "parts": [
                        {"text": "Hm.", "thought": True, "thoughtSignature": "sealed"},
                        {"text": "I "},
                        {"text": "look."},
                        {
                            "functionCall": {"id": "c1", "name": "weather", "args": {"city": "Ulm"}},
                            "thoughtSignature": "mark",
                        },
                    ],
                },
                "finishReason": "STOP",
                "index": 0,
            }
        ],
        "usageMetadata": {
            "promptTokenCount": 10,
            "candidatesTokenCount": 2,
            "thoughtsTokenCount": 3,
            "totalTokenCount": 15,
        },
    },
    "cohere_v2": {
        "id": "r1",
        "model": "m-1-2026",
        "finish_reason": "TOOL_CALL",
        "message": {
            "role": "assistant",
            "content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "I look."}],
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Ulm"}'}}
            ],
        },
        "usage": {"billed_units": {"input_tokens": 1}, "tokens": {"input_tokens": 10, "output_tokens": 5}},
    },
    "ollama": {
        "id": "r1",
        "model": "m-1-2026",
        "message": {
            "role": "assistant",
            "content": "I look.",
            "thinking": "Hm.",
            "tool_calls": [{"id": "c1", "function": {"name": "weather", "arguments": {"city": "Ulm"}}}],
        },
        "done": True,
        "done_reason": "stop",
        "prompt_eval_count": 10,
        "eval_count": 5,
        "total_duration": 123,
    },
}
WORDS = {
    "openai_chat": "tool_calls",
    "openai_responses": "completed",
    "anthropic": "tool_use",
    "gemini": "STOP",
    "cohere_v2": "TOOL_CALL",
    "ollama": "stop",
}


@pytest.mark.requirement("AIP-105", "AIP-106", "AIP-107", "AIP-108", "AIP-109", "AIP-110", "AIP-111")
@pytest.mark.parametrize("wire", FAMILIES)
def test_the_same_answer_reads_the_same_from_every_wire(wire: str) -> None:
    answer = parse_answer(family(wire), BODIES[wire])
    assert answer.content == "I look."
    assert answer.thinking == "Hm."
    (call,) = answer.tool_calls
    assert (call.id, call.function_name, call.arguments) == ("c1", "weather", {"city": "Ulm"})
    assert (answer.finish_reason, answer.stop_reason) == (WORDS[wire], "tool_use")
    assert answer.model == "m-1-2026"
    assert answer.extras["id"] == "r1"
    assert answer.usage is not None
    assert answer.usage["prompt_tokens"] == 10
    assert answer.usage["completion_tokens"] == 5
    assert answer.usage["total_tokens"] == 15
    assert answer.raw == BODIES[wire]
    assert [one.index for one in answer.candidates] == [0]


@pytest.mark.parametrize("wire", FAMILIES)
def test_an_answer_may_come_as_bytes_or_text(wire: str) -> None:
    text = json.dumps(BODIES[wire])
    assert parse_answer(family(wire), text).content == "I look."
    assert parse_answer(family(wire), text.encode()).content == "I look."


@pytest.mark.requirement("AIP-21")
def test_signatures_are_kept_with_what_they_sign() -> None:
    answer = parse_answer(family("anthropic"), BODIES["anthropic"])
    assert [(block.text, block.signature) for block in answer.thinking_blocks] == [("Hm.", "sealed")]
    answer = parse_answer(family("gemini"), BODIES["gemini"])
    assert [block.signature for block in answer.thinking_blocks] == ["sealed"]
    assert answer.tool_calls[0].signature == "mark"
    answer = parse_answer(family("openai_responses"), BODIES["openai_responses"])
    assert [(block.id, block.data) for block in answer.thinking_blocks] == [("rs_1", "sealed")]


def test_redacted_thinking_is_kept_without_text() -> None:
    content = [{"type": "redacted_thinking", "data": "xyz"}, {"type": "text", "text": "Hi"}]
    answer = parse_answer(family("anthropic"), {"content": content, "stop_reason": "end_turn"})
    assert (answer.content, answer.thinking) == ("Hi", "")
    assert answer.thinking_blocks[0].data == "xyz"


# ------------------------------------------------------------------------- reasons


@pytest.mark.requirement("AIP-111")
@pytest.mark.parametrize(
    ("wire", "change", "word", "standard"),
    [
        ("openai_chat", {"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}]}, "stop", "end_turn"),
        (
            "openai_chat",
            {"choices": [{"message": {"content": "x"}, "finish_reason": "length"}]},
            "length",
            "max_tokens",
        ),
        ("openai_chat", {"choices": [{"message": {"content": "x"}, "finish_reason": ""}]}, None, None),
        (
            "openai_responses",
            {"output": [], "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            "max_output_tokens",
            "max_tokens",
        ),
        (
            "openai_responses",
            {"output": [], "status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
            "content_filter",
            "refusal",
        ),
        (
            "anthropic",
            {"content": [], "stop_reason": "model_context_window_exceeded"},
            "model_context_window_exceeded",
            "max_tokens",
        ),
        ("anthropic", {"content": [], "stop_reason": "pause_turn"}, "pause_turn", "pause_turn"),
        ("gemini", {"candidates": [{"finishReason": "SAFETY"}]}, "SAFETY", "refusal"),
        ("cohere_v2", {"message": {"content": []}, "finish_reason": "COMPLETE"}, "COMPLETE", "end_turn"),
        ("ollama", {"message": {"content": ""}, "done_reason": "length"}, "length", "max_tokens"),
    ],
)
def test_reasons_keep_the_providers_word_and_gain_the_standard_one(
    wire: str, change: dict[str, Any], word: str | None, standard: str | None
) -> None:
    answer = parse_answer(family(wire), change)
    assert (answer.finish_reason, answer.stop_reason) == (word, standard)


def test_a_manifests_own_words_decide() -> None:
    manifest = family("openai_chat", termination={"mapping": {"fertig": "max_tokens"}})
    answer = parse_answer(manifest, {"choices": [{"message": {"content": "x"}, "finish_reason": "fertig"}]})
    assert answer.stop_reason == "max_tokens"


@pytest.mark.parametrize(
    ("wire", "change", "text"),
    [
        (
            "openai_chat",
            {"choices": [{"message": {"content": None, "refusal": "I cannot."}, "finish_reason": "stop"}]},
            "I cannot.",
        ),
        (
            "openai_responses",
            {
                "status": "completed",
                "output": [{"type": "message", "content": [{"type": "refusal", "refusal": "I cannot."}]}],
            },
            "I cannot.",
        ),
        ("gemini", {"promptFeedback": {"blockReason": "SAFETY"}}, ""),
    ],
)
def test_a_refusal_is_content_with_its_own_reason(wire: str, change: dict[str, Any], text: str) -> None:
    answer = parse_answer(family(wire), change)
    assert (answer.content, answer.stop_reason) == (text, "refusal")


# ------------------------------------------------------------------------- several candidates, odd shapes


def test_several_candidates_are_kept_apart_and_the_first_is_shown() -> None:
    choices = [
        {"index": 1, "message": {"content": "B"}, "finish_reason": "length"},
        {"index": 0, "message": {"content": "A"}, "finish_reason": "stop"},
    ]
    answer = parse_answer(family("openai_chat"), {"choices": choices})
    assert answer.content == "A"
    assert [(one.index, one.content, one.stop_reason) for one in answer.candidates] == [
        (0, "A", "end_turn"),
        (1, "B", "max_tokens"),
    ]
    parts = [{"content": {"parts": [{"text": text}]}, "finishReason": "STOP"} for text in "AB"]
    answer = parse_answer(family("gemini"), {"candidates": parts})
    assert [one.content for one in answer.candidates] == ["A", "B"]


@pytest.mark.requirement("AIP-105")
def test_variants_of_chat_completions_are_read() -> None:
    def read(message: dict[str, Any], **more: Any) -> Any:
        return parse_answer(family("openai_chat"), {"choices": [{"message": message}], **more})

    blocks = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]},
        {"type": "text", "text": "A"},
        {"type": "text", "text": "B"},
    ]
    assert (read({"content": blocks}).content, read({"content": blocks}).thinking) == ("AB", "Hm")
    assert read({"content": "x", "reasoning": "", "thought": "T"}).thinking == "T"
    without_id = read({"content": None, "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]})
    assert without_id.tool_calls[0].id.startswith("call_")
    assert without_id.tool_calls[0].arguments == {"a": 1}
    assert read({"function_call": {"name": "f", "arguments": "{}"}}).tool_calls[0].function_name == "f"
    assert read({"content": "x"}, x_groq={"usage": {"prompt_tokens": 3}}).usage == {"prompt_tokens": 3}
    call = {"id": "c", "extra_content": {"google": {"thought_signature": "s"}}, "function": {"name": "f"}}
    assert read({"tool_calls": [call]}).tool_calls[0].signature == "s"


def test_arguments_that_are_no_json_are_kept_as_text() -> None:
    call = {"id": "c", "function": {"name": "f", "arguments": '{"a": '}}
    answer = parse_answer(family("openai_chat"), {"choices": [{"message": {"tool_calls": [call]}}]})
    assert answer.tool_calls[0].arguments == {}
    assert answer.tool_calls[0].arguments_raw == '{"a": '
    assert answer.tool_calls[0].parse_error


def test_content_is_never_filled_from_thinking() -> None:
    choice = {"message": {"content": "", "reasoning_content": "Only thoughts"}, "finish_reason": "stop"}
    answer = parse_answer(family("openai_chat"), {"choices": [choice]})
    assert (answer.content, answer.thinking) == ("", "Only thoughts")


@pytest.mark.requirement("AIP-110")
def test_the_plan_of_cohere_is_thinking() -> None:
    answer = parse_answer(published("v1/providers/cohere"), {"message": {"tool_plan": "I look.", "content": None}})
    assert (answer.content, answer.thinking) == ("", "I look.")


@pytest.mark.requirement("AIP-110")
def test_outdated_paths_of_the_cohere_manifest_do_no_harm() -> None:
    answer = parse_answer(published("v1/providers/cohere"), BODIES["cohere_v2"])
    assert answer.tool_calls[0].arguments == {"city": "Ulm"}
    answer = parse_answer(published("v1/providers/anthropic"), BODIES["anthropic"])
    assert answer.tool_calls[0].arguments == {"city": "Ulm"}


@pytest.mark.parametrize("wire", FAMILIES)
def test_unknown_usage_stays_unknown(wire: str) -> None:
    silent = {key: value for key, value in BODIES[wire].items() if "usage" not in key and "count" not in key}
    silent.pop("total_duration", None)
    assert parse_answer(family(wire), silent).usage is None


# ------------------------------------------------------------------------- what is no answer


@pytest.mark.requirement("AIP-115")
@pytest.mark.parametrize("wire", FAMILIES)
@pytest.mark.parametrize(
    "nothing", [b"<html>Bad gateway</html>", "", b"\xff\xfe", "[]", "4", "null", "{}", '{"choices": []}', "[[1]]"]
)
def test_what_is_no_answer_says_what_came_instead(wire: str, nothing: str | bytes) -> None:
    with pytest.raises(PipelineError, match="status 200, content type text/html"):
        parse_answer(family(wire), nothing, status=200, content_type="text/html")


def test_no_more_than_200_characters_are_shown() -> None:
    with pytest.raises(PipelineError) as caught:
        parse_answer(family("openai_chat"), "x" * 5000, status=200, content_type="text/plain")
    assert "x" * 200 in str(caught.value)
    assert "x" * 201 not in str(caught.value)


@pytest.mark.requirement("AIP-33", "AIP-37")
@pytest.mark.parametrize(
    ("wire", "error", "kind"),
    [
        ("openai_chat", {"error": {"message": "no quota", "code": "insufficient_quota"}}, ErrorClass.QUOTA_EXHAUSTED),
        ("openai_chat", {"error": {"message": "late", "code": 503}}, ErrorClass.OVERLOADED),
        (
            "openai_responses",
            {"status": "failed", "error": {"code": "server_error", "message": "x"}, "output": []},
            None,
        ),
        (
            "anthropic",
            {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}},
            ErrorClass.OVERLOADED,
        ),
        ("gemini", [{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "slow"}}], None),
        ("ollama", {"error": "model 'x' not found"}, None),
        ("cohere_v2", {"message": "invalid api token"}, None),
    ],
)
def test_an_error_in_an_answer_of_status_200_is_an_error(wire: str, error: Any, kind: ErrorClass | None) -> None:
    with pytest.raises(RemoteError) as caught:
        parse_answer(family(wire), error, status=200)
    if kind is not None:
        assert caught.value.error_class == kind


def test_the_manifest_classifies_such_an_error() -> None:
    manifest = published("v1/providers/ollama")
    with pytest.raises(RemoteError) as caught:
        parse_answer(manifest, {"error": "model 'x' not found"})
    assert caught.value.error_class == ErrorClass.NOT_FOUND
