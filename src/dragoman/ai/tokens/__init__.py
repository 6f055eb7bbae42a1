"""How many tokens a text is, and what a call costs: exact where that can be, marked as an estimate elsewhere.

    counter = get_token_counter("openai/gpt-4o")
    counter.count("Hello"), counter.exact

Names load when they are first used. Nothing here downloads anything by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dragoman.core.lazy import lazily

if TYPE_CHECKING:
    from dragoman.ai.tokens.counter import AnthropicEstimator as AnthropicEstimator
    from dragoman.ai.tokens.counter import CachingCounter as CachingCounter
    from dragoman.ai.tokens.counter import CharacterEstimator as CharacterEstimator
    from dragoman.ai.tokens.counter import TiktokenCounter as TiktokenCounter
    from dragoman.ai.tokens.counter import TokenCount as TokenCount
    from dragoman.ai.tokens.counter import TokenCounter, get_token_counter
    from dragoman.ai.tokens.estimator import CostEstimate, estimate_cost, get_model_pricing
    from dragoman.ai.tokens.estimator import get_available_models as get_available_models
    from dragoman.ai.tokens.estimator import get_model_context_window as get_model_context_window
    from dragoman.ai.tokens.estimator import get_model_max_output as get_model_max_output
    from dragoman.ai.tokens.estimator import get_price_book as get_price_book
    from dragoman.ai.tokens.estimator import set_price_book as set_price_book
    from dragoman.ai.tokens.prices import ModelPricing
    from dragoman.ai.tokens.prices import PriceBook as PriceBook
    from dragoman.ai.tokens.vocabulary import fetch_vocabulary as fetch_vocabulary
    from dragoman.ai.tokens.vocabulary import has_vocabulary as has_vocabulary

_NAMES = {
    "counter": (
        "AnthropicEstimator CachingCounter CharacterEstimator TiktokenCounter TokenCount TokenCounter get_token_counter"
    ),
    "estimator": (
        "CostEstimate estimate_cost get_available_models get_model_context_window get_model_max_output get_model_pricing"
        " get_price_book set_price_book"
    ),
    "prices": "ModelPricing PriceBook",
    "vocabulary": "fetch_vocabulary has_vocabulary",
}

__all__ = [
    "CostEstimate",
    "ModelPricing",
    "TokenCounter",
    "estimate_cost",
    "get_model_pricing",
    "get_token_counter",
]

__getattr__, __dir__ = lazily(__name__, _NAMES, ("counter", "estimator", "prices", "vocabulary"))
