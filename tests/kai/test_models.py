"""Models: both spellings, what is kept, what is ignored, and the union of message parts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

import dragoman.kai.models as models
from dragoman.kai import (
    ChatModel,
    ChatRequest,
    FinishEvent,
    FinishReason,
    InfoResponse,
    MessageRequest,
    PingResponse,
    SSEEventType,
    TextPart,
    ToolApprovalResponsePart,
    ToolCallEvent,
    ToolCallPart,
    ToolCallState,
    ToolResultPart,
    UnknownEvent,
    UnknownPart,
    UsageInfo,
    UserAgentSettings,
    VisibilityType,
    VoteRequest,
    VoteType,
)
from dragoman.kai.types import ChatId, JobStatus, MessageRole, PartType

pytestmark = pytest.mark.requirement("KAI-18")

NOW = "2026-01-02T03:04:05.678Z"


def test_both_spellings_are_accepted_and_dumped_on_demand() -> None:
    snake = ToolCallEvent(tool_call_id="c", tool_name="n", state="s")
    camel = ToolCallEvent.model_validate({"toolCallId": "c", "toolName": "n", "state": "s"})
    assert snake == camel
    assert snake.model_dump()["tool_call_id"] == "c"
    assert snake.model_dump(by_alias=True)["toolCallId"] == "c"


@pytest.mark.parametrize("cls", [ChatRequest, MessageRequest, VoteRequest, PingResponse])
def test_these_ignore_unknown_fields(cls: type[BaseModel]) -> None:
    assert cls.model_config.get("extra", "ignore") == "ignore"


def test_all_others_keep_unknown_fields() -> None:
    strict = {"ChatRequest", "MessageRequest", "VoteRequest", "PingResponse", "AnswerRequest", "DecisionRequest"}
    found = [cls for cls in vars(models).values() if isinstance(cls, type) and issubclass(cls, BaseModel)]
    public = [cls for cls in found if not cls.__name__.startswith("_") and cls is not BaseModel]
    assert len(public) > 40
    assert {cls.__name__ for cls in public if cls.model_config.get("extra") != "allow"} == strict


def test_times_have_a_zone() -> None:
    assert PingResponse.model_validate({"timestamp": NOW}).timestamp == datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)


def test_connections_may_be_a_list_an_object_or_absent() -> None:
    base = {"timestamp": NOW, "uptime": 3, "appName": "a", "appVersion": "b", "serverVersion": "c"}
    assert InfoResponse.model_validate(base).connected_mcp == []
    for value in ([{"name": "x", "status": "y"}], {"x": "y"}):
        assert InfoResponse.model_validate(base | {"connectedMcp": value}).connected_mcp == value


@pytest.mark.parametrize(
    ("part", "cls"),
    [
        ({"type": "text", "text": "x", "later": 1}, TextPart),
        ({"type": "step-start"}, models.StepStartPart),
        ({"type": "tool-result", "toolCallId": "c", "toolName": "n", "result": None}, ToolResultPart),
        ({"type": "tool-approval-response", "approvalId": "p", "approved": True}, ToolApprovalResponsePart),
        ({"type": "tool-add", "toolCallId": "c", "state": "output-available", "output": [1]}, ToolCallPart),
        ({"type": "dynamic-tool", "toolCallId": "c", "toolName": "n", "state": "input-available"}, ToolCallPart),
        ({"type": "reasoning", "text": "hm", "state": "done"}, UnknownPart),
        ({"type": "data-x", "data": {"a": 1}}, UnknownPart),
        ({"type": "textual", "a": 1}, UnknownPart),
        ({"a": 1}, UnknownPart),
    ],
)
def test_a_part_is_told_by_its_type(part: dict[str, Any], cls: type[BaseModel]) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(models.MessagePart)
    parsed = adapter.validate_python(part)
    assert type(parsed) is cls
    assert adapter.validate_python(parsed) is parsed
    assert {name: value for name, value in parsed.model_dump(by_alias=True).items() if name in part} == part


def test_a_part_of_a_known_type_must_have_its_fields() -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(PartType).validate_python({"type": "text"})


def test_control_parts_may_be_sent() -> None:
    parts = [ToolApprovalResponsePart(approval_id="p", approved=False, reason="no"), TextPart(text="x")]
    message = MessageRequest(id="m", parts=parts)
    dump = message.model_dump(by_alias=True, exclude_none=True)["parts"]
    assert dump == [
        {"type": "tool-approval-response", "approvalId": "p", "approved": False, "reason": "no"},
        {"type": "text", "text": "x"},
    ]


def test_a_message_that_is_no_users_is_refused() -> None:
    with pytest.raises(ValidationError):
        MessageRequest.model_validate({"id": "m", "role": "assistant", "parts": []})


def test_required_fields_are_required() -> None:
    with pytest.raises(ValidationError):
        FinishEvent.model_validate({"type": "finish"})
    with pytest.raises(ValidationError):
        UserAgentSettings.model_validate({"projectId": "p", "userId": "u", "createdAt": NOW})


def test_defaults() -> None:
    assert UnknownEvent(type="x").data == {}
    assert UsageInfo().model_dump() == dict.fromkeys(
        [
            "prompt_tokens",
            "completion_tokens",
            "total_tokens",
            "cache_read_tokens",
            "cache_write_tokens",
            "reasoning_tokens",
        ],
        0,
    )


def test_words_are_strings() -> None:
    assert ChatModel.REASONING == "chat-model-reasoning"
    assert [VisibilityType.PUBLIC, VoteType.UP, MessageRole.ASSISTANT, JobStatus.FAILED] == [
        "public",
        "up",
        "assistant",
        "failed",
    ]
    assert {f"{state}" for state in ToolCallState} == {
        *("started", "input-streaming", "input-available", "approval-requested", "approval-responded"),
        *("output-available", "output-error", "output-denied", "streaming", "done"),
    }
    assert {kind.value for kind in SSEEventType} == {
        *("text", "step-start", "tool-call", "tool-result", "tool-output-error", "finish", "error"),
    }
    assert [reason.value for reason in FinishReason] == ["stop", "length", "tool_calls", "error"]
    assert ChatId is str
