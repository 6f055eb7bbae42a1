"""P1: bytes of a model stream to typed events, and nothing else. CPU per event.

Two paths of ours:

- core events: the own face's frames → `wire.sse` → `from_json` → `core.events.decode_event`, which is
  how the command line follows a run. (The decoders of model providers come with `dragoman.ai`.)
- dialect models: the UI message stream → `kai.sse.parse_sse_stream`, the documented function: frames,
  JSON, pydantic models, tool names, the proper end.

The limit decodes the same bytes with one split and msgspec structs, in one async generator. Peers
decode the same answer in the dialect they know, against the limit of that dialect.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic_core import from_json

from bench import limits
from bench.measure import Figures, Report, Row, WrongAnswer, expect, interleave, main, median, peer, ratio, timed
from bench.streams import Stream, stream
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

Events = AsyncIterator[Any] | Iterable[Any]


@dataclass(frozen=True, slots=True)
class Decoder:
    """Somebody's way from reads to events.

    It gives one event per event of the dialect, and `more`; None if it leaves out some, as it says.
    """

    name: str
    dialect: str
    decode: Callable[[list[bytes]], Events]
    text: Callable[[Any], str]
    more: int | None = 0


async def source(reads: list[bytes]) -> AsyncIterator[bytes]:
    for read in reads:
        yield read


# ---------------------------------------------------------------------------------------- ours


async def core_events(reads: list[bytes]) -> AsyncIterator[Event]:
    decoder = SSEDecoder()
    async for read in source(reads):
        for data in decoder.feed_data(read):
            yield decode_event(from_json(data))


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
    Decoder("dialect models", "ai_sdk", dialect_models, lambda e: e.text if type(e) is TextEvent else ""),
)


# --------------------------------------------------------------------------------------- peers


def kai_client() -> Decoder | None:
    sse, httpx = peer("kai_client.sse"), peer("httpx")
    if sse is None or httpx is None:
        return None

    def decode(reads: list[bytes]) -> Events:
        return sse.parse_sse_stream(httpx.Response(200, content=source(reads)))

    return Decoder("kai-client", "ai_sdk", decode, lambda e: e.text if e.type == "text" else "")


def httpx_sse() -> Decoder | None:
    """Events with JSON parsed; no types."""
    sse, httpx = peer("httpx_sse"), peer("httpx")
    if sse is None or httpx is None:
        return None

    async def decode(reads: list[bytes]) -> AsyncIterator[Any]:
        response = httpx.Response(200, headers={"content-type": "text/event-stream"}, content=source(reads))
        async for event in sse.EventSource(response).aiter_sse():
            if event.data != "[DONE]":
                yield event.json()

    def text(event: Any) -> str:
        return event["delta"] if event["type"] == "text-delta" else ""

    return Decoder("httpx-sse + json", "ai_sdk", decode, text)


def noukai_sdk() -> Decoder | None:
    streaming = peer("noukai_sdk._streaming")
    if streaming is None:
        return None

    def decode(reads: list[bytes]) -> Events:
        return streaming.parse_sse_stream(source(reads))

    return Decoder("noukai-sdk", "noukai", decode, lambda e: getattr(e, "output_data", None) or "")


def stkai() -> Decoder | None:
    agents, requests = peer("stkai.agents._sse_parser"), peer("requests")
    if agents is None or requests is None:
        return None

    def decode(reads: list[bytes]) -> Events:
        response = requests.Response()
        response.status_code, response.encoding = 200, "utf-8"
        response.raw = _Raw(reads)
        return agents.SseEventParser().parse(response.iter_lines(decode_unicode=True))

    return Decoder("stkai", "stackspot", decode, lambda e: e.text or "", more=1)  # one for [DONE]


class _Raw:
    """What `requests` reads from, one read at a time."""

    def __init__(self, reads: list[bytes]) -> None:
        self._reads = reads

    def stream(self, size: int, decode_content: bool = True) -> Iterable[bytes]:
        yield from self._reads


def ai_lib() -> Decoder | None:
    base, decoders, mappers = (peer(f"ai_lib_python.pipeline.{name}") for name in ("base", "decode", "event_map"))
    if base is None or decoders is None or mappers is None:
        return None

    def decode(reads: list[bytes]) -> Events:
        pipeline = base.Pipeline(decoders.SSEDecoder(), event_mapper=mappers.DefaultEventMapper())
        return pipeline.process(source(reads))

    def text(event: Any) -> str:
        return event.data.content if event.event_type == "PartialContentDelta" else ""

    return Decoder("ai-lib-python", "openai", decode, text, more=None)


def openai() -> Decoder | None:
    package, httpx2 = peer("openai"), peer("httpx2")
    if package is None or httpx2 is None:
        return None
    client = package.AsyncOpenAI(api_key="none")
    chunk = importlib_of("openai.types.chat").ChatCompletionChunk

    def decode(reads: list[bytes]) -> Events:
        response = httpx2.Response(200, content=source(reads), request=httpx2.Request("POST", "http://none"))
        return package.AsyncStream(cast_to=chunk, response=response, client=client)

    def text(event: Any) -> str:
        return (event.choices[0].delta.content or "") if event.choices else ""

    return Decoder("openai", "openai", decode, text)


def anthropic() -> Decoder | None:
    package, httpx2 = peer("anthropic"), peer("httpx2")
    if package is None or httpx2 is None:
        return None
    client = package.AsyncAnthropic(api_key="none")
    event_type = importlib_of("anthropic.types").RawMessageStreamEvent

    def decode(reads: list[bytes]) -> Events:
        response = httpx2.Response(200, content=source(reads), request=httpx2.Request("POST", "http://none"))
        return package.AsyncStream(cast_to=event_type, response=response, client=client)

    def text(event: Any) -> str:
        return getattr(event.delta, "text", "") if event.type == "content_block_delta" else ""

    return Decoder("anthropic", "anthropic", decode, text)


def importlib_of(name: str) -> Any:
    """A module of a package that is there."""
    found = peer(name)
    if found is None:
        raise ModuleNotFoundError(name)
    return found


PEERS: dict[str, Callable[[], Decoder | None]] = {
    "noukai-sdk": noukai_sdk,
    "stkai": stkai,
    "httpx-sse + json": httpx_sse,
    "kai-client": kai_client,
    "ai-lib-python": ai_lib,
    "anthropic": anthropic,
    "openai": openai,
}


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
        report.add(Row("P1", "its own dialect", name, None, "us"))
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
