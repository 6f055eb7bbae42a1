"""Documents by how well they fit, over real connections."""

from __future__ import annotations

from typing import Any

import pytest
from tests.ai.services.acme import made
from tests.ai.wires.server import Reply, serving

from dragoman.ai.errors import PipelineError
from dragoman.ai.protocol import ProtocolLoader
from dragoman.ai.rerank import RerankerClient, RerankOptions, RerankResult

pytestmark = pytest.mark.requirement("AIP-103")

DOCUMENTS = ["a cat", "a dog", "a fish"]
ROWS = [{"index": 2, "relevance_score": 0.25}, {"index": 0, "relevance_score": 0.9, "document": {"text": "a cat"}}]


@pytest.mark.parametrize("name", ["results", "data"])
async def test_the_best_come_first_with_their_texts(name: str) -> None:
    async with serving([Reply.json({name: ROWS})]) as server, await made(RerankerClient.builder(), server) as client:
        found = await client.rerank("purr", DOCUMENTS, RerankOptions(2, 100), return_documents=True)
    assert found == [RerankResult(0, 0.9, "a cat"), RerankResult(2, 0.25, "a fish")]
    (request,) = server.requests
    assert request.path == "/v1/rank"
    assert request.json() == {
        "model": "m 1",
        "query": "purr",
        "documents": DOCUMENTS,
        "top_n": 2,
        "max_tokens_per_doc": 100,
        "return_documents": True,
    }


async def test_without_documents_nothing_is_asked() -> None:
    async with serving([]) as server, await made(RerankerClient.builder(), server) as client:
        assert await client.rerank("purr", []) == []
    assert server.requests == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"results": {}},
        {"results": [{"index": 3, "relevance_score": 1}]},
        {"results": [{"index": -1, "relevance_score": 1}]},
        {"results": [{"index": "0", "relevance_score": 1}]},
        {"results": [{"index": True, "relevance_score": 1}]},
        {"results": [{"index": 0, "relevance_score": float("nan")}]},
        {"results": [{"index": 0}]},
        {"results": ["x"]},
    ],
)
async def test_an_answer_that_ranks_nothing_is_an_error(body: Any) -> None:
    async with serving([Reply.json(body)]) as server, await made(RerankerClient.builder(), server) as client:
        with pytest.raises(PipelineError):
            await client.rerank("purr", DOCUMENTS)


async def test_a_shipped_manifest_knows_its_place() -> None:
    async with serving([Reply.json({"results": ROWS})]) as server:
        builder = RerankerClient.builder().model("cohere/rerank-v3.5").api_key("k").base_url(f"{server.url}/v2")
        async with await builder.loader(ProtocolLoader()).build() as client:
            assert [one.index for one in await client.rerank("purr", DOCUMENTS)] == [0, 2]
    assert (server.requests[0].path, server.requests[0].json()["model"]) == ("/v2/rerank", "rerank-v3.5")
