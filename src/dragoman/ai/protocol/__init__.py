"""Manifests: what a provider says about its wire, read, checked and frozen.

    from dragoman.ai.protocol import ProtocolLoader

    manifest = await ProtocolLoader().load_provider("ollama")

Everything that knows a provider is data: the adapters, the pipeline and the client read a
`ProtocolManifest` and branch on what it says. Nothing here opens a connection, except the loader
when it is told to ask for a remote manifest. Names load when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dragoman.core.lazy import lazily

if TYPE_CHECKING:
    from dragoman.ai.protocol.config import (
        AccumulatorConfig,
        AuthConfig,
        AvailabilityConfig,
        CandidateConfig,
        CapabilitiesConfig,
        DecoderConfig,
        EndpointConfig,
        ErrorClassification,
        EventMapRule,
        HealthCheckConfig,
        RateLimitHeaders,
        RetryPolicy,
        ServiceConfig,
        StreamingConfig,
        ToolingConfig,
        ToolUseConfig,
    )
    from dragoman.ai.protocol.config import Endpoint as Endpoint
    from dragoman.ai.protocol.config import TerminationConfig as TerminationConfig
    from dragoman.ai.protocol.contract import ProviderContract as ProviderContract
    from dragoman.ai.protocol.guard import require_capability as require_capability
    from dragoman.ai.protocol.identity import canonical_provider_id as canonical_provider_id
    from dragoman.ai.protocol.loader import ProtocolLoader
    from dragoman.ai.protocol.loader import ResolvedModel as ResolvedModel
    from dragoman.ai.protocol.manifest import ProtocolManifest
    from dragoman.ai.protocol.metadata_model import CapabilityKnown as CapabilityKnown
    from dragoman.ai.protocol.metadata_model import ModelFact as ModelFact
    from dragoman.ai.protocol.patches import AppliedPatch as AppliedPatch
    from dragoman.ai.protocol.shape import check_manifest as check_manifest
    from dragoman.ai.protocol.validator import (
        ProtocolValidator,
        ValidationResult,
        validate_manifest,
        validate_manifest_or_raise,
        validate_protocol_version,
        validate_streaming_config,
    )
    from dragoman.ai.protocol.versions import SUPPORTED_PROTOCOL_VERSIONS

_NAMES = {
    "config": (
        "AccumulatorConfig AuthConfig AvailabilityConfig CandidateConfig CapabilitiesConfig DecoderConfig Endpoint"
        " EndpointConfig ErrorClassification EventMapRule HealthCheckConfig RateLimitHeaders RetryPolicy ServiceConfig"
        " StreamingConfig TerminationConfig ToolUseConfig ToolingConfig"
    ),
    "contract": "ProviderContract",
    "guard": "require_capability",
    "identity": "canonical_provider_id",
    "loader": "ProtocolLoader ResolvedModel",
    "manifest": "ProtocolManifest",
    "metadata_model": "CapabilityKnown ModelFact",
    "patches": "AppliedPatch",
    "shape": "check_manifest",
    "validator": (
        "ProtocolValidator ValidationResult validate_manifest validate_manifest_or_raise validate_protocol_version"
        " validate_streaming_config"
    ),
    "versions": "SUPPORTED_PROTOCOL_VERSIONS",
}

__all__ = [
    "AccumulatorConfig",
    "AuthConfig",
    "AvailabilityConfig",
    "CandidateConfig",
    "CapabilitiesConfig",
    "DecoderConfig",
    "EndpointConfig",
    "ErrorClassification",
    "EventMapRule",
    "HealthCheckConfig",
    "ProtocolLoader",
    "ProtocolManifest",
    "ProtocolValidator",
    "RateLimitHeaders",
    "RetryPolicy",
    "SUPPORTED_PROTOCOL_VERSIONS",
    "ServiceConfig",
    "StreamingConfig",
    "ToolUseConfig",
    "ToolingConfig",
    "ValidationResult",
    "validate_manifest",
    "validate_manifest_or_raise",
    "validate_protocol_version",
    "validate_streaming_config",
]

__getattr__, __dir__ = lazily(__name__, _NAMES)
