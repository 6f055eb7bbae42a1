"""The one thread that writes, and its group commit.

Whoever commits hands over a job and awaits it. The writer takes all jobs that have gathered
while the last transaction was under way (no timer), runs each in a savepoint of its own, so
that one that fails undoes only itself, commits once, and wakes everybody. It does not know
what a job writes: `apply` does.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from dragoman.core.errors import DragomanError, Unavailable, UsageError

_log = logging.getLogger("dragoman.store")

Apply: TypeAlias = Callable[[sqlite3.Connection, Sequence[Any]], None]

MAX_JOBS = 1024
"""Commits in one transaction at most, so that the first of them need not wait for ever."""

# of the values that were bound, not of the database: the other commits of the transaction are sound
_OF_THE_VALUES = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError, sqlite3.InterfaceError)


@dataclass(slots=True)
class _Job:
    writes: Sequence[Any]
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[None]


class Writer:
    """Owns the writing connection from `start` to `stop`."""

    def __init__(self, db: sqlite3.Connection, apply: Apply) -> None:
        self._db = db
        self._apply = apply
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()  # None: stop
        self._gate = threading.Lock()  # nothing is handed over once there is a refusal
        self._refusal: str | None = None
        self._thread = threading.Thread(target=self._work, name="dragoman-writer", daemon=True)

    def start(self) -> None:
        """Begin to take jobs."""
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Jobs that have not been taken yet."""
        return self._jobs.qsize()

    async def commit(self, writes: Sequence[Any]) -> None:
        """All writes or none; durable when it returns.

        Raises what `apply` raises, UsageError for a value that cannot be stored, Unavailable if
        the database failed or the writer has stopped. Whoever is cancelled here does not know
        whether the commit happened.
        """
        loop = asyncio.get_running_loop()
        job = _Job(writes, loop, loop.create_future())
        with self._gate:
            if self._refusal is not None:
                raise Unavailable(self._refusal)
            self._jobs.put(job)
        await job.done

    def stop(self) -> None:
        """Finish what was handed over, refuse what comes later, close the connection. Blocks."""
        with self._gate:
            self._refusal = self._refusal or "the store is closed"
            self._jobs.put(None)
        self._thread.join()

    # ----------------------------------------------------------------------- in the thread

    def _work(self) -> None:
        jobs: list[_Job] = []
        try:
            more = True
            while more:
                jobs, more = self._next()
                if jobs:
                    _settle(jobs, self._transaction(jobs))
        except BaseException as error:
            with self._gate:
                self._refusal = f"the store's writer has stopped: {error!r}"
            while not self._jobs.empty():
                jobs += filter(None, (self._jobs.get(),))
            _settle(jobs, [Unavailable(self._refusal) for _ in jobs])
            _log.critical("writer stopped", exc_info=error)
        finally:
            self._db.close()

    def _next(self) -> tuple[list[_Job], bool]:
        """What has gathered, after waiting for the first; and whether to go on after that."""
        taken = [self._jobs.get()]
        taken += (self._jobs.get() for _ in range(min(self._jobs.qsize(), MAX_JOBS - 1)))
        jobs = [job for job in taken if job is not None]
        return jobs, len(jobs) == len(taken)

    def _transaction(self, jobs: Sequence[_Job]) -> Sequence[Exception | None]:
        """One outcome per job; if the database fails, it fails for all."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            outcomes = [self._one(job) for job in jobs]
            self._db.execute("COMMIT")
            return outcomes
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            return [_unavailable(error) for _ in jobs]

    def _one(self, job: _Job) -> Exception | None:
        self._db.execute("SAVEPOINT one")
        outcome: Exception | None = None
        try:
            self._apply(self._db, job.writes)
        except DragomanError as error:
            outcome = error
        except sqlite3.Error as error:
            if not isinstance(error, _OF_THE_VALUES):
                raise  # SQLite may have undone the whole transaction already
            outcome = _unfit(error)
        except Exception as error:
            outcome = _unfit(error)
        if outcome is not None:
            self._db.execute("ROLLBACK TO one")
        self._db.execute("RELEASE one")
        return outcome


def _unavailable(error: sqlite3.Error) -> Unavailable:
    outcome = Unavailable(f"the database did not take the commit: {error}")
    outcome.__cause__ = error
    return outcome


def _unfit(error: Exception) -> UsageError:
    outcome = UsageError(f"this cannot be stored: {error}")
    outcome.__cause__ = error
    return outcome


def _settle(jobs: Sequence[_Job], outcomes: Sequence[Exception | None]) -> None:
    """Wake the waiters: one call into each loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[None], Exception | None]]] = {}
    for job, outcome in zip(jobs, outcomes, strict=True):
        by_loop.setdefault(job.loop, []).append((job.done, outcome))
    for loop, results in by_loop.items():
        try:
            loop.call_soon_threadsafe(_resolve, results)
        except RuntimeError:
            pass  # that loop is closed, and so nobody waits in it


def _resolve(results: Iterable[tuple[asyncio.Future[None], Exception | None]]) -> None:
    for done, outcome in results:
        if done.done():
            continue  # cancelled
        if outcome is None:
            done.set_result(None)
        else:
            done.set_exception(outcome)
