"""Both event loops, and a clock that the test moves, for the policies that wait."""

from __future__ import annotations

from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from dragoman.testing.clock import FakeClock

LOOPS: list[tuple[str, dict[str, Any]]] = [("asyncio", {"use_uvloop": False}), ("trio", {})]


class SteppedClock(FakeClock):
    """A fake clock whose sleepers really wait, until `pass_time` comes to their moment."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        super().__init__(now)
        self._sleepers: list[tuple[float, int, anyio.Event]] = []

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        sleeper = (self._now + max(0.0, seconds), len(self.sleeps), anyio.Event())
        self._sleepers.append(sleeper)
        try:
            await sleeper[2].wait()
        finally:
            self._sleepers.remove(sleeper)

    async def pass_time(self, seconds: float) -> None:
        """Let everything happen that happens within so many seconds, in its order."""
        end = self._now + seconds
        while True:
            await self.settle()
            due = min((s for s in self._sleepers if s[0] <= end and not s[2].is_set()), default=None)
            if due is None:
                break
            self._now = max(self._now, due[0])
            due[2].set()
        self._now = end

    @staticmethod
    async def settle() -> None:
        """Let every task run until it waits. (`wait_all_tasks_blocked` sleeps for real where it need not.)"""
        for _ in range(30):
            await checkpoint()

    @property
    def asleep(self) -> int:
        return len(self._sleepers)
