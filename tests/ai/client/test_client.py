"""Clients: made by name, builder or manifest; their policies; their end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.ai.client.acme import (
    FAST,
    KEY,
    building,
    delta,
    frame,
    loader_of,
    manifest,
    refusal,
    spoken,
    streamed,
    whole,
)

from dragoman.ai.client import AiClient
from dragoman.ai.errors import AiLibError, ProtocolError, RemoteError, TransportError, ValidationError
from dragoman.ai.resilience import (
    CircuitBreakerConfig,
    CircuitOpenError,
    RateLimiterConfig,
    ResilientConfig,
)
from dragoman.ai.routing import (
    ModelManager,
)
from dragoman.core.errors import ConnectionFailed, TimedOut
from dragoman.testing import ScriptedIO
from dragoman.transport.scripted import Reply
from dragoman.wire.http import Headers, Request

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


@pytest.mark.requirement("AIP-113")
def test_requests_have_no_secret_in_their_repr() -> None:
    assert KEY not in repr(Request("GET", "https://h/a?key=" + KEY, Headers({"authorization": KEY})))
