"""Answers and events as JSON and back, for whoever keeps them.

Nothing is lost that a caller may ask for, but what belongs to one exchange alone: the limits that the
provider told and the request's id. Knows no cache.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from dragoman.ai.client.response import ChatResponse
from dragoman.ai.pipeline.answer import Candidate
from dragoman.ai.types.events import StreamingEvent
from dragoman.ai.types.message import ContentBlock, ToolCall

__all__ = ["answer_from_json", "answer_to_json", "events_from_json", "events_to_json", "is_complete"]

_PLAIN = ("content", "finish_reason", "usage", "model", "raw_response", "thinking", "stop_reason")


def answer_to_json(answer: ChatResponse) -> dict[str, Any]:
    """An answer as JSON."""
    return {
        **{name: getattr(answer, name) for name in _PLAIN},
        "tool_calls": _dumped(answer.tool_calls),
        "thinking_blocks": _dumped(answer.thinking_blocks),
        "candidates": [_candidate_to_json(one) for one in answer.candidates],
    }


def answer_from_json(value: Mapping[str, Any]) -> ChatResponse:
    """The answer that `answer_to_json` wrote. Raises KeyError or ValueError for anything else."""
    return ChatResponse(
        **{name: value[name] for name in _PLAIN},
        tool_calls=[ToolCall.model_validate(one) for one in value["tool_calls"]],
        thinking_blocks=[ContentBlock.model_validate(one) for one in value["thinking_blocks"]],
        candidates=[_candidate_from_json(one) for one in value["candidates"]],
    )


def events_to_json(events: Iterable[StreamingEvent]) -> list[dict[str, Any]]:
    """The events of a stream as JSON, in order."""
    return [event.model_dump(exclude_none=True) for event in events]


def events_from_json(values: Iterable[Mapping[str, Any]]) -> list[StreamingEvent]:
    """The events that `events_to_json` wrote."""
    return [StreamingEvent.from_dict(dict(one)) for one in values]


def is_complete(events: Iterable[StreamingEvent]) -> bool:
    """Whether a stream went to its end, without an error on the way: only then it may be kept."""
    last: StreamingEvent | None = None
    for event in events:
        if event.is_stream_error:
            return False
        last = event
    return last is not None and last.is_stream_end and last.as_stream_end.finish_reason != "error"


def _dumped(values: Iterable[ToolCall] | Iterable[ContentBlock]) -> list[dict[str, Any]]:
    return [one.model_dump(mode="json", exclude_none=True) for one in values]


def _candidate_to_json(candidate: Candidate) -> dict[str, Any]:
    told = {field.name: getattr(candidate, field.name) for field in fields(candidate)}
    return told | {
        "thinking_blocks": _dumped(candidate.thinking_blocks),
        "tool_calls": _dumped(candidate.tool_calls),
    }


def _candidate_from_json(value: Mapping[str, Any]) -> Candidate:
    return Candidate(
        **{
            **value,
            "thinking_blocks": [ContentBlock.model_validate(one) for one in value["thinking_blocks"]],
            "tool_calls": [ToolCall.model_validate(one) for one in value["tool_calls"]],
        }
    )
