"""The queue of jobs: stored runs that wait until a worker is free.

The queue itself is rows, so it survives restarts and costs no memory however long it is; this
module knows a handful of ids: those of the jobs under way, and the next few. It decides when a
job begins, and never how: `take` does that. Cancelling a job that waits is the engine's business; the
queue finds that it is gone.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager

from dragoman.core.errors import Unavailable
from dragoman.core.ports import Store

logger = logging.getLogger("dragoman.engine")

PAGE = 16
"""Jobs that are looked up at once, beyond those known."""

LOOK_SECONDS = 5.0
"""How often the queue looks by itself: for what others have queued, ended or deleted."""

_FIRST_DELAY = 0.5
_LONGEST_DELAY = 60.0
_MOST_ASIDE = 256
"""With so many that cannot begin, it is not the jobs' fault: the queue waits for the first of them."""


class JobQueue:
    """Hands the jobs that wait to `take`, the highest priority first, then the oldest, `workers` at a time.

    A worker is busy from `take` until `done`. What `take` cannot begin is put aside for a while, so that
    one job that cannot be read does not hold up the others.
    """

    def __init__(
        self,
        store: Store,
        take: Callable[[str], Awaitable[object]],
        *,
        workers: int,
        limit: int,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        """`limit` bounds how many may wait. `take` begins a run, and gives False for one that needs no worker any more."""
        self.workers = workers
        self.limit = limit
        self._store = store
        self._take = take
        self._look_seconds = look_seconds
        self._length = 0
        self._coming = 0  # are being stored, and have their places already
        self._told = 0  # how often the length grew
        self._busy: set[str] = set()
        self._next: deque[str] = deque()
        self._least = -math.inf  # the priority of the last of those
        self._stale = False  # what was looked up is not what comes next any more
        self._empty = False  # nothing waited at the last look, and nothing was told since
        self._aside: dict[str, asyncio.TimerHandle] = {}
        self._faults: dict[str, int] = {}
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._watch: asyncio.Task[None] | None = None

    @property
    def length(self) -> int:
        """How many jobs wait; what others end beside this process is seen after a few seconds."""
        return max(0, self._length)

    @property
    def busy(self) -> int:
        """How many workers have a job."""
        return len(self._busy)

    def is_busy_with(self, run_id: str) -> bool:
        """Whether a worker has this job."""
        return run_id in self._busy

    async def open(self, under_way: Iterable[str] = ()) -> None:
        """Begin to hand out jobs; those `under_way` (after a restart) have their workers already."""
        self._busy.update(under_way)
        await self._look()  # some of those may have ended already
        self._wake.set()
        self._watch = asyncio.create_task(self._work(), name="jobs that wait")

    async def close(self) -> None:
        """Hand out nothing more; what waits does so in the store."""
        for handle in self._aside.values():
            handle.cancel()
        self._aside.clear()
        ending = [*self._tasks, *((self._watch,) if self._watch is not None else ())]
        for task in ending:
            task.cancel()
        if ending:
            await asyncio.wait(ending)
        self._watch = None

    def refuse_when_full(self) -> None:
        """Raises Unavailable (`unavailable:queue`) if as many jobs wait as may."""
        if self._length + self._coming >= self.limit:
            raise Unavailable("as many jobs wait as may", code="unavailable:queue", retry_after=5.0)

    @contextmanager
    def place(self, priority: int | None = None) -> Iterator[None]:
        """Keep a place for a job while it is stored; unless that raises, it waits from then on.

        So the bound holds however many are stored at once. Raises what `refuse_when_full` raises.
        """
        self.refuse_when_full()
        self._coming += 1
        try:
            yield
        finally:
            self._coming -= 1
        self.notice(priority)

    def notice(self, priority: int | None = None) -> None:
        """A job was stored that waits; with its `priority`, those that come before it need not be looked up again."""
        self._grow()
        self._empty = False
        if priority is None or priority > self._least:
            self._stale = True
        self._wake.set()

    def resumed(self, run_id: str) -> None:
        """A job that had paused goes on, at once: beyond `workers` if all are busy, and then none begins before fewer are."""
        self._busy.add(run_id)

    def done(self, run_id: str, *, waited: bool = False) -> None:
        """The job has ended, or waits for somebody: its worker is free. Harmless for any other run.

        `waited`: it has ended in the queue, unless a worker has it.
        """
        self._faults.pop(run_id, None)
        if run_id in self._busy:
            self._busy.remove(run_id)
            self._wake.set()
        elif waited:
            self._length -= 1
            if run_id in self._next:
                self._next.remove(run_id)

    # ------------------------------------------------------------------ handing out

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        looked = loop.time()
        while True:
            try:
                async with asyncio.timeout_at(looked + self._look_seconds):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            try:
                if loop.time() >= looked + self._look_seconds:
                    looked = loop.time()
                    await self._look()
                await self._fill()
            except Exception:  # the store is busy or full: what waits goes on waiting
                logger.exception("jobs could not be looked up")
                looked, self._empty = loop.time(), False
            await asyncio.sleep(0)  # a queue that never empties must not starve the loop

    async def _fill(self) -> None:
        """Give every free worker a job, as long as there are any."""
        while len(self._busy) < self.workers and len(self._aside) < _MOST_ASIDE:
            if self._stale:
                self._next.clear()
            if not self._next and (self._empty or not await self._look_up()):
                return
            run_id = self._next.popleft()
            self._busy.add(run_id)
            self._length -= 1  # below zero if it was found before it was noticed
            task = asyncio.create_task(self._begin(run_id), name=f"job {run_id}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _look_up(self) -> bool:
        """Read the next few; False if none waits."""
        self._stale, self._empty, self._least = False, True, -math.inf  # for what is told while we look
        known = len(self._busy) + len(self._aside)
        found = await self._store.queued(limit=PAGE + known)
        self._next.extend(run.id for run in found if run.id not in self._busy and run.id not in self._aside)
        if found:
            self._least = found[-1].priority
        self._empty = self._empty and not self._next
        return bool(self._next)

    async def _begin(self, run_id: str) -> None:
        try:
            if await self._take(run_id) is False:
                self.done(run_id)
        except Exception:
            logger.exception("job could not be begun", extra={"run_id": run_id})
            self._put_aside(run_id)
            self._busy.discard(run_id)
            self._wake.set()

    def _put_aside(self, run_id: str) -> None:
        faults = self._faults[run_id] = self._faults.get(run_id, 0) + 1
        self._grow()
        delay = min(_FIRST_DELAY * 2.0 ** (faults - 1), _LONGEST_DELAY)
        self._aside[run_id] = asyncio.get_running_loop().call_later(delay, self._bring_back, run_id)

    def _bring_back(self, run_id: str) -> None:
        self._aside.pop(run_id, None)
        self._stale, self._empty = True, False
        self._wake.set()

    def _grow(self) -> None:
        self._length += 1
        self._told += 1

    async def _look(self) -> None:
        """Count what waits, and free the workers of jobs that others have ended or deleted."""
        told, waiting, begun = self._told, await self._store.queue_length(), 0
        for run_id in list(self._busy):
            run = await self._store.run(run_id)
            if run is None or run.status not in ("queued", "running"):
                self.done(run_id)
            elif run.status == "queued":
                begun += 1
        # what came meanwhile may count twice until the next look; the bound holds
        self._length = waiting - begun + self._told - told
        self._faults = {run_id: count for run_id, count in self._faults.items() if run_id in self._aside}
        self._stale, self._empty = True, False
