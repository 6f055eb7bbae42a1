"""Texts as vectors, by any provider, and what can be done with vectors.

    async with await EmbeddingClient.create("openai/text-embedding-3-small") as client:
        made = await client.embed_batch(["one", "two"])

Names load when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dragoman.core.lazy import lazily

if TYPE_CHECKING:
    from dragoman.ai.embeddings.builder import EmbeddingClientBuilder
    from dragoman.ai.embeddings.client import EmbeddingClient
    from dragoman.ai.embeddings.types import (
        Embedding,
        EmbeddingModel,
        EmbeddingRequest,
        EmbeddingResponse,
        EmbeddingUsage,
    )
    from dragoman.ai.embeddings.vectors import average_vectors as average_vectors
    from dragoman.ai.embeddings.vectors import (
        cosine_similarity,
        dot_product,
        euclidean_distance,
        find_most_similar,
        normalize_vector,
    )
    from dragoman.ai.embeddings.vectors import find_most_similar_embeddings as find_most_similar_embeddings
    from dragoman.ai.embeddings.vectors import magnitude as magnitude
    from dragoman.ai.embeddings.vectors import manhattan_distance as manhattan_distance
    from dragoman.ai.embeddings.vectors import weighted_average_vectors as weighted_average_vectors

_NAMES = {
    "builder": "EmbeddingClientBuilder",
    "client": "EmbeddingClient",
    "types": "Embedding EmbeddingModel EmbeddingRequest EmbeddingResponse EmbeddingUsage",
    "vectors": (
        "average_vectors cosine_similarity dot_product euclidean_distance find_most_similar find_most_similar_embeddings"
        " magnitude manhattan_distance normalize_vector weighted_average_vectors"
    ),
}

__all__ = [
    "Embedding",
    "EmbeddingClient",
    "EmbeddingClientBuilder",
    "EmbeddingModel",
    "EmbeddingRequest",
    "EmbeddingResponse",
    "EmbeddingUsage",
    "cosine_similarity",
    "dot_product",
    "euclidean_distance",
    "find_most_similar",
    "normalize_vector",
]

__getattr__, __dir__ = lazily(__name__, _NAMES, ("builder", "client", "types", "vectors", "wires"))
