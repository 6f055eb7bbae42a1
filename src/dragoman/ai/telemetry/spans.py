"""A span: one piece of work, when it began and ended, and what is known of it.

Secrets do not get in: values under names that carry them and texts that are some are replaced when
they are set. A span knows neither who made it current nor where it goes when it ends.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from dragoman.core.redact import REDACTED, is_secret_name, redact, redact_text
from dragoman.wire.json_text import sound

__all__ = ["Span", "SpanContext", "SpanEvent", "SpanKind", "SpanStatus", "Twin"]

MOST_ATTRIBUTES = 128
MOST_EVENTS = 128
"""Of one span; what comes beyond is dropped."""

MOST_CHARACTERS = 65_536
"""What is kept of a text; contents of messages are the longest."""

_LARGEST = (1 << 63) - 1
"""Of whole numbers, as exporters of spans write them."""

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII | re.DOTALL)


class SpanKind(StrEnum):
    """What side of which conversation a span is."""

    INTERNAL = "INTERNAL"
    SERVER = "SERVER"
    CLIENT = "CLIENT"
    PRODUCER = "PRODUCER"
    CONSUMER = "CONSUMER"


class SpanStatus(StrEnum):
    """How a span ended."""

    UNSET = "UNSET"
    OK = "OK"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True)
class SpanContext:
    """Which span of which trace: 32 and 16 hexadecimal digits. Bit 0 of `trace_flags` says that it is recorded."""

    trace_id: str
    span_id: str
    trace_flags: int = 1
    trace_state: str = ""

    @classmethod
    def generate(cls, parent: SpanContext | None = None) -> SpanContext:
        """A new span, of the parent's trace or of a new one."""
        span_id = _nonzero(8)
        if parent is None:
            return cls(_nonzero(16), span_id)
        return cls(parent.trace_id, span_id, parent.trace_flags, parent.trace_state)

    def to_w3c_traceparent(self) -> str:
        """The value of a `traceparent` header."""
        return f"00-{self.trace_id}-{self.span_id}-{self.trace_flags & 0xFF:02x}"

    @classmethod
    def from_w3c_traceparent(cls, header: str) -> SpanContext | None:
        """The context in a `traceparent` header; None when it is not one. Later versions are read as far as known."""
        found = _TRACEPARENT.fullmatch(header.strip())
        if found is None:
            return None
        version, trace_id, span_id, flags, more = found.groups()
        if version == "ff" or (version == "00" and more) or not trace_id.strip("0") or not span_id.strip("0"):
            return None
        return cls(trace_id, span_id, int(flags, 16))


def _nonzero(octets: int) -> str:
    while not (made := secrets.token_hex(octets)).strip("0"):
        pass
    return made


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """Something that happened within a span, at `timestamp` seconds since the epoch."""

    name: str
    timestamp: float
    attributes: dict[str, Any] = field(default_factory=dict)


class Twin(Protocol):
    """The same span in somebody else's tracing; it is told everything that is told to ours."""

    def set_attribute(self, name: str, value: Any) -> None: ...
    def add_event(self, name: str, attributes: Mapping[str, Any], timestamp: float) -> None: ...
    def set_status(self, status: SpanStatus, message: str) -> None: ...
    def end(self, end_time: float) -> None: ...
    def attach(self) -> Callable[[], None]: ...


@dataclass(eq=False)
class Span:
    """Times are seconds since the epoch. Setters give the span; after `end` they do nothing."""

    name: str
    context: SpanContext
    parent_context: SpanContext | None = None
    kind: SpanKind = SpanKind.INTERNAL
    status: SpanStatus = SpanStatus.UNSET
    status_message: str = ""
    start_time: float = field(default_factory=time.time)
    end_time: float | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    events: list[SpanEvent] = field(default_factory=list)
    on_end: Callable[[Span], None] | None = field(default=None, repr=False)
    twin: Twin | None = field(default=None, repr=False)
    clock: Callable[[], float] = field(default=time.time, repr=False)

    @property
    def trace_id(self) -> str:
        return self.context.trace_id

    @property
    def span_id(self) -> str:
        return self.context.span_id

    @property
    def duration_ms(self) -> float | None:
        """Milliseconds from begin to end; None before it has ended."""
        return None if self.end_time is None else max(self.end_time - self.start_time, 0.0) * 1000

    def set_attribute(self, key: str, value: Any) -> Span:
        """A fact: text, number, boolean, or a list of them; anything else becomes text. None is left out."""
        has_room = key in self.attributes or len(self.attributes) < MOST_ATTRIBUTES
        if self.end_time is None and value is not None and has_room:
            self.attributes[key] = value = safe(key, value)
            if self.twin is not None:
                self.twin.set_attribute(key, value)
        return self

    def set_attributes(self, attributes: Mapping[str, Any]) -> Span:
        for key, value in attributes.items():
            self.set_attribute(key, value)
        return self

    def add_event(self, name: str, attributes: Mapping[str, Any] | None = None) -> Span:
        """Something that happens now."""
        if self.end_time is None and len(self.events) < MOST_EVENTS:
            named = {key: safe(key, value) for key, value in (attributes or {}).items() if value is not None}
            event = SpanEvent(name, self.clock(), named)
            self.events.append(event)
            if self.twin is not None:
                self.twin.add_event(name, named, event.timestamp)
        return self

    def set_status(self, status: SpanStatus | str, message: str = "") -> Span:
        if self.end_time is None:
            self.status, self.status_message = SpanStatus(status), plain_text(message)
            if self.twin is not None:
                self.twin.set_status(self.status, self.status_message)
        return self

    def record_exception(self, exception: BaseException) -> Span:
        """Note its class and text, without a traceback."""
        found = {"exception.type": type(exception).__qualname__, "exception.message": str(exception)}
        return self.add_event("exception", found)

    def end(self, end_time: float | None = None) -> None:
        """It is over; whoever exports spans gets it. Again, it does nothing."""
        if self.end_time is not None:
            return
        self.end_time = end_time if end_time is not None else self.clock()
        if self.twin is not None:
            self.twin.end(self.end_time)
        if self.on_end is not None:
            self.on_end(self)

    def to_dict(self) -> dict[str, Any]:
        """The span as JSON-like values."""
        return {
            "name": self.name,
            "trace_id": self.trace_id,
            "span_id": self.span_id,
            "parent_span_id": self.parent_context.span_id if self.parent_context is not None else None,
            "kind": self.kind.value,
            "status": self.status.value,
            "status_message": self.status_message,
            "start_time": self.start_time,
            "end_time": self.end_time,
            "duration_ms": self.duration_ms,
            "attributes": dict(self.attributes),
            "events": [
                {"name": event.name, "timestamp": event.timestamp, "attributes": dict(event.attributes)}
                for event in self.events
            ],
        }


def safe(key: str, value: Any) -> Any:
    """The value as an attribute may hold it: no secrets, nothing that exporters cannot write."""
    if isinstance(value, int) and not -_LARGEST <= value <= _LARGEST:
        return hex(value)
    if isinstance(value, bool | int | float):
        return value
    if is_secret_name(key):
        return REDACTED
    if isinstance(value, list | tuple):
        plain = [safe("", one) for one in value]
        alike = len({type(one) for one in plain}) <= 1
        return plain if alike else [str(one) for one in plain]
    text = value if isinstance(value, str) else str(redact(value))
    return plain_text(text)


def plain_text(text: str) -> str:
    """The text without secrets, without half characters, and short enough."""
    return redact_text(sound(text))[:MOST_CHARACTERS]
