"""What users make of answers, as events, and where these go.

    await report_feedback(ThumbsFeedback("req-1", is_positive=True))

By default nowhere. Events hold what the application puts into them; nothing is sent by this library.
"""

from __future__ import annotations

import hashlib
import logging
import sys
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable
from dataclasses import InitVar, dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, TextIO, TypeAlias

from dragoman.core.redact import redact_text

__all__ = [
    "ChoiceSelectionFeedback",
    "CompositeFeedbackSink",
    "ConsoleFeedbackSink",
    "CorrectionFeedback",
    "FeedbackCollector",
    "FeedbackEvent",
    "FeedbackSink",
    "FeedbackType",
    "InMemoryFeedbackSink",
    "NoopFeedbackSink",
    "RatingFeedback",
    "RegenerateFeedback",
    "StopFeedback",
    "TextFeedback",
    "ThumbsFeedback",
    "get_feedback_sink",
    "report_feedback",
    "set_feedback_sink",
]

_log = logging.getLogger("dragoman.ai")


class FeedbackType(StrEnum):
    """What kind of feedback an event is."""

    CHOICE_SELECTION = "choice_selection"
    RATING = "rating"
    THUMBS = "thumbs"
    TEXT = "text"
    CORRECTION = "correction"
    REGENERATE = "regenerate"
    STOP = "stop"


class _Event:
    """What all seven share."""

    feedback_type: ClassVar[FeedbackType]

    def to_dict(self) -> dict[str, Any]:
        """All fields, and `type`."""
        named = {one.name: getattr(self, one.name) for one in fields(self)}  # type: ignore[arg-type]  # all are dataclasses
        return {"type": self.feedback_type.value, **named}


def _also(event: _Event, name: str, other: str, given: int | None) -> None:
    """A field under another name, for giving it and for reading it."""
    if given is not None:
        object.__setattr__(event, name, given)
    object.__setattr__(event, other, getattr(event, name))


@dataclass(frozen=True)
class ChoiceSelectionFeedback(_Event):
    """One of several candidates was chosen."""

    feedback_type: ClassVar[FeedbackType] = FeedbackType.CHOICE_SELECTION
    request_id: str
    chosen_index: int
    rejected_indices: list[int] | None = None
    latency_to_select_ms: float | None = None
    ui_context: dict[str, Any] | None = None
    candidate_hashes: list[str] | None = None
    timestamp: float = field(default_factory=time.time)


@dataclass(frozen=True)
class RatingFeedback(_Event):
    """So many of `max_rating` stars."""

    feedback_type: ClassVar[FeedbackType] = FeedbackType.RATING
    request_id: str
    rating: int
    max_rating: int = 5
    category: str | None = None
    comment: str | None = None
    timestamp: float = field(default_factory=time.time)


@dataclass(frozen=True)
class ThumbsFeedback(_Event):
    """Up or down."""

    feedback_type: ClassVar[FeedbackType] = FeedbackType.THUMBS
    request_id: str
    is_positive: bool
    reason: str | None = None
    timestamp: float = field(default_factory=time.time)


@dataclass(frozen=True)
class TextFeedback(_Event):
    """A remark."""

    feedback_type: ClassVar[FeedbackType] = FeedbackType.TEXT
    request_id: str
    text: str
    category: str | None = None
    timestamp: float = field(default_factory=time.time)


@dataclass(frozen=True)
class CorrectionFeedback(_Event):
    """The answer was edited; hashes stand for the texts, and may be made of `original_text` and `corrected_text`."""

    feedback_type: ClassVar[FeedbackType] = FeedbackType.CORRECTION
    request_id: str
    original_hash: str = ""
    corrected_hash: str = ""
    edit_distance: int | None = None
    correction_type: str | None = None
    timestamp: float = field(default_factory=time.time)
    original_text: InitVar[str | None] = None
    corrected_text: InitVar[str | None] = None

    def __post_init__(self, original_text: str | None, corrected_text: str | None) -> None:
        for name, text in (("original", original_text), ("corrected", corrected_text)):
            if text is not None:
                digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
                object.__setattr__(self, f"{name}_hash", digest)
            elif not getattr(self, f"{name}_hash"):
                raise TypeError(f"a correction needs {name}_hash or {name}_text")


@dataclass(frozen=True)
class RegenerateFeedback(_Event):
    """Another answer was asked for."""

    feedback_type: ClassVar[FeedbackType] = FeedbackType.REGENERATE
    request_id: str
    regeneration_count: int = 1
    reason: str | None = None
    timestamp: float = field(default_factory=time.time)
    attempt_number: InitVar[int | None] = None

    def __post_init__(self, attempt_number: int | None) -> None:
        _also(self, "regeneration_count", "attempt_number", attempt_number)


@dataclass(frozen=True)
class StopFeedback(_Event):
    """The answer was stopped while it was written."""

    feedback_type: ClassVar[FeedbackType] = FeedbackType.STOP
    request_id: str
    tokens_generated: int | None = None
    reason: str | None = None
    timestamp: float = field(default_factory=time.time)
    stopped_at_token: InitVar[int | None] = None

    def __post_init__(self, stopped_at_token: int | None) -> None:
        _also(self, "tokens_generated", "stopped_at_token", stopped_at_token)


FeedbackEvent: TypeAlias = (
    ChoiceSelectionFeedback
    | RatingFeedback
    | ThumbsFeedback
    | TextFeedback
    | CorrectionFeedback
    | RegenerateFeedback
    | StopFeedback
)


class FeedbackSink(ABC):
    """Where events go."""

    @abstractmethod
    async def report(self, event: FeedbackEvent) -> None:
        """Take an event."""

    async def report_batch(self, events: Iterable[FeedbackEvent]) -> None:
        """Take several, in their order."""
        for event in events:
            await self.report(event)

    async def close(self) -> None:
        """No more events will come."""


class NoopFeedbackSink(FeedbackSink):
    """Forgets everything."""

    async def report(self, event: FeedbackEvent) -> None:
        return


class InMemoryFeedbackSink(FeedbackSink):
    """Keeps the last `max_events`."""

    def __init__(self, max_events: int = 10_000) -> None:
        self._events: deque[FeedbackEvent] = deque(maxlen=max_events)

    async def report(self, event: FeedbackEvent) -> None:
        self._events.append(event)

    def get_events(self) -> list[FeedbackEvent]:
        return list(self._events)

    def get_events_by_request(self, request_id: str) -> list[FeedbackEvent]:
        return [event for event in self._events if event.request_id == request_id]

    def get_events_since(self, timestamp: float | datetime) -> list[FeedbackEvent]:
        """Those of this moment (seconds since the epoch, or a datetime) and later."""
        begin = timestamp.timestamp() if isinstance(timestamp, datetime) else timestamp
        return [event for event in self._events if event.timestamp >= begin]

    def get_events_by_type(self, feedback_type: FeedbackType | str) -> list[FeedbackEvent]:
        return [event for event in self._events if event.feedback_type == feedback_type]

    def clear(self) -> None:
        self._events.clear()


class ConsoleFeedbackSink(FeedbackSink):
    """Writes a line for each event, to stdout unless told otherwise."""

    def __init__(self, prefix: str = "[Feedback]", stream: TextIO | None = None) -> None:
        self._prefix = prefix
        self._stream = stream

    async def report(self, event: FeedbackEvent) -> None:
        told = {name: value for name, value in event.to_dict().items() if value is not None and name != "type"}
        print(f"{self._prefix} {event.feedback_type.value}: {told}", file=self._stream or sys.stdout)


class CompositeFeedbackSink(FeedbackSink):
    """Gives every event to several sinks; one that fails is logged and keeps the others from nothing."""

    def __init__(self, sinks: Iterable[FeedbackSink] | None = None) -> None:
        self._sinks = list(sinks or ())

    def add_sink(self, sink: FeedbackSink) -> CompositeFeedbackSink:
        self._sinks.append(sink)
        return self

    async def report(self, event: FeedbackEvent) -> None:
        for sink in self._sinks:
            try:
                await sink.report(event)
            except Exception as error:
                _failed(sink, error)

    async def close(self) -> None:
        for sink in self._sinks:
            try:
                await sink.close()
            except Exception as error:
                _failed(sink, error)


def _failed(sink: FeedbackSink, error: Exception) -> None:
    what = (type(sink).__name__, type(error).__name__, redact_text(str(error)))
    _log.warning("feedback sink %s failed: %s: %s", *what)


FeedbackCollector = CompositeFeedbackSink

_sink: FeedbackSink = NoopFeedbackSink()


def get_feedback_sink() -> FeedbackSink:
    """Where `report_feedback` sends events; nowhere by default."""
    return _sink


def set_feedback_sink(sink: FeedbackSink) -> None:
    """Let `report_feedback` give events to this."""
    global _sink
    _sink = sink


async def report_feedback(event: FeedbackEvent) -> None:
    """Give an event to the sink of this process."""
    await _sink.report(event)
