"""The I/O port that operations are written against, and the step that runs them without a loop.

An operation is a coroutine over `IO`. Under an async driver it awaits the network; under a
blocking driver every awaited method returns without suspending, so `run_blocking` finishes the
whole coroutine in one step, in the caller's own thread.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from typing import Any, Protocol, TypeVar, runtime_checkable

from dragoman.wire.http import Headers, Request, Response

T = TypeVar("T")

_SUSPENDED = "an operation over a blocking port suspended; it must await only its I/O port"


class ByteStream(Protocol):
    """An answer whose body is still coming: iterate to read it, `aclose` to let go.

    Iterating yields non-empty pieces as they arrive; a broken connection raises ConnectionLost,
    a pause longer than the read limit TimedOut. `aclose` is idempotent and always safe.
    """

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Headers: ...

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def aclose(self) -> None: ...


class Tee(Protocol):
    """Is told of each read of an answer, and once how it ended: whole, with an error, or let go."""

    def read(self, data: bytes) -> None: ...

    def end(self, *, complete: bool = False, error: Exception | None = None) -> None: ...


@runtime_checkable
class Teeing(Protocol):
    """A `ByteStream` that tells a tee by itself, which is cheaper than an iterator around it."""

    def tell(self, tee: Tee) -> None: ...


class IO(Protocol):
    """Everything an operation may ask of the outside."""

    async def send(self, request: Request) -> Response:
        """Exchange; the whole answer, whatever its status. Raises TransportError."""
        ...

    async def stream(self, request: Request) -> ByteStream:
        """Exchange up to the answer's head, whatever its status. Raises TransportError."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...

    def now(self) -> float:
        """Seconds on a clock that never goes back."""
        ...


def run_blocking(operation: Coroutine[Any, Any, T]) -> T:
    """Finish an operation over a blocking port in one step.

    Raises RuntimeError if it suspends: then it was given an async port or awaited something else.
    """
    try:
        operation.send(None)
    except StopIteration as done:
        value: T = done.value
        return value
    operation.close()
    raise RuntimeError(_SUSPENDED)


def iterate_blocking(source: AsyncIterator[T]) -> Iterator[T]:
    """Step an async iterator over a blocking port, one value at a time.

    One that can be iterated without awaiting as well is: a coroutine around each read costs as much as the read.
    Closing this iterator, or leaving it to the end, closes `source` too if it can be closed.
    """
    try:
        yield from source if isinstance(source, Iterable) else _stepped(source)
    finally:
        close = getattr(source, "aclose", None)
        if close is not None:
            run_blocking(close())


def _stepped(source: AsyncIterator[T]) -> Iterator[T]:
    step = source.__anext__
    while True:
        pending: Any = step()  # a coroutine, or what an async generator gives: both are driven by `send`
        try:
            pending.send(None)
        except StopIteration as done:
            value: T = done.value
        except StopAsyncIteration:
            return
        else:
            pending.close()
            raise RuntimeError(_SUSPENDED)
        yield value
