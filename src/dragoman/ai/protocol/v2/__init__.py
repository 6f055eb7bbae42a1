"""The typed view of a v2 manifest: capabilities as an enumeration, flags, the style of the API.

Everything else of a manifest is in `ProtocolManifest`, which reads all generations.
"""

from __future__ import annotations

from dragoman.ai.protocol.v2.capabilities import CapabilitiesV2, Capability, FeatureFlags, LegacyCapabilities
from dragoman.ai.protocol.v2.contracts import contract_for_api_style
from dragoman.ai.protocol.v2.manifest import ApiStyle, ManifestV2

__all__ = [
    "ApiStyle",
    "CapabilitiesV2",
    "Capability",
    "FeatureFlags",
    "LegacyCapabilities",
    "ManifestV2",
    "contract_for_api_style",
]
