"""Our spans in OpenTelemetry: the same ids, parents, attributes and ends, and a collector that reads them."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from tests.ai.telemetry.otlp import attributes, collecting

from dragoman.ai.telemetry import InMemoryExporter, SpanContext, SpanKind, SpanStatus, Tracer, get_current_span
from dragoman.ai.telemetry.current import caller_span
from dragoman.core.errors import MissingExtra

pytestmark = pytest.mark.requirement("AIP-78")


@pytest.fixture
def memory() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def provider(memory: InMemorySpanExporter) -> Iterator[TracerProvider]:
    made = TracerProvider(shutdown_on_exit=False)
    made.add_span_processor(SimpleSpanProcessor(memory))
    yield made
    made.shutdown()


def named(memory: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in memory.get_finished_spans()}


def test_a_span_is_the_same_one_there(provider: TracerProvider, memory: InMemorySpanExporter) -> None:
    tracer = Tracer("shop", otel=provider)
    with tracer.span("order", SpanKind.CLIENT, {"n": 1, "texts": ["a"]}) as span:
        span.add_event("paid", {"how": "cash"})
        assert span.context.trace_flags & 1
    found = named(memory)["order"]
    assert found.context is not None
    assert format(found.context.trace_id, "032x") == span.trace_id
    assert format(found.context.span_id, "016x") == span.span_id
    assert found.kind is trace.SpanKind.CLIENT
    assert dict(found.attributes or {}) == {"n": 1, "texts": ("a",)}
    assert [event.name for event in found.events] == ["paid"]
    assert found.status.status_code is trace.StatusCode.OK
    assert found.start_time == round(span.start_time * 1_000_000_000)
    assert span.end_time is not None
    assert found.end_time == round(span.end_time * 1_000_000_000)


def test_parents_are_the_same_in_both_worlds(provider: TracerProvider, memory: InMemorySpanExporter) -> None:
    theirs, tracer = provider.get_tracer("app"), Tracer("shop", otel=provider)
    with theirs.start_as_current_span("request"), tracer.span("ours") as ours:
        assert trace.get_current_span().get_span_context().span_id == int(ours.span_id, 16)
        with theirs.start_as_current_span("below"), tracer.span("deepest") as deepest:
            assert get_current_span() is deepest
    found = named(memory)

    def parent(name: str) -> int:
        above = found[name].parent
        assert above is not None
        return above.span_id

    def own(name: str) -> int:
        context = found[name].context
        assert context is not None
        return context.span_id

    assert parent("ours") == own("request")
    assert parent("below") == own("ours")
    assert parent("deepest") == own("below")
    assert ours.parent_context is not None
    assert int(ours.parent_context.span_id, 16) == own("request")
    assert not trace.get_current_span().get_span_context().is_valid
    assert not otel_context.get_current()


def test_a_parent_from_elsewhere_is_kept(provider: TracerProvider, memory: InMemorySpanExporter) -> None:
    remote = SpanContext.from_w3c_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    with Tracer("shop", otel=provider).span("work", parent=remote) as span:
        assert span.trace_id == "0af7651916cd43dd8448eb211c80319c"
    above = named(memory)["work"].parent
    assert above is not None
    assert above.is_remote
    assert format(above.span_id, "016x") == "b7ad6b7169203331"


def test_an_error_is_an_error_there(provider: TracerProvider, memory: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="no"), Tracer("shop", otel=provider).span("work"):
        raise ValueError("no")
    found = named(memory)["work"]
    assert (found.status.status_code, found.status.description) == (trace.StatusCode.ERROR, "no")
    assert dict(found.events[0].attributes or {}) == {"exception.type": "ValueError", "exception.message": "no"}


def test_what_is_not_sampled_there_says_so_in_its_header() -> None:
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    with Tracer("shop", otel=provider).span("work") as span:
        assert not int(span.context.to_w3c_traceparent()[-2:], 16) & 1


def test_where_nobody_records_spans_ours_have_ids_of_their_own() -> None:
    with Tracer("shop").span("outer") as outer, Tracer("shop").span("inner") as inner:
        assert inner.trace_id == outer.trace_id
        assert inner.span_id != outer.span_id
        assert inner.parent_context == outer.context


def test_a_tracer_with_an_exporter_leaves_opentelemetry_alone(
    provider: TracerProvider, memory: InMemorySpanExporter
) -> None:
    exporter = InMemoryExporter()
    with Tracer("shop", exporter).span("mine"):
        pass
    both = Tracer("shop", exporter, otel=provider)
    both.start_span("both").set_status(SpanStatus.OK).end()
    assert [span.name for span in exporter.get_spans()] == ["mine", "both"]
    assert list(named(memory)) == ["both"]


def test_without_opentelemetry_spans_are_made_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with Tracer("shop").span("work") as span:
        assert len(span.trace_id) == 32
    with pytest.raises(MissingExtra, match="telemetry"):
        Tracer("shop", otel=True)


def test_a_collector_reads_what_is_sent_to_it_by_otlp() -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    with collecting() as collector:
        provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{collector.url}/v1/traces")))
        with Tracer("shop", otel=provider).span("order", attributes={"n": 1, "password": "hunter2"}) as span:
            pass
        provider.shutdown()
    (found,) = collector.spans
    assert found.name == "order"
    assert found.trace_id.hex() == span.trace_id
    assert attributes(found) == {"n": 1, "password": "[redacted]"}
    assert b"hunter2" not in b"".join(collector.raw)


def test_what_no_exporter_can_write_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    said = {"text": "a\ud800", "texts": ["\ud800"], "large": 1 << 70, "larger": 10**5000, "numbers": [1, -(1 << 70)]}
    with collecting() as collector:
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{collector.url}/v1/traces")))
        tracer = Tracer("shop", otel=provider)
        span = tracer.start_span("chat \ud800", attributes=said)
        span.add_event("retry", {"why": "\ud800"}).set_status("ERROR", "no \ud800").end()
        tracer.start_span("other").end()
        provider.shutdown()
    first, second = collector.spans
    assert (first.name, second.name) == ("chat \ufffd", "other")
    assert first.status.message == "no \ufffd"
    found = attributes(first)
    assert found.keys() == said.keys()
    assert (found["text"], found["texts"], found["large"]) == ("a\ufffd", ["\ufffd"], hex(1 << 70))
    assert not caplog.records


def test_a_caller_in_another_process_is_the_parent_where_nothing_nearer_is(
    provider: TracerProvider, memory: InMemorySpanExporter
) -> None:
    far = SpanContext.generate()
    tracer = Tracer("shop", otel=provider)
    token = caller_span.set(far)
    try:
        with tracer.span("work"):
            tracer.start_span("inner").end()
        with provider.get_tracer("app").start_as_current_span("app"):
            tracer.start_span("below").end()
        alone = Tracer("alone", otel=False).start_span("alone")
    finally:
        caller_span.reset(token)
    inner, work, below, app = memory.get_finished_spans()
    assert work.parent is not None
    assert work.parent.is_remote
    assert (format(work.parent.span_id, "016x"), format(work.context.trace_id, "032x")) == (far.span_id, far.trace_id)
    assert inner.parent is not None
    assert not inner.parent.is_remote
    assert inner.parent.span_id == work.context.span_id
    assert below.parent is not None
    assert below.parent.span_id == app.context.span_id
    assert alone.parent_context == far
