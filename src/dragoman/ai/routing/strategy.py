"""Where code written for ai_lib_python finds the strategies; ours are in `selectors` and `endpoints`."""

from __future__ import annotations

from dragoman.ai.routing.endpoints import (
    EndpointSelector,
    HealthBasedEndpointSelector,
    LeastConnectionsEndpointSelector,
    LoadBalancingStrategy,
    RoundRobinEndpointSelector,
    WeightedEndpointSelector,
    create_endpoint_selector,
)
from dragoman.ai.routing.selectors import (
    CostBasedSelector,
    LeastConnectionsSelector,
    ModelSelectionStrategy,
    ModelSelector,
    PerformanceBasedSelector,
    QualityBasedSelector,
    RandomSelector,
    RoundRobinSelector,
    WeightedSelector,
    create_model_selector,
)

__all__ = [
    "CostBasedSelector",
    "EndpointSelector",
    "HealthBasedEndpointSelector",
    "LeastConnectionsEndpointSelector",
    "LeastConnectionsSelector",
    "LoadBalancingStrategy",
    "ModelSelectionStrategy",
    "ModelSelector",
    "PerformanceBasedSelector",
    "QualityBasedSelector",
    "RandomSelector",
    "RoundRobinEndpointSelector",
    "RoundRobinSelector",
    "WeightedEndpointSelector",
    "WeightedSelector",
    "create_endpoint_selector",
    "create_model_selector",
]
