"""The typed view of a v2 manifest: capabilities as an enumeration, flags, the style of the API.

Everything else of a manifest is in `ProtocolManifest`, which reads all generations; `ManifestV2` is
for code that wants the words of v2. Names of capabilities that are not known yet are kept as text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from pydantic import Field, model_validator

from dragoman.ai.errors import ProtocolError
from dragoman.ai.protocol.adapter_choice import CHAT_PATHS, choose_adapter
from dragoman.ai.protocol.capabilities import standard_capability
from dragoman.ai.protocol.config import AuthConfig, Config, EndpointConfig, StreamingConfig
from dragoman.ai.protocol.contract import ProviderContract
from dragoman.ai.protocol.manifest import ProtocolManifest
from dragoman.ai.protocol.package import package_document, package_names
from dragoman.ai.protocol.upgrade import upgrade

__all__ = [
    "ApiStyle",
    "CapabilitiesV2",
    "Capability",
    "FeatureFlags",
    "LegacyCapabilities",
    "ManifestV2",
    "contract_for_api_style",
]


class Capability(StrEnum):
    """What a provider may be able to do."""

    TEXT = "text"
    STREAMING = "streaming"
    VISION = "vision"
    AUDIO = "audio"
    VIDEO = "video"
    TOOLS = "tools"
    PARALLEL_TOOLS = "parallel_tools"
    AGENTIC = "agentic"
    REASONING = "reasoning"
    EMBEDDINGS = "embeddings"
    STRUCTURED_OUTPUT = "structured_output"
    BATCH = "batch"
    IMAGE_GENERATION = "image_generation"
    STT = "stt"
    TTS = "tts"
    RERANKING = "reranking"
    COMPUTER_USE = "computer_use"
    MCP_CLIENT = "mcp_client"
    MCP_SERVER = "mcp_server"


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


class FeatureFlags(Config):
    structured_output: bool = False
    parallel_tool_calls: bool = False
    extended_thinking: bool = False
    streaming_usage: bool = False
    system_messages: bool = False
    image_generation: bool = False


class LegacyCapabilities(Config):
    """The booleans of v1."""

    streaming: bool = False
    tools: bool = False
    vision: bool = False
    agentic: bool = False
    reasoning: bool = False
    parallel_tools: bool = False

    def to_capabilities(self) -> list[Capability]:
        """Text, and every capability that is true."""
        said = {**self.model_dump(), **(self.model_extra or {})}
        names = {standard_capability(name) for name, value in said.items() if value is True}
        return [known for known in Capability if known == Capability.TEXT or known.value in names]


class CapabilitiesV2(Config):
    """Capabilities that must be there and that may be; names not known yet stay text."""

    required: list[Capability | str] = Field(default_factory=lambda: list[Capability | str]([Capability.TEXT]))
    optional: list[Capability | str] = Field(default_factory=list)
    feature_flags: FeatureFlags = Field(default_factory=FeatureFlags)
    tool_calling: dict[str, Any] | None = None

    @model_validator(mode="before")
    @classmethod
    def _standard_words(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        changed = {name: _words(data[name]) for name in ("required", "optional") if isinstance(data.get(name), list)}
        return {**data, **changed}

    @property
    def all_capabilities(self) -> list[Capability | str]:
        """Required ones first, each once."""
        return list(dict.fromkeys([*self.required, *self.optional]))

    @property
    def required_capabilities(self) -> list[Capability | str]:
        return list(self.required)

    def has_capability(self, cap: Capability | str) -> bool:
        """Whether it is declared, as required or optional."""
        return standard_capability(str(cap)) in self.all_capabilities

    @classmethod
    def from_legacy(cls, legacy: LegacyCapabilities | Mapping[str, Any]) -> CapabilitiesV2:
        """From v1's booleans: text is required, the rest optional."""
        read = legacy if isinstance(legacy, LegacyCapabilities) else LegacyCapabilities(**legacy)
        return cls(
            required=[Capability.TEXT],
            optional=[cap for cap in read.to_capabilities() if cap != Capability.TEXT],
            feature_flags=FeatureFlags(parallel_tool_calls=read.parallel_tools, extended_thinking=read.reasoning),
        )

    @classmethod
    def from_raw(cls, data: Mapping[str, Any] | Iterable[str] | None) -> CapabilitiesV2:
        """From any of the three shapes of the files."""
        if data is None:
            return cls()
        if isinstance(data, Mapping):
            if "required" in data or "optional" in data:
                return cls.model_validate(dict(data))
            booleans = {str(name): value for name, value in data.items() if isinstance(value, bool)}
            made = cls.from_legacy(LegacyCapabilities(**booleans))
            flags = data.get("feature_flags")
            return made.model_copy(update={"feature_flags": FeatureFlags(**flags)}) if flags else made
        names = [name for name in _words(data) if name != Capability.TEXT]
        return cls.model_validate({"required": [Capability.TEXT], "optional": names})


def _words(names: Iterable[Any]) -> list[Any]:
    words = (standard_capability(name) if isinstance(name, str) else name for name in names)
    return list(dict.fromkeys(words))


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

    @property
    def tool_calling(self) -> dict[str, Any] | None:
        return self.capabilities.tool_calling

    @property
    def mcp_client_supported(self) -> bool:
        client = (self.mcp or {}).get("client")
        declared = client.get("supported") if isinstance(client, Mapping) else (self.mcp or {}).get("supported")
        return declared is True or self.has_capability(Capability.MCP_CLIENT)

    @property
    def computer_use_supported(self) -> bool:
        return (self.computer_use or {}).get("supported") is True or self.has_capability(Capability.COMPUTER_USE)

    def has_capability(self, cap: Capability | str) -> bool:
        return self.capabilities.has_capability(cap)

    def detect_api_style(self) -> ApiStyle:
        """The style, stated or found by what the manifest says."""
        return self.api_style


def contract_for_api_style(style: ApiStyle | str) -> ProviderContract:
    """The packaged contract of a style. Raises ProtocolError when there is none."""
    for name in package_names("v2/contracts"):
        document = package_document(f"v2/contracts/{name}.json")
        if document.get("api_style") == str(style):
            return ProviderContract.model_validate(document)
    raise ProtocolError(f"there is no contract for the API style {str(style)!r}")
