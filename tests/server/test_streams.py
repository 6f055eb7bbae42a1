"""The raw event stream: heartbeat, disconnect, back pressure, a proper end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest

from dragoman.server.http import Call, EventStream, Route
from dragoman.server.streams import HEARTBEAT, send_stream

LONG = 10.0


class Client:
    """The other end, as ASGI callables: takes pieces while `reading` is set, stays until `leave`."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.complete = False
        self.gone = asyncio.Event()
        self.reading = asyncio.Event()
        self.reading.set()
        self.arrived = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        await self.reading.wait()
        if message["type"] == "http.response.body":
            self.sent.append(message["body"])
            self.complete = not message["more_body"]
            self.arrived.set()

    async def take(self, stream: EventStream, *, heartbeat: float = LONG, stall: float = LONG) -> bool:
        return await send_stream(stream, self.receive, self.send, heartbeat=heartbeat, stall=stall)


class Source:
    """Yields what is put in; knows how often it was asked and whether it was closed."""

    def __init__(self, *pieces: bytes | Exception, hold: bool = False) -> None:
        self.pieces = pieces
        self.hold = hold
        self.asked = 0
        self.closed = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            for piece in self.pieces:
                self.asked += 1
                if isinstance(piece, Exception):
                    raise piece
                yield piece
            if self.hold:
                await asyncio.Event().wait()
        finally:
            self.closed.set()


def stream(source: Source, **options: Any) -> EventStream:
    return EventStream(source.__aiter__(), **options)


async def test_all_pieces_arrive_and_the_body_is_ended() -> None:
    client, source = Client(), Source(b"a", b"b")
    assert await client.take(stream(source)) is True
    assert client.sent == [b"a", b"b", b""]
    assert client.complete
    assert source.closed.is_set()


@pytest.mark.requirement("KAI-35")
async def test_silence_is_broken_by_a_comment() -> None:
    client, source = Client(), Source(b"a", hold=True)
    running = asyncio.create_task(client.take(stream(source), heartbeat=0.01))
    async with asyncio.timeout(LONG):
        while client.sent.count(HEARTBEAT) < 2:
            client.arrived.clear()
            await client.arrived.wait()
    client.gone.set()
    assert await running is False
    assert client.sent[0] == b"a"
    assert HEARTBEAT == b": heartbeat\n\n"


async def test_a_stream_may_have_a_comment_of_its_own() -> None:
    client, source = Client(), Source(b"a", hold=True)
    running = asyncio.create_task(client.take(stream(source, comment=b": ping\n\n"), heartbeat=0.01))
    async with asyncio.timeout(LONG):
        while b": ping\n\n" not in client.sent:
            client.arrived.clear()
            await client.arrived.wait()
    client.gone.set()
    assert await running is False
    assert HEARTBEAT not in client.sent


async def test_without_heartbeats_nothing_is_added_and_who_does_not_read_is_still_dropped() -> None:
    client, source = Client(), Source(b"a", b"b", hold=True)
    client.reading.clear()
    async with asyncio.timeout(LONG):
        assert await client.take(stream(source), heartbeat=0, stall=0.05) is False
    assert source.closed.is_set()
    assert client.sent == []


async def test_a_stream_that_speaks_needs_no_heartbeat() -> None:
    client, count = Client(), 0

    async def busy() -> AsyncIterator[bytes]:
        nonlocal count
        deadline = asyncio.get_running_loop().time() + 0.1
        while asyncio.get_running_loop().time() < deadline:
            count += 1
            yield b"x"
            await asyncio.sleep(0)

    await client.take(EventStream(busy()), heartbeat=0.05)
    assert HEARTBEAT not in client.sent
    assert len(client.sent) == count + 1


async def test_a_client_that_leaves_closes_the_source() -> None:
    client, source = Client(), Source(b"a", hold=True)
    running = asyncio.create_task(client.take(stream(source)))
    await client.arrived.wait()
    client.gone.set()
    async with asyncio.timeout(LONG):
        assert await running is False
        await source.closed.wait()
    assert running.cancelling() == 0
    assert not client.complete


async def test_a_source_is_asked_only_as_fast_as_the_client_reads() -> None:
    client, source = Client(), Source(b"a", b"b", b"c")
    running = asyncio.create_task(client.take(stream(source)))
    await client.arrived.wait()
    client.reading.clear()
    for _ in range(20):
        await asyncio.sleep(0)
    assert source.asked == 2  # one piece arrived, one waits for the client
    client.reading.set()
    assert await running is True
    assert source.asked == 3


async def test_a_client_that_stops_reading_is_dropped() -> None:
    client, source = Client(), Source(b"a", b"b")
    running = asyncio.create_task(client.take(stream(source), heartbeat=0.01, stall=0.05))
    await client.arrived.wait()
    client.reading.clear()
    async with asyncio.timeout(LONG):
        assert await running is False
    assert source.closed.is_set()
    assert HEARTBEAT not in client.sent


async def test_a_broken_source_cuts_the_connection() -> None:
    client, source = Client(), Source(b"a", ValueError("broken"))
    with pytest.raises(ValueError, match="broken"):
        await client.take(stream(source))
    assert client.sent == [b"a"]
    assert not client.complete


async def test_a_broken_source_may_have_last_words() -> None:
    client, source = Client(), Source(b"a", ValueError("broken"))
    said = stream(source, on_error=lambda error: f"oops {error}".encode())
    assert await client.take(said) is True
    assert client.sent == [b"a", b"oops broken", b""]
    assert client.complete


async def test_cancelling_the_request_is_no_disconnect() -> None:
    client, source = Client(), Source(b"a", hold=True)
    running = asyncio.create_task(client.take(stream(source)))
    await client.arrived.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert source.closed.is_set()


async def test_a_source_that_never_waits_lets_others_run() -> None:
    client, turns = Client(), 0

    async def other() -> None:
        nonlocal turns
        while not client.complete:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(other())
    await client.take(stream(Source(*[b"x"] * 160)))
    await beside
    assert turns >= 10


# --------------------------------------------------------------------------- over sockets


class Flood:
    """Pieces without end; tells how many were taken, and when it was closed."""

    def __init__(self, piece: bytes) -> None:
        self.piece = piece
        self.taken = 0
        self.closed = threading.Event()

    async def __call__(self, call: Call) -> EventStream:
        return EventStream(self.pieces())

    async def pieces(self) -> AsyncIterator[bytes]:
        try:
            while True:
                self.taken += 1
                yield self.piece
        finally:
            self.closed.set()


async def silence(call: Call) -> EventStream:
    async def pieces() -> AsyncIterator[bytes]:
        yield b": open\n\n"
        await asyncio.Event().wait()

    return EventStream(pieces(), headers={"X-Wire": "v1"}, run_id="run-1", heartbeat=0.02)


def test_a_heartbeat_crosses_the_network(serve_live: Callable[..., Any], probe: Callable[..., str]) -> None:
    live = serve_live(settings={"faces": [probe(Route("GET", "/silence", silence, streams=True))]})
    with live.client.stream("GET", "/silence") as answer:
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["x-accel-buffering"] == "no"
        assert answer.headers["x-wire"] == "v1"
        assert answer.headers["x-dragoman-run"] == "run-1"
        lines = answer.iter_lines()
        found = [next(lines) for _ in range(5)]
    assert found == [": open", "", ": heartbeat", "", ": heartbeat"]


def test_a_lost_connection_closes_the_source(serve_live: Callable[..., Any], probe: Callable[..., str]) -> None:
    flood = Flood(b"data: x\n\n")
    live = serve_live(settings={"faces": [probe(Route("GET", "/flood", flood, streams=True))]})
    with live.get("/flood") as connection:
        assert connection.recv(1000)
    assert flood.closed.wait(LONG)


def test_a_slow_reader_holds_the_source_back(serve_live: Callable[..., Any], probe: Callable[..., str]) -> None:
    flood = Flood(b"data: " + b"x" * 65_536 + b"\n\n")
    settings = {"faces": [probe(Route("GET", "/flood", flood))], "limits.stall_seconds": 0.3}
    live = serve_live(settings={**settings, "limits.heartbeat_seconds": 0.1})
    with live.get("/flood", receive_buffer=4096) as connection:
        assert connection.recv(1000)
        assert flood.closed.wait(LONG)  # it stalled, and was dropped
    assert flood.taken < 400  # what fits into the buffers of sockets; the source has no end


def test_head_of_a_stream_has_no_body(serve_live: Callable[..., Any], probe: Callable[..., str]) -> None:
    flood = Flood(b"data: x\n\n")
    live = serve_live(settings={"faces": [probe(Route("GET", "/flood", flood, streams=True))]})
    answer = live.client.head("/flood")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert live.client.get("/health/live").status_code == 200


def test_a_source_that_breaks_leaves_an_answer_that_is_not_complete(
    serve_live: Callable[..., Any], probe: Callable[..., str]
) -> None:
    async def breaks(call: Call) -> EventStream:
        return EventStream(Source(b"data: x\n\n", ValueError("secret detail")).__aiter__())

    live = serve_live(settings={"faces": [probe(Route("GET", "/breaks", breaks, streams=True))]})
    with pytest.raises(httpx2.RemoteProtocolError), live.client.stream("GET", "/breaks") as answer:
        b"".join(answer.iter_bytes())


@pytest.mark.requirement("CORE-06")
def test_last_words_reach_the_client_and_the_error_the_log(
    serve_live: Callable[..., Any], probe: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    async def breaks(call: Call) -> EventStream:
        source = Source(b"data: x\n\n", ValueError("secret detail"))
        return EventStream(source.__aiter__(), on_error=lambda error: b"event: error\n\n", run_id="run-3")

    live = serve_live(settings={"faces": [probe(Route("GET", "/breaks", breaks, streams=True))]})
    assert live.client.get("/breaks").content == b"data: x\n\nevent: error\n\n"
    [record] = [r for r in caplog.records if r.getMessage() == "request failed"]
    assert record.__dict__["run"] == "run-3"
    assert record.exc_info is not None
