"""The client on trio, over real sockets; the provider runs on asyncio in a thread beside it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import anyio
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from tests.ai.client.acme import END, call_of, delta, manifest, refusal, whole
from tests.ai.wires.server import HOLD, Provider, Received, Reply, Step, serving

from dragoman.ai.client import AiClient, CancellableStream, CancelReason, CancelToken, create_cancel_pair
from dragoman.ai.errors import AiLibError, RemoteError, TransportError
from dragoman.ai.protocol import ProtocolLoader
from dragoman.ai.resilience import BackpressureConfig, CircuitBreakerConfig, ResilientConfig, RetryConfig

# trio speaks up for generators inside the HTTP library that end with their connection, not by being closed
pytestmark = pytest.mark.filterwarnings("ignore:Async generator 'http(core|x)2:ResourceWarning")

SIMULATED = {"multi_candidate": {"support_type": "simulated"}}


@pytest.fixture
def anyio_backend() -> Any:
    return ("trio", {})


class Far:
    """A provider whose loop is another one."""

    def __init__(self, provider: Provider, portal: BlockingPortal) -> None:
        self._provider, self._portal = provider, portal
        self.url = provider.url

    @property
    def requests(self) -> list[Received]:
        return self._provider.requests

    async def arrived(self, count: int = 1) -> None:
        await anyio.to_thread.run_sync(lambda: self._portal.call(self._provider.arrived, count))

    async def gone(self, number: int = 0) -> None:
        await anyio.to_thread.run_sync(lambda: self._portal.call(self.requests[number].gone))


@contextmanager
def far(answering: Any) -> Iterator[Far]:
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(serving(answering)) as provider,
    ):
        yield Far(provider, portal)


@asynccontextmanager
async def talking(answering: Any, *, changes: Any = None, **settings: Any) -> AsyncIterator[tuple[Far, AiClient]]:
    with far(answering) as server:
        made = manifest(**(changes or {}))
        async with await AiClient.from_manifest(made, "acme-1", base_url=server.url, **settings) as client:
            yield server, client


def saying(*steps: Step, **options: Any) -> Reply:
    return Reply(steps, headers={"content-type": "text/event-stream"}, **options)


def plain(response: Any) -> Reply:
    return Reply.json(json.loads(response.body), response.status)


WAITING = (delta("a"), HOLD, delta("b"), *END)


@pytest.mark.requirement("AIP-51")
async def test_plain_calls_streams_and_tools() -> None:
    replies = [plain(whole("Hi")), saying(delta("Hel"), delta("lo"), *END)]
    replies += [plain(whole(calls=[call_of("city", "{}")])), plain(whole("Done"))]
    async with talking(replies) as (_, client):
        assert (await client.chat().user("x").execute()).content == "Hi"
        assert (await client.chat().user("x").collect()).content == "Hello"

        def city() -> str:
            return "Rome"

        assert (await client.chat().user("x").run_tools([city])).content == "Done"


@pytest.mark.requirement("AIP-57")
@pytest.mark.parametrize("hold", [False, True], ids=["between events", "before any"])
async def test_cancelling_interrupts_a_pending_read(hold: bool) -> None:
    async with talking([saying(*WAITING, hold=hold)]) as (server, client):
        handle, token = create_cancel_pair()
        seen: list[Any] = []
        said: list[CancelReason] = []

        async def noted(reason: CancelReason) -> None:
            said.append(reason)

        handle.on_cancel(noted)
        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:

                async def read() -> None:
                    async for event in client.chat().user("x").cancel(token).stream():
                        seen.append(event)

                tasks.start_soon(read)
                await server.arrived()
                while not seen and not hold:
                    await anyio.lowlevel.checkpoint()
                handle.cancel()
            await server.gone()
            while not said:
                await anyio.lowlevel.checkpoint()
        assert len(seen) == (0 if hold else 1)
        assert said == ["user_request"]


@pytest.mark.requirement("AIP-57")
async def test_a_tokens_timeout_ends_a_waiting_stream_and_a_plain_call() -> None:
    async with talking([saying(*WAITING), saying(hold=True), saying(*WAITING)]) as (server, client):
        events = [event async for event in client.chat().user("x").cancel(CancelToken(timeout=0.05)).stream()]
        assert len(events) == 1
        with pytest.raises(AiLibError, match="timeout"):
            await client.chat().user("x").cancel(CancelToken(timeout=0.05)).execute()
        wrapped = CancellableStream[Any](client.chat().user("x").stream(), CancelToken(timeout=0.1))
        assert len([event async for event in wrapped]) == 1
        for number in range(3):
            await server.gone(number)


@pytest.mark.requirement("AIP-56")
async def test_a_tokens_timeout_cancels_when_nobody_waits() -> None:
    called = anyio.Event()
    token = CancelToken(timeout=0.02).on_cancel(lambda reason: called.set())
    with anyio.fail_after(5):
        await called.wait()
    assert token.reason is CancelReason.TIMEOUT


@pytest.mark.requirement("AIP-35")
async def test_leaving_closing_and_being_cancelled_close_the_connection() -> None:
    async with talking(lambda request: saying(*WAITING)) as (server, client):
        async with client.chat().user("x").stream() as stream:
            async for _ in stream:
                break
        await server.gone(0)

        with anyio.move_on_after(0.05):
            await client.chat().user("x").collect()
        await server.gone(1)

        closing = client.chat().user("x").stream()
        await anext(closing)
        ended: list[BaseException] = []

        async def read() -> None:
            try:
                await anext(closing)
            except (AiLibError, StopAsyncIteration) as error:
                ended.append(error)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await anyio.wait_all_tasks_blocked()
            await client.close()
        assert len(ended) == 1
        await server.gone(2)


@pytest.mark.requirement("AIP-52")
async def test_policies_and_fallbacks() -> None:
    with (
        far([plain(refusal(500)), plain(refusal(500)), plain(refusal(429)), plain(refusal(429))]) as first,
        far(lambda request: saying(delta("Hi"), *END)) as second,
    ):
        loader = ProtocolLoader()
        for made in (manifest(base_url=first.url), manifest("other", base_url=second.url)):
            loader.register_provider(dict(made.raw))
        builder = AiClient.builder().loader(loader).model("acme/acme-1").with_fallbacks(["other/other-1"])
        policies = ResilientConfig(
            retry=RetryConfig(max_retries=1, min_delay_ms=1),
            circuit_breaker=CircuitBreakerConfig(failure_threshold=2, timeout_seconds=20),
            backpressure=BackpressureConfig(max_concurrent=1, queue_timeout=20),
        )
        async with await builder.with_resilience(policies).build() as client:
            stream, stats = await client.chat().user("x").stream_with_stats()
            assert (await stream.collect()).content == "Hi"
            assert (stats.retry_count, stats.provider, client.circuit_state) == (1, "other", "open")
            assert (await client.chat().user("x").collect()).content == "Hi"
            client.reset_resilience()
            assert (await client.chat().user("x").collect()).content == "Hi"
            assert len(first.requests) == 4


@pytest.mark.requirement("AIP-34")
async def test_parallel_streams_mix_nothing() -> None:
    def answer(request: Received) -> Reply:
        name = request.json()["messages"][0]["content"]
        return saying(*(delta(f"{name}:{number} ") for number in range(5)), *END)

    async with talking(answer) as (_, client):
        answers: dict[str, str] = {}

        async def ask(name: str) -> None:
            answers[name] = (await client.chat().user(name).collect()).content

        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                for number in range(20):
                    tasks.start_soon(ask, f"n{number}")
        assert answers == {f"n{k}": "".join(f"n{k}:{number} " for number in range(5)) for k in range(20)}


@pytest.mark.requirement("AIP-26", "AIP-35")
async def test_simulated_candidates_come_one_after_the_other() -> None:
    replies = [saying(delta("a"), *END), saying(delta("b"), *END), plain(whole("c")), plain(whole("d"))]
    async with talking([*replies, saying(*WAITING)], changes={"features": SIMULATED}) as (server, client):
        response = await client.chat().user("x").n(2).collect()
        assert [one.content for one in response.candidates] == ["a", "b"]
        response = await client.chat().user("x").n(2).execute()
        assert sorted(one.content for one in response.candidates) == ["c", "d"]
        async with client.chat().user("x").n(2).stream() as stream:
            async for _ in stream:
                break
        await server.gone(4)
        assert len(server.requests) == 5


@pytest.mark.requirement("AIP-63")
async def test_faults_of_the_network_and_error_answers() -> None:
    async with talking([plain(refusal(400)), saying(hold=True)], timeout=0.2) as (_, client):
        with pytest.raises(RemoteError):
            await client.chat().user("x").execute()
        with pytest.raises(TransportError) as caught:
            await client.chat().user("x").collect()
        assert caught.value.kind == "timeout_read"
    with far([]) as nobody:
        url = nobody.url
    async with await AiClient.from_manifest(manifest(), "acme-1", base_url=url) as client:
        with pytest.raises(TransportError) as caught:
            await client.chat().user("x").execute()
        assert caught.value.kind == "connect"
