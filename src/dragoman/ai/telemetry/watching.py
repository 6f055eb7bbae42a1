"""What the metrics and the trace say of one request to one model, from before it is sent until its end.

Made by the client's targets where a collector or a tracer is on, and told by them what happens; it
decides nothing, and nothing that goes wrong here reaches the call.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from dragoman.ai.adapters.call import ChatCall
from dragoman.ai.telemetry.genai import (
    CHAT,
    ERROR,
    answer_attributes,
    content_of_answer,
    content_of_call,
    request_attributes,
)
from dragoman.ai.telemetry.labels import MetricLabels
from dragoman.ai.telemetry.spans import Span, SpanKind, SpanStatus
from dragoman.ai.telemetry.tracer import CurrentBlock, Tracer
from dragoman.core.redact import redact_text

__all__ = ["MetricsSink", "Watch", "error_name", "safely"]

_log = logging.getLogger("dragoman.ai")


class MetricsSink(Protocol):
    """Where a client tells what it measures. `MetricsCollector` is one, and a server's own metrics may be another."""

    def record_request(
        self, labels: MetricLabels, latency: float, status: str = "success", tokens_in: int = 0, tokens_out: int = 0
    ) -> None: ...
    def record_retry(self, labels: MetricLabels, attempt: int) -> None: ...
    def record_rate_limit_wait(self, labels: MetricLabels, wait_time: float) -> None: ...
    def record_circuit_open(self, labels: MetricLabels) -> None: ...
    def record_first_token(self, labels: MetricLabels, seconds: float) -> None: ...
    def record_cost(self, labels: MetricLabels, usd: float) -> None: ...
    def add_inflight(self, labels: MetricLabels, change: int) -> None: ...


class Answered(Protocol):
    """What is told of an answer, folded or plain."""

    model: str | None
    candidates: Any
    finish_reason: str | None


class Watch:
    """One request. `begin` first, `end` in the end, once; in between what happens.

    `clock` gives monotonic seconds.
    """

    def __init__(
        self,
        metrics: MetricsSink | None,
        tracer: Tracer | None,
        *,
        provider: str,
        model: str,
        clock: Callable[[], float],
    ) -> None:
        self._metrics = metrics
        self._tracer = tracer
        self._who = MetricLabels(provider, model)
        self._endpoint: str | None = None
        self._operation: str | None = None
        self._clock = clock
        self._began = clock()
        self._first: float | None = None
        self._span: Span | None = None
        self._is_over = True  # nothing to end before it has begun

    @property
    def records_content(self) -> bool:
        """Whether the answer itself is wanted at the end."""
        return self._tracer is not None and self._tracer.record_content

    @property
    def is_traced(self) -> bool:
        return self._tracer is not None

    def begin(
        self, call: ChatCall | None, *, endpoint: str | None, url: str | None, operation: str | None = None
    ) -> None:
        """The request is about to be sent; one that is no chat names its `operation` and has no `call`."""
        self._endpoint, self._operation = endpoint, operation
        self._began = self._clock()
        self._is_over = False
        if self._metrics is not None:
            safely(self._metrics.add_inflight, self._who, 1)
        if self._tracer is not None:
            safely(self._start_span, self._tracer, call, url)

    def _start_span(self, tracer: Tracer, call: ChatCall | None, url: str | None) -> None:
        provider, model = self._who.provider or "", self._who.model or ""
        operation = self._operation or CHAT
        facts = request_attributes(provider, model, call, url, operation)
        self._span = tracer.start_span(f"{operation} {model}", SpanKind.CLIENT, attributes=facts)
        if call is not None and tracer.record_content:
            self._span.set_attributes(content_of_call(call))

    def current(self) -> AbstractContextManager[Any]:
        """Within this block the request's span is the current one; not to be held over a `yield`."""
        return CurrentBlock(self._span) if self._span is not None else nullcontext()

    def retried(self, attempt: int, error: BaseException, delay: float) -> None:
        """Attempt number `attempt` (from 1) follows after `delay` seconds."""
        if self._metrics is not None:
            safely(self._metrics.record_retry, self._who, attempt)
        if self._span is not None:
            found = {"attempt": attempt, "delay_seconds": delay, ERROR: error_name(error)}
            safely(self._span.add_event, "retry", found)

    def first_output(self) -> None:
        """The first content, thinking or tool event of a stream has come; only the first time counts."""
        if self._first is None:
            self._first = max(self._clock() - self._began, 0.0)
            if self._metrics is not None:
                safely(self._metrics.record_first_token, self._who, self._first)

    def end(
        self,
        *,
        usage: Mapping[str, Any] | None = None,
        cost: float | None = None,
        answer: Answered | None = None,
        id: Any = None,
        error: BaseException | None = None,
        cancelled: bool = False,
    ) -> None:
        """It is over: answered, failed with `error`, or `cancelled`. Again, or before it began, it does nothing."""
        if self._is_over:
            return
        self._is_over = True
        seconds = max(self._clock() - self._began, 0.0)
        status = "cancelled" if cancelled else "success" if error is None else "error"
        name = error_name(error) if error is not None and not cancelled else None
        if self._metrics is not None:
            safely(self._count, self._metrics, seconds, status, name, usage or {}, cost)
        if self._span is not None:
            facts = answer_attributes(usage=usage, cost=cost, id=id, first_token=self._first, **_facts(answer))
            safely(self._end_span, self._span, facts, answer, error, name)

    def _count(
        self,
        metrics: MetricsSink,
        seconds: float,
        status: str,
        name: str | None,
        usage: Mapping[str, Any],
        cost: float | None,
    ) -> None:
        metrics.add_inflight(self._who, -1)
        labels = MetricLabels(self._who.provider, self._who.model, self._endpoint, status, name, self._operation)
        tokens = (_tokens(usage, "prompt_tokens"), _tokens(usage, "completion_tokens"))
        metrics.record_request(labels, seconds, status, *tokens)
        if cost is not None:
            metrics.record_cost(self._who, cost)

    def _end_span(
        self, span: Span, facts: dict[str, Any], answer: Answered | None, error: BaseException | None, name: str | None
    ) -> None:
        span.set_attributes(facts)
        if answer is not None and self.records_content:
            span.set_attributes(content_of_answer(answer.candidates))
        if error is not None and name is not None:
            span.set_attribute(ERROR, name)
            span.set_status(SpanStatus.ERROR, str(error))
        span.end()


def safely(call: Callable[..., object], *arguments: Any) -> None:
    """Call this; what it raises is logged and goes no further."""
    try:
        call(*arguments)
    except Exception as error:
        _log.warning("telemetry failed: %s: %s", type(error).__name__, redact_text(str(error)))


def _facts(answer: Answered | None) -> dict[str, Any]:
    if answer is None:
        return {}
    reasons: Iterable[str | None] = [one.finish_reason for one in answer.candidates] or [answer.finish_reason]
    return {"model": answer.model, "reasons": reasons}


def _tokens(usage: Mapping[str, Any], name: str) -> int:
    value = usage.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def error_name(error: BaseException) -> str:
    """The class of an error as labels and spans tell it: that of the code table, else its Python name."""
    found = getattr(error, "error_class", None)
    return str(getattr(found, "value", found)) if found is not None else type(error).__name__
