"""P14: recording a stream that comes over loopback, and replaying it.

Recording is measured against the same client that does not record: CPU for a stream whose events come one by one, the
file written and closed, and the time to the first read where the provider pauses behind it. Replaying is measured
against the same again, opening the file included, and must give the reads that were recorded, one for one. vcrpy
stands beside, over httpx, each of its figures against httpx alone. Texts are compared everywhere.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.measure import Report, Row, expect, main, median, peer, quiet, ratio
from bench.provider import provider
from bench.streams import stream
from dragoman.transport.drivers import AsyncDriver
from dragoman.transport.options import ClientOptions, Tape
from dragoman.wire.http import Headers, Request

ROUNDS = 7
STREAMS = 10
FIRSTS = 20
BODY = b'{"model": "gpt-4o-mini", "stream": true, "messages": [{"role": "user", "content": "Hello"}]}'
RECORD_TARGET, FIRST_TARGET, REPLAY_TARGET, LOST_TARGET = 1.2, 1.2, 0.2, 0.05

Reads = Callable[[str], AsyncIterator[bytes]]
"""Sends a request of this pace and gives what is read."""


@asynccontextmanager
async def ours(port: int, *, record: Path | None = None, replay: Path | None = None) -> AsyncIterator[Reads]:
    """Our driver; what is recorded is in the file when this ends."""
    driver = AsyncDriver(options=ClientOptions(tape=Tape.of(record, replay)))

    async def reads(pace: str) -> AsyncIterator[bytes]:
        headers = Headers([("content-type", "application/json")])
        answer = await driver.stream(Request("POST", _url(port, pace), headers, BODY))
        try:
            async for piece in answer:
                yield piece
        finally:
            await answer.aclose()

    try:
        yield reads
    finally:
        await driver.aclose()


@asynccontextmanager
async def theirs(port: int, cassette: Path | None = None) -> AsyncIterator[Reads]:
    """httpx, under vcrpy if there is a cassette: recording where the file is not there yet, else replaying."""
    httpx, vcr = peer("httpx"), peer("vcr")
    if httpx is None or vcr is None:
        raise ModuleNotFoundError("httpx and vcrpy are needed")

    async def reads(pace: str) -> AsyncIterator[bytes]:
        headers = {"content-type": "application/json"}
        async with client.stream("POST", _url(port, pace), content=BODY, headers=headers) as answer:
            async for piece in answer.aiter_raw():
                yield piece

    if cassette is None:
        async with httpx.AsyncClient(timeout=60) as client:
            yield reads
        return
    with vcr.VCR(record_mode="once").use_cassette(str(cassette)):
        async with httpx.AsyncClient(timeout=60) as client:
            yield reads


def _url(port: int, pace: str) -> str:
    return f"http://127.0.0.1:{port}/openai/{pace}/v1/chat/completions"


# ------------------------------------------------------------------------------------- measuring


@dataclass(slots=True)
class Found:
    """Figures, one of each round: CPU of a stream, time to the first read, reads of a stream."""

    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    reads: list[float] = field(default_factory=list)


Make = Callable[[], Any]


async def busy(make: Make, found: Found, wanted: bytes, name: str) -> None:
    """CPU of opening, of streams one after the other, and of closing."""
    with quiet():
        wall, cpu, count = time.perf_counter(), time.process_time(), 0
        async with make() as reads:
            for _ in range(STREAMS):
                pieces = [piece async for piece in reads("each")]
                count += len(pieces)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    expect(name, b"".join(pieces), wanted)
    found.cpu.append(cpu / STREAMS)
    found.wall.append(wall / STREAMS)
    found.reads.append(count / STREAMS)


async def first(make: Make, found: Found) -> None:
    """The median time to the first read; the provider pauses behind it, so that what waits for the end is seen."""
    times = []
    async with make() as reads:
        for _ in range(FIRSTS):
            began, seen = time.perf_counter(), False
            async for _ in reads("pause"):
                if not seen:
                    times.append(time.perf_counter() - began)
                    seen = True
    found.first.append(median(times))


PLAIN, RECORDING, REPLAYING = "dragoman", "dragoman, recording", "dragoman, replaying"
THEIR_PLAIN, THEIR_RECORDING, THEIR_REPLAYING = "httpx", "vcrpy, recording", "vcrpy, replaying"


async def measure(port: int, folder: Path) -> dict[str, Found]:
    names = [PLAIN, RECORDING, REPLAYING]
    has_peer = peer("vcr") is not None and peer("httpx") is not None
    names += [THEIR_PLAIN, THEIR_RECORDING, THEIR_REPLAYING] if has_peer else []
    found = {name: Found() for name in names}
    wanted = b"".join(stream("openai").frames)
    for number in range(ROUNDS + 1):
        kept = {name: found[name] if number else Found() for name in names}
        tape, early = folder / f"{number}.json", folder / f"{number}-first.json"
        makes: dict[str, Make] = {
            PLAIN: lambda: ours(port),
            RECORDING: lambda tape=tape: ours(port, record=tape),  # type: ignore[misc]
            REPLAYING: lambda tape=tape: ours(port, replay=tape),  # type: ignore[misc]
            THEIR_PLAIN: lambda: theirs(port),
        }
        for name, make in makes.items():
            if name in kept:
                await busy(make, kept[name], wanted, name)
        await first(makes[PLAIN], kept[PLAIN])
        await first(lambda early=early: ours(port, record=early), kept[RECORDING])  # type: ignore[misc]
        if has_peer:
            await _theirs(port, folder, number, kept, wanted)
    return found


async def _theirs(port: int, folder: Path, number: int, kept: dict[str, Found], wanted: bytes) -> None:
    """vcrpy keeps a cassette in memory until it is closed, and gives each recorded answer once."""
    tape, early = folder / f"{number}.yaml", folder / f"{number}-first.yaml"
    for name in (THEIR_RECORDING, THEIR_REPLAYING):
        await busy(lambda: theirs(port, tape), kept[name], wanted, name)
    await first(lambda: theirs(port), kept[THEIR_PLAIN])
    await first(lambda: theirs(port, early), kept[THEIR_RECORDING])


def make(check: bool) -> Report:
    report = Report("record", "P14: recording a stream, and replaying it")
    with provider() as port, tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measure(port, Path(folder)))
    sides = [(PLAIN, RECORDING, REPLAYING, True), (THEIR_PLAIN, THEIR_RECORDING, THEIR_REPLAYING, False)]
    for base, recording, replaying, is_ours in sides:
        if base not in found:
            report.add(Row("P14", "record a stream: CPU", recording, None, "ms"))
            continue
        _compare(report, "record a stream: CPU", found, base, recording, "cpu", RECORD_TARGET if is_ours else None)
        _compare(
            report, "record a stream: first read", found, base, recording, "first", FIRST_TARGET if is_ours else None
        )
        _compare(report, "replay a stream: CPU", found, base, replaying, "cpu", REPLAY_TARGET if is_ours else None)
        recorded = found[recording if is_ours else base].reads
        seen = [there / had for there, had in zip(found[replaying].reads, recorded, strict=True)]
        lost = max(0.0, 1 - median(seen))
        target = LOST_TARGET if is_ours else None
        report.add(Row("P14", "replay a stream: reads lost", replaying, lost * 100, "%", lost, target))
    return report


def _compare(
    report: Report, work: str, found: dict[str, Found], base: str, name: str, part: str, target: float | None
) -> None:
    limit, values = getattr(found[base], part), getattr(found[name], part)
    report.add(Row("P14", work, base, median(limit) * 1e3, "ms", 1.0))
    report.add(Row("P14", work, name, median(values) * 1e3, "ms", ratio(values, limit), target))


if __name__ == "__main__":
    main(make)
