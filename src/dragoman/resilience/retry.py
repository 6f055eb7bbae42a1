"""When to try again: exponential backoff with jitter, and the peer's Retry-After.

`next_delay` and `parse_retry_after` decide; `with_retry` carries the decision out over an I/O
port. Knows nothing of HTTP beyond one header and nothing of what an operation does: whether it
may be repeated is for its caller to say.
"""

from __future__ import annotations

import math
import random as _random
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Protocol, TypeVar

from dragoman.core.errors import BudgetSpent, DragomanError, UsageError

T = TypeVar("T")

_SECONDS = re.compile(r"\d{1,10}(?:\.\d{1,9})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Backoff:
    """How often and how patiently to try again.

    `retries` counts the attempts after the first. `base`, `ceiling` and `patience` are seconds,
    `jitter` a fraction: 0.2 spreads a delay by ± 20 %. A Retry-After beyond `patience` is not
    waited for; None means any is.
    """

    retries: int = 3
    base: float = 0.5
    factor: float = 2.0
    ceiling: float = 30.0
    jitter: float = 0.2
    patience: float | None = 300.0

    def __post_init__(self) -> None:
        if self.retries < 0 or self.base < 0 or self.factor < 1 or self.ceiling < 0 or not 0 <= self.jitter <= 1:
            raise UsageError(
                f"expected retries, base and ceiling of at least 0, a factor of at least 1 and a jitter"
                f" between 0 and 1, got {self!r}"
            )


def next_delay(
    attempt: int, policy: Backoff, *, random: Callable[[], float], retry_after: float | None = None
) -> float:
    """Seconds to wait before retry number `attempt` (0 is the first).

    base * factor ** attempt, capped at `ceiling`, then spread by ± `jitter`; `random` gives numbers
    in [0, 1). Never less than `retry_after`, the seconds that the peer asked for.
    Raises BudgetSpent when attempt >= policy.retries, or when `retry_after` is beyond `patience`.
    """
    if attempt >= policy.retries:
        raise BudgetSpent(f"no retry left after {policy.retries}")
    if retry_after is not None and policy.patience is not None and retry_after > policy.patience:
        raise BudgetSpent(
            f"the peer asks to come back in {retry_after:g} s, the limit is {policy.patience:g} s",
            retry_after=retry_after,
        )
    try:
        delay = min(policy.base * policy.factor**attempt, policy.ceiling)
    except OverflowError:
        delay = policy.ceiling if policy.base else 0.0
    delay *= 1 + policy.jitter * (2 * random() - 1)
    return max(delay, retry_after or 0.0)


def parse_retry_after(value: str | None, now_epoch: float) -> float | None:
    """Seconds to wait by a Retry-After header: a number of seconds or an HTTP date.

    `now_epoch` is seconds since the epoch. A date that has passed gives 0; no header, or one that
    says neither, gives None. Source: RFC 9110, 10.2.3 (fractions are accepted as well).
    """
    text = (value or "").strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    try:
        when = parsedate_to_datetime(text)
        if when.tzinfo is None:  # dates without a zone, and those of -0000, are UTC
            when = when.replace(tzinfo=UTC)
        seconds = when.timestamp() - now_epoch
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None


class Sleeper(Protocol):
    """The part of the I/O port that waiting needs."""

    async def sleep(self, seconds: float) -> None: ...


def says_retryable(error: DragomanError) -> bool:
    """The error's own opinion."""
    return error.retryable


async def with_retry(
    io: Sleeper,
    operation: Callable[[], Awaitable[T]],
    policy: Backoff,
    *,
    is_retryable: Callable[[DragomanError], bool] = says_retryable,
    random: Callable[[], float] = _random.random,
) -> T:
    """Await `operation()` until it succeeds, waiting between attempts as `next_delay` says.

    Only a DragomanError that `is_retryable` accepts is retried; its `retry_after` is honoured. When
    the budget is spent the operation's last error is raised, with a note about the attempts.
    """
    attempt = 0
    while True:
        try:
            return await operation()
        except DragomanError as error:
            if not is_retryable(error):
                raise
            delay = -1.0
            try:
                delay = next_delay(attempt, policy, random=random, retry_after=error.retry_after)
            except BudgetSpent as spent:
                error.add_note(f"tried {attempt + 1} time(s): {spent.message}")
            if delay < 0:
                raise
        attempt += 1
        await io.sleep(delay)
