"""Trying again: the documented configuration over the one retry loop of `dragoman.resilience.retry`.

Knows which errors of a provider are worth it; what an operation does, and that nothing of a stream
was handed out yet, is for its caller to see to.
"""

from __future__ import annotations

import math
import random as _random
from collections.abc import Awaitable, Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, TypeAlias, TypeVar

import anyio

from dragoman.ai.errors import ErrorClass
from dragoman.ai.errors import is_retryable as is_retryable_class
from dragoman.ai.resilience.judging import worth_retrying
from dragoman.ai.resilience.waiting import Random, Sleep, told
from dragoman.core.errors import UsageError
from dragoman.resilience.retry import Backoff, own_delay
from dragoman.resilience.retry import with_retry as run_with_retry

__all__ = ["JitterStrategy", "OnRetry", "RetryConfig", "RetryPolicy", "RetryResult", "with_retry"]

T = TypeVar("T")

OnRetry: TypeAlias = Callable[[int, Exception, float], Any]
"""`on_retry(retry, error, delay)`: before each wait; `retry` is 1 for the first. Plain or async."""

MOST_RETRIES = 10
"""However many a manifest asks for: each one is paid for."""

_GROWTH: dict[str, Literal["exponential", "linear", "fixed"]] = {
    "exponential_backoff": "exponential",
    "linear_backoff": "linear",
    "fixed_delay": "fixed",
}


class JitterStrategy(StrEnum):
    """How a delay d is spread: not at all, over 0…d, over d/2…d."""

    NONE = "none"
    FULL = "full"
    EQUAL = "equal"


_SPREAD: dict[JitterStrategy, Literal["full", "equal", "none"]] = {
    JitterStrategy.NONE: "none",
    JitterStrategy.FULL: "full",
    JitterStrategy.EQUAL: "equal",
}


def _usual_classes() -> AbstractSet[ErrorClass]:
    return {ErrorClass.RATE_LIMITED, ErrorClass.TIMEOUT, ErrorClass.SERVER_ERROR, ErrorClass.OVERLOADED}


@dataclass(frozen=True)
class RetryConfig:
    """How often, how patiently and after which answers to try again.

    An answer is retried when its status, its class, or a listed error status or code says so;
    failures of the network always, but for certificates. `max_retry_after_ms` bounds what a
    provider may ask us to wait (None: `max_delay_ms`, `inf`: anything); beyond it the error is
    raised at once. Raises UsageError for what makes no sense.
    """

    max_retries: int = 3
    min_delay_ms: float = 1000
    max_delay_ms: float = 60000
    jitter: JitterStrategy = JitterStrategy.FULL
    retry_on_status: AbstractSet[int] = field(default_factory=lambda: {429, 500, 502, 503, 504})
    retry_on_error_class: AbstractSet[ErrorClass] = field(default_factory=_usual_classes)
    exponential_base: float = 2.0
    strategy: str = "exponential_backoff"
    retry_on_error_status: AbstractSet[str] = frozenset()
    retry_on_error_code: AbstractSet[str] = frozenset()
    max_retry_after_ms: float | None = None

    def __post_init__(self) -> None:
        if self.strategy != "none" and self.strategy not in _GROWTH:
            raise UsageError(f"expected a strategy of {', '.join(_GROWTH)} or none, got {self.strategy!r}")
        object.__setattr__(self, "jitter", JitterStrategy(self.jitter))
        _ = self.backoff

    @property
    def backoff(self) -> Backoff:
        """The same in the words of `dragoman.resilience.retry`."""
        patience = self.max_delay_ms if self.max_retry_after_ms is None else self.max_retry_after_ms
        return Backoff(
            retries=0 if self.strategy == "none" else self.max_retries,
            base=self.min_delay_ms / 1000,
            factor=self.exponential_base,
            ceiling=self.max_delay_ms / 1000,
            patience=patience / 1000,
            growth=_GROWTH.get(self.strategy, "exponential"),
            spread=_SPREAD[self.jitter],
        )

    @classmethod
    def from_protocol(cls, retry_policy: Any) -> RetryConfig:
        """A manifest's `retry_policy`, a mapping or the manifest's own object; None gives the defaults.

        With a list of statuses or codes only these are retried, without one every retryable class.
        A policy that names no jitter has none: its delays are at least its minimum. No manifest gets
        more than ten retries.
        """
        if retry_policy is None:
            return cls()
        policy: Mapping[str, Any] = (
            retry_policy.model_dump() if hasattr(retry_policy, "model_dump") else dict(retry_policy)
        )
        given: dict[str, Any] = {
            name: policy[name]
            for name in ("max_retries", "min_delay_ms", "max_delay_ms", "strategy", "exponential_base")
            if policy.get(name) is not None
        }
        if "max_retries" in given:
            given["max_retries"] = min(given["max_retries"], MOST_RETRIES)
        given["jitter"] = JitterStrategy(policy.get("jitter") or "none")
        statuses = frozenset(int(status) for status in policy.get("retry_on_http_status") or ())
        words = frozenset(policy.get("retry_on_error_status") or ())
        codes = frozenset(policy.get("retry_on_error_code") or ())
        if statuses or words or codes:
            given |= {"retry_on_status": statuses, "retry_on_error_class": frozenset()}
        else:
            given["retry_on_error_class"] = frozenset(filter(is_retryable_class, ErrorClass))
        return cls(**given, retry_on_error_status=words, retry_on_error_code=codes)

    @classmethod
    def no_retry(cls) -> RetryConfig:
        """One attempt and no more."""
        return cls(max_retries=0)


@dataclass
class RetryResult:
    """How it went: `value` or the last `error`, after so many attempts and so much waiting."""

    success: bool
    value: Any = None
    error: Exception | None = None
    attempts: int = 0
    total_delay_ms: float = 0.0


class RetryPolicy:
    """Decides about retries and runs operations with them. `random` gives numbers in [0, 1)."""

    def __init__(
        self,
        config: RetryConfig | None = None,
        *,
        sleep: Sleep = anyio.sleep,
        random: Random = _random.random,
    ) -> None:
        self._config = config or RetryConfig()
        self._backoff = self._config.backoff
        self._wait = sleep
        self._random = random

    @property
    def config(self) -> RetryConfig:
        return self._config

    @property
    def patience(self) -> float:
        """The most seconds that a provider may ask us to wait."""
        return math.inf if self._backoff.patience is None else self._backoff.patience

    def calculate_delay(self, attempt: int, retry_after: float | None = None) -> float:
        """Seconds before the retry that follows attempt number `attempt` (0 is the first).

        Never less than `retry_after`, whatever the limits say.
        """
        return max(own_delay(attempt, self._backoff, random=self._random), retry_after or 0.0)

    def should_retry(self, error: BaseException, attempt: int) -> bool:
        """Whether attempt number `attempt` (0 is the first), which failed so, is followed by another."""
        if attempt >= self._backoff.retries or (self.get_retry_after(error) or 0.0) > self.patience:
            return False
        return self._is_worth_it(error)

    def get_retry_after(self, error: BaseException) -> float | None:
        """Seconds that the provider asked to wait, None if it did not."""
        seconds = getattr(error, "retry_after", None)
        return float(seconds) if isinstance(seconds, int | float) and seconds >= 0 else None

    async def execute(self, operation: Callable[[], Awaitable[T]], on_retry: OnRetry | None = None) -> RetryResult:
        """Run the operation with retries. An error is in the result; only cancellation is raised."""
        result = RetryResult(success=False)
        try:
            await self.run(operation, on_retry, result)
        except Exception as error:
            result.error = error
        return result

    async def run(
        self,
        operation: Callable[[], Awaitable[T]],
        on_retry: OnRetry | None = None,
        result: RetryResult | None = None,
    ) -> T:
        """`execute` that raises the last error; `result` is filled in as it goes."""
        record = result if result is not None else RetryResult(success=False)

        async def attempt() -> T:
            record.attempts += 1
            return await operation()

        async def before_wait(retry: int, error: Exception, delay: float) -> None:
            await told(on_retry, retry, error, delay)
            record.total_delay_ms += delay * 1000

        value = await run_with_retry(
            self,
            attempt,
            self._backoff,
            is_retryable=self._is_worth_it,
            random=self._random,
            kinds=Exception,
            before_wait=before_wait,
        )
        record.success, record.value = True, value
        return value

    async def sleep(self, seconds: float) -> None:
        """Wait, as the retry loop asks."""
        await self._wait(seconds)

    def _is_worth_it(self, error: BaseException) -> bool:
        return worth_retrying(
            error,
            statuses=self._config.retry_on_status,
            classes=self._config.retry_on_error_class,
            error_statuses=self._config.retry_on_error_status,
            error_codes=self._config.retry_on_error_code,
        )


async def with_retry(
    operation: Callable[[], Awaitable[T]],
    config: RetryConfig | None = None,
    on_retry: OnRetry | None = None,
    *,
    sleep: Sleep = anyio.sleep,
    random: Random = _random.random,
) -> T:
    """The operation's value, after as many attempts as the configuration allows. Raises the last error."""
    return await RetryPolicy(config, sleep=sleep, random=random).run(operation, on_retry)
