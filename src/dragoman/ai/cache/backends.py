"""Where cached values lie, and the two places that need no disk.

A backend keeps values by text keys for a time, within its bounds. It knows nothing of models; a
backend of one's own implements the five abstract methods. `disk` holds the one with files.
"""

from __future__ import annotations

import heapq
import threading
import time
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["CacheBackend", "CacheEntry", "MemoryCache", "NullCache"]


class CacheBackend(ABC):
    """Keeps values by key. Times to live are seconds; None means the backend's default, 0 that it is over already.

    `evictions` counts what had to go for want of room.
    """

    evictions: int = 0

    @abstractmethod
    async def get(self, key: str) -> Any | None:
        """The value; None when there is none, or when None is what was kept: see `find`."""

    @abstractmethod
    async def set(self, key: str, value: Any, ttl: float | None = None) -> None:
        """Keep a value in place of the one before."""

    @abstractmethod
    async def delete(self, key: str) -> bool:
        """Forget a value; whether there was one."""

    @abstractmethod
    async def clear(self) -> None:
        """Forget all values."""

    @abstractmethod
    async def exists(self, key: str) -> bool:
        """Whether there is a value that is not over."""

    async def find(self, key: str) -> tuple[bool, Any]:
        """(whether there is a value, the value)."""
        value = await self.get(key)
        return (True, value) if value is not None else (await self.exists(key), None)

    async def close(self) -> None:  # nothing to let go of, as a rule
        """Let go of what is held. Idempotent."""


@dataclass(slots=True)
class CacheEntry:
    """A value as it is kept. `created_at` is on the cache's clock; `ttl` None means that it never ends."""

    value: Any
    created_at: float
    ttl: float | None = None
    hits: int = 0
    size: int = 0

    @property
    def ends_at(self) -> float | None:
        return None if self.ttl is None else self.created_at + self.ttl

    def is_over(self, now: float) -> bool:
        return self.ttl is not None and now - self.created_at >= self.ttl


class MemoryCache(CacheBackend):
    """At most `max_size` values, and `max_bytes` of texts; what is over goes first, then what was not used for longest.

    Values are kept as they are given, not copied. Only texts and bytes count for `max_bytes`, and
    one that is larger is not kept. `clock` gives seconds and never goes back. For any number of tasks,
    event loops and threads.
    """

    def __init__(
        self,
        max_size: int = 1000,
        default_ttl: float | None = None,
        *,
        max_bytes: int = 64 * 1024 * 1024,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if max_size < 1:
            raise ValueError(f"max_size must be at least 1, got {max_size!r}")
        self.max_size = max_size
        self.default_ttl = default_ttl
        self.max_bytes = max_bytes
        self.evictions = 0
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, CacheEntry] = OrderedDict()
        self._ends: list[tuple[float, str]] = []
        self._bytes = 0

    @property
    def size(self) -> int:
        """How many values there are, those included that are over and not yet dropped."""
        return len(self._entries)

    async def get(self, key: str) -> Any | None:
        return (await self.find(key))[1]

    async def find(self, key: str) -> tuple[bool, Any]:
        with self._lock:
            entry = self._alive(key)
            if entry is None:
                return False, None
            entry.hits += 1
            self._entries.move_to_end(key)
            return True, entry.value

    async def set(self, key: str, value: Any, ttl: float | None = None) -> None:
        ttl = self.default_ttl if ttl is None else ttl
        size = len(value) if isinstance(value, str | bytes) else 0
        with self._lock:
            self._drop(key)
            if (ttl is not None and ttl <= 0) or size > self.max_bytes:
                return
            entry = CacheEntry(value, self._clock(), ttl, size=size)
            self._entries[key] = entry
            self._bytes += size
            if entry.ends_at is not None:
                heapq.heappush(self._ends, (entry.ends_at, key))
            self._make_room()

    async def delete(self, key: str) -> bool:
        with self._lock:
            alive = self._alive(key) is not None
            self._drop(key)
            return alive

    async def clear(self) -> None:
        with self._lock:
            self._entries.clear()
            self._ends.clear()
            self._bytes = 0

    async def exists(self, key: str) -> bool:
        with self._lock:
            return self._alive(key) is not None

    # ---------------------------------------------------------------------- inside, under the lock

    def _alive(self, key: str) -> CacheEntry | None:
        entry = self._entries.get(key)
        if entry is not None and entry.is_over(self._clock()):
            self._drop(key)
            return None
        return entry

    def _drop(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= entry.size

    def _make_room(self) -> None:
        if self._is_full():
            now = self._clock()
            while self._ends and self._ends[0][0] <= now:
                _, key = heapq.heappop(self._ends)
                self._alive(key)  # which drops it, unless it was set anew
        while self._is_full():
            _, entry = self._entries.popitem(last=False)
            self._bytes -= entry.size
            self.evictions += 1
        if len(self._ends) > 2 * self.max_size + 16:  # most of these are of values that were set anew
            self._ends = [(end, key) for key, one in self._entries.items() if (end := one.ends_at) is not None]
            heapq.heapify(self._ends)

    def _is_full(self) -> bool:
        return len(self._entries) > self.max_size or self._bytes > self.max_bytes

    def __repr__(self) -> str:
        return f"MemoryCache({len(self._entries)} of {self.max_size})"


class NullCache(CacheBackend):
    """Keeps nothing."""

    async def get(self, key: str) -> Any | None:
        return None

    async def set(self, key: str, value: Any, ttl: float | None = None) -> None:
        return None

    async def delete(self, key: str) -> bool:
        return False

    async def clear(self) -> None:
        return None

    async def exists(self, key: str) -> bool:
        return False
