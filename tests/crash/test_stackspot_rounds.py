"""Twelve `kill -9` at random moments under users of the StackSpot wire; `make soak` plays a hundred.

The kills come while a plain answer is waited for, before and in a stream, in a tool and in a quick command; seed and
kills per phase are printed, and no phase may be empty.
"""

import random
from pathlib import Path

import pytest
from prove.asking_again import play
from prove.server import Server


@pytest.mark.requirement("STK-P04", "STK-96", "CORE-02")
async def test_twelve_random_kills_lose_no_answer_and_run_nothing_twice(tmp_path: Path) -> None:
    server = Server(tmp_path)
    try:
        report = await play(server, kills=12, users=8, seed=random.SystemRandom().randrange(10**9))
    finally:
        server.close()
    print(*report.lines(), sep="\n")
    assert report.verdict().faults == []
