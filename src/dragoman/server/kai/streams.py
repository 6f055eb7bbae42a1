"""Reads a run's journal for one reader and sends it as chunks.

The driver around `StreamTranslator`: it waits for events, holds pauses open as long as the
reader's manner says, and ends every stream with a frame that the reader understands. It never
changes the run.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence

from dragoman.core.events import Event, RunPaused
from dragoman.core.records import Run
from dragoman.kai.chunks import DONE, OPENING, Chunk, encode_chunks
from dragoman.kai.translate import StreamTranslator, rebuilt
from dragoman.server.closing import ServerClosing, read
from dragoman.server.http import EventStream
from dragoman.server.kai.context import Manner
from dragoman.server.services import Services

HEADERS = {
    "content-type": "text/event-stream",
    "x-vercel-ai-ui-message-stream": "v1",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
}
_PAGE = 5000
_SLICE = 256
"""Stored events that are translated in one go."""


async def stored_events(services: Services, run: Run, *, after: int = 0) -> list[Event]:
    """The events behind `after` that are stored by now; at least those that `run` speaks of."""
    events: list[Event] = []
    while True:
        page = await services.store.events(run.id, after=after, limit=_PAGE)
        events += page
        if not page or page[-1].seq >= run.last_seq:
            return events
        after = page[-1].seq


async def paused_since(services: Services, run: Run) -> float | None:
    """When the run paused, if its pause is the last that happened."""
    last = await services.store.events(run.id, after=run.last_seq - 1)
    return last[-1].time if last and isinstance(last[-1].body, RunPaused) else None


def translator(run: Run, manner: Manner, *, settled: int = 0, names: dict[str, str] | None = None) -> StreamTranslator:
    """A fresh translator of this run for one reader."""
    return StreamTranslator(
        manner.profile,
        run.answer or run.id,
        settled=settled,
        expose=manner.expose,
        approvals=manner.approvals,
        names=names,
    )


def fixed_stream(chunks: Sequence[Chunk], run: Run) -> EventStream:
    """A stream whose chunks are all known."""

    async def source() -> AsyncIterator[bytes]:
        yield OPENING + encode_chunks(chunks) + DONE

    return EventStream(source(), headers=HEADERS, run_id=run.id)


def live_stream(
    services: Services,
    run: Run,
    manner: Manner,
    *,
    after: int = 0,
    first: Sequence[Chunk] = (),
    names: dict[str, str] | None = None,
) -> EventStream:
    """What happens in the run behind `after`; `first` goes between `start` and the rest."""
    reader = _Reader(services, run, manner, translator(run, manner, settled=run.last_seq, names=names), after)
    return EventStream(reader.source([*reader.translator.start(), *first]), headers=HEADERS, run_id=run.id)


async def replay_stream(services: Services, run: Run, manner: Manner) -> EventStream:
    """The whole message from its start, then live (3.11)."""
    events = await stored_events(services, run)
    last = events[-1].seq if events else 0
    made = translator(run, manner, settled=last)
    reader = _Reader(services, run, manner, made, last)
    return EventStream(reader.source(made.start(), rebuilt(events)), headers=HEADERS, run_id=run.id)


class _Reader:
    def __init__(self, services: Services, run: Run, manner: Manner, translator: StreamTranslator, after: int) -> None:
        self.translator = translator
        self._services = services
        self._run = run
        self._manner = manner
        self._after = after

    async def source(self, opening: Sequence[Chunk], told: Sequence[Event] = ()) -> AsyncIterator[bytes]:
        """The bytes of the stream: each piece is what was ready at once, of `told` (what is stored) a slice."""
        chunks = [*opening, *(self._translate(told[:_SLICE]) if told else ())]
        yield OPENING + encode_chunks(chunks) + (DONE if self.translator.done else b"")
        for begin in range(_SLICE, len(told), _SLICE):
            if self.translator.done:
                return
            # a long answer must not keep the loop from everybody else
            yield encode_chunks(self._translate(told[begin : begin + _SLICE])) + (DONE if self.translator.done else b"")
        del told
        tail = self._services.engine.tail(self._run.id, after=self._after)
        while not self.translator.done:
            try:
                chunks = self._translate(await read(tail, self._services.closing, self._patience()))
            except TimeoutError:
                chunks = self.translator.finish("tool-calls")
            except ServerClosing:
                text = "The server is restarting; the answer goes on. Open its stream again."
                chunks = self.translator.fail("offline:chat", text)
            except Exception:
                chunks = self._fault()
            piece = encode_chunks(chunks)
            if self.translator.done:
                piece += DONE
            if piece:
                yield piece

    def _translate(self, events: Sequence[Event]) -> list[Chunk]:
        if not events:  # the run is over or deleted, and its end was not among what this reader saw
            return self.translator.abort("gone")
        chunks: list[Chunk] = []
        for event in events:
            chunks += self.translator.feed(event)
        return chunks

    def _patience(self) -> float | None:
        """Seconds to wait for the next event: a pause is held only so long."""
        if self.translator.paused_at is None or self._manner.hold is None:
            return None
        left = self.translator.paused_at + self._manner.hold - self._services.clock()
        return min(max(0.0, left), self._manner.hold)  # a clock that is set back must not prolong it

    def _fault(self) -> list[Chunk]:
        ref = secrets.token_hex(6)
        self._services.log.error("stream failed", run=self._run.id, ref=ref, exc_info=True)
        return self.translator.fail("internal:chat", f"Something went wrong here; the log has it under {ref}.")
