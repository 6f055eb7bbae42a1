"""What telemetry holds for the whole process, and which span is current here.

The smallest part of telemetry, and the only one that a client loads when none is on.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dragoman.ai.telemetry.metrics import MetricsCollector
    from dragoman.ai.telemetry.spans import Span, SpanContext
    from dragoman.ai.telemetry.tracer import Tracer

__all__ = ["PROCESS", "caller_span", "current_span", "traceparent"]


class Process:
    """The collector and the tracer of all clients that have none of their own; None: those measure nothing."""

    __slots__ = ("collector", "tracer")

    def __init__(self) -> None:
        self.collector: MetricsCollector | None = None
        self.tracer: Tracer | None = None


PROCESS = Process()

current_span: ContextVar[Span | None] = ContextVar("dragoman_ai_span", default=None)

caller_span: ContextVar[SpanContext | None] = ContextVar("dragoman_ai_caller_span", default=None)
"""The span of another process that this work is part of, where it told us; a server sets it."""


def traceparent() -> str | None:
    """The W3C header value of the current span, else of the caller's; None without either."""
    span = current_span.get()
    context = span.context if span is not None else caller_span.get()
    return None if context is None else context.to_w3c_traceparent()
