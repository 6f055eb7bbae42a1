"""Is it well? Checks that are asked now, and a record of how providers have answered of late.

Neither asks anybody by itself: checks are the application's functions, successes and failures are
reported by whoever sees them.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

import anyio

from dragoman.ai.errors import ValidationError
from dragoman.core.redact import redact_text

__all__ = [
    "AggregatedHealth",
    "HealthCheckResult",
    "HealthChecker",
    "HealthStatus",
    "ProviderHealthTracker",
    "get_health_checker",
    "get_health_tracker",
    "set_health_checker",
    "set_health_tracker",
]


class HealthStatus(StrEnum):
    """How somebody is."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"


@dataclass
class HealthCheckResult:
    """What a check found; `timestamp` is seconds since the epoch."""

    name: str
    status: HealthStatus
    message: str = ""
    latency_ms: float = 0.0
    timestamp: float = field(default_factory=time.time)
    details: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "status": self.status.value,
            "message": self.message,
            "latency_ms": self.latency_ms,
            "timestamp": self.timestamp,
            "details": dict(self.details),
        }


@dataclass
class AggregatedHealth:
    """All checks together."""

    status: HealthStatus
    checks: list[HealthCheckResult] = field(default_factory=list)
    timestamp: float = field(default_factory=time.time)

    def to_dict(self) -> dict[str, Any]:
        checks = [check.to_dict() for check in self.checks]
        return {"status": self.status.value, "checks": checks, "timestamp": self.timestamp}


Check: TypeAlias = Callable[[], Awaitable[HealthCheckResult]]


def together(statuses: Iterable[HealthStatus]) -> HealthStatus:
    """The worst of them: unhealthy, degraded, unknown, healthy. Without any: unknown."""
    found = set(statuses)
    order = (HealthStatus.UNHEALTHY, HealthStatus.DEGRADED, HealthStatus.UNKNOWN, HealthStatus.HEALTHY)
    return next((status for status in order if status in found), HealthStatus.UNKNOWN)


class HealthChecker:
    """Checks by name. `clock` is monotonic seconds, `wall` those since the epoch."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time) -> None:
        self._checks: dict[str, Check] = {}
        self._last: dict[str, HealthCheckResult] = {}
        self._clock = clock
        self._wall = wall
        self._reported = ProviderHealthTracker(wall=wall)

    def register(self, name: str, check: Check) -> None:
        """Ask this from now on; a check of the same name is replaced."""
        self._checks[name] = check

    def unregister(self, name: str) -> None:
        """Forget a check and what it found."""
        self._checks.pop(name, None)
        self._last.pop(name, None)

    async def check(self, name: str) -> HealthCheckResult:
        """Ask one check; what it raises makes it unhealthy. Raises KeyError for an unknown name."""
        if name not in self._checks:
            raise KeyError(f"there is no health check {name!r}")
        began = self._clock()
        try:
            found = await self._checks[name]()
        except Exception as error:
            text = redact_text(str(error) or type(error).__name__)
            found = HealthCheckResult(name, HealthStatus.UNHEALTHY, text, timestamp=self._wall())
        if not found.latency_ms:
            found.latency_ms = max(self._clock() - began, 0.0) * 1000
        self._last[name] = found
        return found

    async def check_all(self, timeout: float = 30.0) -> AggregatedHealth:
        """Ask all at the same time, for at most so many seconds; those that do not answer in time are unhealthy."""
        names = list(self._checks)
        found: dict[str, HealthCheckResult] = {}

        async def one(name: str) -> None:
            found[name] = await self.check(name)

        with anyio.move_on_after(timeout):
            async with anyio.create_task_group() as tasks:
                for name in names:
                    tasks.start_soon(one, name)
        for name in names:
            if name not in found:
                text = f"no answer within {timeout:g} s"
                late = HealthCheckResult(name, HealthStatus.UNHEALTHY, text, timeout * 1000, self._wall())
                found[name] = self._last[name] = late
        checks = [found[name] for name in names]
        return AggregatedHealth(together(check.status for check in checks), checks, self._wall())

    def get_last_result(self, name: str) -> HealthCheckResult | None:
        return self._last.get(name)

    def get_all_last_results(self) -> dict[str, HealthCheckResult]:
        return dict(self._last)

    get_last_results = get_all_last_results

    # --------------------------------------------------------------------------- what is reported

    def record_success(self, name: str) -> None:
        """It answered; see `ProviderHealthTracker`, which does this for many providers."""
        self._reported.record_success(name)

    def record_failure(self, name: str, error: Any = "") -> None:
        """It failed."""
        self._reported.record_failure(name, str(error))

    def get_status(self, name: str) -> HealthStatus:
        """How it is: by what was reported of it, else by its last check; nobody is asked."""
        last = self._last.get(name)
        reported = self._reported.get_status(name)
        return last.status if reported is HealthStatus.UNKNOWN and last is not None else reported

    def get_aggregate_health(self) -> AggregatedHealth:
        """How all are of whom anything is known."""
        checks = dict(self._last)
        for name in self._reported.get_all_providers():
            details = self._reported.get_details(name)
            text = details["last_error"] or ""
            found = HealthCheckResult(name, self.get_status(name), text, timestamp=self._wall(), details=details)
            checks[name] = found
        return AggregatedHealth(together(one.status for one in checks.values()), list(checks.values()), self._wall())


class _Record:
    """The last outcomes of one provider."""

    def __init__(self, size: int) -> None:
        self.outcomes: deque[bool] = deque(maxlen=size)
        self.last_error: str | None = None
        self.last_success: float | None = None
        self.last_failure: float | None = None

    @property
    def error_rate(self) -> float:
        return self.outcomes.count(False) / len(self.outcomes) if self.outcomes else 0.0


class ProviderHealthTracker:
    """How providers have answered, by the last `window_size` outcomes of each; safe to use from any thread.

    From a share of failures of `unhealthy_threshold` on one is unhealthy, from `degraded_threshold` on degraded.
    """

    def __init__(
        self,
        window_size: int = 100,
        unhealthy_threshold: float = 0.5,
        degraded_threshold: float = 0.1,
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        if window_size < 1:
            raise ValidationError("a window holds at least one outcome", field="window_size", actual=window_size)
        self._size = window_size
        self._unhealthy = unhealthy_threshold
        self._degraded = degraded_threshold
        self._wall = wall
        self._records: dict[str, _Record] = {}
        self._lock = threading.Lock()

    def record_success(self, provider: str) -> None:
        with self._lock:
            record = self._record(provider)
            record.outcomes.append(True)
            record.last_success = self._wall()

    def record_failure(self, provider: str, error: str = "") -> None:
        """It failed; `error` is kept without secrets."""
        with self._lock:
            record = self._record(provider)
            record.outcomes.append(False)
            record.last_error = redact_text(str(error)) or None
            record.last_failure = self._wall()

    def _record(self, provider: str) -> _Record:
        return self._records.setdefault(provider, _Record(self._size))

    def get_error_rate(self, provider: str) -> float:
        """The share of failures; 0 for one that nothing is known of."""
        with self._lock:
            record = self._records.get(provider)
            return record.error_rate if record is not None else 0.0

    def get_status(self, provider: str) -> HealthStatus:
        with self._lock:
            record = self._records.get(provider)
            return self._status(record)

    def _status(self, record: _Record | None) -> HealthStatus:
        if record is None or not record.outcomes:
            return HealthStatus.UNKNOWN
        if record.error_rate >= self._unhealthy:
            return HealthStatus.UNHEALTHY
        return HealthStatus.DEGRADED if record.error_rate >= self._degraded else HealthStatus.HEALTHY

    def get_details(self, provider: str) -> dict[str, Any]:
        """Everything that is known of one; times are seconds since the epoch."""
        with self._lock:
            record = self._records.get(provider)
            known = record if record is not None else _Record(1)
            return {
                "provider": provider,
                "status": self._status(record).value,
                "error_rate": known.error_rate,
                "sample_count": len(known.outcomes),
                "last_error": known.last_error,
                "last_success_time": known.last_success,
                "last_failure_time": known.last_failure,
            }

    def get_all_providers(self) -> list[str]:
        with self._lock:
            return list(self._records)

    def reset(self, provider: str | None = None) -> None:
        """Forget one, or all."""
        with self._lock:
            if provider is None:
                self._records.clear()
            else:
                self._records.pop(provider, None)


_checker: HealthChecker | None = None
_tracker: ProviderHealthTracker | None = None


def get_health_checker() -> HealthChecker:
    """The checker of this process."""
    global _checker
    if _checker is None:
        _checker = HealthChecker()
    return _checker


def set_health_checker(checker: HealthChecker | None) -> None:
    """Let this be the checker of the process; None for a fresh one."""
    global _checker
    _checker = checker


def get_health_tracker() -> ProviderHealthTracker:
    """The tracker of this process."""
    global _tracker
    if _tracker is None:
        _tracker = ProviderHealthTracker()
    return _tracker


def set_health_tracker(tracker: ProviderHealthTracker | None) -> None:
    """Let this be the tracker of the process; None for a fresh one."""
    global _tracker
    _tracker = tracker
