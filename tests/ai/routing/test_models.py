"""What is known of a model, and what it costs."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.ai.routing import (
    ModelCapabilities,
    ModelInfo,
    PerformanceMetrics,
    PricingInfo,
    QualityTier,
    SpeedTier,
)


@pytest.mark.requirement("AIP-72")
def test_a_model_has_the_documented_defaults() -> None:
    model = ModelInfo("m")
    assert model.to_dict() == {
        "name": "m",
        "display_name": "m",
        "description": "",
        "provider": "",
        "capabilities": {
            "chat": True,
            "code_generation": False,
            "multimodal": False,
            "function_calling": False,
            "tool_use": False,
            "multilingual": False,
            "context_window": None,
            "embedding": False,
            "streaming": True,
        },
        "pricing": None,
        "performance": {"speed": "balanced", "quality": "good", "avg_response_time_ms": None, "throughput_tps": None},
        "metadata": {},
    }
    assert (model.full_id, ModelInfo("m", provider="p").full_id) == ("m", "p/m")


@pytest.mark.requirement("AIP-72")
def test_a_model_goes_to_json_and_back() -> None:
    model = ModelInfo(
        "m",
        "M",
        "text",
        "p",
        ModelCapabilities(multimodal=True, context_window=1000),
        PricingInfo(0.1, 0.2, "EUR"),
        PerformanceMetrics(SpeedTier.FAST, QualityTier.BASIC, 120.0, 80.0),
        {"family": "f"},
    )
    assert ModelInfo.from_dict(json.loads(json.dumps(model.to_dict()))) == model
    assert ModelInfo.from_dict({"name": "m", "new_field": 1}) == ModelInfo("m")
    with pytest.raises(ValueError, match="quick"):
        ModelInfo.from_dict({"name": "m", "performance": {"speed": "quick"}})


@pytest.mark.requirement("AIP-72")
@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("chat", ["chat", "conversation"]),
        ("code_generation", ["code", "coding", "Code_Generation"]),
        ("multimodal", ["vision", "multimodal", "images"]),
        ("function_calling", ["functions", "tools", "function_calling", "tool_use"]),
        ("tool_use", ["tools", "tool"]),
        ("multilingual", ["multilingual", "translation"]),
        ("embedding", ["embedding", "embeddings"]),
        ("streaming", ["stream", " streaming "]),
    ],
)
def test_capabilities_are_known_by_many_words(field: str, words: list[str]) -> None:
    none = dict.fromkeys(("chat", "streaming"), False)
    for word in words:
        assert ModelCapabilities(**{**none, field: True}).supports(word)  # type: ignore[arg-type]  # all are flags
        assert not ModelCapabilities(chat=False, streaming=False).supports(word)
    assert not ModelCapabilities().supports("telepathy")


def test_setters_change_and_give_back() -> None:
    can = ModelCapabilities(chat=False, streaming=False)
    chain = can.with_chat().with_code_generation().with_multimodal().with_function_calling().with_tool_use()
    assert chain.with_multilingual().with_embedding().with_streaming().with_context_window(9) is can
    assert can == ModelCapabilities(True, True, True, True, True, True, 9, True, True)
    how = PerformanceMetrics().with_speed(SpeedTier.SLOW).with_quality(QualityTier.EXCELLENT)
    assert how.with_avg_response_time(5).with_throughput(6) == PerformanceMetrics(
        SpeedTier.SLOW, QualityTier.EXCELLENT, 5, 6
    )


@pytest.mark.requirement("AIP-75")
def test_prices_come_in_three_units_and_mean_the_same() -> None:
    assert PricingInfo.per_token(5e-06, 1.5e-05) == PricingInfo(0.005, 0.015)
    assert PricingInfo.per_1m(5.0, 15.0) == PricingInfo(0.005, 0.015)
    price = PricingInfo(0.005, 0.015)
    assert price.calculate_cost(1_000_000, 0) == pytest.approx(5.0)
    assert price.calculate_cost(2000, 1000) == pytest.approx(0.025)
    assert price.with_currency("EUR").currency == "EUR"


@pytest.mark.requirement("AIP-75")
@given(st.integers(1, 10**7), st.integers(1, 10**7))
def test_no_price_gets_a_hair_beside_it_by_changing_units(one: int, two: int) -> None:
    per_1m = PricingInfo.per_1m(one / 1000, two / 1000)
    assert per_1m.calculate_cost(10**6, 10**6) == pytest.approx((one + two) / 1000, rel=1e-12)
    assert PricingInfo.per_token(one / 1e9, two / 1e9).input_cost_per_1k == pytest.approx(one / 1e6, rel=1e-12)
