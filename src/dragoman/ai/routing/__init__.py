"""Choosing a model, and choosing one of several places that serve it.

    from dragoman.ai.routing import ModelManager, ModelSelectionStrategy, manager_from_manifests

    models = manager_from_manifests().with_strategy(ModelSelectionStrategy.COST_BASED)
    cheapest = models.select_model()

Prices, sizes and capabilities come from manifests. Nothing here sends a request but the health
checks of a `ModelArray`. Names load when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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
_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}

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


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return import_module(f"{__name__}.{name}")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, *_NAMES})
