"""`kill -9` at any moment loses nothing that was acknowledged."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dragoman.store import open_store

WRITER = """
import asyncio, sys
from dragoman.core.events import BlockDelta, Event
from dragoman.core.records import Item, Run, Thread
from dragoman.core.writes import AppendEvents, PutItem, PutRun, PutThread
from dragoman.store import open_store

async def write(store, n):
    run = f"r{n}"
    await store.commit(PutRun(Run(run, "acme", "ann", "chat", "helper", 1.0)))
    for seq in range(1, 100_000):
        await store.commit(
            AppendEvents((Event(run, seq, 1.0, BlockDelta("b", "x")),)),
            PutItem(1, Item(f"{n}-{seq}", "message", "user", 1.0, {})),
        )
        print(n, seq, flush=True)

async def main():
    store = await open_store(sys.argv[1])
    await store.commit(PutThread(Thread("t", "acme", "ann", 1.0, 1.0)))
    await asyncio.gather(*(write(store, n) for n in range(8)))

asyncio.run(main())
"""


def start_writer(directory: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", WRITER, str(directory)], stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("acknowledged", [1, 100, 700])
async def test_every_acknowledged_commit_is_there_after_kill_9(tmp_path: Path, acknowledged: int) -> None:
    with start_writer(tmp_path) as writer:
        assert writer.stdout is not None
        lines = [writer.stdout.readline() for _ in range(acknowledged)]
        writer.kill()
        lines += writer.stdout.readlines()
    told: dict[int, int] = {}
    for line in lines:
        if line.endswith("\n"):  # the last one may be cut
            n, seq = map(int, line.split())
            told[n] = max(seq, told.get(n, 0))
    assert sum(told.values()) >= acknowledged
    store = await open_store(tmp_path)
    items: list[Any] = [item.id for item in (await store.items(1, limit=100_000)).rows]
    for n, seq in told.items():
        events = await store.events(f"r{n}", limit=100_000)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert len(events) >= seq
        # both halves of each commit, or neither
        assert sum(id.startswith(f"{n}-") for id in items) == len(events)
    await store.close()
