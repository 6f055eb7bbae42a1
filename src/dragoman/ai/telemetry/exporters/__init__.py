"""Where metrics go: an HTTP endpoint of the standard library, or the registry of prometheus-client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dragoman.core.lazy import lazily

if TYPE_CHECKING:
    from dragoman.ai.telemetry.exporters.prometheus import PrometheusExporter
    from dragoman.ai.telemetry.exporters.registry import RegistryCollector as RegistryCollector

_NAMES = {"prometheus": "PrometheusExporter", "registry": "RegistryCollector"}

__all__ = ["PrometheusExporter", "RegistryCollector"]

__getattr__, __dir__ = lazily(__name__, _NAMES)
