"""What models cost: the user's prices first, then what manifests know, then the published table of genai-prices.

A name is looked up as it is: in full, as an alias, or without the date at its end. Nothing is found
by part of its name, because a price that belongs to another model is worse than none.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from importlib import import_module
from typing import Any

from dragoman.ai.protocol.identity import canonical_provider_id
from dragoman.ai.protocol.loader import ProtocolLoader
from dragoman.ai.protocol.metadata_model import ModelFact
from dragoman.ai.routing.known import model_info

__all__ = ["CONTEXT_WINDOW", "MAX_OUTPUT", "ModelPricing", "PriceBook", "undated"]

CONTEXT_WINDOW = 128_000
MAX_OUTPUT = 4096
"""What is taken for a model of which it is not known, in tokens."""

_DATE = re.compile(
    r"[-@](?:20\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])|20\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))$"
)


@dataclass(frozen=True)
class ModelPricing:
    """US dollars per thousand tokens, and sizes in tokens.

    `cached_input_price_per_1k` is None when nobody says that cached input costs something else.
    `source` says whose word it is: `user`, `manifest` or `genai-prices`.
    """

    model: str
    input_price_per_1k: float
    output_price_per_1k: float
    context_window: int = CONTEXT_WINDOW
    max_output_tokens: int = MAX_OUTPUT
    cached_input_price_per_1k: float | None = None
    source: str = "user"

    def __post_init__(self) -> None:
        prices = (self.input_price_per_1k, self.output_price_per_1k, self.cached_input_price_per_1k or 0.0)
        if not all(0 <= price < float("inf") for price in prices):
            raise ValueError(f"prices of {self.model!r} must be finite and not below 0, got {prices}")

    @property
    def input_price_per_token(self) -> float:
        return self.input_price_per_1k / 1000

    @property
    def output_price_per_token(self) -> float:
        return self.output_price_per_1k / 1000


@dataclass(frozen=True, slots=True)
class _Row:
    provider: str
    model_id: str
    pricing: ModelPricing | None
    context_window: int | None
    max_output: int | None


class PriceBook:
    """Prices and sizes of models. `own` maps names, bare or `provider/model`, to prices that win over all others.

    `loader` says which manifests count; they are read once, at the first question. `published` False
    leaves genai-prices out, which is asked only if it is installed, and never updates itself here.
    """

    def __init__(
        self,
        own: Mapping[str, ModelPricing] | None = None,
        *,
        loader: ProtocolLoader | None = None,
        published: bool = True,
    ) -> None:
        self._own: dict[str, ModelPricing] = {}
        self._loader = loader
        self._published = published
        self._lock = threading.Lock()
        self._rows: dict[str, list[_Row]] | None = None
        for name, pricing in (own or {}).items():
            self.set(name, pricing)

    def set(self, name: str, pricing: ModelPricing) -> None:
        """From now on this is what the model costs."""
        self._own[_folded(name)] = pricing

    def forget(self, name: str) -> None:
        """Take back a price that was set."""
        self._own.pop(_folded(name), None)

    def pricing(self, model: str) -> ModelPricing | None:
        """What a model costs, None when nobody knows. A bare name that several providers price differently is unknown.

        A name by which manifests know a model costs what is set for that model in full.
        """
        for find in (self._from_own, self._from_manifests, self._from_published):
            for name in _names(model):
                found = find(name)
                if found is not None:
                    own = self._from_own(_folded(found.model)) if found.source == "manifest" else None
                    return own or found
        return None

    def context_window(self, model: str) -> int:
        """Tokens that go in; 128000 when it is not known."""
        return self._size(model, lambda row: row.context_window, lambda own: own.context_window, CONTEXT_WINDOW)

    def max_output(self, model: str) -> int:
        """Tokens that come out at most; 4096 when it is not known."""
        return self._size(model, lambda row: row.max_output, lambda own: own.max_output_tokens, MAX_OUTPUT)

    def models(self) -> list[str]:
        """`provider/model` of every model that a manifest prices, and the names of the user's own; sorted."""
        known = {
            f"{row.provider}/{row.model_id}"
            for rows in self._table().values()
            for row in rows
            if row.pricing is not None
        }
        return sorted(known | set(self._own))

    # ------------------------------------------------------------------------------------ inside

    def _size(
        self, model: str, of_row: Callable[[_Row], int | None], of_own: Callable[[ModelPricing], int], default: int
    ) -> int:
        for name in _names(model):
            own = self._from_own(name)
            if own is not None:
                return of_own(own)
            sizes = {size for row in self._table().get(name, ()) if (size := of_row(row)) is not None}
            if len(sizes) == 1:
                return sizes.pop()
        return default

    def _from_own(self, name: str) -> ModelPricing | None:
        found = self._own.get(name)
        return found if found is not None or "/" not in name else self._own.get(name.partition("/")[2])

    def _from_manifests(self, name: str) -> ModelPricing | None:
        rows = self._table().get(name, ())
        prices = {
            (
                row.pricing.input_price_per_1k,
                row.pricing.output_price_per_1k,
                row.pricing.cached_input_price_per_1k,
            ): row
            for row in rows
            if row.pricing is not None
        }
        return next(iter(prices.values())).pricing if len(prices) == 1 else None

    def _from_published(self, name: str) -> ModelPricing | None:
        return _published(name) if self._published else None

    def _table(self) -> Mapping[str, list[_Row]]:
        with self._lock:
            if self._rows is None:
                self._rows = _table((self._loader or ProtocolLoader()).models())
            return self._rows


def _table(models: Iterable[Mapping[str, Any]]) -> dict[str, list[_Row]]:
    """Name → the models it may mean: in full, bare, and as its file displays it."""
    table: dict[str, list[_Row]] = {}
    for entry in models:
        provider, fact = str(entry["provider"]), entry["facts"]
        row = _row(provider, fact)
        shown = {_folded(str(entry["model_id"])), _folded(str(entry["name"]))}
        for name in shown | {f"{provider}/{one}" for one in shown}:
            table.setdefault(name, []).append(row)
    return table


def _row(provider: str, fact: ModelFact) -> _Row:
    priced = model_info(provider, fact).pricing
    pricing = None
    if priced is not None:
        cached = fact.cache_hit_input_per_1m
        pricing = ModelPricing(
            f"{provider}/{fact.model_id}",
            priced.input_cost_per_1k,
            priced.output_cost_per_1k,
            fact.context_window or CONTEXT_WINDOW,
            fact.max_output_tokens or MAX_OUTPUT,
            float(Decimal(repr(cached)) / 1000) if cached is not None else None,
            "manifest",
        )
    return _Row(provider, fact.model_id, pricing, fact.context_window, fact.max_output_tokens)


def _names(model: str) -> list[str]:
    """What a name may be written as: itself, with the provider's own id, and both without a date."""
    name = _folded(model)
    provider, slash, rest = name.partition("/")
    canonical = canonical_provider_id(provider) if slash else None
    names = [name, f"{canonical}/{rest}" if canonical else name]
    return list(dict.fromkeys([*names, *map(undated, names)]))


def undated(name: str) -> str:
    """A model's name without the date at its end (`-2024-07-18`, `-20240718`, `@20240718`)."""
    return _DATE.sub("", name)


def _folded(name: str) -> str:
    return name.strip().lower()


def _published(name: str) -> ModelPricing | None:
    """From genai-prices, if it is installed and means this very model; a price in tiers is its first one."""
    try:
        table = import_module("genai_prices")
    except ImportError:
        return None
    provider, slash, model = name.partition("/")
    usage = table.Usage(input_tokens=0, output_tokens=0)
    try:
        found = table.calc_price(usage, model if slash else name, provider_id=provider if slash else None)
    except (LookupError, ValueError):
        return None
    if _folded(found.model.id) not in (model or name, undated(model or name)):
        return None  # it knows a rule that fits, not this name
    price = found.model_price
    given, made, cached = (
        _base(getattr(price, part, None)) for part in ("input_mtok", "output_mtok", "cache_read_mtok")
    )
    if given is None:
        return None
    window = found.model.context_window or CONTEXT_WINDOW
    return ModelPricing(name, given, made or 0.0, window, cached_input_price_per_1k=cached, source="genai-prices")


def _base(price: Any) -> float | None:
    """Dollars per thousand tokens, of a price per million that may be in tiers."""
    value = getattr(price, "base", price)
    return float(Decimal(str(value)) / 1000) if value is not None else None
