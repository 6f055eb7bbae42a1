"""Twelve `kill -9` at random moments under flows, jobs and paused tool calls; `make soak` plays a hundred.

The kills come while jobs wait in the queue, while a step is under way and while a tool call is open;
seed and kills per phase are printed, and no phase may be empty.
"""

import random
from pathlib import Path

import pytest
from prove.flowing import play
from prove.server import Server


@pytest.mark.requirement("CORE-02", "NOU-89", "NOU-96")
async def test_twelve_random_kills_run_no_finished_step_again(tmp_path: Path) -> None:
    server = Server(tmp_path)
    try:
        report = await play(server, kills=12, users=8, seed=random.SystemRandom().randrange(10**9))
    finally:
        server.close()
    print(*report.lines(), sep="\n")
    assert report.verdict().faults == []
