"""A clock that stands still until a test moves it.

Fits wherever a `Clock` (a callable giving seconds since the epoch) or an async `sleep` is
injected. Knows no event loop: `sleep` moves the clock at once instead of waiting.
"""

from __future__ import annotations

import math


class FakeClock:
    """Time under the test's control.

    `clock()` is now; `advance(s)` moves it on; `await clock.sleep(s)` moves it on as if the time
    had passed. `sleeps` lists the seconds of every sleep, in order.
    """

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self._now = float(now)
        self.sleeps: list[float] = []

    def __call__(self) -> float:
        return self._now

    def now(self) -> float:
        """The same as calling the clock."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move on. Raises ValueError for a negative or non-finite number: clocks do not go back."""
        if not math.isfinite(seconds) or seconds < 0:
            raise ValueError(f"cannot advance a clock by {seconds!r}; expected a finite number of at least 0")
        self._now += seconds

    async def sleep(self, seconds: float) -> None:
        """Move on at once by `seconds` (negative ones count as 0)."""
        self.sleeps.append(seconds)
        self.advance(max(0.0, seconds))

    def __repr__(self) -> str:
        return f"FakeClock({self._now!r})"
