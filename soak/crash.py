"""A hundred kills at random moments under twenty streams; see `prove.killing`."""

from __future__ import annotations

from pathlib import Path

from prove.killing import play
from prove.server import Server
from prove.verdict import Ground, Verdict

KILLS = 100
STREAMS = 20


async def soak(ground: Ground) -> Verdict:
    server = Server(Path(ground.folder))
    try:
        report = await play(server, kills=KILLS, streams=STREAMS, seed=ground.seed)
    finally:
        server.close()
    for line in report.lines():
        ground.say(line)
    return report.verdict()
