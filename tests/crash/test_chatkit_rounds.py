"""Twelve `kill -9` at random moments under users of ChatKit's wire; `make soak` plays a hundred.

The kills come before the first token, while an answer streams, in a tool, while a card waits for a yes or for
a form, and while such an action is taken; seed and kills per phase are printed, and no phase may be empty.
"""

import random
from pathlib import Path

import pytest
from prove.chatting import play
from prove.server import Server


@pytest.mark.requirement("CHK-28", "CHK-37", "CORE-02")
async def test_twelve_random_kills_lose_no_item_and_take_each_action_once(tmp_path: Path) -> None:
    server = Server(tmp_path)
    try:
        report = await play(server, kills=12, users=8, seed=random.SystemRandom().randrange(10**9))
    finally:
        server.close()
    print(*report.lines(), sep="\n")
    assert report.verdict().faults == []
