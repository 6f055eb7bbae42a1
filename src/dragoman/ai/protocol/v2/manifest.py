"""A manifest in the words of v2, for code that wants those; `ProtocolManifest` reads everything."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from pydantic import Field, model_validator

from dragoman.ai.protocol.adapter_choice import CHAT_PATHS, choose_adapter
from dragoman.ai.protocol.config import AuthConfig, Config, EndpointConfig, StreamingConfig
from dragoman.ai.protocol.manifest import ProtocolManifest
from dragoman.ai.protocol.upgrade import upgrade
from dragoman.ai.protocol.v2.capabilities import CapabilitiesV2, Capability, FeatureFlags

__all__ = ["ApiStyle", "ManifestV2"]


class ApiStyle(StrEnum):
    """The style of a provider's API, the words of contracts."""

    OPENAI_COMPATIBLE = "openai_compatible"
    ANTHROPIC_MESSAGES = "anthropic_messages"
    GEMINI_GENERATE = "gemini_generate"
    CUSTOM = "custom"


_STYLES = {
    "openai_chat": ApiStyle.OPENAI_COMPATIBLE,
    "openai_responses": ApiStyle.OPENAI_COMPATIBLE,
    "anthropic": ApiStyle.ANTHROPIC_MESSAGES,
    "gemini": ApiStyle.GEMINI_GENERATE,
}

_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")


class ManifestV2(Config):
    """A manifest in the words of v2; reads the older generations too."""

    id: str
    protocol_version: str = "2.0"
    aliases: list[str] = Field(default_factory=list)
    name: str = ""
    status: str = "stable"
    api_style: ApiStyle = ApiStyle.OPENAI_COMPATIBLE
    endpoint: EndpointConfig = Field(default_factory=EndpointConfig)
    auth: AuthConfig | None = None
    capabilities: CapabilitiesV2 = Field(default_factory=CapabilitiesV2)
    streaming: StreamingConfig | None = None
    parameters: dict[str, dict[str, Any]] = Field(default_factory=dict)
    multimodal: dict[str, Any] | None = None
    computer_use: dict[str, Any] | None = None
    mcp: dict[str, Any] | None = None
    context_policy: dict[str, Any] | None = None
    error_classification: dict[str, Any] | None = None

    @model_validator(mode="before")
    @classmethod
    def _read_any_generation(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        raw = upgrade({"protocol_version": "2.0", **data})
        style = data.get("api_style") or _STYLES.get(choose_adapter(raw), ApiStyle.CUSTOM)
        said = data.get("capabilities", raw.get("capabilities"))
        if isinstance(said, CapabilitiesV2):
            said = said.model_dump()
        merged = raw.get("capabilities")
        capabilities = CapabilitiesV2.from_raw(said)
        flags = merged.get("feature_flags") if isinstance(merged, Mapping) else None
        if flags:
            capabilities = capabilities.model_copy(update={"feature_flags": FeatureFlags(**flags)})
        return {**raw, "api_style": style, "capabilities": capabilities}

    @classmethod
    def of(cls, manifest: ProtocolManifest) -> ManifestV2:
        """The v2 view of a loaded manifest."""
        return cls.model_validate(manifest.raw)

    @property
    def protocol_semver(self) -> tuple[int, int, int]:
        """The version as three numbers; zeros when it is none."""
        found = _VERSION.match(self.protocol_version)
        return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else (0, 0, 0)

    @property
    def is_v2(self) -> bool:
        return self.protocol_semver >= (2, 0, 0)

    @property
    def base_url(self) -> str:
        """As written, variables and all; `ProtocolManifest.base_url` fills them."""
        return self.endpoint.base_url

    @property
    def chat_path(self) -> str:
        entry = (self.model_extra or {}).get("endpoints", {}).get("chat")
        return str(entry["path"]) if entry else self.endpoint.chat or CHAT_PATHS["openai_chat"]

    def tool_calling(self) -> dict[str, Any] | None:
        return self.capabilities.tool_calling

    def mcp_client_supported(self) -> bool:
        client = (self.mcp or {}).get("client")
        declared = client.get("supported") if isinstance(client, Mapping) else (self.mcp or {}).get("supported")
        return declared is True or self.has_capability(Capability.MCP_CLIENT)

    def computer_use_supported(self) -> bool:
        return (self.computer_use or {}).get("supported") is True or self.has_capability(Capability.COMPUTER_USE)

    def has_capability(self, cap: Capability | str) -> bool:
        return self.capabilities.has_capability(cap)

    def detect_api_style(self) -> ApiStyle:
        """The style, stated or found by what the manifest says."""
        return self.api_style
