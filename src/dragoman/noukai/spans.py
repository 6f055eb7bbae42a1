"""OpenTelemetry spans of calls and, if wanted, of the steps behind them.

Off by default, and then `opentelemetry` is never imported. It is in the dialect's own extra of the
published package; here `dragoman[telemetry]` brings it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from pydantic_core import to_json

from dragoman._version import __version__
from dragoman.noukai.exceptions import NoukaiError
from dragoman.noukai.models import StepTrace
from dragoman.noukai.types import Address

LONGEST_PAYLOAD = 4096
"""Characters of JSON that a span attribute keeps of an input or output."""


class Span:
    """The span of one call; this one is nothing."""

    def ended(self, execution_id: str | None, status: str | None) -> None:
        """Note how the call ended."""

    def add_steps(self, steps: Sequence[StepTrace]) -> None:
        """Add a child for each step."""


class Spans:
    """Makes spans; this one makes none. `steps` says whether the steps of a run are wanted."""

    steps = False

    @contextmanager
    def call(self, operation: str, flow: Address, version: str) -> Iterator[Span]:
        yield Span()


NO_SPANS = Spans()


class OtelSpan(Span):
    """A span of OpenTelemetry."""

    def __init__(self, span: Any, tracer: Any, payloads: bool) -> None:
        self._span = span
        self._tracer = tracer
        self._payloads = payloads

    def ended(self, execution_id: str | None, status: str | None) -> None:
        if execution_id is not None:
            self._span.set_attribute("noukai.execution_id", execution_id)
        if status is not None:
            self._span.set_attribute("noukai.flow.status", status)

    def add_steps(self, steps: Sequence[StepTrace]) -> None:
        from opentelemetry.trace import SpanKind, Status, StatusCode

        for step in steps:
            child = self._tracer.start_span(
                "noukai.flow.step", kind=SpanKind.INTERNAL, start_time=nanoseconds(step.started_at)
            )
            for name, value in step_attributes(step, self._payloads).items():
                child.set_attribute(name, value)
            if step.status == "failed":
                child.set_status(Status(StatusCode.ERROR))
            child.end(end_time=nanoseconds(step.completed_at))


class OtelSpans(Spans):
    """Spans in the caller's own OpenTelemetry provider."""

    def __init__(self, tracer: Any, *, steps: bool = False, payloads: bool = False) -> None:
        self.steps = steps
        self._tracer = tracer
        self._payloads = payloads

    @contextmanager
    def call(self, operation: str, flow: Address, version: str) -> Iterator[Span]:
        from opentelemetry.trace import SpanKind, Status, StatusCode

        attributes = {
            "noukai.org": flow.org,
            "noukai.project": flow.project,
            "noukai.flow.slug": flow.slug,
            "noukai.flow.version": version,
        }
        with self._tracer.start_as_current_span(
            f"noukai.flow.{operation}",
            kind=SpanKind.CLIENT,
            attributes=attributes,
            record_exception=False,  # done below, once
            set_status_on_exception=False,
        ) as span:
            try:
                yield OtelSpan(span, self._tracer, self._payloads)
            except Exception as error:
                span.record_exception(error)
                span.set_status(Status(StatusCode.ERROR, str(error)))
                raise


def make_spans(otel: bool, tracer: Any, steps: bool, payloads: bool) -> Spans:
    """The spans that a client's arguments ask for. Raises NoukaiError where OpenTelemetry is missing."""
    steps = steps or payloads
    if not (otel or steps):
        return NO_SPANS
    if tracer is None:
        try:
            from opentelemetry import trace
        except ImportError as error:
            raise NoukaiError("otel=True needs OpenTelemetry: pip install 'dragoman[telemetry]'") from error
        tracer = trace.get_tracer("dragoman.noukai", __version__)
    return OtelSpans(tracer, steps=steps, payloads=payloads)


def nanoseconds(time: str | None) -> int | None:
    """An ISO 8601 time as nanoseconds since the epoch; None for none, or for what is none."""
    try:
        return int(datetime.fromisoformat(time).timestamp() * 1_000_000_000) if time else None
    except ValueError:
        return None


def step_attributes(step: StepTrace, payloads: bool) -> dict[str, Any]:
    """What a step's span says; contexts only with `payloads`."""
    found: dict[str, Any] = {
        "noukai.step.id": step.step_id,
        "noukai.step.attempt": step.attempt,
        "noukai.step.status": step.status,
        "noukai.step.duration_ms": step.duration_ms,
        "noukai.step.loop_index": step.loop_index,
        "noukai.step.cost_usd": step.cost_usd,
        "gen_ai.request.model": step.model_used,
    }
    if step.tokens is not None:
        found["gen_ai.usage.input_tokens"] = step.tokens.prompt
        found["gen_ai.usage.output_tokens"] = step.tokens.completion
    if payloads:
        found["noukai.step.input"] = _cut(step.input_context)
        found["noukai.step.output"] = _cut(step.output_context)
        found["noukai.step.error"] = _cut(step.error_context)
    return {name: value for name, value in found.items() if value is not None}


def _cut(context: Any) -> str | None:
    return None if context is None else to_json(context, fallback=str).decode()[:LONGEST_PAYLOAD]
