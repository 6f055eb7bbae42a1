"""Asking one target after another."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from dragoman.ai.errors import ErrorClass, ProtocolError, RemoteError, TransportError, ValidationError
from dragoman.ai.resilience import CircuitOpenError, FallbackChain, FallbackConfig, MultiFallback
from dragoman.testing.clock import FakeClock


def failing(error: Exception) -> Callable[..., Awaitable[Any]]:
    async def operation(*args: Any, **kwargs: Any) -> None:
        raise error

    return operation


async def echo(*args: Any, **kwargs: Any) -> tuple[Any, ...]:
    return (*args, kwargs)


@pytest.mark.requirement("AIP-70")
async def test_the_first_that_answers_wins_and_every_hop_is_told() -> None:
    a, b = ValueError("a"), ValueError("b")
    chain = FallbackChain().add_target("a", failing(a)).add_target("b", failing(b)).add_target("c", echo)
    hops: list[Any] = []
    result = await chain.execute(1, x=2, on_fallback=lambda *hop: hops.append(hop))
    assert (result.success, result.value, result.target_used) == (True, (1, {"x": 2}), "c")
    assert (result.targets_tried, result.errors) == (["a", "b", "c"], {"a": a, "b": b})
    assert hops == [("a", "b", a), ("b", "c", b)]


@pytest.mark.requirement("AIP-70")
async def test_the_heaviest_is_asked_first_and_disabled_ones_never() -> None:
    chain = FallbackChain().add_target("a", echo).add_target("b", echo, weight=2.0).add_target("c", echo, enabled=False)
    assert chain.get_targets() == ["b", "a"]
    assert (await chain.execute()).target_used == "b"
    assert chain.set_enabled("b", False)
    assert (await chain.execute()).target_used == "a"
    assert chain.remove_target("a")
    assert not chain.remove_target("a")
    assert not chain.set_enabled("z", True)
    result = await chain.execute()
    assert (result.success, result.targets_tried) == (False, [])
    assert isinstance(result.errors["_chain"], ValueError)


@pytest.mark.requirement("AIP-70")
@pytest.mark.parametrize(
    ("error", "goes_on"),
    [
        (RemoteError("no", status_code=503, error_class=ErrorClass.OVERLOADED, fallbackable=True), True),
        (RemoteError("no", status_code=401, error_class=ErrorClass.AUTHENTICATION, fallbackable=True), True),
        (RemoteError("no", status_code=400, error_class=ErrorClass.INVALID_REQUEST), False),
        (TransportError("no", kind="connect"), True),
        (ProtocolError("no key", error_class="authentication"), True),
        (CircuitOpenError(), True),
        (ConnectionRefusedError(), True),
        (ValidationError("no"), False),
        (ValueError("no"), False),
    ],
    ids=repr,
)
async def test_without_retry_all_only_fallbackable_errors_go_on(error: Exception, goes_on: bool) -> None:
    chain = FallbackChain(FallbackConfig(retry_all=False)).add_target("a", failing(error)).add_target("b", echo)
    result = await chain.execute()
    assert result.success is goes_on
    assert result.errors == {"a": error}


@pytest.mark.requirement("AIP-70")
async def test_each_target_has_its_attempts_and_a_pause_lies_between_targets() -> None:
    clock, calls, hops = FakeClock(), [], []

    async def flaky() -> str:
        calls.append("b")
        if len(calls) < 2:
            raise ValueError
        return "b"

    async def observe(*hop: Any) -> None:
        hops.append(hop[:2])

    config = FallbackConfig(max_attempts_per_target=2, delay_between_targets_ms=250)
    chain = FallbackChain(config, sleep=clock.sleep).add_target("a", failing(ValueError())).add_target("b", flaky)
    result = await chain.execute(on_fallback=observe)
    assert (result.value, result.targets_tried, len(calls)) == ("b", ["a", "b"], 2)
    assert (clock.sleeps, hops) == ([0.25], [("a", "b")])


@pytest.mark.requirement("AIP-70")
async def test_cancelling_ends_the_chain() -> None:
    reached: list[str] = []

    async def second() -> None:
        reached.append("b")

    chain = FallbackChain().add_target("a", anyio.sleep_forever).add_target("b", second)
    with anyio.move_on_after(0) as scope:
        await chain.execute()
    assert scope.cancelled_caught
    assert reached == []


@pytest.mark.requirement("AIP-70")
async def test_chains_are_kept_by_name() -> None:
    chain = FallbackChain().add_target("a", echo)
    both = MultiFallback().register_chain("chat", chain).register_chain("embed", FallbackChain())
    assert (both.get_chain("chat"), both.get_chain("z")) == (chain, None)
    assert both.list_chains() == ["chat", "embed"]
    assert (await both.execute("chat", 1, chain_name=2)).value == (1, {"chain_name": 2})
    with pytest.raises(ValueError, match="unknown fallback chain 'z'"):
        await both.execute("z")
