"""Makes spans, keeps track of the current one, and hands over those that have ended.

    tracer = Tracer("shop", ConsoleExporter())
    with tracer.span("order") as span:
        span.set_attribute("items", 3)

Where OpenTelemetry is installed a tracer without an exporter makes the same spans there, so that
they go wherever the application sends its own. A client with a tracer makes a span for each request
to a model; see `genai` for what it says.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextvars import Token
from functools import partial
from typing import Any, TextIO

from dragoman.ai.telemetry.current import PROCESS, caller_span, current_span
from dragoman.ai.telemetry.otel import Bridge, bridge_of
from dragoman.ai.telemetry.spans import Span, SpanContext, SpanKind, SpanStatus, plain_text
from dragoman.core.redact import redact_text

__all__ = [
    "ConsoleExporter",
    "InMemoryExporter",
    "Span",
    "SpanContext",
    "SpanExporter",
    "SpanKind",
    "SpanStatus",
    "Tracer",
    "get_current_span",
    "get_current_span_id",
    "get_current_trace_id",
    "get_tracer",
    "set_tracer",
]

_log = logging.getLogger("dragoman.ai")

MOST_SPANS = 10_000
"""What `InMemoryExporter` keeps; the oldest go first."""


class SpanExporter:
    """Gets every span that has ended. Override `export`, which must not block for long."""

    def export(self, span: Span) -> None:
        """Take over a span; it does not change any more."""

    def shutdown(self) -> None:
        """No more spans will come."""


class InMemoryExporter(SpanExporter):
    """Keeps spans, for tests and for a look at what happened; at most `max_spans`."""

    def __init__(self, max_spans: int = MOST_SPANS) -> None:
        self._spans: deque[Span] = deque(maxlen=max_spans)

    def export(self, span: Span) -> None:
        self._spans.append(span)

    def get_spans(self) -> list[Span]:
        return list(self._spans)

    def clear(self) -> None:
        self._spans.clear()


class ConsoleExporter(SpanExporter):
    """Writes each span as a line of JSON, to stdout unless told otherwise."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    def export(self, span: Span) -> None:
        print(json.dumps(span.to_dict(), ensure_ascii=False), file=self._stream or sys.stdout, flush=True)


class Tracer:
    """`name` says who makes the spans.

    `otel` None means: in OpenTelemetry too, if it is installed and there is no exporter. True asks
    for it (MissingExtra if it is missing), False goes without, a provider of its SDK is used as it is.
    `record_content` lets spans of requests to models hold messages and answers. `clock` gives seconds since the epoch.
    """

    def __init__(
        self,
        name: str,
        exporter: SpanExporter | None = None,
        *,
        otel: Any = None,
        record_content: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._name = name
        self._exporter = exporter
        self._clock = clock
        self.record_content = record_content
        self._bridge: Bridge | None = bridge_of(name, otel if otel is not None or exporter is None else False)

    @property
    def name(self) -> str:
        return self._name

    @property
    def current_trace_id(self) -> str | None:
        """The trace that the running code is part of; see `get_current_trace_id`."""
        return get_current_trace_id()

    def set_exporter(self, exporter: SpanExporter) -> None:
        """From now on spans go there, too."""
        self._exporter = exporter

    def start_span(
        self,
        name: str,
        kind: SpanKind = SpanKind.INTERNAL,
        parent: SpanContext | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> Span:
        """A span that has begun, for its maker to end; it does not become the current one.

        Without `parent` it is a child of the current span, of OpenTelemetry's if there is none of ours,
        of the caller's in another process if there is neither.
        """
        current = current_span.get()
        above = current.context if current is not None else caller_span.get()
        began, name = self._clock(), plain_text(name)
        twin = None
        if self._bridge is not None:
            twin, context, parent = self._bridge.start(name, kind, parent, above, began, is_far=current is None)
        else:
            parent = parent if parent is not None else above
            context = SpanContext.generate(parent)
        span = Span(name, context, parent, kind, start_time=began, on_end=self._export, twin=twin, clock=self._clock)
        return span.set_attributes(attributes or {})

    def span(
        self,
        name: str,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Mapping[str, Any] | None = None,
        parent: SpanContext | None = None,
    ) -> SpanBlock:
        """A span that is the current one within a `with` or `async with` block and ends with it.

        An exception that leaves the block is noted and goes on.
        """
        return SpanBlock(self, name, kind, attributes, parent)

    def _export(self, span: Span) -> None:
        if self._exporter is None:
            return
        try:
            self._exporter.export(span)
        except Exception as error:
            _log.warning("a span could not be exported: %s: %s", type(error).__name__, redact_text(str(error)))

    def shutdown(self) -> None:
        """Tell the exporter that no more spans will come."""
        if self._exporter is not None:
            self._exporter.shutdown()


class CurrentBlock:
    """Makes a span the current one, here and in OpenTelemetry; not to be held over a `yield`."""

    __slots__ = ("_attached", "_span", "_token")

    def __init__(self, span: Span) -> None:
        self._span = span
        self._token: Token[Span | None] | None = None
        self._attached: Callable[[], None] | None = None

    def __enter__(self) -> Span:
        self._token = current_span.set(self._span)
        if self._span.twin is not None:
            self._attached = self._span.twin.attach()
        return self._span

    def __exit__(self, *exception: object) -> None:
        if self._attached is not None:
            self._attached()
        if self._token is not None:
            current_span.reset(self._token)


class SpanBlock:
    """What `Tracer.span` gives: a block, sync or async."""

    def __init__(
        self,
        tracer: Tracer,
        name: str,
        kind: SpanKind,
        attributes: Mapping[str, Any] | None,
        parent: SpanContext | None,
    ) -> None:
        self._begin = partial(tracer.start_span, name, kind, parent, attributes)
        self._current: CurrentBlock | None = None
        self._span: Span | None = None

    def __enter__(self) -> Span:
        self._span = self._begin()
        self._current = CurrentBlock(self._span)
        return self._current.__enter__()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        span, current = self._span, self._current
        assert span is not None  # entered
        assert current is not None
        current.__exit__()
        if error is not None:
            span.record_exception(error)
            span.set_status(SpanStatus.ERROR, str(error))
        elif span.status is SpanStatus.UNSET:
            span.set_status(SpanStatus.OK)
        span.end()

    async def __aenter__(self) -> Span:
        return self.__enter__()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self.__exit__(kind, error, trace)


def get_current_span() -> Span | None:
    """The span that the running code is part of."""
    return current_span.get()


def get_current_trace_id() -> str | None:
    """The trace that the running code is part of."""
    span = current_span.get()
    return span.trace_id if span is not None else None


def get_current_span_id() -> str | None:
    """The id of the current span."""
    span = current_span.get()
    return span.span_id if span is not None else None


def get_tracer(name: str = "dragoman.ai") -> Tracer:
    """The tracer of this process, made now if there is none; clients without one of their own use it from then on."""
    if PROCESS.tracer is None:
        PROCESS.tracer = Tracer(name)
    return PROCESS.tracer


def set_tracer(tracer: Tracer | None) -> None:
    """Let all clients without a tracer of their own use this one; None turns it off."""
    PROCESS.tracer = tracer
