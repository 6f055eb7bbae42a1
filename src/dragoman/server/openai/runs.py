"""Answers that are runs: those of agents, and those of models that the caller wants kept.

The run is stored before it is told of; what the caller gets is read from its journal, so a repetition under the same
key gets the same. A caller who leaves ends the run, unless it is kept for a repetition or was asked to be stored.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

from dragoman.ai.backwards.chunks import ChunkEncoder, error_frame
from dragoman.ai.backwards.core_words import Fold
from dragoman.ai.backwards.request import Asked
from dragoman.core.errors import BadRequest, Conflict, Unavailable
from dragoman.core.events import Event
from dragoman.core.principal import Principal
from dragoman.core.records import Repeat, Run
from dragoman.server.closing import PatientTail
from dragoman.server.http import Call
from dragoman.server.occupancy import Place
from dragoman.server.openai.catalogue import AGENT, Found, OneAgent, most_of
from dragoman.server.openai.context import Context
from dragoman.server.openai.direct import Label
from dragoman.server.openai.errors import Told
from dragoman.server.openai.journal import SPOILT, Telling
from dragoman.server.openai.outgoing import CLOSING, Outgoing
from dragoman.server.openai.turns import FACE, turn_of

__all__ = ["Answering", "RunStream", "again", "answering", "key_of", "whole"]

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_MOST_TRIES = 50
"""Failed runs of one key that are looked behind."""
_PAGE = 2000
GONE = Told(404, "The answer has been deleted.", "not_found")
INTERRUPTED = Told(502, SPOILT, "interrupted")


@dataclass(slots=True)
class Answering:
    """An answer that a caller waits for. `kept`: it goes on without its caller. `place` is None for another call's run."""

    run: Run
    telling: Telling
    label: Label
    kept: bool
    place: Place | None = None
    seen: int = 0
    failure: Told | None = None

    @property
    def is_over(self) -> bool:
        return self.failure is not None or self.telling.is_over

    @property
    def fault(self) -> Told | None:
        """Why there is no answer, once it is over."""
        return self.failure or self.telling.failure


def key_of(call: Call) -> str | None:
    """The caller's `Idempotency-Key`. Raises BadRequest for one that is none."""
    key = call.headers.get("idempotency-key", "").strip()
    if key and not _KEY.fullmatch(key):
        raise BadRequest("Idempotency-Key: expected 1 to 255 printable characters.", code="invalid_idempotency_key")
    return key or None


async def answering(context: Context, call: Call, asked: Asked, found: Found, *, stored: bool) -> Answering:
    """The new run, or that of an earlier call with the same key. `stored`: it is kept though it has no key."""
    key = key_of(call)
    who, now = call.principal, context.now()
    repeat, known = await _repeat(context, who, asked, key, now)
    if known is not None:
        return _of(context, known, asked, found, kept=True)
    await context.spending.look(who)  # who only fetches what was paid for already need have nothing left
    place = context.limits.take(who, found.name, most_of(found))
    try:
        turn = await turn_of(context, who, asked, found, repeat, kept=stored or key is not None)
        started = await context.services.engine.start(turn)
    except BaseException:
        place.release()
        raise
    made = _of(context, started.run, asked, found, kept=stored or key is not None)
    if started.outcome == "started":
        made.place = place
    else:
        place.release()
    return made


def _of(context: Context, run: Run, asked: Asked, found: Found, *, kept: bool) -> Answering:
    telling = Telling(calls=not isinstance(found, OneAgent), expose=context.expose)
    label = Label(asked, run.created, _short(run))
    return Answering(run, telling, label, kept)


def _short(run: Run) -> str:
    return run.id.replace("-", "")


async def _repeat(
    context: Context, who: Principal, asked: Asked, key: str | None, now: float
) -> tuple[Repeat | None, Run | None]:
    """The record to keep with a new run; or the run of the same call, if there was one that has not failed."""
    if key is None:
        return None, None
    digest, until = _digest(asked), now + context.settings.repeat_seconds
    store = context.services.store
    run: Run | None = None
    for number in range(_MOST_TRIES):
        name = f"{FACE}:{key}" + (f" {number + 1}" if number else "")
        found = await store.repeat(who.tenant, who.user, name, now=now)
        if found is None:
            return Repeat(who.tenant, who.user, name, digest, None, None, now, until), None
        if found.digest != digest:
            raise Conflict("This Idempotency-Key belongs to another request.", code="idempotency_key_in_use")
        run = await store.run(found.run) if found.run is not None else None
        if run is not None and run.status not in ("failed", "cancelled"):
            return None, run
    return None, run


_HOW = frozenset({"stream", "stream_options"})


def _digest(asked: Asked) -> str:
    """What tells a repeat from another call: all that was asked, but not how the answer is told."""
    told = {name: value for name, value in asked.body.items() if name not in _HOW and value is not None}
    return hashlib.sha256(to_json(dict(sorted(told.items())))).hexdigest()


# --------------------------------------------------------------------------- reading


class Reader:
    """Waits for the events of one answer; when the server closes, answers under way get the time that is left."""

    def __init__(self, context: Context, answering: Answering) -> None:
        self._services = context.services
        self._answering = answering
        self._tail: PatientTail | None = None

    async def more(self) -> Sequence[Event]:
        """The next events; none when it is over, or has become hopeless (`Answering.failure`)."""
        answering = self._answering
        if self._tail is None:
            services = self._services
            tail = services.engine.tail(answering.run.id, after=answering.seen)
            self._tail = PatientTail(tail, services.closing, services.settings.limits.shutdown_seconds)
        try:
            events = await self._tail.next()
        except Unavailable:
            answering.failure = CLOSING
            return ()
        if not events:
            answering.failure = GONE
            return ()
        answering.seen = events[-1].seq
        return events


async def _stored(context: Context, answering: Answering) -> list[Event]:
    """What the journal has of the run already."""
    events: list[Event] = []
    last = answering.run.last_seq
    while not events or events[-1].seq < last:
        page = await context.services.store.events(answering.run.id, after=events[-1].seq if events else 0, limit=_PAGE)
        if not page:
            break
        events += page
    return events


async def whole(context: Context, answering: Answering) -> dict[str, Any] | Told:
    """The body of a plain answer, or why there is none."""
    reader, fold, telling = Reader(context, answering), Fold(), answering.telling
    while not answering.is_over:
        for event in await reader.more():
            for said in telling.take(event):
                fold.take(said)
            if telling.spoilt:
                fold, telling.spoilt = Fold(), False
    if answering.fault is not None:
        return answering.fault
    return answering.label.whole(fold.candidates(), telling.usage)


async def again(context: Context, run: Run) -> dict[str, Any] | Told:
    """The body of a plain answer that a run has given before, or is about to give."""
    alone = run.options.get("completion")
    name = run.name if alone is not None else AGENT + run.name
    telling = Telling(calls=alone is not None, expose=context.expose)
    label = Label(Asked(name, [], {}), run.created, _short(run))
    return await whole(context, Answering(run, telling, label, kept=True))


class RunStream(Outgoing):
    """The answer from its begin to its end, as chunks."""

    def __init__(self, context: Context, answering: Answering) -> None:
        super().__init__()
        self._context = context
        self._answering = answering
        self._reader = Reader(context, answering)
        self._encoder: ChunkEncoder = answering.label.encoder()
        self._is_over = False
        self._has_caught_up = answering.place is not None
        self._nothing_was_sent = True

    async def piece(self) -> bytes:
        answering = self._answering
        while not self._is_over:
            frames = await self._more()
            if answering.is_over:
                self._is_over = True
                self._settle()
                fault = answering.fault
                return frames + (self._encoder.end() if fault is None else error_frame(fault.error()))
            if frames:
                return frames
        return b""

    async def _more(self) -> bytes:
        telling = self._answering.telling
        frames: list[bytes] = []
        events = await self._caught_up() if not self._has_caught_up else await self._reader.more()
        for event in events:
            frames += [self._encoder.event(said) for said in telling.take(event)]
            if telling.spoilt:
                if self._encoder.has_begun and not self._nothing_was_sent:
                    self._answering.failure = INTERRUPTED
                    break
                telling.spoilt = False
                frames, self._encoder = [], self._answering.label.encoder()
        made = b"".join(frames)
        self._nothing_was_sent = self._nothing_was_sent and not made
        return made

    async def _caught_up(self) -> Sequence[Event]:
        """Of a run that another call began: what is stored, so that parts that are void are left out."""
        self._has_caught_up = True
        events = await _stored(self._context, self._answering)
        self._answering.seen = events[-1].seq if events else 0
        return events

    @property
    def first_fault(self) -> Told | None:
        """Why there is no answer, where nothing was said before."""
        return self._answering.fault if self._answering.is_over and not self._encoder.has_begun else None

    def told(self, error: Exception) -> bytes:
        self._is_over = True
        return error_frame(CLOSING.error())

    def _settle(self) -> None:
        place, self._answering.place = self._answering.place, None
        if place is not None:
            place.release()

    async def let_go(self) -> None:
        if not self._is_over:
            self._is_over = True
            await abandon(self._context, self._answering)


async def abandon(context: Context, answering: Answering) -> None:
    """The caller has gone: stop the run, unless it is kept."""
    place, run = answering.place, answering.run
    if place is None:  # another call's run, or one that is over
        return
    answering.place = None
    if answering.is_over:
        place.release()
    elif answering.kept:
        context.limits.release_at_end(place, run.id, answering.seen)
    else:
        try:
            await context.services.engine.cancel(run.id, reason="disconnected")
        finally:
            place.release()
