"""Figures of a time, added up from the runs that were made in it.

Pure: rows in, `OverviewOut` out. Everything counts by when a run was made; a run that has not ended has no duration
yet. A percentile is the least value that so many percent of all do not exceed (nearest rank), so that it is always one of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from dragoman.core.records import ModelFigure, RunFigure

BUCKETS = (60, 300, 900, 3600, 21600, 86400, 604800)
"""Seconds of a bucket where none are asked for: the shortest of which there are not more than `USUAL`."""

USUAL = 100
MOST = 2000
"""Buckets of one answer."""


@dataclass(slots=True)
class Tally:
    """What is added up for one bucket, one agent, and so on."""

    runs: int = 0
    failed: int = 0
    durations: list[float] = field(default_factory=list)
    first_tokens: list[float] = field(default_factory=list)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None

    def merge(self, other: Tally) -> None:
        """Take in what another has added up."""
        self.runs += other.runs
        self.failed += other.failed
        self.durations += other.durations
        self.first_tokens += other.first_tokens
        self.prompt_tokens += other.prompt_tokens
        self.completion_tokens += other.completion_tokens
        if other.cost is not None:
            self.cost = (self.cost or 0.0) + other.cost

    def told(self) -> dict[str, Any]:
        """`FiguresOut`."""
        return {
            "runs": self.runs,
            "failed": self.failed,
            "duration_ms": percentiles(self.durations),
            "first_token_ms": percentiles(self.first_tokens),
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "cost": None if self.cost is None else round(self.cost, 9),
        }


def first_token_seconds(created: float, started: float | None, first_token: float) -> float:
    """Seconds from the start of a run to a model's first word; from its creation where it was started anew since."""
    begin = started if started is not None and started <= first_token else created
    return round(max(0.0, first_token - begin), 6)


def percentiles(seconds: list[float]) -> dict[str, float] | None:
    """p50, p95 and p99 in milliseconds; None of nothing."""
    if not seconds:
        return None
    ordered = sorted(seconds)
    ranks = {f"p{percent}": math.ceil(len(ordered) * percent / 100) for percent in (50, 95, 99)}
    return {name: round(ordered[rank - 1] * 1000, 3) for name, rank in ranks.items()}


def usual_bucket(seconds: float) -> int:
    """How long a bucket is where none is asked for."""
    return next((bucket for bucket in BUCKETS if seconds / bucket <= USUAL), math.ceil(seconds / USUAL))


def overview(
    runs: Iterable[RunFigure], models: Sequence[ModelFigure], *, since: float, until: float, bucket: int
) -> dict[str, Any]:
    """`OverviewOut`; all runs have since <= created < until."""
    count = max(1, math.ceil((until - since) / bucket))
    kinds: dict[tuple[int, int, str, str], Tally] = {}
    for run in runs:
        # a remainder of floats must not lead beyond the last one
        place = min(count - 1, int((run.created - since) // bucket))
        kind = (place, run.is_flow, run.name, run.face)
        tally = kinds.get(kind)
        if tally is None:
            tally = kinds[kind] = Tally()
        _add(tally, run)
    total, buckets = Tally(), [Tally() for _ in range(count)]
    named: dict[str, dict[str, Tally]] = {"agents": {}, "flows": {}, "faces": {}}
    for (place, is_flow, name, face), tally in kinds.items():
        total.merge(tally)
        buckets[place].merge(tally)
        named["flows" if is_flow else "agents"].setdefault(name, Tally()).merge(tally)
        named["faces"].setdefault(face, Tally()).merge(tally)
    return {
        "from": since,
        "to": until,
        "bucket": bucket,
        "total": total.told(),
        "buckets": [{"start": since + n * bucket, **one.told()} for n, one in enumerate(buckets)],
        **{group: _by_use(found) for group, found in named.items()},
        "models": [_model(one) for one in sorted(models, key=lambda one: (-one.calls, one.model))],
    }


def _add(tally: Tally, run: RunFigure) -> None:
    created, started, ended, first_token, status, _, _, _, prompt_tokens, completion_tokens, cost = run
    tally.runs += 1
    if status == "failed":
        tally.failed += 1
    if ended is not None:
        tally.durations.append(max(0.0, ended - created))
    if first_token is not None:
        tally.first_tokens.append(first_token_seconds(created, started, first_token))
    tally.prompt_tokens += prompt_tokens or 0
    tally.completion_tokens += completion_tokens or 0
    if cost is not None:
        tally.cost = (tally.cost or 0.0) + cost


def _by_use(found: dict[str, Tally]) -> list[dict[str, Any]]:
    ordered = sorted(found.items(), key=lambda one: (-one[1].runs, one[0]))
    return [{"name": name, **tally.told()} for name, tally in ordered]


def _model(one: ModelFigure) -> dict[str, Any]:
    return {
        "name": one.model,
        "calls": one.calls,
        "failed": one.failed,
        "prompt_tokens": one.prompt_tokens,
        "completion_tokens": one.completion_tokens,
        "cost": None if one.cost is None else round(one.cost, 9),
    }
