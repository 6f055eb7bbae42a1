"""Seven ways to choose one of several models.

A selector gives None for an empty list. Between equals the first wins, unless its docstring says more.
"""

from __future__ import annotations

import random as _random
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from enum import StrEnum

from dragoman.ai.routing.models import ModelInfo


class ModelSelectionStrategy(StrEnum):
    """The names of the seven ways."""

    ROUND_ROBIN = "round_robin"
    WEIGHTED = "weighted"
    LEAST_CONNECTIONS = "least_connections"
    PERFORMANCE_BASED = "performance_based"
    COST_BASED = "cost_based"
    RANDOM = "random"
    QUALITY_BASED = "quality_based"


class ModelSelector(ABC):
    """Chooses; may remember what it chose."""

    @abstractmethod
    def select(self, models: Sequence[ModelInfo]) -> ModelInfo | None:
        """One of the models, None when there is none."""


class RoundRobinSelector(ModelSelector):
    """Each in turn. The count goes on when the list changes."""

    def __init__(self) -> None:
        self._count = 0

    def select(self, models: Sequence[ModelInfo]) -> ModelInfo | None:
        if not models:
            return None
        chosen = models[self._count % len(models)]
        self._count += 1
        return chosen


class WeightedSelector(ModelSelector):
    """The highest sum of speed and quality."""

    def select(self, models: Sequence[ModelInfo]) -> ModelInfo | None:
        return max(models, key=lambda m: m.performance.speed.score + m.performance.quality.score, default=None)


class LeastConnectionsSelector(ModelSelector):
    """The one with the fewest requests under way; between equals the one that was not chosen for longest.

    Counts what `increment` and `decrement` tell it, by full id or name. A client that is given a
    manager tells it by itself.
    """

    def __init__(self) -> None:
        self._under_way: Counter[str] = Counter()
        self._chosen_at: dict[str, int] = {}
        self._count = 0

    def select(self, models: Sequence[ModelInfo]) -> ModelInfo | None:
        chosen = min(models, key=lambda m: (self.connections(m), self._chosen_at.get(m.full_id, 0)), default=None)
        if chosen is not None:
            self._count += 1
            self._chosen_at[chosen.full_id] = self._count
        return chosen

    def connections(self, model: ModelInfo) -> int:
        """Requests of the model that are under way."""
        full, name = model.full_id, model.name
        return self._under_way[full] + (self._under_way[name] if name != full else 0)

    def increment(self, model_name: str) -> None:
        """A request of the model begins."""
        self._under_way[model_name] += 1

    def decrement(self, model_name: str) -> None:
        """A request of the model is over. A call too many does nothing."""
        if self._under_way[model_name] > 1:
            self._under_way[model_name] -= 1
        else:
            self._under_way.pop(model_name, None)


class PerformanceBasedSelector(ModelSelector):
    """The shortest measured response time; models without one come after, by their speed tier."""

    def select(self, models: Sequence[ModelInfo]) -> ModelInfo | None:
        def rank(model: ModelInfo) -> tuple[bool, float]:
            measured = model.performance.avg_response_time_ms
            return (measured is None, -model.performance.speed.score if measured is None else measured)

        return min(models, key=rank, default=None)


class CostBasedSelector(ModelSelector):
    """The lowest price of input and output together; an unknown price comes last."""

    def select(self, models: Sequence[ModelInfo]) -> ModelInfo | None:
        def rank(model: ModelInfo) -> float:
            return float("inf") if model.pricing is None else model.pricing.total_per_1k

        return min(models, key=rank, default=None)


class RandomSelector(ModelSelector):
    """Any, all with the same chance. `random` gives numbers in [0, 1)."""

    def __init__(self, *, random: Callable[[], float] = _random.random) -> None:
        self._random = random

    def select(self, models: Sequence[ModelInfo]) -> ModelInfo | None:
        return models[int(self._random() * len(models))] if models else None


class QualityBasedSelector(ModelSelector):
    """The highest quality tier."""

    def select(self, models: Sequence[ModelInfo]) -> ModelInfo | None:
        return max(models, key=lambda m: m.performance.quality.score, default=None)


_SELECTORS: dict[ModelSelectionStrategy, type[ModelSelector]] = {
    ModelSelectionStrategy.ROUND_ROBIN: RoundRobinSelector,
    ModelSelectionStrategy.WEIGHTED: WeightedSelector,
    ModelSelectionStrategy.LEAST_CONNECTIONS: LeastConnectionsSelector,
    ModelSelectionStrategy.PERFORMANCE_BASED: PerformanceBasedSelector,
    ModelSelectionStrategy.COST_BASED: CostBasedSelector,
    ModelSelectionStrategy.RANDOM: RandomSelector,
    ModelSelectionStrategy.QUALITY_BASED: QualityBasedSelector,
}


def create_model_selector(strategy: ModelSelectionStrategy | str) -> ModelSelector:
    """A fresh selector. Raises ValueError for an unknown name."""
    return _SELECTORS[ModelSelectionStrategy(strategy)]()
