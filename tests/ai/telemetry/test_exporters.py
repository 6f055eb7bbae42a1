"""Metrics by HTTP, asked for as Prometheus does, and in the registry of prometheus-client."""

from __future__ import annotations

import http.client
import subprocess
import sys
from typing import Any
from urllib.parse import urlsplit

import anyio.to_thread
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from tests.ai.stepped import LOOPS

from dragoman.ai.errors import AiRuntimeError
from dragoman.ai.telemetry import MetricLabels, MetricsCollector, PrometheusExporter, get_metrics_collector
from dragoman.ai.telemetry.exporters import RegistryCollector
from dragoman.core.errors import MissingExtra


def filled() -> MetricsCollector:
    collector = MetricsCollector()
    collector.record_request(MetricLabels("openai", "gpt-4o", status="success"), 0.3, tokens_in=5)
    collector.record_retry(MetricLabels("openai", "gpt-4o"), 1)
    collector.set_inflight(MetricLabels("openai", "gpt-4o"), 2)
    return collector


async def asked(url: str, method: str = "GET", path: str | None = None) -> tuple[int, dict[str, str], bytes]:
    parts = urlsplit(url)

    def ask() -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
        try:
            connection.request(method, path or parts.path)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    return await anyio.to_thread.run_sync(ask)


@pytest.mark.requirement("AIP-77")
@pytest.mark.parametrize("anyio_backend", LOOPS)
async def test_prometheus_can_scrape_the_endpoint_on_the_loopback_address() -> None:
    async with PrometheusExporter(filled(), port=0) as exporter:
        assert exporter.is_running
        assert exporter.endpoint.startswith("http://127.0.0.1:")
        status, headers, body = await asked(exporter.endpoint)
        assert status == 200
        assert headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        names = {family.name for family in text_string_to_metric_families(body.decode())}
        assert {"ailib_requests", "ailib_request_duration_seconds", "ailib_inflight_requests"} <= names
        assert body.decode() == exporter.get_metrics()
    assert not exporter.is_running


@pytest.mark.requirement("AIP-77")
async def test_other_paths_are_not_found_and_head_has_no_body() -> None:
    async with PrometheusExporter(filled(), port=0, path="metrics") as exporter:
        assert (await asked(exporter.endpoint, path="/"))[0] == 404
        assert (await asked(exporter.endpoint, path="/metrics?x=1"))[0] == 200
        status, headers, body = await asked(exporter.endpoint, "HEAD")
        assert (status, body) == (200, b"")
        assert int(headers["content-length"]) == len(exporter.get_metrics())


@pytest.mark.requirement("AIP-77")
async def test_it_can_be_started_and_stopped_again_and_again() -> None:
    exporter = PrometheusExporter(filled(), port=0)
    for _ in range(2):
        await exporter.start()
        await exporter.start()
        assert (await asked(exporter.endpoint))[0] == 200
        await exporter.stop()
        await exporter.stop()


@pytest.mark.requirement("AIP-77")
async def test_a_port_that_is_taken_is_said() -> None:
    async with PrometheusExporter(filled(), port=0) as exporter:
        port = urlsplit(exporter.endpoint).port
        assert port is not None
        with pytest.raises(AiRuntimeError, match=str(port)):
            await PrometheusExporter(filled(), port=port).start()


@pytest.mark.requirement("AIP-77")
def test_without_a_collector_it_is_that_of_the_process_and_the_documented_address() -> None:
    exporter = PrometheusExporter()
    get_metrics_collector().record_request(MetricLabels("openai"), 0.1)
    assert "ailib_requests_total" in exporter.get_metrics()
    assert exporter.endpoint == "http://127.0.0.1:9090/metrics"
    assert PrometheusExporter(host="::1", port=1).endpoint == "http://[::1]:1/metrics"


@pytest.mark.requirement("AIP-77")
def test_the_exporter_needs_no_extra() -> None:
    program = (
        "import sys; sys.modules.update(prometheus_client=None, opentelemetry=None)\n"
        "from dragoman.ai.telemetry import PrometheusExporter; print(repr(PrometheusExporter().get_metrics()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "''\n"


@pytest.mark.requirement("AIP-76")
def test_a_registry_of_prometheus_client_shows_the_same_figures() -> None:
    collector, registry = filled(), CollectorRegistry()
    registry.register(RegistryCollector(collector))

    def figures(text: str) -> set[tuple[str, tuple[tuple[str, Any], ...], float]]:
        return {
            (sample.name, tuple(sorted((k, v) for k, v in sample.labels.items() if v)), sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    assert figures(generate_latest(registry).decode()) == figures(collector.to_prometheus())


@pytest.mark.requirement("AIP-76")
def test_the_registry_bridge_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client.metrics_core", None)
    with pytest.raises(MissingExtra, match="telemetry"):
        RegistryCollector(MetricsCollector())
