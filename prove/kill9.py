"""25 random kills under 20 streams: no event is lost, doubled or renumbered, and no tool runs twice."""

from __future__ import annotations

from prove.killing import play
from prove.server import Server
from prove.verdict import Ground, Verdict

KILLS = 25
STREAMS = 20
GUARD = "commit-before-seen"


async def prove(ground: Ground) -> Verdict:
    server = Server(ground.folder, guard=ground.guard)
    try:
        ground.say(f"{KILLS} kills -9 under {STREAMS} streams that re-attach with Last-Event-ID")
        report = await play(server, kills=KILLS, streams=STREAMS, seed=ground.seed)
    finally:
        server.close()
    for line in report.lines():
        ground.say(line)
    return report.verdict()
