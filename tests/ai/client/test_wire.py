"""The client over a real socket: what the server sees when a call ends, and how calls keep apart."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from tests.ai.client.acme import END, delta, manifest, whole
from tests.ai.wires.server import CUT, HOLD, Provider, Received, Reply, Step, gone_soon, measured_again, serving

from dragoman.ai.client import AiClient, CancelReason, CancelToken, create_cancel_pair
from dragoman.ai.errors import AiLibError, RemoteError, TransportError


def saying(*steps: Step, **options: Any) -> Reply:
    return Reply(steps, headers={"content-type": "text/event-stream"}, **options)


@asynccontextmanager
async def talking(answering: Any, **settings: Any) -> AsyncIterator[tuple[Provider, AiClient]]:
    async with serving(answering) as server:
        made = await AiClient.from_manifest(manifest(), "acme-1", base_url=f"{server.url}/v1", **settings)
        async with made as client:
            yield server, client


def now() -> float:
    return asyncio.get_running_loop().time()


WAITING: Sequence[Step] = (delta("a"), HOLD, delta("b"), *END)


@pytest.mark.requirement("AIP-57")
@pytest.mark.parametrize("reply", [saying(*WAITING), saying(*WAITING, hold=True)], ids=["between events", "before any"])
@measured_again
async def test_cancelling_closes_the_connection_within_100_ms_wherever_the_call_waits(reply) -> None:
    async with talking([reply]) as (server, client):
        handle, token = create_cancel_pair()
        seen: list[Any] = []
        said: list[CancelReason] = []
        handle.on_cancel(said.append)

        async def read() -> None:
            async for event in client.chat().user("x").cancel(token).stream():
                seen.append(event)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await server.arrived()
            while not seen and not reply.hold:
                await anyio.lowlevel.checkpoint()
            began = now()
            handle.cancel()
        await gone_soon(server.requests[-1], began)
        assert len(seen) == (0 if reply.hold else 1)
        assert said == ["user_request"]


@pytest.mark.requirement("AIP-57")
@measured_again
async def test_cancelling_a_plain_call_closes_its_connection() -> None:
    async with talking([Reply.json({}), saying(hold=True)]) as (server, client):
        handle, token = create_cancel_pair()
        server.answering = lambda request: saying(hold=True)
        began = 0.0

        async def end() -> None:
            nonlocal began
            await server.arrived()
            began = now()
            handle.cancel(CancelReason.SHUTDOWN)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(end)
            with pytest.raises(AiLibError, match="shutdown"):
                await client.chat().user("x").cancel(token).execute()
        await gone_soon(server.requests[-1], began)


@pytest.mark.requirement("AIP-57")
async def test_a_tokens_timeout_ends_a_waiting_stream() -> None:
    async with talking([saying(*WAITING)]) as (server, client):
        token = CancelToken(timeout=1.0)
        events = [event async for event in client.chat().user("x").cancel(token).stream()]
        assert [event.event_type for event in events] == ["PartialContentDelta"]
        assert token.reason is CancelReason.TIMEOUT
        await server.requests[0].gone()


@pytest.mark.requirement("AIP-35")
@measured_again
async def test_leaving_a_loop_closes_the_connection_while_the_stream_is_still_held() -> None:
    async with talking([saying(*WAITING)]) as (server, client):
        stream = client.chat().user("x").stream()
        async for _ in stream:
            break
        await gone_soon(server.requests[-1], now())
        assert [event async for event in stream] == []


@pytest.mark.requirement("AIP-35", "AIP-115")
@measured_again
async def test_cancelling_the_reading_task_closes_the_connection() -> None:
    async with talking([saying(*WAITING)]) as (server, client):
        stream = client.chat().user("x").stream()
        await anext(stream)
        task = asyncio.ensure_future(anext(stream))
        await anyio.wait_all_tasks_blocked()
        began = now()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await gone_soon(server.requests[-1], began)


@pytest.mark.requirement("AIP-115")
@measured_again
async def test_closing_the_client_ends_a_stream_that_waits_with_an_error() -> None:
    async with talking([saying(*WAITING)]) as (server, client):
        stream = client.chat().user("x").stream()
        await anext(stream)
        task = asyncio.ensure_future(anext(stream))
        await anyio.wait_all_tasks_blocked()
        began = now()
        await client.close()
        with anyio.fail_after(5):
            with pytest.raises(TransportError):
                await task
        await gone_soon(server.requests[-1], began)


@pytest.mark.requirement("AIP-34")
async def test_a_hundred_parallel_streams_mix_nothing() -> None:
    def answer(request: Received) -> Reply:
        name = request.json()["messages"][0]["content"]
        return saying(*(delta(f"{name}:{number} ") for number in range(20)), *END)

    async with talking(answer) as (server, client):
        answers: dict[str, str] = {}

        async def ask(name: str) -> None:
            answers[name] = (await client.chat().user(name).collect()).content

        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                for number in range(100):
                    tasks.start_soon(ask, f"n{number}")
        assert answers == {f"n{k}": "".join(f"n{k}:{number} " for number in range(20)) for k in range(100)}
        assert len(server.requests) == 100


@pytest.mark.requirement("AIP-33")
@pytest.mark.parametrize("steps", [(delta("Half"), CUT), (delta("Half"),)], ids=["cut", "ended"])
async def test_a_cut_in_mid_stream_is_an_error_with_what_there_was(steps) -> None:
    async with talking([saying(*steps)]) as (_, client):
        with pytest.raises(TransportError) as caught:
            await client.chat().user("x").collect()
        assert (caught.value.kind, caught.value.partial.content) == ("stream_truncated", "Half")


@pytest.mark.requirement("AIP-63")
async def test_silence_ends_a_stream_and_says_so_though_bytes_came_before() -> None:
    async with talking([saying(*WAITING)], timeout=0.1) as (server, client):
        with pytest.raises(TransportError) as caught:
            await client.chat().user("x").collect()
        assert (caught.value.kind, caught.value.partial.content) == ("timeout_read", "a")
        await server.requests[0].gone()


@pytest.mark.requirement("AIP-63")
async def test_a_calls_own_limit_bounds_a_plain_call_and_the_opening_of_a_stream() -> None:
    async with talking(lambda request: saying(hold=True)) as (server, client):
        for call in (client.chat().user("x").timeout(0.05).execute, client.chat().user("x").timeout(0.05).collect):
            began = time.monotonic()
            with pytest.raises(TransportError) as caught:
                await call()
            assert caught.value.error_class == "timeout"
            assert time.monotonic() - began < 5
        for request in server.requests:
            await request.gone()


@pytest.mark.requirement("AIP-32")
async def test_usage_is_waited_for_after_the_answer_and_not_for_long() -> None:
    finish = delta("Hi", "stop")
    async with talking([saying(finish, HOLD, *END)], linger=0.05) as (server, client):
        response = await client.chat().user("x").collect()
        assert (response.content, response.usage) == ("Hi", None)
        await server.requests[0].gone()


@pytest.mark.requirement("AIP-115")
async def test_a_connection_that_the_server_closed_while_idle_is_replaced_silently() -> None:
    answer = Reply.json(json.loads(whole().body))
    async with talking([answer, answer]) as (server, client):
        await client.chat().user("x").execute()
        server.close_idle()
        await server.requests[0].gone()
        _, stats = await client.chat().user("x").execute_with_stats()
        assert stats.retry_count == 0
        assert [request.connection for request in server.requests] == [0, 1]


@pytest.mark.requirement("AIP-115")
async def test_a_redirect_is_refused_and_the_other_host_hears_nothing() -> None:
    async with serving([]) as other:
        moved = Reply(status=307, headers={"location": f"{other.url}/v1"}, framing="length")
        async with talking([moved]) as (_, client):
            with pytest.raises(RemoteError) as caught:
                await client.chat().user("x").execute()
        assert caught.value.status_code == 307
        assert other.connections == []


@pytest.mark.requirement("AIP-115")
def test_a_client_is_usable_in_a_new_loop_after_its_loop_has_ended() -> None:
    made: list[AiClient] = []

    async def once() -> str:
        async with serving([Reply.json(json.loads(whole("Hi").body))]) as server:
            if not made:
                made.append(await AiClient.from_manifest(manifest(), "acme-1"))
            made[0]._target.transport._base_override = server.url
            text = (await made[0].chat().user("x").execute()).content
            await made[0]._target.transport._connections.aclose()
            return text

    assert [anyio.run(once), anyio.run(once)] == ["Hi", "Hi"]


@pytest.mark.requirement("AIP-64")
@pytest.mark.parametrize("end", [END, [*END, HOLD]], ids=["ends", "is kept open"])
async def test_a_stream_that_was_read_to_its_end_leaves_its_connection_to_the_next(end) -> None:
    async with talking(lambda request: saying(delta("a"), *end)) as (server, client):
        for _ in range(3):
            assert (await client.chat().user("x").collect()).content == "a"
        async for event in client.chat().user("x").stream():
            if event.is_stream_end:
                break
        await anyio.wait_all_tasks_blocked()
        await client.chat().user("x").collect()
        assert len(server.connections) == (1 if end is END else 5)


@pytest.mark.requirement("AIP-64")
async def test_clients_of_one_loop_share_connections() -> None:
    async with serving(lambda request: Reply.json(json.loads(whole().body))) as server:
        clients = [await AiClient.from_manifest(manifest(), "acme-1", base_url=server.url) for _ in range(2)]
        for client in clients:
            await client.chat().user("x").execute()
        for client in clients:
            await client.close()
        assert len(server.connections) == 1


@pytest.mark.requirement("AIP-26", "AIP-35")
async def test_leaving_simulated_candidates_early_closes_all_of_them() -> None:
    made = manifest(features={"multi_candidate": {"support_type": "simulated"}})
    async with serving(lambda request: saying(*WAITING)) as server:
        client = await AiClient.from_manifest(made, "acme-1", base_url=server.url)
        async with client, client.chat().user("x").n(3).stream() as stream:
            for _ in range(3):
                await anext(stream)
        for request in server.requests:
            await request.gone()
        assert len(server.requests) == 3
