"""A run's journal as the own face shows it: server-sent events with the seq as id, or a list."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import orjson

from dragoman.core.errors import Unavailable
from dragoman.core.events import FINAL, BlockDelta, Event, ItemAdded, ItemChanged, encode_event
from dragoman.core.failures import told_event
from dragoman.core.records import Run
from dragoman.core.turns import Live
from dragoman.server.closing import read
from dragoman.server.http import Answer, encode_json
from dragoman.server.own.models import shown_body
from dragoman.server.services import Services

OPENING = b"retry: 1000\n\n"
FAREWELL = b'event: closing\ndata: {"type":"closing"}\n\n'
"""Sent when the server shuts down: the run goes on, connect again with the last id."""


def frame(event: Event, *, expose: bool) -> bytes:
    """One event as one frame for one reader. A delta is put together from parts: it is most of the traffic."""
    body = event.body
    if type(body) is BlockDelta:
        try:
            return (
                b'id: %d\ndata: {"run":%b,"seq":%d,"time":%b,"type":"block.delta",%b"payload":{"block":%b,"delta":%b}}\n\n'
                % (
                    event.seq,
                    orjson.dumps(event.run),
                    event.seq,
                    orjson.dumps(event.time),
                    b'"step":%b,' % orjson.dumps(event.step) if event.step is not None else b"",
                    orjson.dumps(body.block),
                    orjson.dumps(body.delta),
                )
            )
        except TypeError:  # a lone surrogate of the model's; the slow way can escape it
            pass
    return b"id: %d\ndata: %b\n\n" % (event.seq, encode_json(_encoded(event, expose=expose)))


def _encoded(event: Event, *, expose: bool) -> dict[str, Any]:
    told, body = told_event(event, expose=expose), event.body
    if isinstance(body, ItemAdded | ItemChanged):
        told = replace(told, body=replace(body, body=shown_body(body.kind, body.body)))
    return encode_event(told)


async def stream_events(
    services: Services, run_id: str, after: int, *, expose: bool, live: Live | None = None
) -> AsyncIterator[bytes]:
    """Frames of the events behind `after`, to the run's last one; a farewell if the server closes first.

    `expose`: this reader may see the text of a model's exception. `live`: it has started the run, or let it go on.
    """
    yield OPENING
    tail = live.tail(after=after) if live is not None else services.engine.tail(run_id, after=after)
    try:
        while events := await read(tail, services.closing):
            is_last = isinstance(events[-1].body, FINAL)
            yield b"".join([frame(event, expose=expose) for event in events])
            if is_last:
                return
            del events  # or they would be kept until the next ones come
    except Unavailable as error:
        if error.code != "closing":
            raise
        yield FAREWELL


async def list_events(services: Services, run: Run, after: int, limit: int, *, expose: bool) -> Answer:
    """`EventList`: what is stored behind `after`; `next` is the `after` of the next page."""
    rows = await services.store.events(run.id, after=after, limit=limit)
    last = rows[-1].seq if rows else after
    told = [_encoded(event, expose=expose) for event in rows]
    return Answer.json({"events": told, "more": last < run.last_seq, "next": last}, run_id=run.id)
