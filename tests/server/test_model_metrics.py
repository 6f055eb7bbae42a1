"""Requests to models on `/metrics`, read by the published parser."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from prove.wire import Wire

from dragoman import Agent, App, openai_compatible
from dragoman.ai.telemetry import MetricLabels
from dragoman.server.metric_table import METRICS
from dragoman.server.metrics import Metrics
from dragoman.server.model_metrics import MOST_MODELS, ModelMetrics

pytestmark = pytest.mark.requirement("AIP-76")

V1 = "/dragoman/v1"
KEY = "house-secret-0123456789"
Start = Callable[..., Awaitable[Any]]
CHAT = {"gen_ai_operation_name": "chat", "gen_ai_provider_name": "openai-compatible", "gen_ai_request_model": "m"}


@pytest.fixture
def wire() -> Iterator[Wire]:
    with Wire(key=KEY) as made:
        yield made


async def asked(inside: Any, text: str) -> None:
    run: dict[str, Any] = (await inside.ask("POST", f"{V1}/runs", {"message": {"text": text}})).json()
    async for _ in inside.services.engine.events(run["id"]):
        pass


def read(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = list(text_string_to_metric_families(text))
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def of(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


async def test_a_models_requests_are_on_the_servers_metrics(start_inside: Start, wire: Wire) -> None:
    model = openai_compatible(wire.url, "m", api_key=KEY)
    inside = await start_inside(App("acme", agents=[Agent("helper", model=model)]))
    await asked(inside, "echo: hello")
    wire.failures = [400]
    await asked(inside, "echo: hello")
    text = (await inside.ask("GET", "/metrics", token=None)).text
    found = read(text)
    seconds = "gen_ai_client_operation_duration_seconds"
    assert found[of(f"{seconds}_count", **CHAT)] == 1
    assert found[of(f"{seconds}_count", **CHAT, error_type="invalid_request")] == 1
    assert found[of(f"{seconds}_bucket", **CHAT, le="81.92")] == 1
    assert found[of("gen_ai_client_operation_time_to_first_chunk_seconds_count", **CHAT)] == 1
    assert found[of("gen_ai_client_token_usage_sum", **CHAT, gen_ai_token_type="input")] == 21
    assert found[of("gen_ai_client_token_usage_count", **CHAT, gen_ai_token_type="output")] == 1
    pair = {"provider": "openai-compatible", "model": "m"}
    assert found[of("dragoman_model_requests_open", **pair)] == 0
    assert KEY not in text
    for family in text_string_to_metric_families(text):
        assert family.documentation, family.name


async def test_models_are_measured_no_more_when_the_server_has_stopped(start_inside: Start, wire: Wire) -> None:
    model = openai_compatible(wire.url, "m", api_key=KEY)
    inside = await start_inside(App("acme", agents=[Agent("helper", model=model)]))
    assert model._metrics is not None
    await inside.application.stop()
    assert model._metrics is None


def test_names_of_models_are_bounded_cut_and_without_secrets() -> None:
    metrics = Metrics()
    sink = ModelMetrics(metrics)
    for number in range(3 * MOST_MODELS):
        labels = MetricLabels("p", f"model-{number}")
        sink.add_inflight(labels, 1)
        sink.record_request(labels, 0.5, tokens_in=1)
        sink.record_cost(labels, 0.25)
        sink.add_inflight(labels, -1)
    sink_of_secrets = ModelMetrics(metrics)
    sink_of_secrets.record_retry(MetricLabels("p", "sk-abcdefghijklmnop"), 1)
    sink_of_secrets.record_retry(MetricLabels("p", "x" * 10_000), 1)
    sink_of_secrets.record_circuit_open(MetricLabels("p"))
    sink_of_secrets.record_rate_limit_wait(MetricLabels("p", "m"), 1.5)
    found = read(metrics.text())
    counts = [labels for name, labels in found if name == "gen_ai_client_operation_duration_seconds_count"]
    assert len(counts) == MOST_MODELS + 1
    assert found[of("dragoman_model_cost_usd_total", provider="other", model="other")] == 2 * MOST_MODELS * 0.25
    assert found[of("dragoman_model_retries_total", provider="p", model="[redacted]")] == 1
    assert found[of("dragoman_model_retries_total", provider="p", model="x" * 120)] == 1
    assert found[of("dragoman_model_circuit_opens_total", provider="p", model="")] == 1
    assert found[of("dragoman_model_rate_limit_wait_seconds_total", provider="p", model="m")] == 1.5


def test_every_series_has_the_labels_that_the_table_names() -> None:
    metrics = Metrics()
    sink, labels = ModelMetrics(metrics), MetricLabels("p", "m", "/chat", "error", "timeout")
    sink.record_request(labels, 0.5, "error", 1, 1)
    sink.record_first_token(labels, 0.5)
    sink.record_retry(labels, 1)
    sink.record_rate_limit_wait(labels, 1)
    sink.record_circuit_open(labels)
    sink.record_cost(labels, 1)
    sink.add_inflight(labels, 1)
    names = set()
    for family in text_string_to_metric_families(metrics.text()):
        name = family.name if family.name in METRICS else f"{family.name}_total"
        names.add(name)
        assert family.type == METRICS[name].kind
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(METRICS[name].labels)
    assert names == {name for name in METRICS if name.startswith(("gen_ai_", "dragoman_model_"))}
