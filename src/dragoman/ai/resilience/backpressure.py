"""How many requests may be under way at once.

First come, first served; a place that becomes free belongs to the first in the queue from that
moment on, and one that was cancelled meanwhile hands it on.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import anyio

from dragoman.ai.resilience.refusals import BackpressureError
from dragoman.ai.resilience.waiting import Clock, Late, Sleep, from_env, within
from dragoman.resilience.bulkhead import Bulkhead

T = TypeVar("T")


@dataclass(frozen=True)
class BackpressureConfig:
    """`max_concurrent` 0 means no limit. `queue_timeout` is seconds; None waits as long as it takes."""

    max_concurrent: int = 10
    queue_timeout: float | None = None

    @classmethod
    def from_env(cls) -> BackpressureConfig:
        """`AI_LIB_MAX_INFLIGHT` and `AI_LIB_QUEUE_TIMEOUT` (seconds), the defaults where they are not set."""
        timeout = from_env("AI_LIB_QUEUE_TIMEOUT", float, -1.0)
        return cls(from_env("AI_LIB_MAX_INFLIGHT", int, 10), timeout if timeout >= 0 else None)

    @classmethod
    def unlimited(cls) -> BackpressureConfig:
        """No limit."""
        return cls(max_concurrent=0)


class Backpressure:
    """A bound on what is under way at once, with a fair queue."""

    def __init__(
        self,
        config: BackpressureConfig | None = None,
        *,
        clock: Clock = time.monotonic,
        sleep: Sleep = anyio.sleep,
    ) -> None:
        self._config = config or BackpressureConfig()
        self._clock = clock
        self._sleep = sleep
        self._places: Bulkhead[anyio.Event] = Bulkhead(max(0, self._config.max_concurrent))

    @property
    def config(self) -> BackpressureConfig:
        return self._config

    @property
    def current_inflight(self) -> int:
        return self._places.inside

    @property
    def available_permits(self) -> float:
        """Places left; `inf` without a limit."""
        return self._places.free

    @property
    def is_limited(self) -> bool:
        """Whether a limit is configured."""
        return self._places.limit > 0

    async def enter(self) -> float:
        """Take a place, waiting for it; the seconds waited. It is held until `release()`.

        Raises BackpressureError when none became free within `queue_timeout`.
        """
        if self._places.enter():
            return 0.0
        timeout = self._config.queue_timeout
        if timeout is not None and timeout <= 0:
            self._places.refused += 1
            raise self._refusal()
        since = self._clock()
        ticket = anyio.Event()
        self._places.queue(ticket)
        try:
            await (ticket.wait() if timeout is None else within(timeout, ticket.wait, self._sleep))
        except Late:  # unless a place came in the same moment
            if self._places.withdraw(ticket):
                self._places.refused += 1
                raise self._refusal() from None
        except BaseException:
            if not self._places.withdraw(ticket):
                self.release()
            raise
        return max(0.0, self._clock() - since)

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[None]:
        """`async with backpressure.acquire():` holds a place for the body; errors of the body are its own."""
        await self.enter()
        try:
            yield
        finally:
            self.release()

    async def try_acquire(self) -> bool:
        """Take a place if one is free; never waits. Give it back with `release()`."""
        return self.enter_now()

    def enter_now(self) -> bool:
        """`try_acquire` without an event loop."""
        entered = self._places.enter()
        if not entered:
            self._places.refused += 1
        return entered

    def release(self) -> None:
        """Give a place back. A call too many does nothing."""
        heir = self._places.leave()
        if heir is not None:
            heir.set()

    async def execute(self, operation: Callable[[], Awaitable[T]]) -> T:
        """Run the operation with a place."""
        async with self.acquire():
            return await operation()

    def get_stats(self) -> dict[str, int]:
        places = self._places
        return {
            "current_inflight": places.inside,
            "peak_inflight": places.peak,
            "total_acquired": places.entered,
            "total_rejected": places.refused,
            "max_concurrent": places.limit,
        }

    def _refusal(self) -> BackpressureError:
        return BackpressureError(
            f"no place became free within {self._config.queue_timeout:g} s;"
            f" {self._places.limit} requests may be under way at once"
        )
