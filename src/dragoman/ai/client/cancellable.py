"""Any stream, made to end when a token says so."""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncIterator, Callable, Generator
from typing import Any, Generic, TypeVar

import anyio

from dragoman.ai.client.cancel import CancelToken

__all__ = ["CancellableStream", "with_cancellation"]

T = TypeVar("T")

_log = logging.getLogger("dragoman.ai")


class CancellableStream(Generic[T]):
    """Iterates over `stream` until it ends or `token` is cancelled.

    Cancelling interrupts a read that is pending, closes the source, calls `on_cancel` (a function
    without arguments, or a coroutine function) once, and ends the iteration without an error.
    Leaving an `async with` block, or `close()`, closes the source as well.
    """

    def __init__(self, stream: Any, token: CancelToken, on_cancel: Callable[[], Any] | None = None) -> None:
        self._source = stream
        self._reads: AsyncIterator[T] | None = None
        self._token = token
        self._on_cancel = on_cancel
        self._pending: anyio.CancelScope | None = None
        self._started = False
        self._finished = False
        self._let_go = False

    @property
    def started(self) -> bool:
        return self._started

    @property
    def finished(self) -> bool:
        return self._finished

    def __aiter__(self) -> CancellableStream[T]:
        return self

    async def __anext__(self) -> T:
        if self._finished:
            raise StopAsyncIteration
        self._started = True
        try:
            found = await self._interruptible()
        except BaseException:  # its end, its error, or the cancellation of the task that reads
            await self.close()
            raise
        if found and not self._finished:
            return found[0]
        await self._interrupted()
        raise StopAsyncIteration

    async def _interruptible(self) -> list[T]:
        """The next one, or nothing when the token or `close` ended the wait for it."""
        try:
            with anyio.CancelScope() as self._pending, self._token.interrupting():
                if not self._token.is_cancelled:
                    return [await self._next()]
        finally:
            self._pending = None
        return []

    async def _next(self) -> T:
        if self._reads is None:
            if not hasattr(self._source, "__aiter__") and inspect.isawaitable(self._source):
                self._source = await self._source
            self._reads = aiter(self._source)
        return await anext(self._reads)

    async def _interrupted(self) -> None:
        is_by_token = not self._finished
        await self.close()
        if not is_by_token or self._on_cancel is None:
            return
        try:
            result = self._on_cancel()
            if inspect.isawaitable(result):
                await result
        except Exception:
            _log.exception("the callback of a cancelled stream failed")

    async def close(self) -> None:
        """Close the source, and end a read of it that is pending in another task. Idempotent."""
        self._finished = True
        if self._pending is not None:
            self._pending.cancel()  # who reads will close it
            return
        if self._let_go:
            return
        self._let_go = True
        close = getattr(self._reads if self._reads is not None else self._source, "aclose", None)
        close = close or getattr(self._source, "aclose", None) or getattr(self._source, "close", None)
        if close is None:
            return
        with anyio.CancelScope(shield=True):
            result = close()
            if inspect.isawaitable(result):
                await result

    aclose = close

    def __await__(self) -> Generator[Any, None, CancellableStream[T]]:
        return self
        yield  # makes this a generator: awaiting gives the stream itself

    async def __aenter__(self) -> CancellableStream[T]:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()


def with_cancellation(
    stream: Any, token: CancelToken, on_cancel: Callable[[], Any] | None = None
) -> CancellableStream[Any]:
    """`CancellableStream(stream, token, on_cancel)`; may be awaited, which gives the same."""
    return CancellableStream(stream, token, on_cancel)
