"""Who may be inside: a bound on how many go in at once, first come first served.

Tickets are whatever the caller waits with (an event, a future); nothing here waits. A place that
becomes free goes straight to the first in the queue, so that nobody can slip in between.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Bulkhead(Generic[T]):
    """Places and a queue for them. `limit` 0 means places without end.

    `inside` counts the places that are taken, `peak` the most there ever were, `entered` all that
    got one; `refused` is for the caller to count, who alone knows why somebody left.
    """

    __slots__ = ("entered", "inside", "limit", "peak", "refused", "waiting")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.inside = self.peak = self.entered = self.refused = 0
        self.waiting: deque[T] = deque()

    @property
    def free(self) -> float:
        """Places left, `inf` when there is no limit."""
        return max(0, self.limit - self.inside) if self.limit else float("inf")

    def enter(self) -> bool:
        """Take a place if one is free and nobody waits for it."""
        if self.waiting or not self.free:
            return False
        self._taken()
        return True

    def queue(self, ticket: T) -> None:
        """Wait behind all others."""
        self.waiting.append(ticket)

    def leave(self) -> T | None:
        """Free a place; the ticket that has it now, if somebody waited. A call too many does nothing."""
        if not self.inside:
            return None
        self.inside -= 1
        if not self.waiting or not self.free:
            return None
        self._taken()
        return self.waiting.popleft()

    def withdraw(self, ticket: T) -> bool:
        """Leave the queue without a place; False if the ticket has one by now (then `leave`)."""
        if ticket not in self.waiting:
            return False
        self.waiting.remove(ticket)
        return True

    def _taken(self) -> None:
        self.inside += 1
        self.entered += 1
        self.peak = max(self.peak, self.inside)
