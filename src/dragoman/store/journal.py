"""The journal's rows: events as they lie in the table `events`, and back.

Consecutive deltas of one block that are appended together become one row here (`event_rows`)
and events again (`events_of`); nobody else knows of that. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

from dragoman.core.errors import ProtocolError
from dragoman.core.events import BlockDelta, Event, ToolInputDelta, ToolStarted, decode_body, encode_body
from dragoman.store.columns import dump, load
from dragoman.store.rows import Row

MAX_JOINED = 256
"""Deltas in one row at most: a reader that enters in the middle decodes the whole row."""

_DELTAS: dict[str, tuple[type[BlockDelta | ToolInputDelta], str]] = {
    BlockDelta.type: (BlockDelta, "block"),
    ToolInputDelta.type: (ToolInputDelta, "call"),
}

_OF_FLOWS = ("execute", "step", "job")

EVENT = "seq, count, type, step, time, payload"


def event_rows(run: int, events: Sequence[Event]) -> list[Row]:
    """Rows `(run, *EVENT)`: one per event, or per stretch of deltas of one block or tool input."""
    rows: list[Row] = []
    start = 0
    while start < len(events):
        first = events[start]
        end = _end_of_stretch(events, start)
        payload = dump(encode_body(first.body)) if end == start + 1 else _join(events[start:end])
        rows.append((run, events[end - 1].seq, end - start, first.body.type, first.step, first.time, payload))
        start = end
    return rows


def _end_of_stretch(events: Sequence[Event], start: int) -> int:
    """The index behind the last event that shares a row with the one at `start`."""
    block = _block(events[start])
    end, stop = start + 1, min(len(events), start + MAX_JOINED)
    while block is not None and end < stop and _block(events[end]) == block:
        end += 1
    return end


def _block(event: Event) -> tuple[str, str, str | None] | None:
    """What a delta adds to; None for all other events."""
    match event.body:
        case BlockDelta(block):
            return BlockDelta.type, block, event.step
        case ToolInputDelta(call):
            return ToolInputDelta.type, call, event.step
        case _:
            return None


def _join(events: Sequence[Event]) -> str:
    """`{block | call, deltas, times?}`; `times` where they differ.

    The deltas stay a list: two halves of a surrogate pair must not grow together.
    """
    payload = encode_body(events[0].body)
    del payload["delta"]
    payload["deltas"] = [event.body.delta for event in events if isinstance(event.body, BlockDelta | ToolInputDelta)]
    if any(event.time != events[0].time for event in events):
        payload["times"] = [event.time for event in events]
    return dump(payload)


def first_token(events: Sequence[Event], kind: str) -> float | None:
    """When a model begins to say something in these events of a run of this kind, None if it does not.

    A flow's own step may call a tool too; so there, only words count.
    """
    begins = (BlockDelta, ToolInputDelta) if kind in _OF_FLOWS else (BlockDelta, ToolInputDelta, ToolStarted)
    return next((event.time for event in events if isinstance(event.body, begins)), None)


def events_of(run: str, row: Row, after: int) -> list[Event]:
    """The events of one row whose seq is above `after`."""
    seq, count, kind, step, time, text = row
    payload = load(text)
    if kind not in _DELTAS:
        return [Event(run, seq, time, decode_body(kind, payload), step)]
    of, key = _DELTAS[kind]
    block = payload[key]
    if count == 1:
        return [Event(run, seq, time, of(block, payload["delta"]), step)]
    first = seq - count + 1
    deltas, times = payload["deltas"], payload.get("times") or [time] * count
    return [
        Event(run, first + index, times[index], of(block, deltas[index]), step)
        for index in range(max(0, after - first + 1), count)
    ]


def replaced(run: str, held: Sequence[Row], events: Sequence[Event]) -> list[tuple[int, str]]:
    """For each row of `held` that changes, its seq and its new payload; times, steps and numbers stay.

    Raises ProtocolError for an event that is not held, or whose type, run or block is another one.
    """
    new = {event.seq: event for event in events}
    payloads: list[tuple[int, str]] = []
    for row in held:
        last, count = row[0], row[1]
        if not any(seq in new for seq in range(last - count + 1, last + 1)):
            continue
        stored = events_of(run, row, 0)
        merged = [_put_in_place(event, new.pop(event.seq, event)) for event in stored]
        payloads.append((last, dump(encode_body(merged[0].body)) if count == 1 else _join(merged)))
    if new:
        raise ProtocolError(f"run {run!r} has no event {min(new)} that could be replaced")
    return payloads


def _put_in_place(stored: Event, event: Event) -> Event:
    event = Event(event.run, stored.seq, stored.time, event.body, stored.step)
    if event.run != stored.run or event.type != stored.type or _block(event) != _block(stored):
        raise ProtocolError(
            f"event {stored.seq} of {stored.run!r} is a {stored.type}, and stays that of the same block"
        )
    return event
