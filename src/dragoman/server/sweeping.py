"""The sweeper: ends and deletes what is over, by the settings `retention.…`, a little at a time.

Between two transactions it rests as long as the first took, so that it never has more than half
of the writer. What is over is decided by the clock that the server was given.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict

import structlog.stdlib

from dragoman.core.events import RunPaused
from dragoman.core.ports import Blobs, Clock, Store
from dragoman.core.records import Keep, Removed
from dragoman.server import metric_table as names
from dragoman.server.metrics import Metrics
from dragoman.server.settings import RetentionSettings
from dragoman.store.blob_sweeping import sweep_blobs
from dragoman.store.blobs import FileBlobs

HOUR = 3600.0
DAY = 24 * HOUR
_MOST_PASSES = 1000
_AFTER_FAULT = 60.0
_FILES_AT_ONCE = 100


class Sweeper:
    """`sweep` once, or `watch` for ever."""

    def __init__(
        self,
        store: Store,
        settings: RetentionSettings,
        metrics: Metrics,
        log: structlog.stdlib.BoundLogger,
        *,
        cancel: Callable[[str, str], Awaitable[bool]],
        blobs: Blobs | None = None,
        clock: Clock = time.time,
    ) -> None:
        """`cancel(run, reason)` ends a run; `blobs` has the bytes of the store's files."""
        self._store = store
        self._cancel = cancel
        self._blobs = blobs
        self._settings = settings
        self._metrics = metrics
        self._log = log
        self._clock = clock
        self._last = time.monotonic()

    @property
    def age(self) -> float:
        """Seconds since the last whole pass, or since the start."""
        return time.monotonic() - self._last

    async def sweep(self) -> Removed:
        """Delete all that is over now; what that was."""
        began, gone = time.perf_counter(), Removed()
        try:
            await self._end_waiting()
            for _ in range(_MOST_PASSES):
                before, since = gone, time.perf_counter()
                async for removed in self._store.sweep(self._keep()):
                    gone += removed
                    self._count(removed)
                    await asyncio.sleep(time.perf_counter() - since)  # as long as that took
                    since = time.perf_counter()
                if gone == before:
                    break
            gone += await self._sweep_files()
        except BaseException:
            self._metrics.count(names.SWEEPS, (("outcome", "failed"),))
            raise
        self._last = time.monotonic()
        self._metrics.count(names.SWEEPS, (("outcome", "done"),))
        self._metrics.observe(names.SWEEP_SECONDS, time.perf_counter() - began)
        if gone:
            told = {kind: count for kind, count in asdict(gone).items() if count}
            self._log.info("swept", seconds=round(time.perf_counter() - began, 3), **told)
        return gone

    async def watch(self) -> None:
        """Sweep at once and then again and again, until cancelled."""
        while True:
            pause = self._settings.sweep_seconds
            try:
                await self.sweep()
            except Exception as error:
                self._log.warning("sweep failed", exc_info=error)
                pause = min(pause, _AFTER_FAULT)
            await asyncio.sleep(pause)

    async def _sweep_files(self) -> Removed:
        """Delete the bytes of files that are over, and what writes that a crash cut short left behind."""
        gone = Removed()
        if self._blobs is None:
            return gone
        for _ in range(_MOST_PASSES):
            since = time.perf_counter()
            dead = len(await self._store.dead_blobs(now=self._clock(), limit=_FILES_AT_ONCE))
            if not dead:
                break
            removed = await sweep_blobs(self._store, self._blobs, now=self._clock(), most=_FILES_AT_ONCE)
            gone += removed
            self._count(removed)
            await asyncio.sleep(time.perf_counter() - since)
        if isinstance(self._blobs, FileBlobs):
            await self._blobs.tidy()
        return gone

    async def _end_waiting(self) -> None:
        """Cancel the runs whose client has not come back with a tool's output, or for the next step.

        Those that wait for an approval end as it expires, which the engine sees to.
        """
        hours = self._settings.paused_hours
        if hours is None:
            return
        due = self._clock() - hours * HOUR
        for run in await self._store.unfinished():
            if run.status != "paused" or run.created > due:
                continue
            last = (await self._store.events(run.id, after=run.last_seq - 1))[-1:]
            if (
                last
                and isinstance(last[0].body, RunPaused)
                and last[0].body.reason in ("client_tool", "segment")
                and last[0].time < due
            ):
                await self._cancel(run.id, "expired")

    def _keep(self) -> Keep:
        now, threads, runs = self._clock(), self._settings.threads_days, self._settings.runs_days
        return Keep(
            now,
            threads_since=None if threads is None else now - threads * DAY,
            runs_since=None if runs is None else now - runs * DAY,
            tombstone_seconds=self._settings.tombstones_days * DAY,
        )

    def _count(self, removed: Removed) -> None:
        for kind, count in asdict(removed).items():
            if count:
                self._metrics.count(names.SWEPT, (("kind", kind),), count)
