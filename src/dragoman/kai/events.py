"""Chunks of the stream as events: the table that `parse_sse_event` goes by.

A chunk is a decoded JSON object; local and production format may be mixed. Chunks that the
documented API does not know become subclasses of `UnknownEvent`, so code that treats them as
unknown goes on working: `type` is the wire's word and `data` the whole chunk. Fields of a wrong
type never raise: `null` counts as missing, where a text is wanted other values are spelt as
JSON. Knows no bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from pydantic import ValidationError
from pydantic_core import to_json

from dragoman.kai.models import (
    ErrorEvent,
    FinishEvent,
    SSEEvent,
    StepStartEvent,
    TextEvent,
    ToolApproval,
    ToolApprovalRequestEvent,
    ToolCallEvent,
    ToolOutputErrorEvent,
    UnknownEvent,
    UsageEvent,
    UsageInfo,
)

Chunk: TypeAlias = dict[str, Any]


class StartEvent(UnknownEvent):
    """`start`: the first chunk; the id of the answer."""

    message_id: str | None = None


class AbortEvent(UnknownEvent):
    """`abort`: the answer was stopped or superseded."""

    reason: str | None = None


class ReasoningEvent(UnknownEvent):
    """`reasoning-start`, `-delta`, `-end`: text that the model thought; empty but for deltas."""

    block_id: str | None = None
    text: str = ""


class ToolInputDeltaEvent(UnknownEvent):
    """`tool-input-delta`: a piece of a call's JSON arguments."""

    tool_call_id: str
    delta: str = ""


class ToolInputErrorEvent(UnknownEvent):
    """`tool-input-error`: the model's arguments do not fit the tool."""

    tool_call_id: str
    tool_name: str | None = None
    input: Any = None
    error_text: str = ""


class ToolOutputDeniedEvent(UnknownEvent):
    """`tool-output-denied`: the call was not allowed."""

    tool_call_id: str
    tool_name: str | None = None


class SourceEvent(UnknownEvent):
    """`source-url`, `source-document`: what the answer relies on."""

    source_id: str
    url: str | None = None
    title: str | None = None
    media_type: str | None = None
    filename: str | None = None


class FileEvent(UnknownEvent):
    """`file`: a file that the model made."""

    url: str
    media_type: str | None = None


class DataEvent(UnknownEvent):
    """`data-<name>`: application data; `value` is the chunk's `data`."""

    name: str
    value: Any = None
    id: str | None = None
    transient: bool = False


class MetadataEvent(UnknownEvent):
    """`message-metadata`: metadata of the answer."""

    metadata: Any = None


def event_of(chunk: Any) -> SSEEvent:
    """The event of one decoded chunk; never raises for a JSON value."""
    if type(chunk) is not dict:
        return UnknownEvent(type="", data={"value": chunk})
    kind = chunk.get("type")
    build = _BUILDERS.get(kind) if type(kind) is str else None
    try:
        if build is not None:
            return build(chunk)
        if type(kind) is str and kind.startswith("data-"):
            return _data(chunk)
    except ValidationError:
        pass  # a field of a type that no rule above foresaw: keep the chunk as it is
    return UnknownEvent(type=_text(kind), data=chunk)


# ------------------------------------------------------------------------------------- fields


def _text(value: Any, missing: str = "") -> str:
    if type(value) is str:
        return value
    return missing if value is None else to_json(value).decode()


def _maybe(value: Any) -> str | None:
    return None if value is None else _text(value)


def _scalar(value: Any) -> str | int | float | bool | None:
    return value if isinstance(value, str | int | float | bool) else _maybe(value)


def _approval(value: Any) -> ToolApproval | None:
    if not isinstance(value, dict):
        return None
    approved = value.get("approved")
    return ToolApproval(
        id=_text(value.get("id")),
        approved=approved if isinstance(approved, bool) else None,
        reason=_maybe(value.get("reason")),
    )


def _usage(value: Any) -> UsageInfo | None:
    """Counts that are no whole numbers are left out; None if there is no object."""
    if not isinstance(value, dict):
        return None
    counts = {name: count for name, count in value.items() if "tokens" not in name.lower() or _is_count(count)}
    return UsageInfo.model_validate(counts)


def _is_count(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1


# ----------------------------------------------------------------------------------- builders


def _text_delta(chunk: Chunk) -> TextEvent:
    return TextEvent(text=_text(chunk.get("delta")), state=_maybe(chunk.get("state")))


def _local_text(chunk: Chunk) -> TextEvent:
    return TextEvent(text=_text(chunk.get("text")), state=_maybe(chunk.get("state")))


def _step_start(chunk: Chunk) -> StepStartEvent:
    return StepStartEvent()


def _tool_call(chunk: Chunk) -> ToolCallEvent:
    return ToolCallEvent(
        tool_call_id=_text(chunk.get("toolCallId")),
        tool_name=_maybe(chunk.get("toolName")),
        state=_text(chunk.get("state")),
        input=chunk.get("input"),
        output=chunk.get("output"),
        approval=_approval(chunk.get("approval")),
    )


def _tool_input_start(chunk: Chunk) -> ToolCallEvent:
    return ToolCallEvent(
        tool_call_id=_text(chunk.get("toolCallId")), tool_name=_maybe(chunk.get("toolName")), state="started"
    )


def _tool_input(chunk: Chunk) -> ToolCallEvent:
    return ToolCallEvent(
        tool_call_id=_text(chunk.get("toolCallId")),
        tool_name=_maybe(chunk.get("toolName")),
        state="input-available",
        input=chunk.get("input"),
        approval=_approval(chunk.get("approval")),
    )


def _tool_output(chunk: Chunk) -> ToolCallEvent:
    return ToolCallEvent(
        tool_call_id=_text(chunk.get("toolCallId")),
        tool_name=_maybe(chunk.get("toolName")),
        state="output-available",
        output=chunk.get("output"),
    )


def _tool_output_error(chunk: Chunk) -> ToolOutputErrorEvent:
    return ToolOutputErrorEvent(
        tool_call_id=_text(chunk.get("toolCallId")),
        error_text=_text(chunk.get("errorText"), "Unknown error"),
        tool_name=_maybe(chunk.get("toolName")),
    )


def _tool_approval_request(chunk: Chunk) -> ToolApprovalRequestEvent:
    return ToolApprovalRequestEvent(
        approval_id=_text(chunk.get("approvalId")),
        tool_call_id=_text(chunk.get("toolCallId")),
        tool_name=_maybe(chunk.get("toolName")),
    )


def _finish(chunk: Chunk) -> FinishEvent:
    return FinishEvent(
        finish_reason=_text(chunk.get("finishReason"), "stop"),
        usage=_usage(chunk.get("usage")),
        is_step=chunk["type"] == "finish-step",
    )


def _error(chunk: Chunk) -> ErrorEvent:
    message = _text(chunk.get("message")) or _text(chunk.get("errorText")) or "Unknown error"
    return ErrorEvent(message=message, code=_scalar(chunk.get("code")))


def _data_usage(chunk: Chunk) -> UsageEvent:
    return UsageEvent(usage=_usage(chunk.get("data")) or UsageInfo())


def _start(chunk: Chunk) -> StartEvent:
    return StartEvent(type="start", data=chunk, message_id=_maybe(chunk.get("messageId")))


def _abort(chunk: Chunk) -> AbortEvent:
    return AbortEvent(type="abort", data=chunk, reason=_maybe(chunk.get("reason")))


def _reasoning(chunk: Chunk) -> ReasoningEvent:
    return ReasoningEvent(
        type=chunk["type"], data=chunk, block_id=_maybe(chunk.get("id")), text=_text(chunk.get("delta"))
    )


def _tool_input_delta(chunk: Chunk) -> ToolInputDeltaEvent:
    return ToolInputDeltaEvent(
        type="tool-input-delta",
        data=chunk,
        tool_call_id=_text(chunk.get("toolCallId")),
        delta=_text(chunk.get("inputTextDelta")),
    )


def _tool_input_error(chunk: Chunk) -> ToolInputErrorEvent:
    return ToolInputErrorEvent(
        type="tool-input-error",
        data=chunk,
        tool_call_id=_text(chunk.get("toolCallId")),
        tool_name=_maybe(chunk.get("toolName")),
        input=chunk.get("input"),
        error_text=_text(chunk.get("errorText"), "Unknown error"),
    )


def _tool_output_denied(chunk: Chunk) -> ToolOutputDeniedEvent:
    return ToolOutputDeniedEvent(
        type="tool-output-denied",
        data=chunk,
        tool_call_id=_text(chunk.get("toolCallId")),
        tool_name=_maybe(chunk.get("toolName")),
    )


def _source(chunk: Chunk) -> SourceEvent:
    return SourceEvent(
        type=chunk["type"],
        data=chunk,
        source_id=_text(chunk.get("sourceId")),
        url=_maybe(chunk.get("url")),
        title=_maybe(chunk.get("title")),
        media_type=_maybe(chunk.get("mediaType")),
        filename=_maybe(chunk.get("filename")),
    )


def _file(chunk: Chunk) -> FileEvent:
    return FileEvent(type="file", data=chunk, url=_text(chunk.get("url")), media_type=_maybe(chunk.get("mediaType")))


def _data(chunk: Chunk) -> DataEvent:
    kind: str = chunk["type"]
    return DataEvent(
        type=kind,
        data=chunk,
        name=kind.removeprefix("data-"),
        value=chunk.get("data"),
        id=_maybe(chunk.get("id")),
        transient=chunk.get("transient") is True,
    )


def _metadata(chunk: Chunk) -> MetadataEvent:
    return MetadataEvent(type="message-metadata", data=chunk, metadata=chunk.get("messageMetadata"))


_BUILDERS: dict[str, Callable[[Chunk], SSEEvent]] = {
    # local format
    "text": _local_text,
    "step-start": _step_start,
    "tool-call": _tool_call,
    # production format
    "text-delta": _text_delta,
    "start-step": _step_start,
    "tool-input-start": _tool_input_start,
    "tool-input-available": _tool_input,
    "tool-output-available": _tool_output,
    "tool-output-error": _tool_output_error,
    "tool-approval-request": _tool_approval_request,
    "data-usage": _data_usage,
    # both
    "finish": _finish,
    "finish-step": _finish,
    "error": _error,
    # not in the documented API
    "start": _start,
    "abort": _abort,
    "reasoning-start": _reasoning,
    "reasoning-delta": _reasoning,
    "reasoning-end": _reasoning,
    "tool-input-delta": _tool_input_delta,
    "tool-input-error": _tool_input_error,
    "tool-output-denied": _tool_output_denied,
    "source-url": _source,
    "source-document": _source,
    "file": _file,
    "message-metadata": _metadata,
}
