"""Calls that end while somebody else acts: what was held is given back, nobody waits for ever, nothing is asked anew."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from tests.ai.client.acme import END, delta, manifest, streamed, whole
from tests.ai.wires.server import HOLD, Reply, serving

from dragoman.ai.client import AiClient, CancellableStream, CancelToken
from dragoman.ai.errors import AiLibError
from dragoman.ai.protocol import ProtocolLoader
from dragoman.ai.resilience import BackpressureConfig, CircuitBreakerConfig, ResilientConfig, RetryConfig
from dragoman.testing import ScriptedIO
from dragoman.wire.http import Request

ONE_PLACE = ResilientConfig(backpressure=BackpressureConfig(max_concurrent=1))


def saying(*steps: Any, **options: Any) -> Reply:
    return Reply(steps, headers={"content-type": "text/event-stream"}, **options)


def reading(stream: Any) -> asyncio.Task[Any]:
    return asyncio.ensure_future(anext(stream))


@pytest.mark.requirement("AIP-51", "AIP-52")
@pytest.mark.parametrize("through", ["stream", "client"])
async def test_closing_ends_a_stream_that_is_being_opened_and_gives_its_place_back(through: str) -> None:
    async with serving([saying(hold=True)]) as server:
        client = await AiClient.from_manifest(manifest(), "acme-1", base_url=server.url, resilience=ONE_PLACE)
        stream = client.chat().user("x").stream()
        task = reading(stream)
        await server.arrived()
        await (stream if through == "stream" else client).aclose()
        with anyio.fail_after(5):
            with pytest.raises(AiLibError, match="closed"):
                await task
            await server.requests[0].gone()
        assert client.current_inflight == 0
        await client.close()


@pytest.mark.requirement("AIP-51", "AIP-52")
async def test_a_stream_that_waits_for_its_place_can_be_closed_too() -> None:
    io = ScriptedIO([streamed("a", "b"), whole()])
    client = await AiClient.from_manifest(manifest(), "acme-1", io=io, resilience=ONE_PLACE)
    held, waiting = client.chat().user("x").stream(), client.chat().user("x").stream()
    await anext(held)
    task = reading(waiting)
    await anyio.wait_all_tasks_blocked()
    await waiting.aclose()
    with anyio.fail_after(5), pytest.raises(AiLibError, match="closed"):
        await task
    await held.aclose()
    assert client.current_inflight == 0
    assert len(io.requests) == 1


@pytest.mark.requirement("AIP-35", "AIP-52")
async def test_looking_into_a_stream_again_right_after_its_loop_was_left_loses_nothing() -> None:
    async with serving([saying(delta("a"), HOLD, *END)]) as server:
        client = await AiClient.from_manifest(manifest(), "acme-1", base_url=server.url, resilience=ONE_PLACE)
        stream = client.chat().user("x").stream()
        async for _ in stream:
            break
        assert [event async for event in stream] == []
        await server.requests[0].gone()
        await anyio.wait_all_tasks_blocked()
        assert client.current_inflight == 0
        await client.close()


@pytest.mark.requirement("AIP-49", "AIP-51")
@pytest.mark.parametrize("count", [1, 2])
async def test_a_stream_whose_client_was_closed_before_it_was_read_says_so(count: int) -> None:
    made = manifest(features={"multi_candidate": {"support_type": "simulated"}})
    client = await AiClient.from_manifest(made, "acme-1", io=ScriptedIO([]))
    stream = client.chat().user("x").n(count).stream()
    await client.close()
    with pytest.raises(AiLibError, match="closed"):
        await anext(stream)


@pytest.mark.requirement("AIP-49", "AIP-53")
async def test_closing_a_client_in_the_middle_of_a_call_neither_tries_again_nor_asks_anybody_else() -> None:
    async with serving([saying(hold=True)]) as server, serving([]) as second:
        loader = ProtocolLoader()
        for made in (manifest(base_url=server.url), manifest("other", base_url=second.url)):
            loader.register_provider(dict(made.raw))
        builder = AiClient.builder().loader(loader).model("acme/acme-1").with_fallbacks(["other/other-1"])
        client = await builder.with_retry(RetryConfig(max_retries=2, min_delay_ms=1)).build()
        task = asyncio.ensure_future(client.chat().user("x").execute())
        await server.arrived()
        await client.close()
        with anyio.fail_after(5), pytest.raises(AiLibError, match="closed"):
            await task
        assert len(server.requests) == 1
        assert second.requests == []


@pytest.mark.requirement("AIP-26", "AIP-51")
async def test_closing_simulated_candidates_wakes_who_waits_for_them() -> None:
    made = manifest(features={"multi_candidate": {"support_type": "simulated"}})
    async with serving(lambda request: saying(delta("a"), HOLD, *END)) as server:
        client = await AiClient.from_manifest(made, "acme-1", base_url=server.url)
        stream = client.chat().user("x").n(2).stream()
        for _ in range(2):
            await anext(stream)
        task = reading(stream)
        await anyio.wait_all_tasks_blocked()
        await stream.aclose()
        with anyio.fail_after(5), pytest.raises((StopAsyncIteration, AiLibError)):
            await task
        await client.close()


@pytest.mark.requirement("AIP-57")
async def test_closing_a_cancellable_stream_ends_a_read_of_a_generator_that_is_pending() -> None:
    ended = anyio.Event()

    async def source() -> AsyncIterator[int]:
        try:
            yield 1
            await anyio.sleep_forever()
        finally:
            ended.set()

    stream = CancellableStream[int](source(), CancelToken())
    assert await anext(stream) == 1
    task = reading(stream)
    await anyio.wait_all_tasks_blocked()
    await stream.close()
    with anyio.fail_after(5):
        with pytest.raises(StopAsyncIteration):
            await task
        await ended.wait()


@pytest.mark.requirement("AIP-56")
async def test_a_token_that_was_reset_is_not_ended_by_the_time_of_before() -> None:
    token = CancelToken(timeout=0.05)
    await anyio.sleep(0.03)
    token.reset()
    assert not await token.wait_with_timeout(0.03)
    with anyio.fail_after(5):
        assert await token.wait() == "timeout"


class Slow(ScriptedIO):
    """Streams whose head comes when the test says so."""

    def __init__(self, script: Any) -> None:
        super().__init__(script)
        self.head = anyio.Event()

    async def stream(self, request: Request) -> Any:
        await self.head.wait()
        return await super().stream(request)


@pytest.mark.requirement("AIP-52", "AIP-67")
async def test_an_answer_that_comes_with_the_cancellation_is_let_go_though_the_breaker_measures_time() -> None:
    io = Slow([streamed("a", "b")])
    config = ResilientConfig(
        circuit_breaker=CircuitBreakerConfig(timeout_seconds=30), backpressure=BackpressureConfig(1)
    )
    client = await AiClient.from_manifest(manifest(), "acme-1", io=io, resilience=config)
    task = reading(client.chat().user("x").stream())
    await anyio.wait_all_tasks_blocked()
    io.head.set()
    while not io.streams:
        await anyio.lowlevel.checkpoint()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert io.open_streams == []
    assert client.current_inflight == 0
