"""The errors of our own policies: refused by us, the provider was not asked or not waited for.

    AiLibError
    ├── CircuitOpenError      core CircuitOpen     the breaker lets nothing through
    ├── BackpressureError     core LimitExceeded   no place became free in time
    ├── PreflightError        core PolicyError     a check before the request did not pass; a long pause
    └── TransportError
        └── OperationTimeout  core TimedOut        the breaker's own limit for one operation

Another provider may do what these refused, so they are fallbackable; of them only OperationTimeout is retried.
"""

from __future__ import annotations

from typing import Any

from dragoman.ai.errors import AiLibError, ErrorClass, TransportError
from dragoman.core import errors as core


class CircuitOpenError(AiLibError, core.CircuitOpen):
    """Too many failures of late. `time_until_retry` is seconds, None when trials are under way."""

    default_class = ErrorClass.OVERLOADED
    default_source = "circuit_breaker"

    def __init__(
        self, message: str = "the circuit breaker is open", time_until_retry: float | None = None, **common: Any
    ) -> None:
        super().__init__(message, retry_after=time_until_retry, **common)
        self.time_until_retry = time_until_retry


class BackpressureError(AiLibError, core.LimitExceeded):
    """As many requests are under way as may be."""

    default_class = ErrorClass.OVERLOADED
    default_source = "backpressure"

    def __init__(self, message: str = "too many requests are under way", **common: Any) -> None:
        super().__init__(message, **common)


class PreflightError(AiLibError, core.PolicyError):
    """`component` (circuit_breaker, rate_limiter, backpressure) would not let the request through."""

    default_class = ErrorClass.OVERLOADED
    default_source = "preflight"

    def __init__(
        self, message: str, component: str, retryable: bool = True, retry_after_ms: float | None = None, **common: Any
    ) -> None:
        seconds = None if retry_after_ms is None else retry_after_ms / 1000
        super().__init__(message, retryable=retryable, retry_after=seconds, **common)
        self.component = component
        self.retry_after_ms = retry_after_ms


class OperationTimeout(TransportError, core.TimedOut, TimeoutError):
    """An operation took longer than the breaker's `timeout_seconds`."""

    def __init__(self, message: str, **common: Any) -> None:
        super().__init__(message, kind="timeout_read", **common)
