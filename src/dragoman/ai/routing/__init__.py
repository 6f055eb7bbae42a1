"""Choosing a model, and choosing one of several places that serve it.

    from dragoman.ai.routing import ModelManager, ModelSelectionStrategy, manager_from_manifests

    models = manager_from_manifests().with_strategy(ModelSelectionStrategy.COST_BASED)
    cheapest = models.select_model()

Prices, sizes and capabilities come from manifests. Nothing here sends a request but the health
checks of a `ModelArray`. Names load when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dragoman.core.lazy import lazily

if TYPE_CHECKING:
    from dragoman.ai.routing.array import ModelArray
    from dragoman.ai.routing.array import NoEndpointError as NoEndpointError
    from dragoman.ai.routing.endpoints import (
        EndpointSelector,
        HealthBasedEndpointSelector,
        HealthCheckConfig,
        LeastConnectionsEndpointSelector,
        LoadBalancingStrategy,
        ModelEndpoint,
        RoundRobinEndpointSelector,
        WeightedEndpointSelector,
        create_endpoint_selector,
    )
    from dragoman.ai.routing.health import HealthChecks as HealthChecks
    from dragoman.ai.routing.known import (
        create_anthropic_models,
        create_openai_models,
        get_model_manager,
        register_model_manager,
    )
    from dragoman.ai.routing.known import manager_from_manifests as manager_from_manifests
    from dragoman.ai.routing.known import model_info as model_info
    from dragoman.ai.routing.manager import ModelManager
    from dragoman.ai.routing.models import (
        ModelCapabilities,
        ModelInfo,
        PerformanceMetrics,
        PricingInfo,
        QualityTier,
        SpeedTier,
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

_NAMES = {
    "array": "ModelArray NoEndpointError",
    "endpoints": (
        "EndpointSelector HealthBasedEndpointSelector HealthCheckConfig LeastConnectionsEndpointSelector"
        " LoadBalancingStrategy ModelEndpoint RoundRobinEndpointSelector WeightedEndpointSelector"
        " create_endpoint_selector"
    ),
    "health": "HealthChecks",
    "known": (
        "create_anthropic_models create_openai_models get_model_manager manager_from_manifests model_info"
        " register_model_manager"
    ),
    "manager": "ModelManager",
    "models": "ModelCapabilities ModelInfo PerformanceMetrics PricingInfo QualityTier SpeedTier",
    "selectors": (
        "CostBasedSelector LeastConnectionsSelector ModelSelectionStrategy ModelSelector PerformanceBasedSelector"
        " QualityBasedSelector RandomSelector RoundRobinSelector WeightedSelector create_model_selector"
    ),
}

__all__ = [
    "CostBasedSelector",
    "EndpointSelector",
    "HealthBasedEndpointSelector",
    "HealthCheckConfig",
    "LeastConnectionsEndpointSelector",
    "LeastConnectionsSelector",
    "LoadBalancingStrategy",
    "ModelArray",
    "ModelCapabilities",
    "ModelEndpoint",
    "ModelInfo",
    "ModelManager",
    "ModelSelectionStrategy",
    "ModelSelector",
    "PerformanceBasedSelector",
    "PerformanceMetrics",
    "PricingInfo",
    "QualityBasedSelector",
    "QualityTier",
    "RandomSelector",
    "RoundRobinEndpointSelector",
    "RoundRobinSelector",
    "SpeedTier",
    "WeightedEndpointSelector",
    "WeightedSelector",
    "create_anthropic_models",
    "create_endpoint_selector",
    "create_model_selector",
    "create_openai_models",
    "get_model_manager",
    "register_model_manager",
]

__getattr__, __dir__ = lazily(__name__, _NAMES, _NAMES)
