"""Twelve `kill -9` at random moments under several readers; `make soak` plays a hundred.

The kills come while a run streams, is in a tool, waits for approval, or has no token yet; seed
and kills per phase are printed, and no phase may be empty.
"""

import random
from pathlib import Path

import pytest
from prove.killing import play
from prove.server import Server
from prove.wire import Wire


@pytest.mark.requirement("KAI-68", "CORE-02")
@pytest.mark.parametrize("behind", ["scripted model", "real wire"])
async def test_twelve_random_kills_lose_nothing_and_run_no_tool_twice(tmp_path: Path, behind: str) -> None:
    with Wire() as wire:
        await rounds(tmp_path, {"PROVE_WIRE": wire.url} if behind == "real wire" else {})


async def rounds(folder: Path, settings: dict[str, str]) -> None:
    server = Server(folder, settings=settings)
    try:
        report = await play(server, kills=12, streams=8, seed=random.SystemRandom().randrange(10**9))
    finally:
        server.close()
    print(*report.lines(), sep="\n")
    assert report.verdict().faults == []
