"""Async generators of events as plain iterators, for the blocking client.

Works for generators over a blocking port, which never suspend. Knows no events and no calls.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from typing import Generic, Self, TypeVar

from dragoman.transport.io import run_blocking

T = TypeVar("T")


class EventStream(Generic[T]):
    """A stream to iterate once; `close` lets go of the connection, and so does being dropped."""

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
