"""The load generator: raw asyncio protocols that open streams and count blank lines instead of parsing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence


class Reader(asyncio.Protocol):
    """One open stream: sends its request, counts events by the blank lines that end them."""

    def __init__(self, request: bytes, wanted: int) -> None:
        self._request = request
        self._wanted = wanted
        self._last = b""
        self._head = b""
        self.events = 0
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a stream transport is needed")
        self.transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if not self._head:
            self._head = data[:15]
            if b" 200 " not in self._head:
                self._fail(f"expected status 200, got {data[:300]!r}")
        # one more byte, for a blank line may be cut in two; the head's own lines end in CR LF
        self.events += (self._last + data).count(b"\n\n")
        self._last = data[-1:] if data[-2:] != b"\n\n" else b""
        if self.events >= self._wanted and not self.ready.done():
            self.ready.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(f"the connection was lost after {self.events} events: {exc}")

    def _fail(self, why: str) -> None:
        if not self.ready.done():
            self.ready.set_exception(ConnectionError(why))


async def open_streams(port: int, requests: Sequence[bytes], *, wanted: int) -> list[Reader]:
    """Open a stream per request, all at once; each has given `wanted` events when this returns."""
    loop = asyncio.get_running_loop()
    made = [
        loop.create_connection(lambda request=request: Reader(request, wanted), "127.0.0.1", port)  # type: ignore[misc]
        for request in requests
    ]
    readers = [reader for _, reader in await asyncio.gather(*made)]
    await asyncio.gather(*(reader.ready for reader in readers))
    return readers


async def close_streams(readers: Sequence[Reader]) -> None:
    for reader in readers:
        reader.transport.close()
    await asyncio.sleep(0.2)


def get(path: str, headers: str = "") -> bytes:
    """The bytes of a request for an event stream."""
    return f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: text/event-stream\r\n{headers}\r\n".encode("ascii")
