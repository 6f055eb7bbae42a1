"""P7: a thousand open, idle streams: resident memory of each, and the time to open them all.

The limit is Starlette's StreamingResponse under the same uvicorn: one event, then nothing. Ours is the
whole server: the own face's events of runs that wait for an approval, read from the journal, with the
heartbeat's timer and a watch for clients that leave. Once all streams read one run, once each reads a
run of its own. Every measurement has a fresh server: open 20 and close them, read the memory, open 200,
then 800 more, read it each time. The last 800 are the figure: the first 200 partly live in what the
start of the server has left free, and a large program leaves more.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import threading
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from bench.load import close_streams, get, open_streams
from bench.measure import Report, Row, cores, expect, has_proc, main, median, memory_of, pin
from bench.provider import child

FEW, SOME, MORE = 20, 200, 800
ROUNDS = 3
MEMORY_TARGET, OPEN_TARGET = 0.8, 4.0
TOKEN = "demo-you"


@dataclass(frozen=True, slots=True)
class Idle:
    """What one server took: KiB per stream, over all and at the margin; seconds to open all."""

    kib: float
    marginal: float
    opened: float


# ------------------------------------------------------------------------------------- servers


def serve_starlette() -> None:
    """The limit, in a process of its own."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import StreamingResponse
    from starlette.routing import Route

    async def events() -> AsyncIterator[bytes]:
        yield b'data: {"type":"started"}\n\n'
        await asyncio.Event().wait()

    async def stream(request: Request) -> StreamingResponse:
        return StreamingResponse(events(), media_type="text/event-stream")

    config = uvicorn.Config(Starlette(routes=[Route("/stream", stream)]), log_level="warning", ws="none")
    server = uvicorn.Server(config)

    listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
    print(listening.getsockname()[1], flush=True)

    def stop() -> None:
        sys.stdin.read()
        server.should_exit = True

    threading.Thread(target=stop, daemon=True).start()
    server.run(sockets=[listening])


def serve_dragoman() -> None:
    """Ours, in a process of its own."""
    from dragoman.demo.app import demo_app
    from dragoman.testing.serving import serve

    with serve(demo_app(), demo=True) as served:
        print(served.url.rpartition(":")[2], flush=True)
        sys.stdin.read()


# ------------------------------------------------------------------------------------- clients


def waiting_runs(port: int, number: int) -> tuple[list[str], int]:
    """Start runs that wait for an approval; their ids, and how many events each has.

    The events are read when nothing is written any more: that fills SQLite's page cache, which is
    bounded and no part of a stream.
    """
    body = json.dumps({"message": {"text": "approve: create_bucket photos"}}).encode()
    runs = [ask(port, "/runs", body)["id"] for _ in range(number)]
    lengths = {paused_after(port, run) for run in reversed(runs)}  # the last one pauses last
    expect("P7: all runs have the same events", len(lengths), 1)
    return runs, lengths.pop()


def paused_after(port: int, run: str) -> int:
    """The number of a run's events, once the last of them is its pause."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        events = ask(port, f"/runs/{run}/events")["events"]
        if events[-1]["type"] == "run.paused":
            return len(events)
        time.sleep(0.005)
    raise TimeoutError(f"run {run} did not pause")


def ask(port: int, path: str, body: bytes | None = None) -> Any:
    """One exchange with the own face."""
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json", "accept": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/dragoman/v1{path}", body, headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def run_starlette() -> Idle:
    with child("bench.server", "starlette") as (pid, port):
        requests = [get("/stream")] * (SOME + MORE)
        return asyncio.run(idle(pid, port, requests, wanted=1))


def run_dragoman(runs: int) -> Idle:
    with child("bench.server", "dragoman") as (pid, port):
        waiting, events = waiting_runs(port, runs)
        headers = f"authorization: Bearer {TOKEN}\r\n"
        requests = [get(f"/dragoman/v1/runs/{run}/events", headers) for run in waiting]
        requests = [requests[place % runs] for place in range(SOME + MORE)]
        # the events and, before them, the frame with the time to reconnect
        return asyncio.run(idle(pid, port, requests, wanted=events + 1))


async def idle(pid: int, port: int, requests: Sequence[bytes], *, wanted: int) -> Idle:
    await close_streams(await open_streams(port, requests[:FEW], wanted=wanted))
    start = memory_of(pid)
    began = time.perf_counter()
    some = await open_streams(port, requests[:SOME], wanted=wanted)
    opened = time.perf_counter() - began
    await asyncio.sleep(0.2)
    with_some = memory_of(pid)
    began = time.perf_counter()
    more = await open_streams(port, requests[SOME:], wanted=wanted)
    opened += time.perf_counter() - began
    await asyncio.sleep(0.5)
    with_all = memory_of(pid)
    for reader in (*some, *more):
        expect("P7: events of each stream", reader.events, wanted)
    await close_streams([*some, *more])
    return Idle((with_all - start) / 1024 / (SOME + MORE), (with_all - with_some) / 1024 / MORE, opened)


# ----------------------------------------------------------------------------------- measuring

CONTENDERS: dict[str, Callable[[], Idle]] = {
    "limit": run_starlette,
    "dragoman, one run": partial(run_dragoman, 1),
    "dragoman, a run each": partial(run_dragoman, SOME + MORE),
}


def measure(check_only: bool) -> Report:
    report = Report("server", "P7 a thousand idle streams")
    if not has_proc() or cores() is None:
        report.notes.append("needs /proc and two cores")
        return report
    pin(1)  # the servers take the other core themselves
    found: dict[str, list[Idle]] = {name: [] for name in CONTENDERS}
    for _ in range(ROUNDS):
        for name, run in CONTENDERS.items():
            found[name].append(run())
    for what, unit, field, target in (
        ("memory per stream, the last 800", "KiB", "marginal", MEMORY_TARGET),
        ("memory per stream, all 1,000", "KiB", "kib", None),
        ("time to open all", "s", "opened", OPEN_TARGET),
    ):
        base = [getattr(one, field) for one in found["limit"]]
        for name, values in found.items():
            mine = [getattr(one, field) for one in values]
            relation = median([ours / theirs for ours, theirs in zip(mine, base, strict=True)])
            report.add(Row("P7", what, name, median(mine), unit, relation, None if name == "limit" else target))
    return report


if __name__ == "__main__":
    if sys.argv[1:] == ["starlette"]:
        pin(0)
        serve_starlette()
    elif sys.argv[1:] == ["dragoman"]:
        pin(0)
        serve_dragoman()
    else:
        main(measure)
