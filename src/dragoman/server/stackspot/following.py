"""Reads an answer's run for one caller, and says what becomes of the run when the caller goes.

An answer that no repeat may ask for ends with its caller: the model call is stopped. One under an idempotency key
runs on. When the server closes, answers that are under way get the time that is left to end properly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from dragoman.core.errors import Unavailable
from dragoman.core.events import Event
from dragoman.core.records import Run
from dragoman.server.closing import PatientTail
from dragoman.server.occupancy import Place
from dragoman.server.stackspot.context import Context
from dragoman.stackspot.translate import AnswerFold, Failure, Told

_PAGE = 2000

CLOSING = Failure(503, "SERVICE_UNAVAILABLE", "The server is shutting down; ask again.")
GONE = Failure(404, "NOT_FOUND", "The answer has been deleted.")


@dataclass(slots=True)
class Answering:
    """An answer that a caller waits for. `keyed`: a repeat may ask for it. `place` is None for another call's run."""

    run: Run
    about: Told
    keyed: bool
    fold: AnswerFold
    place: Place | None = None
    seen: int = 0
    failure: Failure | None = None
    text: str = field(default="")
    """What has come and was not given out yet."""

    @property
    def is_over(self) -> bool:
        return self.failure is not None or self.fold.is_over

    def feed(self, events: Sequence[Event]) -> list[str]:
        """The texts that came with these events."""
        self.seen = events[-1].seq
        return [text for event in events if (text := self.fold.feed(event))]

    def ended(self) -> Failure | None:
        """Why there is no answer, once it is over."""
        return self.failure or self.fold.failure


class Reader:
    """Waits for the events of one answer."""

    def __init__(self, context: Context, answering: Answering) -> None:
        self._services = context.services
        self._answering = answering
        self._tail: PatientTail | None = None

    async def catch_up(self) -> None:
        """Read what is stored: of a run that went on after a crash, parts are void."""
        answering = self._answering
        events: list[Event] = []
        while True:
            after = events[-1].seq if events else 0
            page = await self._services.store.events(answering.run.id, after=after, limit=_PAGE)
            events += page
            if not page or page[-1].seq >= answering.run.last_seq:
                break
        answering.text = answering.fold.feed_all(events)
        answering.seen = events[-1].seq if events else 0

    async def to_end(self) -> None:
        """Until the answer is over."""
        while not self._answering.is_over:
            await self.more()

    async def more(self, seconds: float | None = None) -> list[str]:
        """The texts that come next. Raises builtin TimeoutError after so many seconds without any event."""
        answering = self._answering
        if self._tail is None:
            services = self._services
            tail = services.engine.tail(answering.run.id, after=answering.seen)
            self._tail = PatientTail(tail, services.closing, services.settings.limits.shutdown_seconds)
        try:
            events = await self._tail.next(seconds)
        except Unavailable:
            answering.failure = CLOSING
            return []
        if not events:
            answering.failure = GONE
            return []
        return answering.feed(events)


async def abandon(context: Context, answering: Answering) -> None:
    """The caller has gone: stop the run, unless a repeat may ask for it."""
    place, run = answering.place, answering.run
    if answering.keyed:
        if place is not None and not answering.is_over:
            context.limits.release_at_end(place, run.id, answering.seen)
        elif place is not None:
            place.release()
        return
    try:
        await context.services.engine.cancel(run.id, reason="disconnected")
    finally:
        if place is not None:
            place.release()
