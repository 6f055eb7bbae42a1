"""Hooks: fourteen moments, their order, and those that fail."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from dragoman.ai.plugins import HookError, HookManager, HookType, PluginRefusal

pytestmark = pytest.mark.requirement("AIP-90")


def test_there_are_fourteen_moments() -> None:
    assert " ".join(HookType) == (
        "pre_request post_request pre_response post_response stream_start stream_chunk stream_end on_error on_retry"
        " client_init client_close cache_hit cache_miss cache_set"
    )


async def test_a_value_passes_through_the_hooks_in_their_order() -> None:
    hooks = HookManager()

    async def later(value: str) -> str:
        return value + "b"

    hooks.register(HookType.PRE_REQUEST, later, name="later")
    hooks.register(HookType.PRE_REQUEST, lambda value: value + "a", priority=10)
    hooks.register("pre_request", lambda value: None, priority=60)
    assert await hooks.execute(HookType.PRE_REQUEST, "x") == "xab"
    assert await hooks.execute("on_error", 5) == 5
    assert await hooks.execute("on_error") is None
    assert [hook.name for hook in hooks.get_hooks("pre_request")] == ["<lambda>", "later", "<lambda>"]
    assert hooks.hook_counts == {"pre_request": 3}
    assert hooks.has(HookType.PRE_REQUEST)


async def test_further_arguments_go_to_every_hook() -> None:
    hooks = HookManager()
    hooks.register("on_retry", lambda value, other, *, named: value + other + named)
    assert await hooks.execute("on_retry", 1, 2, named=3) == 6


async def test_hooks_can_be_taken_back() -> None:
    hooks = HookManager()

    @hooks.hook("cache_hit", name="mine")
    def hear(value: Any) -> None:
        raise AssertionError("taken back")

    (hook,) = hooks.get_hooks("cache_hit")
    assert hook.name == "mine"
    assert (hooks.unregister(hook), hooks.unregister(hook)) == (True, False)
    assert await hooks.execute("cache_hit", 1) == 1
    for kind in ("cache_hit", "cache_miss"):
        hooks.register(kind, hear)
    hooks.clear("cache_hit")
    assert hooks.hook_counts == {"cache_miss": 1}
    hooks.clear()
    assert hooks.hook_counts == {}
    with pytest.raises(ValueError, match="whenever"):
        hooks.register("whenever", hear)


async def test_all_and_parallel_give_what_each_gave() -> None:
    hooks, met = HookManager(), anyio.Event()

    async def waits(value: int) -> int:
        await met.wait()
        return value + 1

    async def comes(value: int) -> int:
        met.set()
        return value + 2

    hooks.register("stream_end", waits)
    hooks.register("stream_end", comes)
    assert await hooks.execute_parallel("stream_end", 1) == [2, 3]
    assert await hooks.execute_all("stream_end", 1) == [2, 3]
    assert await hooks.execute_all("stream_start", 1) == []


async def test_a_hook_that_fails_is_named_and_passed_by(caplog: pytest.LogCaptureFixture) -> None:
    hooks = HookManager()

    def broken(value: str) -> str:
        raise ValueError("boom sk-abcdefghijklmnop")

    hooks.register("pre_request", broken)
    hooks.register("pre_request", lambda value: value + "b")
    assert await hooks.execute("pre_request", "a") == "ab"
    assert await hooks.execute_all("pre_request", "a") == [None, "ab"]
    assert await hooks.execute_parallel("pre_request", "a") == [None, "ab"]
    assert hooks.failures == {"broken": 3}
    assert "hook 'broken' failed in pre_request and is passed by: ValueError: boom [redacted]" in caplog.text


async def test_a_strict_manager_raises() -> None:
    hooks = HookManager(strict=True)

    def broken(value: str) -> str:
        raise ValueError("boom")

    hooks.register("pre_request", broken)
    for run in (hooks.execute, hooks.execute_all, hooks.execute_parallel):
        with pytest.raises(HookError, match="hook 'broken' failed at pre_request: ValueError: boom") as caught:
            await run("pre_request", "a")
        assert isinstance(caught.value.__cause__, ValueError)


async def test_a_refusal_always_ends_the_call() -> None:
    hooks = HookManager()

    def refuse(value: str) -> str:
        raise PluginRefusal("not today")

    hooks.register("pre_request", refuse)
    with pytest.raises(PluginRefusal, match="not today"):
        await hooks.execute("pre_request", "a")
