"""What stands around streams: events through plugins and hooks, openings through middleware, ends told once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import pytest
from tests.ai.client.acme import FAST, building, delta, frame, kinds, refusal, streamed, whole
from tests.ai.plugins.recording import Failing, Recorder
from tests.ai.stepped import LOOPS

from dragoman.ai.cache import CacheConfig, CacheManager, MemoryCache
from dragoman.ai.client import AiClient, CancelToken, ChatResponse
from dragoman.ai.client.folding import Fold
from dragoman.ai.errors import AiRuntimeError, RemoteError, TransportError
from dragoman.ai.pipeline.answer import Candidate
from dragoman.ai.plugins import (
    FunctionMiddleware,
    HookManager,
    HookType,
    MiddlewareChain,
    MiddlewareContext,
    PluginContext,
    PluginRefusal,
    PluginRegistry,
)
from dragoman.ai.plugins.middleware import Handler
from dragoman.ai.types import ContentBlock, StreamingEvent, ToolCall
from dragoman.ai.types.events import ThinkingDelta
from dragoman.testing import ScriptedIO
from dragoman.transport.scripted import Reply
from dragoman.wire.http import Headers

pytestmark = pytest.mark.requirement("AIP-90")


def plugged(*plugins: Any) -> PluginRegistry:
    registry = PluginRegistry()
    for plugin in plugins:
        registry.register(plugin)
    return registry


def hooked(kind: str, callback: Callable[[Any], Any]) -> HookManager:
    hooks = HookManager()
    hooks.register(kind, callback)
    return hooks


def text_of(events: list[StreamingEvent]) -> str:
    return "".join(event.as_content_delta.content for event in events if event.is_content_delta)


class Shout(Recorder):
    """Makes every text loud."""

    async def on_stream_chunk(self, ctx: PluginContext, chunk: dict[str, Any]) -> dict[str, Any]:
        if chunk["event_type"] == "PartialContentDelta":
            chunk["data"]["content"] = chunk["data"]["content"].upper()
        return chunk


# ------------------------------------------------------------------------------------------ order


@pytest.mark.parametrize("anyio_backend", LOOPS)
async def test_a_stream_passes_everything_in_order(anyio_backend: Any) -> None:
    log: list[Any] = []
    hooks = HookManager()
    for kind in HookType:
        hooks.register(kind, lambda value, kind=kind: log.append(("hook", kind.value)))

    async def layer(ctx: MiddlewareContext, next: Handler) -> dict[str, Any] | None:
        log.append(("middleware", "in"))
        response = await next(ctx)
        log.append(("middleware", sorted(response or {})))
        return response

    io = ScriptedIO([refusal(500), streamed("Hel", "lo")])
    builder = building(io).with_hooks(hooks).with_plugins(plugged(Recorder("plugin", log))).with_retry(FAST)
    builder.with_middleware(MiddlewareChain().use(FunctionMiddleware("m", layer)))
    async with await builder.build() as client:
        log.clear()
        stream, stats = await client.chat().user("x").stream_with_stats()
        assert log == []
        events = [event async for event in stream]
    chunk = [("plugin", "chunk"), ("hook", "stream_chunk")]
    assert log == [
        ("middleware", "in"),
        ("plugin", "request"),
        ("hook", "pre_request"),
        ("hook", "on_retry"),
        ("hook", "post_request"),
        ("plugin", "stream_start"),
        ("hook", "stream_start"),
        ("middleware", ["model", "provider", "request_id", "stream"]),
        *chunk * len(events),
        ("hook", "stream_end"),
        ("plugin", "stream_end"),
        ("hook", "client_close"),
        ("plugin", "shutdown"),
    ]
    assert text_of(events) == "Hello"
    assert (stats.retry_count, stats.total_tokens, stats.provider) == (1, 5, "acme")
    assert stats.time_to_first_token_ms is not None


# ----------------------------------------------------------------------------------------- events


async def test_a_plugin_changes_events_and_the_answer_is_what_was_handed_out() -> None:
    io = ScriptedIO([streamed("hel", "lo"), streamed("hel", "lo")])
    async with await building(io).with_plugins(plugged(Shout("s", []))).build() as client:
        events = [event async for event in client.chat().user("x").stream()]
        assert text_of(events) == "HELLO"
        answer = await client.chat().user("x").collect()
    assert (answer.content, answer.model, answer.finish_reason) == ("HELLO", None, "stop")
    assert (answer.usage or {})["total_tokens"] == 5


async def test_what_nobody_changes_keeps_the_answer_of_the_model() -> None:
    async with await building(ScriptedIO([streamed("a")])).with_plugins(plugged(Recorder("r", []))).build() as client:
        stream = client.chat().user("x").stream()
        events = [event async for event in stream]
        assert stream.response().content == "a"
        assert kinds(events)[-1] == "StreamEnd"


async def test_an_event_can_be_left_out_but_not_the_end() -> None:
    class Mute(Recorder):
        async def on_stream_chunk(self, ctx: PluginContext, chunk: dict[str, Any]) -> dict[str, Any]:
            return {} if chunk["event_type"] != "Metadata" else chunk

    log: list[Any] = []
    registry = plugged(Mute("m", []), Recorder("after", log))
    async with await building(ScriptedIO([streamed("a", "b")])).with_plugins(registry).build() as client:
        log.clear()
        stream = client.chat().user("x").stream()
        events = [event async for event in stream]
    assert "PartialContentDelta" not in kinds(events)
    assert kinds(events)[-1] == "StreamEnd"
    assert stream.response().content == ""
    assert log.count(("after", "chunk")) == kinds(events).count("Metadata")


async def test_a_hook_changes_events_and_one_that_gives_no_event_is_passed_by(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def odd(chunk: dict[str, Any]) -> dict[str, Any]:
        if chunk["event_type"] == "PartialContentDelta" and chunk["data"]["content"] == "b":
            return {"event_type": "Nonsense", "data": {}}
        return {**chunk, "data": {**chunk["data"], "extra": 1}}

    io = ScriptedIO([streamed("a", "b")])
    async with await building(io).with_hooks(hooked("stream_chunk", odd)).build() as client:
        events = [event async for event in client.chat().user("x").stream()]
    assert text_of(events) == "ab"
    assert [event.data.extras for event in events if event.is_content_delta] == [{"extra": 1}, {}]
    assert "a hook of streams gave what is no event" in caplog.text


async def test_a_hook_may_change_an_event_in_its_place_and_touches_nothing_else() -> None:
    def spoil(chunk: dict[str, Any]) -> None:
        if chunk["data"].get("usage"):
            chunk["data"]["usage"]["total_tokens"] = 999
        if "content" in chunk["data"]:
            chunk["data"]["content"] += "!"

    async with await building(ScriptedIO([streamed("a")])).with_hooks(hooked("stream_chunk", spoil)).build() as client:
        stream, stats = await client.chat().user("x").stream_with_stats()
        events = [event async for event in stream]
    assert text_of(events) == "a!"
    assert (events[-1].as_stream_end.usage or {})["total_tokens"] == 999
    assert stats.total_tokens == 5


async def test_a_failing_plugin_does_not_take_a_stream_down() -> None:
    registry = plugged(Failing())
    async with await building(ScriptedIO([streamed("a", "b")])).with_plugins(registry).build() as client:
        assert (await client.chat().user("x").collect()).content == "ab"
    assert registry.failures["failing"] > 3


async def test_a_refusal_in_the_middle_ends_the_stream_and_closes_the_connection() -> None:
    class Enough(Recorder):
        async def on_stream_chunk(self, ctx: PluginContext, chunk: dict[str, Any]) -> dict[str, Any]:
            if chunk["data"].get("content") == "b":
                raise PluginRefusal("enough")
            return chunk

    io = ScriptedIO([streamed("a", "b", "c")])
    got: list[StreamingEvent] = []
    async with await building(io).with_plugins(plugged(Enough("e", []))).build() as client:
        stream = client.chat().user("x").stream()

        async def read() -> None:
            async for event in stream:
                got.append(event)

        with pytest.raises(PluginRefusal, match="enough"):
            await read()
        with pytest.raises(PluginRefusal):
            stream.response()
    assert text_of(got) == "a"
    assert io.open_streams == []


async def test_thinking_and_tool_calls_of_a_changed_stream_are_folded() -> None:
    def call(arguments: str, **more: Any) -> bytes:
        return frame(
            choices=[
                {
                    "index": 0,
                    "delta": {"tool_calls": [{"index": 0, **more, "function": {**more, "arguments": arguments}}]},
                }
            ]
        )

    body = [
        frame(choices=[{"index": 0, "delta": {"reasoning_content": "hm"}}]),
        delta("text"),
        call('{"a"', id="c1", name="f", type="function"),
        call(":1}"),
        frame(choices=[{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]),
        b"data: [DONE]\n\n",
    ]
    io = ScriptedIO([Reply(body, 200, Headers({"content-type": "text/event-stream"}))])
    async with await building(io).with_plugins(plugged(Shout("s", []))).build() as client:
        answer = await client.chat().user("x").collect()
    assert (answer.content, answer.thinking, answer.stop_reason) == ("TEXT", "hm", "tool_use")
    assert [(one.id, one.function_name, one.arguments) for one in answer.tool_calls] == [("c1", "f", {"a": 1})]


async def test_signatures_stay_with_what_was_not_changed() -> None:
    signed = ThinkingDelta("hm", signature="s1")
    said = ChatResponse(
        content="text",
        model="m",
        candidates=[
            Candidate(
                content="text",
                thinking="hm",
                thinking_blocks=[ContentBlock.thinking("hm", "s1")],
                tool_calls=[ToolCall(id="c", function_name="f", arguments={"a": 1}, signature="s2")],
                signature="s3",
            )
        ],
    )
    events = [
        StreamingEvent("ThinkingDelta", signed),
        StreamingEvent.tool_call_started("c", "f", 0),
        StreamingEvent.partial_tool_call("c", '{"a": 1}', 0),
    ]
    for text, signature in (("text", "s3"), ("TEXT", None)):
        fold = Fold()
        for event in [*events, StreamingEvent.content_delta(text), StreamingEvent.stream_end("stop", "end_turn")]:
            fold.add(event)
        (one,) = fold.response(said).candidates
        assert (one.content, one.signature, one.finish_reason) == (text, signature, "stop")
        assert (one.thinking_blocks[0].signature, one.tool_calls[0].signature) == ("s1", "s2")
    other = Fold()
    other.add(StreamingEvent.thinking_delta("other"))
    other.add(StreamingEvent.partial_tool_call("c", '{"a": 2}'))
    found = other.response(said)
    assert (found.thinking_blocks, found.tool_calls[0].signature, found.model) == ([], None, "m")


# ----------------------------------------------------------------------------------------- errors


async def test_an_error_at_the_beginning_and_one_in_the_middle_pass_the_plugins() -> None:
    log: list[Any] = []
    cut = Reply([delta("a"), ConnectionError("gone")], 200, Headers({"content-type": "text/event-stream"}))
    io = ScriptedIO([refusal(401), Reply([delta("a")], 200, Headers({"content-type": "text/event-stream"})), cut])
    async with await building(io).with_plugins(plugged(Recorder("r", log))).build() as client:
        with pytest.raises(RemoteError):
            await client.chat().user("x").collect()
        assert log[-1] == ("r", "error")
        assert ("r", "stream_start") not in log
        log.clear()
        with pytest.raises(TransportError):
            await client.chat().user("x").collect()
        assert log[-2:] == [("r", "error"), ("r", "stream_end")]


async def test_a_swallowed_error_ends_the_stream_properly() -> None:
    class Swallow(Recorder):
        async def on_error(self, ctx: PluginContext, error: Exception) -> Exception | None:
            return None

    async with await building(ScriptedIO([refusal(500)])).with_plugins(plugged(Swallow("s", []))).build() as client:
        stream = client.chat().user("x").stream()
        events = [event async for event in stream]
    assert [(event.event_type, event.as_stream_end.finish_reason) for event in events] == [("StreamEnd", "error")]
    assert stream.response().finish_reason == "error"


async def test_another_error_takes_the_place_of_the_first() -> None:
    hooks = hooked("on_error", lambda error: AiRuntimeError("mine"))
    async with await building(ScriptedIO([refusal(400)])).with_hooks(hooks).build() as client:
        with pytest.raises(AiRuntimeError, match="mine") as caught:
            await client.chat().user("x").collect()
    assert isinstance(caught.value.__cause__, RemoteError)


# ------------------------------------------------------------------------------------- middleware


async def test_a_middleware_may_answer_a_stream_itself() -> None:
    async def own(ctx: MiddlewareContext, next: Handler) -> dict[str, Any] | None:
        return {"content": "mine", "finish_reason": "stop", "usage": {"prompt_tokens": 1}}

    chain = MiddlewareChain().use(FunctionMiddleware("own", own))
    async with await building(ScriptedIO([])).with_middleware(chain).build() as client:
        stream = client.chat().user("x").stream()
        events = [event async for event in stream]
    assert kinds(events) == ["PartialContentDelta", "Metadata", "StreamEnd"]
    assert stream.response().content == "mine"


async def test_a_middleware_that_replaces_an_opened_stream_closes_it() -> None:
    async def replace(ctx: MiddlewareContext, next: Handler) -> dict[str, Any] | None:
        await next(ctx)
        return {"content": "other"}

    io = ScriptedIO([streamed("a", "b")])
    chain = MiddlewareChain().use(FunctionMiddleware("r", replace))
    async with await building(io).with_middleware(chain).build() as client:
        assert (await client.chat().user("x").collect()).content == "other"
    assert io.open_streams == []


async def test_output_that_a_middleware_does_not_let_through_is_not_handed_out() -> None:
    async def refuse(ctx: MiddlewareContext, next: Handler) -> dict[str, Any] | None:
        await next(ctx)
        raise PluginRefusal("not after all")

    io = ScriptedIO([streamed("a", "b")])
    chain = MiddlewareChain().use(FunctionMiddleware("r", refuse))
    async with await building(io).with_middleware(chain).build() as client:
        stream = client.chat().user("x").stream()
        with pytest.raises(PluginRefusal):  # at the first
            await anext(stream)
    assert io.open_streams == []


async def test_a_middleware_may_open_a_stream_again() -> None:
    async def again(ctx: MiddlewareContext, next: Handler) -> dict[str, Any] | None:
        try:
            return await next(ctx)
        except RemoteError:
            return await next(ctx)

    chain = MiddlewareChain().use(FunctionMiddleware("a", again))
    async with await building(ScriptedIO([refusal(503), streamed("ok")])).with_middleware(chain).build() as client:
        assert (await client.chat().user("x").collect()).content == "ok"


# -------------------------------------------------------------------------------------- its end


@pytest.mark.parametrize("anyio_backend", LOOPS)
async def test_leaving_a_stream_early_closes_it_and_tells_its_end_once(anyio_backend: Any) -> None:
    log: list[Any] = []
    io = ScriptedIO([streamed("a", "b", "c")] * 3)
    async with await building(io).with_plugins(plugged(Recorder("r", log))).build() as client:
        async with client.chat().user("x").stream() as stream:
            async for _ in stream:
                break
        assert io.open_streams == []
        other = client.chat().user("x").stream()
        await anext(other)
        await other.aclose()
        await other.aclose()
        assert io.open_streams == []
        never = client.chat().user("x").stream()
        await never.aclose()
        third = client.chat().user("x").stream()
        await anext(third)
    assert io.open_streams == []
    assert log.count(("r", "stream_end")) == 3


async def test_a_token_ends_a_stream_without_an_error() -> None:
    token = CancelToken()
    async with await building(ScriptedIO([streamed("a", "b")])).with_plugins(plugged(Recorder("r", []))).build() as c:
        stream = c.chat().user("x").cancel(token).stream()
        got = []
        async for event in stream:
            got.append(event)
            token.cancel()
        assert text_of(got) == "a"
        with pytest.raises(AiRuntimeError, match="cancelled"):
            stream.response()
        assert [event async for event in c.chat().user("x").cancel(token).stream()] == []


@pytest.mark.parametrize("anyio_backend", LOOPS)
async def test_closing_while_a_plugin_holds_the_opening_up_ends_it(anyio_backend: Any) -> None:
    waiting = anyio.Event()

    class Hangs(Recorder):
        async def on_request(self, ctx: PluginContext, request: dict[str, Any]) -> dict[str, Any]:
            waiting.set()
            await anyio.sleep_forever()
            return request

    async with await building(ScriptedIO([])).with_plugins(plugged(Hangs("h", []))).build() as client:
        stream = client.chat().user("x").stream()

        async def read() -> None:
            with pytest.raises(AiRuntimeError, match="closed before"):
                await anext(stream)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await waiting.wait()
            await stream.aclose()


class HangsAtChunk(Recorder):
    """Waits for ever at the first event."""

    def __init__(self) -> None:
        super().__init__("h", [])
        self.waiting = anyio.Event()

    async def on_stream_chunk(self, ctx: PluginContext, chunk: dict[str, Any]) -> dict[str, Any]:
        self.waiting.set()
        await anyio.sleep_forever()
        return chunk


@pytest.mark.parametrize("anyio_backend", LOOPS)
@pytest.mark.parametrize("how", ["close", "token"])
async def test_a_plugin_that_holds_an_event_up_does_not_hold_the_streams_end_up(anyio_backend: Any, how: str) -> None:
    plugin, token = HangsAtChunk(), CancelToken()
    io = ScriptedIO([streamed("a", "b")])
    async with await building(io).with_plugins(plugged(plugin)).build() as client:
        stream = client.chat().user("x").cancel(token).stream()

        async def read() -> None:
            assert [event async for event in stream] == []

        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(read)
                await plugin.waiting.wait()
                if how == "close":
                    await stream.aclose()
                else:
                    token.cancel()
    assert io.open_streams == []


async def test_an_end_that_cannot_be_told_hurts_nobody(caplog: pytest.LogCaptureFixture) -> None:
    hooks = HookManager(strict=True)

    def broken(value: Any) -> None:
        raise OSError("late sk-abcdefghijklmnop")

    hooks.register("stream_end", broken)
    async with await building(ScriptedIO([streamed("a")])).with_hooks(hooks).build() as client:
        assert (await client.chat().user("x").collect()).content == "a"
    assert "the end of a stream could not be told" in caplog.text
    assert "abcdefghijklmnop" not in caplog.text


# ------------------------------------------------------------------------------------------ cache


@pytest.mark.requirement("AIP-85")
async def test_a_streamed_answer_is_kept_and_replayed_as_events() -> None:
    log: list[str] = []
    hooks = HookManager()
    for kind in ("cache_hit", "cache_miss", "cache_set"):
        hooks.register(kind, lambda value, kind=kind: log.append(kind))
    cache = CacheManager(CacheConfig(cache_streaming=True))
    io = ScriptedIO([streamed("Hel", "lo")])
    registry = plugged(Shout("s", []))
    async with await building(io).with_cache(cache).with_hooks(hooks).with_plugins(registry).build() as client:
        first = [event async for event in client.chat().user("x").stream()]
        stream, stats = await client.chat().user("x").stream_with_stats()
        second = [event async for event in stream]
        assert second == first
        assert text_of(second) == "HELLO"
        assert stream.response().content == "HELLO"
        assert (stats.from_cache, stats.total_tokens, stats.provider) == (True, None, "acme")
    assert log == ["cache_miss", "cache_set", "cache_hit"]
    assert len(io.requests) == 1


@pytest.mark.requirement("AIP-85")
async def test_a_stream_and_a_plain_call_of_the_same_question_are_kept_side_by_side() -> None:
    io = ScriptedIO([whole("plain"), streamed("stream")])
    async with await building(io).with_cache(CacheManager(CacheConfig(cache_streaming=True))).build() as client:
        chat = client.chat().user("x")
        for _ in range(2):
            assert (await chat.execute()).content == "plain"
            assert text_of([event async for event in chat.stream()]) == "stream"
    assert len(io.requests) == 2


@pytest.mark.requirement("AIP-85")
async def test_streams_are_not_kept_unless_that_is_asked_for_nor_after_an_error_or_an_early_end() -> None:
    cut = Reply([delta("a")], 200, Headers({"content-type": "text/event-stream"}))
    io = ScriptedIO([streamed("a"), streamed("a"), cut, streamed("b", "c"), streamed("whole")])
    backend = MemoryCache()
    async with await building(io).with_cache(CacheManager(CacheConfig(), backend)).build() as client:
        for _ in range(2):
            await client.chat().user("x").collect()
    async with (
        await building(io).with_cache(CacheManager(CacheConfig(cache_streaming=True), backend)).build() as client
    ):
        with pytest.raises(TransportError):
            await client.chat().user("x").collect()
        async with client.chat().user("x").stream() as stream:
            await anext(stream)
        assert (await client.chat().user("x").collect()).content == "whole"
        assert (await client.chat().user("x").collect()).content == "whole"
    assert len(io.requests) == 5


# ----------------------------------------------------------------------------------------- guards


class Shy:
    """Guards that replace every text of a stream; what `dragoman.ai.guardrails` does better."""

    def asked(self, messages: Any) -> Any:
        return messages

    def answered(self, response: Any) -> Any:
        return response

    async def _hidden(self, events: AsyncIterator[StreamingEvent]) -> AsyncIterator[StreamingEvent]:
        async for event in events:
            yield StreamingEvent.content_delta("*") if event.is_content_delta else event

    def streamed(self, events: AsyncIterator[StreamingEvent]) -> AsyncIterator[StreamingEvent]:
        return self._hidden(events)


async def test_guards_stand_outermost_around_a_stream(client_of: Callable[..., Any]) -> None:
    client, _ = await client_of([streamed("a", "b")], guards=Shy(), plugins=plugged(Shout("s", [])))
    async with client:
        assert isinstance(client, AiClient)
        stream = client.chat().user("x").stream()
        assert text_of([event async for event in stream]) == "**"
        assert stream.response().content == "**"
