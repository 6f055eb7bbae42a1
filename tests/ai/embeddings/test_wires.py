"""Vectors over real connections, on the wire of each family."""

from __future__ import annotations

from typing import Any

import pytest
from tests.ai.embeddings.families import FAMILIES, Family, packed, speaking, vector_of
from tests.ai.wires.server import Provider, Received, Reply, serving

from dragoman.ai.embeddings import EmbeddingClient
from dragoman.ai.errors import ErrorClass, PipelineError, RemoteError
from dragoman.ai.protocol import ProtocolManifest

pytestmark = pytest.mark.requirement("AIP-82")

each_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda one: one.name)


async def client_of(family: Family, server: Provider, **settings: Any) -> EmbeddingClient:
    return await EmbeddingClient.create(
        family.model, api_key="k-0123456789", base_url=server.url + family.base, **settings
    )


@each_family
async def test_one_text_becomes_one_vector(family: Family) -> None:
    async with serving(speaking(family)) as server, await client_of(family, server) as client:
        made = await client.embed("Grüße")
    (request,) = server.requests
    assert (request.method, request.path) == ("POST", family.path)
    assert made.vectors == [vector_of("Grüße")]
    assert made.first is not None
    assert (made.first.index, made.first.dimensions) == (0, 3)
    assert made.usage.prompt_tokens == (len("Grüße") if family.counts else 0)
    assert made.usage.total_tokens == made.usage.prompt_tokens


@each_family
async def test_several_texts_go_together_and_come_in_order(family: Family) -> None:
    texts = ["one", "three", "eleven", ""]
    async with serving(speaking(family)) as server, await client_of(family, server) as client:
        made = await client.embed_batch(texts)
    assert [request.path for request in server.requests] == [family.batch_path]
    assert made.vectors == [vector_of(text) for text in texts]
    assert [one.index for one in made.embeddings] == [0, 1, 2, 3]


@each_family
async def test_the_length_of_vectors_goes_along(family: Family) -> None:
    async with serving(speaking(family)) as server, await client_of(family, server, dimensions=256) as client:
        await client.embed("a")
        await client.embed("a", 64)
    assert [request.json()[family.dimensions] for request in server.requests] == [256, 64]
    assert client.dimensions == 256


@each_family
async def test_without_a_length_none_is_sent(family: Family) -> None:
    async with serving(speaking(family)) as server, await client_of(family, server) as client:
        await client.embed("a")
    assert family.dimensions not in server.requests[0].json()


@each_family
async def test_a_refusal_is_an_error_with_its_class(family: Family) -> None:
    refused = Reply.json({"error": {"message": "slow down k-0123456789", "status": "X"}}, 429, retry_after="7")
    async with serving([refused]) as server, await client_of(family, server) as client:
        with pytest.raises(RemoteError) as caught:
            await client.embed("a")
    assert (caught.value.error_class, caught.value.retry_after) == (ErrorClass.RATE_LIMITED, 7)
    assert "k-0123456789" not in str(caught.value)


@each_family
@pytest.mark.parametrize(
    "body", [{}, [], {"data": "x", "embeddings": "x", "embedding": "x"}, {"data": [], "embeddings": []}]
)
async def test_an_answer_without_vectors_is_an_error(family: Family, body: Any) -> None:
    async with serving([Reply.json(body)]) as server, await client_of(family, server) as client:
        with pytest.raises(PipelineError, match="no embeddings"):
            await client.embed("a")


@each_family
@pytest.mark.parametrize("bad", [[], [1.0, None], [1.0, "2"], [True], [1e400], "?", 7, None])
async def test_a_vector_that_is_none_is_an_error(family: Family, bad: Any) -> None:
    body = {
        "openai": {"data": [{"embedding": bad}]},
        "gemini": {"embedding": {"values": bad}},
        "cohere": {"embeddings": {"float": [bad]}},
        "ollama": {"embeddings": [bad]},
    }[family.name]
    async with serving([Reply.json(body)]) as server, await client_of(family, server) as client:
        with pytest.raises(PipelineError):
            await client.embed("a")


@each_family
@pytest.mark.parametrize("count", [2, 4])
async def test_an_answer_with_too_few_or_too_many_vectors_is_an_error(family: Family, count: int) -> None:
    other = Reply.json(family.answer(["x"] * count))
    async with serving([other]) as server, await client_of(family, server) as client:
        with pytest.raises(PipelineError, match="3 embeddings"):
            await client.embed_batch(["a", "b", "c"])


# --------------------------------------------------------------------- what each wire has of its own

OPENAI, GEMINI, COHERE, OLLAMA = FAMILIES


async def test_openai_bodies() -> None:
    async with serving(speaking(OPENAI)) as server, await client_of(OPENAI, server) as client:
        made = await client.embed_batch(["a", "b"], user="ana")
    assert server.requests[0].json() == {"input": ["a", "b"], "model": "text-embedding-3-small", "user": "ana"}
    assert server.requests[0].headers["authorization"] == "Bearer k-0123456789"
    assert made.model == "m-answered"
    assert made.to_dict()["data"][1] == {"object": "embedding", "index": 1, "embedding": vector_of("b")}


@pytest.mark.parametrize(
    "rows",
    [
        [{"index": 0, "embedding": [1.0]}, {"index": 0, "embedding": [1.0]}],
        [{"index": 0, "embedding": [1.0]}, {"index": 2, "embedding": [1.0]}],
        [{"index": "0", "embedding": [1.0]}, {"index": "1", "embedding": [1.0]}],
        ["x", "y"],
    ],
)
async def test_openai_indexes_must_be_those_of_the_texts(rows: list[Any]) -> None:
    async with serving([Reply.json({"data": rows})]) as server, await client_of(OPENAI, server) as client:
        with pytest.raises(PipelineError, match="embedding"):
            await client.embed_batch(["a", "b"])


async def test_a_sum_of_tokens_is_those_that_were_read() -> None:
    said = OPENAI.answer(["a"]) | {"usage": {"total_tokens": 7}}
    async with serving([Reply.json(said)]) as server, await client_of(OPENAI, server) as client:
        made = await client.embed("a")
    assert (made.usage.prompt_tokens, made.usage.total_tokens) == (7, 7)


async def test_base64_vectors_are_unpacked() -> None:
    def answer(request: Received) -> Reply:
        assert request.json()["encoding_format"] == "base64"
        rows = [{"index": n, "embedding": packed(vector_of(text))} for n, text in enumerate(request.json()["input"])]
        return Reply.json({"data": rows})

    async with serving(answer) as server, await client_of(OPENAI, server) as client:
        made = await client.embed_batch(["a", "bb"], encoding_format="base64")
    assert made.vectors == [vector_of("a"), vector_of("bb")]
    assert made.model == "text-embedding-3-small"


async def test_gemini_bodies() -> None:
    async with serving(speaking(GEMINI)) as server, await client_of(GEMINI, server) as client:
        await client.embed("a", taskType="RETRIEVAL_QUERY")
        await client.embed_batch(["a", "b"], 8)
    one, two = server.requests
    assert (one.path, two.path) == (GEMINI.path, GEMINI.batch_path)
    asked = {"model": "models/gemini-embedding-001", "content": {"parts": [{"text": "a"}]}}
    assert one.json() == asked | {"taskType": "RETRIEVAL_QUERY"}
    assert two.json()["requests"][0] == asked | {"outputDimensionality": 8}
    assert "k-0123456789" in (one.query.get("key"), one.headers.get("x-goog-api-key"))


async def test_cohere_bodies() -> None:
    async with serving(speaking(COHERE)) as server, await client_of(COHERE, server) as client:
        await client.embed("a")
        await client.embed("a", input_type="search_query")
    first, second = (request.json() for request in server.requests)
    assert first == {
        "texts": ["a"],
        "model": "embed-v4.0",
        "input_type": "search_document",
        "embedding_types": ["float"],
    }
    assert second["input_type"] == "search_query"


async def test_older_cohere_answers_are_read() -> None:
    async with serving([Reply.json({"embeddings": [[1.0, 2.0]]})]) as server, await client_of(COHERE, server) as client:
        assert (await client.embed("a")).vectors == [[1.0, 2.0]]


async def test_cohere_takes_no_more_than_96_at_once() -> None:
    async with serving(speaking(COHERE)) as server, await client_of(COHERE, server) as client:
        await client.embed_batch([str(n) for n in range(100)])
    assert sorted(len(request.json()["texts"]) for request in server.requests) == [4, 96]


async def test_ollama_needs_no_key_and_tells_its_tokens() -> None:
    async with serving(speaking(OLLAMA)) as server:
        builder = EmbeddingClient.builder().model(OLLAMA.model).base_url(server.url).settings(allow_keyring=False)
        async with await builder.build() as client:
            made = await client.embed_batch(["abc", "de"], truncate=False)
    assert server.requests[0].json() == {"model": "nomic-embed-text", "input": ["abc", "de"], "truncate": False}
    assert "authorization" not in server.requests[0].headers
    assert (made.usage.prompt_tokens, made.model) == (5, "m-answered")


# ------------------------------------------------------------------------------------- manifests


def manifest(**changes: Any) -> ProtocolManifest:
    document = {
        "id": "acme",
        "protocol_version": "2.0",
        "endpoint": {"base_url": "https://acme.test"},
        "capabilities": {"required": ["text"], "optional": []},
        "availability": {"required": False, "regions": ["global"]},
    }
    return ProtocolManifest(**{**document, **changes})


async def made_of(found: ProtocolManifest, server: Provider, **settings: Any) -> EmbeddingClient:
    return await EmbeddingClient.builder().from_manifest(found, "e 1").base_url(server.url).settings(**settings).build()


async def test_the_endpoint_is_the_manifests_own() -> None:
    found = manifest(
        payload_format="anthropic_style",
        endpoints={"embeddings": {"path": "/vectors/{model}/embed", "method": "PUT", "adapter": "ollama"}},
    )
    async with serving(speaking(OLLAMA)) as server, await made_of(found, server, allow_keyring=False) as client:
        assert (await client.embed("a")).vectors == [vector_of("a")]
    (request,) = server.requests
    assert (request.method, request.raw_path) == ("PUT", "/vectors/e%201/embed")
    assert (client.model, client.provider) == ("e 1", "acme")


async def test_a_hint_of_the_users_wins_over_the_manifest() -> None:
    async with serving(speaking(OPENAI)) as server:
        builder = EmbeddingClient.builder().from_manifest(manifest(), "e").base_url(server.url)
        async with (
            await builder.endpoint_path("/other")
            .headers({"x-team": "a"})
            .settings(allow_keyring=False)
            .build() as client
        ):
            await client.embed("a")
    assert (server.requests[0].path, server.requests[0].headers["x-team"]) == ("/other", "a")
