"""Streams over a server that is killed again and again: the ground of `kill9`, the crash suite and the soak.

Each of several users asks one thing after the other and follows the answer to its end, over as
many servers as that takes. Before each kill a phase is awaited in which it must happen, in turn.
At the end every run is read once more and compared with what its reader saw.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from prove.reading import V1, Client, Differences, Reading
from prove.server import Server
from prove.verdict import Verdict

BEFORE_FIRST, STREAMING, IN_TOOL, WAITING = "before the first token", "streaming", "in a tool", "waiting for approval"
PHASES = (BEFORE_FIRST, STREAMING, IN_TOOL, WAITING)
_BETWEEN = "between two steps"

PHASE_SECONDS = 5.0
"""How long a kill waits for its phase."""

END_SECONDS = 20.0
"""How long the last runs may take to their end."""


@dataclass(slots=True)
class Asked:
    """One question of one user, its reading, and what must become of it."""

    text: str
    reading: Reading
    answer: str
    bucket: str | None = None
    decided: bool = False

    @property
    def phase(self) -> str:
        """Where the run is, as far as its reader knows."""
        if self.reading.over:
            return "over"
        if not self.reading.seen:
            return BEFORE_FIRST
        event = self.reading.events()[-1]
        match event["type"]:
            case "run.created" | "run.started" | "step.restarted":
                return BEFORE_FIRST
            case "step.started":
                return IN_TOOL if event["payload"]["kind"] == "tool" else BEFORE_FIRST
            case "block.started" | "block.delta":
                return STREAMING
            case "tool.approval_requested" | "run.paused":
                return WAITING
        return _BETWEEN


@dataclass(slots=True)
class Report:
    """What happened and what was found."""

    seed: int
    kills: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    events: int = 0
    attachments: int = 0
    cut: int = 0
    buckets: int = 0
    interrupted: int = 0
    twice: int = 0
    differences: Differences = field(default_factory=Differences)
    wrong: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """The figures, for people."""
        kills = ", ".join(f"{phase} {self.kills[phase]}" for phase in (*PHASES, _BETWEEN))
        return [
            f"seed {self.seed}: {self.runs} runs, {self.events} events read over {self.attachments} attachments",
            f"streams cut by a kill: {self.cut}; runs by the phase that a kill met: {kills}",
            f"{self.differences}; tools that must not run twice: {self.buckets} runs, "
            f"{self.interrupted} interrupted, {self.twice} twice",
        ]

    def verdict(self) -> Verdict:
        """`holds` if nothing was lost and every phase was met."""
        verdict = Verdict()
        verdict.expect(not self.differences, str(self.differences))
        verdict.expect(not self.twice, f"{self.twice} tools ran twice")
        verdict.expect(not self.wrong, f"{len(self.wrong)} other faults, the first: {''.join(self.wrong[:1])}")
        empty = [phase for phase in PHASES if not self.kills[phase]]
        verdict.expect(not empty, f"no kill met the phase {', '.join(empty)}")
        return verdict


async def play(server: Server, *, kills: int, streams: int, seed: int) -> Report:
    """Start the server, kill it `kills` times under `streams` readers, let all come to an end, compare."""
    made = random.Random(seed)
    report = Report(seed)
    done = asyncio.Event()
    users = [User(server, number, random.Random(made.random()), done) for number in range(streams)]

    def met() -> Counter[str]:
        current = [user.current for user in users if user.current is not None]
        report.kills.update(asked.phase for asked in current if not asked.reading.over)
        report.cut += sum(not asked.reading.over and asked.reading.attachments > 0 for asked in current)
        return report.kills

    report.wrong += await kill_under(server, users, done, kills=kills, phases=PHASES, met=met, made=made)
    for user in users:
        await user.compare(report)
        await user.client.aclose()
    return report


class Worker(Protocol):
    """Somebody who has work under way while the server is killed; `phase` is where it is."""

    @property
    def phase(self) -> str | None: ...

    async def work(self) -> None: ...


async def kill_under(
    server: Server,
    workers: Sequence[Worker],
    done: asyncio.Event,
    *,
    kills: int,
    phases: Sequence[str],
    met: Callable[[], Counter[str]],
    made: random.Random,
) -> list[str]:
    """Start the server, let the workers work, kill it in each phase in turn, and set `done`.

    `met` looks at who was killed and gives how often each phase was met. A moment is chosen, not
    made: the run may have left its phase before the kill came. So up to `kills` more are aimed at
    the phases that none has met, without lingering.
    Gives what is wrong: workers who wait in vain for the end.
    """
    await server.start()
    tasks = [asyncio.create_task(worker.work()) for worker in workers]
    lacking = list(phases)
    try:
        for number in range(2 * kills):
            if number < kills:
                await _moment(workers, phases[number % len(phases)], made.uniform(0.0, 0.06))
            elif lacking:
                await _moment(workers, lacking[0], 0.0)
            else:
                break
            server.kill()
            so_far = met()
            lacking = [phase for phase in phases if not so_far[phase]]
            await server.start()
        done.set()
        _, waiting = await asyncio.wait(tasks, timeout=END_SECONDS)
        broken = [repr(error) for task in tasks if task.done() and (error := task.exception()) is not None]
        return [*([f"{len(waiting)} readers wait in vain for the end of their run"] if waiting else []), *broken]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _moment(workers: Sequence[Worker], phase: str, linger: float) -> None:
    """Until somebody's run is in this phase, and `linger` seconds longer."""
    with suppress(TimeoutError):
        async with asyncio.timeout(PHASE_SECONDS):
            while not any(worker.phase == phase for worker in workers):  # noqa: ASYNC110 - it lasts milliseconds
                await asyncio.sleep(0.002)
    await asyncio.sleep(linger)


class User:
    """Asks, follows, decides, and keeps what it saw."""

    def __init__(self, server: Server, number: int, made: random.Random, done: asyncio.Event) -> None:
        self.client = Client(server.url, f"crash.user{number}")
        self.current: Asked | None = None
        self._server = server
        self._number = number
        self._made = made
        self._done = done
        self._asked: list[Asked] = []

    @property
    def phase(self) -> str | None:
        return self.current.phase if self.current is not None else None

    async def work(self) -> None:
        """One question after the other, until no more kills come; the last one to its end."""
        while not self._done.is_set():
            text, answer, bucket = self._question()
            message = f"m-{self._number}-{len(self._asked)}"
            self.current = asked = Asked(text, Reading("?"), answer, bucket)
            asked.reading = await self.client.ask(text, message=message)
            self._asked.append(asked)
            async for event in self.client.follow(asked.reading):
                if event["type"] == "run.paused":
                    await asyncio.sleep(self._made.uniform(0.0, 0.2))
                    if not await self._decide(asked, event["payload"]["calls"][0]):
                        break
            self.current = None

    def _question(self) -> tuple[str, str, str | None]:
        """(text, the whole answer, the bucket's name)"""
        made, name = self._made, f"{self._number}-{len(self._asked)}"
        match made.choice(("slow", "slow", "late", "count", "add", "bucket", "bucket")):
            case "slow":
                n = made.randint(5, 20)
                return f"slow: {n} {made.randint(5, 40)}", _numbers(n), None
            case "late":
                return f"slow: 2 {made.randint(100, 250)}", _numbers(2), None
            case "count":
                n = made.randint(50, 400)
                return f"count: {n}", _numbers(n), None
            case "add":
                return f"tool: add {self._number} 1", str(self._number + 1), None
            case _:
                bucket = f"ms{made.choice((0, 50, 250))}-{name}"
                return f"approve: create_bucket {bucket}", f"created {bucket}", bucket

    async def _decide(self, asked: Asked, call: str) -> bool:
        body = {"decisions": [{"call": call, "approved": True}]}
        answer = await self.client.send("POST", f"{V1}/runs/{asked.reading.run}/approvals", body)
        asked.decided = answer.status_code == 200
        return asked.decided

    async def compare(self, report: Report) -> None:
        """Hold what was seen against the journal, the answers and the trace."""
        for asked in self._asked:
            run = (await self.client.send("GET", f"{V1}/runs/{asked.reading.run}")).json()
            is_over = run["status"] in ("completed", "failed", "cancelled")
            journal = await (self.client.journal if is_over else self.client.stored)(asked.reading.run)
            report.differences.add(asked.reading.seen, journal)
            report.runs += 1
            report.events += len(asked.reading.seen)
            report.attachments += asked.reading.attachments
            if asked.bucket is not None:
                self._compare_bucket(asked, report)
            said = _said(asked.reading.events())
            interrupted = said == "create_bucket failed: interrupted"
            if run["status"] != "completed" or not (said == asked.answer or (interrupted and asked.bucket)):
                report.wrong.append(f"{asked.text!r} ended as {run['status']} with {said[:60]!r}")

    def _compare_bucket(self, asked: Asked, report: Report) -> None:
        ran = self._server.tool_runs(asked.bucket)
        kinds = Counter(event["type"] for event in asked.reading.events())
        report.buckets += ran
        report.interrupted += kinds["tool.failed"]
        report.twice += ran > 1
        if kinds["tool.output"] and not ran:
            report.wrong.append(f"{asked.bucket!r} is said to be created, and its tool never ran")
        if asked.decided and kinds["tool.approval_decided"] != 1:
            report.wrong.append(f"{asked.bucket!r} has {kinds['tool.approval_decided']} decisions in its journal")


def _said(events: list[dict[str, Any]]) -> str:
    """The answer's text; what an attempt said that was begun anew is void."""
    text: dict[str, str] = {}
    for event in events:
        if event["type"] == "block.delta":
            text[event["step"]] = text.get(event["step"], "") + event["payload"]["delta"]
        elif event["type"] == "step.restarted":
            text.pop(event["step"], None)
    return "".join(text.values())


def _numbers(n: int) -> str:
    return " ".join(map(str, range(1, n + 1)))
