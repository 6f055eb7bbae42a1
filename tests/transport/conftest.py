"""A raw loopback server that behaves as badly as a test asks, and the two shells to try on it."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import anyio
import pytest

from dragoman.transport.drivers import AsyncDriver, BlockingDriver
from dragoman.transport.io import run_blocking

T = TypeVar("T")

PATIENCE = 20.0
"""Seconds after which anything that waits gives up."""


class Visitor:
    """One connection as a handler sees it: the request, and ways to answer."""

    def __init__(self, server: Loopback, connection: socket.socket) -> None:
        self.server = server
        self.connection = connection
        self.method = self.path = ""
        self.headers: dict[str, str] = {}
        self.body = b""
        self._rest = b""

    def read_request(self) -> bool:
        data = self._rest
        while b"\r\n\r\n" not in data:
            more = self.connection.recv(65536)
            if not more:
                return False
            data += more
        head, _, data = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        self.method, self.path, _ = first.split(" ")
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        length = int(self.headers.get("content-length", 0)) if self.server.read_bodies else 0
        pieces, size = [data], len(data)
        while size < length:
            pieces.append(self.connection.recv(65536))
            size += len(pieces[-1])
            if not pieces[-1]:
                return False
        data = b"".join(pieces)
        self.body, self._rest = data[:length], data[length:]
        return True

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def answer(self, body: bytes = b"", *headers: str, status: str = "200 OK") -> None:
        lines = [f"HTTP/1.1 {status}", *headers, f"content-length: {len(body)}", "", ""]
        self.send("\r\n".join(lines).encode("latin-1") + (b"" if self.method == "HEAD" else body))

    def begin_chunks(self, *chunks: bytes) -> None:
        self.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        for chunk in chunks:
            self.chunk(chunk)

    def chunk(self, data: bytes) -> None:
        self.send(b"%x\r\n%s\r\n" % (len(data), data))

    def wait_for_go(self) -> None:
        assert self.server.go.wait(PATIENCE), "the test never said go"

    def wait_for_hangup(self) -> None:
        """Be silent until the client closes the connection."""
        with contextlib.suppress(ConnectionError):
            while self.connection.recv(65536):
                pass
        self.server.hung_up.set()

    def reset(self) -> None:
        """Close with RST, as a crashed peer does."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


class Loopback:
    """Serves `handler` on a free port, one thread per connection, until the test ends."""

    def __init__(self) -> None:
        self.handler: Callable[[Visitor], object] = lambda visitor: visitor.answer(b"hello")
        self.read_bodies = True
        self.go = threading.Event()
        self.hung_up = threading.Event()
        self.connections: list[socket.socket] = []
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                connection.settimeout(PATIENCE)
                self.connections.append(connection)
                thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        visitor = Visitor(self, connection)
        with connection, contextlib.suppress(OSError):
            while visitor.read_request():
                self.requests.append((visitor.method, visitor.path, visitor.headers, visitor.body))
                self.handler(visitor)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.go.set()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()


@pytest.fixture
def server() -> Iterator[Loopback]:
    loopback = Loopback()
    yield loopback
    loopback.close()


class Shell:
    """Runs an operation over one of the two drivers, the way the documented clients do."""

    def __init__(self, name: str) -> None:
        self.is_async = name == "async"
        self.driver_class: Any = AsyncDriver if self.is_async else BlockingDriver

    def run(self, operation: Callable[..., Awaitable[T]], **settings: Any) -> T:
        """A fresh driver with these settings, the operation, and the driver's end."""

        async def whole() -> T:
            driver = self.driver_class(**settings)
            try:
                return await operation(driver)
            finally:
                await driver.aclose()

        return anyio.run(whole) if self.is_async else run_blocking(whole())


@pytest.fixture(params=["async", "blocking"])
def shell(request: pytest.FixtureRequest) -> Shell:
    return Shell(request.param)
