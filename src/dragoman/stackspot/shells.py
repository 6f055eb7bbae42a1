"""What the shells have in common: an HTTP client, so many requests of a batch at once, and letting go.

`Agent`, `FileUploader` and `RemoteQuickCommand` are blocking shells, `AsyncAgent` and `AsyncFileUploader` awaiting ones.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Self, TypeVar

from dragoman.stackspot.exchange import AwaitingExchange, BlockingExchange
from dragoman.stackspot.http_client import (
    AsyncEnvironmentAwareHttpClient,
    AsyncHttpClient,
    EnvironmentAwareHttpClient,
    HttpClient,
)
from dragoman.stackspot.pools import WorkPool
from dragoman.stackspot.validation import require

Q = TypeVar("Q")
A = TypeVar("A")


class BlockingShell:
    """Owns the threads of batches, and the client where the caller gave none."""

    def __init__(self, http_client: HttpClient | None, max_workers: int | None, name: str) -> None:
        self._owns_client = http_client is None
        self.http_client: HttpClient = EnvironmentAwareHttpClient() if http_client is None else http_client
        self.executor = WorkPool(max_workers or 0, name)

    @property
    def max_workers(self) -> int:
        """How many requests of a batch run at once."""
        return self.executor.max_workers

    def close(self) -> None:
        """Wait for what runs and let go of threads and connections; idempotent."""
        self.executor.close()
        close = getattr(self.http_client, "close", None)
        if self._owns_client and callable(close):
            close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _exchange(self) -> BlockingExchange:
        return BlockingExchange(self.http_client)


class AwaitingShell:
    """Owns the client where the caller gave none. Raises InvalidArgument for less than one worker."""

    def __init__(self, http_client: AsyncHttpClient | None, max_workers: int | None) -> None:
        self._owns_client = http_client is None
        self.http_client: AsyncHttpClient = AsyncEnvironmentAwareHttpClient() if http_client is None else http_client
        require((max_workers or 0) > 0, f"max_workers must be 1 or more, got {max_workers!r}")
        self.max_workers: int = max_workers or 0
        self._exchange = AwaitingExchange(self.http_client)

    async def aclose(self) -> None:
        """Let go of the connections; idempotent."""
        await self._exchange.aclose()
        if self._owns_client:
            await self.http_client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()

    async def _in_order(
        self, requests: Sequence[Q], one: Callable[[int, Q], Awaitable[A]], report: Callable[[Q, A], object]
    ) -> list[A]:
        """What `one(place, request)` gives for each, in their order; `report` is told as they come in."""
        from anyio import create_task_group  # late: a program that blocks never needs it

        responses: dict[int, A] = {}
        waiting = iter(enumerate(requests))

        async def work() -> None:
            for place, request in waiting:
                responses[place] = await one(place, request)
                report(request, responses[place])

        async with create_task_group() as workers:
            for _ in range(min(self.max_workers, len(requests))):
                workers.start_soon(work)
        return [responses[place] for place in range(len(requests))]
