"""What telemetry holds for the whole process, and which span is current here.

The smallest part of telemetry, and the only one that a client loads when none is on.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dragoman.ai.telemetry.metrics import MetricsCollector
    from dragoman.ai.telemetry.spans import Span
    from dragoman.ai.telemetry.tracer import Tracer

__all__ = ["PROCESS", "current_span", "traceparent"]


class Process:
    """The collector and the tracer of all clients that have none of their own; None: those measure nothing."""

    __slots__ = ("collector", "tracer")

    def __init__(self) -> None:
        self.collector: MetricsCollector | None = None
        self.tracer: Tracer | None = None


PROCESS = Process()

current_span: ContextVar[Span | None] = ContextVar("dragoman_ai_span", default=None)


def traceparent() -> str | None:
    """The W3C header value of the current span; None without one."""
    span = current_span.get()
    return None if span is None else span.context.to_w3c_traceparent()
