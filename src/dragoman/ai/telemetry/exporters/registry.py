"""A collector's metrics in a registry of prometheus-client, beside those that an application has there already.

    from prometheus_client import REGISTRY

    REGISTRY.register(RegistryCollector(collector))

Needs the extra `telemetry`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dragoman.ai.telemetry.metrics import MetricsCollector, get_metrics_collector
from dragoman.core.errors import MissingExtra
from dragoman.wire.metrics_text import Family, Histogram

__all__ = ["RegistryCollector"]


class RegistryCollector:
    """What `CollectorRegistry.register` takes. Raises MissingExtra where prometheus-client is not installed."""

    def __init__(self, collector: MetricsCollector | None = None) -> None:
        """Without a collector it is the one of the process, which this turns on."""
        try:
            import prometheus_client.metrics_core
        except ImportError as error:
            raise MissingExtra("A registry of prometheus-client", "telemetry") from error
        self._kinds = prometheus_client.metrics_core
        self._collector = collector if collector is not None else get_metrics_collector()

    def describe(self) -> list[Any]:
        """Nothing beforehand: which families there are is known when they are collected."""
        return []

    def collect(self) -> Iterator[Any]:
        """The families as prometheus-client's classes."""
        for family in self._collector.families():
            yield self._made(family)

    def _made(self, family: Family) -> Any:
        name, text = family.name, family.help or ""
        names = sorted({label for labels, _ in family.series for label, _ in labels})
        kinds = self._kinds
        made: Any = {
            "counter": kinds.CounterMetricFamily,
            "gauge": kinds.GaugeMetricFamily,
            "histogram": kinds.HistogramMetricFamily,
        }[family.kind](name, text, labels=names)
        for labels, value in family.series:
            values = [dict(labels).get(label, "") for label in names]
            if isinstance(value, Histogram):
                made.add_metric(values, value.running(), value.total)
            else:
                made.add_metric(values, value)
        return made
