"""Flows and jobs over a server that is killed again and again: no finished step runs twice.

As `killing`, for flows: each of several users starts one run or job after the other, answers what it
pauses for (three times, as a nervous client does), and follows it to its end. What the steps did is
counted in a file outside the server (`prove.leaving`) and held against what readers had seen.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from prove.killing import kill_under
from prove.reading import V1, Client, Differences, Reading
from prove.server import Server
from prove.verdict import Verdict
from prove.work import PARTS, TEN, TOOL

QUEUED, IN_STEP, ASKING = "in the queue", "in a step", "paused for a tool"
PHASES = (QUEUED, IN_STEP, ASKING)
_BETWEEN = "between two steps"

Step = tuple[str, str]
"""Run and key of a step."""


@dataclass(slots=True)
class Work:
    """One run of a flow: what it must give, its reading, and where the file ended when a step was seen to be done."""

    flow: str
    body: dict[str, Any]
    result: tuple[str, ...]
    job: bool = False
    bucket: str | None = None
    reading: Reading = field(default_factory=lambda: Reading("?"))
    done_at: dict[str, int] = field(default_factory=dict)
    pauses: int = 0

    @property
    def phase(self) -> str:
        """Where the run is, as far as its reader knows."""
        if self.reading.over:
            return "over"
        last = self.reading.events()[-1] if self.reading.seen else {"type": "run.created"}
        match last["type"]:
            case "run.created":
                return QUEUED
            case "run.paused":
                return ASKING
            case "step.started" | "step.restarted" | "step.input" | "block.started" | "block.delta":
                return IN_STEP
        return _BETWEEN


@dataclass(slots=True)
class Report:
    """What happened and what was found."""

    seed: int
    kills: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    jobs: int = 0
    steps: int = 0
    begun_anew: int = 0
    again: int = 0
    untold: int = 0
    twice: int = 0
    differences: Differences = field(default_factory=Differences)
    wrong: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """The figures, for people."""
        kills = ", ".join(f"{phase} {self.kills[phase]}" for phase in (*PHASES, _BETWEEN))
        return [
            f"seed {self.seed}: {self.runs} runs of flows, {self.jobs} of them jobs, with {self.steps} steps",
            f"runs by the phase that a kill met: {kills}; {self.differences}",
            f"steps begun anew {self.begun_anew}, of which the trace does not tell {self.untold}; "
            f"finished steps that ran again {self.again}; tools that must not run twice: {self.twice} twice",
        ]

    def verdict(self) -> Verdict:
        """`holds` if nothing finished ran again and every phase was met."""
        verdict = Verdict()
        verdict.expect(not self.again, f"{self.again} finished steps ran again")
        verdict.expect(not self.untold, f"the trace does not tell of {self.untold} steps that were begun anew")
        verdict.expect(not self.twice, f"{self.twice} tools ran twice")
        verdict.expect(not self.differences, str(self.differences))
        verdict.expect(not self.wrong, f"{len(self.wrong)} other faults, the first: {''.join(self.wrong[:1])}")
        verdict.expect(self.begun_anew > 0, "no kill met a step")
        empty = [phase for phase in PHASES if not self.kills[phase]]
        verdict.expect(not empty, f"no kill met the phase {', '.join(empty)}")
        return verdict


async def play(server: Server, *, kills: int, users: int, seed: int) -> Report:
    """Start the server, kill it `kills` times under the runs of `users`, let all come to an end, compare."""
    made = random.Random(seed)
    report = Report(seed)
    done = asyncio.Event()
    all_users = [User(server, number, random.Random(made.random()), done) for number in range(users)]

    def met() -> Counter[str]:
        report.kills.update(user.phase for user in all_users if user.phase not in (None, "over"))
        return report.kills

    report.wrong += await kill_under(server, all_users, done, kills=kills, phases=PHASES, met=met, made=made)
    lines = server.trace.read_text("utf-8").splitlines(keepends=True)
    for user in all_users:
        await user.compare(report, lines)
        await user.client.aclose()
    return report


class User:
    """Starts flows, answers what they ask, and keeps what it saw."""

    def __init__(self, server: Server, number: int, made: random.Random, done: asyncio.Event) -> None:
        self.client = Client(server.url, f"crash.flows{number}")
        self.current: Work | None = None
        self._server = server
        self._number = number
        self._made = made
        self._done = done
        self._works: list[Work] = []
        self._wrong: list[str] = []

    @property
    def phase(self) -> str | None:
        return self.current.phase if self.current is not None else None

    async def work(self) -> None:
        """One run after the other, until no more kills come; the last one to its end."""
        while not self._done.is_set():
            work = self._choose()
            key = f"w-{self._number}-{len(self._works)}"
            work.reading = await self.client.start_flow(f"prove/{work.flow}", work.body, key=key, job=work.job)
            self.current = work
            self._works.append(work)
            async for event in self.client.follow(work.reading):
                if event["type"] == "step.completed":
                    work.done_at.setdefault(event["step"], self._server.trace.stat().st_size)
                elif event["type"] == "run.paused":
                    work.pauses += 1
                    await asyncio.sleep(self._made.uniform(0.0, 0.2))
                    await self._answer(work, event["payload"]["calls"])
            self.current = None

    def _choose(self) -> Work:
        made, name = self._made, f"{self._number}-{len(self._works)}"
        flow, job = made.choice(("ten", "ten", "inner", "tool", "tool", "talk", "clerk")), made.random() < 0.5
        # all is kept: rows of numbers are taken for those of cards, and masked once the run is over
        body: dict[str, Any] = {"message": name, "parameters": {"ms": made.randint(0, 40)}, "capture": "full"}
        match flow:
            case "ten":
                return Work(flow, body, (f"{name} {_numbers(TEN)}",), job)
            case "inner":
                return Work(flow, body, (" ".join((name, *(f"p{n}" for n in range(1, PARTS + 1)))),), job)
            case "tool":
                tools = [{"name": TOOL, "description": "", "parameters": {"type": "object", "properties": {}}}]
                return Work(flow, body | {"tools": tools}, (f"{name} 1 found 2 3",), job)
            case "talk":
                n = made.randint(5, 20)
                return Work(flow, body | {"message": f"slow: {n} {made.randint(5, 30)}"}, (_numbers(n),), job)
        bucket = f"ms{made.choice((0, 50, 150))}-{name}"
        ends = (f"created {bucket} 2", "create_bucket failed: interrupted 2")
        return Work(flow, body | {"message": f"approve: create_bucket {bucket}"}, ends, job, bucket)

    async def _answer(self, work: Work, calls: list[str]) -> None:
        """Hand in what the tool gave, three times over."""
        body = {"outputs": dict.fromkeys(calls, "found")}
        for _ in range(3):
            answer = await self.client.send("POST", f"{V1}/runs/{work.reading.run}/continue", body)
            if answer.status_code not in (200, 201, 202):
                self._wrong.append(f"an output was refused: {answer.status_code} {answer.text[:120]}")

    async def compare(self, report: Report, lines: list[str]) -> None:
        """Hold what was seen, and what ran, against the journal and the trace."""
        report.wrong += self._wrong
        for work in self._works:
            run = (await self.client.send("GET", f"{V1}/runs/{work.reading.run}")).json()
            report.runs += 1
            report.jobs += work.job
            if run["status"] != "completed" or self._result(work) not in work.result:
                report.wrong.append(f"{work.flow} {work.body['message']!r} ended as {run['status']} {run.get('error')}")
            journal = await self.client.journal(work.reading.run) if work.reading.over else work.reading.seen
            report.differences.add(work.reading.seen, journal)
            _compare_steps(work, lines, report)
            if work.bucket is not None:
                report.twice += self._server.tool_runs(work.bucket) > 1
            if (resumed := _count(work, "run.resumed")) != work.pauses:
                report.wrong.append(f"{work.flow} was paused {work.pauses} times and resumed {resumed} times")
            await self._compare_trace(work, report)

    def _result(self, work: Work) -> str:
        events = work.reading.events()
        return str(events[-1]["payload"].get("result")) if events else ""

    async def _compare_trace(self, work: Work, report: Report) -> None:
        """Each step that was begun anew has an attempt in the trace that was interrupted."""
        begun_anew = Counter(e["step"] for e in work.reading.events() if e["type"] == "step.restarted")
        if not begun_anew:
            return
        trace = (await self.client.send("GET", f"{V1}/runs/{work.reading.run}/trace")).json()
        attempts = {step["key"]: step["attempts"] for step in trace["steps"]}
        for key, count in begun_anew.items():
            report.begun_anew += 1
            told = attempts.get(key, [])
            broken = [one for one in told[:-1] if one["code"] == "interrupted" and one["status"] == "failed"]
            report.untold += not (len(told) == count + 1 and len(broken) == count and told[-1]["status"] == "completed")


def _compare_steps(work: Work, lines: list[str], report: Report) -> None:
    """What the file says of this run's steps: none began behind its end, none more often than its attempts."""
    attempts = Counter(e["step"] for e in work.reading.events() if e["type"] == "step.restarted")
    begins: Counter[str] = Counter()
    numbers: Counter[tuple[str, str]] = Counter()
    at = 0
    for line in lines:
        at += len(line.encode())
        run, _, rest = line.rstrip("\n").partition(" ")
        if run != work.reading.run or not rest.endswith(" begin"):
            continue
        step, attempt, _ = rest.split(" ")
        begins[step] += 1
        numbers[step, attempt] += 1
        if work.done_at.get(step, at) < at:
            report.again += 1
    report.steps += len(begins)
    for step, count in begins.items():
        if count > 1 + attempts[step]:
            report.again += 1
    if any(count > 1 for (step, _), count in numbers.items() if step.startswith("s")):
        report.wrong.append(f"one attempt of a step of {work.flow} ran twice")
    for key, count in Counter(e["step"] for e in work.reading.events() if e["type"] == "step.completed").items():
        if count > 1:
            report.wrong.append(f"{key} of {work.flow} is completed {count} times")


def _count(work: Work, kind: str) -> int:
    return sum(event["type"] == kind for event in work.reading.events())


def _numbers(n: int) -> str:
    return " ".join(map(str, range(1, n + 1)))
