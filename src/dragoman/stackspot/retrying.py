"""When an attempt is repeated and how long to wait before it: the rules of this dialect on `resilience.retry`.

`Retrying` is the documented form, a loop of context managers; `with_retries` is the same for operations
over an `Exchange`. Both log what they do and know nothing of what an attempt does.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, TypeVar

from dragoman.resilience.retry import Backoff, next_delay
from dragoman.stackspot.failures import (
    RETRY_STATUSES,
    MaxRetriesExceededError,
    RetryableError,
    is_retryable,
    let_go,
    retry_after_of,
)
from dragoman.stackspot.logs import shown
from dragoman.stackspot.pools import pause
from dragoman.stackspot.validation import require

__all__ = [
    "LONGEST_RETRY_AFTER",
    "MaxRetriesExceededError",
    "RetryAttempt",
    "RetryPolicy",
    "RetryableError",
    "Retrying",
    "with_retries",
]

logger = logging.getLogger(__name__)

LONGEST_WAIT = 30.0
"""Seconds that the wait between two attempts grows to."""
LONGEST_RETRY_AFTER = 60.0
"""Seconds beyond which a peer's Retry-After is ignored."""
JITTER = 0.1

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and after what to repeat; `exceptions` None means what the network does to an exchange."""

    max_retries: int = 3
    initial_delay: float = 0.5
    statuses: tuple[int, ...] = RETRY_STATUSES
    exceptions: tuple[type[BaseException], ...] | None = None
    skip: tuple[type[BaseException], ...] = ()

    def __post_init__(self) -> None:
        require(self.max_retries >= 0, f"max_retries must be 0 or more, got {self.max_retries!r}")
        require(self.initial_delay > 0, f"initial_delay must be more than 0 seconds, got {self.initial_delay!r}")

    @property
    def max_attempts(self) -> int:
        return self.max_retries + 1

    def allows(self, error: BaseException) -> bool:
        """Whether an error of this kind is worth another attempt, however many were made."""
        return is_retryable(error, statuses=self.statuses, kinds=self.exceptions, skip=self.skip)

    def wait_after(self, number: int, error: BaseException, *, random: Callable[[], float], epoch: float) -> float:
        """Seconds between attempt `number` (from 1) and the next: grown, spread, and not less than the peer asked for."""
        policy = Backoff(self.max_retries, base=self.initial_delay, ceiling=LONGEST_WAIT, jitter=JITTER, patience=None)
        asked = retry_after_of(error, epoch)
        if asked is not None and asked > LONGEST_RETRY_AFTER:
            asked = None
        return next_delay(number - 1, policy, random=random, retry_after=asked)


def _spent(policy: RetryPolicy, error: Exception, prefix: str) -> MaxRetriesExceededError:
    text = f"Max retries exceeded after {policy.max_attempts} attempts. Last error: {error}"
    logger.error("%sgave up after %d attempts: %s", _lead(prefix), policy.max_attempts, shown(error))
    return MaxRetriesExceededError(text, last_exception=error)


def _lead(prefix: str) -> str:
    return f"{prefix} | " if prefix else ""


def _tell(policy: RetryPolicy, number: int, error: Exception, seconds: float, prefix: str) -> None:
    logger.warning(
        "%sattempt %d of %d failed: %s; next one in %.1f s",
        _lead(prefix),
        number,
        policy.max_attempts,
        shown(error),
        seconds,
    )


class RetryPort(Protocol):
    """The part of an `Exchange` that retries need."""

    async def sleep(self, seconds: float) -> None: ...

    def random(self) -> float: ...

    def epoch(self) -> float: ...


async def with_retries(
    exchange: RetryPort, policy: RetryPolicy, attempt: Callable[[int], Awaitable[T]], *, prefix: str = ""
) -> T:
    """Await `attempt(number)`, number counting from 1, until one succeeds.

    Raises the attempt's own error where it is not worth repeating or where no retries are allowed at all,
    and MaxRetriesExceededError when they ran out.
    """
    number = 1
    while True:
        try:
            return await attempt(number)
        except Exception as error:
            if policy.max_retries == 0 or not policy.allows(error):
                raise
            let_go(error)
            if number >= policy.max_attempts:
                raise _spent(policy, error, prefix) from error
            seconds = policy.wait_after(number, error, random=exchange.random, epoch=exchange.epoch())
            _tell(policy, number, error, seconds, prefix)
        number += 1
        await exchange.sleep(seconds)


class RetryAttempt:
    """One attempt: a context manager that swallows an error which another attempt may mend."""

    __slots__ = ("_loop", "attempt_number")

    def __init__(self, loop: Retrying, attempt_number: int) -> None:
        self._loop = loop
        self.attempt_number = attempt_number

    @property
    def max_attempts(self) -> int:
        """The first attempt and the retries after it."""
        return self._loop.max_attempts

    @property
    def is_last_attempt(self) -> bool:
        return self.attempt_number >= self.max_attempts

    def __enter__(self) -> RetryAttempt:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        return self._loop._ended(self, error)


class Retrying:
    """Repeats a block: `for attempt in Retrying(...): with attempt: ...`; a block that succeeds ends the loop.

    With `max_retries=0` an error is raised as it is; when retries run out, MaxRetriesExceededError.
    `retry_on_exceptions` None means what the network does: refused, reset, cut short, too slow.
    """

    def __init__(
        self,
        max_retries: int = 3,
        initial_delay: float = 0.5,
        retry_on_status_codes: Iterable[int] = RETRY_STATUSES,
        retry_on_exceptions: Iterable[type[BaseException]] | None = None,
        skip_retry_on_exceptions: Iterable[type[BaseException]] = (),
        logger_prefix: str = "",
        *,
        sleep: Callable[[float], None] = pause,
        random: Callable[[], float] = random.random,
        epoch: Callable[[], float] = time.time,
    ) -> None:
        kinds = None if retry_on_exceptions is None else tuple(retry_on_exceptions)
        self._policy = RetryPolicy(
            max_retries, initial_delay, tuple(retry_on_status_codes), kinds, tuple(skip_retry_on_exceptions)
        )
        self.logger_prefix = logger_prefix
        self._sleep = sleep
        self._random = random
        self._epoch = epoch
        self._succeeded = False

    @property
    def max_retries(self) -> int:
        return self._policy.max_retries

    @property
    def initial_delay(self) -> float:
        return self._policy.initial_delay

    @property
    def max_attempts(self) -> int:
        return self._policy.max_attempts

    def __iter__(self) -> Iterator[RetryAttempt]:
        self._succeeded = False
        for number in range(1, self.max_attempts + 1):
            yield RetryAttempt(self, number)
            if self._succeeded:
                return

    def _ended(self, attempt: RetryAttempt, error: BaseException | None) -> bool:
        """True if the error is to be forgotten because another attempt comes."""
        if error is None:
            self._succeeded = True
            return False
        if not isinstance(error, Exception) or self.max_retries == 0 or not self._policy.allows(error):
            return False
        let_go(error)
        if attempt.is_last_attempt:
            raise _spent(self._policy, error, self.logger_prefix) from error
        seconds = self._policy.wait_after(attempt.attempt_number, error, random=self._random, epoch=self._epoch())
        _tell(self._policy, attempt.attempt_number, error, seconds, self.logger_prefix)
        self._sleep(seconds)
        return True
