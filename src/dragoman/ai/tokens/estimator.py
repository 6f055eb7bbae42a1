"""What a call costs, or will have cost, by a price book; the functions of the documented API use one for all.

Set a book of your own with `set_price_book`, or a single price with `get_price_book().set(…)`.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dragoman.ai.tokens.prices import CONTEXT_WINDOW, MAX_OUTPUT, ModelPricing, PriceBook

__all__ = [
    "CONTEXT_WINDOW",
    "MAX_OUTPUT",
    "CostEstimate",
    "ModelPricing",
    "PriceBook",
    "cost_of",
    "estimate_cost",
    "get_available_models",
    "get_model_context_window",
    "get_model_max_output",
    "get_model_pricing",
    "get_price_book",
    "set_price_book",
]

PLACEHOLDER_INPUT, PLACEHOLDER_OUTPUT = 0.001, 0.002
"""Dollars per thousand tokens of a model without a known price; an estimate made of them is not `known`."""


@dataclass(frozen=True)
class CostEstimate:
    """US dollars. `known` is False when the prices are placeholders; `source` says whose prices they are.

    `cached_input_tokens` are those of the `input_tokens` that came from the provider's cache.
    """

    input_tokens: int
    output_tokens: int
    input_cost: float
    output_cost: float
    model: str
    known: bool = True
    cached_input_tokens: int = 0
    source: str = "user"

    @property
    def total_cost(self) -> float:
        return self.input_cost + self.output_cost

    def to_dict(self) -> dict[str, Any]:
        return {
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cached_input_tokens": self.cached_input_tokens,
            "input_cost": self.input_cost,
            "output_cost": self.output_cost,
            "total_cost": self.total_cost,
            "model": self.model,
            "known": self.known,
            "source": self.source,
        }


_lock = threading.Lock()
_book: PriceBook | None = None


def get_price_book() -> PriceBook:
    """The book that the functions below use."""
    global _book
    with _lock:
        if _book is None:
            _book = PriceBook()
        return _book


def set_price_book(book: PriceBook | None) -> None:
    """Use this book from now on; None for a fresh one."""
    global _book
    with _lock:
        _book = book


def get_model_pricing(model: str) -> ModelPricing | None:
    """What a model costs; None when nobody knows."""
    return get_price_book().pricing(model)


def estimate_cost(
    input_tokens: int,
    output_tokens: int,
    model: str,
    *,
    cached_input_tokens: int = 0,
    book: PriceBook | None = None,
) -> CostEstimate:
    """What so many tokens cost. `cached_input_tokens` are part of the input.

    Without a price for cached input they cost what other input does. Raises ValueError for counts
    that cannot be.
    """
    if min(input_tokens, output_tokens, cached_input_tokens) < 0 or cached_input_tokens > input_tokens:
        raise ValueError(
            f"expected counts from 0 on and no more cached tokens than input tokens, got {input_tokens} input, "
            f"{output_tokens} output, {cached_input_tokens} cached"
        )
    found = (book or get_price_book()).pricing(model)
    pricing = found or ModelPricing(model, PLACEHOLDER_INPUT, PLACEHOLDER_OUTPUT, source="placeholder")
    cached = pricing.cached_input_price_per_1k
    if cached is None:
        cached = pricing.input_price_per_1k
    plain = input_tokens - cached_input_tokens
    return CostEstimate(
        input_tokens,
        output_tokens,
        (plain * pricing.input_price_per_1k + cached_input_tokens * cached) / 1000,
        output_tokens * pricing.output_price_per_1k / 1000,
        model,
        found is not None,
        cached_input_tokens,
        pricing.source,
    )


def cost_of(usage: Mapping[str, Any] | None, model: str, *, book: PriceBook | None = None) -> CostEstimate | None:
    """What a call cost by its normalised usage; None when tokens or prices are not known."""
    usage = usage or {}
    given, made = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    if given is None or (made is None and _count(usage, "total_tokens") != given):
        return None
    cached = min(_count(usage, "cache_read_tokens") or 0, given)
    found = estimate_cost(given, made or 0, model, cached_input_tokens=cached, book=book)
    return found if found.known else None


def get_available_models() -> list[str]:
    """`provider/model` of every model whose price is known from manifests or from you."""
    return get_price_book().models()


def get_model_context_window(model: str) -> int:
    """Tokens that go in; 128000 when it is not known."""
    return get_price_book().context_window(model)


def get_model_max_output(model: str) -> int:
    """Tokens that come out at most; 4096 when it is not known."""
    return get_price_book().max_output(model)


def _count(usage: Mapping[str, Any], name: str) -> int | None:
    value = usage.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
