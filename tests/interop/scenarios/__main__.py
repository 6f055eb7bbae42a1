"""Plays scenarios with one client package against a running server.

    python -m tests.interop.scenarios MODULE URL SCRATCH [NAME…]

MODULE is `kai_client`, `dragoman.kai`, or `dragoman.kai:sync` for the blocking client. Prints one
JSON line per scenario as it ends: {"name", "seconds", "fault": null or a text}.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.interop.scenarios import SCENARIOS, Scenario
from tests.interop.scenarios.stage import Stage

SECONDS = 60.0
"""How long one scenario may take, on a machine that does much else."""

AT_ONCE = 6
THREADS = 64


async def play(each: Scenario, stage: Stage, room: asyncio.Semaphore) -> None:
    async with room:
        began, fault = time.monotonic(), None
        try:
            async with asyncio.timeout(SECONDS):
                await each.play(stage)
        except Exception:
            fault = traceback.format_exc()
        report = {"name": each.name, "seconds": round(time.monotonic() - began, 3), "fault": fault}
        print(json.dumps(report), flush=True)


async def main(module: str, url: str, scratch: str, *names: str) -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
    stage, room = Stage(module, url, Path(scratch)), asyncio.Semaphore(AT_ONCE)
    async with asyncio.TaskGroup() as group:
        for name in names or SCENARIOS:
            group.create_task(play(SCENARIOS[name], stage, room))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
