"""Our spans, made in OpenTelemetry at the same time.

Only its API is used; where spans go is for the application's own set-up to say. Imported when a
tracer is made that may need it, never by importing this package.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dragoman._version import __version__
from dragoman.ai.telemetry.spans import SpanContext, SpanKind, SpanStatus
from dragoman.core.errors import MissingExtra

__all__ = ["Bridge", "bridge_of"]


def bridge_of(name: str, wanted: Any) -> Bridge | None:
    """The way to OpenTelemetry; see `Tracer` for what `wanted` may be."""
    if wanted is False:
        return None
    try:
        from opentelemetry import trace
    except ImportError as error:
        if wanted is None:
            return None
        raise MissingExtra("Tracing with OpenTelemetry", "telemetry") from error
    provider = None if wanted is None or wanted is True else wanted
    return Bridge(trace.get_tracer(name, __version__, tracer_provider=provider))


class Bridge:
    """Starts twins of spans with a tracer of OpenTelemetry."""

    def __init__(self, tracer: Any) -> None:
        self._tracer = tracer

    def start(
        self,
        name: str,
        kind: SpanKind,
        given: SpanContext | None,
        current: SpanContext | None,
        began: float,
        *,
        is_far: bool = False,
    ) -> tuple[OtelTwin, SpanContext, SpanContext | None]:
        """The twin, its context, and that of its parent.

        The parent is the `given` one, else OpenTelemetry's current span, else our `current` one, which
        `is_far` when it is of another process. Where nothing records spans, ours have ids of their own.
        """
        from opentelemetry import trace

        above = trace.get_current_span().get_span_context()
        parent = given if given is not None else _ours(above) if above.is_valid else current
        context = None
        if parent is not None and not (above.is_valid and parent == _ours(above)):
            is_remote = is_far or given is not None
            flags = trace.TraceFlags(parent.trace_flags & 0xFF)
            far = trace.SpanContext(int(parent.trace_id, 16), int(parent.span_id, 16), is_remote, flags)
            context = trace.set_span_in_context(trace.NonRecordingSpan(far))
        kinds = trace.SpanKind
        span = self._tracer.start_span(name, context=context, kind=kinds[kind.name], start_time=nanoseconds(began))
        made = _ours(span.get_span_context())
        is_own = span.get_span_context().is_valid and (parent is None or made.span_id != parent.span_id)
        return OtelTwin(span), made if is_own else SpanContext.generate(parent), parent


class OtelTwin:
    """A span of OpenTelemetry that is told what ours is told."""

    __slots__ = ("span",)

    def __init__(self, span: Any) -> None:
        self.span = span

    def set_attribute(self, name: str, value: Any) -> None:
        self.span.set_attribute(name, value)

    def add_event(self, name: str, attributes: Mapping[str, Any], timestamp: float) -> None:
        self.span.add_event(name, attributes=dict(attributes), timestamp=nanoseconds(timestamp))

    def set_status(self, status: SpanStatus, message: str) -> None:
        from opentelemetry.trace import Status, StatusCode

        description = message if status is SpanStatus.ERROR and message else None  # others have none
        self.span.set_status(Status(StatusCode[status.name], description))

    def end(self, end_time: float) -> None:
        self.span.end(end_time=nanoseconds(end_time))

    def attach(self) -> Callable[[], None]:
        """Make it the current span there; call what comes back to undo it."""
        from opentelemetry import context, trace

        token = context.attach(trace.set_span_in_context(self.span))
        return lambda: context.detach(token)


def _ours(context: Any) -> SpanContext:
    return SpanContext(
        format(context.trace_id, "032x"), format(context.span_id, "016x"), int(context.trace_flags) & 0xFF
    )


def nanoseconds(seconds: float) -> int:
    """Seconds since the epoch as OpenTelemetry counts them."""
    return round(seconds * 1_000_000_000)
