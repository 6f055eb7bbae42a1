"""What is known of a model, in the words of routing: capabilities, prices, speed and quality.

Plain values that go to and from JSON. Where they come from is for `known` and the user to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from decimal import Decimal
from enum import StrEnum
from typing import Any

_SYNONYMS = {
    word: names.split()
    for names, words in {
        "chat": "chat chat_completion completion conversation text",
        "code_generation": "code code_generation coding",
        "multimodal": "multimodal vision image images",
        "function_calling tool_use": "function functions function_calling tool tools tool_use tool_calling",
        "multilingual": "multilingual translation",
        "embedding": "embedding embeddings",
        "streaming": "stream streaming",
    }.items()
    for word in words.split()
}
"""Word → the fields of which one must be true."""


class SpeedTier(StrEnum):
    """How quickly a model answers, by reputation."""

    FAST = "fast"
    BALANCED = "balanced"
    SLOW = "slow"

    @property
    def score(self) -> int:
        """3 for the fastest."""
        return {"fast": 3, "balanced": 2, "slow": 1}[self.value]


class QualityTier(StrEnum):
    """How good its answers are, by reputation."""

    BASIC = "basic"
    GOOD = "good"
    EXCELLENT = "excellent"

    @property
    def score(self) -> int:
        """3 for the best."""
        return {"excellent": 3, "good": 2, "basic": 1}[self.value]


@dataclass
class ModelCapabilities:
    """What a model can do; `context_window` in tokens, None when unknown. `with_…` change it and give it back."""

    chat: bool = True
    code_generation: bool = False
    multimodal: bool = False
    function_calling: bool = False
    tool_use: bool = False
    multilingual: bool = False
    context_window: int | None = None
    embedding: bool = False
    streaming: bool = True

    def supports(self, capability: str) -> bool:
        """By field or synonym (code, vision, tools, …), case-blind; an unknown word is not supported."""
        return any(getattr(self, name) for name in _SYNONYMS.get(capability.strip().lower(), ()))

    def with_chat(self) -> ModelCapabilities:
        self.chat = True
        return self

    def with_code_generation(self) -> ModelCapabilities:
        self.code_generation = True
        return self

    def with_multimodal(self) -> ModelCapabilities:
        self.multimodal = True
        return self

    def with_function_calling(self) -> ModelCapabilities:
        self.function_calling = True
        return self

    def with_tool_use(self) -> ModelCapabilities:
        self.tool_use = True
        return self

    def with_multilingual(self) -> ModelCapabilities:
        self.multilingual = True
        return self

    def with_embedding(self) -> ModelCapabilities:
        self.embedding = True
        return self

    def with_streaming(self) -> ModelCapabilities:
        self.streaming = True
        return self

    def with_context_window(self, size: int) -> ModelCapabilities:
        self.context_window = size
        return self

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ModelCapabilities:
        return cls(**_known(cls, data))


@dataclass
class PricingInfo:
    """Prices per thousand tokens. `with_currency` renames the currency; it does not convert."""

    input_cost_per_1k: float
    output_cost_per_1k: float
    currency: str = "USD"

    @classmethod
    def per_token(cls, input_price: float, output_price: float, currency: str = "USD") -> PricingInfo:
        """From prices per token, as model files state them."""
        return cls(_times(input_price, "1000"), _times(output_price, "1000"), currency)

    @classmethod
    def per_1m(cls, input_price: float, output_price: float, currency: str = "USD") -> PricingInfo:
        """From prices per million tokens, as `metadata.models` states them."""
        return cls(_times(input_price, "0.001"), _times(output_price, "0.001"), currency)

    @property
    def total_per_1k(self) -> float:
        """Input and output together, for comparing models."""
        return self.input_cost_per_1k + self.output_cost_per_1k

    def calculate_cost(self, input_tokens: int, output_tokens: int) -> float:
        """What so many tokens cost, in the currency."""
        return (input_tokens * self.input_cost_per_1k + output_tokens * self.output_cost_per_1k) / 1000

    def with_currency(self, currency: str) -> PricingInfo:
        self.currency = currency
        return self

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PricingInfo:
        return cls(**_known(cls, data))


@dataclass
class PerformanceMetrics:
    """Reputation in tiers, and what was measured; None where nothing was."""

    speed: SpeedTier = SpeedTier.BALANCED
    quality: QualityTier = QualityTier.GOOD
    avg_response_time_ms: float | None = None
    throughput_tps: float | None = None

    def with_speed(self, speed: SpeedTier) -> PerformanceMetrics:
        self.speed = speed
        return self

    def with_quality(self, quality: QualityTier) -> PerformanceMetrics:
        self.quality = quality
        return self

    def with_avg_response_time(self, time_ms: float) -> PerformanceMetrics:
        self.avg_response_time_ms = time_ms
        return self

    def with_throughput(self, tps: float) -> PerformanceMetrics:
        self.throughput_tps = tps
        return self

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "speed": self.speed.value, "quality": self.quality.value}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PerformanceMetrics:
        """Raises ValueError for an unknown tier."""
        known = _known(cls, data)
        if "speed" in known:
            known["speed"] = SpeedTier(known["speed"])
        if "quality" in known:
            known["quality"] = QualityTier(known["quality"])
        return cls(**known)


@dataclass
class ModelInfo:
    """One model; `name` is what is sent to the provider. `display_name` is the name unless given, `id` another word for it."""

    name: str = ""
    display_name: str = ""
    description: str = ""
    provider: str = ""
    capabilities: ModelCapabilities = field(default_factory=ModelCapabilities)
    pricing: PricingInfo | None = None
    performance: PerformanceMetrics = field(default_factory=PerformanceMetrics)
    metadata: dict[str, str] = field(default_factory=dict)
    id: str = field(default="", repr=False, compare=False)

    def __post_init__(self) -> None:
        if not (self.name or self.id):
            raise TypeError("a model needs a name: ModelInfo(name=...)")
        self.name = self.id = self.name or self.id
        self.display_name = self.display_name or self.name

    @property
    def full_id(self) -> str:
        """`provider/name`, as a client takes it; the bare name without a provider."""
        return f"{self.provider}/{self.name}" if self.provider else self.name

    def supports(self, capability: str) -> bool:
        return self.capabilities.supports(capability)

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "display_name": self.display_name,
            "description": self.description,
            "provider": self.provider,
            "capabilities": self.capabilities.to_dict(),
            "pricing": self.pricing.to_dict() if self.pricing else None,
            "performance": self.performance.to_dict(),
            "metadata": dict(self.metadata),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ModelInfo:
        """Unknown keys are left aside. Raises TypeError without a name, ValueError for an unknown tier."""
        known = _known(cls, data)
        if isinstance(known.get("capabilities"), Mapping):
            known["capabilities"] = ModelCapabilities.from_dict(known["capabilities"])
        if isinstance(known.get("pricing"), Mapping):
            known["pricing"] = PricingInfo.from_dict(known["pricing"])
        if isinstance(known.get("performance"), Mapping):
            known["performance"] = PerformanceMetrics.from_dict(known["performance"])
        known["metadata"] = dict(known.get("metadata") or {})
        return cls(**{name: value for name, value in known.items() if value is not None or name == "pricing"})


def _known(cls: Any, data: Mapping[str, Any]) -> dict[str, Any]:
    return {item.name: data[item.name] for item in fields(cls) if item.name in data}


def _times(price: float, factor: str) -> float:
    """Decimal, so that 5e-06 per token is 0.005 per thousand and not a hair beside it."""
    return float(Decimal(str(price)) * Decimal(factor))
