"""Spans of the server's requests to models, where the environment asks for them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from prove.wire import Wire
from tests.ai.telemetry.otlp import Collector, attributes, collecting

from dragoman import Agent, App, openai_compatible
from dragoman.ai.telemetry.current import traceparent
from dragoman.server.tracing import as_called, start_tracing

pytestmark = pytest.mark.requirement("AIP-78")

V1 = "/dragoman/v1"
KEY = "house-secret-0123456789"
Start = Callable[..., Awaitable[Any]]


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def wire() -> Iterator[Wire]:
    with Wire(key=KEY) as made:
        yield made


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as made:
        yield made


async def asked(start_inside: Start, wire: Wire, text: str, headers: dict[str, str] | None = None) -> None:
    """One run of an agent on a server that is stopped afterwards."""
    model = openai_compatible(wire.url, "m", api_key=KEY)
    inside = await start_inside(App("acme", agents=[Agent("helper", model=model)], version="7"))
    run: dict[str, Any] = (await inside.ask("POST", f"{V1}/runs", {"message": {"text": text}}, headers=headers)).json()
    async for _ in inside.services.engine.events(run["id"]):
        pass
    await inside.application.stop()


async def test_a_collector_gets_a_span_for_each_request_to_a_model(
    start_inside: Start, wire: Wire, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    await asked(start_inside, wire, "echo: something private")
    (span,) = collector.spans
    found = attributes(span)
    assert span.name == "chat m"
    assert found["gen_ai.provider.name"] == "openai-compatible"
    assert found["gen_ai.usage.input_tokens"] > 0
    assert found["gen_ai.response.finish_reasons"] == ["stop"]
    assert collector.resources[0]["service.name"] == "acme"
    assert collector.resources[0]["service.version"] == "7"
    assert wire.seen[0].headers["traceparent"].split("-")[1:3] == [span.trace_id.hex(), span.span_id.hex()]
    sent = b"".join(collector.raw)
    assert b"something private" not in sent
    assert KEY.encode() not in sent


async def test_content_is_sent_only_when_the_environment_says_so(
    start_inside: Start, wire: Wire, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{collector.url}/v1/traces")
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "named")
    await asked(start_inside, wire, "echo: something public, and password=hunter2-0123")
    (span,) = collector.spans
    found = attributes(span)
    assert "something public" in found["gen_ai.input.messages"]
    assert "something public" in found["gen_ai.output.messages"]
    assert collector.resources[0]["service.name"] == "named"
    assert b"hunter2-0123" not in b"".join(collector.raw)


async def test_without_a_word_in_the_environment_there_is_no_tracing(start_inside: Start, wire: Wire) -> None:
    await asked(start_inside, wire, "echo: x")
    assert "traceparent" not in wire.seen[0].headers


CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_the_callers_span_is_the_parent_of_ours(
    start_inside: Start, wire: Wire, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    await asked(start_inside, wire, "echo: x", {"traceparent": CALLER})
    (span,) = collector.spans
    assert f"00-{span.trace_id.hex()}-{span.parent_span_id.hex()}-01" == CALLER
    assert span.flags & 0x300 == 0x300  # it is known that the parent is of another process
    assert wire.seen[0].headers["traceparent"] == f"00-{span.trace_id.hex()}-{span.span_id.hex()}-01"


async def test_the_callers_trace_goes_on_to_the_provider_where_nothing_is_traced_here(
    start_inside: Start, wire: Wire
) -> None:
    await asked(start_inside, wire, "echo: x", {"traceparent": CALLER})
    assert wire.seen[0].headers["traceparent"] == CALLER


@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_of_the_gateway_is_part_of_its_callers_trace(
    start_inside: Start, wire: Wire, collector: Collector, monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    model = openai_compatible(wire.url, "m", api_key=KEY)
    inside = await start_inside(App("acme", agents=[Agent("helper", model=model)], models={"house": model}))
    body = {"model": "house", "messages": [{"role": "user", "content": "echo: x"}], "stream": stream}
    await inside.ask("POST", "/v1/chat/completions", body, headers={"traceparent": CALLER})
    await inside.ask("POST", "/v1/chat/completions", body)
    await inside.application.stop()
    first, second = collector.spans
    assert f"00-{first.trace_id.hex()}-{first.parent_span_id.hex()}-01" == CALLER
    assert not second.parent_span_id  # a call without a word is a trace of its own
    assert first.trace_id != second.trace_id


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        "00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        f"{CALLER}-more",
        f"{CALLER}, {CALLER}",
        f"01{CALLER[2:]}-{'x' * 512}",
    ],
)
def test_what_is_no_traceparent_is_ignored(header: str) -> None:
    with as_called({"traceparent": header}):
        assert traceparent() is None


def test_a_later_version_of_the_header_is_read_as_far_as_it_is_known() -> None:
    with as_called({"traceparent": f"01{CALLER[2:]}-more"}):
        assert traceparent() == CALLER
    assert traceparent() is None


async def test_a_collector_that_is_not_there_hurts_nobody(
    start_inside: Start, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    await asked(start_inside, wire, "echo: x")
    assert len(wire.seen) == 1


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://h"},
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://h"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": " "},
    ],
)
def test_nothing_is_started_for_nothing(environ: dict[str, str]) -> None:
    assert start_tracing("acme", environ=environ).tracer is None


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "'zipkin' is not known here"),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "not 'grpc'"),
    ],
)
def test_a_wish_that_cannot_be_met_is_told(
    environ: dict[str, str], told: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert start_tracing("acme", environ=environ).tracer is None
    assert told in caplog.text


def test_a_missing_extra_is_told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    assert start_tracing("acme", environ={"OTEL_TRACES_EXPORTER": "otlp"}).tracer is None
    assert "dragoman[telemetry]" in caplog.text


async def test_spans_can_be_printed(capsys: pytest.CaptureFixture[str]) -> None:
    tracing = start_tracing("acme", "7", environ={"OTEL_TRACES_EXPORTER": "console"})
    assert tracing.tracer is not None
    with tracing.tracer.span("work"):
        pass
    await tracing.aclose()
    assert '"name": "work"' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("environ", "spans"),
    [
        ({"OTEL_TRACES_EXPORTER": "otlp"}, "['work']"),
        ({}, "['work']"),
        ({"OTEL_TRACES_EXPORTER": "none"}, "[]"),
        ({"OTEL_SDK_DISABLED": "true"}, "[]"),
    ],
)
def test_a_provider_that_the_application_has_set_up_is_used(environ: dict[str, str], spans: str) -> None:
    program = f"""
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from dragoman.ai.telemetry.current import traceparent
from dragoman.server.tracing import as_called, start_tracing

memory, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(memory))
trace.set_tracer_provider(provider)
tracing = start_tracing("acme", environ={environ})
if tracing.tracer is not None:
    tracing.tracer.start_span("work").end()
print([span.name for span in memory.get_finished_spans()], tracing.provider)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == f"{spans} None\n"


def test_starting_a_server_loads_no_sdk() -> None:
    program = "import sys, dragoman.server.asgi; print([n for n in sys.modules if n.startswith('opentelemetry.sdk')])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"
