"""Policies around a call: retry, rate limits, circuit breaker, backpressure, fallback, preflight.

    from dragoman.ai.resilience import ResilientConfig, ResilientExecutor

    executor = ResilientExecutor(ResilientConfig.production())
    answer = await executor.execute(lambda: client.chat().user("Hello").execute())

The shells here wait and count; what they decide is decided in `dragoman.resilience`, which reads no
clock. All take a clock and a sleep, run on asyncio and trio, may be made outside an event loop, and
belong to one thread. Names load when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dragoman.core.lazy import lazily

if TYPE_CHECKING:
    from dragoman.ai.resilience.backpressure import Backpressure, BackpressureConfig
    from dragoman.ai.resilience.circuit_breaker import (
        CircuitBreaker,
        CircuitBreakerConfig,
        CircuitState,
        CircuitStats,
    )
    from dragoman.ai.resilience.executor import ExecutionStats, ResilientConfig, ResilientExecutor
    from dragoman.ai.resilience.executor import Lease as Lease
    from dragoman.ai.resilience.fallback import (
        FallbackChain,
        FallbackConfig,
        FallbackResult,
        FallbackTarget,
        MultiFallback,
    )
    from dragoman.ai.resilience.preflight import (
        PreflightChecker,
        PreflightConfig,
        PreflightContext,
        PreflightResult,
    )
    from dragoman.ai.resilience.rate_limiter import AdaptiveRateLimiter, RateLimiter, RateLimiterConfig
    from dragoman.ai.resilience.refusals import BackpressureError as BackpressureError
    from dragoman.ai.resilience.refusals import CircuitOpenError, PreflightError
    from dragoman.ai.resilience.retry import JitterStrategy, RetryConfig, RetryPolicy, RetryResult, with_retry
    from dragoman.ai.resilience.signals import (
        CircuitBreakerSnapshot,
        InflightSnapshot,
        RateLimiterSnapshot,
        SignalsSnapshot,
    )

_NAMES = {
    "backpressure": "Backpressure BackpressureConfig",
    "circuit_breaker": "CircuitBreaker CircuitBreakerConfig CircuitState CircuitStats",
    "executor": "ExecutionStats Lease ResilientConfig ResilientExecutor",
    "fallback": "FallbackChain FallbackConfig FallbackResult FallbackTarget MultiFallback",
    "preflight": "PreflightChecker PreflightConfig PreflightContext PreflightResult",
    "rate_limiter": "AdaptiveRateLimiter RateLimiter RateLimiterConfig",
    "refusals": "BackpressureError CircuitOpenError PreflightError",
    "retry": "JitterStrategy RetryConfig RetryPolicy RetryResult with_retry",
    "signals": "CircuitBreakerSnapshot InflightSnapshot RateLimiterSnapshot SignalsSnapshot",
}

__all__ = [
    "AdaptiveRateLimiter",
    "Backpressure",
    "BackpressureConfig",
    "CircuitBreaker",
    "CircuitBreakerConfig",
    "CircuitBreakerSnapshot",
    "CircuitOpenError",
    "CircuitState",
    "CircuitStats",
    "ExecutionStats",
    "FallbackChain",
    "FallbackConfig",
    "FallbackResult",
    "FallbackTarget",
    "InflightSnapshot",
    "JitterStrategy",
    "MultiFallback",
    "PreflightChecker",
    "PreflightConfig",
    "PreflightContext",
    "PreflightError",
    "PreflightResult",
    "RateLimiter",
    "RateLimiterConfig",
    "RateLimiterSnapshot",
    "ResilientConfig",
    "ResilientExecutor",
    "RetryConfig",
    "RetryPolicy",
    "RetryResult",
    "SignalsSnapshot",
    "with_retry",
]

__getattr__, __dir__ = lazily(__name__, _NAMES, _NAMES)
