"""Places that serve a model, and five ways to choose one of them.

Selectors are given healthy endpoints only; health itself is kept by `ModelArray`.
"""

from __future__ import annotations

import random as _random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any


class LoadBalancingStrategy(StrEnum):
    """The names of the five ways."""

    ROUND_ROBIN = "round_robin"
    WEIGHTED = "weighted"
    LEAST_CONNECTIONS = "least_connections"
    HEALTH_BASED = "health_based"
    RANDOM = "random"


@dataclass
class ModelEndpoint:
    """One place. `connection_count` is what is under way there, counted by `ModelArray.acquire`."""

    name: str
    model_name: str
    url: str
    weight: float = 1.0
    healthy: bool = True
    connection_count: int = 0

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ModelEndpoint:
        return cls(**{item.name: data[item.name] for item in fields(cls) if item.name in data})


@dataclass(frozen=True)
class HealthCheckConfig:
    """`endpoint` is a path below an endpoint's URL, or a whole URL; the rest are seconds and a count."""

    endpoint: str = "/health"
    interval_seconds: float = 30.0
    timeout_seconds: float = 5.0
    max_failures: int = 3

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> HealthCheckConfig:
        return cls(**{item.name: data[item.name] for item in fields(cls) if item.name in data})


class EndpointSelector(ABC):
    """Chooses; may remember what it chose."""

    @abstractmethod
    def select(self, endpoints: Sequence[ModelEndpoint]) -> ModelEndpoint | None:
        """One of the endpoints, None when there is none."""


class RoundRobinEndpointSelector(EndpointSelector):
    """Each in turn. The count goes on when the list changes."""

    def __init__(self) -> None:
        self._count = 0

    def select(self, endpoints: Sequence[ModelEndpoint]) -> ModelEndpoint | None:
        if not endpoints:
            return None
        chosen = endpoints[self._count % len(endpoints)]
        self._count += 1
        return chosen


class WeightedEndpointSelector(EndpointSelector):
    """Each as often as its weight says, spread evenly: 3 and 1 give A A B A.

    Weight 0, or below, is never chosen unless all are so; then all count alike. An endpoint that
    joins later begins as if the others had just begun.
    """

    def __init__(self) -> None:
        self._credit: dict[str, float] = {}

    def select(self, endpoints: Sequence[ModelEndpoint]) -> ModelEndpoint | None:
        weighed = [(endpoint, endpoint.weight) for endpoint in endpoints if endpoint.weight > 0]
        if not weighed:
            weighed = [(endpoint, 1.0) for endpoint in endpoints]
        if not weighed:
            return None
        total = sum(weight for _, weight in weighed)
        self._credit = {endpoint.name: self._credit.get(endpoint.name, 0.0) + weight for endpoint, weight in weighed}
        chosen = max((endpoint for endpoint, _ in weighed), key=lambda endpoint: self._credit[endpoint.name])
        self._credit[chosen.name] -= total
        return chosen


class LeastConnectionsEndpointSelector(EndpointSelector):
    """The one with the fewest requests under way; between equals the one that was not chosen for longest."""

    def __init__(self) -> None:
        self._chosen_at: dict[str, int] = {}
        self._count = 0

    def select(self, endpoints: Sequence[ModelEndpoint]) -> ModelEndpoint | None:
        def rank(endpoint: ModelEndpoint) -> tuple[int, int]:
            return (endpoint.connection_count, self._chosen_at.get(endpoint.name, 0))

        chosen = min(endpoints, key=rank, default=None)
        if chosen is not None:
            self._count += 1
            self._chosen_at[chosen.name] = self._count
        return chosen


class HealthBasedEndpointSelector(EndpointSelector):
    """The first healthy one: the others stand by."""

    def select(self, endpoints: Sequence[ModelEndpoint]) -> ModelEndpoint | None:
        return next((endpoint for endpoint in endpoints if endpoint.healthy), None)


class RandomEndpointSelector(EndpointSelector):
    """Any, all with the same chance. `random` gives numbers in [0, 1)."""

    def __init__(self, *, random: Callable[[], float] = _random.random) -> None:
        self._random = random

    def select(self, endpoints: Sequence[ModelEndpoint]) -> ModelEndpoint | None:
        return endpoints[int(self._random() * len(endpoints))] if endpoints else None


_SELECTORS: dict[LoadBalancingStrategy, type[EndpointSelector]] = {
    LoadBalancingStrategy.ROUND_ROBIN: RoundRobinEndpointSelector,
    LoadBalancingStrategy.WEIGHTED: WeightedEndpointSelector,
    LoadBalancingStrategy.LEAST_CONNECTIONS: LeastConnectionsEndpointSelector,
    LoadBalancingStrategy.HEALTH_BASED: HealthBasedEndpointSelector,
    LoadBalancingStrategy.RANDOM: RandomEndpointSelector,
}


def create_endpoint_selector(strategy: LoadBalancingStrategy | str) -> EndpointSelector:
    """A fresh selector. Raises ValueError for an unknown name."""
    return _SELECTORS[LoadBalancingStrategy(strategy)]()
