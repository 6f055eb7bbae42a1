"""What stands around plain calls: the order, what each may change, and what goes wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from tests.ai.client.acme import FAST, body_of, building, call_of, refusal, whole
from tests.ai.plugins.recording import Failing, Recorder

from dragoman.ai.cache import CacheManager
from dragoman.ai.client import AiClient, CancelToken
from dragoman.ai.errors import AiLibError, AiRuntimeError, RemoteError, TransportError, ValidationError
from dragoman.ai.plugins import (
    FunctionMiddleware,
    HookManager,
    HookType,
    MiddlewareChain,
    MiddlewareContext,
    PluginContext,
    PluginError,
    PluginRefusal,
    PluginRegistry,
)
from dragoman.ai.plugins.middleware import Handler
from dragoman.ai.types import ContentBlock, Message
from dragoman.testing import ScriptedIO
from dragoman.wire.http import Headers, Response

pytestmark = pytest.mark.requirement("AIP-90")


class Everything:
    """A plugin, hooks and a middleware that write down when they are asked."""

    def __init__(self) -> None:
        self.log: list[Any] = []
        self.plugins = PluginRegistry().register(Recorder("plugin", self.log))
        self.hooks = HookManager()
        for kind in HookType:
            self.hooks.register(kind, self._hook(kind))
        self.middleware = MiddlewareChain().use(FunctionMiddleware("middleware", self._middleware))

    def _hook(self, kind: HookType) -> Callable[[Any], None]:
        return lambda value: self.log.append(("hook", kind.value))

    async def _middleware(self, ctx: MiddlewareContext, next: Handler) -> dict[str, Any] | None:
        self.log.append(("middleware", "in"))
        try:
            return await next(ctx)
        finally:
            self.log.append(("middleware", "out"))


def plugged(*plugins: Any) -> PluginRegistry:
    registry = PluginRegistry()
    for plugin in plugins:
        registry.register(plugin)
    return registry


def hooked(kind: str, callback: Callable[[Any], Any], **settings: Any) -> HookManager:
    hooks = HookManager(**settings)
    hooks.register(kind, callback)
    return hooks


# ----------------------------------------------------------------------------------------- order


@pytest.mark.requirement("AIP-85")
async def test_a_call_passes_middleware_plugins_hooks_cache_policies_and_comes_back() -> None:
    all_, io = Everything(), ScriptedIO([refusal(500), whole()])
    builder = building(io).with_middleware(all_.middleware).with_plugins(all_.plugins).with_hooks(all_.hooks)
    async with await builder.with_cache(CacheManager()).with_retry(FAST).build() as client:
        assert all_.log == [("plugin", "init"), ("hook", "client_init")]
        all_.log.clear()
        assert (await client.chat().user("x").execute()).content == "Hello"
        way_in = [("middleware", "in"), ("plugin", "request"), ("hook", "pre_request")]
        way_out = [
            ("hook", "post_request"),
            ("hook", "pre_response"),
            ("hook", "post_response"),
            ("plugin", "response"),
            ("middleware", "out"),
        ]
        asked = [("hook", "cache_miss"), ("hook", "on_retry"), ("hook", "cache_set")]
        assert all_.log == [*way_in, *asked, *way_out]
        all_.log.clear()
        assert (await client.chat().user("x").execute()).content == "Hello"
        assert all_.log == [*way_in, ("hook", "cache_hit"), *way_out]
        all_.log.clear()
    assert all_.log == [("hook", "client_close"), ("plugin", "shutdown")]
    assert len(io.requests) == 2


async def test_a_client_that_was_given_nothing_has_nothing_around_it(client_of: Callable[..., Any]) -> None:
    client, _ = await client_of([whole()])
    assert client._around is None


async def test_constructor_arguments_do_the_same(client_of: Callable[..., Any]) -> None:
    all_ = Everything()
    around = {"middleware": all_.middleware, "plugins": all_.plugins, "hooks": all_.hooks, "cache": CacheManager()}
    client, _ = await client_of([whole()], **around)
    assert all_.log == [("plugin", "init"), ("hook", "client_init")]
    await client.chat().user("x").execute()
    assert ("middleware", "out") in all_.log
    await client.close()
    await client.close()
    assert all_.log.count(("plugin", "shutdown")) == 1


# ------------------------------------------------------------------------------- requests, answers


async def test_a_plugin_changes_what_is_sent_and_what_is_answered() -> None:
    class Change(Recorder):
        async def on_request(self, ctx: PluginContext, request: dict[str, Any]) -> dict[str, Any]:
            assert (ctx.provider, ctx.model) == ("acme", "acme-1")
            assert ctx.request_id
            assert request["messages"] == [{"role": "user", "content": "x"}]
            assert (request["model"], request["stream"], request["temperature"]) == ("acme-1", False, 0.5)
            request["messages"].append({"role": "user", "content": "and more"})
            del request["temperature"]
            request.update(max_tokens=7, own_thing={"a": 1}, headers={"x-own": "1"})
            ctx.metadata["seen"] = True
            return request

        async def on_response(self, ctx: PluginContext, response: dict[str, Any]) -> dict[str, Any]:
            assert ctx.metadata == {"seen": True}
            return {**response, "content": response["content"].upper()}

    io = ScriptedIO([whole()])
    async with await building(io).with_plugins(plugged(Change("c", []))).build() as client:
        answer = await client.chat().user("x").temperature(0.5).execute()
    assert body_of(io) == {
        "model": "acme-1",
        "messages": [{"role": "user", "content": "x"}, {"role": "user", "content": "and more"}],
        "max_tokens": 7,
        "own_thing": {"a": 1},
    }
    assert io.requests[0].headers["x-own"] == "1"
    assert (answer.content, answer.candidates[0].content, answer.to_message().content) == ("HELLO",) * 3
    assert answer.usage == {**(answer.usage or {}), "prompt_tokens": 3}
    assert answer.raw_response is None


def weather(city: str) -> str:
    """The weather."""
    return city


async def test_what_nobody_changes_is_the_very_same() -> None:
    log: list[tuple[str, str]] = []
    io = ScriptedIO([whole(calls=[call_of("f", "{}")])])
    async with await building(io).with_plugins(plugged(Recorder("r", log))).build() as client:
        message = Message.with_content("user", [ContentBlock.image_base64("QUJD", "image/png")])
        answer = await client.chat().add_message(message).tools([weather]).param("seed", 1).n(1).execute()
    assert [call.function_name for call in answer.tool_calls] == ["f"]
    assert answer.raw_response["id"] == "r"
    assert body_of(io)["messages"][0]["content"][0]["image_url"]["url"].endswith("QUJD")
    assert [name for _, name in log] == ["init", "request", "response", "shutdown"]


async def test_hooks_change_values_too() -> None:
    hooks = hooked("pre_request", lambda request: {**request, "temperature": 0})
    hooks.register("post_response", lambda response: {**response, "tool_calls": [], "finish_reason": "mine"})
    io = ScriptedIO([whole(calls=[call_of("f", "{}")])])
    async with await building(io).with_hooks(hooks).build() as client:
        answer = await client.chat().user("x").execute()
    assert body_of(io)["temperature"] == 0
    assert (answer.tool_calls, answer.finish_reason, answer.candidates[0].tool_calls) == ([], "mine", [])


async def test_several_candidates_can_be_changed_as_well() -> None:
    def shout(response: dict[str, Any]) -> dict[str, Any]:
        return {**response, "candidates": [{**one, "content": one["content"] + "!"} for one in response["candidates"]]}

    both = json.loads(whole("a").body)
    both["choices"].append({**both["choices"][0], "index": 1, "message": {"role": "assistant", "content": "b"}})
    io = ScriptedIO([Response(200, Headers({"content-type": "application/json"}), json.dumps(both).encode())])
    async with await building(io).with_hooks(hooked("pre_response", shout)).build() as client:
        answer = await client.chat().user("x").n(2).execute()
    assert [one.content for one in answer.candidates] == ["a!", "b!"]


async def test_what_a_hook_does_to_its_dict_does_nothing_to_the_builder() -> None:
    def spoil(request: dict[str, Any]) -> None:
        request["response_format"]["json_schema"]["name"] = "spoilt"
        request["stop_sequences"].append("spoilt")
        request["own"]["list"].append("spoilt")

    form = {"type": "json_schema", "json_schema": {"name": "mine", "schema": {"type": "object"}}}
    io = ScriptedIO([whole(), whole()])
    async with await building(io).with_hooks(hooked("pre_request", spoil)).build() as client:
        chat = client.chat().user("x").response_format(form).stop(["."]).param("own", {"list": [1]})
        for _ in range(2):
            await chat.execute()
    assert form["json_schema"]["name"] == "mine"  # type: ignore[index]  # a plain dict
    assert body_of(io, 0) == body_of(io, 1)


@pytest.mark.parametrize("kind", ["pre_request", "pre_response"])
async def test_a_hook_that_gives_no_dict_is_an_error_that_says_so(kind: str) -> None:
    async with await building(ScriptedIO([whole()])).with_hooks(hooked(kind, lambda value: "text")).build() as client:
        with pytest.raises(ValidationError, match="gave a str"):
            await client.chat().user("x").execute()


@pytest.mark.parametrize(("field", "value"), [("model", "other"), ("stream", True), ("messages", "no list")])
async def test_a_hook_cannot_change_what_is_fixed_or_make_it_wrong(field: str, value: Any) -> None:
    io = ScriptedIO([whole()])
    hooks = hooked("pre_request", lambda request: {**request, field: value})
    async with await building(io).with_hooks(hooks).build() as client:
        with pytest.raises(ValidationError, match=field):
            await client.chat().user("x").execute()
    assert io.requests == []


# ------------------------------------------------------------------------------------ middleware


async def test_a_middleware_that_answers_itself_sends_nothing() -> None:
    async def own(ctx: MiddlewareContext, next: Handler) -> dict[str, Any] | None:
        assert ctx.request["messages"] == [{"role": "user", "content": "x"}]
        assert (ctx.model, ctx.provider) == ("acme-1", "acme")
        ctx.abort({"content": "from here", "tool_calls": [{"id": "c", "function_name": "f", "arguments": {"a": 1}}]})
        return None

    io = ScriptedIO([])
    chain = MiddlewareChain().use(FunctionMiddleware("own", own))
    async with await building(io).with_middleware(chain).build() as client:
        answer = await client.chat().user("x").execute()
    assert (answer.content, answer.candidates[0].content) == ("from here", "from here")
    assert answer.tool_calls[0].arguments == {"a": 1}
    assert io.requests == []


async def test_a_middleware_may_ask_again_and_change_the_request_in_between() -> None:
    async def again(ctx: MiddlewareContext, next: Handler) -> dict[str, Any] | None:
        try:
            return await next(ctx)
        except RemoteError:
            ctx.request["max_tokens"] = 5
            return await next(ctx)

    io = ScriptedIO([refusal(400), whole()])
    async with await building(io).with_middleware(MiddlewareChain().use(FunctionMiddleware("a", again))).build() as c:
        assert (await c.chat().user("x").execute()).content == "Hello"
    assert body_of(io)["max_tokens"] == 5


async def test_a_middleware_that_ends_a_call_without_an_answer_is_an_error() -> None:
    async def stop(ctx: MiddlewareContext, next: Handler) -> dict[str, Any] | None:
        ctx.abort()
        return None

    chain = MiddlewareChain().use(FunctionMiddleware("stopper", stop))
    async with await building(ScriptedIO([])).with_middleware(chain).build() as client:
        with pytest.raises(AiRuntimeError, match="stopper"):
            await client.chat().user("x").execute()


# ---------------------------------------------------------------------------------------- errors


async def test_a_failing_plugin_does_not_take_the_call_down(caplog: pytest.LogCaptureFixture) -> None:
    io = ScriptedIO([whole()])
    async with await building(io).with_plugins(plugged(Failing())).build() as client:
        assert (await client.chat().user("x").execute()).content == "Hello"
    assert "plugin 'failing' failed in on_request" in caplog.text
    assert "abcdefghijklmnop" not in caplog.text
    assert body_of(io)["messages"] == [{"role": "user", "content": "x"}]


async def test_a_plugin_that_gives_what_is_no_request_is_named_and_passed_by() -> None:
    class Odd(Recorder):
        async def on_request(self, ctx: PluginContext, request: dict[str, Any]) -> dict[str, Any]:
            return {**request, "messages": [{"no": "message"}]}

        async def on_response(self, ctx: PluginContext, response: dict[str, Any]) -> dict[str, Any]:
            return {"content": 3}

    registry = plugged(Odd("odd", []))
    async with await building(ScriptedIO([whole()])).with_plugins(registry).build() as client:
        assert (await client.chat().user("x").execute()).content == "Hello"
    assert registry.failures == {"odd": 2}


async def test_a_critical_plugin_takes_the_call_down() -> None:
    io = ScriptedIO([whole()])
    async with await building(io).with_plugins(plugged(Failing(critical=True))).build() as client:
        with pytest.raises(PluginError, match="'failing' failed in on_"):
            await client.chat().user("x").execute()
    assert io.requests == []


async def test_a_refusal_of_a_plugin_reaches_the_caller() -> None:
    registry = plugged(Failing(error=PluginRefusal("no budget")))
    async with await building(ScriptedIO([])).with_plugins(registry).build() as client:
        with pytest.raises(PluginRefusal, match="no budget"):
            await client.chat().user("x").execute()


async def test_an_error_passes_hooks_and_plugins_and_may_become_another() -> None:
    log: list[tuple[str, str]] = []
    hooks = hooked("on_error", lambda error: AiLibError(f"mine: {error.status}"))
    io = ScriptedIO([refusal(400)])
    async with await building(io).with_hooks(hooks).with_plugins(plugged(Recorder("r", log))).build() as client:
        with pytest.raises(AiLibError, match="mine: 400") as caught:
            await client.chat().user("x").execute()
    assert isinstance(caught.value.__cause__, RemoteError)
    assert ("r", "error") in log


async def test_an_error_that_a_plugin_swallows_is_an_empty_answer() -> None:
    class Swallow(Recorder):
        async def on_error(self, ctx: PluginContext, error: Exception) -> Exception | None:
            return None

    async with await building(ScriptedIO([refusal(500)])).with_plugins(plugged(Swallow("s", []))).build() as client:
        answer = await client.chat().user("x").execute()
    assert (answer.content, answer.finish_reason) == ("", "error")


async def test_a_critical_plugin_that_cannot_begin_is_told_by_build() -> None:
    class Needed(Recorder):
        critical = True  # type: ignore[assignment]  # a plain attribute does as well

        async def on_init(self, ctx: PluginContext) -> None:
            raise OSError("no disk")

    with pytest.raises(PluginError, match="'n' failed in on_init"):
        await building(ScriptedIO([])).with_plugins(plugged(Needed("n", []))).build()


async def test_a_client_that_was_made_by_hand_begins_with_its_first_call() -> None:
    log: list[tuple[str, str]] = []
    async with await building(ScriptedIO([whole()])).with_plugins(plugged(Recorder("r", log))).build() as made:
        by_hand = AiClient(made._target, made._settings)
        await by_hand.chat().user("x").execute()
        await by_hand.close()
    assert [stage for _, stage in log] == ["init", "request", "response", "shutdown"]


async def test_a_call_that_takes_too_long_is_an_error_to_plugins_and_hooks_too() -> None:
    class Stuck(Recorder):
        async def on_request(self, ctx: PluginContext, request: dict[str, Any]) -> dict[str, Any]:
            await anyio.sleep_forever()
            return request

    log: list[tuple[str, str]] = []
    hooks = hooked("on_error", lambda error: AiLibError(f"late: {error.status}"))
    async with (
        await building(ScriptedIO([])).with_hooks(hooks).with_plugins(plugged(Stuck("s", log))).build() as client
    ):
        with pytest.raises(AiLibError, match="late") as caught:
            await client.chat().user("x").timeout(0.01).execute()
    assert isinstance(caught.value.__cause__, TransportError)
    assert log.count(("s", "error")) == 1


async def test_a_timeout_and_a_token_interrupt_a_plugin_that_hangs() -> None:
    class Hangs(Recorder):
        async def on_request(self, ctx: PluginContext, request: dict[str, Any]) -> dict[str, Any]:
            token.cancel()
            await anyio.sleep_forever()
            return request

    token = CancelToken()
    async with await building(ScriptedIO([])).with_plugins(plugged(Hangs("h", []))).build() as client:
        with pytest.raises(TransportError, match=r"0\.01 s"):
            await client.chat().user("x").timeout(0.01).execute()
        token.reset()
        with pytest.raises(AiRuntimeError, match="cancelled"):
            await client.chat().user("x").cancel(token).execute()
