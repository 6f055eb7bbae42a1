"""The client for vectors: names, batches side by side, policies, and vectors that are known already."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from tests.ai.embeddings.families import FAMILIES, vector_of
from tests.ai.wires.server import Received, Reply, serving

from dragoman.ai.cache import CacheManager
from dragoman.ai.embeddings import (
    EmbeddingClient,
    EmbeddingModel,
    EmbeddingRequest,
    EmbeddingResponse,
    EmbeddingUsage,
)
from dragoman.ai.errors import AiRuntimeError, ErrorClass, ProtocolError, RemoteError, ValidationError
from dragoman.ai.protocol import ProtocolLoader, ProtocolManifest
from dragoman.ai.resilience import RetryConfig
from dragoman.ai.telemetry import InMemoryExporter, MetricLabels, MetricsCollector, Tracer
from dragoman.ai.tokens import ModelPricing, PriceBook, set_price_book
from dragoman.testing import ScriptedIO
from dragoman.wire.http import Headers, Request, Response

pytestmark = pytest.mark.requirement("AIP-82")

OPENAI = FAMILIES[0]
ACME = ProtocolManifest(
    id="acme",
    protocol_version="1.5",
    endpoint={"base_url": "https://acme.test/v1"},
    payload_format="openai_style",
    capabilities={"streaming": True},
)


def answered(request: Request) -> Response:
    body = OPENAI.answer(json.loads(request.body or b"")["input"])
    return Response(200, Headers({"content-type": "application/json"}), json.dumps(body).encode())


async def client_of(script: Any = answered, **settings: Any) -> tuple[EmbeddingClient, ScriptedIO]:
    io = ScriptedIO(script)
    builder = EmbeddingClient.builder().from_manifest(ACME, "e-1").http_client(io)
    if "retry" in settings:
        builder.with_retry(settings.pop("retry")).settings(clock=io.now, sleep=io.sleep, random=lambda: 1.0)
    if "cache" in settings:
        builder.with_cache(settings.pop("cache"), tenant=settings.pop("tenant", None)).api_key(
            settings.pop("key", None)
        )
    return await builder.settings(allow_keyring=False, **settings).build(), io


# ------------------------------------------------------------------------------------- batches


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250])
async def test_batches_keep_the_order_and_add_up_the_tokens(count: int) -> None:
    client, io = await client_of()
    texts = [f"text {n}" for n in range(count)]
    made = await client.embed_batch(texts)
    assert made.vectors == [vector_of(text) for text in texts]
    assert [one.index for one in made.embeddings] == list(range(count))
    assert made.usage.prompt_tokens == sum(map(len, texts))
    assert len(io.requests) == -(-count // 100)


async def test_the_size_of_batches_can_be_chosen() -> None:
    client, io = await client_of()
    await client.embed_batch((text for text in "abcdefg"), batch_size=3)
    assert [len(json.loads(request.body or b"")["input"]) for request in io.requests] == [3, 3, 1]


async def test_four_batches_are_under_way_at_once() -> None:
    def answer(request: Received) -> Reply:
        return Reply([json.dumps(OPENAI.answer(request.json()["input"])).encode()], framing="length", hold=True)

    async with serving(answer) as server, await EmbeddingClient.create(OPENAI.model, "k", server.url) as client:
        found: list[EmbeddingResponse] = []

        async def ask() -> None:
            found.append(await client.embed_batch([str(n) for n in range(9)], batch_size=1))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await server.arrived(4)
            for _ in range(100):  # a fifth would have come by now
                await anyio.lowlevel.checkpoint()
            assert len(server.requests) == 4
            server.release()
    assert found[0].vectors == [vector_of(str(n)) for n in range(9)]


async def test_the_first_failure_ends_the_others() -> None:
    def answer(request: Received) -> Reply:
        if request.json()["input"] == ["3"]:
            return Reply.json({"error": {"message": "too long"}}, 400)
        return Reply([b"{}"], framing="length", hold=True)

    async with serving(answer) as server, await EmbeddingClient.create(OPENAI.model, "k", server.url) as client:
        with anyio.fail_after(10):
            with pytest.raises(RemoteError, match="too long"):
                await client.embed_batch([str(n) for n in range(20)], batch_size=1)
            for request in server.requests[:3]:
                await request.gone()
    assert len(server.requests) == 4


async def test_what_is_no_text_is_refused_before_anything_is_sent() -> None:
    client, io = await client_of()
    texts: Any = ["a", 1]
    with pytest.raises(ValidationError, match="must be a str"):
        await client.embed_batch(texts)
    with pytest.raises(ValidationError, match="batch_size"):
        await client.embed_batch(["a"], batch_size=0)
    assert io.requests == []


async def test_a_text_alone_is_a_batch_of_one() -> None:
    client, _ = await client_of()
    assert (await client.embed_batch("abc")).vectors == [vector_of("abc")]


# ------------------------------------------------------------------------------------- policies


async def test_without_a_policy_one_call_is_one_request() -> None:
    client, io = await client_of([Response(503, Headers({}), b"")])
    with pytest.raises(RemoteError):
        await client.embed("a")
    assert len(io.requests) == 1


async def test_a_batch_is_tried_again() -> None:
    client, io = await client_of(
        [Response(503, Headers({}), b""), answered], retry=RetryConfig(max_retries=2, min_delay_ms=100)
    )
    assert (await client.embed("a")).vectors == [vector_of("a")]
    assert len(io.requests) == 2


async def test_a_closed_client_refuses() -> None:
    client, io = await client_of()
    await client.close()
    await client.close()
    with pytest.raises(AiRuntimeError, match="closed"):
        await client.embed("a")
    assert io.requests == []


# ---------------------------------------------------------------------------------------- names


async def test_a_bare_name_is_the_first_providers_unless_a_manifest_knows_it() -> None:
    async with await EmbeddingClient.create("text-embedding-3-small") as client:
        assert (client.provider, client.model) == ("openai", "text-embedding-3-small")
    async with await EmbeddingClient.create("embed-english-v3.0") as client:
        assert client.provider == "cohere"
    async with await EmbeddingClient.create(EmbeddingModel.TEXT_EMBEDDING_3_LARGE) as client:
        assert (client.provider, client.model) == ("openai", "text-embedding-3-large")


async def test_a_model_must_be_named() -> None:
    with pytest.raises(ValueError, match="Model must be set"):
        await EmbeddingClient.builder().build()
    with pytest.raises(ProtocolError):
        await EmbeddingClient.create("unheard-of/e")


async def test_builders_make_clients_in_one_go() -> None:
    loader = ProtocolLoader()
    loader.register_provider(dict(ACME.raw))
    async with await EmbeddingClient.builder().loader(loader).from_model("acme/e-1") as client:
        assert (repr(client), client.manifest.id) == ("EmbeddingClient('acme/e-1')", "acme")


async def test_a_manifest_that_says_no_is_believed() -> None:
    said = ProtocolManifest(**{**ACME.raw, "capabilities": {"streaming": True, "embeddings": False}})
    client = await EmbeddingClient.builder().from_manifest(said, "e").http_client(ScriptedIO([])).build()
    with pytest.raises(ValidationError) as caught:
        await client.embed("a")
    assert caught.value.standard_code.code == "E1005"


async def test_a_wire_without_vectors_says_so() -> None:
    said = ProtocolManifest(**{**ACME.raw, "payload_format": "anthropic_style"})
    client = await EmbeddingClient.builder().from_manifest(said, "e").http_client(ScriptedIO([])).build()
    with pytest.raises(ProtocolError, match="no endpoint 'embeddings'"):
        await client.embed("a")


async def test_a_missing_key_is_told_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    io = ScriptedIO([])
    builder = EmbeddingClient.builder().model(OPENAI.model).http_client(io).settings(allow_keyring=False)
    async with await builder.build() as client:
        with pytest.raises(ProtocolError, match="OPENAI_API_KEY") as caught:
            await client.embed("a")
    assert (caught.value.error_class, io.requests) == (ErrorClass.AUTHENTICATION, [])


# ------------------------------------------------------------------------------- known vectors


async def test_known_texts_are_not_asked_for_again() -> None:
    manager = CacheManager()
    client, io = await client_of(cache=manager)
    await client.embed_batch(["a", "b"])
    made = await client.embed_batch(["b", "c", "a"])
    assert made.vectors == [vector_of("b"), vector_of("c"), vector_of("a")]
    assert [json.loads(request.body or b"")["input"] for request in io.requests] == [["a", "b"], ["c"]]
    assert made.usage == EmbeddingUsage(1, 1)
    assert (await client.embed("a")).usage == EmbeddingUsage()


@pytest.mark.parametrize(
    "other",
    [
        {"tenant": "ben"},
        {"tenant": None},
        {"key": "another-0123456789"},
        {"headers": {"x-team": "b"}},
    ],
)
async def test_vectors_are_known_to_their_own_scope_only(other: dict[str, Any]) -> None:
    manager = CacheManager()
    same: dict[str, Any] = {"tenant": "ana", "key": "one-0123456789"}
    mine, _ = await client_of(cache=manager, **same)
    await mine.embed("a")
    again, io = await client_of(cache=manager, **same)
    await again.embed("a")
    assert io.requests == []
    theirs, io = await client_of(cache=manager, **same | other)
    await theirs.embed("a")
    assert len(io.requests) == 1


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.embed("a", 8),
        lambda client: client.embed("a", input_type="search_query"),
        lambda client: client.embed("b"),
    ],
)
async def test_other_parameters_are_another_request(ask: Callable[[EmbeddingClient], Any]) -> None:
    client, io = await client_of(cache=CacheManager())
    await client.embed("a")
    await ask(client)
    assert len(io.requests) == 2


async def test_vectors_of_a_credential_that_was_changed_are_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_API_KEY", "one-0123456789")
    client, io = await client_of(cache=CacheManager())
    await client.embed("a")
    monkeypatch.setenv("ACME_API_KEY", "two-0123456789")
    await client.embed("a")
    await client.embed("a")
    assert len(io.requests) == 2


async def test_vectors_of_another_endpoint_are_not_known() -> None:
    manager = CacheManager()
    for path in (None, "/v2/embeddings", "/v2/embeddings"):
        io = ScriptedIO(answered)
        builder = EmbeddingClient.builder().from_manifest(ACME, "e-1").http_client(io).with_cache(manager)
        await (await builder.endpoint_path(path).settings(allow_keyring=False).build()).embed("a")
    assert io.requests == []
    assert manager.stats.misses == 2


async def test_an_option_is_never_taken_for_a_word_of_the_cache() -> None:
    client, io = await client_of(cache=CacheManager())
    for _ in range(2):
        await client.embed("a", ttl=0, scope="mine", model="m")
    assert len(io.requests) == 1


# ---------------------------------------------------------------------------------------- telemetry

PRICES = PriceBook({"acme/e-1": ModelPricing("acme/e-1", 1.0, 9.0)}, published=False)
LABELS = MetricLabels("acme", "e-1", "/embeddings", operation="embeddings")


async def test_each_request_is_counted_and_traced_as_embeddings() -> None:
    set_price_book(PRICES)
    collector, spans = MetricsCollector(), InMemoryExporter()
    tracer = Tracer("t", spans)
    client, io = await client_of(
        [Response(503, Headers({}), b""), answered, answered, Response(400, Headers({}), b"{}")],
        retry=RetryConfig(max_retries=1, min_delay_ms=100),
        metrics=collector,
        tracer=tracer,
    )
    with tracer.span("index"):
        await client.embed_batch(["abc", "de"], batch_size=2)
        await client.embed("f")
        with pytest.raises(RemoteError):
            await client.embed("g")
    set_price_book(None)
    found = collector.get_snapshot(LABELS)
    assert (found.total_requests, found.successful_requests, found.failed_requests) == (3, 2, 1)
    assert (found.total_tokens_in, found.total_tokens_out) == (6, 0)
    whole = collector.get_snapshot()
    assert (whole.inflight, whole.retry_count) == (0, 1)
    assert whole.total_cost == pytest.approx(0.006)
    first, _, failed, index = spans.get_spans()
    assert (first.name, first.trace_id) == ("embeddings e-1", index.trace_id)
    assert {name: first.attributes[name] for name in first.attributes if "gen_ai" in name or "server" in name} == {
        "gen_ai.operation.name": "embeddings",
        "gen_ai.provider.name": "acme",
        "gen_ai.request.model": "e-1",
        "gen_ai.usage.input_tokens": 5,
        "server.address": "acme.test",
        "server.port": 443,
    }
    assert [event.name for event in first.events] == ["retry"]
    assert failed.attributes["error.type"] == "invalid_request"
    assert first.trace_id in io.requests[1].headers["traceparent"]


async def test_an_embedding_that_is_cancelled_is_neither_a_success_nor_a_failure() -> None:
    collector = MetricsCollector()
    async with serving(lambda request: Reply([b"{}"], framing="length", hold=True)) as server:
        builder = EmbeddingClient.builder().from_manifest(ACME, "e-1").base_url(server.url)
        client = await builder.settings(allow_keyring=False, metrics=collector).build()
        async with client, anyio.create_task_group() as tasks:
            tasks.start_soon(client.embed, "a")
            await server.arrived(1)
            tasks.cancel_scope.cancel()
    found = collector.get_snapshot(LABELS)
    assert (found.total_requests, found.successful_requests, found.failed_requests, found.inflight) == (1, 0, 0, 0)


async def test_a_failure_is_not_known() -> None:
    client, io = await client_of([Response(500, Headers({}), b""), answered], cache=CacheManager())
    with pytest.raises(RemoteError):
        await client.embed("a")
    assert (await client.embed("a")).vectors == [vector_of("a")]
    assert len(io.requests) == 2


# ---------------------------------------------------------------------------------------- types


def test_known_models_tell_their_sizes() -> None:
    assert {one.value: one.dimensions for one in EmbeddingModel} == {
        "text-embedding-3-small": 1536,
        "text-embedding-3-large": 3072,
        "text-embedding-ada-002": 1536,
        "embed-english-v3.0": 1024,
        "embed-multilingual-v3.0": 1024,
        "embed-english-light-v3.0": 384,
        "voyage-large-2": 1536,
        "voyage-code-2": 1536,
        "text-embedding-004": 768,
    }
    assert all(one.max_tokens > 0 for one in EmbeddingModel)
    assert EmbeddingModel("voyage-code-2") == "voyage-code-2"


def test_requests_and_answers_have_openais_shape() -> None:
    one, several = EmbeddingRequest("a", dimensions=8), EmbeddingRequest(["a", "b"])
    assert one.to_dict() == {"input": "a", "model": "text-embedding-3-small", "dimensions": 8}
    assert (one.is_batch, one.batch_size, several.is_batch, several.batch_size) == (False, 1, True, 2)
    read = EmbeddingResponse.from_openai_format(OPENAI.answer(["a", "bb"]))
    assert read.vectors == [vector_of("a"), vector_of("bb")]
    assert EmbeddingResponse.from_openai_format(read.to_dict()) == read
    assert (EmbeddingResponse().first, EmbeddingResponse().vectors) == (None, [])
