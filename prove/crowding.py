"""A crowd at the gateway: many streams at once before a slow provider, then many requests in a row.

Nobody may wait without being told: a limit answers 429 with `retry-after`, at once, and what is under way goes on word
by word. Callers who leave end the provider's calls. Afterwards the process holds what it held before: memory, tasks,
descriptors. Written against the wire alone.
"""

from __future__ import annotations

import asyncio
import json
import time
import weakref
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from dragoman.testing import ScriptedModel
from prove.server import Server
from prove.verdict import Verdict
from prove.wire import Wire

CHAT = "/v1/chat/completions"
MIB = 1024 * 1024
PATIENCE = 120.0
MOST_SILENCE = 20.0
"""Seconds without a word of a stream that speaks all the time, on a machine that does much else."""

AT_ONCE_SECONDS = 10.0
"""A refusal that takes longer has waited for a place."""

MORE = 5
"""Requests beyond each limit."""

WARM = 300
"""Requests before anything is measured: what a process takes once."""

SETTLE_SECONDS = 30.0
MOST_GROWTH = 48 * MIB
MOST_LATE_GROWTH = 8 * MIB
"""Between the first and the second half of the requests in a row."""

FREE_WORDS = 2
"""That the provider says before it waits for the gate."""


class Gate:
    """The pace of the provider: a few words of each answer, then nothing until the gate is opened.

    So all streams are under way together, however long the last of them takes to begin.
    """

    def __init__(self) -> None:
        self._is_open = False
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
        self._said: weakref.WeakKeyDictionary[asyncio.Task[Any], int] = weakref.WeakKeyDictionary()
        self.opened_at = float("inf")

    def open(self) -> None:
        """Called from another thread than the provider's."""
        self.opened_at = time.monotonic()
        self._is_open = True
        waiting, self._waiting = self._waiting, []
        for loop, passed in waiting:
            loop.call_soon_threadsafe(passed.set)

    def close(self) -> None:
        self._is_open = False
        self.opened_at = float("inf")

    async def sleep(self, seconds: float) -> None:
        """Before each word; runs in the provider's loop."""
        task = asyncio.current_task()
        assert task is not None, "an answer is a task"
        self._said[task] = said = self._said.get(task, 0) + 1
        if said > FREE_WORDS and not self._is_open:
            passed = asyncio.Event()
            self._waiting.append((asyncio.get_running_loop(), passed))
            if not self._is_open:  # it may have been opened meanwhile
                await passed.wait()
        await asyncio.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Held:
    """What the server's process holds."""

    tasks: int
    threads: int
    descriptors: int
    memory: int

    def __str__(self) -> str:
        return f"{self.memory / MIB:.1f} MiB, {self.tasks} tasks, {self.descriptors} descriptors"


@dataclass(slots=True)
class Report:
    """What was seen. `silence` and `refusal` are the longest, in seconds."""

    streams: int = 0
    left: int = 0
    refused: int = 0
    requests: int = 0
    silence: float = 0.0
    refusal: float = 0.0
    held: list[tuple[str, Held]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        return [
            f"{self.streams} streams at once, {self.left} of them left; longest silence {self.silence:.2f} s",
            f"{self.refused} refused beyond the limits, the slowest after {self.refusal:.2f} s",
            f"{self.requests} requests in a row",
            *(f"{name:<14} {held}" for name, held in self.held),
        ]

    def verdict(self) -> Verdict:
        return Verdict(self.faults[:20])

    def expect(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.faults.append(otherwise)


def limits(streams: int) -> dict[str, str]:
    """The settings under which `play` is played: two callers, of whom one may have three quarters of all places."""
    return {
        "DRAGOMAN_OPENAI__LIMITS__CALLS": str(streams),
        "DRAGOMAN_OPENAI__LIMITS__PARALLEL": str(streams * 3 // 4),
        "DRAGOMAN_LOG__LEVEL": "error",
    }


async def crowd(folder: Path, *, streams: int, requests: int, words: int = 60) -> Report:
    """Start a gateway before a slow provider, press on it, and tell what was seen."""
    gate = Gate()
    with Wire(ScriptedModel(sleep=gate.sleep)) as wire:
        settings = limits(streams) | {"PROVE_WIRE": wire.url}
        server = Server(folder, settings=settings, app="prove.crowd_app:app")
        try:
            await server.start()
            async with _client(server.url) as client:
                return await _Play(client, wire, gate, streams, words).play(requests)
        finally:
            server.close()


def _client(url: str) -> httpx2.AsyncClient:
    most = httpx2.Limits(max_connections=1000, max_keepalive_connections=8)
    return httpx2.AsyncClient(base_url=url, timeout=PATIENCE, limits=most, trust_env=False)


class _Play:
    def __init__(self, client: httpx2.AsyncClient, wire: Wire, gate: Gate, streams: int, words: int) -> None:
        self._client, self._wire, self._gate = client, wire, gate
        self._streams, self._words = streams, words
        self._report = Report()

    async def play(self, requests: int) -> Report:
        report = self._report
        await self._in_a_row(WARM)
        await self._at_once()
        before = await self._look("before")
        await self._at_once(refusals=True)
        await self._narrow()
        await self._settled("after streams", before)
        await self._in_a_row(requests // 2)
        half = await self._settled("half way", before)
        await self._in_a_row(requests - requests // 2)
        after = await self._settled("after", before)
        report.requests = requests
        report.expect(after.tasks <= before.tasks + 1, f"{after.tasks - before.tasks} tasks are left")
        report.expect(
            after.descriptors <= before.descriptors + 2,
            f"{after.descriptors - before.descriptors} descriptors are left",
        )
        growth, late = after.memory - before.memory, after.memory - half.memory
        report.expect(growth < MOST_GROWTH, f"memory grew by {growth / MIB:.0f} MiB")
        report.expect(late < MOST_LATE_GROWTH, f"memory goes on growing: {late / MIB:.0f} MiB in the second half")
        report.expect(self._wire.open == 0, f"{self._wire.open} calls of the provider are still open")
        return report

    # ------------------------------------------------------------------ at once

    async def _at_once(self, *, refusals: bool = False) -> None:
        """All streams at once, each read to its end, but every fourth, whose reader leaves half way."""
        count, full = self._streams, self._streams * 3 // 4
        self._gate.close()
        begun = [asyncio.Event() for _ in range(count)]
        readers = [
            asyncio.create_task(self._read("ann" if n < full else "ben", n, begun[n], leaves=n % 4 == 3))
            for n in range(count)
        ]
        try:
            async with asyncio.timeout(PATIENCE):
                for one in begun:
                    await one.wait()
            if refusals:
                await asyncio.gather(
                    *(self._refused(user, "far") for user in ("ann", "ben", "eve") for _ in range(MORE))
                )
            self._gate.open()
            for fault in await asyncio.gather(*readers):
                self._report.expect(not fault, fault)
        finally:
            self._gate.open()
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)
        if refusals:
            self._report.streams = count
            self._report.left = sum(n % 4 == 3 for n in range(count))

    async def _read(self, user: str, number: int, begun: asyncio.Event, *, leaves: bool) -> str:
        """Read one stream; what was wrong with it."""
        said, words = "", self._words
        wanted = " ".join(map(str, range(1, words + 1)))
        try:
            async with self._client.stream(
                "POST", CHAT, json=_asking(f"slow: {words} 100"), headers=_who(user)
            ) as answer:
                if answer.status_code != 200:
                    return f"stream {number}: status {answer.status_code}, {(await answer.aread())[:200]!r}"
                heard = time.monotonic()
                async for line in answer.aiter_lines():
                    now = time.monotonic()
                    silence = now - max(heard, self._gate.opened_at)
                    self._report.silence, heard = max(self._report.silence, silence), now
                    said += _said(line)
                    if said:
                        begun.set()
                    if leaves and len(said) > len(wanted) // 2:
                        return "" if wanted.startswith(said) else f"stream {number}: {said[:200]!r}"
        finally:
            begun.set()
        if self._report.silence > MOST_SILENCE:
            return f"stream {number}: nothing for {self._report.silence:.1f} s"
        return "" if said == wanted else f"stream {number}: {said[:200]!r}"

    async def _refused(self, user: str, model: str) -> None:
        began = time.monotonic()
        answer = await self._client.post(CHAT, json=_asking("echo: x", model), headers=_who(user))
        took = time.monotonic() - began
        report = self._report
        report.refused += 1
        report.refusal = max(report.refusal, took)
        told = answer.status_code, answer.headers.get("retry-after", "")
        report.expect(told[0] == 429 and told[1].isdigit(), f"beyond a limit: {told}, {answer.text[:200]}")
        report.expect(took < AT_ONCE_SECONDS, f"a refusal took {took:.1f} s")

    async def _narrow(self) -> None:
        """A model of two places: who comes third is told so."""
        begun = [asyncio.Event() for _ in range(2)]
        holding = [asyncio.create_task(self._hold("narrow", one)) for one in begun]
        try:
            async with asyncio.timeout(PATIENCE):
                for one in begun:
                    await one.wait()
            for _ in range(MORE):
                await self._refused("eve", "narrow")
        finally:
            for task in holding:
                task.cancel()
            await asyncio.gather(*holding, return_exceptions=True)

    async def _hold(self, model: str, begun: asyncio.Event) -> None:
        asked = _asking("slow: 1000 200", model)
        async with self._client.stream("POST", CHAT, json=asked, headers=_who("ann")) as answer:
            async for line in answer.aiter_lines():
                if _said(line):
                    begun.set()

    # ------------------------------------------------------------------ in a row

    async def _in_a_row(self, count: int) -> None:
        """One request after the other, by four callers: plain, streamed, left half way, and refused for a wrong model."""
        numbers = iter(range(count))

        async def ask() -> None:
            for number in numbers:
                fault = await self._one(number)
                self._report.expect(not fault, fault)

        await asyncio.gather(*(ask() for _ in range(4)))

    async def _one(self, number: int) -> str:
        text, who = f"echo: {number}", _who(f"user{number % 7}")
        if number % 10 == 9:
            answer = await self._client.post(CHAT, json=_asking(text, "nobody"), headers=who)
            return "" if answer.status_code == 404 else f"request {number}: {answer.status_code}"
        if number % 10 == 8:
            async with self._client.stream("POST", CHAT, json=_asking("count: 500"), headers=who) as left:
                async for line in left.aiter_lines():
                    if _said(line):
                        return ""
            return f"request {number}: nothing was said"
        stream = number % 10 >= 5
        answer = await self._client.post(CHAT, json=_asking(text, stream=stream), headers=who)
        if answer.status_code != 200:
            return f"request {number}: {answer.status_code}, {answer.text[:200]}"
        if stream:
            said = "".join(map(_said, answer.text.splitlines()))
        else:
            said = answer.json()["choices"][0]["message"]["content"]
        return "" if said == str(number) else f"request {number}: {said[:200]!r}"

    # ------------------------------------------------------------------ what is held

    async def _look(self, name: str) -> Held:
        held = await self._census()
        self._report.held.append((name, held))
        return held

    async def _settled(self, name: str, before: Held) -> Held:
        """What is held when all is let go of, or when that takes too long."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            held = await self._census()
            is_back = held.tasks <= before.tasks + 1 and held.descriptors <= before.descriptors + 2
            if (is_back and self._wire.open == 0) or time.monotonic() > deadline:
                self._report.held.append((name, held))
                return held
            await asyncio.sleep(0.5)

    async def _census(self) -> Held:
        body = _asking("how is it", "agent/census", stream=False)
        answer = await self._client.post(CHAT, json=body, headers=_who("watcher"))
        return Held(**json.loads(answer.json()["choices"][0]["message"]["content"]))


def _asking(text: str, model: str = "far", *, stream: bool = True) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], "stream": stream}


def _who(user: str) -> dict[str, str]:
    return {"authorization": f"Bearer crowd.{user}"}


def _said(line: str) -> str:
    """The text of a line of a stream."""
    if not line.startswith("data: {"):
        return ""
    choices = json.loads(line[6:]).get("choices") or [{}]
    return str(choices[0].get("delta", {}).get("content") or "")
