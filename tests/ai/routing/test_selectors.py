"""Seven ways to choose a model, five to choose an endpoint."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.ai.routing import (
    CostBasedSelector,
    HealthBasedEndpointSelector,
    LeastConnectionsEndpointSelector,
    LeastConnectionsSelector,
    LoadBalancingStrategy,
    ModelEndpoint,
    ModelInfo,
    ModelSelectionStrategy,
    PerformanceBasedSelector,
    PerformanceMetrics,
    PricingInfo,
    QualityBasedSelector,
    QualityTier,
    RandomSelector,
    RoundRobinEndpointSelector,
    RoundRobinSelector,
    SpeedTier,
    WeightedEndpointSelector,
    WeightedSelector,
    create_endpoint_selector,
    create_model_selector,
)
from dragoman.ai.routing.endpoints import RandomEndpointSelector


def model(name: str, speed: str = "balanced", quality: str = "good", ms: float | None = None) -> ModelInfo:
    return ModelInfo(name, performance=PerformanceMetrics(SpeedTier(speed), QualityTier(quality), ms))


def endpoints(*weights: float) -> list[ModelEndpoint]:
    return [ModelEndpoint(name, "m", f"http://{name}", weight) for name, weight in zip("abcdef", weights, strict=False)]


@pytest.mark.requirement("AIP-73")
@pytest.mark.parametrize("strategy", ModelSelectionStrategy)
def test_every_model_strategy_has_its_selector_and_none_for_nothing(strategy: ModelSelectionStrategy) -> None:
    assert create_model_selector(strategy).select([]) is None
    only = ModelInfo("m")
    assert create_model_selector(strategy.value).select([only]) is only


@pytest.mark.requirement("AIP-73")
@pytest.mark.parametrize("strategy", LoadBalancingStrategy)
def test_every_endpoint_strategy_has_its_selector_and_none_for_nothing(strategy: LoadBalancingStrategy) -> None:
    assert create_endpoint_selector(strategy).select([]) is None
    only = endpoints(1)
    assert create_endpoint_selector(strategy.value).select(only) is only[0]


def test_an_unknown_strategy_is_refused() -> None:
    with pytest.raises(ValueError, match="best"):
        create_model_selector("best")
    with pytest.raises(ValueError, match="best"):
        create_endpoint_selector("best")


@pytest.mark.requirement("AIP-73")
def test_round_robin_counts_on_when_the_list_changes() -> None:
    a, b, c = model("a"), model("b"), model("c")
    turns = RoundRobinSelector()
    assert [turns.select([a, b]) for _ in range(3)] == [a, b, a]
    assert [turns.select([a, b, c]) for _ in range(3)] == [a, b, c]


@pytest.mark.requirement("AIP-73")
def test_weighted_takes_the_highest_sum_of_speed_and_quality() -> None:
    models = [model("a", "fast", "basic"), model("b", "fast", "good"), model("c", "slow", "excellent")]
    assert WeightedSelector().select(models) is models[1]


@pytest.mark.requirement("AIP-73")
def test_least_connections_follows_what_it_is_told_and_spreads_equals() -> None:
    a, b = model("a"), ModelInfo("b", provider="p")
    least = LeastConnectionsSelector()
    assert [least.select([a, b]) for _ in range(4)] == [a, b, a, b]
    least.increment("a")
    assert [least.select([a, b]) for _ in range(2)] == [b, b]
    least.increment("p/b")
    least.increment("b")
    assert least.select([a, b]) is a
    for name in ("p/b", "b", "b", "z"):
        least.decrement(name)
    assert least.select([a, b]) is b


@pytest.mark.requirement("AIP-73")
def test_performance_prefers_what_was_measured_then_the_tier() -> None:
    fast, slow = model("fast", "fast"), model("slow", "slow")
    measured, quick = model("measured", "slow", ms=900.0), model("quick", "slow", ms=300.0)
    best = PerformanceBasedSelector()
    assert best.select([slow, fast]) is fast
    assert best.select([fast, measured, quick]) is quick


@pytest.mark.requirement("AIP-73", "AIP-75")
def test_cost_adds_input_and_output_and_puts_unknown_prices_last() -> None:
    unknown = ModelInfo("unknown")
    cheap_input = ModelInfo("a", pricing=PricingInfo(0.001, 0.02))
    cheap = ModelInfo("b", pricing=PricingInfo(0.005, 0.006))
    assert CostBasedSelector().select([unknown, cheap_input, cheap]) is cheap
    assert CostBasedSelector().select([unknown]) is unknown


@pytest.mark.requirement("AIP-73")
def test_quality_takes_the_highest_tier() -> None:
    models = [model("a", quality="basic"), model("b", quality="excellent"), model("c", quality="excellent")]
    assert QualityBasedSelector().select(models) is models[1]


@pytest.mark.requirement("AIP-73")
@given(st.integers(1, 6), st.floats(0, 1, exclude_max=True))
def test_random_gives_each_its_equal_share_of_the_numbers(count: int, number: float) -> None:
    models = [model(str(n)) for n in range(count)]
    assert RandomSelector(random=lambda: number).select(models) is models[int(number * count)]
    places = endpoints(*[0.0] * count)
    assert RandomEndpointSelector(random=lambda: number).select(places) is places[int(number * count)]


# ---------------------------------------------------------------------------------- endpoints


@pytest.mark.requirement("AIP-73")
@given(st.integers(1, 6), st.integers(1, 50))
def test_turns_are_fair(count: int, rounds: int) -> None:
    places, turns = endpoints(*[1.0] * count), RoundRobinEndpointSelector()
    chosen = Counter(turns.select(places).name for _ in range(count * rounds))  # type: ignore[union-attr]  # some
    assert set(chosen.values()) == {rounds}


@pytest.mark.requirement("AIP-73")
def test_weights_are_spread_evenly() -> None:
    places, weighted = endpoints(3, 1), WeightedEndpointSelector()
    assert "".join(weighted.select(places).name for _ in range(8)) == "aabaaaba"  # type: ignore[union-attr]  # some


@pytest.mark.requirement("AIP-73")
@given(st.lists(st.integers(0, 9), min_size=1, max_size=6))
def test_each_is_chosen_exactly_as_often_as_its_weight_says(weights: list[int]) -> None:
    """Weight 0 is never chosen, unless all are 0: then all count alike."""
    places, weighted = endpoints(*weights), WeightedEndpointSelector()
    shares = weights if any(weights) else [1] * len(weights)
    chosen = Counter(weighted.select(places).name for _ in range(sum(shares) * 2))  # type: ignore[union-attr]  # some
    assert [chosen[place.name] for place in places] == [share * 2 for share in shares]


@pytest.mark.requirement("AIP-73")
def test_a_weight_below_zero_is_as_good_as_none() -> None:
    places = endpoints(-1, 1)
    weighted = WeightedEndpointSelector()
    assert {weighted.select(places).name for _ in range(5)} == {"b"}  # type: ignore[union-attr]  # there is one


@pytest.mark.requirement("AIP-73")
def test_least_connections_really_counts_and_spreads_equals() -> None:
    places, least = endpoints(1, 1, 1), LeastConnectionsEndpointSelector()
    assert [least.select(places).name for _ in range(4)] == ["a", "b", "c", "a"]  # type: ignore[union-attr]  # some
    places[0].connection_count, places[1].connection_count, places[2].connection_count = 2, 1, 3
    assert least.select(places) is places[1]


@pytest.mark.requirement("AIP-73")
def test_health_based_takes_the_first_healthy_one() -> None:
    places = endpoints(1, 1)
    assert [HealthBasedEndpointSelector().select(places) for _ in range(2)] == [places[0]] * 2
    places[0].healthy = False
    assert HealthBasedEndpointSelector().select(places) is places[1]
