"""What a client tells: metrics, spans, headers, for plain calls and streams, failed ones and cancelled ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from prometheus_client.parser import text_string_to_metric_families
from tests.ai.client.acme import END, FAST, KEY, building, call_of, delta, frame, refusal, streamed, whole
from tests.ai.telemetry.otlp import attributes, collecting

from dragoman.ai.adapters.call import ChatCall
from dragoman.ai.client import CancelToken
from dragoman.ai.errors import AiRuntimeError, RemoteError, TransportError
from dragoman.ai.plugins import HookManager
from dragoman.ai.resilience import CircuitBreakerConfig, CircuitOpenError, RateLimiterConfig
from dragoman.ai.telemetry import (
    InMemoryExporter,
    MetricLabels,
    MetricsCollector,
    SpanContext,
    SpanKind,
    SpanStatus,
    Tracer,
    get_metrics_collector,
    set_metrics_collector,
    set_tracer,
)
from dragoman.ai.telemetry.genai import content_of_call
from dragoman.ai.telemetry.watching import Watch
from dragoman.ai.tokens import ModelPricing, PriceBook, set_price_book
from dragoman.ai.types import ContentBlock, Message, ToolCall
from dragoman.testing import ScriptedIO
from dragoman.transport.scripted import Reply
from dragoman.wire.http import Headers, Response

ACME = MetricLabels("acme", "acme-1")


@pytest.fixture(autouse=True)
def nothing_global() -> Iterator[None]:
    set_price_book(PriceBook({"acme/acme-1": ModelPricing("acme/acme-1", 1.0, 2.0)}, published=False))
    yield
    set_metrics_collector(None)
    set_tracer(None)
    set_price_book(None)


@pytest.fixture
def spans() -> InMemoryExporter:
    return InMemoryExporter()


# --------------------------------------------------------------------------------------- metrics


@pytest.mark.requirement("AIP-76")
async def test_a_plain_call_is_counted_with_tokens_cost_and_time() -> None:
    collector = MetricsCollector()
    async with await building(ScriptedIO([whole()])).with_metrics(collector).build() as client:
        await client.chat().user("x").execute()
    found = collector.get_snapshot(ACME)
    assert (found.total_requests, found.successful_requests) == (1, 1)
    assert (found.total_tokens_in, found.total_tokens_out, found.inflight) == (3, 2, 0)
    assert found.total_cost == pytest.approx(3 * 1 / 1000 + 2 * 2 / 1000)
    assert MetricLabels("acme", "acme-1", "/chat/completions", "success") in collector.get_all_labels()
    assert list(text_string_to_metric_families(collector.to_prometheus()))


@pytest.mark.requirement("AIP-76")
async def test_what_a_provider_says_of_cost_counts_more_than_prices() -> None:
    collector = MetricsCollector()
    answer = json.loads(whole().body)
    answer["usage"]["cost"] = 0.5
    io = ScriptedIO([Response(200, Headers({"content-type": "application/json"}), json.dumps(answer).encode())])
    async with await building(io).with_metrics(collector).build() as client:
        await client.chat().user("x").execute()
    assert collector.get_snapshot(ACME).total_cost == 0.5


@pytest.mark.requirement("AIP-76")
async def test_a_stream_is_counted_when_it_has_ended_with_the_time_to_its_first_token() -> None:
    collector = MetricsCollector()
    async with await building(ScriptedIO([streamed("a", "b")])).with_metrics(collector).build() as client:
        stream = client.chat().user("x").stream()
        await anext(stream)
        assert collector.get_snapshot(ACME).inflight == 1
        assert collector.get_snapshot(ACME).total_requests == 0
        assert (await stream.collect()).content == "ab"
    found = collector.get_snapshot(ACME)
    assert (found.successful_requests, found.total_tokens_in, found.total_tokens_out, found.inflight) == (1, 3, 2, 0)
    assert found.total_cost == pytest.approx(0.007)
    assert "ailib_time_to_first_token_seconds_count" in collector.to_prometheus()


@pytest.mark.requirement("AIP-76")
async def test_retries_waits_and_opened_circuits_are_counted() -> None:
    collector = MetricsCollector()
    io = ScriptedIO([refusal(500), whole(), refusal(500), refusal(500), refusal(500)])
    builder = building(io).with_metrics(collector).with_retry(FAST)
    builder.with_rate_limit(RateLimiterConfig(requests_per_second=1, burst_size=1))
    builder.with_circuit_breaker(CircuitBreakerConfig(failure_threshold=3))
    async with await builder.build() as client:
        await client.chat().user("x").execute()
        with pytest.raises(RemoteError):
            await client.chat().user("x").execute()
        with pytest.raises(CircuitOpenError):
            await client.chat().user("x").execute()
    found = collector.get_snapshot(ACME)
    assert (found.total_requests, found.failed_requests, found.retry_count) == (3, 2, 3)
    assert found.circuit_breaker_opens == 1
    assert found.rate_limit_waits > 0
    assert collector.get_snapshot(MetricLabels(error_class="server_error")).failed_requests == 1


@pytest.mark.requirement("AIP-76")
async def test_every_fallback_is_a_request_of_its_own() -> None:
    collector = MetricsCollector()
    io = ScriptedIO([refusal(500), whole()])
    builder = building(io).with_metrics(collector).with_fallbacks(["other/other-1"])
    async with await builder.build() as client:
        await client.chat().user("x").execute()
    assert collector.get_snapshot(ACME).failed_requests == 1
    assert collector.get_snapshot(MetricLabels("other", "other-1")).successful_requests == 1


@pytest.mark.requirement("AIP-76")
async def test_what_is_left_early_or_cancelled_is_neither_a_success_nor_a_failure() -> None:
    collector, token = MetricsCollector(), CancelToken()
    never = Reply([delta("a")], 200, Headers({"content-type": "text/event-stream"}))
    io = ScriptedIO([streamed("a", "b", "c"), streamed("a", "b"), never])
    async with await building(io).with_metrics(collector).build() as client:
        async with client.chat().user("x").stream() as stream:
            await anext(stream)
        async for _ in client.chat().user("x").cancel(token).stream():
            token.cancel()
        with pytest.raises(AiRuntimeError):
            await client.chat().user("x").cancel(token).execute()
        with pytest.raises(TransportError):
            await client.chat().user("x").collect()
    found = collector.get_snapshot(ACME)
    assert (found.total_requests, found.successful_requests, found.failed_requests, found.inflight) == (3, 0, 1, 0)
    assert collector.get_snapshot(MetricLabels(status="cancelled")).total_requests == 2


@pytest.mark.requirement("AIP-76")
def test_a_call_that_ends_before_it_is_sent_takes_no_others_place_among_those_under_way() -> None:
    collector = MetricsCollector()
    first, second = (Watch(collector, None, provider="acme", model="acme-1", clock=lambda: 0.0) for _ in range(2))
    first.begin(None, endpoint="/chat", url=None)
    second.end(cancelled=True)  # while it looked up its prices
    assert (collector.get_snapshot(ACME).inflight, collector.get_snapshot().total_requests) == (1, 0)
    first.end()
    assert (collector.get_snapshot(ACME).inflight, collector.get_snapshot().total_requests) == (0, 1)


@pytest.mark.requirement("AIP-76")
async def test_an_error_that_is_reported_inside_a_stream_is_a_failure() -> None:
    collector = MetricsCollector()
    told = [delta("a"), frame(error={"message": "overloaded", "code": "overloaded_error"})]
    io = ScriptedIO([Reply(told, 200, Headers({"content-type": "text/event-stream"}))])
    async with await building(io).with_metrics(collector).build() as client:
        async for _ in client.chat().user("x").stream():
            pass
    assert collector.get_snapshot(ACME).failed_requests == 1


@pytest.mark.requirement("AIP-76")
async def test_the_collector_of_the_process_counts_only_once_it_is_there() -> None:
    async with await building(ScriptedIO([whole(), whole()])).build() as client:
        await client.chat().user("x").execute()
        collector = get_metrics_collector()
        assert collector.get_snapshot().total_requests == 0
        await client.chat().user("x").execute()
        assert collector.get_snapshot().total_requests == 1


@pytest.mark.requirement("AIP-76")
async def test_a_sink_that_fails_does_not_fail_the_call(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(MetricsCollector):
        def add_inflight(self, labels: MetricLabels, change: int) -> None:
            raise OSError(f"no disk for {KEY}")

    async with await building(ScriptedIO([whole()])).with_metrics(Broken()).build() as client:
        await client.chat().user("x").execute()
    assert "telemetry failed: OSError" in caplog.text


# ----------------------------------------------------------------------------------------- spans


@pytest.mark.requirement("AIP-78")
async def test_a_call_is_a_client_span_with_the_attributes_of_the_conventions(spans: InMemoryExporter) -> None:
    tracer = Tracer("t", spans)
    async with await building(ScriptedIO([whole(**{"x-request-id": "q"})])).with_tracer(tracer).build() as client:
        with tracer.span("request") as outer:
            await client.chat().user("what a secret").temperature(0.5).max_tokens(9).stop(["."]).execute()
    span = spans.get_spans()[0]
    assert (span.name, span.kind, span.status) == ("chat acme-1", SpanKind.CLIENT, SpanStatus.UNSET)
    assert span.parent_context == outer.context
    assert span.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "acme",
        "gen_ai.request.model": "acme-1",
        "server.address": "acme.test",
        "server.port": 443,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 9,
        "gen_ai.request.stop_sequences": ["."],
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": 2,
        "dragoman.cost_usd": pytest.approx(0.007),
        "gen_ai.response.model": "acme-1-0",
        "gen_ai.response.id": "r",
        "gen_ai.response.finish_reasons": ["stop"],
    }


@pytest.mark.requirement("AIP-78")
async def test_a_stream_is_a_span_from_its_opening_to_its_end(spans: InMemoryExporter) -> None:
    async with await building(ScriptedIO([streamed("a", "b")])).with_tracer(Tracer("t", spans)).build() as client:
        stream = client.chat().user("x").stream()
        await anext(stream)
        assert spans.get_spans() == []
        await stream.collect()
    (span,) = spans.get_spans()
    assert span.attributes["gen_ai.request.stream"] is True
    assert span.attributes["gen_ai.usage.output_tokens"] == 2
    assert span.attributes["gen_ai.response.finish_reasons"] == ["stop"]
    assert "gen_ai.response.time_to_first_chunk" in span.attributes


@pytest.mark.requirement("AIP-78")
async def test_a_failed_call_is_a_failed_span_with_its_retries(spans: InMemoryExporter) -> None:
    io = ScriptedIO([refusal(500), refusal(429, message="slow down")])
    builder = building(io).with_tracer(Tracer("t", spans)).retry(max_attempts=2, backoff=0.1)
    async with await builder.build() as client:
        with pytest.raises(RemoteError):
            await client.chat().user("x").execute()
    (span,) = spans.get_spans()
    assert (span.status, span.attributes["error.type"]) == (SpanStatus.ERROR, "rate_limited")
    assert [(event.name, event.attributes["error.type"]) for event in span.events] == [("retry", "server_error")]


@pytest.mark.requirement("AIP-78")
def test_every_block_is_recorded_in_its_shape_and_bytes_stay_where_they_are() -> None:
    call = ToolCall(id="c1", function_name="f", arguments={"a": 1})
    messages = [
        Message.user([ContentBlock.text("see"), ContentBlock.image_base64("c2VjcmV0", "image/png")]),
        Message(role="assistant", content=[ContentBlock.thinking("hm"), ContentBlock.tool_use("c0", "g", {"b": 2})]),
        Message.user([ContentBlock.tool_result("c0", "found")]),
        Message.assistant_with_tool_calls([call]),
        Message.tool_result("c1", "7"),
    ]
    told = content_of_call(ChatCall(model="m", messages=messages))["gen_ai.input.messages"]
    assert "c2VjcmV0" not in told
    assert [part for message in json.loads(told) for part in message["parts"]] == [
        {"type": "text", "content": "see"},
        {"type": "blob", "modality": "image", "mime_type": "image/png"},
        {"type": "reasoning", "content": "hm"},
        {"type": "tool_call", "id": "c0", "name": "g", "arguments": {"b": 2}},
        {"type": "tool_call_response", "id": "c0", "response": "found"},
        {"type": "tool_call", "id": "c1", "name": "f", "arguments": {"a": 1}},
        {"type": "tool_call_response", "id": "c1", "response": "7"},
    ]


@pytest.mark.requirement("AIP-78")
async def test_content_is_recorded_only_on_request(spans: InMemoryExporter) -> None:
    io = ScriptedIO([whole("the answer", calls=[call_of("f", '{"a": 1}')]), streamed("the ", "stream")])
    tracer = Tracer("t", spans, record_content=True)
    async with await building(io).with_tracer(tracer).build() as client:
        chat = client.chat().system("be kind").user("a question").tools([{"function": {"name": "f"}}])
        await chat.execute()
        await client.chat().user("x").collect()
    plain, stream = (span.attributes for span in spans.get_spans())
    assert json.loads(plain["gen_ai.system_instructions"]) == [{"type": "text", "content": "be kind"}]
    assert json.loads(plain["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": "a question"}]}
    ]
    assert json.loads(plain["gen_ai.tool.definitions"])[0]["name"] == "f"
    (said,) = json.loads(plain["gen_ai.output.messages"])
    assert said["parts"][0] == {"type": "text", "content": "the answer"}
    assert said["parts"][1]["arguments"] == {"a": 1}
    (told,) = json.loads(stream["gen_ai.output.messages"])
    assert told["parts"] == [{"type": "text", "content": "the stream"}]


@pytest.mark.requirement("AIP-113", "AIP-78")
async def test_no_secret_is_in_spans_or_metrics_whatever_is_recorded(spans: InMemoryExporter) -> None:
    collector = MetricsCollector()
    io = ScriptedIO([refusal(401, message=f"bad key {KEY}"), whole()])
    builder = building(io).with_tracer(Tracer("t", spans, record_content=True)).with_metrics(collector)
    builder.api_key(KEY).base_url(f"https://user:{KEY}@acme.test/v1?api_key={KEY}")
    async with await builder.build() as client:
        with pytest.raises(RemoteError):
            await client.chat().user("my password: hunter2-0123").execute()
        await client.chat().user("use sk-abcdefghijklmnopqrst").execute()
    text = json.dumps([span.to_dict() for span in spans.get_spans()]) + collector.to_prometheus()
    for secret in (KEY, "hunter2-0123", "sk-abcdefghijklmnopqrst"):
        assert secret not in text


# --------------------------------------------------------------------------------------- headers


@pytest.mark.requirement("AIP-78")
async def test_traceparent_goes_along_when_a_span_is_current(spans: InMemoryExporter) -> None:
    io = ScriptedIO([whole(), whole(), whole(), streamed("a"), whole()])
    async with await building(io).build() as client:
        await client.chat().user("x").execute()
        assert "traceparent" not in io.requests[0].headers
        with Tracer("app", InMemoryExporter()).span("request") as outer:
            await client.chat().user("x").execute()
            await client.chat().user("x").headers({"traceparent": "mine"}).execute()
        assert io.requests[1].headers["traceparent"] == outer.context.to_w3c_traceparent()
        assert io.requests[2].headers["traceparent"] == "mine"
        set_tracer(Tracer("t", spans))
        await client.chat().user("x").collect()
        await client.chat().user("x").execute()
    for request, span in zip(io.requests[3:], spans.get_spans(), strict=True):
        assert SpanContext.from_w3c_traceparent(request.headers["traceparent"]) == span.context
        assert "tracestate" not in request.headers


@pytest.mark.requirement("AIP-78")
async def test_hooks_and_spans_work_together_and_a_collector_reads_the_spans() -> None:
    provider, retried = TracerProvider(shutdown_on_exit=False), list[dict[str, Any]]()
    hooks = HookManager()
    hooks.register("on_retry", retried.append)
    with collecting() as collector:
        provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{collector.url}/v1/traces")))
        io = ScriptedIO([refusal(500), Reply([delta("a"), *END], 200, Headers({"content-type": "text/event-stream"}))])
        builder = building(io).with_tracer(Tracer("t", otel=provider)).with_retry(FAST).with_hooks(hooks)
        async with await builder.build() as client:
            await client.chat().user("x").collect()
        provider.shutdown()
    (span,) = collector.spans
    found = attributes(span)
    assert found["gen_ai.operation.name"] == "chat"
    assert found["gen_ai.usage.input_tokens"] == 3
    assert found["gen_ai.response.finish_reasons"] == ["stop"]
    assert [event.name for event in span.events] == ["retry"]
    assert [(one["attempt"], one["provider"], one["model"]) for one in retried] == [(1, "acme", "acme-1")]
    assert io.requests[1].headers["traceparent"].split("-")[2] == span.span_id.hex()
    assert all(KEY.encode() not in body for body in collector.raw)
