"""Bytes and values of the wire, in both directions and at any split."""

from __future__ import annotations

from typing import Any

import pytest
from tests.noukai.shells import CALLS

from dragoman.core.errors import ProtocolError
from dragoman.noukai.codec import (
    EventDecoder,
    decode_request,
    decode_stream_event,
    encode_request,
    encode_stream_event,
    input_hash,
)
from dragoman.noukai.events import (
    Event,
    FlowCompleted,
    RunStarted,
    StepCompleted,
    StepFailed,
    StepInput,
    StepOutput,
    StepPaused,
    StepStarted,
    ToolCallsRequired,
)
from dragoman.noukai.models import ChatMessage, ExecuteRequest, StepRequest, TokenBreakdown

pytestmark = pytest.mark.requirement("NOU-98")

IDS = {"execution_id": "r1", "run_id": "r1"}
EVENTS: list[Event] = [
    RunStarted(**IDS, flow_id="f1", step_count=2),
    StepStarted(**IDS, step_id="a", name="A", step_index=1),
    StepInput(**IDS, step_id="a", input_data={"message": "zwölf\u2028\n"}),
    StepOutput(**IDS, step_id="a", output_data=[1, None, {"x": "y"}]),
    StepCompleted(
        **IDS,
        step_id="a",
        output=1.5,
        duration_ms=4,
        tokens=TokenBreakdown(prompt=1, completion=2, total=3),
        cost_usd="0",
    ),
    StepFailed(**IDS, step_id="a", error={"code": "E", "message": "m"}),
    StepPaused(**IDS, step_id="a", step_index=0),
    ToolCallsRequired(
        **IDS, step_id="a", step_index=3, iterations_used=1, tool_calls=CALLS, accumulated_outputs={"x": 1}
    ),
    FlowCompleted(**IDS, result={"a": None}, summary={"stepCount": 2}),
]
BYTES = b"".join(encode_stream_event(event, id=str(place)) for place, event in enumerate(EVENTS))


def test_events_survive_the_wire_whole_and_byte_by_byte() -> None:
    assert EventDecoder().feed(BYTES) == EVENTS
    decoder = EventDecoder()
    assert [event for place in range(len(BYTES)) for event in decoder.feed(BYTES[place : place + 1])] == EVENTS
    assert (decoder.last_event_id, decoder.dropped) == ("8", 0)


@pytest.mark.parametrize("end", [b"\r\n", b"\r"])
def test_any_line_end_will_do(end: bytes) -> None:
    decoder = EventDecoder()
    assert decoder.feed(BYTES.replace(b"\n", end)) + decoder.end() == EVENTS


def test_a_last_frame_without_its_blank_line_counts() -> None:
    decoder = EventDecoder()
    assert decoder.feed(BYTES[:-1]) == EVENTS[:-1]
    assert decoder.end() == EVENTS[-1:]


def test_bytes_that_are_no_utf8_spoil_one_frame_only() -> None:
    decoder = EventDecoder()
    assert decoder.feed(b"data: \xff\xfe\n\n" + BYTES) == EVENTS
    assert decoder.dropped == 1


def test_the_name_of_a_frame_goes_before_its_event_type() -> None:
    event = decode_stream_event(b'{"stepId": "a"}', b"step_started")
    assert isinstance(event, StepStarted)
    assert isinstance(
        decode_stream_event(b'{"eventType": "step_error", "stepId": "a"}', b"step_completed"), StepCompleted
    )
    for data in (b"1", b"{}", b'{"eventType": 7}', b"{", b""):
        with pytest.raises(ProtocolError):
            decode_stream_event(data)


def test_unknown_fields_survive() -> None:
    event = decode_stream_event(b'{"eventType": "run_started", "executionId": "r", "region": "eu"}')
    assert event is not None
    assert event.model_dump()["region"] == "eu"


REQUESTS: list[tuple[ExecuteRequest | StepRequest, dict[str, Any]]] = [
    (
        ExecuteRequest(message="hi", parameters={"a": None}),
        {
            "message": "hi",
            "parameters": {"a": None},
            "iterationsUsed": 0,
            "accumulatedOutputs": {},
            "trace": False,
        },
    ),
    (
        StepRequest(messages=[ChatMessage(role="user", content="x")], run_remaining=True),
        {
            "messages": [{"role": "user", "content": "x"}],
            "parameters": {},
            "stepIndex": 0,
            "accumulatedOutputs": {},
            "inputOverrides": {},
            "runRemaining": True,
            "iterationsUsed": 0,
            "trace": False,
        },
    ),
]


@pytest.mark.parametrize(("request_", "body"), REQUESTS)
def test_requests_survive_the_wire(request_: ExecuteRequest | StepRequest, body: dict[str, Any]) -> None:
    assert encode_request(request_) == body
    assert decode_request(body, type(request_)) == request_


def test_the_input_hash_is_of_the_input_alone() -> None:
    one = input_hash(ExecuteRequest(message="x", parameters={"a": 1, "b": 2}))
    assert one.startswith("sha256:")
    assert one == input_hash(StepRequest(message="x", parameters={"b": 2, "a": 1}, trace=True))
    assert one != input_hash(ExecuteRequest(message="y", parameters={"a": 1, "b": 2}))
