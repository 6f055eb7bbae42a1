"""What is known of a model's way of thinking, by the manifest's facts (A3)."""

from __future__ import annotations

from collections.abc import Mapping

from dragoman.ai.protocol import ProtocolManifest

__all__ = ["is_reasoning_model", "largest_output", "reasoning_types"]


def is_reasoning_model(manifest: ProtocolManifest, model: str) -> bool:
    """Whether the facts say that this model reasons; a claim of the provider alone does not."""
    fact = manifest.model_fact(model)
    return fact is not None and fact.has_capability("reasoning") is True


def reasoning_types(manifest: ProtocolManifest, model: str) -> frozenset[str]:
    """The kinds of `reasoning_options` of a model: effort, budget_tokens, toggle. Empty: not known."""
    fact = manifest.model_fact(model)
    options = fact.reasoning_options if fact is not None else []
    kinds = {option.get("type") if isinstance(option, Mapping) else option for option in options}
    return frozenset(kind for kind in kinds if isinstance(kind, str))


def largest_output(manifest: ProtocolManifest, model: str) -> int | None:
    """The most tokens a model answers with, when the facts say so."""
    fact = manifest.model_fact(model)
    return fact.max_output_tokens if fact is not None else None
