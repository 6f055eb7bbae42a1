"""Where code written for ai_lib_python finds what is known of models and places; see `models` and `endpoints`."""

from __future__ import annotations

from dragoman.ai.routing.endpoints import HealthCheckConfig, ModelEndpoint
from dragoman.ai.routing.models import (
    ModelCapabilities,
    ModelInfo,
    PerformanceMetrics,
    PricingInfo,
    QualityTier,
    SpeedTier,
)

__all__ = [
    "HealthCheckConfig",
    "ModelCapabilities",
    "ModelEndpoint",
    "ModelInfo",
    "PerformanceMetrics",
    "PricingInfo",
    "QualityTier",
    "SpeedTier",
]
