"""10,000 jobs over HTTP into one server on SQLite: each runs exactly once, and memory stays bounded.

Each job leaves a line outside the server. They are put in faster than they run, so that most of them
wait in the queue at some time; the server is killed once in the middle, and a job whose step was
under way then may leave a second line, if its trace tells so.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from itertools import count
from typing import Any

from prove.reading import V1, Client
from prove.server import Server
from prove.verdict import Ground, Verdict

from soak.streams import MIB, census

JOBS = 10_000
SUBMITTERS = 16
KILL_AT = 4_000
"""How many have run when the server is killed."""

SECONDS = 400.0
MOST_MEMORY = 96 * MIB
"""What 10,000 jobs may take beyond a fresh process; all of them in memory would be several times that."""


async def soak(ground: Ground) -> Verdict:
    server = Server(ground.folder)
    client = Client(server.url, "soak.jobs.admin")
    try:
        await server.start()
        return await _run(ground, server, client)
    finally:
        await client.aclose()
        server.close()


async def _run(ground: Ground, server: Server, client: Client) -> Verdict:
    verdict = Verdict()
    before = (await census(client)).memory
    samples: list[int] = []
    numbers = count()
    ids: dict[int, str] = {}

    async def submit() -> None:
        for number in numbers:
            if number >= JOBS:
                return
            body = {"message": str(number), "priority": number % 3}
            ids[number] = (await client.start_flow("prove/tally", body, key=f"j-{number}", job=True)).run

    began = time.monotonic()
    submitting = [asyncio.create_task(submit()) for _ in range(SUBMITTERS)]
    watching = asyncio.create_task(_watch(server, client, samples))
    await _until(lambda: server.tool_runs() >= KILL_AT, began)
    running_before = server.tool_runs()
    server.kill()
    await server.start()
    await asyncio.gather(*submitting)
    ground.say(f"{JOBS} jobs are in after {time.monotonic() - began:.0f} s; {running_before} had run at the kill")
    left = await _left(client, began)
    watching.cancel()
    took = time.monotonic() - began
    after = (await census(client)).memory
    lines = Counter(server.trace.read_text("utf-8").split("\n"))
    missing = [number for number in range(JOBS) if not lines[f"job {number}"]]
    double = [number for number in range(JOBS) if lines[f"job {number}"] > 1]
    untold = [number for number in double if not await _is_told(client, ids[number])]
    most = max([*samples, after]) - before
    ground.say(f"all over after {took:.0f} s ({JOBS / took:.0f} jobs/s, over HTTP, one kill between)")
    ground.say(f"memory: {before / MIB:.0f} MiB before, at most {most / MIB:.0f} MiB more, {after / MIB:.0f} MiB after")
    ground.say(
        f"lost {len(missing)}, not over {left}, begun anew {len(double)}, without a word in the trace {len(untold)}"
    )
    verdict.expect(len(set(ids.values())) == JOBS, f"{JOBS} jobs have {len(set(ids.values()))} ids")
    verdict.expect(not missing, f"{len(missing)} jobs never ran")
    verdict.expect(not left, f"{left} jobs are not over")
    verdict.expect(not untold, f"{len(untold)} jobs ran twice and their trace does not say so")
    verdict.expect(len(double) <= 2 * SUBMITTERS, f"{len(double)} jobs ran twice, more than can have been under way")
    verdict.expect(most < MOST_MEMORY, f"the process grew by {most / MIB:.0f} MiB")
    return verdict


async def _until(holds: Any, began: float) -> None:
    while not holds():
        if time.monotonic() - began > SECONDS:
            raise TimeoutError("the jobs do not get on")
        await asyncio.sleep(0.05)


async def _left(client: Client, began: float) -> int:
    """How many jobs have not ended, once nothing moves any more or the time is over."""
    while True:
        left = 0
        for status in ("queued", "running", "paused", "failed", "cancelled"):
            page = (await client.send("GET", f"{V1}/jobs?status={status}&limit=1")).json()
            left += len(page["runs"])
        if not left or time.monotonic() - began > SECONDS:
            return left
        await asyncio.sleep(0.2)


async def _is_told(client: Client, run: str) -> bool:
    trace = (await client.send("GET", f"{V1}/runs/{run}/trace")).json()
    return any(one["code"] == "interrupted" for step in trace["steps"] for one in step["attempts"])


async def _watch(server: Server, client: Client, samples: list[int]) -> None:
    while True:
        if server.pid:
            samples.append((await census(client)).memory)
        await asyncio.sleep(2.0)
