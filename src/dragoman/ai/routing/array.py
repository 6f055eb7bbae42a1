"""Several places that serve the same model: choosing one, counting what is under way, keeping health."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from dragoman.ai.errors import AiLibError, ErrorClass
from dragoman.ai.resilience.waiting import Sleep
from dragoman.ai.routing.endpoints import (
    EndpointSelector,
    HealthCheckConfig,
    LoadBalancingStrategy,
    ModelEndpoint,
    create_endpoint_selector,
)
from dragoman.ai.routing.health import HealthChecks, Probe
from dragoman.core.errors import PolicyError
from dragoman.transport.io import IO


class NoEndpointError(AiLibError, PolicyError):
    """An array has no healthy endpoint. Another model may still answer."""

    default_class = ErrorClass.OVERLOADED
    default_source = "routing"


class ModelArray:
    """Endpoints in the order of their adding; only healthy ones are chosen. Names are unique."""

    def __init__(
        self,
        name: str = "",
        strategy: LoadBalancingStrategy = LoadBalancingStrategy.ROUND_ROBIN,
        health_check: HealthCheckConfig | None = None,
    ) -> None:
        self.name = name
        self.health_check = health_check
        self._endpoints: dict[str, ModelEndpoint] = {}
        self._failures: dict[str, int] = {}
        self._strategy = LoadBalancingStrategy(strategy)
        self._selector: EndpointSelector = create_endpoint_selector(strategy)

    @property
    def endpoints(self) -> list[ModelEndpoint]:
        return list(self._endpoints.values())

    @property
    def strategy(self) -> LoadBalancingStrategy:
        return self._strategy

    def add_endpoint(
        self, endpoint: ModelEndpoint | str, url: str = "", model_name: str = "", *, weight: float = 1.0
    ) -> ModelArray:
        """Add one, or what one is made of, its name first; one of the same name is replaced."""
        if isinstance(endpoint, str):
            endpoint = ModelEndpoint(endpoint, model_name, url, weight)
        self._endpoints[endpoint.name] = endpoint
        self._failures.pop(endpoint.name, None)
        return self

    def remove_endpoint(self, endpoint_name: str) -> ModelEndpoint | None:
        self._failures.pop(endpoint_name, None)
        return self._endpoints.pop(endpoint_name, None)

    def get_endpoint(self, endpoint_name: str) -> ModelEndpoint | None:
        return self._endpoints.get(endpoint_name)

    def with_strategy(self, strategy: LoadBalancingStrategy) -> ModelArray:
        """Choose in another way from now on."""
        self._strategy = LoadBalancingStrategy(strategy)
        self._selector = create_endpoint_selector(strategy)
        return self

    def select_endpoint(self) -> ModelEndpoint | None:
        """A healthy endpoint by the strategy, None when there is none. Counts nothing; `acquire` does."""
        return self._selector.select(self.healthy_endpoints())

    get_next = select_endpoint

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[ModelEndpoint]:
        """An endpoint on which a request is under way for the body. Raises NoEndpointError."""
        endpoint = self.begin()
        try:
            yield endpoint
        finally:
            self.end(endpoint)

    def begin(self) -> ModelEndpoint:
        """Choose an endpoint and count a request on it, until `end`. Raises NoEndpointError."""
        endpoint = self.select_endpoint()
        if endpoint is None:
            raise NoEndpointError(f"none of the {len(self)} endpoints of {self.name!r} is healthy")
        endpoint.connection_count += 1
        return endpoint

    def end(self, endpoint: ModelEndpoint) -> None:
        """A request on the endpoint is over."""
        endpoint.connection_count = max(0, endpoint.connection_count - 1)

    # -- health

    def mark_healthy(self, endpoint_name: str) -> bool:
        """Whether there is such an endpoint."""
        return self._mark(endpoint_name, healthy=True)

    def mark_unhealthy(self, endpoint_name: str) -> bool:
        """Whether there is such an endpoint."""
        return self._mark(endpoint_name, healthy=False)

    def is_healthy(self) -> bool:
        """Whether any endpoint is."""
        return any(endpoint.healthy for endpoint in self._endpoints.values())

    def healthy_endpoints(self) -> list[ModelEndpoint]:
        return [endpoint for endpoint in self._endpoints.values() if endpoint.healthy]

    def record_probe(self, endpoint_name: str, ok: bool) -> None:
        """The outcome of a probe: `max_failures` in a row make unhealthy, one success heals."""
        if endpoint_name not in self._endpoints:
            return
        if ok:
            self.mark_healthy(endpoint_name)
            return
        self._failures[endpoint_name] = self._failures.get(endpoint_name, 0) + 1
        if self._failures[endpoint_name] >= (self.health_check or HealthCheckConfig()).max_failures:
            self._endpoints[endpoint_name].healthy = False

    get_healthy_endpoints = healthy_endpoints

    def record_success(self, endpoint: ModelEndpoint | str) -> None:
        """A request there was answered: as a probe that went well."""
        self.record_probe(endpoint if isinstance(endpoint, str) else endpoint.name, True)

    def record_failure(self, endpoint: ModelEndpoint | str) -> None:
        """A request there failed: as a probe that did not."""
        self.record_probe(endpoint if isinstance(endpoint, str) else endpoint.name, False)

    def start_health_checks(
        self, probe: Probe | None = None, *, io: IO | None = None, sleep: Sleep = anyio.sleep
    ) -> HealthChecks:
        """`async with array.start_health_checks():` probes every `interval_seconds` while the body runs.

        `probe(endpoint)` says whether one is well; without it a GET of its health path over `io` does.
        In a task group of your own, start the result's `run` instead.
        """
        return HealthChecks(self, self.health_check or HealthCheckConfig(), probe, io=io, sleep=sleep)

    def _mark(self, endpoint_name: str, *, healthy: bool) -> bool:
        endpoint = self._endpoints.get(endpoint_name)
        if endpoint is None:
            return False
        endpoint.healthy = healthy
        self._failures.pop(endpoint_name, None)
        return True

    def __len__(self) -> int:
        return len(self._endpoints)
