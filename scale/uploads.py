"""A gigabyte up, with our own client and our own server: what each of the two processes holds meanwhile.

Then one that is cut in the middle and one that is a byte too large: nothing of them may stay.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
from prove.server import ROOT, free_port
from prove.verdict import Ground, Verdict

from scale.memory import Peak

MIB = 1024 * 1024
SIZE = 1024 * MIB
MOST_MEMORY = 64 * MIB
START_SECONDS = 30.0
SETTLE_SECONDS = 30.0
_BLOCK = 4 * MIB


async def scale(ground: Ground) -> Verdict:
    verdict = Verdict()
    large, small = ground.folder / "large.bin", ground.folder / "small.bin"
    digest = await asyncio.to_thread(_write, large, SIZE, ground.seed)
    await asyncio.to_thread(_write, small, MIB, ground.seed)
    data = ground.folder / "data"
    async with _server(data) as (server, url):
        for way in ("blocking", "async"):
            async with _sender(url, way) as sender:
                await _send(sender, small)  # what a process takes once: connections, threads, imports
                await _measure(ground, verdict, server, sender, way, large)
        stored = [path for path in _files(data) if path.stat().st_size == SIZE]
        digests = {await asyncio.to_thread(_digest, path) for path in stored}
        verdict.expect(len(stored) == 2, f"{len(stored)} files of the full size are stored, not 2")
        verdict.expect(digests == {digest}, "what is stored is not what was sent")
        await _interrupted(verdict, url, data, large)
        await _oversize(verdict, url, data, large)
    ground.say("cut in the middle, and a byte too large: nothing of either is left")
    return verdict


async def _measure(ground: Ground, verdict: Verdict, server: Process, sender: Process, way: str, large: Path) -> None:
    ours, theirs = Peak(sender.pid), Peak(server.pid)
    said = await _send(sender, large)
    client, served = ours.stop() - ours.before, theirs.stop() - theirs.before
    seconds = said["seconds"]
    ground.say(
        f"{way:8}: {SIZE / MIB:.0f} MiB in {seconds:.1f} s ({SIZE / MIB / seconds:.0f} MiB/s; the client busy"
        f" {said['busy']:.1f} s); client {ours.before / MIB:.1f} MiB {client / MIB:+.1f} at most,"
        f" server {theirs.before / MIB:.1f} MiB {served / MIB:+.1f} at most"
    )
    verdict.expect(said["status"] == "SUCCESS", f"{way}: the upload ended as {said['status']}: {said['error']}")
    verdict.expect(client < MOST_MEMORY, f"{way}: the client took {client / MIB:.0f} MiB more")
    verdict.expect(served < MOST_MEMORY, f"{way}: the server took {served / MIB:.0f} MiB more")


async def _interrupted(verdict: Verdict, url: str, data: Path, large: Path) -> None:
    """A client that dies in the middle."""
    before = set(_files(data))
    async with _sender(url, "blocking") as sender:
        _tell(sender, large)
        await _until(lambda: any(path.stat().st_size > SIZE // 4 for path in set(_files(data)) - before))
        sender.send_signal(signal.SIGKILL)
        await sender.wait()
    left = await _until(lambda: set(_files(data)) == before)
    verdict.expect(left, "an upload that was cut has left a file")


async def _oversize(verdict: Verdict, url: str, data: Path, large: Path) -> None:
    before = set(_files(data))
    with large.open("ab") as file:
        file.write(b"x")
    async with _sender(url, "blocking") as sender:
        said = await _send(sender, large)
    verdict.expect(said["status"] == "ERROR" and said["id"] is None, f"a byte too much ended as {said['status']}")
    verdict.expect("EntityTooLarge" in str(said["error"]), f"a byte too much was told as {said['error']}")
    verdict.expect(set(_files(data)) == before, "an upload that was too large has left a file")


# --------------------------------------------------------------------------- files


def _write(path: Path, size: int, seed: int) -> str:
    """A file of bytes that no two blocks share; its digest."""
    digest, noise = hashlib.sha256(), random.Random(seed).randbytes(_BLOCK)
    with path.open("wb") as file:
        for start in range(0, size, _BLOCK):
            block = (start.to_bytes(8, "big") + noise[8:])[: size - start]
            digest.update(block)
            file.write(block)
    return digest.hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _end_of(log: Path) -> str:
    return log.read_text("utf-8", "replace")[-1000:]


def _files(data: Path) -> list[Path]:
    """What lies where the server keeps the bytes of files."""
    return [path for path in (data / "blobs").glob("**/*") if path.is_file()]


async def _until(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        try:
            if holds():
                return True
        except FileNotFoundError:  # it went while it was looked at
            pass
        await asyncio.sleep(0.02)
    return False


# --------------------------------------------------------------------------- processes


@asynccontextmanager
async def _server(data: Path) -> AsyncIterator[tuple[Process, str]]:
    """The demo with the limit raised to exactly the size."""
    port = free_port()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DRAGOMAN_")}
    settings = {"DRAGOMAN_STACKSPOT__UPLOAD_LIMIT": str(SIZE), "DRAGOMAN_LOG__REQUESTS": "false"}
    command = ["-m", "dragoman", "serve", "--demo", "--host", "127.0.0.1", "--port", str(port), "--data", str(data)]
    with (data.parent / "server.log").open("wb") as log:
        server = await asyncio.create_subprocess_exec(
            sys.executable, *command, stdout=log, stderr=log, cwd=ROOT, env=kept | settings
        )
    url = f"http://127.0.0.1:{port}"
    try:
        await _answering(url, data.parent / "server.log")
        yield server, url
    finally:
        await _end(server)


async def _answering(url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    async with httpx2.AsyncClient(base_url=url, timeout=2.0, trust_env=False) as probe:
        while True:
            try:
                if (await probe.get("/health/live")).status_code == 200:
                    return
            except httpx2.TransportError:
                pass
            assert time.monotonic() < deadline, f"the server does not start: {_end_of(log)}"
            await asyncio.sleep(0.05)


@asynccontextmanager
async def _sender(url: str, way: str) -> AsyncIterator[Process]:
    command = [sys.executable, "-m", "scale.sender", url, way]
    sender = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, cwd=ROOT)
    try:
        await _heard(sender)
        yield sender
    finally:
        await _end(sender)


async def _end(process: Process) -> None:
    if process.returncode is None:
        process.terminate()
    await process.wait()


async def _send(sender: Process, path: Path) -> dict[str, Any]:
    _tell(sender, path)
    return await _heard(sender)


def _tell(sender: Process, path: Path) -> None:
    assert sender.stdin is not None, "made with pipes"
    sender.stdin.write(f"{path}\n".encode())


async def _heard(sender: Process) -> dict[str, Any]:
    assert sender.stdout is not None, "made with pipes"
    line = await sender.stdout.readline()
    assert line, "the client has died"
    said: dict[str, Any] = json.loads(line)
    return said
