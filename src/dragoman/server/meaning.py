"""The embedding model of the knowledge sources: one that the app names, or one of a provider.

Here the engine, which knows no provider, meets `dragoman.ai.embeddings`. The model is looked up before the server
starts, so that one that is unknown, or whose key is missing, is told then.
"""

from __future__ import annotations

from collections.abc import Sequence

import anyio.to_thread

from dragoman.ai.embeddings.client import EmbeddingClient
from dragoman.ai.embeddings.wires import EMBEDDINGS, Purpose
from dragoman.ai.model import ProviderModel
from dragoman.ai.protocol import ProtocolLoader
from dragoman.ai.services.operation import resolve_operation
from dragoman.core.errors import DragomanError, UsageError
from dragoman.core.ports import Embedded
from dragoman.engine.app import App
from dragoman.engine.knowledge import Meaning
from dragoman.server.providers import Providers
from dragoman.server.settings import KnowledgeSettings

__all__ = ["ProviderEmbedder", "meaning_of"]

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


async def meaning_of(settings: KnowledgeSettings, app: App, providers: Providers) -> Meaning | None:
    """The model that the settings name; None where they name none. Raises UsageError for one that cannot be used."""
    name = settings.model
    if name is None:
        return None
    own = app.embedders.get(name)
    if own is not None:
        return Meaning(name, own, own, settings.dimensions, settings.question_seconds)
    try:
        model = providers.kept(name)
        await anyio.to_thread.run_sync(_check, model, providers.loader)
    except DragomanError as error:
        raise UsageError(f"{_SETTING}: {error.message}", code="model") from error
    documents, questions = (ProviderEmbedder(model, purpose) for purpose in ("document", "query"))
    return Meaning(name, documents, questions, settings.dimensions, settings.question_seconds)


def _check(model: ProviderModel, loader: ProtocolLoader) -> None:
    """For a thread: it reads files and asks the keyring."""
    model.prepare()
    resolved = loader.resolve_model_sync(model.name)
    resolve_operation(resolved.manifest, EMBEDDINGS, resolved.model_id)
