"""Models as the manifests know them, and the managers of whole providers.

Facts are turned into the words of routing here. A fact that is missing stays missing: no price, no
size. Of abilities, which routing knows as yes or no only, an unknown one is a no.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from dragoman.ai.errors import ProtocolError
from dragoman.ai.protocol.loader import ProtocolLoader
from dragoman.ai.protocol.manifest import ProtocolManifest
from dragoman.ai.protocol.metadata_model import ModelFact
from dragoman.ai.routing.manager import ModelManager
from dragoman.ai.routing.models import (
    ModelCapabilities,
    ModelInfo,
    PerformanceMetrics,
    PricingInfo,
    QualityTier,
    SpeedTier,
)
from dragoman.ai.routing.selectors import ModelSelectionStrategy

_CODE = {"code", "coding", "code_generation", "agentic"}  # the format has no word of its own for code
_EMBEDDING = {"embedding", "embeddings", "embed"}
_SPEED = {"fast": SpeedTier.FAST, "light": SpeedTier.FAST, "tiny": SpeedTier.FAST, "small": SpeedTier.FAST}
_QUALITY = {
    "premium": QualityTier.EXCELLENT,
    "flagship": QualityTier.EXCELLENT,
    "large": QualityTier.EXCELLENT,
    "light": QualityTier.BASIC,
    "tiny": QualityTier.BASIC,
}
_FACTS = ("status", "family", "release_date", "max_output_tokens")


def model_info(provider: str, fact: ModelFact, manifest: ProtocolManifest | None = None) -> ModelInfo:
    """A model by its facts; what they leave open, the provider's manifest says, if it is given."""
    metadata = {name: str(value) for name in _FACTS if (value := getattr(fact, name)) is not None}
    words = _words(fact, "tags")
    return ModelInfo(
        name=fact.model_id,
        display_name=fact.display_name or "",
        provider=provider,
        capabilities=_capabilities(fact, manifest),
        pricing=_pricing(fact),
        performance=PerformanceMetrics(
            speed=next((tier for word, tier in _SPEED.items() if word in words), SpeedTier.BALANCED),
            quality=next((tier for word, tier in _QUALITY.items() if word in words), QualityTier.GOOD),
        ),
        metadata=metadata,
    )


def _capabilities(fact: ModelFact, manifest: ProtocolManifest | None) -> ModelCapabilities:
    listed = _words(fact, "capabilities")

    def can(name: str) -> bool:
        said = fact.has_capability(name)
        if said is None and listed:
            return False  # a list that leaves it out
        if said is None and manifest is not None:
            said = manifest.has_capability(name)
        return said is True

    tools = can("tools")
    return ModelCapabilities(
        chat=not listed or bool(listed & {"chat", "text"}),
        code_generation=bool(_CODE & (listed | _words(fact, "tags"))) or can("agentic"),
        multimodal=can("vision") or can("audio") or can("video"),
        function_calling=tools,
        tool_use=tools,
        multilingual="multilingual" in listed | _words(fact, "tags"),
        context_window=fact.context_window,
        embedding=bool(_EMBEDDING & listed),
        streaming="streaming" in listed
        if listed
        else manifest is None or manifest.has_capability("streaming") is not False,
    )


def _pricing(fact: ModelFact) -> PricingInfo | None:
    """None unless the input's price is known; a price of 0 is unknown, but for outputs that are no text."""
    if fact.input_per_1m is None:
        return None
    if fact.output_per_1m is not None:
        return PricingInfo.per_1m(fact.input_per_1m, fact.output_per_1m)
    listed = _words(fact, "capabilities")
    writes = not listed or bool(listed & {"chat", "text"})
    return None if writes else PricingInfo.per_1m(fact.input_per_1m, 0.0)


def _words(fact: ModelFact, name: str) -> set[str]:
    value = fact.raw.get(name)
    return {str(word).lower() for word in value} if isinstance(value, list | tuple) else set()


def manager_from_manifests(
    loader: ProtocolLoader | None = None,
    provider: str | None = None,
    strategy: ModelSelectionStrategy = ModelSelectionStrategy.ROUND_ROBIN,
) -> ModelManager:
    """All models that the loader's manifests and model files know, or those of one provider. Reads files.

    A provider whose manifest cannot be loaded keeps its models, without what only the manifest says.
    """
    loader = loader or ProtocolLoader()
    manifests: dict[str, ProtocolManifest | None] = {}
    manager = ModelManager(provider or "", strategy)
    for row in loader.models():
        owner = str(row["provider"])
        if provider is not None and owner != provider:
            continue
        if owner not in manifests:
            manifests[owner] = _manifest(loader, owner)
        manager.add_model(model_info(owner, _fact(row), manifests[owner]))
    return manager


def _manifest(loader: ProtocolLoader, provider: str) -> ProtocolManifest | None:
    try:
        return loader.load_provider_sync(provider)
    except ProtocolError:
        return None


def _fact(row: Mapping[str, Any]) -> ModelFact:
    fact: ModelFact = row["facts"]
    return fact


def create_openai_models() -> ModelManager:
    """OpenAI's models, as the manifests know them."""
    return manager_from_manifests(provider="openai")


def create_anthropic_models() -> ModelManager:
    """Anthropic's models, as the manifests know them."""
    return manager_from_manifests(provider="anthropic")


_managers: dict[str, ModelManager] = {}
_managers_lock = threading.Lock()


def get_model_manager(provider: str) -> ModelManager:
    """The manager of a provider: the registered one, else one of what the manifests know, kept from then on."""
    with _managers_lock:
        if provider not in _managers:
            _managers[provider] = manager_from_manifests(provider=provider)
        return _managers[provider]


def register_model_manager(provider: str, manager: ModelManager) -> None:
    """Use this manager for the provider from now on."""
    with _managers_lock:
        _managers[provider] = manager
