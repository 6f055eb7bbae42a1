"""Nothing of one test's telemetry is left to the next."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dragoman.ai.telemetry import clear_log_context, set_metrics_collector, set_tracer


@pytest.fixture(autouse=True)
def nothing_global() -> Iterator[None]:
    yield
    set_metrics_collector(None)
    set_tracer(None)
    clear_log_context()
