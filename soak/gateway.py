"""200 parallel streams of the gateway before a slow provider, and 10,000 requests in a row; see `prove.crowding`."""

from __future__ import annotations

from pathlib import Path

from prove.crowding import crowd
from prove.verdict import Ground, Verdict

STREAMS = 200
REQUESTS = 10_000


async def soak(ground: Ground) -> Verdict:
    report = await crowd(Path(ground.folder), streams=STREAMS, requests=REQUESTS)
    for line in report.lines():
        ground.say(line)
    return report.verdict()
