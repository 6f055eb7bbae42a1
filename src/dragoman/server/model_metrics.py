"""Requests to models of providers, counted among the server's own metrics.

The client of `dragoman.ai` tells it what happens, as it would tell a collector of its own. Names of
models come from callers where there is a gateway, so that only so many of them get series.
"""

from __future__ import annotations

from collections import defaultdict

from dragoman.ai.telemetry.labels import OTHER, MetricLabels, clean
from dragoman.server import metric_table as names
from dragoman.server.metrics import Labels, Metrics

MOST_MODELS = 200
"""Pairs of provider and model with series of their own; the rest is called "other"."""

CHAT = "chat"


class ModelMetrics:
    """What a client takes as `metrics`."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._known: dict[tuple[str | None, str | None], tuple[str, str]] = {}
        self._open: defaultdict[Labels, int] = defaultdict(int)
        metrics.gauge(names.MODEL_OPEN, lambda: list(self._open.items()))

    def _who(self, labels: MetricLabels) -> tuple[str, str]:
        asked = (labels.provider, labels.model)
        known = self._known.get(asked)
        if known is None:
            if len(self._known) >= MOST_MODELS:
                return OTHER, OTHER
            cleaned = clean(labels)
            known = self._known[asked] = (cleaned.provider or "", cleaned.model or "")
        return known

    def _plain(self, labels: MetricLabels) -> Labels:
        provider, model = self._who(labels)
        return (("provider", provider), ("model", model))

    def _conventional(self, labels: MetricLabels) -> Labels:
        provider, model = self._who(labels)
        operation = ("gen_ai_operation_name", labels.operation or CHAT)
        return (operation, ("gen_ai_provider_name", provider), ("gen_ai_request_model", model))

    def record_request(
        self, labels: MetricLabels, latency: float, status: str = "success", tokens_in: int = 0, tokens_out: int = 0
    ) -> None:
        named = self._conventional(labels)
        error = status if labels.error_class is None else clean(labels).error_class or status
        failed: Labels = () if status == "success" else (("error_type", error),)
        self._metrics.observe(names.MODEL_SECONDS, latency, (*named, *failed))
        for kind, tokens in (("input", tokens_in), ("output", tokens_out)):
            if tokens:
                self._metrics.observe(names.MODEL_TOKENS, tokens, (*named, ("gen_ai_token_type", kind)))

    def record_first_token(self, labels: MetricLabels, seconds: float) -> None:
        self._metrics.observe(names.MODEL_FIRST, seconds, self._conventional(labels))

    def record_retry(self, labels: MetricLabels, attempt: int) -> None:
        self._metrics.count(names.MODEL_RETRIES, self._plain(labels))

    def record_rate_limit_wait(self, labels: MetricLabels, wait_time: float) -> None:
        self._metrics.count(names.MODEL_WAITED, self._plain(labels), wait_time)

    def record_circuit_open(self, labels: MetricLabels) -> None:
        self._metrics.count(names.MODEL_CIRCUITS, self._plain(labels))

    def record_cost(self, labels: MetricLabels, usd: float) -> None:
        self._metrics.count(names.MODEL_COST, self._plain(labels), usd)

    def add_inflight(self, labels: MetricLabels, change: int) -> None:
        named = self._plain(labels)
        self._open[named] = max(self._open[named] + change, 0)
