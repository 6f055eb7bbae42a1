"""Both clients over real sockets, against a server that misbehaves."""

from __future__ import annotations

import asyncio
import gc
import warnings
from typing import Any

import pytest
from tests.kai.faults import PATIENCE, Exchange, FaultServer, serving
from tests.noukai.shells import COMPLETED, FIRST, FLOW, KEY, SECOND, kinds

from dragoman.noukai import APIConnectionError, APITimeoutError, AsyncNoukai, FlowExecutionError, Noukai

BLOCKING = [False, True]


async def execute(server: FaultServer, blocking: bool, **options: Any) -> Any:
    """One call over a connection of its own."""
    if blocking:

        def call() -> Any:
            with Noukai(KEY, base_url=server.url, **options) as client:
                return client.flow(FLOW).execute("hi")

        return await asyncio.wait_for(asyncio.to_thread(call), PATIENCE)
    async with AsyncNoukai(KEY, base_url=server.url, **options) as client:
        return await asyncio.wait_for(client.flow(FLOW).execute("hi"), PATIENCE)


async def events(server: FaultServer, blocking: bool, seen: list[Any], **options: Any) -> None:
    """One stream over a connection of its own."""
    if blocking:

        def call() -> None:
            with Noukai(KEY, base_url=server.url, **options) as client, client.flow(FLOW).events("hi") as stream:
                seen.extend(stream)

        await asyncio.wait_for(asyncio.to_thread(call), PATIENCE)
        return
    async with AsyncNoukai(KEY, base_url=server.url, **options) as client, client.flow(FLOW).events("hi") as stream:
        async for event in stream:
            seen.append(event)


@pytest.mark.parametrize("blocking", BLOCKING)
@pytest.mark.requirement("NOU-05")
async def test_a_call_over_a_socket(blocking: bool) -> None:
    async with serving(lambda exchange: exchange.json(COMPLETED)) as server:
        assert (await execute(server, blocking)).result == "HI!"
    assert server.paths == ["/seq/acme/spelling/grade-3/execute"]


@pytest.mark.parametrize("blocking", BLOCKING)
@pytest.mark.requirement("NOU-42")
async def test_silence_is_a_timeout(blocking: bool) -> None:
    async with serving(Exchange.until_hangup) as server:
        with pytest.raises(APITimeoutError):
            await execute(server, blocking, timeout=0.1)
        await asyncio.wait_for(server.hung_up.wait(), PATIENCE)


@pytest.mark.parametrize("blocking", BLOCKING)
@pytest.mark.requirement("NOU-43")
async def test_nobody_listens(blocking: bool) -> None:
    async with serving(Exchange.until_hangup) as server:
        pass
    with pytest.raises(APIConnectionError) as caught:
        await execute(server, blocking, max_retries=0)
    assert not isinstance(caught.value, APITimeoutError)


@pytest.mark.parametrize("blocking", BLOCKING)
@pytest.mark.requirement("NOU-43")
async def test_a_reset_and_an_answer_that_is_no_http(blocking: bool) -> None:
    for misbehave in (Exchange.reset, lambda exchange: exchange.raw(b"SSH-2.0\r\n\r\n")):
        async with serving(misbehave) as server:
            with pytest.raises(APIConnectionError):
                await execute(server, blocking, max_retries=0)


@pytest.mark.parametrize("blocking", BLOCKING)
@pytest.mark.requirement("NOU-43")
async def test_a_redirect_is_not_followed(blocking: bool) -> None:
    def elsewhere(exchange: Exchange) -> None:
        exchange.head("307 Temporary Redirect", "location: http://127.0.0.1:1/", "content-length: 0")
        exchange.keep = True

    async with serving(elsewhere) as server:
        with pytest.raises(FlowExecutionError, match="307"):
            await execute(server, blocking)
        assert len(server.paths) == 1


@pytest.mark.parametrize("blocking", BLOCKING)
@pytest.mark.requirement("NOU-98")
async def test_a_stream_that_is_cut_is_a_connection_error(blocking: bool) -> None:
    async with serving(lambda exchange: exchange.begin_stream(*FIRST[:2])) as server:
        seen: list[Any] = []
        with pytest.raises(APIConnectionError):
            await events(server, blocking, seen)
    assert kinds(seen) == ["run_started", "step_started"]


@pytest.mark.parametrize("blocking", BLOCKING)
@pytest.mark.requirement("NOU-98", "NOU-42")
async def test_a_stream_that_falls_silent_is_a_timeout_comments_keep_it_alive(blocking: bool) -> None:
    async def falls_silent(exchange: Exchange) -> None:
        exchange.begin_stream(FIRST[0], b": keep\n\n")
        await exchange.writer.drain()
        await exchange.until_hangup()

    async with serving(falls_silent) as server:
        seen: list[Any] = []
        with pytest.raises(APITimeoutError):
            await events(server, blocking, seen, timeout=0.1)
        await asyncio.wait_for(server.hung_up.wait(), PATIENCE)
    assert kinds(seen) == ["run_started"]


@pytest.mark.parametrize("blocking", BLOCKING)
@pytest.mark.requirement("NOU-11")
async def test_segments_come_in_pieces_of_any_size(blocking: bool) -> None:
    segments = [b"".join(FIRST), b"".join(SECOND)]

    def in_small_pieces(exchange: Exchange) -> None:
        data = segments.pop(0)
        exchange.begin_stream(*[data[place : place + 7] for place in range(0, len(data), 7)])
        exchange.end_stream()

    async with serving(in_small_pieces) as server:
        seen: list[Any] = []
        await events(server, blocking, seen)
    assert len(seen) == 9


@pytest.mark.requirement("NOU-98", "NOU-14")
async def test_a_loop_that_is_left_lets_go_of_its_connection_without_noise() -> None:
    async def goes_on(exchange: Exchange) -> None:
        exchange.begin_stream(*FIRST[:3])
        await exchange.writer.drain()
        await exchange.until_hangup()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        async with serving(goes_on) as server, AsyncNoukai(KEY, base_url=server.url) as client:
            async for event in client.flow(FLOW).events("hi"):
                assert event.type == "run_started"
                break
            gc.collect()
            await asyncio.wait_for(server.hung_up.wait(), PATIENCE)


@pytest.mark.requirement("NOU-14")
async def test_so_does_the_blocking_one() -> None:
    async def goes_on(exchange: Exchange) -> None:
        exchange.begin_stream(*FIRST[:3])
        await exchange.writer.drain()
        await exchange.until_hangup()

    async with serving(goes_on) as server:

        def call() -> None:
            with Noukai(KEY, base_url=server.url) as client:
                for event in client.flow(FLOW).events("hi"):
                    assert event.type == "run_started"
                    break

        await asyncio.wait_for(asyncio.to_thread(call), PATIENCE)
        await asyncio.wait_for(server.hung_up.wait(), PATIENCE)
