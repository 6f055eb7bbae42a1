"""OpenTelemetry: a span of each call, and of each step behind it."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, StatusCode
from tests.noukai.shells import COMPLETED, FLOW, Shell, answer, refusal, scripted

from dragoman.noukai import FlowExecutionError, Noukai, NoukaiError

STEPS = [
    {
        "stepId": "ask",
        "attempt": 2,
        "loopIndex": 1,
        "status": "completed",
        "startedAt": "2026-01-05T10:00:00Z",
        "completedAt": "2026-01-05T10:00:01.5Z",
        "durationMs": 1500,
        "modelUsed": "m",
        "tokens": {"prompt": 1, "completion": 2, "total": 3},
        "costUsd": "0.001",
        "inputContext": {"message": "x" * 5000},
        "outputContext": {"output": "HI"},
    },
    {"stepId": "end", "attempt": 1, "status": "failed", "errorContext": {"code": "E"}},
]
TRACE = {"flowRun": {"id": "r1", "flowId": "f1", "status": "completed"}, "steps": STEPS}


class Kept(SpanExporter):
    """Keeps what is exported."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self))
        self.tracer = provider.get_tracer("test")

    def export(self, spans: Any) -> SpanExportResult:
        self.spans.extend(spans)
        return SpanExportResult.SUCCESS


@pytest.mark.requirement("NOU-77")
async def test_a_call_is_a_client_span(shell: Shell) -> None:
    kept = Kept()
    io = scripted(answer(COMPLETED), answer({**COMPLETED, "status": "pending"}, 202))
    flow = shell.client(io, otel=True, tracer=kept.tracer).flow(FLOW)
    await shell.call(flow.execute, "x")
    await shell.call(flow.execute_async, "x", version=3)
    first, second = kept.spans
    assert (first.name, second.name) == ("noukai.flow.execute", "noukai.flow.execute_async")
    assert first.kind is SpanKind.CLIENT
    assert dict(first.attributes or {}) == {
        "noukai.org": "acme",
        "noukai.project": "spelling",
        "noukai.flow.slug": "grade-3",
        "noukai.flow.version": "production",
        "noukai.execution_id": "r1",
        "noukai.flow.status": "completed",
    }
    assert (second.attributes or {})["noukai.flow.version"] == "3"
    assert len(io.requests) == 2


@pytest.mark.requirement("NOU-77")
async def test_an_error_is_recorded_once(shell: Shell) -> None:
    kept = Kept()
    client = shell.client(scripted(refusal(400, "X", "boom")), otel=True, tracer=kept.tracer)
    with pytest.raises(FlowExecutionError):
        await shell.call(client.flow(FLOW).execute, "x")
    [span] = kept.spans
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "boom")
    assert [event.name for event in span.events] == ["exception"]


@pytest.mark.requirement("NOU-78")
async def test_steps_become_children_with_their_own_times(shell: Shell) -> None:
    kept = Kept()
    client = shell.client(scripted(answer(COMPLETED), answer(TRACE)), otel_steps=True, tracer=kept.tracer)
    await shell.call(client.flow(FLOW).execute, "x")
    ask, end, call = kept.spans
    assert ask.parent is not None
    assert call.context is not None
    assert ask.parent.span_id == call.context.span_id
    assert (ask.name, ask.kind) == ("noukai.flow.step", SpanKind.INTERNAL)
    assert ask.start_time is not None
    assert ask.end_time is not None
    assert ask.end_time - ask.start_time == 1_500_000_000
    assert dict(ask.attributes or {}) == {
        "noukai.step.id": "ask",
        "noukai.step.attempt": 2,
        "noukai.step.status": "completed",
        "noukai.step.duration_ms": 1500,
        "noukai.step.loop_index": 1,
        "noukai.step.cost_usd": "0.001",
        "gen_ai.request.model": "m",
        "gen_ai.usage.input_tokens": 1,
        "gen_ai.usage.output_tokens": 2,
    }
    assert end.status.status_code is StatusCode.ERROR


@pytest.mark.requirement("NOU-78")
async def test_payloads_are_added_if_wanted_and_cut(shell: Shell) -> None:
    kept = Kept()
    client = shell.client(scripted(answer(COMPLETED), answer(TRACE)), otel_step_payloads=True, tracer=kept.tracer)
    await shell.call(client.flow(FLOW).execute, "x")
    ask, end = (dict(span.attributes or {}) for span in kept.spans[:2])
    assert len(str(ask["noukai.step.input"])) == 4096
    assert ask["noukai.step.output"] == '{"output":"HI"}'
    assert end["noukai.step.error"] == '{"code":"E"}'


@pytest.mark.requirement("NOU-78")
async def test_a_trace_that_cannot_be_had_is_no_fault_of_the_call(shell: Shell) -> None:
    kept = Kept()
    client = shell.client(scripted(answer(COMPLETED), refusal(404, "X")), otel_steps=True, tracer=kept.tracer)
    assert (await shell.call(client.flow(FLOW).execute, "x")).status == "completed"
    assert [span.name for span in kept.spans] == ["noukai.flow.execute"]


@pytest.mark.requirement("NOU-77")
def test_without_the_package_the_client_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(NoukaiError, match=r"dragoman\[telemetry\]"):
        Noukai("nk_x", otel=True)


@pytest.mark.requirement("NOU-77")
def test_off_it_is_never_imported() -> None:
    code = (
        "import sys; from dragoman.noukai import Noukai, trace_scope_sync, RelayFlow; Noukai('nk_x');"
        " from dragoman.noukai.adapters import fastapi, flask, relay;"
        " found = {'opentelemetry', 'starlette', 'fastapi', 'flask', 'httpx2', 'werkzeug'} & set(sys.modules);"
        " assert not found, found"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
