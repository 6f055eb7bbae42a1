"""Counters of this process, and their Prometheus text.

Own and small: a handful of counters and gauges does not justify a dependency that every request
would pay for. Knows no HTTP; `dispatch`, `measured` and `operations` feed and read it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import TypeAlias

from dragoman.server.metric_table import METRICS, QUICK

Labels: TypeAlias = tuple[tuple[str, str], ...]


class Histogram:
    """Counts per bucket, sum and count of one series."""

    __slots__ = ("bounds", "buckets", "count", "total")

    def __init__(self, bounds: tuple[float, ...] = QUICK) -> None:
        self.bounds = bounds
        self.buckets = [0] * len(bounds)
        self.total = 0.0
        self.count = 0

    def observe(self, value: float) -> None:
        self.total += value
        self.count += 1
        index = bisect_left(self.bounds, value)
        if index < len(self.buckets):
            self.buckets[index] += 1


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
        self._counters[name][labels] += amount

    def observe(self, name: str, seconds: float, labels: Labels = ()) -> None:
        """Add a duration to a histogram."""
        series = self._histograms.setdefault(name, {})
        found = series.get(labels)
        if found is None:
            found = series[labels] = Histogram(METRICS[name].buckets if name in METRICS else QUICK)
        found.observe(seconds)

    def gauge(self, name: str, read: Callable[[], Iterable[tuple[Labels, float]]]) -> None:
        """Let `read` give the series of a gauge whenever the text is made."""
        self._gauges[name] = read

    def value(self, name: str, labels: Labels = ()) -> float:
        """A counter's value; 0 if it was never counted."""
        return self._counters[name][labels] if name in self._counters else 0

    def text(self) -> str:
        """Everything in the Prometheus text format, version 0.0.4."""
        lines: list[str] = []
        for name, series in sorted(self._counters.items()):
            self._head(lines, name, "counter")
            lines += [f"{name}{_labels(labels)} {_number(value)}" for labels, value in sorted(series.items())]
        for name, read in sorted(self._gauges.items()):
            self._head(lines, name, "gauge")
            lines += [f"{name}{_labels(labels)} {_number(value)}" for labels, value in sorted(read())]
        for name, histograms in sorted(self._histograms.items()):
            self._head(lines, name, "histogram")
            for labels, one in sorted(histograms.items()):
                lines += _histogram_lines(name, labels, one)
        return "\n".join(lines) + "\n"

    def _head(self, lines: list[str], name: str, kind: str) -> None:
        if name in METRICS:
            lines.append(f"# HELP {name} {METRICS[name].text}")
        lines.append(f"# TYPE {name} {kind}")


def _histogram_lines(name: str, labels: Labels, one: Histogram) -> list[str]:
    lines, running = [], 0
    for bound, amount in zip(one.bounds, one.buckets, strict=True):
        running += amount
        lines.append(f"{name}_bucket{_labels((*labels, ('le', _number(bound))))} {running}")
    lines.append(f"{name}_bucket{_labels((*labels, ('le', '+Inf')))} {one.count}")
    lines.append(f"{name}_sum{_labels(labels)} {_number(one.total)}")
    lines.append(f"{name}_count{_labels(labels)} {one.count}")
    return lines


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    escaped = ((key, value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")) for key, value in labels)
    return "{" + ",".join(f'{key}="{value}"' for key, value in escaped) + "}"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
