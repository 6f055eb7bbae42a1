"""Chunks of both formats as events, and the patience with what no chunk should look like."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.kai import (
    AbortEvent,
    DataEvent,
    ErrorEvent,
    FileEvent,
    FinishEvent,
    MetadataEvent,
    ReasoningEvent,
    SourceEvent,
    SSEEvent,
    StartEvent,
    StepStartEvent,
    TextEvent,
    ToolApproval,
    ToolApprovalRequestEvent,
    ToolCallEvent,
    ToolInputDeltaEvent,
    ToolInputErrorEvent,
    ToolOutputDeniedEvent,
    ToolOutputErrorEvent,
    UnknownEvent,
    UsageEvent,
    UsageInfo,
    parse_sse_event,
)
from dragoman.kai.models import BaseSSEEvent

CALL = {"toolCallId": "c", "toolName": "n"}


def call(state: str, **fields: Any) -> ToolCallEvent:
    return ToolCallEvent(tool_call_id="c", tool_name="n", state=state, **fields)


DOCUMENTED: list[tuple[dict[str, Any], SSEEvent]] = [
    ({"type": "text", "text": "a", "state": "done"}, TextEvent(text="a", state="done")),
    ({"type": "text"}, TextEvent(text="")),
    ({"type": "text-delta", "id": "t1", "delta": "a"}, TextEvent(text="a")),
    ({"type": "text-delta"}, TextEvent(text="")),
    ({"type": "step-start"}, StepStartEvent()),
    ({"type": "start-step"}, StepStartEvent()),
    ({"type": "tool-call", **CALL, "state": "s", "input": {"a": 1}}, call("s", input={"a": 1})),
    ({"type": "tool-call"}, ToolCallEvent(tool_call_id="", state="")),
    ({"type": "tool-call", **CALL, "state": "s", "approval": {"id": "p"}}, call("s", approval=ToolApproval(id="p"))),
    ({"type": "tool-input-start", **CALL}, call("started")),
    ({"type": "tool-input-available", **CALL, "input": {"a": 1}}, call("input-available", input={"a": 1})),
    ({"type": "tool-output-available", **CALL, "output": {"b": 2}}, call("output-available", output={"b": 2})),
    (
        {"type": "tool-output-available", "toolCallId": "c", "output": 5},
        ToolCallEvent(tool_call_id="c", state="output-available", output=5),
    ),
    ({"type": "finish", "finishReason": "length"}, FinishEvent(finish_reason="length")),
    ({"type": "finish"}, FinishEvent(finish_reason="stop")),
    ({"type": "finish-step"}, FinishEvent(finish_reason="stop", is_step=True)),
    (
        {"type": "finish", "usage": {"promptTokens": 1}},
        FinishEvent(finish_reason="stop", usage=UsageInfo(prompt_tokens=1)),
    ),
    ({"type": "error", "message": "m", "code": "c"}, ErrorEvent(message="m", code="c")),
    ({"type": "error", "errorText": "t"}, ErrorEvent(message="t")),
    ({"type": "error", "errorText": "t", "message": "m"}, ErrorEvent(message="m")),
    ({"type": "error"}, ErrorEvent(message="Unknown error")),
    (
        {"type": "tool-output-error", **CALL, "errorText": "t"},
        ToolOutputErrorEvent(tool_call_id="c", error_text="t", tool_name="n"),
    ),
    ({"type": "tool-output-error"}, ToolOutputErrorEvent(tool_call_id="", error_text="Unknown error")),
    (
        {"type": "tool-approval-request", "approvalId": "p", "toolCallId": "c"},
        ToolApprovalRequestEvent(approval_id="p", tool_call_id="c"),
    ),
    (
        {"type": "data-usage", "data": {"promptTokens": 3, "totalTokens": 4}},
        UsageEvent(usage=UsageInfo(prompt_tokens=3, total_tokens=4)),
    ),
    ({"type": "data-usage"}, UsageEvent(usage=UsageInfo())),
    (
        {"type": "start-of-something", "a": 1},
        UnknownEvent(type="start-of-something", data={"type": "start-of-something", "a": 1}),
    ),
    ({"a": 1}, UnknownEvent(type="", data={"a": 1})),
]


@pytest.mark.requirement("KAI-07")
@pytest.mark.parametrize(("chunk", "event"), DOCUMENTED)
def test_a_chunk_becomes_the_documented_event(chunk: dict[str, Any], event: SSEEvent) -> None:
    assert parse_sse_event(chunk) == event


@pytest.mark.requirement("KAI-07", "KAI-08")
@pytest.mark.parametrize(
    ("chunk", "event"),
    [
        ({"type": "text-delta", "delta": None}, TextEvent(text="")),
        ({"type": "text-delta", "delta": 5}, TextEvent(text="5")),
        ({"type": "finish", "finishReason": None}, FinishEvent(finish_reason="stop")),
        ({"type": "finish", "usage": []}, FinishEvent(finish_reason="stop")),
        (
            {"type": "finish", "usage": {"promptTokens": None, "completionTokens": 2.0, "totalTokens": "x"}},
            FinishEvent(finish_reason="stop", usage=UsageInfo(completion_tokens=2)),
        ),
        ({"type": None}, UnknownEvent(type="", data={"type": None})),
        ({"type": 5}, UnknownEvent(type="5", data={"type": 5})),
        ({"type": "tool-input-available", **CALL, "input": [1]}, call("input-available", input=[1])),
        ({"type": "tool-input-available", **CALL, "input": "x"}, call("input-available", input="x")),
        ({"type": "tool-input-available", **CALL, "input": None}, call("input-available")),
        ({"type": "tool-output-available", **CALL, "output": [1]}, call("output-available", output=[1])),
        ({"type": "tool-call", **CALL, "state": "s", "approval": None}, call("s")),
        ({"type": "tool-call", **CALL, "state": "s", "approval": "x"}, call("s")),
        ({"type": "tool-input-start", "toolCallId": 7}, ToolCallEvent(tool_call_id="7", state="started")),
        ({"type": "error", "message": "m", "code": 42}, ErrorEvent(message="m", code=42)),
        ({"type": "error", "message": None, "code": None}, ErrorEvent(message="Unknown error")),
        ({"type": "error", "message": {"a": 1}, "code": [1]}, ErrorEvent(message='{"a":1}', code="[1]")),
        ({"type": "data-usage", "data": "x"}, UsageEvent(usage=UsageInfo())),
        ([1, 2], UnknownEvent(type="", data={"value": [1, 2]})),
        ("text", UnknownEvent(type="", data={"value": "text"})),
        (None, UnknownEvent(type="", data={"value": None})),
    ],
)
def test_null_counts_as_missing_and_odd_values_are_kept(chunk: Any, event: SSEEvent) -> None:
    assert parse_sse_event(chunk) == event


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=("Cs",))),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
KINDS = [
    *sorted({str(chunk["type"]) for chunk, _ in DOCUMENTED if "type" in chunk}),
    "start",
    "abort",
    "reasoning-delta",
    "tool-input-delta",
    "tool-input-error",
    "tool-output-denied",
    "source-url",
    "file",
    "data-x",
    "message-metadata",
]
FIELDS = [
    *("id", "delta", "text", "state", "toolCallId", "toolName", "input", "output", "approval", "finishReason"),
    *("usage", "message", "errorText", "code", "data", "transient", "reason", "messageId", "sourceId", "url"),
]


@pytest.mark.requirement("KAI-07")
@given(st.sampled_from(KINDS), st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_no_json_object_makes_the_parser_raise(kind: str, fields: dict[str, Any]) -> None:
    event = parse_sse_event({**fields, "type": kind})
    assert isinstance(event, BaseSSEEvent)
    event.model_dump()


@pytest.mark.parametrize(
    ("chunk", "cls", "fields"),
    [
        ({"type": "start", "messageId": "a1"}, StartEvent, {"message_id": "a1"}),
        ({"type": "abort", "reason": "stopped"}, AbortEvent, {"reason": "stopped"}),
        ({"type": "reasoning-start", "id": "r"}, ReasoningEvent, {"block_id": "r", "text": ""}),
        ({"type": "reasoning-delta", "id": "r", "delta": "hm"}, ReasoningEvent, {"block_id": "r", "text": "hm"}),
        (
            {"type": "tool-input-delta", "toolCallId": "c", "inputTextDelta": "{"},
            ToolInputDeltaEvent,
            {"tool_call_id": "c", "delta": "{"},
        ),
        (
            {"type": "tool-input-error", **CALL, "input": 1, "errorText": "bad"},
            ToolInputErrorEvent,
            {"tool_name": "n", "input": 1, "error_text": "bad"},
        ),
        ({"type": "tool-output-denied", "toolCallId": "c"}, ToolOutputDeniedEvent, {"tool_call_id": "c"}),
        (
            {"type": "source-url", "sourceId": "s", "url": "u", "title": "t"},
            SourceEvent,
            {"source_id": "s", "url": "u", "title": "t"},
        ),
        (
            {"type": "source-document", "sourceId": "s", "mediaType": "m", "title": "t", "filename": "f"},
            SourceEvent,
            {"media_type": "m", "filename": "f", "url": None},
        ),
        ({"type": "file", "url": "u", "mediaType": "m"}, FileEvent, {"url": "u", "media_type": "m"}),
        (
            {"type": "data-chat-title", "data": "T", "transient": True},
            DataEvent,
            {"name": "chat-title", "value": "T", "transient": True, "id": None},
        ),
        ({"type": "message-metadata", "messageMetadata": {"a": 1}}, MetadataEvent, {"metadata": {"a": 1}}),
    ],
)
def test_chunks_beyond_the_documented_api_are_unknown_events_with_fields(
    chunk: dict[str, Any], cls: type[UnknownEvent], fields: dict[str, Any]
) -> None:
    event = parse_sse_event(chunk)
    assert type(event) is cls
    assert isinstance(event, UnknownEvent)
    assert (event.type, event.data) == (chunk["type"], chunk)
    assert {name: getattr(event, name) for name in fields} == fields


@pytest.mark.requirement("KAI-23")
def test_usage_has_all_counts() -> None:
    counts = {
        f"{name}Tokens": n
        for n, name in enumerate(["prompt", "completion", "total", "cacheRead", "cacheWrite", "reasoning"], 1)
    }
    event = parse_sse_event({"type": "data-usage", "data": counts, "transient": True})
    assert isinstance(event, UsageEvent)
    assert list(event.usage.model_dump().values()) == [1, 2, 3, 4, 5, 6]


@pytest.mark.requirement("KAI-07")
def test_the_short_way_to_a_text_event_gives_what_the_constructor_gives() -> None:
    event = parse_sse_event({"type": "text-delta", "id": "0", "delta": "Grüße"})
    made = TextEvent(text="Grüße", state=None)
    assert event == made
    assert event.model_dump_json() == made.model_dump_json()
    assert event.model_fields_set == made.model_fields_set
    assert event.model_extra == made.model_extra
    assert pickle.loads(pickle.dumps(event)) == made
    changed = event.model_copy(update={"text": "x"}, deep=True)
    assert (changed, event.model_copy()) == (TextEvent(text="x"), made)
    event.text = "y"
    assert (event.text, made.text) == ("y", "Grüße")
