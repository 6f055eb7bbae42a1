"""One streaming answer per thread: who holds a thread, who waits for it.

A lease is held from the first look at the thread until the answer's cleanup is done, so that no message
overtakes the partial text of the one before. One event loop uses one `Leases`. Knows keys, not threads.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable
from typing import Protocol

from dragoman.chatkit.serving.options import Busy
from dragoman.core.errors import Conflict


class Holder(Protocol):
    """What holds a lease: an answer that can be cancelled and then needs some time."""

    is_cancelled: bool

    def cancel(self) -> None: ...


class ThreadBusy(Conflict):
    """409: somebody else streams on the thread."""

    default_code = "thread_busy"

    def __init__(self) -> None:
        super().__init__("Another answer is under way in this thread. Try again when it has ended.", retry_after=1.0)


class Lease:
    """A thread that is taken; `holder` is set once there is an answer that can be cancelled."""

    __slots__ = ("_leases", "holder", "key", "waiting")

    def __init__(self, leases: Leases, key: Hashable) -> None:
        self._leases = leases
        self.key = key
        self.holder: Holder | None = None
        self.waiting: deque[tuple[asyncio.Future[Lease], Busy]] = deque()

    def release(self) -> None:
        """Give the thread to whoever waits for it; harmless when it was given already."""
        self._leases._release(self)


class Leases:
    """The threads that are taken. `cleanup_seconds` and `queue_seconds` bound every wait."""

    def __init__(self, *, cleanup_seconds: float = 10.0, queue_seconds: float = 300.0) -> None:
        self._held: dict[Hashable, Lease] = {}
        self._cleanup_seconds = cleanup_seconds
        self._queue_seconds = queue_seconds

    def __len__(self) -> int:
        return len(self._held)

    def is_held(self, key: Hashable) -> bool:
        return key in self._held

    def holder(self, key: Hashable) -> Holder | None:
        lease = self._held.get(key)
        return lease.holder if lease is not None else None

    def take(self, key: Hashable) -> Lease | None:
        """The lease if nobody holds it."""
        if key in self._held:
            return None
        lease = self._held[key] = Lease(self, key)
        return lease

    async def acquire(self, key: Hashable, busy: Busy) -> Lease:
        """The lease, waiting for it as `busy` says. Raises ThreadBusy."""
        lease = self.take(key)
        if lease is not None:
            return lease
        held = self._held[key]
        cleaning = held.holder is not None and held.holder.is_cancelled
        if not cleaning and busy == "reject":
            raise ThreadBusy
        if busy == "supersede" and held.holder is not None:
            held.holder.cancel()
        return await self._wait(held, busy)

    async def _wait(self, held: Lease, busy: Busy) -> Lease:
        future: asyncio.Future[Lease] = asyncio.get_running_loop().create_future()
        held.waiting.append((future, busy))
        seconds = self._queue_seconds if busy == "queue" else self._cleanup_seconds
        try:
            done, _ = await asyncio.wait((future,), timeout=seconds)
        except asyncio.CancelledError:
            if future.done() and future.exception() is None:
                future.result().release()
            future.cancel()
            raise
        if not done:
            future.cancel()
            raise ThreadBusy
        return future.result()

    def _release(self, lease: Lease) -> None:
        if self._held.get(lease.key) is not lease:
            return
        del self._held[lease.key]
        waiting = [one for one in lease.waiting if not one[0].done()]
        if not waiting:
            return
        superseding = [one for one in waiting if one[1] == "supersede"]
        chosen = superseding[-1] if superseding else waiting[0]
        following = self._held[lease.key] = Lease(self, lease.key)
        chosen[0].set_result(following)
        for future, busy in waiting:
            if future is chosen[0]:
                continue
            if busy == "queue":
                following.waiting.append((future, busy))
            else:
                future.set_exception(ThreadBusy())
