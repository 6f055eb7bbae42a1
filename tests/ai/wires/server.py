"""A provider's HTTP server for tests: real sockets, an asyncio protocol, and answers that are prebuilt bytes.

It knows HTTP/1.1 and nothing of any provider: an answer is a head and steps, and a step is bytes, a
hold until the test releases it, or a cut of the connection. Each request is kept with what came,
and says when its connection is gone. One server lives in one event loop, on a free port.

    async with serving(lambda request: Reply([b"data: 1\\n\\n", HOLD, b"data: 2\\n\\n"])) as server:
        ...
        server.release()
"""

from __future__ import annotations

import asyncio
import functools
import json
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

SECONDS = 10.0

SOON = 0.1
"""Seconds within which a provider sees that its answer is not wanted any more."""

MEASURED = 5


class TooLateError(AssertionError):
    """A provider saw too late that it was left."""


async def gone_soon(request: Received, since: float) -> None:
    """Its connection is gone within `SOON` since then, in the loop's time. Raises TooLateError."""
    seconds = await request.gone() - since
    if seconds >= SOON:
        raise TooLateError(f"the provider saw after {seconds:.3f} s that it was left")


def measured_again(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """A test that was too late is played again, up to five times in all: a busy machine's pauses are not the client's."""

    @functools.wraps(test)
    async def play(*arguments: Any, **named: Any) -> None:
        for _ in range(MEASURED - 1):
            try:
                return await test(*arguments, **named)
            except TooLateError:
                pass
        return await test(*arguments, **named)

    return play


class Stop(Enum):
    """Steps that are no bytes."""

    HOLD = "wait until the test says `release()`"
    CUT = "abort the connection"


HOLD, CUT = Stop.HOLD, Stop.CUT
Step: TypeAlias = bytes | Stop


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer; each step of bytes is one write, and one HTTP chunk.

    `hold` keeps back even the head. `coding` compresses the steps, flushed after each. A `raw` answer
    is its steps and nothing else, head included, and then the connection is closed.
    """

    steps: Sequence[Step] = ()
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    framing: Literal["chunked", "length", "close", "raw"] = "chunked"
    coding: Literal["", "gzip"] = ""
    hold: bool = False

    @classmethod
    def json(cls, value: Any, status: int = 200, **headers: str) -> Reply:
        """A whole answer of JSON; `retry_after="2"` becomes the header `retry-after`."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        body = json.dumps(value, ensure_ascii=False).encode()
        return cls([body], status, {"content-type": "application/json", **named}, "length")


class Received:
    """A request as it came, and the fate of its connection."""

    def __init__(self, head: bytes, body: bytes, connection: int) -> None:
        first, *lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, _ = first.split(" ")
        self.headers = {name.strip().lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
        self.body = body
        self.connection = connection
        """The number of the connection it came on, counted from 0."""
        self.closed = asyncio.Event()
        """Set when that connection is gone."""
        self.closed_at = 0.0

    @property
    def raw_path(self) -> str:
        return urlsplit(self.target).path

    @property
    def path(self) -> str:
        return unquote(self.raw_path)

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    def json(self) -> Any:
        return json.loads(self.body)

    async def gone(self, seconds: float = SECONDS) -> float:
        """When its connection closed, on the loop's clock; fails if that does not happen in time."""
        async with asyncio.timeout(seconds):
            await self.closed.wait()
        return self.closed_at


Answering: TypeAlias = Callable[[Received], Reply]


class Provider:
    """A listening server; `requests` holds everything that was asked, in the order of arrival."""

    def __init__(self, answering: Answering | Sequence[Reply]) -> None:
        self.requests: list[Received] = []
        self.connections: list[Connection] = []
        self.answering = answering if callable(answering) else _in_turn(answering)
        self.url = ""
        self._gate = asyncio.Event()
        self._arrived = asyncio.Condition()

    @property
    def open_connections(self) -> int:
        return sum(not connection.transport.is_closing() for connection in self.connections)

    def release(self) -> None:
        """Let every answer that holds go on, now and later."""
        self._gate.set()

    async def arrived(self, count: int = 1, seconds: float = SECONDS) -> Received:
        """The request of that number, counted from 1, as soon as it is here."""
        async with asyncio.timeout(seconds), self._arrived:
            await self._arrived.wait_for(lambda: len(self.requests) >= count)
        return self.requests[count - 1]

    def close_idle(self) -> None:
        """Close every connection from this side, as a server does with those that idle."""
        for connection in self.connections:
            connection.transport.close()

    async def take(self, request: Received) -> Reply:
        self.requests.append(request)
        async with self._arrived:
            self._arrived.notify_all()
        return self.answering(request)

    async def gate(self) -> None:
        await self._gate.wait()


class Connection(asyncio.Protocol):
    """One connection; its requests are answered one after the other."""

    transport: asyncio.Transport

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._number = len(provider.connections)
        self._buffer = b""
        self._open: list[Received] = []
        self._queue: asyncio.Queue[Received] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._provider.connections.append(self)
        self._task = asyncio.get_running_loop().create_task(self._serve())

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (request := self._next()) is not None:
            self._open.append(request)
            self._queue.put_nowait(request)

    def connection_lost(self, error: Exception | None) -> None:
        if self._task is not None:
            self._task.cancel()
        for request in self._open:
            request.closed_at = asyncio.get_running_loop().time()
            request.closed.set()

    def _next(self) -> Received | None:
        head, blank, rest = self._buffer.partition(b"\r\n\r\n")
        if not blank:
            return None
        body = _body(head, rest)
        if body is None:
            return None
        self._buffer = rest[body[1] :]
        return Received(head, body[0], self._number)

    async def _serve(self) -> None:
        while True:
            request = await self._queue.get()
            reply = await self._provider.take(request)
            if not await self._answer(request, reply):
                return

    async def _answer(self, request: Received, reply: Reply) -> bool:
        """Write one answer; False when the connection is done for."""
        write = self.transport.write
        if reply.hold:
            await self._provider.gate()
        steps, bodiless = _framed(reply), reply.status in (204, 304)
        if reply.framing != "raw":
            write(_head(reply, steps, bodiless))
        for step in () if bodiless else steps:
            if step is HOLD:
                await self._provider.gate()
            elif step is CUT:
                self.transport.abort()
                return False
            elif isinstance(step, bytes) and step:
                write(b"%x\r\n%b\r\n" % (len(step), step) if reply.framing == "chunked" else step)
                await asyncio.sleep(0)  # so that each step is a write of its own
        if reply.framing == "chunked" and not bodiless:
            write(b"0\r\n\r\n")
        if reply.framing in ("close", "raw") or request.headers.get("connection", "").lower() == "close":
            self.transport.close()
            return False
        return True


@asynccontextmanager
async def serving(answering: Answering | Sequence[Reply], *, host: str = "127.0.0.1") -> AsyncIterator[Provider]:
    """A server of its own; at the end every connection is cut."""
    provider = Provider(answering)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(provider), host, 0)
    port = server.sockets[0].getsockname()[1]
    provider.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    try:
        yield provider
    finally:
        server.close()
        for connection in provider.connections:
            connection.transport.abort()
        await asyncio.sleep(0)  # the transports tell their protocols
        await server.wait_closed()


def pieces(data: bytes, size: int) -> list[bytes]:
    """The bytes cut into steps of one size."""
    return [data[start : start + size] for start in range(0, len(data), size)]


def _in_turn(replies: Sequence[Reply]) -> Answering:
    rest = list(replies)
    return lambda request: rest.pop(0) if rest else Reply.json({"error": "the script has no answer left"}, 599)


def _body(head: bytes, rest: bytes) -> tuple[bytes, int] | None:
    """The body and its length on the wire, or None while some of it is missing."""
    fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:] if b":" in line)
    if b"chunked" in fields.get(b"transfer-encoding", b""):
        return _unchunked(rest)
    length = int(fields.get(b"content-length", b"0"))
    return (rest[:length], length) if len(rest) >= length else None


def _unchunked(rest: bytes) -> tuple[bytes, int] | None:
    body, place = b"", 0
    while True:
        line, found, _ = rest[place:].partition(b"\r\n")
        if not found:
            return None
        size, start = int(line, 16), place + len(line) + 2
        if len(rest) < start + size + 2:
            return None
        body, place = body + rest[start : start + size], start + size + 2
        if size == 0:
            return body, place


def _framed(reply: Reply) -> list[Step]:
    if not reply.coding:
        return list(reply.steps)
    packer = zlib.compressobj(wbits=31)
    packed: list[Step] = [
        packer.compress(step) + packer.flush(zlib.Z_SYNC_FLUSH) if isinstance(step, bytes) else step
        for step in reply.steps
    ]
    return [*packed, packer.flush()]


def _head(reply: Reply, steps: Sequence[Step], bodiless: bool) -> bytes:
    fields = {"content-type": "text/event-stream"} | {name.lower(): text for name, text in reply.headers.items()}
    if reply.coding:
        fields["content-encoding"] = reply.coding
    if bodiless:
        del fields["content-type"]
    elif reply.framing == "chunked":
        fields["transfer-encoding"] = "chunked"
    elif reply.framing == "length":
        fields["content-length"] = str(sum(len(step) for step in steps if isinstance(step, bytes)))
    else:
        fields["connection"] = "close"
    lines = [f"HTTP/1.1 {reply.status} Status", *(f"{name}: {text}" for name, text in fields.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
