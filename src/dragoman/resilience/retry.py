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
from typing import Any, Literal, Protocol, TypeVar, assert_never

from dragoman.core.errors import BudgetSpent, DragomanError, UsageError

T = TypeVar("T")

_SECONDS = re.compile(r"\d{1,10}(?:\.\d{1,9})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Backoff:
    """How often and how patiently to try again.

    `retries` counts the attempts after the first. `base`, `ceiling` and `patience` are seconds,
    `jitter` a fraction: 0.2 spreads a delay by ± 20 %. A Retry-After beyond `patience` is not
    waited for; None means any is.

    `growth`: a delay is multiplied by `factor` each time, has `base` added, or stays at `base`.
    `spread`: `around` uses `jitter`; `full` takes anything from 0 to the delay, `equal` from half
    of it to all of it, `none` the delay itself.
    """

    retries: int = 3
    base: float = 0.5
    factor: float = 2.0
    ceiling: float = 30.0
    jitter: float = 0.2
    patience: float | None = 300.0
    growth: Literal["exponential", "linear", "fixed"] = "exponential"
    spread: Literal["around", "full", "equal", "none"] = "around"

    def __post_init__(self) -> None:
        if self.retries < 0 or self.base < 0 or self.factor < 1 or self.ceiling < 0 or not 0 <= self.jitter <= 1:
            raise UsageError(
                f"expected retries, base and ceiling of at least 0, a factor of at least 1 and a jitter"
                f" between 0 and 1, got {self!r}"
            )


def own_delay(attempt: int, policy: Backoff, *, random: Callable[[], float]) -> float:
    """Seconds before retry number `attempt` (0 is the first), however many were made.

    Grown from `base`, capped at `ceiling`, then spread; `random` gives numbers in [0, 1).
    """
    delay = min(_grown(attempt, policy), policy.ceiling)
    match policy.spread:
        case "around":
            return delay * (1 + policy.jitter * (2 * random() - 1))
        case "full":
            return delay * random()
        case "equal":
            return delay * (1 + random()) / 2
        case "none":
            return delay
    assert_never(policy.spread)


def _grown(attempt: int, policy: Backoff) -> float:
    match policy.growth:
        case "exponential":
            try:
                return policy.base * policy.factor**attempt
            except OverflowError:
                return math.inf if policy.base else 0.0
        case "linear":
            return policy.base * (attempt + 1)
        case "fixed":
            return policy.base
    assert_never(policy.growth)


def next_delay(
    attempt: int, policy: Backoff, *, random: Callable[[], float], retry_after: float | None = None
) -> float:
    """Seconds to wait before retry number `attempt` (0 is the first).

    `own_delay`, but never less than `retry_after`, the seconds that the peer asked for.
    Raises BudgetSpent when attempt >= policy.retries, or when `retry_after` is beyond `patience`.
    """
    if attempt >= policy.retries:
        raise BudgetSpent(f"no retry left after {policy.retries}")
    if retry_after is not None and policy.patience is not None and retry_after > policy.patience:
        raise BudgetSpent(
            f"the peer asks to come back in {retry_after:g} s, the limit is {policy.patience:g} s",
            retry_after=retry_after,
        )
    return max(own_delay(attempt, policy, random=random), retry_after or 0.0)


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
    is_retryable: Callable[[Any], bool] = says_retryable,
    random: Callable[[], float] = _random.random,
    kinds: type[Exception] | tuple[type[Exception], ...] = DragomanError,
    before_wait: Callable[[int, Exception, float], Awaitable[None]] | None = None,
) -> T:
    """Await `operation()` until it succeeds, waiting between attempts as `next_delay` says.

    Only an error of `kinds` that `is_retryable` accepts is retried; its `retry_after` is honoured.
    `before_wait(retry, error, delay)` is awaited before each wait, `retry` being 1 for the first.
    When the budget is spent the operation's last error is raised, with a note about the attempts.
    """
    attempt = 0
    while True:
        try:
            return await operation()
        except kinds as error:
            if not is_retryable(error):
                raise
            delay = -1.0
            try:
                retry_after = getattr(error, "retry_after", None)
                delay = next_delay(attempt, policy, random=random, retry_after=retry_after)
            except BudgetSpent as spent:
                error.add_note(f"tried {attempt + 1} time(s): {spent.message}")
            if delay < 0:
                raise
            if before_wait is not None:
                await before_wait(attempt + 1, error, delay)
        attempt += 1
        await io.sleep(delay)
