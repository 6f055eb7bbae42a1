"""What goes wrong between client and server, over real sockets and by script."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from tests.kai.faults import Exchange, FaultServer, serving
from tests.kai.shells import FINISH, Shell, answer, scripted, sse, streamed

from dragoman.core.errors import ConnectionFailed, ConnectionLost, ProtocolError, TimedOut, TransportError
from dragoman.kai import (
    KaiClient,
    KaiClientSync,
    KaiConnectionError,
    KaiError,
    KaiStreamError,
    KaiTimeoutError,
    SSEEvent,
    TextEvent,
)
from dragoman.transport.scripted import Reply
from dragoman.wire.http import Headers

HI = {"type": "text-delta", "delta": "hi"}
OPEN = sse(HI).removesuffix(b"data: [DONE]\n\n")

pytestmark = pytest.mark.requirement("KAI-17")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Both:
    """Each client over a real socket; the blocking one in a thread, since the server shares the loop."""

    def __init__(self, blocking: bool) -> None:
        self.blocking = blocking

    async def plain(self, url: str, **options: Any) -> Any:
        if not self.blocking:
            async with KaiClient("t", "u", url, **options) as client:
                return await client.get_chat("c")

        def call() -> Any:
            with KaiClientSync("t", "u", url, **options) as client:
                return client.get_chat("c")

        return await asyncio.to_thread(call)

    async def stream(self, url: str, seen: list[SSEEvent], **options: Any) -> None:
        if not self.blocking:
            async with KaiClient("t", "u", url, **options) as client:
                async for event in client.send_message("c", "x"):
                    seen.append(event)
            return

        def call() -> None:
            with KaiClientSync("t", "u", url, **options) as client:
                for event in client.send_message("c", "x"):
                    seen.append(event)

        await asyncio.to_thread(call)


@pytest.fixture(params=[False, True], ids=["awaiting", "blocking"])
def both(request: pytest.FixtureRequest) -> Both:
    return Both(request.param)


def has_transport_cause(error: KaiError) -> bool:
    """The transport's error is the cause, and the HTTP library's is behind that."""
    return isinstance(error.__cause__, TransportError) and error.__cause__.__cause__ is not None


async def test_no_connection(both: Both) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(KaiConnectionError, match="Failed to connect to http://127") as plain:
        await both.plain(url)
    with pytest.raises(KaiConnectionError) as stream:
        await both.stream(url, [])
    for caught in (plain, stream):
        assert isinstance(caught.value.__cause__, ConnectionFailed)
        assert has_transport_cause(caught.value)
        assert caught.value.cause
        assert caught.value.retryable


async def test_no_answer_in_time(both: Both) -> None:
    async with serving(Exchange.until_hangup) as server:
        with pytest.raises(KaiTimeoutError, match="timed out") as plain:
            await both.plain(server.url, timeout=0.05)
        with pytest.raises(KaiTimeoutError, match="timed out") as stream:
            await both.stream(server.url, [], stream_timeout=0.05)
    assert has_transport_cause(plain.value)
    assert isinstance(stream.value.__cause__, TimedOut)


async def test_a_reset_before_the_answer(both: Both) -> None:
    async with serving(Exchange.reset) as server:
        with pytest.raises(KaiConnectionError) as plain:
            await both.plain(server.url)
        with pytest.raises(KaiConnectionError):
            await both.stream(server.url, [])
    assert has_transport_cause(plain.value)


async def test_an_answer_that_is_no_http(both: Both) -> None:
    async with serving(lambda exchange: exchange.raw(b"SSH-2.0-OpenSSH\r\n\r\n")) as server:
        with pytest.raises(KaiConnectionError) as caught:
            await both.plain(server.url)
    assert has_transport_cause(caught.value)


async def test_a_body_cut_short(both: Both) -> None:
    def cut(exchange: Exchange) -> None:
        exchange.head("200 OK", "content-type: application/json", "content-length: 100")
        exchange.raw(b'{"id"')

    async with serving(cut) as server:
        with pytest.raises(KaiConnectionError):
            await both.plain(server.url)


async def test_a_pause_within_a_stream_beyond_the_limit(both: Both) -> None:
    async def pause(exchange: Exchange) -> None:
        exchange.begin_stream(OPEN)
        await exchange.until_hangup()

    seen: list[SSEEvent] = []
    async with serving(pause) as server:
        with pytest.raises(KaiTimeoutError, match="timed out") as caught:
            await both.stream(server.url, seen, stream_timeout=0.1)
        await asyncio.wait_for(server.hung_up.wait(), 5)
    assert seen == [TextEvent(text="hi")]
    assert (caught.value.partial.events, caught.value.partial.text) == (1, "hi")
    assert has_transport_cause(caught.value)


@pytest.mark.parametrize("ending", [Exchange.reset, lambda exchange: None], ids=["reset", "end"])
async def test_a_connection_that_breaks_within_a_stream(both: Both, ending: Any) -> None:
    go = asyncio.Event()

    async def breaking(exchange: Exchange) -> None:
        exchange.begin_stream(OPEN)
        await exchange.writer.drain()
        await asyncio.wait_for(go.wait(), 5)
        ending(exchange)

    class Seen(list[SSEEvent]):
        def append(self, event: SSEEvent) -> None:
            super().append(event)
            loop.call_soon_threadsafe(go.set)

    loop = asyncio.get_running_loop()
    seen = Seen()
    async with serving(breaking) as server:
        with pytest.raises(KaiStreamError) as caught:
            await both.stream(server.url, seen)
    assert seen == [TextEvent(text="hi")]
    assert (caught.value.code, caught.value.partial_text) == ("stream:connection_lost", "hi")
    assert isinstance(caught.value.__cause__, ConnectionLost)
    assert has_transport_cause(caught.value)


async def test_a_stream_that_just_ends(both: Both) -> None:
    def ending(exchange: Exchange) -> None:
        exchange.begin_stream(OPEN)
        exchange.end_stream()

    async with serving(ending) as server:
        with pytest.raises(KaiStreamError, match="without a finish") as caught:
            await both.stream(server.url, [])
        seen: list[SSEEvent] = []
        await both.stream(server.url, seen, strict_end=False)
    assert (caught.value.code, caught.value.partial_text) == ("stream:truncated", "hi")
    assert seen == [TextEvent(text="hi")]


@pytest.mark.parametrize("last", [FINISH, {"type": "abort"}, {"type": "error", "errorText": "x"}])
async def test_a_proper_end_is_a_finish_an_abort_or_an_error(shell: Shell, last: dict[str, Any]) -> None:
    events = await shell.events(shell.client(scripted(streamed(HI, last))).send_message, "c", "x")
    assert len(events) == 2


@pytest.mark.parametrize("chunks", [[], [HI], [HI, {"type": "finish-step"}]])
async def test_anything_else_is_a_truncated_stream(shell: Shell, chunks: list[dict[str, Any]]) -> None:
    for method, arguments in (("send_message", ("c", "x")), ("resume_stream", ("c",))):
        client = shell.client(scripted(streamed(*chunks)))
        with pytest.raises(KaiStreamError) as caught:
            await shell.events(getattr(client, method), *arguments)
        assert (caught.value.code, caught.value.partial.events) == ("stream:truncated", len(chunks))
    client = shell.client(scripted(streamed(*chunks)))
    assert len(await shell.events(client.send_message, "c", "x", strict_end=False)) == len(chunks)


@pytest.mark.parametrize("fault", [ProtocolError("bad framing"), ConnectionLost("gone")])
async def test_every_fault_of_a_port_is_wrapped(shell: Shell, fault: Exception) -> None:
    client = shell.client(scripted(fault, fault, Reply([OPEN, fault])))
    with pytest.raises(KaiConnectionError) as caught:
        await shell.call(client.get_chat, "c")
    assert caught.value.__cause__ is fault
    with pytest.raises(KaiConnectionError):
        await shell.events(client.send_message, "c", "x")
    with pytest.raises(KaiStreamError) as stream:
        await shell.events(client.send_message, "c", "x")
    assert stream.value.__cause__ is fault


async def test_a_password_in_the_url_is_not_told(shell: Shell) -> None:
    client = shell.client(scripted(ConnectionFailed("no")), base="http://user:hunter2@kai.example:81/x")
    with pytest.raises(KaiConnectionError) as caught:
        await shell.call(client.ping)
    assert str(caught.value) == "Failed to connect to http://kai.example:81 (cause: no)"


@pytest.mark.parametrize("body", ["<html>", "", "[]", "null", '{"id": 5}', '"x"'])
async def test_a_2xx_with_an_unusable_body(shell: Shell, body: str) -> None:
    with pytest.raises(KaiError) as caught:
        await shell.call(shell.client(scripted(answer(body))).get_chat, "c")
    assert type(caught.value) is KaiError
    assert (caught.value.code, caught.value.status_code) == ("http:invalid_body", 200)


@pytest.mark.parametrize("status", [301, 302, 304, 307, 308])
async def test_a_redirect_is_an_error_and_not_followed(shell: Shell, status: int) -> None:
    io = scripted(
        answer("", status, location="https://login.example/"),
        Reply([], status, Headers({"location": "https://login.example/"})),
    )
    client = shell.client(io)
    with pytest.raises(KaiError, match=r"login\.example") as plain:
        await shell.call(client.get_chat, "c")
    with pytest.raises(KaiError) as stream:
        await shell.events(client.send_message, "c", "x")
    assert [caught.value.code for caught in (plain, stream)] == [f"http:{status}"] * 2
    assert len(io.requests) == 2


@pytest.mark.parametrize("content_type", ["text/html; charset=utf-8", "application/json", "text/plain"])
async def test_a_login_page_is_not_an_empty_answer(shell: Shell, content_type: str) -> None:
    io = scripted(streamed(FINISH, content_type=content_type))
    with pytest.raises(KaiStreamError, match="event stream") as caught:
        await shell.events(shell.client(io).send_message, "c", "x")
    assert caught.value.code == "stream:content_type"
    assert io.open_streams == []


@pytest.mark.parametrize("content_type", ["text/event-stream", "Text/Event-Stream;charset=UTF-8", None])
async def test_an_event_stream_is_known_by_its_type(shell: Shell, content_type: str | None) -> None:
    client = shell.client(scripted(streamed(FINISH, content_type=content_type)))
    assert len(await shell.events(client.send_message, "c", "x")) == 1


# ------------------------------------------------------------------------------ letting go


@pytest.mark.requirement("KAI-19")
async def test_leaving_the_loop_closes_the_connection(shell: Shell) -> None:
    io = scripted(Reply([OPEN, 3600.0, OPEN]))
    event = await shell.first(shell.client(io, stream_timeout=9999.0).send_message, "c", "x")
    assert event == TextEvent(text="hi")
    assert io.open_streams == []
    assert io.now() == 0.0


async def endless(exchange: Exchange) -> None:
    exchange.begin_stream(OPEN)
    await exchange.writer.drain()
    await exchange.until_hangup()


async def let_go(server: FaultServer) -> None:
    await asyncio.wait_for(server.hung_up.wait(), 5)


@pytest.mark.requirement("KAI-19")
async def test_a_plain_break_closes_the_connection_at_the_server() -> None:
    async with serving(endless) as server:
        client = KaiClient("t", "u", server.url)
        async for _ in client.send_message("c", "x"):
            break
        await let_go(server)
        await client.close()


@pytest.mark.requirement("KAI-19")
async def test_dropping_a_blocking_stream_closes_the_connection_at_the_server() -> None:
    async with serving(endless) as server:

        def read_one() -> None:
            client = KaiClientSync("t", "u", server.url)
            for _ in client.send_message("c", "x"):
                break

        await asyncio.to_thread(read_one)
        await let_go(server)


@pytest.mark.requirement("KAI-19")
async def test_a_cancelled_reader_closes_the_connection() -> None:
    reading = asyncio.Event()

    async with serving(endless) as server:
        client = KaiClient("t", "u", server.url)

        async def read() -> None:
            async for _ in client.send_message("c", "x"):
                reading.set()

        task = asyncio.create_task(read())
        await asyncio.wait_for(reading.wait(), 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await let_go(server)
        await client.close()


@pytest.mark.requirement("KAI-19")
async def test_a_cancelled_plain_call_leaves_the_client_usable() -> None:
    held = asyncio.Event()

    async def slow_once(exchange: Exchange) -> None:
        if not held.is_set():
            held.set()
            await exchange.until_hangup()
        else:
            exchange.json({"id": "c"})

    async with serving(slow_once) as server, KaiClient("t", "u", server.url) as client:
        task = asyncio.create_task(client.get_chat("c"))
        await asyncio.wait_for(held.wait(), 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await client.get_chat("c")).id == "c"


@pytest.mark.requirement("KAI-19")
async def test_a_stream_read_to_its_end_leaves_its_connection_for_the_next_call() -> None:
    def answering(exchange: Exchange) -> None:
        exchange.begin_stream(sse(HI, FINISH))
        exchange.end_stream()

    async with serving(answering) as server, KaiClient("t", "u", server.url) as client:
        for _ in range(5):
            assert [event.type async for event in client.send_message("c", "x")] == ["text", "finish"]
        assert server.connections == 1


@pytest.mark.requirement("KAI-19")
async def test_many_streams_at_once() -> None:
    def answering(exchange: Exchange) -> None:
        exchange.begin_stream(sse(HI, FINISH))
        exchange.end_stream()

    async with serving(answering) as server, KaiClient("t", "u", server.url) as client:
        answers = await asyncio.gather(*(client.chat("x") for _ in range(20)))
    assert {text for _, text in answers} == {"hi"}
    assert len({id for id, _ in answers}) == 20
