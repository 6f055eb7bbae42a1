"""Fairness: how long one answer may keep the loop for itself.

An answer whose responder never waits would starve the others. Whoever drives it lets others have their turn;
a driver that sees the responder wait knows better than the answer itself when that is needed.
"""

from __future__ import annotations

from contextvars import ContextVar

BURST = 50
"""Events after which others get their turn."""

BURST_SECONDS = 0.010
"""Time after which others get their turn, between two events."""

yields_for_others: ContextVar[bool] = ContextVar("yields_for_others", default=False)
"""Whether the driver of this answer lets others have their turn, so that the answer need not."""
