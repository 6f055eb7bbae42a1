"""How often a key may ask: a sliding window of each key, in this process.

Refused requests do not count, so a client that waits as it is told gets through. Knows no HTTP.
"""

from __future__ import annotations

from collections import deque

from dragoman.core.errors import RateLimited

_MANY = 10_000
"""When there are so many windows, and then each time that they have doubled, those that are over are dropped."""


class SlidingWindows:
    """The times of the requests that were let through, of each key as long as they count."""

    def __init__(self) -> None:
        self._windows: dict[str, tuple[deque[float], float]] = {}
        self._most = _MANY

    def take(self, key: str, limit: tuple[int, float], now: float) -> None:
        """Count one request. Raises RateLimited, which says when one will pass, if there were too many."""
        self._checked(key, limit, now).append(now)

    def check(self, key: str, limit: tuple[int, float], now: float) -> None:
        """Raises what `take` would raise; nothing is counted."""
        if key in self._windows:
            self._checked(key, limit, now)

    def _checked(self, key: str, limit: tuple[int, float], now: float) -> deque[float]:
        requests, seconds = limit
        times = self._windows[key][0] if key in self._windows else self._made(key, seconds, now)
        while times and (times[0] + seconds <= now or times[0] > now):  # the clock may have been set back
            times.popleft()
        if len(times) >= requests:
            wait = times[0] + seconds - now if times else seconds
            raise RateLimited(f"This key may send {requests} requests in {seconds:g} seconds.", retry_after=wait)
        return times

    def _made(self, key: str, seconds: float, now: float) -> deque[float]:
        if len(self._windows) >= self._most:
            for known, (times, length) in list(self._windows.items()):
                if not times or times[-1] + length <= now:
                    del self._windows[known]
            self._most = max(_MANY, 2 * len(self._windows))
        made: deque[float] = deque()
        self._windows[key] = (made, seconds)
        return made
