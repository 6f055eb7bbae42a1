"""What an operator's tools ask: is it alive, is it ready, how is it doing.

`/health/live` says the process answers; `/health/ready` that the store takes writes and the
server is not closing; `/metrics` is the Prometheus text of `metrics`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

from dragoman.core.errors import DragomanError, Forbidden, Unavailable
from dragoman.core.records import Run
from dragoman.server.closing import ServerClosing
from dragoman.server.http import Answer, Call, Face, Route
from dragoman.server.metric_table import OLDEST, RUNS
from dragoman.server.metrics import Labels
from dragoman.server.services import Services

CHECK_SECONDS = 5.0
TEXT = "text/plain; version=0.0.4; charset=utf-8"


def encode_error(error: DragomanError, surface: str) -> Answer:
    """`{"status", "code", "message", "request_id"}`."""
    body = {"status": "error", "code": error.code, "message": error.message, "request_id": error.request_id}
    return Answer.json(body, error.status or 500)


def face(services: Services) -> Face:
    """The operations face."""
    operations = _Operations(services)
    open_metrics = services.settings.metrics.open
    return Face(
        "operations",
        (
            Route("GET", "/health/live", operations.live, auth="none"),
            Route("GET", "/health/ready", operations.ready, auth="none"),
            Route("GET", "/metrics", operations.metrics, auth="none" if open_metrics else "required"),
        ),
        encode_error,
    )


class _Operations:
    def __init__(self, services: Services) -> None:
        self._services = services

    async def live(self, call: Call) -> Answer:
        return Answer.json({"status": "ok"})

    async def ready(self, call: Call) -> Answer:
        if self._services.closing.is_set():
            raise ServerClosing("The server is shutting down.")
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await self._services.store.check()
        except TimeoutError:
            raise Unavailable("The store does not answer.") from None
        return Answer.json({"status": "ok"})

    async def metrics(self, call: Call) -> Answer:
        if not self._services.settings.metrics.open and not call.principal.is_admin:
            raise Forbidden("This needs the scope 'admin'.")
        self._look_at_runs(await self._services.store.unfinished())
        return Answer(200, self._services.metrics.text().encode(), {"content-type": TEXT})

    def _look_at_runs(self, unfinished: Sequence[Run]) -> None:
        now, metrics = self._services.clock(), self._services.metrics
        counts: Counter[str] = Counter({"queued": 0, "running": 0, "paused": 0})
        ages: dict[str, float] = dict.fromkeys(counts, 0.0)
        for run in unfinished:
            counts[run.status] += 1
            ages[run.status] = max(ages[run.status], now - run.created)
        for name, values in ((RUNS, counts), (OLDEST, ages)):
            series: list[tuple[Labels, float]] = [((("state", state),), value) for state, value in values.items()]
            metrics.gauge(name, lambda series=series: series)  # type: ignore[misc]  # bound now, not when called
