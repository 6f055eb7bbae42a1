"""Users of ChatKit's wire over a server that is killed again and again: the ground of the crash suite and the soak.

Each user asks one thing after the other, clicks what is asked back, and when a stream is cut looks at what is stored,
as a page does that is loaded anew: this wire cannot take a stream up again. At the end each thread is read once more
and compared with what its user was told, and the tools with a file outside the server.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any

from prove.chatkit_wire import Away, ChatKit, Document, Refused, actions_of, filled, said, text_of
from prove.killing import kill_under
from prove.reading import V1, Client
from prove.registrar import SUBMIT
from prove.server import Server
from prove.verdict import Verdict

BEFORE_FIRST, STREAMING, IN_TOOL = "before the first token", "streaming", "in a tool"
APPROVAL, FORM, ACTING = "waiting for approval", "waiting for a form", "taking an action"
PHASES = (BEFORE_FIRST, STREAMING, IN_TOOL, APPROVAL, FORM, ACTING)
_BETWEEN = "between two steps"
APPROVE = "approval.approve"
LAST_SECONDS = 15.0
"""How long an answer may take after the last kill; less than `kill_under` waits."""

_LASTING = ("user_message", "assistant_message", "workflow")
"""Items that are final once they are done."""


@dataclass(slots=True)
class Asked:
    """One question, what must become of it, and what its user was told.

    `done`: id → item that was told to be there; `order`: their ids as they came. `tool` is what the tool leaves in the
    file outside. `clicks`: how often an action was sent.
    """

    text: str
    answer: str
    model: str | None = None
    tool: str | None = None
    phase: str = BEFORE_FIRST
    thread: str | None = None
    done: dict[str, Document] = field(default_factory=dict)
    clicks: int = 0
    fault: str = ""

    @property
    def is_slow(self) -> bool:
        """Whether the answer streams for long enough that a kill can meet it."""
        return self.text.startswith("slow: ")

    def is_answer(self, text: str) -> bool:
        return text == self.answer or (self.tool is not None and text.endswith("failed: interrupted"))


@dataclass(slots=True)
class Report:
    """What happened and what was found."""

    seed: int
    kills: Counter[str] = field(default_factory=Counter)
    questions: int = 0
    items: int = 0
    clicks: int = 0
    cut: int = 0
    tools: int = 0
    interrupted: int = 0
    twice: int = 0
    lost: int = 0
    changed: int = 0
    doubled: int = 0
    wrong: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """The figures, for people."""
        kills = ", ".join(f"{phase} {self.kills[phase]}" for phase in (*PHASES, _BETWEEN))
        return [
            f"seed {self.seed}: {self.questions} questions over ChatKit's wire, {self.items} items, {self.clicks} actions",
            f"streams cut by a kill: {self.cut}; questions by the phase that a kill met: {kills}",
            f"items lost {self.lost}, changed {self.changed}, doubled {self.doubled}; tools that must not run twice: "
            f"{self.tools} runs, {self.interrupted} interrupted, {self.twice} twice",
        ]

    def verdict(self) -> Verdict:
        """`holds` if nothing was lost and every phase was met."""
        verdict = Verdict()
        found = f"items lost {self.lost}, changed {self.changed}, doubled {self.doubled}"
        verdict.expect(not (self.lost or self.changed or self.doubled), found)
        verdict.expect(not self.twice, f"{self.twice} tools ran twice")
        verdict.expect(not self.wrong, f"{len(self.wrong)} other faults, the first: {''.join(self.wrong[:1])}")
        empty = [phase for phase in PHASES if not self.kills[phase]]
        verdict.expect(not empty, f"no kill met the phase {', '.join(empty)}")
        return verdict


async def play(server: Server, *, kills: int, users: int, seed: int) -> Report:
    """Start the server, kill it `kills` times under `users` users, let all come to an end, compare."""
    made = random.Random(seed)
    report = Report(seed)
    done = asyncio.Event()
    all_users = [User(server, number, random.Random(made.random()), done) for number in range(users)]

    def met() -> Counter[str]:
        report.kills.update(user.phase for user in all_users if user.phase is not None)
        report.cut += sum(user.is_reading for user in all_users)
        return report.kills

    report.wrong += await kill_under(server, all_users, done, kills=kills, phases=PHASES, met=met, made=made)
    for user in all_users:
        await user.compare(report)
        await user.aclose()
    return report


class User:
    """Asks, clicks, and keeps what it was told."""

    def __init__(self, server: Server, number: int, made: random.Random, done: asyncio.Event) -> None:
        token = f"crash.chatkit{number}"
        self.is_reading = False
        self._wire, self._own = ChatKit(server.url, token), Client(server.url, token)
        self._server = server
        self._number = number
        self._made = made
        self._done = done
        self._asked: list[Asked] = []
        self._current: Asked | None = None
        self._thread: str | None = None

    @property
    def phase(self) -> str | None:
        return self._current.phase if self._current is not None else None

    async def aclose(self) -> None:
        await self._wire.aclose()
        await self._own.aclose()

    async def work(self) -> None:
        """One question after the other, until no more kills come; the last one to its answer."""
        while not self._done.is_set():
            if self._made.random() < 0.25:
                self._thread = None
            self._current = asked = self._question()
            self._asked.append(asked)
            await self._ask(asked)
            await self._settle(asked)
            self._current = None

    def _question(self) -> Asked:
        """Something that this user has not asked yet, so that it can be found again."""
        made, number = self._made, len(self._asked)
        name = f"{self._number}-{number}"
        match made.choice(("slow", "late", "count", "add", "bucket", "bucket", "name", "name")):
            case "slow":
                return Asked(f"slow: {(n := 5 + number % 16)} {made.randint(5, 40)}.{number:03}1", _numbers(n))
            case "late":
                return Asked(f"slow: 2 {made.randint(100, 250)}.{number:03}1", _numbers(2))
            case "count":
                return Asked(f"count: {100 + number}", _numbers(100 + number))
            case "add":
                return Asked(f"tool: add {self._number} {number}", str(self._number + number))
            case "bucket":
                bucket = f"ms{made.choice((0, 50, 250))}-{name}"
                return Asked(f"approve: create_bucket {bucket}", f"created {bucket}", tool=bucket)
            case _:
                person = f"ms{made.choice((0, 50, 250))}-{name}"
                return Asked(f"Sign me up as {person}", f"signed up {person}", "registrar", f"signed {person}")

    # ------------------------------------------------------------------ asking

    async def _ask(self, asked: Asked) -> None:
        """Send the question until it is stored."""
        while True:
            asked.phase, asked.thread = BEFORE_FIRST, self._thread
            params: Document = {"input": said(asked.text, asked.model)}
            op = "threads.create"
            if self._thread is not None:
                op, params["thread_id"] = "threads.add_user_message", self._thread
            try:
                async for event in self._stream(op, params):
                    self._see(asked, event)
                return
            except Refused as refused:
                if refused.status != 409:
                    raise AssertionError(f"{asked.text!r} was refused: {refused}") from refused
                await asyncio.sleep(0.02)
            except Away:
                asked.phase = _BETWEEN
                if await self._is_stored(asked):
                    return

    async def _stream(self, op: str, params: Document) -> AsyncIterator[Document]:
        try:
            async for event in self._wire.stream(op, params):
                self.is_reading = True
                yield event
        finally:
            self.is_reading = False

    async def _is_stored(self, asked: Asked) -> bool:
        """Whether the question is there; finds its thread, too."""
        candidates = [asked.thread] if asked.thread else [row["id"] for row in (await self._wire.threads())[::-1]]
        for thread in candidates:
            found = await self._wire.items(thread)
            if any(item["type"] == "user_message" and text_of(item) == asked.text for item in found):
                self._thread = asked.thread = thread
                return True
        return False

    def _see(self, asked: Asked, event: Document) -> None:
        """Keep what the user was told, and where the answer is."""
        match event["type"]:
            case "thread.created":
                self._thread = asked.thread = event["thread"]["id"]
            case "thread.item.removed":
                asked.done.pop(event["item_id"], None)
            case "thread.item.done" | "thread.item.replaced":
                asked.done[event["item"]["id"]] = event["item"]
        match event["type"], event.get("item", {}).get("type"):
            case "thread.item.updated", _:
                asked.phase = STREAMING if asked.is_slow else asked.phase
            case "thread.item.added" | "progress_update", "workflow" | None:
                asked.phase = IN_TOOL
            case "thread.item.done", "assistant_message" | "workflow":
                asked.phase = _BETWEEN
            case "thread.item.done", "widget":
                asked.phase = _waits_for(event["item"]) or asked.phase
            case "error", _:
                asked.fault = f"the stream of {asked.text!r} had an error: {event.get('message')}"

    # ------------------------------------------------------------------ answering what is asked back

    async def _settle(self, asked: Asked) -> None:
        """Look at what is stored, and click what is asked, until the answer is there.

        While the server is killed again and again an answer may begin anew each time; so only what follows the last
        kill is too long.
        """
        deadline = math.inf
        while True:
            if self._done.is_set():
                deadline = min(deadline, time.monotonic() + LAST_SECONDS)
            stored = self._of(asked, await self._wire.items(asked.thread or ""))
            card = next((item for item in stored if _waits_for(item)), None)
            if card is not None:
                await self._click(asked, card)
            elif stored and stored[-1]["type"] == "assistant_message" and asked.is_answer(text_of(stored[-1])):
                return
            elif time.monotonic() > deadline:
                asked.fault = f"{asked.text!r} ended with {[_short(item) for item in stored]}, {await self._statuses()}"
                return
            else:
                asked.phase = _BETWEEN
                await asyncio.sleep(0.02)

    def _of(self, asked: Asked, stored: list[Document]) -> list[Document]:
        """What follows the question, up to the next one."""
        texts = [text_of(item) if item["type"] == "user_message" else None for item in stored]
        if asked.text not in texts:
            return []
        begin = texts.index(asked.text) + 1
        end = next((n for n in range(begin, len(texts)) if texts[n] is not None), len(stored))
        return stored[begin:end]

    async def _click(self, asked: Asked, card: Document) -> None:
        """Say yes, or send the form; some users click twice."""
        asked.phase = _waits_for(card) or asked.phase
        await asyncio.sleep(self._made.uniform(0.0, 0.2))
        actions = actions_of(card)
        name = (asked.tool or "").removeprefix("signed ")
        action = filled(actions[SUBMIT], name=name) if SUBMIT in actions else filled(actions[APPROVE])
        params = {"thread_id": asked.thread, "item_id": card["id"], "action": action}
        asked.phase = ACTING
        clicks = 2 if self._made.random() < 0.3 else 1
        await asyncio.gather(*(self._act(asked, params) for _ in range(clicks)))

    async def _act(self, asked: Asked, params: Document) -> None:
        asked.clicks += 1
        try:
            async for event in self._stream("threads.custom_action", params):
                self._see(asked, event)
        except Refused as refused:
            if refused.status != 409:
                raise AssertionError(f"the action on {asked.text!r} was refused: {refused}") from refused
            await asyncio.sleep(0.02)
        except Away:
            pass

    # ------------------------------------------------------------------ comparing

    async def compare(self, report: Report) -> None:
        """Hold what was told against what is stored, and against the file outside."""
        threads = {thread["id"]: await self._wire.items(thread["id"]) for thread in await self._wire.threads()}
        asked_in = {asked.thread for asked in self._asked}
        if stray := threads.keys() - asked_in:
            report.wrong.append(f"{len(stray)} threads that nobody began")
        for stored in threads.values():
            report.items += len(stored)
            report.doubled += len(stored) - len({item["id"] for item in stored})
        for asked in self._asked:
            report.questions += 1
            report.clicks += asked.clicks
            self._compare(asked, threads.get(asked.thread or "", []), report)
        await self._compare_decisions(report)

    def _compare(self, asked: Asked, stored: list[Document], report: Report) -> None:
        if asked.fault:
            report.wrong.append(asked.fault)
        times = sum(item["type"] == "user_message" and text_of(item) == asked.text for item in stored)
        report.lost += times == 0
        report.doubled += max(0, times - 1)
        there = {item["id"]: item for item in stored}
        report.lost += len(asked.done.keys() - there.keys())
        lasting = [item for item in asked.done.values() if item["type"] in _LASTING and item["id"] in there]
        report.changed += sum(there[item["id"]] != item for item in lasting)
        if not _in_order([item["id"] for item in lasting], list(there)):
            report.wrong.append(f"the items of {asked.text!r} are not in the order in which they came")
        answers = [item for item in self._of(asked, stored) if item["type"] == "assistant_message"]
        if len(answers) > 1:
            report.doubled += 1
        if asked.tool is not None:
            ran = self._server.tool_runs(asked.tool)
            report.tools += ran
            report.twice += ran > 1
            report.interrupted += any(text_of(item).endswith("failed: interrupted") for item in answers)
            if any(text_of(item) == asked.answer for item in answers) and not ran:
                report.wrong.append(f"{asked.text!r} is said to be done, and its tool never ran")

    async def _statuses(self) -> str:
        """How the user's latest runs stand, for people."""
        listed = (await self._own.send("GET", f"{V1}/runs?limit=3")).json()["runs"]
        return f"latest runs {[run['status'] for run in listed]}"

    async def _compare_decisions(self, report: Report) -> None:
        """One decision for each approval and one output for each form, as the journal has them."""
        listed = (await self._own.send("GET", f"{V1}/runs?limit=1000")).json()["runs"]
        for run in listed:
            events = [json.loads(data) for _, data in await self._own.stored(run["id"])]
            kinds = Counter((event["type"], event["payload"].get("call")) for event in events)
            for (kind, _), times in kinds.items():
                if times > 1 and kind in ("tool.approval_decided", "tool.output"):
                    report.wrong.append(f"a run has {times} times {kind} for one call")


def _waits_for(item: Document) -> str | None:
    """The phase of a question whose card this is; None if nothing can be clicked on it."""
    actions = actions_of(item)
    return APPROVAL if APPROVE in actions else FORM if SUBMIT in actions else None


def _short(item: Document) -> Any:
    return (item["type"], text_of(item)[:60])


def _in_order(some: Iterable[str], all_of_them: list[str]) -> bool:
    places = [all_of_them.index(id) for id in some]
    return places == sorted(places)


def _numbers(n: int) -> str:
    return " ".join(map(str, range(1, n + 1)))
