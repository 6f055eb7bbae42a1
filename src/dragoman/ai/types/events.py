"""What a model's stream gives, whatever the provider: one `StreamingEvent` class for nine kinds.

The pipeline makes the events, clients read them; a whole event costs about a quarter of a
microsecond. Nothing here knows a wire format.
"""

from __future__ import annotations

import json
from typing import Any

from dragoman.ai.types.event_data import (
    KINDS,
    EventData,
    FinalCandidate,
    Metadata,
    PartialContentDelta,
    PartialToolCall,
    StreamEnd,
    StreamError,
    ThinkingDelta,
    ToolCallEnded,
    ToolCallStarted,
)

__all__ = [
    "EventData",
    "FinalCandidate",
    "Metadata",
    "PartialContentDelta",
    "PartialToolCall",
    "StreamEnd",
    "StreamError",
    "StreamingEvent",
    "ThinkingDelta",
    "ToolCallEnded",
    "ToolCallStarted",
    "WrongEvent",
]


class WrongEvent(ValueError, TypeError):
    """An event was read as one of another kind. Both parents, since both are documented for it."""


class StreamingEvent:
    """One event of a stream: `event_type` is the class name of `data`.

    `is_content_delta` and its siblings are properties; `as_content_delta` and its siblings give
    `data` typed, or raise WrongEvent when the event is of another kind.
    """

    __slots__ = ("data", "event_type")

    def __init__(self, event_type: str, data: EventData) -> None:
        self.event_type = event_type
        self.data = data

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StreamingEvent):
            return NotImplemented
        return self.event_type == other.event_type and self.data == other.data

    def __repr__(self) -> str:
        return f"StreamingEvent({self.data!r})"

    @property
    def type(self) -> str:
        """The same as `event_type`."""
        return self.event_type

    @property
    def is_complete(self) -> bool:
        """The same as `is_stream_end`."""
        return self.is_stream_end

    @property
    def is_error(self) -> bool:
        """The same as `is_stream_error`."""
        return self.is_stream_error

    def model_dump(self, *, exclude_none: bool = False) -> dict[str, Any]:
        """`{"event_type": …, "data": {…}}`, as `from_dict` reads it."""
        return {"event_type": self.event_type, "data": self.data.model_dump(exclude_none=exclude_none)}

    def to_dict(self) -> dict[str, Any]:
        """The same as `model_dump()`."""
        return self.model_dump()

    def model_dump_json(self, *, exclude_none: bool = False) -> str:
        """`model_dump()` as JSON text."""
        return json.dumps(self.model_dump(exclude_none=exclude_none), ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> StreamingEvent:
        """The event that `to_dict` described; ValueError names an unknown kind."""
        kind = KINDS.get(value["event_type"])
        if kind is None:
            raise ValueError(f"unknown event type {value['event_type']!r}; expected one of {', '.join(KINDS)}")
        return cls(value["event_type"], kind(**value["data"]))

    @classmethod
    def model_validate(cls, value: dict[str, Any]) -> StreamingEvent:
        """The same as `from_dict()`."""
        return cls.from_dict(value)

    def _refuse(self, wanted: str) -> WrongEvent:
        return WrongEvent(f"this event is a {self.event_type!r}, not a {wanted!r}")

    @classmethod
    def content_delta(
        cls, content: str, sequence_id: int | None = None, candidate_index: int = 0, **extras: Any
    ) -> StreamingEvent:
        """An event whose data is a `PartialContentDelta`."""
        return cls("PartialContentDelta", PartialContentDelta(content, sequence_id, candidate_index, **extras))

    @classmethod
    def thinking_delta(
        cls,
        thinking: str,
        tool_consideration: str | None = None,
        candidate_index: int = 0,
        signature: str | None = None,
        **extras: Any,
    ) -> StreamingEvent:
        """An event whose data is a `ThinkingDelta`."""
        return cls("ThinkingDelta", ThinkingDelta(thinking, tool_consideration, candidate_index, signature, **extras))

    @classmethod
    def tool_call_started(
        cls, tool_call_id: str, tool_name: str, index: int | None = None, candidate_index: int = 0, **extras: Any
    ) -> StreamingEvent:
        """An event whose data is a `ToolCallStarted`."""
        return cls("ToolCallStarted", ToolCallStarted(tool_call_id, tool_name, index, candidate_index, **extras))

    @classmethod
    def partial_tool_call(
        cls,
        tool_call_id: str,
        arguments: str,
        index: int | None = None,
        is_complete: bool | None = None,
        candidate_index: int = 0,
        **extras: Any,
    ) -> StreamingEvent:
        """An event whose data is a `PartialToolCall`."""
        return cls(
            "PartialToolCall", PartialToolCall(tool_call_id, arguments, index, is_complete, candidate_index, **extras)
        )

    @classmethod
    def tool_call_ended(
        cls, tool_call_id: str, index: int | None = None, candidate_index: int = 0, **extras: Any
    ) -> StreamingEvent:
        """An event whose data is a `ToolCallEnded`."""
        return cls("ToolCallEnded", ToolCallEnded(tool_call_id, index, candidate_index, **extras))

    @classmethod
    def metadata(
        cls,
        usage: dict[str, Any] | None = None,
        finish_reason: str | None = None,
        stop_reason: str | None = None,
        candidate_index: int = 0,
        **extras: Any,
    ) -> StreamingEvent:
        """An event whose data is a `Metadata`."""
        return cls("Metadata", Metadata(usage, finish_reason, stop_reason, candidate_index, **extras))

    @classmethod
    def final_candidate(
        cls, candidate_index: int, finish_reason: str | None, stop_reason: str | None = None, **extras: Any
    ) -> StreamingEvent:
        """An event whose data is a `FinalCandidate`."""
        return cls("FinalCandidate", FinalCandidate(candidate_index, finish_reason, stop_reason, **extras))

    @classmethod
    def stream_end(
        cls,
        finish_reason: str | None = None,
        stop_reason: str | None = None,
        usage: dict[str, Any] | None = None,
        candidate_index: int = 0,
        **extras: Any,
    ) -> StreamingEvent:
        """An event whose data is a `StreamEnd`."""
        return cls("StreamEnd", StreamEnd(finish_reason, stop_reason, usage, candidate_index, **extras))

    @classmethod
    def stream_error(
        cls,
        error: Any,
        event_id: str | None = None,
        candidate_index: int = 0,
        error_class: str | None = None,
        **extras: Any,
    ) -> StreamingEvent:
        """An event whose data is a `StreamError`."""
        return cls("StreamError", StreamError(error, event_id, candidate_index, error_class, **extras))

    @property
    def is_content_delta(self) -> bool:
        return self.event_type == "PartialContentDelta"

    @property
    def is_thinking_delta(self) -> bool:
        return self.event_type == "ThinkingDelta"

    @property
    def is_tool_call_started(self) -> bool:
        return self.event_type == "ToolCallStarted"

    @property
    def is_partial_tool_call(self) -> bool:
        return self.event_type == "PartialToolCall"

    @property
    def is_tool_call_ended(self) -> bool:
        return self.event_type == "ToolCallEnded"

    @property
    def is_metadata(self) -> bool:
        return self.event_type == "Metadata"

    @property
    def is_final_candidate(self) -> bool:
        return self.event_type == "FinalCandidate"

    @property
    def is_stream_end(self) -> bool:
        return self.event_type == "StreamEnd"

    @property
    def is_stream_error(self) -> bool:
        return self.event_type == "StreamError"

    @property
    def as_content_delta(self) -> PartialContentDelta:
        if isinstance(self.data, PartialContentDelta):
            return self.data
        raise self._refuse("PartialContentDelta")

    @property
    def as_thinking_delta(self) -> ThinkingDelta:
        if isinstance(self.data, ThinkingDelta):
            return self.data
        raise self._refuse("ThinkingDelta")

    @property
    def as_tool_call_started(self) -> ToolCallStarted:
        if isinstance(self.data, ToolCallStarted):
            return self.data
        raise self._refuse("ToolCallStarted")

    @property
    def as_partial_tool_call(self) -> PartialToolCall:
        if isinstance(self.data, PartialToolCall):
            return self.data
        raise self._refuse("PartialToolCall")

    @property
    def as_tool_call_ended(self) -> ToolCallEnded:
        if isinstance(self.data, ToolCallEnded):
            return self.data
        raise self._refuse("ToolCallEnded")

    @property
    def as_metadata(self) -> Metadata:
        if isinstance(self.data, Metadata):
            return self.data
        raise self._refuse("Metadata")

    @property
    def as_final_candidate(self) -> FinalCandidate:
        if isinstance(self.data, FinalCandidate):
            return self.data
        raise self._refuse("FinalCandidate")

    @property
    def as_stream_end(self) -> StreamEnd:
        if isinstance(self.data, StreamEnd):
            return self.data
        raise self._refuse("StreamEnd")

    @property
    def as_stream_error(self) -> StreamError:
        if isinstance(self.data, StreamError):
            return self.data
        raise self._refuse("StreamError")
