"""Counters of this process, and their Prometheus text.

Own and small: a handful of counters and gauges does not justify a dependency that every request
would pay for. Knows no HTTP; `dispatch`, `measured`, `model_metrics` and `operations` feed and read it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from dragoman.server.metric_table import METRICS, QUICK
from dragoman.wire.metrics_text import Family, Histogram, Labels, encode_families

__all__ = ["Histogram", "Labels", "Metrics"]

MOST_SERIES = 2000
"""Of one metric; what comes beyond is counted together, so that no label can fill the memory."""


class Metrics:
    """What this process has counted since its start; gauges are asked when the text is made.

    Help and bounds are those of `metric_table`.
    """

    def __init__(self) -> None:
        self._counters: dict[str, dict[Labels, float]] = defaultdict(lambda: defaultdict(float))
        self._histograms: dict[str, dict[Labels, Histogram]] = {}
        self._gauges: dict[str, Callable[[], Iterable[tuple[Labels, float]]]] = {}

    def count(self, name: str, labels: Labels = (), amount: float = 1) -> None:
        """Add to a counter."""
        series = self._counters[name]
        series[_within(labels, series)] += amount

    def observe(self, name: str, value: float, labels: Labels = ()) -> None:
        """Add a value, mostly seconds, to a histogram."""
        series = self._histograms.setdefault(name, {})
        labels = _within(labels, series)
        found = series.get(labels)
        if found is None:
            found = series[labels] = Histogram(METRICS[name].buckets if name in METRICS else QUICK)
        found.observe(value)

    def gauge(self, name: str, read: Callable[[], Iterable[tuple[Labels, float]]]) -> None:
        """Let `read` give the series of a gauge whenever the text is made."""
        self._gauges[name] = read

    def value(self, name: str, labels: Labels = ()) -> float:
        """A counter's value; 0 if it was never counted."""
        return self._counters[name][labels] if name in self._counters else 0

    def text(self) -> str:
        """Everything in the Prometheus text format, version 0.0.4."""
        families: list[Family] = []
        for name, series in sorted(self._counters.items()):
            families.append(Family(name, "counter", _help(name), [*sorted(series.items())]))
        for name, read in sorted(self._gauges.items()):
            families.append(Family(name, "gauge", _help(name), [*sorted(read())]))
        for name, histograms in sorted(self._histograms.items()):
            families.append(
                Family(name, "histogram", _help(name), [*sorted(histograms.items(), key=lambda one: one[0])])
            )
        return encode_families(families) or "\n"


def _within(labels: Labels, series: Mapping[Labels, object]) -> Labels:
    """The labels, or those of the series that takes what there is no room for."""
    if labels in series or len(series) < MOST_SERIES:
        return labels
    return tuple((label, "other") for label, _ in labels)


def _help(name: str) -> str | None:
    return METRICS[name].text if name in METRICS else None
