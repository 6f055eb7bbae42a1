"""Answers of httpx2 as `ByteStream`: one that awaits its reads, one that blocks.

The two are twins, line by line; the tests run one suite over both.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from types import AsyncGeneratorType
from typing import Any

import anyio
import httpx2

from dragoman.transport.clients import build, headers_of, named
from dragoman.transport.options import ClientOptions
from dragoman.wire.http import Request

CLOSE_SECONDS = 5.0
"""The longest that letting go of an answer may take; TLS says goodbye politely."""


async def open_async(
    client: httpx2.AsyncClient, request: Request, *, options: ClientOptions | None, streaming: bool
) -> AsyncResponseStream:
    """Send and wait for the head. Raises TransportError, ProtocolError or UsageError."""
    sent = build(client, request, options=options, streaming=streaming)
    try:
        response = await client.send(sent, stream=True, follow_redirects=False)
    except Exception as error:
        if (ours := named(error, request)) is None:
            raise
        raise ours from error
    return AsyncResponseStream(response, request)


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
            await self.aclose()
            raise
        except Exception as error:
            await self.aclose()
            if (ours := named(error, self._request)) is None:
                raise
            raise ours from error
        return data

    async def read(self) -> bytes:
        """All that is still to come."""
        try:
            return b"".join([data async for data in self])
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """Let go: a connection whose answer was not read to its end is closed."""
        if self._closed:
            return
        self._closed = True
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
        body: Any = response.stream if _is_plain(response) else response.iter_bytes()
        self._reads: Iterator[bytes] = iter(body)
        self._closed = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._closed:
            raise StopAsyncIteration
        try:
            for data in self._reads:
                if data:
                    return data
        except Exception as error:
            await self.aclose()
            if (ours := named(error, self._request)) is None:
                raise
            raise ours from error
        await self.aclose()
        raise StopAsyncIteration

    async def read(self) -> bytes:
        """All that is still to come."""
        try:
            return b"".join([data async for data in self])
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """Let go: a connection whose answer was not read to its end is closed."""
        if self._closed:
            return
        self._closed = True
        try:
            self._response.close()
        except httpx2.HTTPError:
            pass  # the connection broke while it was closed, which is what was wanted
