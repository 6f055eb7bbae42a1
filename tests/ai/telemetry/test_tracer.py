"""Spans of our own: contexts, nesting, what they keep and what they never say."""

from __future__ import annotations

import io
import json
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.ai.telemetry import (
    ConsoleExporter,
    InMemoryExporter,
    Span,
    SpanContext,
    SpanExporter,
    SpanKind,
    SpanStatus,
    Tracer,
    get_current_span,
    get_current_span_id,
    get_current_trace_id,
    get_tracer,
    set_tracer,
)
from dragoman.ai.telemetry.spans import MOST_ATTRIBUTES, MOST_EVENTS

pytestmark = pytest.mark.requirement("AIP-78")

KEY = "sk-abcdefghijklmnopqrstuv"


def tracing(**settings: Any) -> tuple[Tracer, InMemoryExporter]:
    exporter = InMemoryExporter()
    return Tracer("test", exporter, **settings), exporter


# -------------------------------------------------------------------------------------- contexts


def test_a_context_goes_into_a_header_and_back() -> None:
    context = SpanContext.generate()
    header = context.to_w3c_traceparent()
    assert header == f"00-{context.trace_id}-{context.span_id}-01"
    assert SpanContext.from_w3c_traceparent(f" {header} ") == context
    child = SpanContext.generate(context)
    assert child.trace_id == context.trace_id
    assert child.span_id != context.span_id


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-extra",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g",
    ],
)
def test_what_is_no_traceparent_gives_no_context(header: str) -> None:
    assert SpanContext.from_w3c_traceparent(header) is None


def test_a_later_version_is_read_as_far_as_it_is_known() -> None:
    found = SpanContext.from_w3c_traceparent("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00-what.ever")
    assert found == SpanContext("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", 0)


@given(st.text(max_size=70))
def test_no_header_makes_reading_fail(text: str) -> None:
    SpanContext.from_w3c_traceparent(text)


# ----------------------------------------------------------------------------------------- spans


def test_spans_nest_by_themselves_and_end_with_their_block() -> None:
    tracer, exporter = tracing()
    with tracer.span("outer", SpanKind.SERVER) as outer:
        assert get_current_span() is outer
        assert (get_current_trace_id(), get_current_span_id()) == (outer.trace_id, outer.span_id)
        with tracer.span("inner") as inner:
            assert inner.parent_context == outer.context
            assert inner.trace_id == outer.trace_id
        assert get_current_span() is outer
    assert get_current_span() is None
    assert get_current_trace_id() is None
    assert [span.name for span in exporter.get_spans()] == ["inner", "outer"]
    assert {span.status for span in exporter.get_spans()} == {SpanStatus.OK}
    exporter.clear()
    assert exporter.get_spans() == []


async def test_tasks_have_current_spans_of_their_own() -> None:
    tracer, exporter = tracing()
    seen: dict[str, str | None] = {}
    both = anyio.Event()

    async def work(name: str) -> None:
        async with tracer.span(name) as span:
            if len(seen) == 1:
                both.set()
            seen[name] = span.span_id
            await both.wait()
            assert get_current_span_id() == span.span_id

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work, "one")
        tasks.start_soon(work, "two")
    assert len(exporter.get_spans()) == 2
    assert {span.parent_context for span in exporter.get_spans()} == {None}


def test_a_span_that_was_started_by_hand_is_not_current_and_is_exported_when_it_ends() -> None:
    tracer, exporter = tracing()
    parent = SpanContext.generate()
    span = tracer.start_span("work", SpanKind.PRODUCER, parent, {"n": 1})
    assert get_current_span() is None
    assert span.parent_context == parent
    assert span.duration_ms is None
    assert exporter.get_spans() == []
    span.end()
    span.end()
    span.set_attribute("late", 1).add_event("late").set_status(SpanStatus.ERROR)
    (found,) = exporter.get_spans()
    assert (found.attributes, found.events, found.status) == ({"n": 1}, [], SpanStatus.UNSET)


def test_an_exception_is_noted_and_goes_on() -> None:
    tracer, exporter = tracing()
    with pytest.raises(ValueError, match="boom"), tracer.span("work"):
        raise ValueError(f"boom {KEY}")
    (span,) = exporter.get_spans()
    told = span.to_dict()
    assert (told["status"], told["status_message"]) == ("ERROR", "boom [redacted]")
    assert told["events"][0]["attributes"] == {
        "exception.type": "ValueError",
        "exception.message": "boom [redacted]",
    }


@pytest.mark.requirement("AIP-113")
def test_no_secret_gets_into_a_span() -> None:
    tracer, exporter = tracing()
    with tracer.span("work", attributes={"authorization": f"Bearer {KEY}", "note": f"key {KEY}"}) as span:
        span.set_attributes({"nested": {"api_key": KEY, "list": [KEY]}, "texts": [KEY, "plain"]})
        span.set_attribute("gen_ai.usage.input_tokens", 12)
        span.add_event("said", {"password": "hunter2", "text": f"Bearer {KEY}"})
        span.set_status(SpanStatus.ERROR, f"refused {KEY}")
    (found,) = exporter.get_spans()
    text = json.dumps(found.to_dict())
    assert KEY not in text
    assert "hunter2" not in text
    assert found.attributes["gen_ai.usage.input_tokens"] == 12
    assert found.attributes["texts"] == ["[redacted]", "plain"]


def test_a_span_keeps_only_so_much() -> None:
    tracer, exporter = tracing()
    with tracer.span("work") as span:
        for number in range(1000):
            span.set_attribute(f"a{number}", number)
            span.add_event("e")
        span.set_attribute("a0", "x" * 1_000_000)
        span.set_attribute("nothing", None)
    (found,) = exporter.get_spans()
    assert (len(found.attributes), len(found.events)) == (MOST_ATTRIBUTES, MOST_EVENTS)
    assert len(found.attributes["a0"]) == 65_536


def test_values_of_other_kinds_become_text() -> None:
    tracer, exporter = tracing()
    with tracer.span("work", attributes={"mixed": [1, "a"], "set": {1}, "yes": True, "half": 0.5}):
        pass
    assert exporter.get_spans()[0].attributes == {"mixed": ["1", "a"], "set": "(1,)", "yes": True, "half": 0.5}


# ------------------------------------------------------------------------------------- exporters


def test_an_exporter_that_fails_hurts_nobody(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(SpanExporter):
        def export(self, span: Span) -> None:
            raise OSError(f"no way, {KEY}")

    with Tracer("test", Broken()).span("work"):
        pass
    assert "a span could not be exported" in caplog.text
    assert KEY not in caplog.text


def test_the_console_gets_a_line_of_json_for_each_span() -> None:
    stream = io.StringIO()
    tracer = Tracer("test", ConsoleExporter(stream))
    with tracer.span("work\nmore", attributes={"n": 1}):
        pass
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line)["attributes"] == {"n": 1}


def test_memory_keeps_the_last_spans() -> None:
    exporter = InMemoryExporter(max_spans=2)
    tracer = Tracer("test", otel=False)
    tracer.set_exporter(exporter)
    for name in "abc":
        tracer.start_span(name).end()
    assert [span.name for span in exporter.get_spans()] == ["b", "c"]
    tracer.shutdown()


def test_the_tracer_of_the_process_is_made_by_asking_for_it() -> None:
    made = get_tracer("shop")
    assert get_tracer() is made
    assert made.name == "shop"
    other = Tracer("other", InMemoryExporter())
    set_tracer(other)
    assert get_tracer() is other
