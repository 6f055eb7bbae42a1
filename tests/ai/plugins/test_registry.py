"""The registry: order, who is called, and what becomes of a plugin that fails."""

from __future__ import annotations

from typing import Any

import pytest
from tests.ai.plugins.recording import Failing, Recorder

from dragoman.ai.errors import AiLibError
from dragoman.ai.plugins import (
    CompositePlugin,
    Plugin,
    PluginContext,
    PluginError,
    PluginPriority,
    PluginRefusal,
    PluginRegistry,
    get_plugin_registry,
    set_plugin_registry,
)

pytestmark = pytest.mark.requirement("AIP-90")

CTX = PluginContext("m", "p", "r")


def three(log: list[tuple[str, str]]) -> PluginRegistry:
    registry = PluginRegistry()
    registry.register(Recorder("low", log, PluginPriority.LOW)).register(Recorder("a", log))
    return registry.register(Recorder("b", log)).register(Recorder("first", log, PluginPriority.HIGHEST))


async def test_lower_priorities_come_first_and_answers_come_back_in_reverse() -> None:
    log: list[tuple[str, str]] = []
    registry = three(log)
    assert registry.plugin_names == ["first", "a", "b", "low"]
    forth = [("init", registry.init_all), ("stream_start", lambda ctx: registry.on_stream_start(ctx))]
    back = [("stream_end", lambda ctx: registry.on_stream_end(ctx)), ("shutdown", registry.shutdown_all)]
    for stage, tell in forth:
        log.clear()
        await tell(CTX)
        assert log == [(name, stage) for name in ("first", "a", "b", "low")]
    for stage, tell in back:
        log.clear()
        await tell(CTX)
        assert log == [(name, stage) for name in ("low", "b", "a", "first")]
    log.clear()
    await registry.process_request(CTX, {"a": 1})
    await registry.process_stream_chunk(CTX, {"a": 1})
    await registry.process_error(CTX, ValueError())
    assert [name for name, _ in log] == ["first", "a", "b", "low"] * 3
    log.clear()
    await registry.process_response(CTX, {"a": 1})
    assert [name for name, _ in log] == ["low", "b", "a", "first"]


async def test_a_name_is_there_once_and_can_be_switched_off_and_on() -> None:
    log: list[tuple[str, str]] = []
    registry = three(log)
    with pytest.raises(ValueError, match="'a'"):
        registry.register(Recorder("a", log))
    assert (registry.disable("a"), registry.disable("nobody")) == (True, False)
    assert registry.has("a")
    assert registry.get("a") is not None
    await registry.process_request(CTX, {})
    assert ("a", "request") not in log
    assert (registry.enable("a"), registry.enable("nobody")) == (True, False)
    await registry.process_request(CTX, {})
    assert ("a", "request") in log
    assert (registry.unregister("a"), registry.unregister("a")) == (True, False)
    assert registry.get("a") is None
    assert len(registry.plugins) == 3


async def test_a_plugin_that_is_not_enabled_is_not_called() -> None:
    log: list[tuple[str, str]] = []

    class Off(Recorder):
        @property
        def enabled(self) -> bool:
            return False

    registry = PluginRegistry().register(Off("off", log))
    await registry.init_all()
    await registry.process_request(CTX, {})
    assert log == []
    assert not registry.hears("on_request")


async def test_a_plugin_that_fails_is_named_and_passed_by(caplog: pytest.LogCaptureFixture) -> None:
    registry = PluginRegistry().register(Failing())
    request = {"messages": [{"role": "user"}]}
    assert await registry.process_request(CTX, request) == {"messages": [{"role": "user"}]}
    assert await registry.process_response(CTX, {"content": "x"}) == {"content": "x"}
    for _ in range(50):
        assert await registry.process_stream_chunk(CTX, {"event_type": "x"}) == {"event_type": "x"}
    error = OSError()
    assert await registry.process_error(CTX, error) is error
    await registry.on_stream_start(CTX)
    await registry.on_stream_end(CTX)
    assert registry.failures == {"failing": 55}
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(told) == 6
    assert told[0] == "plugin 'failing' failed in on_request and is passed by: ValueError: boom [redacted]"


async def test_a_critical_plugin_and_a_refusal_end_the_call() -> None:
    registry = PluginRegistry().register(Failing(critical=True))
    with pytest.raises(PluginError, match="'failing' failed in on_request") as caught:
        await registry.process_request(CTX, {})
    assert (caught.value.plugin, caught.value.stage) == ("failing", "on_request")
    assert isinstance(caught.value.__cause__, ValueError)
    assert "abcdefghijklmnop" not in str(caught.value)
    assert isinstance(caught.value, AiLibError)
    refusing = PluginRegistry().register(Failing(error=PluginRefusal("the budget is spent")))
    with pytest.raises(PluginRefusal, match="budget"):
        await refusing.process_request(CTX, {})
    assert refusing.failures == {}


@pytest.mark.parametrize("told", [None, 3, ["x"]])
async def test_what_is_no_dict_changes_nothing(told: Any) -> None:
    class Odd(Recorder):
        async def on_request(self, ctx: PluginContext, request: dict[str, Any]) -> dict[str, Any]:
            found: dict[str, Any] = told
            return found

    registry = PluginRegistry().register(Odd("odd", []))
    assert await registry.process_request(CTX, {"a": 1}) == {"a": 1}
    assert registry.failures == ({} if told is None else {"odd": 1})


async def test_an_error_may_be_replaced_or_swallowed() -> None:
    class Swallow(Recorder):
        async def on_error(self, ctx: PluginContext, error: Exception) -> Exception | None:
            return None

    class Replace(Recorder):
        async def on_error(self, ctx: PluginContext, error: Exception) -> Exception | None:
            return OSError(str(error))

    registry = PluginRegistry().register(Replace("r", [], 0))
    assert isinstance(await registry.process_error(CTX, ValueError("x")), OSError)
    registry.register(Swallow("s", []))
    assert await registry.process_error(CTX, ValueError("x")) is None


async def test_plugins_begin_with_the_first_client_and_end_with_the_last() -> None:
    log: list[tuple[str, str]] = []
    registry = PluginRegistry().register(Recorder("a", log))
    await registry.enter(CTX)
    registry.register(Recorder("b", log))
    await registry.enter(CTX)
    await registry.leave(CTX)
    assert log == [("a", "init"), ("b", "init")]
    await registry.leave(CTX)
    assert log[2:] == [("b", "shutdown"), ("a", "shutdown")]
    await registry.shutdown_all()
    assert len(log) == 4


async def test_a_plugin_that_cannot_begin_is_switched_off_unless_it_is_critical() -> None:
    log: list[tuple[str, str]] = []

    class NoBegin(Recorder):
        async def on_init(self, ctx: PluginContext) -> None:
            raise OSError("no disk")

        async def on_shutdown(self, ctx: PluginContext) -> None:
            raise OSError("no disk")

    class Needed(NoBegin):
        @property
        def critical(self) -> bool:
            return True

    registry = PluginRegistry().register(NoBegin("n", log))
    await registry.init_all()
    await registry.process_request(CTX, {})
    assert log == []
    registry = PluginRegistry().register(Recorder("before", log)).register(Needed("c", log))
    with pytest.raises(PluginError, match="'c' failed in on_init"):
        await registry.enter(CTX)
    assert log == [("before", "init"), ("before", "shutdown")]


async def test_one_shutdown_that_fails_does_not_stop_the_others() -> None:
    log: list[tuple[str, str]] = []

    class NoEnd(Recorder):
        async def on_shutdown(self, ctx: PluginContext) -> None:
            raise OSError("stuck")

    registry = PluginRegistry().register(Recorder("a", log)).register(NoEnd("b", log))
    await registry.init_all()
    await registry.shutdown_all()
    assert log[-1] == ("a", "shutdown")
    assert registry.failures == {"b": 1}


async def test_several_plugins_can_be_one() -> None:
    log: list[tuple[str, str]] = []
    both = CompositePlugin("both", [Recorder("a", log), Failing("f"), Recorder("b", log)], PluginPriority.HIGH)
    registry = PluginRegistry().register(both)
    assert (both.priority, both.critical, len(both.plugins)) == (25, False, 3)
    await registry.init_all()
    assert await registry.process_request(CTX, {"x": 1}) == {}
    await registry.process_response(CTX, {"x": 1})
    await registry.process_stream_chunk(CTX, {"x": 1})
    await registry.process_error(CTX, ValueError())
    await registry.on_stream_start(CTX)
    await registry.on_stream_end(CTX)
    await registry.shutdown_all()
    assert [name for name, _ in log] == list("ababbaabababbaba")
    assert both.failures.counts == {"f": 6}
    assert registry.failures == {}


async def test_a_composite_hears_what_one_of_its_plugins_hears() -> None:
    class Quiet(Plugin):
        @property
        def name(self) -> str:
            return "quiet"

    assert not PluginRegistry().register(CompositePlugin("c", [Quiet()])).hears("on_stream_chunk")
    registry = PluginRegistry().register(CompositePlugin("c", [Quiet(), Recorder("a", [])]))
    assert registry.hears("on_stream_chunk")


def test_a_context_can_be_given_more() -> None:
    assert CTX.with_metadata(a=1).metadata == {"a": 1}
    assert CTX.metadata == {}


def test_there_is_one_registry_in_a_process() -> None:
    assert get_plugin_registry() is get_plugin_registry()
    made = PluginRegistry()
    set_plugin_registry(made)
    assert get_plugin_registry() is made
    set_plugin_registry(None)


async def test_a_plugin_of_plain_functions_is_called_like_any_other() -> None:
    told: list[str] = []

    class Plain(Plugin):
        name = "plain"

    def request(ctx: PluginContext, value: dict[str, Any]) -> dict[str, Any]:
        return {**value, "seen": True}

    def error(ctx: PluginContext, error: Exception) -> Exception | None:
        return None

    plugin = Plain()
    vars(plugin).update(on_request=request, on_error=error)
    for stage in ("on_init", "on_shutdown", "on_stream_start", "on_stream_end"):
        vars(plugin)[stage] = lambda ctx, stage=stage: told.append(stage)
    for registry in (
        PluginRegistry().register(plugin),
        PluginRegistry().register(CompositePlugin("several", [plugin])),
    ):
        await registry.init_all()
        assert await registry.process_request(CTX, {"a": 1}) == {"a": 1, "seen": True}
        assert await registry.process_error(CTX, ValueError()) is None
        await registry.on_stream_start(CTX)
        await registry.on_stream_end(CTX)
        await registry.shutdown_all()
        assert (told, registry.failures) == (["on_init", "on_stream_start", "on_stream_end", "on_shutdown"], {})
        told.clear()


async def test_a_critical_plugin_among_several_is_named_itself() -> None:
    several = CompositePlugin("several", [Failing("inner", critical=True)])
    with pytest.raises(PluginError, match="'inner' failed in on_request") as caught:
        await PluginRegistry().register(several).process_request(CTX, {})
    assert caught.value.plugin == "inner"
