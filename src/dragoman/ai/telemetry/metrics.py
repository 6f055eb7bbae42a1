"""What calls to models amount to: counts, tokens, cost, durations, by provider and model.

    collector = MetricsCollector()
    client = await AiClient.builder().model("openai/gpt-4o").with_metrics(collector).build()
    …
    print(collector.get_snapshot().latency_p90_ms, collector.to_prometheus())

A collector may be fed by any number of clients and threads. It keeps sums, buckets, and of single
durations a random sample of fixed size. It neither sends nor serves anything; `exporters` do.
"""

from __future__ import annotations

import logging
import random as _random
import threading
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from dragoman.ai.telemetry.current import PROCESS
from dragoman.ai.telemetry.labels import MERGED, MetricLabels, clean
from dragoman.core.redact import redact_text
from dragoman.wire.metrics_text import Family, Histogram, encode_families, number

__all__ = [
    "HistogramBuckets",
    "MetricLabels",
    "MetricSnapshot",
    "MetricsCollector",
    "get_metrics_collector",
    "set_metrics_collector",
]

_log = logging.getLogger("dragoman.ai")

BOUNDARIES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of durations, in seconds."""

SAMPLES = 1000
"""Single durations that are kept of a series, and given in a snapshot."""

MOST_SERIES = 1000
"""Different label sets; what comes beyond is counted for "other"."""

Callback: TypeAlias = Callable[[str, dict[str, Any]], None]
"""(what happened, its figures); the labels are under `labels`."""


@dataclass
class HistogramBuckets:
    """Upper bounds of the histograms of durations, in seconds."""

    boundaries: list[float] = field(default_factory=lambda: list(BOUNDARIES))

    def get_bucket(self, value: float) -> str:
        """The bound of the bucket that a value falls into, `+Inf` above all."""
        index = bisect_left(sorted(self.boundaries), value)
        return number(sorted(self.boundaries)[index]) if index < len(self.boundaries) else "+Inf"


@dataclass
class MetricSnapshot:
    """Sums at one moment. `latency_samples` are seconds, at most 1,000 of all; waits are seconds, cost US dollars.

    A call that was cancelled is among the requests, but neither a success nor a failure.
    """

    total_requests: int = 0
    successful_requests: int = 0
    failed_requests: int = 0
    total_tokens_in: int = 0
    total_tokens_out: int = 0
    latency_samples: list[float] = field(default_factory=list)
    retry_count: int = 0
    rate_limit_waits: float = 0.0
    circuit_breaker_opens: int = 0
    inflight: int = 0
    total_cost: float = 0.0
    latency_sum: float | None = None

    @property
    def error_rate(self) -> float:
        """Failures to requests; 0 without requests."""
        return self.failed_requests / self.total_requests if self.total_requests else 0.0

    @property
    def success_rate(self) -> float:
        """Successes to requests; 0 without requests."""
        return self.successful_requests / self.total_requests if self.total_requests else 0.0

    @property
    def avg_latency_ms(self) -> float:
        """The mean of all durations; 0 without any."""
        if self.latency_sum is not None and self.total_requests:
            return self.latency_sum / self.total_requests * 1000
        return sum(self.latency_samples) / len(self.latency_samples) * 1000 if self.latency_samples else 0.0

    @property
    def latency_p50_ms(self) -> float:
        return self._quantile(50)

    @property
    def latency_p90_ms(self) -> float:
        return self._quantile(90)

    @property
    def latency_p99_ms(self) -> float:
        return self._quantile(99)

    def _quantile(self, percent: int) -> float:
        """The least sample that so many per cent do not exceed; 0 without samples."""
        ordered = sorted(self.latency_samples)
        if not ordered:
            return 0.0
        return ordered[max(0, -(-percent * len(ordered) // 100) - 1)] * 1000


class _Series:
    """What was counted under one label set."""

    __slots__ = (
        "circuit_opens",
        "cost",
        "durations",
        "failed",
        "first_tokens",
        "inflight",
        "requests",
        "retries",
        "samples",
        "successful",
        "tokens_in",
        "tokens_out",
        "waited",
    )

    def __init__(self, bounds: list[float]) -> None:
        self.requests = self.successful = self.failed = 0
        self.tokens_in = self.tokens_out = 0
        self.retries = self.circuit_opens = 0
        self.waited = self.cost = 0.0
        self.inflight: int | None = None
        self.durations = Histogram(bounds)
        self.first_tokens = Histogram(bounds)
        self.samples: list[float] = []


class MetricsCollector:
    """Counts what it is told; safe to use from any thread. `random` gives numbers in [0, 1)."""

    def __init__(
        self,
        histogram_buckets: HistogramBuckets | None = None,
        *,
        max_series: int = MOST_SERIES,
        random: Callable[[], float] = _random.random,
    ) -> None:
        self._bounds = sorted((histogram_buckets or HistogramBuckets()).boundaries)
        self._most = max(max_series, 1)
        self._random = random
        self._lock = threading.Lock()
        self._series: dict[MetricLabels, _Series] = {}
        self._callbacks: list[Callback] = []

    # ------------------------------------------------------------------------------- what happened

    def record_request(
        self, labels: MetricLabels, latency: float, status: str = "success", tokens_in: int = 0, tokens_out: int = 0
    ) -> None:
        """One answered, failed or given up request. `latency` is seconds; `status` success, cancelled, or anything else for a failure."""
        with self._lock:
            one = self._one(labels)
            one.requests += 1
            one.successful += status == "success"
            one.failed += status not in ("success", "cancelled")
            one.tokens_in += tokens_in
            one.tokens_out += tokens_out
            one.durations.observe(latency)
            if len(one.samples) < SAMPLES:
                one.samples.append(latency)
            elif (place := int(self._random() * one.requests)) < SAMPLES:  # each has the same chance to stay
                one.samples[place] = latency
        if self._callbacks:
            figures = {"latency": latency, "status": status, "tokens_in": tokens_in, "tokens_out": tokens_out}
            self._tell("request", labels, **figures)

    def record_retry(self, labels: MetricLabels, attempt: int) -> None:
        """A further attempt; `attempt` counts from 1."""
        with self._lock:
            self._one(labels).retries += 1
        self._tell("retry", labels, attempt=attempt)

    def record_rate_limit_wait(self, labels: MetricLabels, wait_time: float) -> None:
        """Seconds that a request waited for its turn."""
        with self._lock:
            self._one(labels).waited += wait_time
        self._tell("rate_limit_wait", labels, wait_time=wait_time)

    def record_circuit_open(self, labels: MetricLabels) -> None:
        """A breaker opened."""
        with self._lock:
            self._one(labels).circuit_opens += 1
        self._tell("circuit_open", labels)

    def record_first_token(self, labels: MetricLabels, seconds: float) -> None:
        """Time from a request to the first content, thinking or tool event of its stream."""
        with self._lock:
            self._one(labels).first_tokens.observe(seconds)
        self._tell("first_token", labels, seconds=seconds)

    def record_cost(self, labels: MetricLabels, usd: float) -> None:
        """What a request cost, in US dollars."""
        with self._lock:
            self._one(labels).cost += usd
        self._tell("cost", labels, usd=usd)

    def set_inflight(self, labels: MetricLabels, count: int) -> None:
        """So many requests are under way."""
        with self._lock:
            self._one(labels).inflight = count

    def add_inflight(self, labels: MetricLabels, change: int) -> None:
        """One more, or with -1 one less, is under way."""
        with self._lock:
            one = self._one(labels)
            one.inflight = max((one.inflight or 0) + change, 0)

    def _one(self, labels: MetricLabels) -> _Series:
        found = self._series.get(labels)
        if found is not None:
            return found
        labels = clean(labels)
        if labels not in self._series and len(self._series) >= self._most:
            labels = MERGED
        return self._series.setdefault(labels, _Series(self._bounds))

    # ------------------------------------------------------------------------------- who listens

    def add_callback(self, callback: Callback) -> None:
        """Call this with every record; what it raises is logged and hurts nobody."""
        self._callbacks.append(callback)

    def remove_callback(self, callback: Callback) -> None:
        if callback in self._callbacks:
            self._callbacks.remove(callback)

    def _tell(self, what: str, labels: MetricLabels, **figures: Any) -> None:
        for callback in tuple(self._callbacks):
            try:
                callback(what, {"labels": clean(labels).to_dict(), **figures})
            except Exception as error:
                _log.warning("a callback of the metrics failed: %s: %s", type(error).__name__, redact_text(str(error)))

    # -------------------------------------------------------------------------------- what is there

    def get_all_labels(self) -> list[MetricLabels]:
        """The label sets that something was counted under."""
        with self._lock:
            return list(self._series)

    def get_snapshot(self, labels: MetricLabels | None = None) -> MetricSnapshot:
        """The sums over all label sets, or over those that have the given labels."""
        with self._lock:
            chosen = [one for known, one in self._series.items() if labels is None or clean(labels).includes(known)]
            return _summed(chosen)

    def reset(self) -> None:
        """Forget everything; callbacks stay."""
        with self._lock:
            self._series.clear()

    def families(self) -> list[Family]:
        """All that was counted, as families of metrics; those that nothing was counted of are left out."""
        with self._lock:
            known = sorted((tuple(labels.to_dict().items()), one) for labels, one in self._series.items())
            return [found for make in _FAMILIES if (found := make(known)).series]

    def to_prometheus(self) -> str:
        """All that was counted, in the text format of Prometheus 0.0.4; empty when that is nothing."""
        return encode_families(self.families())


def _summed(chosen: list[_Series]) -> MetricSnapshot:
    total = sum(one.requests for one in chosen)
    return MetricSnapshot(
        total_requests=total,
        successful_requests=sum(one.successful for one in chosen),
        failed_requests=sum(one.failed for one in chosen),
        total_tokens_in=sum(one.tokens_in for one in chosen),
        total_tokens_out=sum(one.tokens_out for one in chosen),
        latency_samples=[sample for one in chosen for sample in _share(one, total)],
        retry_count=sum(one.retries for one in chosen),
        rate_limit_waits=sum(one.waited for one in chosen),
        circuit_breaker_opens=sum(one.circuit_opens for one in chosen),
        inflight=sum(one.inflight or 0 for one in chosen),
        total_cost=sum(one.cost for one in chosen),
        latency_sum=sum(one.durations.total for one in chosen),
    )


def _share(one: _Series, total: int) -> list[float]:
    """As many samples of a series as fit to its share of all requests, evenly chosen by size."""
    wanted = len(one.samples) if total <= SAMPLES else max(1, SAMPLES * one.requests // total)
    if wanted >= len(one.samples):
        return list(one.samples)
    ordered = sorted(one.samples)
    return [ordered[(2 * index + 1) * len(ordered) // (2 * wanted)] for index in range(wanted)]


_Known: TypeAlias = list[tuple[tuple[tuple[str, str], ...], _Series]]


def _counter(name: str, text: str, read: Callable[[_Series], float]) -> Callable[[_Known], Family]:
    def make(known: _Known) -> Family:
        return Family(name, "counter", text, [(labels, value) for labels, one in known if (value := read(one))])

    return make


def _histogram(name: str, text: str, read: Callable[[_Series], Histogram]) -> Callable[[_Known], Family]:
    def make(known: _Known) -> Family:
        return Family(
            name, "histogram", text, [(labels, _copied(read(one))) for labels, one in known if read(one).count]
        )

    return make


def _inflight(known: _Known) -> Family:
    series: list[Any] = [(labels, one.inflight) for labels, one in known if one.inflight is not None]
    return Family("ailib_inflight_requests", "gauge", "Requests under way.", series)


def _copied(one: Histogram) -> Histogram:
    copy = Histogram(one.bounds)
    copy.buckets, copy.total, copy.count = list(one.buckets), one.total, one.count
    return copy


_FAMILIES: tuple[Callable[[_Known], Family], ...] = (
    _counter("ailib_requests_total", "Requests to models, however they ended.", lambda one: one.requests),
    _counter("ailib_requests_success_total", "Requests that were answered.", lambda one: one.successful),
    _counter("ailib_requests_error_total", "Requests that failed.", lambda one: one.failed),
    _counter("ailib_tokens_in_total", "Tokens of prompts, as providers counted.", lambda one: one.tokens_in),
    _counter("ailib_tokens_out_total", "Tokens of answers, as providers counted.", lambda one: one.tokens_out),
    _counter("ailib_cost_usd_total", "What requests cost in US dollars, where it is known.", lambda one: one.cost),
    _histogram("ailib_request_duration_seconds", "Time of a request, retries included.", lambda one: one.durations),
    _histogram(
        "ailib_time_to_first_token_seconds", "Time to the first output of a stream.", lambda one: one.first_tokens
    ),
    _counter("ailib_retries_total", "Attempts after the first.", lambda one: one.retries),
    _counter(
        "ailib_rate_limit_wait_seconds_total", "Time that requests waited for their turn.", lambda one: one.waited
    ),
    _counter("ailib_circuit_open_total", "How often a circuit breaker opened.", lambda one: one.circuit_opens),
    _inflight,
)


def get_metrics_collector() -> MetricsCollector:
    """The collector of this process. Asking for it is what turns it on for clients that have none of their own."""
    if PROCESS.collector is None:
        PROCESS.collector = MetricsCollector()
    return PROCESS.collector


def set_metrics_collector(collector: MetricsCollector | None) -> None:
    """Let all clients without a collector of their own feed this one; None turns it off."""
    PROCESS.collector = collector
