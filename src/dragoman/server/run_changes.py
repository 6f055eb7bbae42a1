"""Which runs change while somebody watches: commits, as seen from beside the store.

A watcher hears that a run has changed, not how, and reads the row itself; so what it shows is what is stored, and
a slow one hears of a run once, however often it changed. Without watchers a commit costs nothing here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from dragoman.core.writes import ChangeRun, DeleteThread, PutRun, Write

MOST_WAITING = 1000
"""Changed runs that are kept for a watcher; one that falls further behind is told to look at everything anew."""


class Watcher:
    """What has changed since its reader last asked."""

    def __init__(self) -> None:
        self._runs: dict[str, None] = {}
        self._threads: set[int] = set()
        self._lost = False
        self._news = asyncio.Event()

    def put(self, runs: Sequence[str], threads: Sequence[int]) -> None:
        """These runs have changed, and these threads are gone with theirs."""
        self._runs.update(dict.fromkeys(runs))
        self._threads.update(threads)
        if len(self._runs) + len(self._threads) > MOST_WAITING:
            self._runs.clear()
            self._threads.clear()
            self._lost = True
        self._news.set()

    async def wait(self) -> None:
        """Until there is something to take."""
        await self._news.wait()

    def take(self) -> tuple[list[str], set[int]] | None:
        """The runs that have changed, oldest change first, and the threads that are gone; None: too much to tell."""
        runs, threads, lost = list(self._runs), self._threads, self._lost
        self._runs, self._threads, self._lost = {}, set(), False
        self._news.clear()
        return None if lost else (runs, threads)


class RunChanges:
    """Tells all watchers; `saw` is called for each commit, by the thread of the event loop."""

    def __init__(self) -> None:
        self._watchers: set[Watcher] = set()

    @contextmanager
    def watching(self) -> Iterator[Watcher]:
        """A watcher, for as long as the block runs."""
        watcher = Watcher()
        self._watchers.add(watcher)
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)

    def saw(self, writes: Sequence[Write]) -> None:
        """These writes were committed."""
        if not self._watchers:
            return
        runs: list[str] = []
        threads: list[int] = []
        for write in writes:
            match write:
                case PutRun(run):
                    runs.append(run.id)
                case ChangeRun(run=id):
                    runs.append(id)
                case DeleteThread(thread):
                    threads.append(thread)
                case _:
                    pass
        if runs or threads:
            for watcher in self._watchers:
                watcher.put(runs, threads)
