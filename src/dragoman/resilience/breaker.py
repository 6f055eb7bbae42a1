"""When to stop asking a peer that keeps failing, and when to try it again.

    CLOSED ── `failures` reach the threshold ──▶ OPEN
    OPEN ── the cooldown has passed ──▶ HALF_OPEN
    HALF_OPEN ── `success_threshold` successes ──▶ CLOSED
    HALF_OPEN ── one failure ──▶ OPEN

Told the time and what happened; reads no clock and runs nothing. What counts as a failure is for
the caller to say: `failed`, `succeeded`, or `abandoned` for what proves neither. Each permission
names the era it was given in, so that an answer from before a change does not count after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dragoman.core.errors import UsageError


class BreakerState(StrEnum):
    """What the breaker does with the next request: let it through, refuse it, let a few try."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(slots=True)
class Breaker:
    """The state of one breaker; times are seconds on a clock that does not go back.

    `changes` counts the changes of state; an `era` ends with each and with `reset`. `trials` are the requests under way in HALF_OPEN.
    """

    failure_threshold: int = 5
    success_threshold: int = 2
    cooldown: float = 30.0
    trials_at_once: int = 1
    failures: int = 0
    successes: int = 0
    trials: int = 0
    era: int = 0
    changes: int = 0
    opened_at: float = 0.0
    _state: BreakerState = BreakerState.CLOSED

    def __post_init__(self) -> None:
        if min(self.failure_threshold, self.success_threshold, self.trials_at_once) < 1 or self.cooldown < 0:
            raise UsageError(f"expected thresholds of at least 1 and a cooldown of at least 0, got {self!r}")

    def state(self, now: float) -> BreakerState:
        """The state at `now`: OPEN ends by itself when the cooldown has passed."""
        if self._state is BreakerState.OPEN and now - self.opened_at >= self.cooldown:
            self._change(BreakerState.HALF_OPEN)
        return self._state

    def retry_in(self, now: float) -> float | None:
        """Seconds until a trial may be made; None unless OPEN."""
        if self.state(now) is not BreakerState.OPEN:
            return None
        return max(0.0, self.opened_at + self.cooldown - now)

    def ask(self, now: float) -> int | None:
        """Permission for one request: the era it belongs to, or None. Every permission must be settled."""
        state = self.state(now)
        if state is BreakerState.OPEN or (state is BreakerState.HALF_OPEN and self.trials >= self.trials_at_once):
            return None
        if state is BreakerState.HALF_OPEN:
            self.trials += 1
        return self.era

    def succeeded(self, now: float, era: int | None = None) -> None:
        """The peer did its work. In CLOSED this takes one failure off the count."""
        if not self._settle(now, era):
            return
        if self._state is BreakerState.CLOSED:
            self.failures = max(0, self.failures - 1)
            return
        self.successes += 1
        if self.successes >= self.success_threshold:
            self._change(BreakerState.CLOSED)

    def failed(self, now: float, era: int | None = None) -> None:
        """The peer failed."""
        if not self._settle(now, era):
            return
        self.failures += 1
        if self._state is BreakerState.HALF_OPEN or self.failures >= self.failure_threshold:
            self.opened_at = now
            self._change(BreakerState.OPEN, failures=self.failures)

    def abandoned(self, now: float, era: int | None = None) -> None:
        """The request proved nothing: cancelled, or the caller's own mistake."""
        self._settle(now, era)

    def reset(self) -> None:
        """Closed, and all forgotten; permissions that are out no longer count."""
        self._change(BreakerState.CLOSED)

    def _settle(self, now: float, era: int | None) -> bool:
        """Take a permission back; whether it belongs to the present. Without an era it is taken for one that does."""
        if self.state(now) is BreakerState.OPEN or era not in (None, self.era):
            return False
        self.trials = max(0, self.trials - 1)
        return True

    def _change(self, state: BreakerState, *, failures: int = 0) -> None:
        self.changes += state is not self._state
        self._state = state
        self.era += 1
        self.failures = failures
        self.successes = self.trials = 0
