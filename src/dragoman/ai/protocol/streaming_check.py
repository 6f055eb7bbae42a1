"""The streaming check: is what a manifest says about streams enough to read one?

A warning for most, an error for whoever asks for strictness (argument or `AI_LIB_STRICT_STREAMING`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from dragoman.ai.protocol.capabilities import provider_capability
from dragoman.ai.protocol.findings import ValidationResult
from dragoman.ai.protocol.manifest import ProtocolManifest
from dragoman.ai.protocol.upgrade import upgrade

SWITCH = "AI_LIB_STRICT_STREAMING"


def strict_streaming(asked: bool | None = None) -> bool:
    """The caller's word, else the environment's."""
    return os.environ.get(SWITCH, "").strip().lower() in ("1", "true", "yes") if asked is None else asked


def validate_streaming_config(manifest: ProtocolManifest | Mapping[str, Any], strict: bool = False) -> ValidationResult:
    """What is missing for streams; errors when `strict`, else warnings."""
    raw = manifest.raw if isinstance(manifest, ProtocolManifest) else upgrade(manifest)
    result = ValidationResult()
    for problem in _problems(raw):
        if strict:
            result.add_error(problem)
        else:
            result.add_warning(problem)
    return result


def _problems(raw: Mapping[str, Any]) -> list[str]:
    streaming = raw.get("streaming")
    if not isinstance(streaming, Mapping) or not streaming:
        if provider_capability(raw, "streaming"):
            return ["the capability streaming is declared, but there is no streaming configuration"]
        return []
    problems = []
    decoder = streaming.get("decoder")
    form = decoder.get("format") if isinstance(decoder, Mapping) else None
    if not isinstance(form, str) or not form.strip():
        problems.append("streaming.decoder.format is missing or empty")
    rules = bool(streaming.get("event_map"))
    if not rules and not streaming.get("content_path"):
        problems.append("streaming has neither event_map nor content_path: no text can be read")
    wants_tools = bool(provider_capability(raw, "tools")) or bool(raw.get("tooling"))
    if wants_tools and not rules and not streaming.get("tool_call_path"):
        problems.append("tools are declared, but streaming has neither event_map nor tool_call_path")
    return problems
