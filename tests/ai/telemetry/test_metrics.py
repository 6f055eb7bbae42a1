"""The collector: what it counts, what it keeps of it, and what its text says."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dragoman.ai.telemetry import (
    HistogramBuckets,
    MetricLabels,
    MetricsCollector,
    MetricSnapshot,
    get_metrics_collector,
    set_metrics_collector,
)

pytestmark = pytest.mark.requirement("AIP-76")

GPT = MetricLabels("openai", "gpt-4o")


def samples(collector: MetricsCollector) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = text_string_to_metric_families(collector.to_prometheus())
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def of(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset({"provider": "openai", "model": "gpt-4o", **labels}.items())


def test_all_families_are_there_once_something_was_counted() -> None:
    collector = MetricsCollector()
    collector.record_request(GPT, 0.5, tokens_in=3, tokens_out=4)
    collector.record_request(GPT, 0.3, "error")
    collector.record_request(GPT, 0.3, "cancelled")
    collector.record_retry(GPT, 1)
    collector.record_rate_limit_wait(GPT, 0.25)
    collector.record_circuit_open(GPT)
    collector.record_first_token(GPT, 0.1)
    collector.record_cost(GPT, 0.002)
    collector.set_inflight(GPT, 3)
    collector.add_inflight(GPT, -1)
    found = samples(collector)
    assert found[of("ailib_requests_total")] == 3
    assert found[of("ailib_requests_success_total")] == 1
    assert found[of("ailib_requests_error_total")] == 1
    assert found[of("ailib_tokens_in_total")] == 3
    assert found[of("ailib_tokens_out_total")] == 4
    assert found[of("ailib_request_duration_seconds_count")] == 3
    assert found[of("ailib_request_duration_seconds_sum")] == pytest.approx(1.1)
    assert found[of("ailib_request_duration_seconds_bucket", le="0.5")] == 3
    assert found[of("ailib_request_duration_seconds_bucket", le="0.25")] == 0
    assert found[of("ailib_retries_total")] == 1
    assert found[of("ailib_rate_limit_wait_seconds_total")] == 0.25
    assert found[of("ailib_circuit_open_total")] == 1
    assert found[of("ailib_time_to_first_token_seconds_count")] == 1
    assert found[of("ailib_cost_usd_total")] == 0.002
    assert found[of("ailib_inflight_requests")] == 2
    assert collector.to_prometheus().endswith("\n")


def test_the_buckets_are_the_documented_ones() -> None:
    assert HistogramBuckets().boundaries == [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]
    assert HistogramBuckets().get_bucket(0.03) == "0.05"
    assert HistogramBuckets([1, 2]).get_bucket(99) == "+Inf"
    collector = MetricsCollector(HistogramBuckets([2, 1]))
    collector.record_request(GPT, 1.5)
    assert samples(collector)[of("ailib_request_duration_seconds_bucket", le="2")] == 1


def test_a_label_may_say_anything_and_the_text_stays_valid() -> None:
    collector = MetricsCollector()
    collector.record_request(MetricLabels('o"x', "a\\b\nc"), 0.1)
    (labels,) = {labels for name, labels in samples(collector) if name == "ailib_requests_total"}
    assert dict(labels) == {"provider": 'o"x', "model": "a\\b\nc"}


def test_half_characters_in_labels_do_not_make_the_text_unsendable() -> None:
    collector = MetricsCollector()
    collector.record_request(MetricLabels("p", "m\ud800"), 0.1)
    collector.record_request(MetricLabels("p", "m\udfff"), 0.1)
    assert collector.to_prometheus().encode().count(b"ailib_requests_total{") == 1  # two are the same now


@pytest.mark.requirement("AIP-113")
def test_a_secret_in_a_label_is_taken_out_and_a_long_one_is_cut() -> None:
    collector = MetricsCollector()
    collector.record_request(MetricLabels("sk-abcdefghijklmnop", "m" * 500), 0.1)
    (labels,) = collector.get_all_labels()
    assert labels == MetricLabels("[redacted]", "m" * 120)
    assert "abcdefghijklmnop" not in collector.to_prometheus()


def test_there_are_only_so_many_series_and_the_rest_is_counted_for_other() -> None:
    collector = MetricsCollector(max_series=10)
    for number in range(500):
        collector.record_request(
            MetricLabels("p", f"m{number}", status="error", error_class=f"e{number}"), 0.1, "error"
        )
    assert len(collector.get_all_labels()) == 11
    assert collector.get_snapshot(MetricLabels("other", "other")).total_requests == 490
    assert collector.get_snapshot().total_requests == 500


def test_a_snapshot_has_counts_rates_and_quantiles_in_milliseconds() -> None:
    collector = MetricsCollector()
    for number in range(1, 101):
        collector.record_request(GPT, number / 100, "success" if number > 10 else "error", 1, 2)
    found = collector.get_snapshot()
    assert (found.total_requests, found.successful_requests, found.failed_requests) == (100, 90, 10)
    assert (found.total_tokens_in, found.total_tokens_out) == (100, 200)
    assert (found.error_rate, found.success_rate) == (0.1, 0.9)
    assert (found.latency_p50_ms, found.latency_p90_ms, found.latency_p99_ms) == (500, 900, 990)
    assert found.avg_latency_ms == pytest.approx(505)


def test_one_sample_is_every_quantile_and_none_is_zero() -> None:
    collector = MetricsCollector()
    empty = collector.get_snapshot()
    assert (empty.latency_p50_ms, empty.avg_latency_ms, empty.error_rate, empty.success_rate) == (0, 0, 0, 0)
    collector.record_request(GPT, 0.25)
    found = collector.get_snapshot()
    assert (found.latency_p50_ms, found.latency_p90_ms, found.latency_p99_ms, found.avg_latency_ms) == (250,) * 4
    assert MetricSnapshot(latency_samples=[0.1, 0.3]).avg_latency_ms == pytest.approx(200)


def test_a_snapshot_of_some_labels_is_of_all_series_that_have_them() -> None:
    collector = MetricsCollector()
    collector.record_request(MetricLabels("openai", "gpt-4o", "/chat", "success"), 0.1)
    collector.record_request(MetricLabels("openai", "gpt-4o", "/chat", "error", "timeout"), 0.1, "error")
    collector.record_request(MetricLabels("groq", "llama"), 0.1)
    assert collector.get_snapshot(GPT).total_requests == 2
    assert collector.get_snapshot(MetricLabels(error_class="timeout")).failed_requests == 1
    assert collector.get_snapshot(MetricLabels("nobody")).total_requests == 0


def test_memory_is_bounded_and_every_request_has_the_same_chance_to_be_a_sample() -> None:
    rising = iter(range(10**6))
    collector = MetricsCollector(random=lambda: (next(rising) % 1000) / 1000)
    for number in range(20_000):
        collector.record_request(GPT, float(number))
    found = collector.get_snapshot()
    assert len(found.latency_samples) == 1000
    assert found.avg_latency_ms == pytest.approx(9999.5 * 1000)
    collector.record_request(MetricLabels("rare"), 7.0)
    assert len(collector.get_snapshot().latency_samples) <= 1001
    assert 7.0 in collector.get_snapshot().latency_samples


def test_callbacks_hear_everything_and_one_that_fails_hurts_nobody(caplog: pytest.LogCaptureFixture) -> None:
    collector, heard = MetricsCollector(), list[tuple[str, dict[str, Any]]]()

    def broken(what: str, figures: dict[str, Any]) -> None:
        raise ValueError("token=abcdef123456")

    def hear(what: str, figures: dict[str, Any]) -> None:
        heard.append((what, figures))

    collector.add_callback(broken)
    collector.add_callback(hear)
    collector.record_request(GPT, 0.5, tokens_in=1)
    collector.record_retry(GPT, 2)
    collector.remove_callback(hear)
    collector.remove_callback(hear)
    collector.record_circuit_open(GPT)
    named = {"provider": "openai", "model": "gpt-4o"}
    assert heard == [
        ("request", {"labels": named, "latency": 0.5, "status": "success", "tokens_in": 1, "tokens_out": 0}),
        ("retry", {"labels": named, "attempt": 2}),
    ]
    assert "a callback of the metrics failed" in caplog.text
    assert "abcdef123456" not in caplog.text


def test_many_threads_count_right() -> None:
    collector = MetricsCollector()

    def count() -> None:
        for _ in range(500):
            collector.record_request(GPT, 0.1)
            collector.add_inflight(GPT, 1)
            collector.add_inflight(GPT, -1)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert collector.get_snapshot().total_requests == 4000
    assert collector.get_snapshot().inflight == 0


def test_reset_forgets_everything() -> None:
    collector = MetricsCollector()
    collector.record_request(GPT, 0.1)
    collector.reset()
    assert collector.to_prometheus() == ""
    assert collector.get_all_labels() == []


def test_labels_are_a_dict_and_a_key() -> None:
    labels = MetricLabels("openai", "gpt-4o", endpoint="/chat")
    assert labels.to_dict() == {"provider": "openai", "model": "gpt-4o", "endpoint": "/chat"}
    assert labels.to_key() == "endpoint=/chat,model=gpt-4o,provider=openai"


def test_the_collector_of_the_process_is_made_by_asking_for_it() -> None:
    made = get_metrics_collector()
    assert get_metrics_collector() is made
    other = MetricsCollector()
    set_metrics_collector(other)
    assert get_metrics_collector() is other
