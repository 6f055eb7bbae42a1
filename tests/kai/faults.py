"""A loopback server that does to each request what a test says, faults of the transport included."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

PATIENCE = 10.0
"""Seconds after which a wait gives up."""


class Exchange:
    """One request and the means to answer it, properly or not."""

    def __init__(
        self, server: FaultServer, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.server = server
        self.method, self.path = head.split(" ", 2)[:2]
        self.reader = reader
        self.writer = writer
        self.keep = False

    def raw(self, data: bytes) -> None:
        self.writer.write(data)

    def head(self, status: str = "200 OK", *headers: str) -> None:
        self.raw("\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode())

    def json(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self.head("200 OK", "content-type: application/json", f"content-length: {len(body)}")
        self.raw(body)
        self.keep = True

    def begin_stream(self, *pieces: bytes) -> None:
        """Begin a chunked event stream; it ends broken unless `end_stream` follows."""
        self.head("200 OK", "content-type: text/event-stream", "transfer-encoding: chunked")
        for piece in pieces:
            self.piece(piece)

    def piece(self, data: bytes) -> None:
        self.raw(b"%x\r\n%s\r\n" % (len(data), data))

    def end_stream(self) -> None:
        self.raw(b"0\r\n\r\n")
        self.keep = True

    def reset(self) -> None:
        """Break the connection with a reset instead of an end."""
        connection: socket.socket = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def until_hangup(self) -> None:
        """Be silent until the client lets go of the connection."""
        try:
            while await asyncio.wait_for(self.reader.read(65536), PATIENCE):
                pass
        except ConnectionError:
            pass
        self.server.hung_up.set()


Handler = Callable[[Exchange], Awaitable[None] | None]


class FaultServer:
    """What the server saw."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.url = ""
        self.connections = 0
        self.paths: list[str] = []
        self.hung_up = asyncio.Event()

    async def visit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await self._exchange(reader, writer):
                pass
        except asyncio.IncompleteReadError:
            pass
        except ConnectionError:
            self.hung_up.set()  # a client that leaves before all was written to it is noticed here
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
        await reader.readexactly(int(fields.get("content-length", "0")))
        exchange = Exchange(self, head, reader, writer)
        self.paths.append(exchange.path)
        result = self.handler(exchange)
        if result is not None:
            await result
        await writer.drain()
        return exchange.keep


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[FaultServer]:
    """A server on a free loopback port, for as long as the block lasts."""
    server = FaultServer(handler)
    listening = await asyncio.start_server(server.visit, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listening.close()
