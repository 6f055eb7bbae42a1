"""Reads a flow run's journal for one caller: to its next stop for a plain answer, frame by frame for a stream.

What a caller waits for is what lies behind `after`; what lies before is folded in silence, for a pause
tells of all of it. Follows only; what becomes of a run whose reader has gone is said here once for all.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from dragoman.core.errors import NotFound, Unavailable
from dragoman.core.events import Event
from dragoman.core.records import Run
from dragoman.core.turns import Live, Tail
from dragoman.noukai.translate import FlowFold, encode_frame
from dragoman.server.closing import read
from dragoman.server.http import Answer, EventStream
from dragoman.server.limits import ClientGone
from dragoman.server.noukai.context import Context
from dragoman.server.noukai.errors import failed_answer

HEARTBEAT = 15.0
"""The longest silence that clients of this wire are to meet."""


@dataclass(frozen=True, slots=True)
class Following:
    """A run that a caller waits for. `stays`: it runs on when the caller goes, for a repeat may ask for it.

    `live` is the engine's, None for a run that had ended before: what is left of that one is in the store.
    """

    run: Run
    after: int
    stays: bool
    live: Live | None = None


def is_keyed(run: Run) -> bool:
    """Whether the run was started under an idempotency key."""
    return bool((run.options.get("metadata") or {}).get("keyed"))


class Follower:
    """Reads runs for the handlers of this face."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._services = context.services

    async def answer(self, following: Following, present: Callable[[], Awaitable[FlowFold]]) -> Answer:
        """The plain answer for what `present` has found; the run is cancelled if its caller goes."""
        try:
            fold = await present()
        except ClientGone:
            await self.abandon(following)
            raise
        run = following.run
        match fold.state:
            case "completed":
                result = fold.result
                if following.live is None:  # what the journal keeps of it may be masked
                    kept = await self._services.store.run(run.id)
                    result = kept.result if kept is not None and kept.result is not None else result
                return Answer.json(fold.completed_document(result), run_id=run.id)
            case "tools":
                return Answer.json(fold.pause_document(), run_id=run.id)
            case _:
                return self._failed(run, fold)

    def _failed(self, run: Run, fold: FlowFold) -> Answer:
        failure = fold.failure
        if failure is None:
            return failed_answer(run.id, "INTERNAL_ERROR", "The run did not come to an end.", step=None)
        return failed_answer(run.id, failure.code, failure.message, step=failure.step, status=failure.status)

    async def to_stop(self, following: Following) -> FlowFold:
        """Fold the run up to the first stop behind `after`: a pause for tools, or its end."""
        fold = self._context.fold(following.run)
        tail = self._tail(following)
        while True:
            for event in await self._next(tail):
                fold.feed(event)
                if event.seq > following.after and fold.stopped:
                    return fold

    def _tail(self, following: Following) -> Tail:
        return following.live.tail() if following.live is not None else self._services.engine.tail(following.run.id)

    async def _next(self, tail: Tail) -> Sequence[Event]:
        events = await read(tail, self._services.closing)
        if not events:
            raise NotFound("The run is gone.", code="not_found:run")
        return events

    # ------------------------------------------------------------------ streams

    def segment(self, following: Following) -> EventStream:
        """The frames from behind `after` to the next stop."""

        async def gone() -> None:
            await self.abandon(following)

        return self._stream(self._segment(following), following.run, on_gone=gone)

    async def _segment(self, following: Following) -> AsyncIterator[bytes]:
        fold = self._context.fold(following.run)
        tail = self._tail(following)
        while True:
            try:
                events = await read(tail, self._services.closing)
            except Unavailable:
                return  # the run goes on; a client that asks again gets the whole segment
            if not events:
                return
            pieces: list[bytes] = []
            for event in events:
                frames = fold.feed(event)
                if event.seq <= following.after:
                    continue
                pieces += [encode_frame(frame) for frame in frames]
                if fold.stopped:
                    yield b"".join(pieces)
                    return
            if pieces:
                yield b"".join(pieces)

    def trace(self, run: Run, after: int) -> EventStream:
        """All frames of the run from number `after` + 1 on, each with its number, until the run ends."""
        return self._stream(self._trace(run, after), run)

    async def _trace(self, run: Run, after: int) -> AsyncIterator[bytes]:
        fold = self._context.fold(run)
        number = 0
        async for events in self._told(run):
            pieces: list[bytes] = []
            for event in events:
                for frame in fold.feed(event):
                    number += 1
                    if number > after:
                        pieces.append(encode_frame(frame, id=str(number)))
            if pieces:
                yield b"".join(pieces)

    async def _told(self, run: Run) -> AsyncIterator[Sequence[Event]]:
        """The run's events, until the server closes."""
        tail = self._services.engine.tail(run.id)
        while True:
            try:
                events = await read(tail, self._services.closing)
            except Unavailable:
                return  # the client continues with its Last-Event-ID
            if not events:
                return
            yield events

    def _stream(
        self, source: AsyncIterator[bytes], run: Run, *, on_gone: Callable[[], Awaitable[None]] | None = None
    ) -> EventStream:
        beat = min(HEARTBEAT, self._services.settings.limits.heartbeat_seconds)
        return EventStream(source, run_id=run.id, heartbeat=beat, on_gone=on_gone)

    async def abandon(self, following: Following) -> None:
        """The caller has gone: end the run, unless somebody may ask for it again or its segment is over."""
        if following.stays:
            return
        run = await self._services.store.run(following.run.id)
        if run is not None and run.status in ("queued", "running"):
            await self._services.engine.cancel(run.id, reason="disconnected")
