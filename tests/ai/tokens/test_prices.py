"""What calls cost: the user's prices, those of manifests, those that are published, and never a guess."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from dragoman.ai.protocol import ProtocolLoader
from dragoman.ai.tokens import (
    ModelPricing,
    PriceBook,
    estimate_cost,
    get_available_models,
    get_model_context_window,
    get_model_max_output,
    get_model_pricing,
    get_price_book,
    set_price_book,
)
from dragoman.ai.tokens.estimator import cost_of
from dragoman.ai.tokens.prices import undated

pytestmark = pytest.mark.requirement("AIP-87", "AIP-75")


def provider(id: str, **models: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": id,
        "protocol_version": "2.0",
        "endpoint": {"base_url": f"https://{id}.test"},
        "capabilities": {"required": ["text"], "optional": []},
        "error_classification": {"by_http_status": {}},
        "metadata": {"models": {name.replace("_", "-"): facts for name, facts in models.items()}},
    }


def book_of(*documents: dict[str, Any], **settings: Any) -> PriceBook:
    loader = ProtocolLoader()
    for document in documents:
        loader.register_provider(document)
    return PriceBook(loader=loader, published=False, **settings)


LARGE = {
    "context_window": 1000,
    "max_output_tokens": 50,
    "pricing": {"input_per_1m": 2.0, "output_per_1m": 8.0, "cache_hit_input_per_1m": 0.2},
}
SMALL = {"pricing": {"input_per_1m": 0.1, "output_per_1m": 0.4}}


@pytest.fixture
def acme() -> PriceBook:
    return book_of(provider("acme", acme_l=LARGE, acme_l_mini=SMALL))


@pytest.fixture
def fresh() -> Iterator[None]:
    set_price_book(None)
    yield
    set_price_book(None)


def test_prices_come_from_manifests_in_the_right_unit(acme: PriceBook) -> None:
    found = acme.pricing("acme/acme-l")
    assert found == ModelPricing("acme/acme-l", 0.002, 0.008, 1000, 50, 0.0002, "manifest")
    assert found.input_price_per_token == pytest.approx(2e-6)
    assert found.output_price_per_token == pytest.approx(8e-6)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("acme/acme-l", "acme/acme-l"),
        ("acme-l", "acme/acme-l"),
        ("ACME/ACME-L", "acme/acme-l"),
        ("acme-l-mini", "acme/acme-l-mini"),
        ("acme/acme-l-mini-2024-07-18", "acme/acme-l-mini"),
        ("acme-l-mini-20240718", "acme/acme-l-mini"),
        ("acme-l@20240718", "acme/acme-l"),
    ],
)
def test_a_name_is_found_in_full_bare_or_without_its_date(acme: PriceBook, name: str, found: str) -> None:
    pricing = acme.pricing(name)
    assert pricing is not None
    assert pricing.model == found


@pytest.mark.parametrize(
    "name", ["4", "acme", "acme-l-max", "l", "acme-l-mini-turbo", "other/acme-l", "", "acme-l-2024"]
)
def test_nothing_is_found_by_part_of_a_name(acme: PriceBook, name: str) -> None:
    assert acme.pricing(name) is None


def test_a_name_of_several_providers_with_several_prices_is_unknown() -> None:
    book = book_of(provider("acme", big=LARGE), provider("other", big=SMALL), provider("third", big=SMALL))
    assert book.pricing("big") is None
    assert getattr(book.pricing("other/big"), "input_price_per_1k", None) == 0.0001


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("claude-3-5-sonnet-20241022", "claude-3-5-sonnet"),
        ("llama3-8b-8192", "llama3-8b-8192"),
        ("x-2024-13-01", "x-2024-13-01"),
    ],
)
def test_only_a_date_is_cut_off(name: str, plain: str) -> None:
    assert undated(name) == plain


def test_the_users_prices_come_first(acme: PriceBook) -> None:
    acme.set("acme/acme-l", ModelPricing("mine", 1.0, 2.0))
    assert acme.pricing("acme/acme-l-2025-01-01") == ModelPricing("mine", 1.0, 2.0)
    acme.forget("acme/acme-l")
    assert getattr(acme.pricing("acme/acme-l"), "source", None) == "manifest"
    bare = PriceBook({"house": ModelPricing("house", 0.0, 0.0)}, published=False)
    assert bare.pricing("vllm/house") == ModelPricing("house", 0.0, 0.0)


def test_the_users_price_of_a_model_counts_under_each_of_its_names(acme: PriceBook) -> None:
    acme.set("acme/acme-l", ModelPricing("acme/acme-l", 1.0, 2.0))
    for name in ("acme/acme-l", "acme-l", "acme-l-2026-01-01"):
        assert estimate_cost(1000, 0, name, book=acme).total_cost == 1.0
    assert estimate_cost(1000, 0, "acme-l-mini", book=acme).source == "manifest"


def test_a_price_below_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="not below 0"):
        ModelPricing("x", -1.0, 0.0)


def test_a_cost_is_the_sum_of_its_parts(acme: PriceBook) -> None:
    cost = estimate_cost(1000, 500, "acme/acme-l", cached_input_tokens=400, book=acme)
    assert (cost.input_cost, cost.output_cost) == (pytest.approx(0.6 * 0.002 + 0.4 * 0.0002), pytest.approx(0.004))
    assert cost.total_cost == pytest.approx(cost.input_cost + cost.output_cost)
    assert (cost.known, cost.source, cost.to_dict()["cached_input_tokens"]) == (True, "manifest", 400)


def test_cached_input_without_a_price_of_its_own_costs_what_input_does(acme: PriceBook) -> None:
    cost = estimate_cost(1000, 0, "acme-l-mini", cached_input_tokens=1000, book=acme)
    assert cost.total_cost == pytest.approx(0.0001)


def test_an_unknown_model_has_placeholder_prices_and_says_so(acme: PriceBook) -> None:
    cost = estimate_cost(1000, 1000, "unheard-of", book=acme)
    assert (cost.input_cost, cost.output_cost, cost.known, cost.source) == (0.001, 0.002, False, "placeholder")


@pytest.mark.parametrize(("given", "made", "cached"), [(-1, 0, 0), (0, -1, 0), (1, 0, 2)])
def test_counts_that_cannot_be_are_refused(acme: PriceBook, given: int, made: int, cached: int) -> None:
    with pytest.raises(ValueError, match="expected counts"):
        estimate_cost(given, made, "acme-l", cached_input_tokens=cached, book=acme)


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        ({"prompt_tokens": 1000, "completion_tokens": 500, "cache_read_tokens": 400}, 0.00128 + 0.004),
        ({"prompt_tokens": 1000, "total_tokens": 1000}, 0.002),
        ({"prompt_tokens": 1000}, None),
        ({"completion_tokens": 5}, None),
        ({}, None),
        (None, None),
    ],
)
def test_what_a_call_cost_is_known_only_with_its_tokens(
    acme: PriceBook, usage: dict[str, int] | None, cost: float | None
) -> None:
    found = cost_of(usage, "acme-l", book=acme)
    assert (found.total_cost if found else None) == (pytest.approx(cost) if cost is not None else None)
    assert cost_of(usage, "unheard-of", book=acme) is None


def test_sizes_have_defaults(acme: PriceBook) -> None:
    assert (acme.context_window("acme-l"), acme.max_output("acme-l")) == (1000, 50)
    assert (acme.context_window("acme-l-mini"), acme.max_output("unheard-of")) == (128000, 4096)
    acme.set("acme-l", ModelPricing("mine", 1.0, 1.0, context_window=7, max_output_tokens=3))
    assert (acme.context_window("acme-l"), acme.max_output("acme-l")) == (7, 3)


@pytest.mark.usefixtures("fresh")
def test_the_functions_use_one_book() -> None:
    mini = get_model_pricing("gpt-4o-mini-2024-07-18")
    assert mini is not None
    assert mini.model == "openai/gpt-4o-mini"
    assert (mini.input_price_per_1k, mini.output_price_per_1k) == (0.00015, 0.0006)
    assert "openai/gpt-4o" in get_available_models()
    assert (get_model_context_window("openai/o3"), get_model_max_output("openai/o3")) == (200000, 100000)
    get_price_book().set("openai/gpt-4o", ModelPricing("mine", 1.0, 1.0))
    assert estimate_cost(1000, 0, "openai/gpt-4o").total_cost == 1.0


@pytest.mark.usefixtures("fresh")
def test_the_published_table_is_asked_last_and_only_by_the_whole_name() -> None:
    found = get_model_pricing("openai/gpt-4.1")
    assert found is not None
    assert found.source == "genai-prices"
    assert found.cached_input_price_per_1k is not None
    assert get_model_pricing("openai/gpt-4.1-of-my-own") is None
    assert get_model_pricing("unheard-of/gpt-4.1") is None
    assert get_model_pricing("anthropic/claude-sonnet-4-5-of-my-own") is None  # which a rule of the table would fit


def test_without_the_published_table_its_models_are_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    assert PriceBook().pricing("openai/gpt-4.1") is None
