"""What is asked for vectors and what comes back: plain values, in the shape that most providers use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

__all__ = ["Embedding", "EmbeddingModel", "EmbeddingRequest", "EmbeddingResponse", "EmbeddingUsage"]


class EmbeddingModel(StrEnum):
    """Models that are known by name. `dimensions` is how long their vectors are, `max_tokens` how much they read."""

    TEXT_EMBEDDING_3_SMALL = "text-embedding-3-small"
    TEXT_EMBEDDING_3_LARGE = "text-embedding-3-large"
    TEXT_EMBEDDING_ADA_002 = "text-embedding-ada-002"
    EMBED_ENGLISH_V3 = "embed-english-v3.0"
    EMBED_MULTILINGUAL_V3 = "embed-multilingual-v3.0"
    EMBED_ENGLISH_LIGHT_V3 = "embed-english-light-v3.0"
    VOYAGE_LARGE_2 = "voyage-large-2"
    VOYAGE_CODE_2 = "voyage-code-2"
    TEXT_EMBEDDING_004 = "text-embedding-004"

    @property
    def dimensions(self) -> int:
        return _SIZES[self.value][0]

    @property
    def max_tokens(self) -> int:
        return _SIZES[self.value][1]


_SIZES = {
    "text-embedding-3-small": (1536, 8191),
    "text-embedding-3-large": (3072, 8191),
    "text-embedding-ada-002": (1536, 8191),
    "embed-english-v3.0": (1024, 512),
    "embed-multilingual-v3.0": (1024, 512),
    "embed-english-light-v3.0": (384, 512),
    "voyage-large-2": (1536, 16000),
    "voyage-code-2": (1536, 16000),
    "text-embedding-004": (768, 2048),
}


@dataclass
class EmbeddingUsage:
    """Tokens that were read; 0 where the provider does not say."""

    prompt_tokens: int = 0
    total_tokens: int = 0

    def __add__(self, other: EmbeddingUsage) -> EmbeddingUsage:
        return EmbeddingUsage(self.prompt_tokens + other.prompt_tokens, self.total_tokens + other.total_tokens)

    def to_dict(self) -> dict[str, int]:
        return {"prompt_tokens": self.prompt_tokens, "total_tokens": self.total_tokens}


@dataclass
class Embedding:
    """The vector of one text; `index` is the text's place in the request."""

    index: int
    vector: list[float]
    object_type: str = "embedding"

    @property
    def dimensions(self) -> int:
        return len(self.vector)

    def to_dict(self) -> dict[str, Any]:
        return {"object": self.object_type, "index": self.index, "embedding": self.vector}

    @classmethod
    def from_openai_format(cls, data: Mapping[str, Any]) -> Embedding:
        return cls(int(data.get("index", 0)), list(data["embedding"]), str(data.get("object", "embedding")))


@dataclass
class EmbeddingRequest:
    """One request, in OpenAI's words. `encoding_format` None leaves the choice to the provider."""

    input: str | list[str]
    model: str = EmbeddingModel.TEXT_EMBEDDING_3_SMALL.value
    dimensions: int | None = None
    encoding_format: str | None = None
    user: str | None = None

    @property
    def texts(self) -> list[str]:
        return [self.input] if isinstance(self.input, str) else list(self.input)

    @property
    def is_batch(self) -> bool:
        return not isinstance(self.input, str)

    @property
    def batch_size(self) -> int:
        return len(self.texts)

    def to_dict(self) -> dict[str, Any]:
        """OpenAI's body, without what is not said."""
        body = {
            "input": self.input,
            "model": str(self.model),
            "dimensions": self.dimensions,
            "encoding_format": self.encoding_format,
            "user": self.user,
        }
        return {name: value for name, value in body.items() if value is not None}


@dataclass
class EmbeddingResponse:
    """Vectors in the order of the texts. `model` is what the provider says answered."""

    embeddings: list[Embedding] = field(default_factory=list)
    model: str = ""
    usage: EmbeddingUsage = field(default_factory=EmbeddingUsage)
    object_type: str = "list"

    @property
    def first(self) -> Embedding | None:
        return self.embeddings[0] if self.embeddings else None

    @property
    def vectors(self) -> list[list[float]]:
        return [one.vector for one in self.embeddings]

    def to_dict(self) -> dict[str, Any]:
        """OpenAI's body."""
        return {
            "object": self.object_type,
            "data": [one.to_dict() for one in self.embeddings],
            "model": self.model,
            "usage": self.usage.to_dict(),
        }

    @classmethod
    def from_openai_format(cls, data: Mapping[str, Any]) -> EmbeddingResponse:
        usage = data.get("usage") or {}
        prompt = int(usage.get("prompt_tokens", 0))
        return cls(
            sorted(map(Embedding.from_openai_format, data.get("data") or ()), key=lambda one: one.index),
            str(data.get("model", "")),
            EmbeddingUsage(prompt, int(usage.get("total_tokens", prompt))),
            str(data.get("object", "list")),
        )
