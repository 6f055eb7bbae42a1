"""Reading a run's events while they are written.

A `JournalTail` reads what is committed, from memory where the driver has just published it,
else from the store, and sleeps until there is more. Nothing reaches a reader that was not
committed before.

The commit that ends a run of a flow may take payloads out of the store. Whoever holds the run's feed by then still
reads what happened: the feed is sealed, with all that the run has said, and whoever comes later reads the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakValueDictionary

from dragoman.core.errors import Unavailable
from dragoman.core.events import Event
from dragoman.core.ports import Store

KEPT = 2048
"""Events of a run kept in memory for readers that follow closely; the store has them all."""


class Feed:
    """The newest committed events of one run and those who wait for more.

    A `sealed` one has all events as they were before the last commit changed them in the store.
    """

    __slots__ = ("__weakref__", "_waiters", "events", "final", "run", "sealed")

    def __init__(self, run: str) -> None:
        self.run = run
        self.events: list[Event] = []
        self.final = False
        self.sealed = False
        self._waiters: set[asyncio.Future[None]] = set()

    @property
    def last_seq(self) -> int:
        return self.events[-1].seq if self.events else 0

    def publish(self, events: Sequence[Event], *, final: bool) -> None:
        """Show committed events to all readers."""
        if self.events and events[0].seq != self.last_seq + 1:
            self.events.clear()  # a commit that was said to have failed had happened; the store has what lies between
        self.events.extend(events)
        if len(self.events) > 2 * KEPT:
            del self.events[:-KEPT]
        self.final = self.final or final
        self.wake()

    def seal(self, events: Sequence[Event]) -> None:
        """Show the last of the run's committed events; these are all of them, and the store has them otherwise."""
        self.events = list(events)
        self.final = self.sealed = True
        self.wake()

    def forget(self) -> None:
        """The rows have changed without us: readers are to ask the store."""
        self.events.clear()
        self.wake()

    def wake(self) -> None:
        """Let all who wait look again."""
        waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def after(self, seq: int) -> list[Event] | None:
        """The next events behind `seq`; None if this feed does not hold them."""
        if not self.events:
            return None
        first = self.events[0].seq
        if seq + 1 < first:
            return None
        begin = seq + 1 - first
        return self.events[begin : begin + KEPT]

    async def wait(self, timeout: float | None) -> None:
        """Until something is published. Raises TimeoutError."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            if timeout is None:
                await waiter  # as most readers do; a timer would be memory of each
                return
            async with asyncio.timeout(timeout):
                await waiter
        finally:
            self._waiters.discard(waiter)


@dataclass(frozen=True, slots=True)
class LiveRun:
    """Holds a run's feed; see `core.ports.Live`."""

    journal: Journal
    feed: Feed

    def tail(self, *, after: int = 0) -> JournalTail:
        return JournalTail(self.journal, self.feed, after)


class Journal:
    """The feeds of all runs that somebody writes or reads."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.closing = False
        self._feeds: WeakValueDictionary[str, Feed] = WeakValueDictionary()

    def feed(self, run: str) -> Feed:
        """The feed of a run; it lives as long as a driver or a reader holds it."""
        found = self._feeds.get(run)
        if found is None or found.sealed:
            found = self._feeds[run] = Feed(run)
        return found

    def live(self, run: str) -> LiveRun:
        """The feed of an active run, held for whoever is to read what follows."""
        return LiveRun(self, self.feed(run))

    def known(self) -> set[str]:
        """The runs that somebody writes or reads."""
        return set(self._feeds)

    def tail(self, run: str, after: int) -> JournalTail:
        return JournalTail(self, self.feed(run), after)

    def close(self) -> None:
        """Let every waiting reader go; they learn that the engine is closing."""
        self.closing = True
        for feed in list(self._feeds.values()):
            feed.wake()


class JournalTail:
    """One reader; see `core.ports.Tail`."""

    __slots__ = ("_after", "_feed", "_journal")

    def __init__(self, journal: Journal, feed: Feed, after: int) -> None:
        self._journal = journal
        self._feed = feed
        self._after = after

    async def next(self, timeout: float | None = None) -> Sequence[Event]:
        while True:
            events = await self._ready()
            if events is not None:
                if events:
                    self._after = events[-1].seq
                return events
            if self._journal.closing:
                raise Unavailable("the server is shutting down; the run goes on later", code="closing")
            await self._feed.wait(timeout)

    async def _ready(self) -> Sequence[Event] | None:
        """What can be read at once; empty at the end of the run, None if there is nothing yet."""
        feed = self._feed
        seen = feed.last_seq
        held = feed.after(self._after)
        if held:
            return held
        if held is not None:
            return [] if feed.final else None
        stored = await self._journal.store.events(self._feed.run, after=self._after)
        if stored:
            return stored
        if feed.last_seq != seen:  # published while the store was asked
            return await self._ready()
        run = await self._journal.store.run(self._feed.run)
        if run is None:
            return []
        if feed.last_seq != seen or run.last_seq > self._after:
            return await self._ready()
        return None if run.is_active else []
