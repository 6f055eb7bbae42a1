"""A hundred kills at random moments under the StackSpot wire of sixteen users; see `prove.asking_again`."""

from __future__ import annotations

from pathlib import Path

from prove.asking_again import play
from prove.server import Server
from prove.verdict import Ground, Verdict

KILLS = 100
USERS = 16


async def soak(ground: Ground) -> Verdict:
    server = Server(Path(ground.folder))
    try:
        report = await play(server, kills=KILLS, users=USERS, seed=ground.seed)
    finally:
        server.close()
    for line in report.lines():
        ground.say(line)
    return report.verdict()
