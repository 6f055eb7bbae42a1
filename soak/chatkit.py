"""A hundred kills at random moments under the ChatKit wire of sixteen users; see `prove.chatting`."""

from __future__ import annotations

from pathlib import Path

from prove.chatting import play
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
