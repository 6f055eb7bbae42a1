"""What a provider or model can do, in three values: yes, no, and not said.

The shapes of three generations speak here with one set of words. Not said is not no.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SYNONYMS = {
    "chat": "text",
    "tool_use": "tools",
    "function_calling": "tools",
    "parallel_tool_calls": "parallel_tools",
    "json_mode": "structured_output",
    "rerank": "reranking",
    "thinking": "reasoning",
    "mcp": "mcp_client",
    "speech_to_text": "stt",
    "text_to_speech": "tts",
}
_FLAGS = {
    "structured_output": "structured_output",
    "parallel_tools": "parallel_tool_calls",
    "reasoning": "extended_thinking",
    "image_generation": "image_generation",
}
"""Capability → its feature flag."""

_SUPPORT_PATHS = {
    "vision": ("multimodal", "input", "vision", "supported"),
    "audio": ("multimodal", "input", "audio", "supported"),
    "video": ("multimodal", "input", "video", "supported"),
    "tools": ("capabilities", "tool_calling", "native", "supported"),
    "computer_use": ("computer_use", "supported"),
    "mcp_client": ("mcp", "client", "supported"),
    "mcp_server": ("mcp", "server", "supported"),
}
"""Capability → where else a manifest says so."""


def standard_capability(name: str) -> str:
    """The protocol's word for a capability."""
    return _SYNONYMS.get(name, name)


def provider_capability(raw: Mapping[str, Any], name: str) -> bool | None:
    """What an upgraded document says: True, False, or None when it says nothing.

    A listed capability is a yes; a feature flag or `supported: false` elsewhere a no; being left
    out of the lists is nothing.
    """
    name = standard_capability(name)
    said = raw.get("capabilities")
    said = said if isinstance(said, Mapping) else {}
    lists = [said.get("required"), said.get("optional")]
    listed = {standard_capability(word) for words in lists if isinstance(words, list) for word in words}
    if name in listed:
        return True
    if not any(isinstance(words, list) for words in lists):
        for word, value in said.items():
            if isinstance(value, bool) and standard_capability(word) == name:
                return value
        if name in _IMPLIED and any(said.get(word) is True for word in _IMPLIED[name]):
            return True
    flags = said.get("feature_flags")
    flag = flags.get(_FLAGS.get(name, "")) if isinstance(flags, Mapping) else None
    if isinstance(flag, bool):
        return flag
    support = _walk(raw, _SUPPORT_PATHS.get(name, ("",)))
    return support if isinstance(support, bool) else None


_IMPLIED = {"text": ("chat", "streaming", "tools"), "vision": ("multimodal",), "tools": ("parallel_tools",)}
"""In the boolean shape: capability → words that imply it."""


def _walk(value: Any, steps: tuple[str, ...]) -> Any:
    for step in steps:
        if not isinstance(value, Mapping):
            return None
        value = value.get(step)
    return value


def declared_capabilities(raw: Mapping[str, Any]) -> set[str]:
    """The standard names of everything an upgraded document declares."""
    said = raw.get("capabilities")
    said = said if isinstance(said, Mapping) else {}
    words: list[Any] = []
    for key in ("required", "optional"):
        listed = said.get(key)
        words += listed if isinstance(listed, list) else []
    words += [word for word, value in said.items() if value is True]
    return {standard_capability(word) for word in words if isinstance(word, str)}
