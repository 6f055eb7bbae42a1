"""Documents in the order in which they fit a question.

client = await RerankerClient.builder().model("cohere/rerank-v3.5").build()
best = await client.rerank("How do I mend a tyre?", documents, RerankOptions(top_n=3))
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dragoman.ai.client.target import Target
from dragoman.ai.errors import PipelineError
from dragoman.ai.services.building import ServiceBuilder
from dragoman.ai.services.operation import Operation, ServiceClient, json_of
from dragoman.ai.transport.response import HttpResponse

__all__ = ["RerankOptions", "RerankResult", "RerankerClient", "RerankerClientBuilder"]

RERANK = Operation(
    "rerank",
    "reranking",
    {"cohere_v2": "/rerank", "openai_chat": "/rerank", "custom": "/rerank"},
    others=("reranking",),
)


@dataclass
class RerankResult:
    """A document by its place in the request, and how well it fits; higher is better."""

    index: int
    relevance_score: float
    document: str | None = None


@dataclass
class RerankOptions:
    """At most `top_n` results; of each document at most so many tokens count."""

    top_n: int | None = None
    max_tokens_per_doc: int | None = None


class RerankerClient(ServiceClient):
    """Make one by `builder()`; close it, or use it in `async with`."""

    operation = RERANK

    @staticmethod
    def builder() -> RerankerClientBuilder:
        return RerankerClientBuilder()

    async def rerank(
        self, query: str, documents: Sequence[str], options: RerankOptions | None = None, **extra: Any
    ) -> list[RerankResult]:
        """The documents that fit best, the best first; none without documents. Raises as a chat does."""
        if not documents:
            return []
        told = options or RerankOptions()
        manifest, endpoint = await self._place()
        body = {
            "model": self.model,
            "query": query,
            "documents": list(documents),
            "top_n": told.top_n,
            "max_tokens_per_doc": told.max_tokens_per_doc,
            **extra,
        }

        def read(response: HttpResponse) -> list[RerankResult]:
            return _results(json_of(response, manifest), documents)

        return await self._ask(
            manifest, endpoint, read, json={name: value for name, value in body.items() if value is not None}
        )


class RerankerClientBuilder(ServiceBuilder[RerankerClient]):
    """Every setter returns the builder; `await build()` gives the client."""

    def _client(self, target: Target) -> RerankerClient:
        return RerankerClient(target, endpoint=self._given_endpoint())


def _results(value: Any, documents: Sequence[str]) -> list[RerankResult]:
    value = value if isinstance(value, Mapping) else {}
    rows = value.get("results", value.get("data"))
    if not isinstance(rows, list):
        raise PipelineError("the answer has no list `results`", operator="rerank")
    found = []
    for row in rows:
        index = row.get("index") if isinstance(row, Mapping) else None
        score = row.get("relevance_score", row.get("score")) if isinstance(row, Mapping) else None
        if (
            type(index) is not int
            or not 0 <= index < len(documents)
            or not isinstance(score, int | float)
            or not math.isfinite(score)
        ):
            raise PipelineError(
                f"a result has no index below {len(documents)} or no `relevance_score`", operator="rerank"
            )
        found.append(RerankResult(index, float(score), documents[index]))
    return sorted(found, key=lambda one: -one.relevance_score)
