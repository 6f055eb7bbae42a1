"""A client of the own face that outlives the server: it asks again, and re-attaches with `Last-Event-ID`.

Written against the wire alone, with no code of ours, so that a fault cannot cancel itself out.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx2

ENDS = ("run.completed", "run.failed", "run.cancelled")
V1 = "/dragoman/v1"
PATIENCE = 45.0
"""Seconds for which a request is made again while the server is away."""


@dataclass(slots=True)
class Reading:
    """What one reader has seen of a run, over all its attachments: (seq, data) as they came."""

    run: str
    seen: list[tuple[int, str]] = field(default_factory=list)
    attachments: int = 0
    over: bool = False

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(data) for _, data in self.seen]


@dataclass(slots=True)
class Differences:
    """How what a reader saw differs from the journal."""

    lost: int = 0
    doubled: int = 0
    renumbered: int = 0

    def add(self, seen: list[tuple[int, str]], journal: list[tuple[int, str]]) -> None:
        """Count. `lost`: in the journal and never seen; `renumbered`: seen and not, or otherwise, in the journal."""
        numbers, stored = [seq for seq, _ in seen], dict(journal)
        self.doubled += len(numbers) - len(set(numbers)) + len(journal) - len(stored)
        self.lost += len(stored.keys() - set(numbers)) + len(set(range(1, len(stored) + 1)) - stored.keys())
        self.renumbered += sum(stored.get(seq) != data for seq, data in seen)

    def __bool__(self) -> bool:
        return bool(self.lost or self.doubled or self.renumbered)

    def __str__(self) -> str:
        return f"events lost {self.lost}, doubled {self.doubled}, renumbered {self.renumbered}"


class Client:
    """One user: `token` as `prove.app` reads it."""

    def __init__(self, url: str, token: str) -> None:
        self._http = httpx2.AsyncClient(
            base_url=url, headers={"authorization": f"Bearer {token}"}, timeout=20.0, trust_env=False
        )

    async def aclose(self) -> None:
        await self._http.aclose()

    async def once(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> httpx2.Response:
        """One request, with an idempotency key if there is one. Raises httpx2.TransportError when the server is away."""
        headers = {"accept": "application/json"} | ({"idempotency-key": key} if key is not None else {})
        return await self._http.request(method, path, json=body, headers=headers)

    async def send(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> httpx2.Response:
        """The same, made again until the server answers; everything asked here is safe to ask twice."""
        deadline = time.monotonic() + PATIENCE
        while True:
            with suppress(httpx2.TransportError):
                answer = await self.once(method, path, body, key=key)
                if answer.status_code != 503:
                    return answer
            if time.monotonic() > deadline:
                raise TimeoutError(f"{method} {path}: no answer within {PATIENCE:g} s")
            await asyncio.sleep(0.01)

    async def ask(self, text: str, *, message: str) -> Reading:
        """Send a message until it is accepted; its id makes that safe."""
        answer = await self.send("POST", f"{V1}/runs", {"message": {"id": message, "text": text}})
        if answer.status_code not in (200, 201):
            raise AssertionError(f"{text!r} was refused: {answer.status_code} {answer.text}")
        return Reading(answer.json()["id"])

    async def start_flow(self, flow: str, body: dict[str, Any], *, key: str, job: bool = False) -> Reading:
        """Start a run of a flow, or queue a job, until it is accepted; the key makes that safe."""
        answer = await self.send("POST", f"{V1}/flows/{flow}/{'jobs' if job else 'runs'}", body, key=key)
        if answer.status_code not in (200, 201, 202):
            raise AssertionError(f"{flow} was refused: {answer.status_code} {answer.text}")
        return Reading(answer.json()["id"])

    async def follow(self, reading: Reading) -> AsyncIterator[dict[str, Any]]:
        """Events as they come, to the run's end, over as many connections as it takes."""
        path = f"{V1}/runs/{reading.run}/events"
        while not reading.over:
            last = reading.seen[-1][0] if reading.seen else 0
            headers = {"accept": "text/event-stream", "last-event-id": str(last)}
            try:
                async with self._http.stream("GET", path, headers=headers) as answer:
                    if answer.status_code not in (200, 503):
                        reading.over = True  # 204: the server says that there is nothing behind what we have
                        return
                    reading.attachments += answer.status_code == 200
                    async for seq, data in _frames(answer.aiter_lines()):
                        reading.seen.append((seq, data))
                        event: dict[str, Any] = json.loads(data)
                        reading.over = event["type"] in ENDS
                        yield event
            except httpx2.TransportError:
                await asyncio.sleep(0.01)

    async def journal(self, run: str) -> list[tuple[int, str]]:
        """The run's events as a reader gets them who comes now."""
        whole = Reading(run)
        async for _ in self.follow(whole):
            pass
        return whole.seen

    async def stored(self, run: str) -> list[tuple[int, str]]:
        """The first 10,000 events that are stored by now, also of a run that has not ended."""
        listed = (await self.send("GET", f"{V1}/runs/{run}/events?limit=10000")).json()["events"]
        return [(event["seq"], json.dumps(event, separators=(",", ":"), ensure_ascii=False)) for event in listed]


async def _frames(lines: AsyncIterator[str]) -> AsyncIterator[tuple[int, str]]:
    """(id, data) of complete frames that have an id."""
    seq, data = "", ""
    async for line in lines:
        if line.startswith("id: "):
            seq = line[4:]
        elif line.startswith("data: "):
            data = line[6:]
        elif not line:
            if seq:
                yield int(seq), data
            seq, data = "", ""
