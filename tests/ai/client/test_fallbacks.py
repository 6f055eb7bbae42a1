"""Whom a request goes to: fallbacks, and models and places that are chosen anew for each request."""

from __future__ import annotations

import pytest
from tests.ai.client.acme import (
    FAST,
    body_of,
    building,
    frame,
    loader_of,
    manifest,
    refusal,
    spoken,
    streamed,
    whole,
)

from dragoman.ai.client import AiClient
from dragoman.ai.errors import AiLibError, RemoteError, TransportError, ValidationError
from dragoman.ai.resilience import (
    RateLimiterConfig,
)
from dragoman.ai.routing import (
    LoadBalancingStrategy,
    ModelArray,
    ModelEndpoint,
    ModelInfo,
    ModelManager,
    ModelSelectionStrategy,
)
from dragoman.core.errors import ConnectionFailed
from dragoman.testing import ScriptedIO
from dragoman.transport.scripted import Reply


@pytest.mark.requirement("AIP-53")
async def test_a_fallback_is_asked_by_its_own_manifest_address_key_and_model() -> None:
    io = ScriptedIO([refusal(503), whole("Hi"), refusal(503), streamed("Hi")])
    builder = building(io).with_fallbacks(["other/other-1"]).base_url("https://mine.test").api_key("first-key")
    async with await builder.api_key_for("other/other-1", "second-key").build() as client:
        response, stats = await client.chat().user("x").execute_with_stats()
        assert (response.content, stats.provider, stats.model) == ("Hi", "other", "other-1")
        stream, stats = await client.chat().user("x").stream_with_stats()
        assert "".join([event.data.content async for event in stream if event.is_content_delta]) == "Hi"
        assert (stats.provider, stats.model) == ("other", "other-1")
    hosts = [request.url.split("/")[2] for request in io.requests]
    assert hosts == ["mine.test", "other.test"] * 2
    keys = [request.headers["authorization"] for request in io.requests]
    assert keys == ["Bearer first-key", "Bearer second-key"] * 2
    assert [body_of(io, number)["model"] for number in range(4)] == ["acme-1", "other-1"] * 2


@pytest.mark.requirement("AIP-53")
async def test_connect_failures_and_missing_keys_go_on_and_the_callers_mistakes_do_not(monkeypatch) -> None:
    io = ScriptedIO([ConnectionFailed("no"), whole("Hi"), refusal(400), whole("Hi")])
    async with await building(io).with_fallbacks(["other/other-1"]).build() as client:
        assert await spoken(client) == "Hi"
        with pytest.raises(RemoteError):
            await spoken(client)
        assert len(io.requests) == 3
        monkeypatch.delenv("ACME_TOKEN")
        assert await spoken(client) == "Hi"
        assert io.requests[3].url.startswith("https://other.test")


@pytest.mark.requirement("AIP-53", "AIP-113")
async def test_a_credential_given_as_a_header_is_not_shown_to_another_provider() -> None:
    io = ScriptedIO([refusal(503), whole("Hi"), refusal(503), streamed("Hi")])
    builder = building(io).with_fallbacks(["other/other-1"]).headers({"Authorization": "Bearer mine", "x-a": "1"})
    async with await builder.api_key_for("other", "theirs").build() as client:
        await client.chat().user("x").headers({"X-Api-Key": "mine too"}).execute()
        await client.chat().user("x").collect()
    sent = [(one.headers["authorization"], one.headers.get("x-api-key"), one.headers["x-a"]) for one in io.requests]
    first, theirs = ("Bearer mine", "mine too", "1"), ("Bearer theirs", None, "1")
    assert sent == [first, theirs, ("Bearer mine", None, "1"), theirs]


@pytest.mark.requirement("AIP-39", "AIP-53", "AIP-69")
async def test_a_provider_that_asks_for_a_long_pause_is_passed_over_meanwhile() -> None:
    io = ScriptedIO([refusal(429, **{"retry-after": "700"}), whole("a"), whole("b"), streamed("c"), whole("d")])
    builder = building(io).with_retry(FAST).with_rate_limit(RateLimiterConfig.unlimited())
    async with await builder.with_fallbacks(["other/other-1"]).build() as client:
        assert [await spoken(client), await spoken(client)] == ["a", "b"]
        assert (await client.chat().user("x").collect()).content == "c"
        io.advance(650)
        assert await spoken(client) == "d"
    assert io.sleeps == [50]
    hosts = [request.url.split("/")[2] for request in io.requests]
    assert hosts == ["acme.test", "other.test", "other.test", "other.test", "acme.test"]


@pytest.mark.requirement("AIP-53")
async def test_when_nobody_answers_the_last_error_is_raised_and_tells_of_all() -> None:
    io = ScriptedIO([refusal(503), refusal(429)] * 2)
    async with await building(io).with_fallbacks(["other/other-1", "nobody/x"]).build() as client:
        for call in (client.chat().user("x").execute, client.chat().user("x").collect):
            with pytest.raises(AiLibError) as caught:
                await call()
            attempts = caught.value.attempts
            assert [(one.provider, one.error.status_code) for one in attempts] == [("acme", 503), ("other", 429)]


@pytest.mark.requirement("AIP-53")
async def test_fallbacks_are_built_once_and_closed_with_the_client() -> None:
    io = ScriptedIO([refusal(503), whole(), refusal(503), whole()])
    client = await building(io).with_fallbacks(["other/other-1"]).build()
    await spoken(client)
    first = client._hops[1]._made
    await spoken(client)
    assert client._hops[1]._made is first
    await client.close()
    with pytest.raises(TransportError):
        await first.transport.get("/a")


@pytest.mark.requirement("AIP-53")
async def test_a_stream_whose_first_frame_is_an_error_falls_back() -> None:
    io = ScriptedIO([Reply([frame(error={"message": "overloaded", "code": 503})]), streamed("Hi")])
    async with await building(io).with_fallbacks(["other/other-1"]).build() as client:
        assert (await client.chat().user("x").collect()).content == "Hi"
    assert io.open_streams == []


# ------------------------------------------------------------------------------------- routing


@pytest.mark.requirement("AIP-52", "AIP-73")
async def test_a_manager_chooses_the_model_of_each_request_and_counts_those_under_way() -> None:
    manager = ModelManager(strategy=ModelSelectionStrategy.LEAST_CONNECTIONS)
    manager.add_model(ModelInfo("acme-1", provider="acme")).add_model(ModelInfo("other-1", provider="other"))
    io = ScriptedIO([streamed("a", "b"), whole("c"), whole("d")])
    async with await building(io).with_routing(manager).build() as client:
        held = client.chat().user("x").stream()
        await anext(held)
        assert [await spoken(client), await spoken(client)] == ["c", "d"]
        await held.aclose()
        assert [manager.selector.connections(model) for model in manager.list_models()] == [0, 0]
    assert [body_of(io, number)["model"] for number in range(3)] == ["acme-1", "other-1", "other-1"]


@pytest.mark.requirement("AIP-52", "AIP-73")
async def test_the_clients_own_model_keeps_its_key_and_address_when_a_manager_chooses_it() -> None:
    manager = ModelManager().add_model(ModelInfo("acme-1", provider="acme"))
    manager.add_model(ModelInfo("other-1", provider="other"))
    io = ScriptedIO([whole(), whole()])
    builder = building(io).with_routing(manager).api_key("mine").base_url("https://mine.test").max_inflight(2)
    async with await builder.api_key_for("other", "theirs").build() as client:
        await spoken(client)
        await spoken(client)
        assert client.get_resilience_stats()["backpressure"]["total_acquired"] == 1
    sent = [(one.url.split("/")[2], one.headers["authorization"]) for one in io.requests]
    assert sent == [("mine.test", "Bearer mine"), ("other.test", "Bearer theirs")]


@pytest.mark.requirement("AIP-52", "AIP-74")
async def test_an_array_chooses_the_place_of_each_request_and_counts_those_under_way() -> None:
    array = ModelArray("acme", LoadBalancingStrategy.LEAST_CONNECTIONS)
    array.add_endpoint(ModelEndpoint("a", "acme-1", "https://a.test/v1"))
    array.add_endpoint(ModelEndpoint("b", "acme-2", "https://b.test/v1"))
    io = ScriptedIO([streamed("x", "y"), whole(), refusal(500)])
    async with await building(io).with_routing(array).api_key("k").build() as client:
        held = client.chat().user("x").stream()
        await anext(held)
        await spoken(client)
        await held.aclose()
        with pytest.raises(RemoteError):
            await spoken(client)
    assert [request.url.split("/")[2] for request in io.requests[:2]] == ["a.test", "b.test"]
    assert [body_of(io, number)["model"] for number in range(2)] == ["acme-1", "acme-2"]
    assert [endpoint.connection_count for endpoint in array.endpoints] == [0, 0]
    array.mark_unhealthy("a")
    array.mark_unhealthy("b")
    async with (
        await building(ScriptedIO([whole("Hi")])).with_routing(array).with_fallbacks(["other/o"]).build() as client
    ):
        assert await spoken(client) == "Hi"


@pytest.mark.requirement("AIP-52")
async def test_a_manager_alone_names_the_clients_model_and_an_empty_one_is_refused() -> None:
    manager = ModelManager().add_model(ModelInfo("acme-9", provider="acme"))
    loader = loader_of(manifest())
    client = await AiClient.builder().loader(loader).with_routing(manager).build()
    assert client.model_id == "acme-9"
    with pytest.raises(ValidationError):
        await AiClient.builder().loader(loader).model("acme/x").with_routing(object()).build()
    manager.remove_model("acme-9")
    with pytest.raises(ValidationError):
        await spoken(client)
