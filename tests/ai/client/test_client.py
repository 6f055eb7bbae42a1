"""Clients: made by name, builder or manifest; policies; fallbacks; services; availability; an end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.ai.client.acme import KEY, body_of, delta, frame, manifest, refusal, streamed, whole

from dragoman.ai.client import AiClient, AiClientBuilder
from dragoman.ai.errors import AiLibError, PipelineError, ProtocolError, RemoteError, TransportError, ValidationError
from dragoman.ai.protocol import ProtocolLoader
from dragoman.ai.resilience import (
    CircuitBreakerConfig,
    CircuitOpenError,
    RateLimiterConfig,
    ResilientConfig,
    RetryConfig,
)
from dragoman.ai.routing import (
    LoadBalancingStrategy,
    ModelArray,
    ModelEndpoint,
    ModelInfo,
    ModelManager,
    ModelSelectionStrategy,
)
from dragoman.core.errors import ConnectionFailed, TimedOut
from dragoman.testing import ScriptedIO
from dragoman.transport.scripted import Reply
from dragoman.wire.http import Headers, Request, Response

FAST = RetryConfig(max_retries=2, min_delay_ms=100)


def loader_of(*documents: Any) -> ProtocolLoader:
    loader = ProtocolLoader()
    for document in documents:
        loader.register_provider(dict(document.raw))
    return loader


def building(io: ScriptedIO, *manifests: Any) -> AiClientBuilder:
    """A builder over a script, with the script's time."""
    loader = loader_of(*(manifests or (manifest(), manifest("other", "https://other.test"))))
    builder = AiClient.builder().loader(loader).http_client(io).allow_keyring(False).model("acme/acme-1")
    return builder.clock(io.now, sleep=io.sleep, random=lambda: 1.0, wall=lambda: 0.0)


async def spoken(client: AiClient) -> str:
    return (await client.chat().user("x").execute()).content


# ----------------------------------------------------------------------------------- making one


@pytest.mark.requirement("AIP-49")
async def test_a_client_is_made_by_name_and_sends_nothing_for_it() -> None:
    async with await AiClient.create("ollama/llama3:8b", base_url="http://127.0.0.1:1", timeout=5) as client:
        assert (client.provider_id, client.model_id) == ("ollama", "llama3:8b")
        assert client.manifest.id == "ollama"
        assert (client.is_resilient, client.circuit_state, client.current_inflight) == (False, "disabled", 0)
        assert "llama3" in repr(client)


@pytest.mark.requirement("AIP-49")
async def test_a_builder_without_a_model_and_with_an_unknown_one_says_so() -> None:
    with pytest.raises(ValueError, match="model"):
        await AiClient.builder().build()
    with pytest.raises(ProtocolError):
        await AiClient.create("nobody-knows/this")


@pytest.mark.requirement("AIP-49")
async def test_every_setter_of_the_builder_returns_it(tmp_path: Path) -> None:
    builder = AiClient.builder()
    steps = [
        builder.model("acme/acme-1"),
        builder.protocol_path(tmp_path),
        builder.with_fallbacks(["other/other-1"]),
        builder.api_key("k"),
        builder.api_key_for("other", "k2"),
        builder.base_url("https://h"),
        builder.timeout(5),
        builder.hot_reload(True),
        builder.max_inflight(3),
        builder.with_retry(FAST),
        builder.retry(max_attempts=2, backoff=0.5),
        builder.with_rate_limit(RateLimiterConfig.from_rps(5)),
        builder.with_circuit_breaker(CircuitBreakerConfig()),
        builder.with_resilience(ResilientConfig()),
        builder.production_ready(),
        builder.resilience_from_manifest(),
        builder.strict(True),
        builder.strict_capabilities(False),
        builder.region("global"),
        builder.headers({"x": "1"}),
        builder.proxy("http://h"),
        builder.http2(),
        builder.connection_vars({"A": "b"}),
        builder.with_routing(ModelManager()),
        builder.http_client(ScriptedIO([])),
    ]
    assert all(step is builder for step in steps)
    with pytest.raises(ValidationError):
        builder.http_client(object())


@pytest.mark.requirement("AIP-49")
async def test_what_the_builder_was_told_reaches_the_request() -> None:
    io = ScriptedIO([whole()])
    builder = building(io).api_key("given-key").base_url("http://h:1/x/").headers({"x-all": "1", "x-b": "1"}).timeout(7)
    async with await builder.build() as client:
        await client.chat().user("x").headers({"x-b": "2"}).execute()
    [request] = io.requests
    assert request.url == "http://h:1/x/chat/completions"
    assert request.headers["authorization"] == "Bearer given-key"
    assert (request.headers["x-all"], request.headers["x-b"], request.timeouts.read) == ("1", "2", 7)


@pytest.mark.requirement("AIP-49")
async def test_a_manifest_file_by_path_is_all_that_a_new_provider_needs(tmp_path: Path) -> None:
    folder = tmp_path / "v1" / "providers"
    folder.mkdir(parents=True)
    document = {"id": "brand-new", "protocol_version": "1.5", "endpoint": {"base_url": "https://new.test"}}
    (folder / "brand-new.json").write_text(json.dumps(document))
    io = ScriptedIO([whole("Hi")])
    builder = AiClient.builder().model("brand-new/m").protocol_path(tmp_path).http_client(io).allow_keyring(False)
    async with await builder.build() as client:
        assert await spoken(client) == "Hi"
    assert io.requests[0].url == "https://new.test/chat/completions"


@pytest.mark.requirement("AIP-49")
async def test_a_closed_client_refuses_and_closing_twice_is_fine(client_of) -> None:
    client, io = await client_of([streamed("a", "b")])
    stream = client.chat().user("x").stream()
    await anext(stream)
    await client.close()
    await client.close()
    assert io.open_streams == []
    for call in (client.chat().user("x").execute, client.chat().user("x").collect, client.models):
        with pytest.raises(AiLibError, match="closed"):
            await call()


@pytest.mark.requirement("AIP-49", "AIP-09")
async def test_a_manifest_that_changes_is_used_for_new_requests() -> None:
    io = ScriptedIO([whole(), whole()])
    loader = loader_of(manifest())
    async with await building(io).loader(loader).build() as client:
        await spoken(client)
        loader.register_provider(dict(manifest(base_url="https://moved.test").raw))
        await spoken(client)
    assert [request.url.split("/")[2] for request in io.requests] == ["acme.test", "moved.test"]


# ----------------------------------------------------------------------------------- policies


@pytest.mark.requirement("AIP-41", "AIP-51")
async def test_without_a_policy_one_call_is_one_request(client_of) -> None:
    client, io = await client_of([refusal(503), whole()])
    with pytest.raises(RemoteError):
        await spoken(client)
    assert len(io.requests) == 1


@pytest.mark.requirement("AIP-41", "AIP-52")
async def test_plain_calls_and_streams_are_retried_and_counted() -> None:
    failures: list[Any] = [ConnectionFailed("no"), refusal(429)]
    io = ScriptedIO([*failures, whole("Hi"), *failures, streamed("Hi")])
    async with await building(io).with_retry(FAST).build() as client:
        assert client.is_resilient
        response, stats = await client.chat().user("x").execute_with_stats()
        assert (response.content, stats.retry_count) == ("Hi", 2)
        stream, stats = await client.chat().user("x").stream_with_stats()
        assert "".join([event.data.content async for event in stream if event.is_content_delta]) == "Hi"
        assert stats.retry_count == 2
    assert io.sleeps == [0.1, 0.2, 0.1, 0.2]


@pytest.mark.requirement("AIP-41")
@pytest.mark.parametrize(
    "first",
    [
        [delta("Half")],
        [delta("Half"), frame(error={"message": "overloaded", "type": "server_error", "code": 503})],
        [delta("Half"), TimedOut("silent")],
    ],
)
async def test_nothing_is_retried_after_the_first_output_was_handed_out(first) -> None:
    io = ScriptedIO([Reply(first), streamed("Hi")])
    async with await building(io).with_retry(FAST).with_fallbacks(["other/other-1"]).build() as client:
        with pytest.raises(AiLibError):
            await client.chat().user("x").collect()
    assert len(io.requests) == 1


@pytest.mark.requirement("AIP-41", "AIP-115")
@pytest.mark.parametrize(
    "first",
    [
        [],
        [frame(choices=[{"index": 0, "delta": {"role": "assistant"}}])],
        [TimedOut("silent")],
        [frame(error={"message": "overloaded", "code": 503})],
    ],
)
async def test_a_stream_that_fails_before_any_output_is_retried_and_its_answer_closed(first) -> None:
    io = ScriptedIO([Reply(first), streamed("Hi")])
    async with await building(io).with_retry(FAST).build() as client:
        events = [event async for event in client.chat().user("x").stream()]
    assert [event.data.content for event in events if event.is_content_delta] == ["Hi"]
    assert not any(event.is_stream_error for event in events)
    assert len(io.requests) == 2
    assert io.open_streams == []


@pytest.mark.requirement("AIP-39")
async def test_retry_after_is_waited_for_up_to_the_cap() -> None:
    io = ScriptedIO([refusal(429, **{"retry-after": "7"}), whole("Hi"), refusal(429, **{"retry-after": "700"})])
    async with await building(io).with_retry(FAST).build() as client:
        assert await spoken(client) == "Hi"
        assert io.sleeps == [7]
        with pytest.raises(RemoteError) as caught:
            await spoken(client)
    assert caught.value.retry_after == 700
    assert io.sleeps == [7]


@pytest.mark.requirement("AIP-52")
async def test_a_breaker_opens_for_plain_calls_and_streams_alike_and_not_for_the_callers_mistakes() -> None:
    io = ScriptedIO([*[refusal(400)] * 5, refusal(500), Reply([delta("Half")]), whole("Hi")])
    breaker = CircuitBreakerConfig(failure_threshold=2, cooldown_seconds=30)
    async with await building(io).with_circuit_breaker(breaker).build() as client:
        for _ in range(5):
            with pytest.raises(RemoteError):
                await spoken(client)
        assert client.circuit_state == "closed"
        with pytest.raises(RemoteError):
            await spoken(client)
        with pytest.raises(TransportError):
            await client.chat().user("x").collect()
        assert client.circuit_state == "open"
        for call in (client.chat().user("x").execute, client.chat().user("x").collect):
            with pytest.raises(CircuitOpenError):
                await call()
        assert len(io.requests) == 7
        client.reset_resilience()
        assert await spoken(client) == "Hi"
        assert client.get_resilience_stats()["circuit_breaker"]["state"] == "closed"


@pytest.mark.requirement("AIP-52")
async def test_a_stream_holds_its_place_until_it_ends() -> None:
    io = ScriptedIO([streamed("a", "b"), whole()])
    async with await building(io).max_inflight(1).build() as client:
        stream = client.chat().user("x").stream()
        await anext(stream)
        assert client.current_inflight == 1
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(spoken, client)
            await anyio.wait_all_tasks_blocked()
            assert len(io.requests) == 1
            await stream.aclose()
        assert client.current_inflight == 0
        assert len(io.requests) == 2


@pytest.mark.requirement("AIP-52")
async def test_a_rate_limit_spaces_out_requests_and_streams() -> None:
    io = ScriptedIO([whole(), streamed("a"), whole()])
    limit = RateLimiterConfig(requests_per_second=2, burst_size=1)
    async with await building(io).with_rate_limit(limit).build() as client:
        await spoken(client)
        await client.chat().user("x").collect()
        await spoken(client)
    assert sum(io.sleeps) == pytest.approx(1.0)


@pytest.mark.requirement("AIP-52", "AIP-42")
async def test_what_the_answers_headers_say_about_limits_reaches_the_limiter() -> None:
    spent = {"x-left": "0", "x-reset": "20"}
    io = ScriptedIO([whole(**spent), refusal(400, **spent), whole()])
    async with await building(io).with_rate_limit(RateLimiterConfig.unlimited()).build() as client:
        await spoken(client)
        with pytest.raises(RemoteError):
            await spoken(client)
        assert sum(io.sleeps) == pytest.approx(20)
        await spoken(client)
    assert sum(io.sleeps) == pytest.approx(40)


@pytest.mark.requirement("AIP-52")
async def test_policies_of_the_manifest_are_used_when_asked_for() -> None:
    policy = {"strategy": "fixed_delay", "max_retries": 1, "min_delay_ms": 250, "jitter": "none"}
    io = ScriptedIO([refusal(500), whole("Hi")])
    async with await building(io, manifest(retry_policy=policy)).resilience_from_manifest().build() as client:
        assert await spoken(client) == "Hi"
    assert io.sleeps == [0.25]


@pytest.mark.requirement("AIP-52")
async def test_production_ready_is_the_documented_set_and_a_whole_config_wins_over_single_settings() -> None:
    io = ScriptedIO([])
    ready = await building(io).max_inflight(1).production_ready().build()
    config = ready._target.executor.config
    assert config.retry is not None
    assert (config.retry.max_retries, config.retry.min_delay_ms, config.retry.max_delay_ms) == (3, 1000, 30000)
    assert config.backpressure is not None
    assert config.backpressure.max_concurrent == 10
    assert config.rate_limit is not None
    assert (config.rate_limit.requests_per_second, config.rate_limit.burst_size) == (10, 15)
    assert (ready.circuit_state, ready.current_inflight) == ("closed", 0)


@pytest.mark.requirement("AIP-115")
async def test_a_calls_own_limit_holds_while_it_waits_for_the_limiter() -> None:
    io = ScriptedIO([whole(), whole()])
    limit = RateLimiterConfig(requests_per_second=0.01, burst_size=1)
    builder = building(io).with_rate_limit(limit).clock(anyio.current_time, sleep=anyio.sleep)
    async with await builder.build() as client:
        await spoken(client)
        for call in (client.chat().user("x").timeout(0.02).execute, client.chat().user("x").timeout(0.02).collect):
            with anyio.fail_after(10):
                with pytest.raises(TransportError) as caught:
                    await call()
            assert caught.value.error_class == "timeout"
    assert len(io.requests) == 1


# ---------------------------------------------------------------------------------- fallbacks


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


# ----------------------------------------------------------------------- services, availability


def answering(value: Any, status: int = 200) -> Response:
    return Response(status, Headers({"content-type": "application/json"}), json.dumps(value).encode())


SERVICES = {
    "list_models": {"path": "/models", "method": "GET", "response_binding": "data"},
    "one_model": {"path": "/models/{id}", "method": "GET", "query_params": {"v": "1"}, "headers": {"x-s": "1"}},
    "start": {"path": "/jobs", "method": "POST"},
    "names": {"path": "/models", "method": "GET", "response_binding": "data[*].id"},
}


@pytest.mark.requirement("AIP-58")
async def test_services_are_asked_as_the_manifest_says_and_their_payload_is_unwrapped(client_of) -> None:
    models = {"data": [{"id": "a"}, {"id": "b"}]}
    script = [answering(models), answering({"id": "a/b"}), answering({"ok": 1}), answering(models), Response(204)]
    client, io = await client_of(script, changes={"services": SERVICES})
    assert await client.models() == models["data"]
    assert await client.service("one_model", params={"id": "a/b", "q": "2"}) == {"id": "a/b"}
    assert await client.service("start", body={"n": 1}) == {"ok": 1}
    assert await client.service("names") == ["a", "b"]
    assert await client.service("list_models") is None
    first, second, third = io.requests[:3]
    assert (first.method, first.url) == ("GET", "https://acme.test/v1/models")
    assert second.url == "https://acme.test/v1/models/a%2Fb?v=1&q=2"
    assert (second.headers["x-s"], second.headers["authorization"]) == ("1", f"Bearer {KEY}")
    assert (third.method, third.body) == ("POST", b'{"n":1}')


@pytest.mark.requirement("AIP-58")
async def test_services_that_are_not_there_or_answer_otherwise_say_so(client_of) -> None:
    script = [answering({"other": 1}), answering({"data": {"no": "list"}}), answering({}, 500)]
    client, io = await client_of(script, changes={"services": SERVICES})
    with pytest.raises(ProtocolError, match="list_models"):
        await client.service("nothing")
    with pytest.raises(ValidationError, match="id"):
        await client.service("one_model")
    for error_class in (PipelineError, PipelineError, RemoteError):
        with pytest.raises(error_class):
            await client.models()
    assert len(io.requests) == 3


CHECK = {"required": True, "regions": ["eu", "us"], "check": {"path": "/health", "expected_status": [200, 401]}}


@pytest.mark.requirement("AIP-44")
async def test_availability_is_checked_on_demand_and_needs_no_credential(client_of, monkeypatch) -> None:
    monkeypatch.delenv("ACME_TOKEN")
    script = [answering({}), answering({}, 401), answering({}, 503), ConnectionFailed("no"), TimedOut("late")]
    client, io = await client_of(script, changes={"availability": CHECK}, allow_keyring=False)
    assert [await client.check_availability() for _ in script] == [True, True, False, False, False]
    assert {(request.method, request.url) for request in io.requests} == {("GET", "https://acme.test/v1/health")}
    assert io.requests[0].timeouts.read == 3
    without, _ = await client_of([])
    assert await without.check_availability() is True


@pytest.mark.requirement("AIP-44")
async def test_a_provider_that_has_to_be_available_is_asked_when_the_client_is_built() -> None:
    demanding = manifest(availability=CHECK)
    io = ScriptedIO([answering({}), answering({}, 503)])
    async with await building(io, demanding).build():
        assert len(io.requests) == 1
    with pytest.raises(TransportError) as caught:
        await building(io, demanding).build()
    assert caught.value.status_code == 503


@pytest.mark.requirement("AIP-44")
async def test_a_region_has_to_be_served() -> None:
    regional = manifest(availability={"required": False, "regions": ["eu", "us"]})
    await building(ScriptedIO([]), regional).region("eu").build()
    with pytest.raises(ValidationError) as caught:
        await building(ScriptedIO([]), regional).region("mars").build()
    assert caught.value.field == "region"
    await building(ScriptedIO([]), manifest()).region("anywhere").build()


@pytest.mark.requirement("AIP-113")
def test_requests_have_no_secret_in_their_repr() -> None:
    assert KEY not in repr(Request("GET", "https://h/a?key=" + KEY, Headers({"authorization": KEY})))
