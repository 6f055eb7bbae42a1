"""1,000 idle and 200 active streams in one process, 40 of them never reading: memory, tasks, descriptors.

The idle ones read runs that wait for approval. The active ones read runs that speak all the time;
those that never read have asked for a stored run that is larger than any buffer, so that the
server must hold back, and drop them when their time is over.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from prove.reading import V1, Client, Reading
from prove.server import Server
from prove.verdict import Ground, Verdict

IDLE, ACTIVE, NEVER_READING = 1000, 200, 40
WAITING_RUNS = 20
LARGE = "count: 60000"
SECONDS = 40.0
EVERY = 5.0
SETTINGS = {"DRAGOMAN_LIMITS__STALL_SECONDS": "15", "DRAGOMAN_LIMITS__HEARTBEAT_SECONDS": "5"}
MIB = 1024 * 1024
MOST_MEMORY = 200 * MIB
"""What 1,200 streams may take beyond a fresh process, whatever they read."""

SETTLE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Census:
    """What the server's process holds."""

    tasks: int
    threads: int
    descriptors: int
    memory: int

    def __str__(self) -> str:
        return (
            f"{self.memory / MIB:6.1f} MiB, {self.tasks} tasks, {self.descriptors} descriptors, {self.threads} threads"
        )


async def soak(ground: Ground) -> Verdict:
    server = Server(ground.folder, settings=SETTINGS)
    try:
        await server.start()
        return await _measure(ground, server)
    finally:
        server.close()


async def _measure(ground: Ground, server: Server) -> Verdict:
    client = Client(server.url, "soak.watcher")
    try:
        large = await client.ask(LARGE, message="large")
        await _finish(client, large)
        server.stop()  # a fresh process, which has not held that run
        await server.start()
        for number in range(20):  # what a process takes once: caches, threads, connections to the store
            await _finish(client, await client.ask("count: 200", message=f"warm-{number}"))
        before = await census(client)
        ground.say(f"before:  {before}")
        async with _streams(server, ground, large.run) as bytes_read:
            samples = [await _sample(ground, client, bytes_read) for _ in range(int(SECONDS / EVERY))]
        after = await _settled(client, before)
        ground.say(f"after:   {after}")
    finally:
        await client.aclose()
    verdict = Verdict()
    most, half = max(s.memory for s in samples), len(samples) // 2
    growth = max(s.memory for s in samples[half:]) - max(s.memory for s in samples[:half])
    ground.say(
        f"memory: at most {(most - before.memory) / MIB:.1f} MiB more; in the second half {growth / MIB:+.1f} MiB"
    )
    verdict.expect(most - before.memory < MOST_MEMORY, f"memory grew by {(most - before.memory) / MIB:.0f} MiB")
    verdict.expect(growth < 0.2 * MOST_MEMORY, f"memory goes on growing: {growth / MIB:.0f} MiB in the second half")
    verdict.expect(after.tasks <= before.tasks + 1, f"{after.tasks - before.tasks} tasks are left")
    verdict.expect(after.descriptors <= before.descriptors + 2, f"{after.descriptors - before.descriptors} descriptors")
    verdict.expect(min(s.descriptors for s in samples[:1]) > IDLE, "the streams were not open")
    return verdict


async def census(client: Client) -> Census:
    """What the server's process holds now, as its agent `census` tells."""
    asked = {"message": {"text": "how is it"}, "agent": "census"}
    run = (await client.send("POST", f"{V1}/runs", asked)).json()["id"]
    said = await _finish(client, Reading(run))
    return Census(**json.loads(said))


async def _finish(client: Client, reading: Reading) -> str:
    """Read the run to its end; what it said."""
    return "".join(
        [event["payload"]["delta"] async for event in client.follow(reading) if event["type"] == "block.delta"]
    )


async def _sample(ground: Ground, client: Client, bytes_read: list[int]) -> Census:
    await asyncio.sleep(EVERY)
    held = await census(client)
    ground.say(f"         {held}; {sum(bytes_read) / MIB:.1f} MiB read by {len(bytes_read)} readers")
    return held


async def _settled(client: Client, before: Census) -> Census:
    """What is held when all have gone, or when that takes too long."""
    for _ in range(int(SETTLE_SECONDS)):
        held = await census(client)
        if held.tasks <= before.tasks + 1 and held.descriptors <= before.descriptors + 2:
            break
        await asyncio.sleep(1.0)
    return held


# --------------------------------------------------------------------------- the streams


@asynccontextmanager
async def _streams(server: Server, ground: Ground, large: str) -> AsyncIterator[list[int]]:
    """All streams, open; gives the bytes that each reader has read so far."""
    users = [Client(server.url, f"soak.user{number}") for number in range(20)]
    bytes_read: list[int] = []
    tasks: list[asyncio.Task[None]] = []
    silent: list[socket.socket] = []
    try:
        waiting = [
            await users[n % 20].ask(f"approve: create_bucket b{n}", message=f"w{n}") for n in range(WAITING_RUNS)
        ]
        tasks += [_reader(server, f"user{n % 20}", waiting[n % 20].run, bytes_read) for n in range(IDLE)]
        talking = range(ACTIVE - NEVER_READING)
        tasks += [asyncio.create_task(_talk(server, users[n % 20], n, bytes_read)) for n in talking]
        silent += [_ask_and_never_read(server, large) for _ in range(NEVER_READING)]
        ground.say(f"{IDLE} idle streams, {ACTIVE} active ones, {NEVER_READING} of them never reading")
        yield bytes_read
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for one in silent:
            one.close()
        for user in users:
            with suppress(Exception):
                await user.send("DELETE", "/api/history")
            await user.aclose()


def _request(user: str, run: str) -> bytes:
    head = f"GET {V1}/runs/{run}/events HTTP/1.1\r\nhost: soak\r\nauthorization: Bearer soak.{user}\r\n"
    return f"{head}accept: text/event-stream\r\n\r\n".encode()


def _reader(server: Server, user: str, run: str, bytes_read: list[int]) -> asyncio.Task[None]:
    place = len(bytes_read)
    bytes_read.append(0)
    return asyncio.create_task(_read(server, user, run, bytes_read, place))


async def _read(server: Server, user: str, run: str, bytes_read: list[int], place: int) -> None:
    """Read one run's stream until it ends."""
    address = urlsplit(server.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        writer.write(_request(user, run))
        while (piece := await reader.read(65536)) and b"run.completed" not in piece:
            bytes_read[place] += len(piece)
    finally:
        writer.close()


async def _talk(server: Server, client: Client, number: int, bytes_read: list[int]) -> None:
    """One run after the other, each read to its end."""
    place = len(bytes_read)
    bytes_read.append(0)
    for turn in range(10_000):
        body: dict[str, Any] = {"message": {"id": f"t{number}-{turn}", "text": "slow: 100 50"}}
        run = (await client.send("POST", f"{V1}/runs", body)).json()["id"]
        await _read(server, f"user{number % 20}", run, bytes_read, place)


def _ask_and_never_read(server: Server, run: str) -> socket.socket:
    address = urlsplit(server.url)
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    made.connect((address.hostname, address.port))
    made.sendall(_request("watcher", run))
    return made
