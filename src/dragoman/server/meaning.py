"""The embedding model of the knowledge sources: one that the app names, or one of a provider.

Here the engine, which knows no provider, meets `dragoman.ai.embeddings`. The model is looked up before the server
starts, so that one that is unknown, or whose key is missing, is told then.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import partial

import anyio.to_thread

from dragoman.ai.embeddings.client import EmbeddingClient
from dragoman.ai.embeddings.wires import EMBEDDINGS, Purpose
from dragoman.ai.model import ProviderModel
from dragoman.ai.protocol import ProtocolLoader
from dragoman.ai.services.operation import resolve_operation
from dragoman.core.errors import DragomanError, UsageError
from dragoman.core.ports import Clock, Embedded, Store
from dragoman.engine.app import App
from dragoman.engine.knowledge import Meaning
from dragoman.server.credits import charge
from dragoman.server.metric_table import TOKENS
from dragoman.server.metrics import Metrics
from dragoman.server.providers import Providers
from dragoman.server.settings import KnowledgeSettings

__all__ = ["Expense", "ProviderEmbedder", "meaning_of", "tell_of_others"]

logger = logging.getLogger("dragoman.server")

_SETTING = "stackspot.knowledge.model"


class ProviderEmbedder:
    """Vectors by a provider's model, for one purpose; implements `core.ports.Embedder`."""

    def __init__(self, model: ProviderModel, purpose: Purpose) -> None:
        self._model = model
        self._purpose = purpose

    async def embed(self, texts: Sequence[str], *, dimensions: int | None = None) -> Embedded:
        async with self._model.in_use() as client:
            vectors = EmbeddingClient(client.target)
            found = await vectors.embed_batch(texts, dimensions, purpose=self._purpose)
        return Embedded(found.vectors, found.usage.prompt_tokens or None)


class Expense:
    """Counts the tokens of vectors among all others, and charges their cost to tenants that have a balance."""

    def __init__(self, store: Store, balances: Mapping[str, Decimal], metrics: Metrics, clock: Clock) -> None:
        self._store = store
        self._balances = balances
        self._metrics = metrics
        self._clock = clock

    async def count(self, model: str, tenant: str, tokens: int) -> None:
        self._metrics.count(TOKENS, (("kind", "prompt"),), tokens)
        if tenant in self._balances:
            usage = {"prompt_tokens": tokens, "completion_tokens": 0, "total_tokens": tokens}
            await charge(self._store, self._clock, tenant, None, model, usage)


async def meaning_of(settings: KnowledgeSettings, app: App, providers: Providers, expense: Expense) -> Meaning | None:
    """The model that the settings name; None where they name none. Raises UsageError for one that cannot be used."""
    name = settings.model
    if name is None:
        return None
    used = partial(expense.count, name)
    own = app.embedders.get(name)
    if own is not None:
        return Meaning(name, own, own, settings.dimensions, settings.question_seconds, used)
    try:
        model = providers.kept(name)
        await anyio.to_thread.run_sync(_check, model, providers.loader)
    except DragomanError as error:
        raise UsageError(f"{_SETTING}: {error.message}", code="model") from error
    documents, questions = (ProviderEmbedder(model, purpose) for purpose in ("document", "query"))
    return Meaning(name, documents, questions, settings.dimensions, settings.question_seconds, used)


async def tell_of_others(store: Store, meaning: Meaning) -> None:
    """Log how many passages the model cannot find, since they were kept without it or for another one."""
    others = await store.passages_without(meaning.space, meaning.dimensions)
    if others:
        logger.warning(
            "passages have no vectors of the embedding model and are found by their words alone, until their documents"
            " are uploaded again",
            extra={"model": meaning.space, "passages": others},
        )


def _check(model: ProviderModel, loader: ProtocolLoader) -> None:
    """For a thread: it reads files and asks the keyring."""
    model.prepare()
    resolved = loader.resolve_model_sync(model.name)
    resolve_operation(resolved.manifest, EMBEDDINGS, resolved.model_id)
