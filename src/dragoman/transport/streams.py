"""Streams as users hold them: iterate, and close to leave early; and what is left to read of one that is refused.

One awaits, one blocks; both wrap an async generator over the I/O port. Knows no events and no calls.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Generic, Self, TypeVar

from dragoman.core.errors import ProtocolError, TransportError
from dragoman.transport.io import ByteStream, run_blocking

LONGEST_ERROR_BODY = 1024 * 1024
"""Bytes of an error's body after which nobody reads on."""

T = TypeVar("T")


class AsyncEventStream(Generic[T]):
    """A stream to iterate once with `async for`; `aclose` lets go of the connection, as does `async with`."""

    def __init__(self, source: AsyncGenerator[T, None]) -> None:
        self._source = source

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        return await anext(self._source)

    async def aclose(self) -> None:
        """End the stream; idempotent."""
        await self._source.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()


class EventStream(Generic[T]):
    """A stream to iterate once; `close` lets go of the connection, as do `with` and being dropped."""

    def __init__(self, source: AsyncGenerator[T, None]) -> None:
        self._source = source

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        try:
            return run_blocking(_step(self._source))
        except StopAsyncIteration:
            raise StopIteration from None

    def close(self) -> None:
        """End the stream; idempotent."""
        run_blocking(self._source.aclose())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


async def _step(source: AsyncGenerator[T, None]) -> T:
    return await anext(source)


async def error_body(answer: ByteStream) -> bytes:
    """What can be read of the body of an answer with an error status; the status alone is enough."""
    body = b""
    try:
        async for piece in answer:
            body += piece
            if len(body) > LONGEST_ERROR_BODY:
                break
    except (TransportError, ProtocolError):
        pass
    return body
