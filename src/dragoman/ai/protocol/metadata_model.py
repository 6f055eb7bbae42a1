"""What is known of one model: sizes, prices, and capabilities in three values.

A fact that is left out is unknown, which is not "no", and a size or price of 0 is unknown too.
Facts come from `metadata.models` of a manifest and from model files; where both speak of one thing,
the manifest's word counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class CapabilityKnown(StrEnum):
    """yes, no or unknown. Compares equal to its word; has no truth value, since unknown has none."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"

    @classmethod
    def of(cls, value: bool | None) -> CapabilityKnown:
        return cls.UNKNOWN if value is None else cls.YES if value else cls.NO


_FLAG_NAMES = {
    "tools": "tool_call",
    "stt": "speech_to_text",
    "tts": "text_to_speech",
}
"""Capability → its flag in `model_capabilities`, where the words differ."""

_MODALITIES = {"vision": "image", "audio": "audio", "video": "video", "text": "text"}


@dataclass(frozen=True, slots=True)
class ModelFact:
    """Facts of one model; None is unknown. Prices are US dollars per million tokens."""

    model_id: str
    context_window: int | None = None
    max_output_tokens: int | None = None
    release_date: str | None = None
    status: str | None = None
    family: str | None = None
    display_name: str | None = None
    input_per_1m: float | None = None
    output_per_1m: float | None = None
    cache_hit_input_per_1m: float | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def modalities(self) -> Mapping[str, Any]:
        value = self.raw.get("modalities")
        return value if isinstance(value, Mapping) else {}

    @property
    def reasoning_options(self) -> list[Any]:
        value = self.raw.get("reasoning_options")
        return list(value) if isinstance(value, list) else []

    @property
    def request_defaults(self) -> Mapping[str, Any]:
        value = self.raw.get("request_defaults")
        return value if isinstance(value, Mapping) else {}

    def has_capability(self, name: str) -> bool | None:
        """True or False as the facts say, None when they say nothing of it."""
        flags = self.raw.get("model_capabilities")
        if isinstance(flags, Mapping):
            said = flags.get(_FLAG_NAMES.get(name, name))
            if isinstance(said, bool):
                return said
        inputs = self.modalities.get("input")
        if name in _MODALITIES and isinstance(inputs, list) and inputs:
            return _MODALITIES[name] in inputs
        listed = self.raw.get("capabilities")
        if isinstance(listed, list) and (name in listed or (name == "text" and "chat" in listed)):
            return True
        return None

    def supports(self, name: str) -> CapabilityKnown:
        return CapabilityKnown.of(self.has_capability(name))


def read_fact(model_id: str, entry: Mapping[str, Any]) -> ModelFact:
    """A fact from an entry of `metadata.models` or of a model file (prices per token there)."""
    pricing = entry.get("pricing")
    pricing = pricing if isinstance(pricing, Mapping) else {}
    return ModelFact(
        model_id,
        context_window=_count(entry.get("context_window")),
        max_output_tokens=_count(entry.get("max_output_tokens")),
        release_date=_text(entry.get("release_date")),
        status=_text(entry.get("status")),
        family=_text(entry.get("family")),
        display_name=_text(entry.get("display_name")),
        input_per_1m=_price(pricing, "input"),
        output_per_1m=_price(pricing, "output"),
        cache_hit_input_per_1m=_price(pricing, "cache_hit_input"),
        raw=entry,
    )


def merged_fact(model_id: str, first: Mapping[str, Any] | None, second: Mapping[str, Any] | None) -> ModelFact | None:
    """Both sources as one; `first` counts where both speak. None when there is neither."""
    if first is None and second is None:
        return None
    joined = {**(second or {}), **{name: value for name, value in (first or {}).items() if not _is_unknown(value)}}
    return read_fact(model_id, joined)


def _is_unknown(value: Any) -> bool:
    return value is None or (value == 0 and not isinstance(value, bool))


def supports_generative_capability(entry: Mapping[str, Any] | ModelFact | None, name: str) -> CapabilityKnown:
    """Whether a model makes images, hears or speaks, by its entry in `metadata.models`."""
    if entry is None:
        return CapabilityKnown.UNKNOWN
    fact = entry if isinstance(entry, ModelFact) else read_fact("", entry)
    return fact.supports(name)


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _price(pricing: Mapping[str, Any], what: str) -> float | None:
    for name, factor in ((f"{what}_per_1m", 1.0), (f"{what}_per_token", 1e6), (f"{what}_per_1k", 1e3)):
        value = pricing.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            return round(float(value) * factor, 9)
    return None
