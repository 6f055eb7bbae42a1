"""P1: bytes of a model stream to typed events, and nothing else. CPU per event.

Paths of ours:

- core events: the own face's frames → `wire.sse` → `from_json` → `core.events.decode_event`, which is
  how the command line follows a run; and the wires of model providers → `dragoman.ai`'s pipeline, as
  the shipped manifests describe them, which is how a client reads a model.
- dialect models: the UI message stream → `kai.sse.parse_sse_stream`, the documented function: frames,
  JSON, pydantic models, tool names, the proper end.

The limit decodes the same bytes with one split and msgspec structs, in one async generator. Peers
decode the same answer in the dialect they know, against the limit of that dialect.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

from pydantic_core import from_json

from bench import apart, limits
from bench.measure import Figures, Report, Row, WrongAnswer, expect, interleave, main, median, ratio, timed
from bench.peers import PEERS, Decoder, Events, source
from bench.streams import Stream, answer, stream
from dragoman.ai.pipeline import Pipeline
from dragoman.ai.protocol import ProtocolLoader
from dragoman.ai.types.events import StreamingEvent
from dragoman.core.events import BlockDelta, Event, decode_event
from dragoman.kai.models import SSEEvent, TextEvent
from dragoman.kai.sse import parse_sse_stream
from dragoman.wire.sse import SSEDecoder

TARGETS = {("core events", "each"): 2.2, ("dialect models", "each"): 2.4}
TARGET_16K = 2.0
"""All against the limit with one read per event, for that is the row's work."""
READS = {"each": "one read per event", "16k": "16 KiB reads", "one": "a single read"}
ROUNDS = 41
PEER_ROUNDS = 7

# ---------------------------------------------------------------------------------------- ours


async def core_events(reads: list[bytes]) -> AsyncIterator[Event]:
    decoder = SSEDecoder()
    async for read in source(reads):
        for data in decoder.feed_data(read):
            yield decode_event(from_json(data))


def model_events(provider: str) -> Callable[[list[bytes]], AsyncIterator[StreamingEvent]]:
    """The events of a model's stream, by the provider's shipped manifest."""
    pipeline = Pipeline.from_manifest(ProtocolLoader(fallback_to_github=False).load_provider_sync(provider))

    async def decode(reads: list[bytes]) -> AsyncIterator[StreamingEvent]:
        run = pipeline.start()
        async for read in source(reads):
            for event in run.feed(read):
                yield event
        for event in run.close():
            yield event
        if run.error is not None:
            raise run.error

    return decode


def model_text(event: StreamingEvent) -> str:
    return event.data.content if event.event_type == "PartialContentDelta" else ""


def model_count(dialect: str) -> int:
    """Events beyond one per frame: frames that say nothing give none, starts and ends of calls are their own."""
    said = answer()
    pieces = len(said.pieces) + sum(bool(piece) for _, piece in said.arguments)
    calls, usage, end = 2 * 2, 2 if dialect == "anthropic" else 1, 1
    return pieces + calls + usage + end - stream(dialect).events


class _Response:
    """What the documented function wants of a response."""

    def __init__(self, reads: list[bytes]) -> None:
        self._reads = reads

    def aiter_bytes(self) -> AsyncIterator[bytes]:
        return source(self._reads)


def dialect_models(reads: list[bytes]) -> AsyncIterator[SSEEvent]:
    return parse_sse_stream(_Response(reads))


def limit(dialect: str) -> Decoder:
    def decode(reads: list[bytes]) -> Events:
        return limits.events(dialect, source(reads))

    return Decoder("limit", dialect, decode, limits.text_of)


OURS = (
    Decoder("core events", "own", core_events, lambda e: e.body.delta if type(e.body) is BlockDelta else ""),
    *(
        Decoder("core events", dialect, model_events(dialect), model_text, more=model_count(dialect))
        for dialect in ("openai", "anthropic")
    ),
    Decoder("dialect models", "ai_sdk", dialect_models, lambda e: e.text if type(e) is TextEvent else ""),
)


# ----------------------------------------------------------------------------------- measuring


async def drain(events: Events) -> None:
    if isinstance(events, AsyncIterator) or hasattr(events, "__aiter__"):
        async for _ in events:
            pass
    else:
        for _ in events:
            pass


async def gather(events: Events) -> list[Any]:
    if isinstance(events, AsyncIterator) or hasattr(events, "__aiter__"):
        return [event async for event in events]
    return list(events)


def check(loop: asyncio.AbstractEventLoop, decoder: Decoder, sent: Stream, how: str) -> None:
    """The same text and the same count of events, however the bytes are read."""
    events = loop.run_until_complete(gather(decoder.decode(sent.reads(how))))
    name = f"{decoder.name}, {READS[how]}"
    expect(f"{name}: text", "".join(map(decoder.text, events)), sent.answer.text)
    if decoder.more is not None:
        expect(f"{name}: events", len(events), sent.events + decoder.more)


def run(loop: asyncio.AbstractEventLoop, decoder: Decoder, sent: Stream, how: str) -> Figures:
    reads = sent.reads(how)
    return timed(lambda: loop.run_until_complete(drain(decoder.decode(reads))), units=len(sent.frames))


def measure(check_only: bool) -> Report:
    report = Report("decode", "P1 bytes to typed events, CPU per event; ratios to the limit with one read per event")
    loop = asyncio.new_event_loop()
    hows = ["each", "16k"] if check_only else list(READS)
    for ours in OURS:
        sent = stream(ours.dialect)
        contenders: dict[tuple[str, str], Callable[[], Figures]] = {}
        for decoder in (limit(ours.dialect), ours):
            for how in READS:
                check(loop, decoder, sent, how)
            for how in hows:
                contenders[decoder.name, how] = partial(run, loop, decoder, sent, how)
        found = interleave(contenders, ROUNDS)
        base = [one.cpu for one in found["limit", "each"]]
        for (name, how), figures in found.items():
            cpu, wall = [one.cpu for one in figures], median([one.wall for one in figures]) * 1e6
            target = TARGET_16K if how == "16k" and name != "limit" else TARGETS.get((name, how))
            work = f"{ours.dialect}, {READS[how]}"
            report.add(Row("P1", work, name, median(cpu) * 1e6, "us", ratio(cpu, base), target, wall))
    if not check_only:
        for name, make in PEERS.items():
            peer_row(report, loop, name, make())
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    return report


def peer_row(report: Report, loop: asyncio.AbstractEventLoop, name: str, decoder: Decoder | None) -> None:
    if decoder is None:
        elsewhere = apart.measured(name) if name in apart.PEERS else None
        if elsewhere is None:
            report.add(Row("P1", "its own dialect", name, None, "us"))
        else:
            work, value, found, wall = (elsewhere[key] for key in ("work", "value", "ratio", "wall"))
            report.add(Row("P1", work, name, value, "us", found, None, wall))
        return
    sent = stream(decoder.dialect)
    check(loop, decoder, sent, "each")
    for how in ("16k", "one"):
        try:
            check(loop, decoder, sent, how)
        except WrongAnswer:
            report.notes.append(f"{name} gives a wrong answer for {READS[how]}")
    pair = (limit(decoder.dialect), decoder)
    found = interleave({one.name: partial(run, loop, one, sent, "each") for one in pair}, PEER_ROUNDS)
    cpu = {key: [one.cpu for one in figures] for key, figures in found.items()}
    value, wall = median(cpu[name]) * 1e6, median([one.wall for one in found[name]]) * 1e6
    work = f"{decoder.dialect}, {READS['each']}"
    report.add(Row("P1", work, name, value, "us", ratio(cpu[name], cpu["limit"]), None, wall))


if __name__ == "__main__":
    main(measure)
