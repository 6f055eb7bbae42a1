"""As many requests at once as the service takes without slowing down: a number of slots that follows the pressure.

Pressure is requests per second times seconds per request, by Little's law how many are under way in the service.
A slot is held until the answer is read: that of a stream until the stream is closed.
"""

from __future__ import annotations

import random
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any, Self

from dragoman.stackspot.http_interface import HttpClient, Timeout
from dragoman.stackspot.pools import leave_if_stopped
from dragoman.stackspot.responses import ClientResponse
from dragoman.stackspot.validation import require

WINDOW = 5.0
"""Seconds over which requests are counted."""
_LOOK_UP = 0.2
"""Seconds after which one who waits for a slot looks whether the batch was stopped."""


class Slots:
    """How many may be under way; threads share it. Times are seconds on any clock that does not go back."""

    def __init__(
        self, most: int, threshold: float, alpha: float, growth: float, now: float, random: Callable[[], float]
    ) -> None:
        self.limit = most
        self.in_use = 0
        self.latency: float | None = None
        self.rate = 0.0
        self._most = most
        self._threshold = threshold
        self._alpha = alpha
        self._growth = growth
        self._random = random
        self._counted = 0
        self._since = now
        self._changed = threading.Condition()

    @property
    def pressure(self) -> float:
        """Requests under way in the service, by the last whole window; 0 before there was one."""
        return self.rate * (self.latency or 0.0)

    def take(self) -> None:
        """Wait for a slot and take it."""
        with self._changed:
            while self.in_use >= self.limit:
                self._changed.wait(_LOOK_UP)
                leave_if_stopped()
            self.in_use += 1

    def free(self) -> None:
        """Give a slot back."""
        with self._changed:
            self.in_use -= 1
            self._changed.notify_all()

    def learn(self, seconds: float, now: float) -> None:
        """A request took this long."""
        with self._changed:
            self.latency = seconds if self.latency is None else self._alpha * seconds + (1 - self._alpha) * self.latency
            self._counted += 1
            passed = now - self._since
            if passed >= WINDOW:
                self.rate = self._counted / passed
                self._counted, self._since = 0, now
            self._adjust()

    def _adjust(self) -> None:
        pressure = self.pressure
        if pressure <= 0:
            return
        if pressure > self._threshold:
            self.limit = max(1, self.limit - 1)
        elif self.limit < self._most and self._random() < self._growth:
            self.limit += 1
            self._changed.notify_all()


class CongestionAwareHttpClient(HttpClient):
    """At most `max_concurrency` POSTs at once through `delegate`, fewer while the service is under pressure.

    Above `pressure_threshold` a slot less after each answer, down to one; below it a slot more with
    `growth_probability`. `latency_alpha` smooths the latency; a stream's is the time to its head.
    """

    def __init__(
        self,
        delegate: HttpClient,
        max_concurrency: int = 8,
        pressure_threshold: float = 2.0,
        latency_alpha: float = 0.2,
        growth_probability: float = 0.3,
        *,
        now: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random.random,
    ) -> None:
        require(delegate is not None, "delegate must be given")
        require(max_concurrency >= 1, f"max_concurrency must be 1 or more, got {max_concurrency!r}")
        require(pressure_threshold > 0, f"pressure_threshold must be more than 0, got {pressure_threshold!r}")
        require(0 < latency_alpha < 1, f"latency_alpha must be between 0 and 1, got {latency_alpha!r}")
        require(0 <= growth_probability <= 1, f"growth_probability must be from 0 to 1, got {growth_probability!r}")
        self.delegate = delegate
        self.max_concurrency = max_concurrency
        self.pressure_threshold = pressure_threshold
        self._now = now
        self.slots = Slots(max_concurrency, pressure_threshold, latency_alpha, growth_probability, now(), random)

    def get(self, url: str, headers: dict[str, str] | None = None, timeout: Timeout = 30) -> Any:
        return self.delegate.get(url, headers=headers, timeout=timeout)

    def post(self, url: str, data: Any = None, headers: dict[str, str] | None = None, timeout: Timeout = 30) -> Any:
        self.slots.take()
        try:
            began = self._now()
            response = self.delegate.post(url, data=data, headers=headers, timeout=timeout)
            self._learn(began)
            return response
        finally:
            self.slots.free()

    def post_stream(
        self, url: str, data: Any = None, headers: dict[str, str] | None = None, timeout: Timeout = 30
    ) -> Any:
        self.slots.take()
        try:
            began = self._now()
            response = self.delegate.post_stream(url, data=data, headers=headers, timeout=timeout)
            self._learn(began)
            return _held(response, self.slots.free)
        except BaseException:
            self.slots.free()
            raise

    def _learn(self, began: float) -> None:
        now = self._now()
        self.slots.learn(now - began, now)

    def close(self) -> None:
        """Let the delegate go of its connections."""
        close = getattr(self.delegate, "close", None)
        if callable(close):
            close()


def _held(response: Any, free: Callable[[], None]) -> Any:
    if isinstance(response, ClientResponse):
        response.on_close(free)
        return response
    return HeldResponse(response, free)


class HeldResponse:
    """Somebody else's streamed answer, and a slot that is freed when it ends, is closed or is dropped."""

    def __init__(self, response: Any, free: Callable[[], None]) -> None:
        self._response = response
        self._free = weakref.finalize(self, free)

    def __getattr__(self, name: str) -> Any:
        """What the answer has, and nothing that it has not: which of the two it is read by is told by what is there."""
        found = getattr(self._response, name)
        if name not in ("iter_content", "iter_lines"):
            return found
        return lambda *arguments, **named: self._until_end(found(*arguments, **named))

    def _until_end(self, pieces: Any) -> Iterator[Any]:
        try:
            yield from pieces
        finally:
            self._free()

    def close(self) -> None:
        """Close the answer and free the slot."""
        try:
            self._response.close()
        finally:
            self._free()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
