"""P3 of `dragoman.stackspot`, and its batches and uploads beside the published `stkai`, which needs Python 3.12.

P3: CPU per chunk of `chat_stream`, against httpx2 as its manual shows it with the limit's decoder on top;
blocking and awaiting. STK: chats of `chat_many` and files of `upload` and `upload_many`, CPU time and wall time,
against the published client in the same rounds. Services are processes of their own on the other core.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx2

from bench import limits
from bench.measure import Figures, Report, Row, Run, expect, interleave, main, peer, quiet, timed
from bench.provider import child, provider
from bench.stackspot_peer import ANSWER, UPLOAD
from bench.streams import stream
from dragoman import stackspot
from dragoman.stackspot.http_client import AsyncStandaloneHttpClient

STOCK_P3, BATCH_TARGET, UPLOAD_TARGET = 1.15, 1.0, 1.2
ROUNDS, BATCH_ROUNDS = 15, 7
CHATS, WORKERS = 200, 8
FILES, FILE_SIZE = 40, 64 * 1024
LARGE_SIZE = 64 * 1024 * 1024
DIALECT = "stackspot"
OURS, PUBLISHED = "dragoman", "stkai"
BODY = b'{"user_prompt": "Hello", "streaming": true}'


def signed_in(package: ModuleType) -> Any:
    """A client of this package that has a token."""

    class Given(package.AuthProvider):  # type: ignore[misc,name-defined]  # of two packages, one of them unknown here
        def get_access_token(self) -> str:
            return "token"

    return package.StandaloneHttpClient(Given())


# ------------------------------------------------------------------------------------ P3


def bare(client: httpx2.Client, url: str) -> Iterator[Any]:
    """httpx2 with the limit's decoder."""
    feed = limits.frames_to_events(DIALECT)
    with client.stream("POST", url, content=BODY) as response:
        for read in response.iter_bytes():
            yield from feed(read)


async def bare_async(client: httpx2.AsyncClient, url: str) -> AsyncIterator[Any]:
    async with client.stream("POST", url, content=BODY) as response:
        async for event in limits.events(DIALECT, response.aiter_bytes()):
            yield event


def streams(report: Report, port: int, stack: ExitStack) -> None:
    """Blocking streams: bare, ours, the published one."""
    url = f"http://127.0.0.1:{port}/{DIALECT}/once"
    client = stack.enter_context(httpx2.Client(timeout=30))
    contenders: dict[str, Callable[[], Any]] = {"bare httpx2": lambda: closing(bare(client, f"{url}/chat"))}
    texts: dict[str, Callable[[Any], str]] = {"bare httpx2": limits.text_of}
    packages = {OURS: stackspot, PUBLISHED: peer("stkai")}
    for name, package in packages.items():
        if package is not None:
            agent = package.Agent("x", url, http_client=signed_in(package))
            contenders[name] = partial(agent.chat_stream, package.ChatRequest("Hello"))
            texts[name] = lambda event: event.text or ""
    for name, opened in contenders.items():
        with opened() as events:
            expect(f"P3, {name}: text", "".join(map(texts[name], events)), stream(DIALECT).answer.text)
    units = len(stream(DIALECT).frames)

    def drain(opened: Callable[[], Any]) -> None:
        with opened() as events:
            for _ in events:
                pass

    runs = {name: partial(timed, partial(drain, opened), units=units) for name, opened in contenders.items()}
    first = {name: runs[name] for name in ("bare httpx2", OURS)}
    found = interleave(first, ROUNDS)
    report.compare("P3", "a chunk of chat_stream", found, limit="bare httpx2", targets={OURS: STOCK_P3})
    if PUBLISHED in runs:
        found = interleave({name: runs[name] for name in (OURS, PUBLISHED)}, 3)
        report.compare("P3", "a chunk of chat_stream, to upstream", found, limit=PUBLISHED, targets={})


def async_streams(report: Report, port: int) -> None:
    """The same, awaiting."""
    url = f"http://127.0.0.1:{port}/{DIALECT}/once"
    units = len(stream(DIALECT).frames)
    loop = asyncio.new_event_loop()
    client = httpx2.AsyncClient(timeout=30)

    class Given(stackspot.AuthProvider):
        def get_access_token(self) -> str:
            return "token"

    agent = stackspot.AsyncAgent("x", url, http_client=AsyncStandaloneHttpClient(Given()))
    request = stackspot.ChatRequest("Hello")

    async def ours() -> AsyncIterator[Any]:
        async with await agent.chat_stream(request) as events:
            async for event in events:
                yield event

    async def drain(events: Callable[[], AsyncIterator[Any]]) -> Figures:
        with quiet():
            wall, cpu = time.perf_counter(), time.process_time()
            async for _ in events():
                pass
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        return Figures(cpu / units, wall / units)

    async def text() -> str:
        return "".join([event.text async for event in ours()])

    async def close() -> None:
        await client.aclose()
        await agent.aclose()

    expect("P3, awaiting: text", loop.run_until_complete(text()), stream(DIALECT).answer.text)
    contenders = {"bare httpx2": lambda: bare_async(client, f"{url}/chat"), OURS: ours}
    runs: dict[str, Run] = {
        name: lambda events=events: loop.run_until_complete(drain(events))  # type: ignore[misc]  # bound per name
        for name, events in contenders.items()
    }
    found = interleave(runs, ROUNDS)
    report.compare("P3", "a chunk of chat_stream, awaiting", found, limit="bare httpx2", targets={OURS: STOCK_P3})
    loop.run_until_complete(close())
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


# ------------------------------------------------------------------------------------ batches and uploads


def chat_many(package: ModuleType, url: str) -> Callable[[], None]:
    options = package.agents.AgentOptions(max_workers=WORKERS)
    agent = package.Agent("x", url, options, signed_in(package))
    requests = [package.ChatRequest(f"prompt {number}") for number in range(CHATS)]

    def work() -> None:
        responses = agent.chat_many(requests)
        expect("STK: answers", [one.result for one in responses], [ANSWER] * CHATS)

    return work


def upload_many(package: ModuleType, url: str, paths: list[Path]) -> Callable[[], None]:
    uploader = package.FileUploader(url, package.FileUploadOptions(max_workers=WORKERS), signed_in(package))
    requests = [package.FileUploadRequest(path) for path in paths]

    def work() -> None:
        responses = uploader.upload_many(requests)
        expect("STK: uploads", [one.upload_id for one in responses], [UPLOAD] * len(paths))

    return work


def against_published(report: Report, url: str, folder: Path) -> None:
    """Rows for CPU and for wall time; the published client is the limit."""
    small = [folder / f"file-{number}.txt" for number in range(FILES)]
    for path in small:
        path.write_bytes(b"x" * FILE_SIZE)
    large = folder / "large.bin"
    large.write_bytes(b"x" * LARGE_SIZE)
    works: tuple[tuple[str, int, float, Callable[[ModuleType], Callable[[], None]]], ...] = (
        (f"chat_many, {CHATS} chats", CHATS, BATCH_TARGET, lambda package: chat_many(package, url)),
        (
            f"upload_many, {FILES} files of 64 KiB",
            FILES,
            UPLOAD_TARGET,
            lambda package: upload_many(package, url, small),
        ),
        ("upload of 64 MiB", 1, UPLOAD_TARGET, lambda package: upload_many(package, url, [large])),
    )
    packages = {name: package for name, package in ((PUBLISHED, peer("stkai")), (OURS, stackspot)) if package}
    limit = PUBLISHED if PUBLISHED in packages else OURS
    for what, units, target, make in works:
        runs = {name: partial(timed, make(package), units=units) for name, package in packages.items()}
        found = interleave(runs, BATCH_ROUNDS)
        for by in ("cpu", "wall"):
            work = f"{what}, {by}"
            if PUBLISHED not in packages:
                report.add(Row("STK", work, PUBLISHED, None, "ms"))
            report.compare("STK", work, found, limit=limit, targets={OURS: target}, unit="ms", by=by)


def measure(check_only: bool) -> Report:
    report = Report("stackspot", "P3 of chat_stream, CPU per chunk; batches and uploads beside the published client")
    with ExitStack() as stack:
        port = stack.enter_context(provider())
        streams(report, port, stack)
        async_streams(report, port)
    if peer("stkai") is None:
        report.notes.append("stkai is absent, which needs Python 3.12: its rows have nothing to compare with")
    with child("bench.stackspot_peer") as (_, port), tempfile.TemporaryDirectory() as folder:
        against_published(report, f"http://127.0.0.1:{port}", Path(folder))
    return report


if __name__ == "__main__":
    main(measure)
