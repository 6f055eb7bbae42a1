"""Families of metrics as the text format of Prometheus, version 0.0.4.

Fed values, gives text; counts nothing but what a histogram needs to be told. The server's `/metrics`
and `dragoman.ai.telemetry` write with it.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels: TypeAlias = tuple[tuple[str, str], ...]
"""Names and values in the order in which they are written."""


class Histogram:
    """Counts per bucket (`buckets[i]` of values up to `bounds[i]`, not yet added up), sum and count of one series."""

    __slots__ = ("bounds", "buckets", "count", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.buckets = [0] * len(self.bounds)
        self.total = 0.0
        self.count = 0

    def observe(self, value: float) -> None:
        self.total += value
        self.count += 1
        index = bisect_left(self.bounds, value)
        if index < len(self.buckets):
            self.buckets[index] += 1

    def running(self) -> list[tuple[str, int]]:
        """(`le`, how many were not above it), the last one for all."""
        found, running = [], 0
        for bound, amount in zip(self.bounds, self.buckets, strict=True):
            running += amount
            found.append((number(bound), running))
        return [*found, ("+Inf", self.count)]


@dataclass(frozen=True, slots=True)
class Family:
    """All series of one metric; `name` is whole, with `_total` where it has that."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str | None = None
    series: list[tuple[Labels, float | Histogram]] = field(default_factory=list)


def encode_families(families: Iterable[Family]) -> str:
    """The whole text; empty for none, else it ends with a line feed."""
    lines: list[str] = []
    for family in families:
        if family.help is not None:
            lines.append(f"# HELP {family.name} {_escaped(family.help)}")
        lines.append(f"# TYPE {family.name} {family.kind}")
        for labels, value in family.series:
            if isinstance(value, Histogram):
                _histogram(lines, family.name, labels, value)
            else:
                lines.append(f"{family.name}{labels_text(labels)} {number(value)}")
    return "\n".join(lines) + "\n" if lines else ""


def _histogram(lines: list[str], name: str, labels: Labels, one: Histogram) -> None:
    lines += [f"{name}_bucket{labels_text((*labels, ('le', le)))} {amount}" for le, amount in one.running()]
    lines.append(f"{name}_sum{labels_text(labels)} {number(one.total)}")
    lines.append(f"{name}_count{labels_text(labels)} {one.count}")


def labels_text(labels: Labels) -> str:
    """`{name="value",…}`, empty for none."""
    if not labels:
        return ""
    return "{" + ",".join(f'{key}="{_quoted(value)}"' for key, value in labels) + "}"


def number(value: float) -> str:
    """A value as the format spells it: whole ones without a point, `+Inf`, `-Inf`, `NaN`."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) else repr(float(value))


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _quoted(value: str) -> str:
    return _escaped(value).replace('"', '\\"')
