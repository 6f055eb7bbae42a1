"""The documented names, and that they cost nothing until they are used."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dragoman.ai import resilience


@pytest.mark.requirement("AIP-45")
def test_every_documented_name_is_there() -> None:
    words = """
        AdaptiveRateLimiter Backpressure BackpressureConfig CircuitBreaker CircuitBreakerConfig CircuitBreakerSnapshot
        CircuitOpenError CircuitState CircuitStats ExecutionStats FallbackChain FallbackConfig FallbackResult
        FallbackTarget InflightSnapshot JitterStrategy MultiFallback PreflightChecker PreflightConfig PreflightContext
        PreflightError PreflightResult RateLimiter RateLimiterConfig RateLimiterSnapshot ResilientConfig
        ResilientExecutor RetryConfig RetryPolicy RetryResult SignalsSnapshot with_retry
    """
    documented = words.split()
    assert set(resilience.__all__) == set(documented)
    for name in (*documented, "BackpressureError", "Lease"):
        assert getattr(resilience, name).__name__.endswith(name.removeprefix("Circuit"))
        assert name in dir(resilience)
    with pytest.raises(AttributeError, match="nothing"):
        _ = resilience.nothing


def test_importing_the_package_loads_no_event_loop_and_no_network() -> None:
    code = "import sys, dragoman.ai.resilience, dragoman.ai.routing; print({'anyio', 'pydantic'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "set()"
