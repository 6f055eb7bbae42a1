"""The gauges: what is asked when somebody reads the metrics, and nowhere else.

Called by `asgi`, which has all the parts.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from dragoman._version import __version__
from dragoman.engine.embedded import EmbeddedEngine
from dragoman.server import metric_table as names
from dragoman.server.dispatch import Dispatcher
from dragoman.server.metrics import Metrics
from dragoman.server.services import Services
from dragoman.server.sweeping import Sweeper
from dragoman.store.sqlite import SQLiteStore


def register(
    metrics: Metrics,
    services: Services,
    *,
    engine: EmbeddedEngine,
    store: SQLiteStore,
    dispatch: Dispatcher,
    sweeper: Sweeper,
) -> None:
    """Let the metrics ask these parts."""
    limits = services.settings.limits
    metrics.gauge(names.INFO, lambda: [((("app", services.app.name), ("version", __version__)), 1)])
    plain: dict[str, Callable[[], float]] = {
        names.UPTIME: lambda: time.monotonic() - services.started,
        names.REQUESTS_OPEN: lambda: dispatch.requests.open,
        names.REQUESTS_LIMIT: lambda: limits.requests,
        names.STREAMS_OPEN: lambda: dispatch.places.open,
        names.STREAMS_LIMIT: lambda: limits.streams,
        names.RUNS_MOVING: lambda: engine.moving,
        names.RUNS_LIMIT: lambda: limits.runs,
        names.JOBS_WAITING: lambda: engine.jobs.length,
        names.JOBS_LIMIT: lambda: engine.jobs.limit,
        names.JOBS_RUNNING: lambda: engine.jobs.busy,
        names.JOBS_WORKERS: lambda: engine.jobs.workers,
        names.WAITING: lambda: store.waiting,
        names.SWEEP_AGE: lambda: sweeper.age,
    }
    for name, read in plain.items():
        metrics.gauge(name, lambda read=read: [((), read())])  # type: ignore[misc]  # bound now, not when called
    for name, place in (
        (names.DATABASE_BYTES, "database"),
        (names.WAL_BYTES, "wal"),
        (names.DISK_FREE, "free"),
    ):
        metrics.gauge(name, lambda place=place: [((), getattr(store.sizes(), place))])  # type: ignore[misc]
