"""The documented names."""

from __future__ import annotations

import pytest

from dragoman.ai import routing


@pytest.mark.requirement("AIP-45")
def test_every_documented_name_is_there() -> None:
    words = """
        CostBasedSelector EndpointSelector HealthBasedEndpointSelector HealthCheckConfig
        LeastConnectionsEndpointSelector LeastConnectionsSelector LoadBalancingStrategy ModelArray ModelCapabilities
        ModelEndpoint ModelInfo ModelManager ModelSelectionStrategy ModelSelector PerformanceBasedSelector
        PerformanceMetrics PricingInfo QualityBasedSelector QualityTier RandomSelector RoundRobinEndpointSelector
        RoundRobinSelector SpeedTier WeightedEndpointSelector WeightedSelector create_anthropic_models
        create_endpoint_selector create_model_selector create_openai_models get_model_manager register_model_manager
    """
    documented = words.split()
    assert set(routing.__all__) == set(documented)
    for name in (*documented, "NoEndpointError", "HealthChecks", "manager_from_manifests"):
        assert getattr(routing, name).__name__ == name
    with pytest.raises(AttributeError, match="nothing"):
        _ = routing.nothing
