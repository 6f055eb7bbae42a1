"""What a call took, and its answer as values."""

from __future__ import annotations

import uuid

import pytest

from dragoman.ai.client import CallStats, ChatResponse
from dragoman.ai.pipeline.answer import Answer, Candidate
from dragoman.ai.types import ContentBlock, ToolCall


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.requirement("AIP-54")
def test_times_are_measured_on_the_clock_that_was_given() -> None:
    clock = Clock()
    stats = CallStats(clock=clock)
    assert uuid.UUID(stats.client_request_id).version == 4
    assert (stats.latency_ms, stats.time_to_first_token_ms, stats.retry_count) == (0, None, 0)
    clock.now += 0.25
    stats.record_first_token()
    clock.now += 0.25
    stats.record_first_token()
    stats.record_end()
    assert (stats.time_to_first_token_ms, stats.latency_ms) == (250, 500)


@pytest.mark.requirement("AIP-54")
def test_counts_come_from_usage_and_unknown_stays_unknown() -> None:
    stats = CallStats()
    stats.record_usage(None)
    assert (stats.prompt_tokens, stats.completion_tokens, stats.total_tokens, stats.cost) == (None,) * 4
    stats.record_usage({"prompt_tokens": 3, "completion_tokens": 4})
    assert (stats.input_tokens, stats.output_tokens, stats.total_tokens) == (3, 4, 7)
    stats.record_usage({"total_tokens": 9, "cost": 0.5, "prompt_tokens": None})
    assert (stats.prompt_tokens, stats.total_tokens, stats.cost) == (3, 9, 0.5)
    stats.record_usage({"cost": {"total_cost": 0.25}})
    assert stats.cost == 0.25


@pytest.mark.requirement("AIP-54")
def test_an_empty_response_has_the_documented_defaults() -> None:
    empty = ChatResponse()
    assert (empty.content, empty.tool_calls, empty.finish_reason, empty.usage, empty.model) == (
        "",
        [],
        None,
        None,
        None,
    )
    assert (empty.raw_response, empty.thinking, empty.has_tool_calls) == (None, None, False)
    names = ["prompt", "completion", "total", "input", "output", "reasoning", "cache_read", "cache_creation"]
    assert [getattr(empty, f"{name}_tokens") for name in names] == [None] * 8


@pytest.mark.requirement("AIP-54")
def test_a_response_shows_candidate_0_and_all_candidates() -> None:
    answer = Answer.of(
        [Candidate(1, "b"), Candidate(0, "a", "hm", stop_reason="end_turn", finish_reason="stop")],
        usage={
            "prompt_tokens": 1,
            "completion_tokens": 2,
            "total_tokens": 3,
            "reasoning_tokens": 1,
            "cache_read_tokens": 0,
        },
        model="m",
        raw={"x": 1},
    )
    response = ChatResponse.from_answer(answer, rate_limits={"requests_remaining": 4}, request_id="r1")
    assert (response.content, response.thinking, response.model) == ("a", "hm", "m")
    assert (response.finish_reason, response.stop_reason, response.raw_response) == ("stop", "end_turn", {"x": 1})
    assert [candidate.content for candidate in response.candidates] == ["a", "b"]
    assert (response.total_tokens, response.reasoning_tokens, response.cache_read_tokens) == (3, 1, 0)
    assert (response.rate_limits, response.request_id) == ({"requests_remaining": 4}, "r1")


@pytest.mark.requirement("AIP-55")
def test_to_message_keeps_text_thinking_with_its_signature_and_calls() -> None:
    call = ToolCall(id="c1", function_name="f", arguments={"a": 1}, signature="s2")
    block = ContentBlock.thinking("hm", signature="s1")
    redacted = ContentBlock.thinking(None, data="opaque")
    response = ChatResponse("Hi", [call], thinking="hm", thinking_blocks=[block, redacted])
    message = response.to_message()
    assert message.role == "assistant"
    assert message.content == [block, redacted, ContentBlock.text_block("Hi")]
    assert message.tool_calls == [call]
    assert ChatResponse("Hi").to_message().content == "Hi"
    assert ChatResponse("Hi").to_message().tool_calls is None
    assert ChatResponse("", thinking="hm").to_message().content == [ContentBlock.thinking("hm")]
