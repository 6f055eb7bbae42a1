"""Where a target meets telemetry: whom to tell, and what a call has cost.

Everything is looked up when a call begins, so that a client whose process has neither collector nor
tracer does nothing more than look.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import anyio.to_thread

from dragoman.ai.client.settings import ClientSettings
from dragoman.ai.protocol.manifest import ProtocolManifest
from dragoman.ai.resilience.executor import Lease
from dragoman.ai.routing.known import model_info
from dragoman.ai.telemetry.current import PROCESS
from dragoman.ai.telemetry.labels import MetricLabels
from dragoman.ai.telemetry.watching import MetricsSink, Watch, safely
from dragoman.ai.tokens.estimator import cost_of, get_price_book
from dragoman.ai.tokens.prices import ModelPricing, PriceBook

__all__ = ["Measuring"]

T = TypeVar("T")


class Measuring:
    """What one target's calls are measured by. `name` gives the provider and the model."""

    def __init__(self, settings: ClientSettings, name: Callable[[], tuple[str, str]]) -> None:
        self._settings = settings
        self._name = name
        self._prices: tuple[object, Callable[[Mapping[str, Any]], float | None]] | None = None

    @property
    def _metrics(self) -> MetricsSink | None:
        return self._settings.metrics if self._settings.metrics is not None else PROCESS.collector

    def watch(self) -> Watch | None:
        """For one call; None when nobody wants to know."""
        metrics = self._metrics
        tracer = self._settings.tracer if self._settings.tracer is not None else PROCESS.tracer
        if metrics is None and tracer is None:
            return None
        provider, model = self._name()
        return Watch(metrics, tracer, provider=provider, model=model, clock=self._settings.clock)

    def waited(self, seconds: float) -> None:
        """A request waited for the limiter."""
        metrics = self._metrics
        if metrics is not None:
            safely(metrics.record_rate_limit_wait, MetricLabels(*self._name()), seconds)

    def opened(self) -> None:
        """The breaker opened."""
        metrics = self._metrics
        if metrics is not None:
            safely(metrics.record_circuit_open, MetricLabels(*self._name()))

    def until_released(self, lease: Lease[T], watch: Watch) -> Lease[T]:
        """The lease of a stream that has begun; releasing it ends the watch too.

        A stream that is left before its end counts as cancelled.
        """
        reader = lease.value
        if getattr(reader, "has_output", False):
            watch.first_output()

        def end(error: BaseException | None) -> None:
            error = error if error is not None else getattr(reader, "error", None)
            is_cut = error is None and not getattr(reader, "is_over", True)
            run, usage = getattr(reader, "run", None), getattr(reader, "usage", None)
            answer = run.answer() if run is not None and watch.is_traced else None
            id = answer.extras.get("id") if answer is not None else None
            watch.end(usage=usage, cost=self.cost(usage), answer=answer, id=id, error=error, cancelled=is_cut)

        return lease.and_then(lambda error: safely(end, error))

    # ------------------------------------------------------------------------------------------ cost

    async def learn_prices(self, manifest: ProtocolManifest) -> None:
        """Look up what the model costs, once; in a thread, for tables are read for it."""
        book = get_price_book()
        if self._prices is None or self._prices[0] is not book:
            try:
                found = await anyio.to_thread.run_sync(_costs, manifest, self._name()[1], book)
            except Exception as error:  # a table that cannot be read: then nobody knows
                safely(_raise, error)
                found = _unknown
            self._prices = (book, found)

    def cost(self, usage: Mapping[str, Any] | None) -> float | None:
        """US dollars: what the provider says, else what its tokens cost; None if that is not known."""
        if not usage:
            return None
        said = usage.get("cost")
        said = said.get("total_cost") if isinstance(said, Mapping) else said
        if isinstance(said, int | float) and not isinstance(said, bool) and 0 <= said <= sys.float_info.max:
            return float(said)
        return self._prices[1](usage) if self._prices is not None else None


class _OnePrice(PriceBook):
    """A book with a single price, which nothing need be looked up for."""

    def __init__(self, pricing: ModelPricing) -> None:
        super().__init__(published=False)
        self._only = pricing

    def pricing(self, model: str) -> ModelPricing | None:
        return self._only


def _costs(manifest: ProtocolManifest, model: str, book: PriceBook) -> Callable[[Mapping[str, Any]], float | None]:
    """Usage → dollars: by the user's price, by the manifest at hand, by whatever else is known."""
    name = f"{manifest.id}/{model}"
    pricing = book.pricing(name)
    fact = manifest.model_fact(model)
    if (pricing is None or pricing.source != "user") and fact is not None:
        told = model_info(manifest.id, fact).pricing
        if told is not None:
            cached = fact.cache_hit_input_per_1m
            pricing = ModelPricing(
                name,
                told.input_cost_per_1k,
                told.output_cost_per_1k,
                cached_input_price_per_1k=cached / 1000 if cached is not None else None,
            )
    if pricing is None:
        return _unknown
    own = _OnePrice(pricing)

    def cost(usage: Mapping[str, Any]) -> float | None:
        found = cost_of(usage, name, book=own)
        return found.total_cost if found is not None else None

    return cost


def _unknown(usage: Mapping[str, Any]) -> float | None:
    return None


def _raise(error: Exception) -> None:
    raise error
