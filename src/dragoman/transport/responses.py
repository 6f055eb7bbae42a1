"""Answers of httpx2 as `ByteStream`: one that awaits its reads, one that blocks.

The two are twins; the tests run one suite over both.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Iterator
from types import AsyncGeneratorType
from typing import Any

import anyio
import httpx2

from dragoman.core.errors import TimedOut
from dragoman.transport.clients import build, headers_of, named, too_large
from dragoman.transport.io import Tee
from dragoman.transport.options import ClientOptions
from dragoman.wire.http import Request

ERROR_BYTES = 1 << 20
"""So much of the body of an error is read; the rest says nothing more."""

CLOSE_SECONDS = 5.0
"""The longest that letting go of an answer may take; TLS says goodbye politely."""


SLOWEST = 10_000.0
"""Bytes of a request that go out in a second at least."""


def head_seconds(request: Request) -> float:
    """The longest that a head may take: limits are for silence, and a peer can dawdle without being silent."""
    limits = request.timeouts
    phases = (limits.pool, limits.connect, limits.write, limits.read)
    return sum(math.inf if phase is None else phase for phase in phases) + request.length / SLOWEST


async def open_async(
    client: httpx2.AsyncClient, request: Request, *, options: ClientOptions | None, streaming: bool
) -> AsyncResponseStream:
    """Send and wait for the head. Raises TransportError, ProtocolError or UsageError."""
    sent = build(client, request, options=options, streaming=streaming)
    seconds = head_seconds(request)
    try:
        with anyio.move_on_after(seconds):
            return AsyncResponseStream(await client.send(sent, stream=True, follow_redirects=False), request)
    except Exception as error:
        if (ours := named(error, request)) is None:
            raise
        raise ours from error
    raise TimedOut(f"no whole head of an answer came within {seconds:g} s: {request}")


async def open_blocking(
    client: httpx2.Client, request: Request, *, options: ClientOptions | None, streaming: bool
) -> BlockingResponseStream:
    """As `open_async`, without ever suspending."""
    sent = build(client, request, options=options, streaming=streaming)
    try:
        response = client.send(sent, stream=True, follow_redirects=False)
    except Exception as error:
        if (ours := named(error, request)) is None:
            raise
        raise ours from error
    return BlockingResponseStream(response, request)


def _is_plain(response: httpx2.Response) -> bool:
    """Whether reads can be taken from below httpx2's decoding layers, which cost as much as the network."""
    return "content-encoding" not in response.headers and not response.is_stream_consumed


class AsyncResponseStream:
    """An answer whose body is awaited; to be read once."""

    def __init__(self, response: httpx2.Response, request: Request) -> None:
        self.status = response.status_code
        self.headers = headers_of(response)
        self._request = request
        self._response = response
        body: Any = response.stream if _is_plain(response) else response.aiter_bytes()
        self._reads: AsyncIterator[bytes] = aiter(body)
        self._closed = False
        self._tee: Tee | None = None
        self._read: Callable[[bytes], None] | None = None

    def tell(self, tee: Tee) -> None:
        self._tee, self._read = tee, tee.read

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._closed:
            raise StopAsyncIteration
        try:
            data = await anext(self._reads)
            while not data:
                data = await anext(self._reads)
        except StopAsyncIteration:
            if self._tee is not None and not self._closed:
                self._tee.end(complete=True)
            await self.aclose()
            raise
        except Exception as error:
            ours = named(error, self._request)
            if self._tee is not None:
                self._tee.end(error=ours or error)
            await self.aclose()
            if ours is None:
                raise
            raise ours from error
        if self._read is not None:
            self._read(data)
        return data

    async def read(self, limit: int) -> bytes:
        """All that is still to come; of an error only the beginning. Raises ProtocolError beyond `limit` bytes."""
        pieces: list[bytes] = []
        size = 0
        try:
            async for data in self:
                pieces.append(data)
                size += len(data)
                if self.status >= 400 and size >= min(ERROR_BYTES, limit):
                    break
                if size > limit:
                    raise too_large(self._request, limit)
        finally:
            await self.aclose()
        return b"".join(pieces)

    async def aclose(self) -> None:
        """Let go: a connection whose answer was not read to its end is closed."""
        if self._closed:
            return
        self._closed = True
        if self._tee is not None:
            self._tee.end()
        with anyio.move_on_after(CLOSE_SECONDS, shield=True):
            try:
                if isinstance(self._reads, AsyncGeneratorType) and not self._reads.ag_running:
                    await self._reads.aclose()
                await self._response.aclose()
            except httpx2.HTTPError:
                pass  # the connection broke while it was closed, which is what was wanted


class BlockingResponseStream:
    """An answer whose body is read in the caller's thread; to be read once."""

    def __init__(self, response: httpx2.Response, request: Request) -> None:
        self.status = response.status_code
        self.headers = headers_of(response)
        self._request = request
        self._response = response
        self._closed = False
        self._tee: Tee | None = None
        self._pieces = self._read_pieces()

    def tell(self, tee: Tee) -> None:
        self._tee = tee

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        for data in self._pieces:
            return data
        raise StopAsyncIteration

    def __iter__(self) -> Iterator[bytes]:
        """The same reads, without a coroutine around each: what `iterate_blocking` takes."""
        return self._pieces

    def _read_pieces(self) -> Iterator[bytes]:
        if self._closed:
            return
        body: Any = self._response.stream if _is_plain(self._response) else self._response.iter_bytes()
        try:
            for data in body:
                if data:
                    if self._tee is not None:
                        self._tee.read(data)
                    yield data
                    if self._closed:
                        return
        except Exception as error:
            ours = named(error, self._request)
            if self._tee is not None:
                self._tee.end(error=ours or error)
            self._close()
            if ours is None:
                raise
            raise ours from error
        if self._tee is not None and not self._closed:
            self._tee.end(complete=True)
        self._close()

    async def read(self, limit: int) -> bytes:
        """All that is still to come; of an error only the beginning. Raises ProtocolError beyond `limit` bytes."""
        pieces: list[bytes] = []
        size = 0
        try:
            async for data in self:
                pieces.append(data)
                size += len(data)
                if self.status >= 400 and size >= min(ERROR_BYTES, limit):
                    break
                if size > limit:
                    raise too_large(self._request, limit)
        finally:
            await self.aclose()
        return b"".join(pieces)

    async def aclose(self) -> None:
        """Let go: a connection whose answer was not read to its end is closed."""
        self._close()

    def _close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._tee is not None:
            self._tee.end()
        try:
            self._response.close()
        except httpx2.HTTPError:
            pass  # the connection broke while it was closed, which is what was wanted
