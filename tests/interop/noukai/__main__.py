"""Plays scenarios with one client package against the demo server on port 8080.

    python -m tests.interop.noukai MODULE RELEASE async|sync URL [NAME…]

Prints one JSON line per scenario as it ends: {"name", "seconds", "fault": null or a text}.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

from tests.interop.noukai.registry import Scenario
from tests.interop.noukai.scenarios import SCENARIOS
from tests.interop.noukai.stage import Stage

SECONDS = 45.0
"""How long one scenario may take, on a machine that does much else."""

AT_ONCE = 8
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


async def main(module: str, release: str, shell: str, url: str, *names: str) -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
    stage, room = Stage(module, release, shell == "sync", url), asyncio.Semaphore(AT_ONCE)
    suiting = [each for each in SCENARIOS.values() if each.suits(release, shell)]
    chosen = [SCENARIOS[name] for name in names] or suiting
    for each in chosen:
        if each.alone:
            await play(each, stage, room)
    async with asyncio.TaskGroup() as group:
        for each in chosen:
            if not each.alone:
                group.create_task(play(each, stage, room))


if __name__ == "__main__":
    for variable in [name for name in os.environ if name.startswith("NOUKAI_") or name.lower().endswith("_proxy")]:
        del os.environ[variable]
    os.environ["NOUKAI_REPLAY_ENABLED"] = "1"
    asyncio.run(main(*sys.argv[1:]))
