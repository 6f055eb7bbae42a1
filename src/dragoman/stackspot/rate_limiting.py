"""How many requests go out: a token bucket, and one that learns from answers of 429. Decorators around an `HttpClient`.

Only `post` and `post_stream` count. The buckets decide and may be shared by clients; the clients wait. A token
is taken when a request asks for it and paid for by waiting, so that those who wait are served in order.
"""

from __future__ import annotations

import random
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from dragoman.core.errors import DragomanError
from dragoman.resilience.bucket import TokenBucket
from dragoman.stackspot.config import STKAI, STKAIConfig
from dragoman.stackspot.failures import RetryableError, let_go
from dragoman.stackspot.http_interface import AsyncHttpClient, HttpClient, Timeout
from dragoman.stackspot.pools import WorkStopped, pause
from dragoman.stackspot.validation import require

SPREAD = 0.2
"""The adaptive limiter's steps and waits are spread by this share, so that processes do not move together."""


class ClientSideRateLimitError(RetryableError):
    """Our own limit kept a request back."""

    default_code = "client_rate_limit"


class TokenAcquisitionTimeoutError(ClientSideRateLimitError, TimeoutError):
    """The wait for the limiter would be longer than allowed; `waited` seconds were spent before that was known."""

    default_code = "client_rate_limit_timeout"

    def __init__(self, waited: float, max_wait_time: float) -> None:
        super().__init__(f"the rate limiter gives no token within {max_wait_time:g} s (waited {waited:.1f} s)")
        self.waited = waited
        self.max_wait_time = max_wait_time


class ServerSideRateLimitError(RetryableError):
    """The service answered 429; `response` is its answer, whose Retry-After the retries honour."""

    default_code = "server_rate_limit"
    default_status = 429

    def __init__(self, response: Any) -> None:
        super().__init__(_refusal(response))
        self.response = response


def _refusal(response: Any) -> str:
    text = ""
    try:
        text = str(response.text).strip()[:2000]
    except Exception:
        pass  # the text is a courtesy; the status says enough
    return f"HTTP error 429: {text}" if text else "HTTP error 429"


# ------------------------------------------------------------------------------------ buckets


class Limiter(ABC):
    """Says how long the next request must wait, and learns from answers. Threads and event loops share one."""

    def __init__(self, max_requests: float, time_window: float, max_wait_time: float | None) -> None:
        require(max_requests > 0, f"max_requests must be more than 0, got {max_requests!r}")
        require(time_window > 0, f"time_window must be more than 0 seconds, got {time_window!r}")
        require(max_wait_time is None or max_wait_time > 0, f"max_wait_time must be more than 0, got {max_wait_time!r}")
        self.max_requests = max_requests
        self.time_window = time_window
        self.max_wait_time = max_wait_time
        self._lock = threading.Lock()
        self._bucket: TokenBucket | None = None

    def claim(self, now: float) -> float:
        """Take a token; the seconds until it is there. Raises TokenAcquisitionTimeoutError, and takes none then."""
        with self._lock:
            bucket = self._at(now)
            wait = bucket.wait_for(1.0, now)
            if self.max_wait_time is not None and wait > self.max_wait_time:
                raise TokenAcquisitionTimeoutError(0.0, self.max_wait_time)
            bucket.take(1.0)
            return self._spread(wait)

    def give_back(self) -> None:
        """A token that was taken is not needed."""
        with self._lock:
            if self._bucket is not None:
                self._bucket.give_back(1.0)

    @property
    def tokens(self) -> float:
        """Tokens at hand after the last claim; below 0 by as many as requests wait."""
        return self._bucket.tokens if self._bucket is not None else self._capacity()

    def _at(self, now: float) -> TokenBucket:
        if self._bucket is None:
            size = self._capacity()
            self._bucket = TokenBucket(size / self.time_window, size, size, now)
        return self._bucket

    def _capacity(self) -> float:
        return max(1.0, self.max_requests)

    def _spread(self, wait: float) -> float:
        return wait

    @abstractmethod
    def learn(self, status: int) -> None:
        """What the service answered."""


class FixedLimiter(Limiter):
    """`max_requests` in each `time_window`, refilled evenly."""

    def learn(self, status: int) -> None:
        pass


class AdaptiveLimiter(Limiter):
    """As `FixedLimiter`, with a size that an answer of 429 makes smaller and others let grow again.

    It never falls below one request in a window, so that it can always recover; failures of the service (5xx, 408)
    teach nothing.
    """

    def __init__(
        self,
        max_requests: float,
        time_window: float,
        max_wait_time: float | None,
        min_rate_floor: float = 0.1,
        penalty_factor: float = 0.3,
        recovery_factor: float = 0.05,
        *,
        random: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(max_requests, time_window, max_wait_time)
        require(0 < min_rate_floor <= 1, f"min_rate_floor must be above 0 and at most 1, got {min_rate_floor!r}")
        require(0 < penalty_factor < 1, f"penalty_factor must be between 0 and 1, got {penalty_factor!r}")
        require(0 < recovery_factor < 1, f"recovery_factor must be between 0 and 1, got {recovery_factor!r}")
        self.min_rate_floor = min_rate_floor
        self.penalty_factor = penalty_factor
        self.recovery_factor = recovery_factor
        self.size = self._capacity()
        self._random = random

    def learn(self, status: int) -> None:
        with self._lock:
            if status == 429:
                smaller = self.size * (1 - self.penalty_factor * self._factor())
                self._resize(max(smaller, self.max_requests * self.min_rate_floor, 1.0))
            elif status < 500 and status != 408:
                larger = self.size + self.max_requests * self.recovery_factor * self._factor()
                self._resize(min(larger, self._capacity()))

    def _resize(self, size: float) -> None:
        self.size = size
        if self._bucket is not None:
            self._bucket.rate = size / self.time_window
            self._bucket.capacity = size
            self._bucket.tokens = min(self._bucket.tokens, size)

    def _factor(self) -> float:
        return 1 + SPREAD * (2 * self._random() - 1)

    def _spread(self, wait: float) -> float:
        return wait * self._factor()


def limiter_of(config: STKAIConfig) -> Limiter | None:
    """The limiter that a configuration asks for; None if it asks for none."""
    limit = config.rate_limit
    if not limit.enabled:
        return None
    if limit.strategy == "adaptive":
        factors = (limit.min_rate_floor, limit.penalty_factor, limit.recovery_factor)
        return AdaptiveLimiter(limit.max_requests, limit.time_window, limit.max_wait_time, *factors)
    return FixedLimiter(limit.max_requests, limit.time_window, limit.max_wait_time)


def shared_limiter() -> Limiter | None:
    """The one limiter of the global configuration, for all its clients."""
    return STKAI.shared("limiter", limiter_of)


# ------------------------------------------------------------------------------------ clients


class LimitedHttpClient(HttpClient):
    """Waits for a limiter before each POST. `delegate` sends."""

    def __init__(
        self,
        delegate: HttpClient,
        limiter: Limiter,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = pause,
    ) -> None:
        require(delegate is not None, "delegate must be given")
        self.delegate = delegate
        self.limiter = limiter
        self._now = now
        self._sleep = sleep

    @property
    def max_requests(self) -> float:
        return self.limiter.max_requests

    @property
    def time_window(self) -> float:
        return self.limiter.time_window

    @property
    def max_wait_time(self) -> float | None:
        return self.limiter.max_wait_time

    def get(self, url: str, headers: dict[str, str] | None = None, timeout: Timeout = 30) -> Any:
        return self.delegate.get(url, headers=headers, timeout=timeout)

    def post(self, url: str, data: Any = None, headers: dict[str, str] | None = None, timeout: Timeout = 30) -> Any:
        self._wait()
        return self._heard(self.delegate.post(url, data=data, headers=headers, timeout=timeout))

    def post_stream(
        self, url: str, data: Any = None, headers: dict[str, str] | None = None, timeout: Timeout = 30
    ) -> Any:
        self._wait()
        return self._heard(self.delegate.post_stream(url, data=data, headers=headers, timeout=timeout))

    def _wait(self) -> None:
        seconds = self.limiter.claim(self._now())
        if seconds <= 0:
            return
        try:
            self._sleep(seconds)
        except (WorkStopped, KeyboardInterrupt):
            self.limiter.give_back()
            raise

    def _heard(self, response: Any) -> Any:
        return _heard(self.limiter, response)

    def close(self) -> None:
        """Let the delegate go of its connections."""
        close = getattr(self.delegate, "close", None)
        if callable(close):
            close()


def _heard(limiter: Limiter, response: Any) -> Any:
    """Tell the limiter what came; a 429 is an error where somebody learns from it."""
    status = getattr(response, "status_code", None)
    if not isinstance(status, int):
        return response
    limiter.learn(status)
    if status == 429 and isinstance(limiter, AdaptiveLimiter):
        error = ServerSideRateLimitError(response)
        let_go(error)
        raise error
    return response


async def _read_and_closed(answer: Any) -> None:
    """Have what an answer says at hand, as far as it can be read, and let go of its connection."""
    try:
        if hasattr(answer, "aread"):
            await answer.aread()
    except DragomanError:
        pass  # the text is a courtesy, as in `_refusal`
    finally:
        if hasattr(answer, "aclose"):
            await answer.aclose()


class TokenBucketRateLimitedHttpClient(LimitedHttpClient):
    """At most `max_requests` POSTs in `time_window` seconds, spread evenly after a first burst.

    Raises TokenAcquisitionTimeoutError when a wait would be longer than `max_wait_time`; None means no wait is too long.
    """

    def __init__(
        self,
        delegate: HttpClient,
        max_requests: int,
        time_window: float,
        max_wait_time: float | None = 45.0,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = pause,
    ) -> None:
        super().__init__(delegate, FixedLimiter(max_requests, time_window, max_wait_time), now=now, sleep=sleep)


class AdaptiveRateLimitedHttpClient(LimitedHttpClient):
    """As `TokenBucketRateLimitedHttpClient`; fewer after each 429, which raises ServerSideRateLimitError, then more again."""

    def __init__(
        self,
        delegate: HttpClient,
        max_requests: int,
        time_window: float,
        min_rate_floor: float = 0.1,
        penalty_factor: float = 0.3,
        recovery_factor: float = 0.05,
        max_wait_time: float | None = 45.0,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = pause,
        random: Callable[[], float] = random.random,
    ) -> None:
        factors = (min_rate_floor, penalty_factor, recovery_factor)
        limiter = AdaptiveLimiter(max_requests, time_window, max_wait_time, *factors, random=random)
        super().__init__(delegate, limiter, now=now, sleep=sleep)


class AsyncLimitedHttpClient(AsyncHttpClient):
    """The awaiting twin of `LimitedHttpClient`; may share its limiter."""

    def __init__(
        self, delegate: AsyncHttpClient, limiter: Limiter, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        require(delegate is not None, "delegate must be given")
        self.delegate = delegate
        self.limiter = limiter
        self._now = now

    async def get(self, url: str, headers: dict[str, str] | None = None, timeout: Timeout = 30) -> Any:
        return await self.delegate.get(url, headers=headers, timeout=timeout)

    async def post(
        self, url: str, data: Any = None, headers: dict[str, str] | None = None, timeout: Timeout = 30
    ) -> Any:
        await self._wait()
        return _heard(self.limiter, await self.delegate.post(url, data=data, headers=headers, timeout=timeout))

    async def post_stream(
        self, url: str, data: Any = None, headers: dict[str, str] | None = None, timeout: Timeout = 30
    ) -> Any:
        await self._wait()
        answer = await self.delegate.post_stream(url, data=data, headers=headers, timeout=timeout)
        if getattr(answer, "status_code", None) == 429 and isinstance(self.limiter, AdaptiveLimiter):
            await _read_and_closed(answer)
        return _heard(self.limiter, answer)

    async def _wait(self) -> None:
        seconds = self.limiter.claim(self._now())
        if seconds <= 0:
            return
        from anyio import sleep  # only a program that awaits needs it

        try:
            await sleep(seconds)
        except BaseException:
            self.limiter.give_back()
            raise

    async def aclose(self) -> None:
        await self.delegate.aclose()
