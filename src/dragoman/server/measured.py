"""A store that counts what it commits: events by type, runs by state, transactions.

It stands between engine and store, so neither needs to know of metrics. Everything but
`commit` is the store's own.
"""

from __future__ import annotations

import time
from typing import Any, cast

from dragoman.core.events import RunCancelled, RunCompleted, RunFailed
from dragoman.core.ports import Store
from dragoman.core.records import AppendEvents, Write
from dragoman.server.metrics import Metrics

COMMITS = "dragoman_commits_total"
COMMIT_SECONDS = "dragoman_commit_seconds"
EVENTS = "dragoman_events_total"
RUNS_ENDED = "dragoman_runs_ended_total"
_ENDS = (RunCompleted, RunFailed, RunCancelled)


class MeasuredStore:
    """Delegates to a store and counts; see `measured`."""

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics
        metrics.describe(COMMITS, "Transactions, by outcome.")
        metrics.describe(COMMIT_SECONDS, "Time from the request for a transaction to its end.")
        metrics.describe(EVENTS, "Events committed to the journal, by type.")
        metrics.describe(RUNS_ENDED, "Runs that ended, by their last state.")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def commit(self, *writes: Write) -> None:
        began = time.perf_counter()
        try:
            await self._store.commit(*writes)
        except BaseException:
            self._metrics.count(COMMITS, (("outcome", "refused"),))
            raise
        self._metrics.count(COMMITS, (("outcome", "done"),))
        self._metrics.observe(COMMIT_SECONDS, time.perf_counter() - began)
        for write in writes:
            if isinstance(write, AppendEvents):
                self._events(write)

    def _events(self, write: AppendEvents) -> None:
        for event in write.events:
            kind = event.body.type
            self._metrics.count(EVENTS, (("type", kind),))
            if isinstance(event.body, _ENDS):
                self._metrics.count(RUNS_ENDED, (("state", kind.removeprefix("run.")),))


def measured(store: Store, metrics: Metrics) -> Store:
    """The same store, counted."""
    return cast(Store, MeasuredStore(store, metrics))  # all other methods are reached by delegation
