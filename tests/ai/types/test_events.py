"""Streaming events: nine kinds, their constructors and accessors, extras, cost."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest

from dragoman.ai.types import events
from dragoman.ai.types.events import PartialContentDelta, StreamEnd, StreamingEvent

pytestmark = pytest.mark.requirement("AIP-47")

KINDS: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("PartialContentDelta", "content_delta", {"content": "hi"}, {"sequence_id": None, "candidate_index": 0}),
    (
        "ThinkingDelta",
        "thinking_delta",
        {"thinking": "hm"},
        {"tool_consideration": None, "signature": None, "candidate_index": 0},
    ),
    (
        "ToolCallStarted",
        "tool_call_started",
        {"tool_call_id": "c", "tool_name": "f"},
        {"index": None, "candidate_index": 0},
    ),
    (
        "PartialToolCall",
        "partial_tool_call",
        {"tool_call_id": "c", "arguments": "{"},
        {"index": None, "is_complete": None, "candidate_index": 0},
    ),
    ("ToolCallEnded", "tool_call_ended", {"tool_call_id": "c"}, {"index": None, "candidate_index": 0}),
    ("Metadata", "metadata", {}, {"usage": None, "finish_reason": None, "stop_reason": None, "candidate_index": 0}),
    ("FinalCandidate", "final_candidate", {"candidate_index": 1, "finish_reason": "stop"}, {"stop_reason": None}),
    ("StreamEnd", "stream_end", {}, {"finish_reason": None, "stop_reason": None, "usage": None, "candidate_index": 0}),
    (
        "StreamError",
        "stream_error",
        {"error": {"message": "m"}},
        {"event_id": None, "error_class": None, "candidate_index": 0},
    ),
]
kinds = pytest.mark.parametrize(("kind", "short", "given", "defaults"), KINDS, ids=[kind[0] for kind in KINDS])


def made(short: str, given: dict[str, Any]) -> StreamingEvent:
    event: StreamingEvent = getattr(StreamingEvent, short)(**given)
    return event


@kinds
def test_each_kind_has_a_constructor_and_defaults(
    kind: str, short: str, given: dict[str, Any], defaults: dict[str, Any]
) -> None:
    event = made(short, given)
    assert event.event_type == kind == type(event.data).__name__
    assert isinstance(event.data, getattr(events, kind))
    assert event.data.model_dump() == {**defaults, **given}
    assert event == StreamingEvent(kind, getattr(events, kind)(**given))


@kinds
def test_exactly_one_question_is_answered_with_yes(
    kind: str, short: str, given: dict[str, Any], defaults: dict[str, Any]
) -> None:
    event = made(short, given)
    assert [other for _, other, _, _ in KINDS if getattr(event, f"is_{other}")] == [short]


@kinds
def test_the_data_comes_typed_and_another_kind_is_refused(
    kind: str, short: str, given: dict[str, Any], defaults: dict[str, Any]
) -> None:
    event = made(short, given)
    assert getattr(event, f"as_{short}") is event.data
    for other_kind, other, _, _ in KINDS:
        if other != short:
            with pytest.raises(ValueError, match=f"is a '{kind}', not a '{other_kind}'") as caught:
                getattr(event, f"as_{other}")
            assert isinstance(caught.value, TypeError)


@kinds
def test_unknown_fields_are_kept_and_read_like_attributes(
    kind: str, short: str, given: dict[str, Any], defaults: dict[str, Any]
) -> None:
    event = made(short, {**given, "logprobs": [0.5]})
    assert event.data.extras == {"logprobs": [0.5]}
    assert event.data.logprobs == [0.5]
    assert event != made(short, given)
    with pytest.raises(AttributeError, match=f"'{kind}' has no field 'other'"):
        _ = event.data.other


@kinds
def test_an_event_survives_dict_copy_and_pickle(
    kind: str, short: str, given: dict[str, Any], defaults: dict[str, Any]
) -> None:
    event = made(short, {**given, "extra": {"a": 1}})
    assert StreamingEvent.from_dict(event.to_dict()) == event == copy.deepcopy(event)
    assert pickle.loads(pickle.dumps(event)) == event
    assert event.to_dict() == {"event_type": kind, "data": event.data.to_dict()}


def test_an_event_survives_json() -> None:
    event = StreamingEvent.thinking_delta("schön")
    assert json.loads(event.model_dump_json()) == event.model_dump()
    assert "null" not in event.model_dump_json(exclude_none=True)
    assert StreamingEvent.model_validate(json.loads(event.model_dump_json())) == event


def test_empty_fields_can_be_left_out() -> None:
    dumped = StreamingEvent.stream_end("stop").model_dump(exclude_none=True)
    assert dumped == {"event_type": "StreamEnd", "data": {"finish_reason": "stop", "candidate_index": 0}}


def test_an_unknown_kind_is_named_with_those_that_exist() -> None:
    with pytest.raises(ValueError, match="unknown event type 'Nope'; expected one of PartialContentDelta"):
        StreamingEvent.from_dict({"event_type": "Nope", "data": {}})


def test_fields_may_be_given_by_position_in_the_documented_order() -> None:
    assert PartialContentDelta("a", 7).sequence_id == 7
    call = StreamingEvent.partial_tool_call("c", "{}", 2, True).as_partial_tool_call
    assert (call.index, call.is_complete) == (2, True)
    assert StreamEnd("stop", "end_turn", {"total_tokens": 3}).usage == {"total_tokens": 3}


def test_events_show_what_they_hold() -> None:
    assert (
        repr(StreamingEvent.content_delta("hi"))
        == "StreamingEvent(PartialContentDelta(content='hi', candidate_index=0))"
    )
    assert StreamingEvent.content_delta("hi") != "hi"
    assert PartialContentDelta("hi") != events.ThinkingDelta("hi")


def test_events_have_no_dict_of_their_own() -> None:
    assert not hasattr(PartialContentDelta("hi"), "__dict__")
    assert not hasattr(StreamingEvent.content_delta("hi"), "__dict__")
