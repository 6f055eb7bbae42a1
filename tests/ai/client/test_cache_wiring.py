"""The cache as a client uses it: what is kept apart, what is never kept, and one call for equal ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from tests.ai.client.acme import KEY, building, delta, manifest, refusal, streamed, whole

from dragoman.ai.cache import CacheConfig, CacheManager, DiskCache, MemoryCache
from dragoman.ai.client import AiClient, ChatRequestBuilder
from dragoman.ai.errors import RemoteError
from dragoman.ai.plugins import HookManager
from dragoman.testing import ScriptedIO
from dragoman.transport.scripted import Reply
from dragoman.wire.http import Headers, Request, Response

pytestmark = pytest.mark.requirement("AIP-85")

Ask = Callable[[AiClient], ChatRequestBuilder]


def numbered() -> ScriptedIO:
    """Every request gets another answer."""
    asked: list[Request] = []

    def answer(request: Request) -> Response:
        asked.append(request)
        return whole(f"answer {len(asked)}")

    return ScriptedIO(answer)


async def test_an_equal_call_is_answered_without_a_request() -> None:
    io, cache = numbered(), CacheManager()
    async with await building(io).with_cache(cache).build() as client:
        first, took = await client.chat().user("x").execute_with_stats()
        second, stats = await client.chat().user("x").execute_with_stats()
    assert first == second
    assert first is not second
    assert second.candidates[0].content == "answer 1"
    assert (took.from_cache, took.total_tokens) == (False, 5)
    assert (stats.from_cache, stats.total_tokens, stats.provider, stats.model) == (True, None, "acme", "acme-1")
    assert len(io.requests) == 1
    assert cache.stats.hits == 1


@pytest.mark.parametrize(
    "other",
    [
        lambda client: client.chat().user("y"),
        lambda client: client.chat().user("x").temperature(0.5),
        lambda client: client.chat().user("x").param("own", 1),
        lambda client: client.chat().user("x").param("scope", 1),
        lambda client: client.chat().user("x").param("messages", "odd"),
        lambda client: client.chat().user("x").tools([{"type": "function", "function": {"name": "f"}}]),
        lambda client: client.chat().user("x").response_format("json"),
        lambda client: client.chat().user("x").cache(tenant="acme"),
        lambda client: client.chat().user("x").headers({"x-org": "other"}),
        lambda client: client.chat().user("x").headers({"authorization": "Bearer other"}),
        lambda client: client.chat().system("s").user("x"),
        lambda client: client.chat().user("x").n(2),
        lambda client: client.chat().user("x").tool_choice("none"),
        lambda client: client.chat().user("x").reasoning("low"),
    ],
)
async def test_another_question_parameter_tenant_or_header_is_another_answer(other: Ask) -> None:
    io = numbered()
    async with await building(io).with_cache(CacheManager()).build() as client:
        await client.chat().user("x").execute()
        await other(client).execute()
        await other(client).execute()
    assert len(io.requests) == 2


@pytest.mark.parametrize(
    "same",
    [
        lambda client: client.chat().user("x").param("user", "u2"),
        lambda client: client.chat().user("x").headers({"traceparent": "00-aa-bb-01", "X-Request-Id": "7"}),
        lambda client: client.chat().user("x").timeout(5),
    ],
)
async def test_what_does_not_change_the_answer_does_not_change_the_key(same: Ask) -> None:
    io = numbered()
    async with await building(io).with_cache(CacheManager()).build() as client:
        await client.chat().user("x").execute()
        await same(client).execute()
    assert len(io.requests) == 1


async def test_other_keys_models_and_addresses_share_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    io, cache = numbered(), CacheManager()

    async def ask(builder: Any) -> None:
        async with await builder.with_cache(cache).build() as client:
            await client.chat().user("x").execute()

    await ask(building(io))
    await ask(building(io).api_key("another-key-0123"))
    await ask(building(io).model("acme/acme-2"))
    await ask(building(io).base_url("https://elsewhere.test"))
    await ask(building(io).model("other/acme-1"))
    await ask(building(io).strict())
    monkeypatch.setenv("ACME_TOKEN", "third-key-0123")
    await ask(building(io))
    assert len(io.requests) == 7
    monkeypatch.setenv("ACME_TOKEN", KEY)
    await ask(building(io))
    assert len(io.requests) == 7


async def test_a_call_may_pass_the_cache_by() -> None:
    io = numbered()
    async with await building(io).with_cache(CacheManager()).build() as client:
        await client.chat().user("x").execute()
        assert (await client.chat().user("x").cache(False).execute()).content == "answer 2"
        assert (await client.chat().user("x").execute()).content == "answer 1"
    async with await building(io).with_cache(CacheManager(CacheConfig.disabled())).build() as client:
        for _ in range(2):
            await client.chat().user("x").execute()
    assert len(io.requests) == 4


async def test_errors_are_never_kept() -> None:
    io = ScriptedIO([refusal(400), whole()])
    async with await building(io).with_cache(CacheManager(CacheConfig(cache_errors=True))).build() as client:
        with pytest.raises(RemoteError):
            await client.chat().user("x").execute()
        assert (await client.chat().user("x").execute()).content == "Hello"


async def test_an_answer_that_ended_in_an_error_is_not_kept() -> None:
    def ended(reason: str) -> Response:
        body = json.loads(whole().body)
        body["choices"][0]["finish_reason"] = reason
        return Response(200, Headers({"content-type": "application/json"}), json.dumps(body).encode())

    io, hooks = ScriptedIO([ended("error"), ended("length")]), HookManager()
    kept: list[Any] = []
    hooks.register("cache_set", kept.append)
    async with await building(io).with_cache(CacheManager()).with_hooks(hooks).build() as client:
        for reason in ("error", "length", "length"):
            assert (await client.chat().user("x").execute()).finish_reason == reason
    assert len(kept) == 1


async def test_a_stream_that_ended_in_an_error_or_at_a_fallback_is_not_kept() -> None:
    cut = Reply([delta("a", "error"), b"data: [DONE]\n\n"], 200, Headers({"content-type": "text/event-stream"}))
    io = ScriptedIO([cut, refusal(500), streamed("from other"), streamed("b")])
    cache = CacheManager(CacheConfig(cache_streaming=True))
    async with await building(io).with_cache(cache).with_fallbacks(["other/other-1"]).build() as client:
        found = [(await client.chat().user("x").collect()).content for _ in range(4)]
    assert found == ["a", "from other", "b", "b"]


async def test_plain_answers_and_streams_are_kept_beside_each_other() -> None:
    io = ScriptedIO([whole("a"), streamed("b")])
    async with await building(io).with_cache(CacheManager(CacheConfig(cache_streaming=True))).build() as client:
        for _ in range(2):
            assert (await client.chat().user("x").execute()).content == "a"
            assert (await client.chat().user("x").collect()).content == "b"


async def test_a_kept_stream_that_cannot_be_read_any_more_is_asked_for_anew() -> None:
    class Older(MemoryCache):
        async def find(self, key: str) -> tuple[bool, Any]:
            found, text = await super().find(key)
            return found, text.replace('"answer":', '"the_answer":') if found else text

    io = ScriptedIO([streamed("a"), streamed("b")])
    cache = CacheManager(CacheConfig(cache_streaming=True), Older())
    async with await building(io).with_cache(cache).build() as client:
        for text in ("a", "b"):
            assert (await client.chat().user("x").collect()).content == text


async def test_what_a_fallback_says_is_not_kept_as_the_models_word() -> None:
    io = ScriptedIO([refusal(500), whole("from other"), whole("from acme")])
    builder = building(io).with_cache(CacheManager()).with_fallbacks(["other/other-1"])
    async with await builder.build() as client:
        assert (await client.chat().user("x").execute()).content == "from other"
        assert (await client.chat().user("x").execute()).content == "from acme"
        assert (await client.chat().user("x").execute()).content == "from acme"


async def test_equal_calls_at_once_are_one_request() -> None:
    io, texts = numbered(), list[str]()
    async with await building(io).with_cache(CacheManager()).build() as client:

        async def ask() -> None:
            texts.append((await client.chat().user("x").execute()).content)

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(ask)
    assert texts == ["answer 1"] * 20
    assert len(io.requests) == 1


async def test_a_disk_keeps_answers_for_the_next_process_and_no_secret(tmp_path: Any) -> None:
    io = numbered()
    for _ in range(2):
        cache = CacheManager(CacheConfig(), DiskCache(tmp_path))
        async with await building(io).with_cache(cache).build() as client:
            assert (await client.chat().user("x").execute()).content == "answer 1"
    assert len(io.requests) == 1
    for file in tmp_path.rglob("*"):
        if file.is_file():
            assert KEY.encode() not in file.read_bytes()
            assert KEY not in file.name


async def test_a_backend_that_fails_does_not_fail_the_call() -> None:
    class Broken(MemoryCache):
        async def find(self, key: str) -> Any:
            raise OSError("no disk")

        async def set(self, key: str, value: Any, ttl: float | None = None) -> None:
            raise OSError("no disk")

    async with await building(numbered()).with_cache(CacheManager(None, Broken())).build() as client:
        assert (await client.chat().user("x").execute()).content == "answer 1"


async def test_a_provider_without_credentials_can_be_cached_as_well() -> None:
    open_one = manifest(auth=None)
    io = numbered()
    async with await building(io, open_one).with_cache(CacheManager()).build() as client:
        for _ in range(2):
            await client.chat().user("x").execute()
    assert len(io.requests) == 1
