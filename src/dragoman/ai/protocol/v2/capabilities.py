"""Capabilities in the words of v2: an enumeration, and the lists and flags that name them.

Names that are not known yet are kept as text. Reads the shapes of all generations.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from pydantic import Field, model_validator

from dragoman.ai.protocol.capabilities import standard_capability
from dragoman.ai.protocol.config import Config

__all__ = ["CapabilitiesV2", "Capability", "FeatureFlags", "LegacyCapabilities"]


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


_KNOWN = {cap.value: cap for cap in Capability}
_BASIC = (Capability.TEXT, Capability.STREAMING)


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

    def all_capabilities(self) -> list[Capability | str]:
        """Required ones first, each once."""
        return list(dict.fromkeys([*self.required, *self.optional]))

    def required_capabilities(self) -> list[Capability | str]:
        return list(self.required)

    def has_capability(self, cap: Capability | str) -> bool:
        """Whether it is declared, as required or optional."""
        return standard_capability(str(cap)) in self.all_capabilities()

    @classmethod
    def from_legacy(cls, legacy: LegacyCapabilities | Mapping[str, Any]) -> CapabilitiesV2:
        """From v1's booleans: text and streaming are required, the rest optional."""
        read = legacy if isinstance(legacy, LegacyCapabilities) else LegacyCapabilities(**legacy)
        said = read.to_capabilities()
        return cls(
            required=[cap for cap in said if cap in _BASIC],
            optional=[cap for cap in said if cap not in _BASIC],
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
    """Standard words, each once: of the enumeration where it has them, else as text."""
    words = (standard_capability(str(name)) if isinstance(name, str) else name for name in names)
    return list(dict.fromkeys(_KNOWN.get(word, word) for word in words))
