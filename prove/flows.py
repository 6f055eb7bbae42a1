"""24 random kills under the runs and jobs of 12 users: every run ends, and no finished step of a flow runs again."""

from __future__ import annotations

from prove.flowing import play
from prove.server import Server
from prove.verdict import Ground, Verdict

KILLS = 24
USERS = 12
GUARD = "commit-before-seen"


async def prove(ground: Ground) -> Verdict:
    server = Server(ground.folder, guard=ground.guard)
    try:
        ground.say(f"{KILLS} kills -9 under the flows, jobs and paused tool calls of {USERS} users")
        report = await play(server, kills=KILLS, users=USERS, seed=ground.seed)
    finally:
        server.close()
    for line in report.lines():
        ground.say(line)
    return report.verdict()
