"""Answers and events as JSON and back."""

from __future__ import annotations

import json

import pytest

from dragoman.ai.cache import answer_from_json, answer_to_json, events_from_json, events_to_json
from dragoman.ai.cache.codec import is_complete
from dragoman.ai.client import ChatResponse
from dragoman.ai.pipeline.answer import Answer, Candidate
from dragoman.ai.types import ContentBlock, StreamingEvent, ToolCall

pytestmark = pytest.mark.requirement("AIP-85")

CALL = ToolCall(id="c1", function_name="add", arguments={"a": 1}, arguments_raw='{"a": 1}', signature="s")


def answer() -> ChatResponse:
    first = Candidate(
        0,
        "Hi",
        "hm",
        [ContentBlock.thinking("hm", "sig")],
        [CALL],
        "stop",
        "end_turn",
        signature="text-sig",
        family="gemini",
    )
    made = Answer.of(
        [first, Candidate(1, "Ho")], usage={"prompt_tokens": 3}, model="m-1", raw={"id": "r"}, extras={"id": "r"}
    )
    return ChatResponse.from_answer(made, rate_limits={"requests_remaining": 1}, request_id="r")


def test_an_answer_comes_back_with_all_that_may_be_asked_of_it() -> None:
    made = answer()
    back = answer_from_json(json.loads(json.dumps(answer_to_json(made))))
    assert back.to_message() == made.to_message()
    assert back.candidates == made.candidates
    assert (back.tool_calls, back.usage, back.raw_response) == (made.tool_calls, made.usage, made.raw_response)
    assert (back.thinking, back.stop_reason, back.model) == (made.thinking, made.stop_reason, made.model)


def test_what_belongs_to_one_exchange_does_not_come_back() -> None:
    back = answer_from_json(answer_to_json(answer()))
    assert (back.rate_limits, back.request_id) == (None, None)


def test_something_else_is_no_answer() -> None:
    with pytest.raises((KeyError, ValueError)):
        answer_from_json({"content": "x"})


EVENTS = [
    StreamingEvent.thinking_delta("hm", signature="s"),
    StreamingEvent.content_delta("Hi", odd=1),
    StreamingEvent.tool_call_started("c", "add", 0),
    StreamingEvent.partial_tool_call("c", "{}", 0, is_complete=True),
    StreamingEvent.tool_call_ended("c", 0),
    StreamingEvent.metadata({"prompt_tokens": 1}),
    StreamingEvent.final_candidate(0, "stop"),
    StreamingEvent.stream_end("stop", "end_turn", {"prompt_tokens": 1}),
]


def test_events_come_back_in_order() -> None:
    assert events_from_json(json.loads(json.dumps(events_to_json(EVENTS)))) == EVENTS


def test_only_a_stream_that_went_to_its_end_is_complete() -> None:
    assert is_complete(EVENTS)
    assert not is_complete(EVENTS[:-1])
    assert not is_complete([])
    assert not is_complete([StreamingEvent.stream_error("no"), *EVENTS])
    assert not is_complete([StreamingEvent.stream_end("error")])
