"""Users of the StackSpot wire over a server that is killed again and again: the ground of the crash suite and the soak.

Each user asks one thing after the other, plain or as a stream or as a quick command, mostly under an idempotency key,
and asks again until it has the answer. At the end every conversation and the number of runs are compared with what
the user was told, and the tools with a file outside the server.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from prove.chatkit_wire import Away, Document, Refused
from prove.killing import kill_under
from prove.reading import V1, Client
from prove.server import Server
from prove.stackspot_wire import StackSpot, new_conversation
from prove.verdict import Verdict

WAITING, BEFORE_FIRST, STREAMING = "waiting for an answer", "before the first frame", "streaming"
IN_TOOL, IN_COMMAND = "in a tool", "in a command"
PHASES = (WAITING, BEFORE_FIRST, STREAMING, IN_TOOL, IN_COMMAND)
_BETWEEN = "between two calls"
_ENDS = ("COMPLETED", "FAILURE")
_OVER = ("completed", "failed", "cancelled")


@dataclass(slots=True)
class Asked:
    """One question and what came of it.

    `shape` is `plain`, `stream` or `command`; without a `key` each of its `tries` is a question of its own. `tool` is
    what its tool leaves in the file outside; `told` is the last document of the answer.
    """

    text: str
    answer: str
    agent: str = "helper"
    shape: str = "plain"
    key: str | None = None
    tool: str | None = None
    conversation: tuple[str, str] | None = None
    phase: str = _BETWEEN
    tries: int = 0
    said: str | None = None
    told: Document = field(default_factory=dict)

    def is_answer(self, text: str | None) -> bool:
        """Whether this may be said: a tool that a kill has met is not run again."""
        broken = self.answer.replace(f"created {self.tool}", "create_bucket failed: interrupted")
        return text == self.answer or (self.tool is not None and text == broken)


@dataclass(slots=True)
class Report:
    """What happened and what was found."""

    seed: int
    kills: Counter[str] = field(default_factory=Counter)
    questions: int = 0
    repeats: int = 0
    runs: int = 0
    tools: int = 0
    interrupted: int = 0
    lost: int = 0
    doubled: int = 0
    twice: int = 0
    wrong: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """The figures, for people."""
        kills = ", ".join(f"{phase} {self.kills[phase]}" for phase in (*PHASES, _BETWEEN))
        return [
            f"seed {self.seed}: {self.questions} questions over StackSpot's wire, {self.repeats} asked again, {self.runs} runs",
            f"questions by the phase that a kill met: {kills}",
            f"answers lost {self.lost}, doubled {self.doubled}; tools that must not run twice: {self.tools} runs, "
            f"{self.interrupted} interrupted, {self.twice} twice",
        ]

    def verdict(self) -> Verdict:
        """`holds` if nothing was lost and every phase was met."""
        verdict = Verdict()
        verdict.expect(not (self.lost or self.doubled), f"answers lost {self.lost}, doubled {self.doubled}")
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
        return report.kills

    report.wrong += await kill_under(server, all_users, done, kills=kills, phases=PHASES, met=met, made=made)
    for user in all_users:
        await user.compare(report)
        await user.aclose()
    return report


class User:
    """Asks, asks again, and keeps what it was told."""

    def __init__(self, server: Server, number: int, made: random.Random, done: asyncio.Event) -> None:
        token = f"crash.stackspot{number}"
        self._wire, self._own = StackSpot(server.url, token), Client(server.url, token)
        self._server = server
        self._number = number
        self._made = made
        self._done = done
        self._asked: list[Asked] = []
        self._current: Asked | None = None
        self._conversation = new_conversation()
        self._faults: list[str] = []

    @property
    def phase(self) -> str | None:
        """Where the current question is, as far as anybody outside the server can know."""
        asked = self._current
        if asked is None:
            return None
        if asked.tool is not None and asked.phase != _BETWEEN and self._server.tool_runs(asked.tool):
            return IN_TOOL
        return asked.phase

    async def aclose(self) -> None:
        await self._wire.aclose()
        await self._own.aclose()

    async def work(self) -> None:
        """One question after the other, until no more kills come; the last one to its answer."""
        while not self._done.is_set():
            if self._made.random() < 0.25:
                self._conversation = new_conversation()
            self._current = asked = self._question()
            self._asked.append(asked)
            await (self._command(asked) if asked.shape == "command" else self._chat(asked))
            self._current = None

    def _question(self) -> Asked:
        """Something that this user has not asked yet, so that it can be found again."""
        made, number = self._made, len(self._asked)
        asked = self._matter(number)
        asked.shape = made.choice(("plain", "stream", "stream", "command"))
        if asked.shape == "command" and asked.agent == "clerk":
            asked.answer += " 2"  # the flow of that name has one more step
        if asked.shape == "command" or asked.tool is not None or made.random() < 0.75:
            asked.key = f"key-{self._number}-{number}"
        if asked.shape != "command":
            asked.conversation = self._conversation
        return asked

    def _matter(self, number: int) -> Asked:
        made = self._made
        match made.choice(("slow", "slow", "late", "count", "add", "bucket", "bucket")):
            case "slow":
                return Asked(f"slow: {(n := 5 + number % 16)} {made.randint(5, 40)}.{number:03}1", _numbers(n))
            case "late":
                return Asked(f"slow: 2 {made.randint(100, 250)}.{number:03}1", _numbers(2))
            case "count":
                return Asked(f"count: {100 + number}", _numbers(100 + number))
            case "add":
                return Asked(f"tool: add {self._number} {number}", str(self._number + number))
            case _:
                bucket = f"ms{made.choice((0, 50, 250))}-stackspot{self._number}-{number}"
                return Asked(f"approve: create_bucket {bucket}", f"created {bucket}", "clerk", tool=bucket)

    # ------------------------------------------------------------------ asking

    async def _chat(self, asked: Asked) -> None:
        """Ask until the answer is whole; now and then once more."""
        while True:
            try:
                await self._try(asked)
                break
            except Away:
                asked.phase = _BETWEEN
                await asyncio.sleep(0.02)
            except Refused as refused:
                raise AssertionError(f"{asked.text!r} was refused: {refused}") from refused
        if asked.key is not None and self._made.random() < 0.3:
            await self._compare_repeat(asked)

    async def _try(self, asked: Asked) -> None:
        assert asked.conversation is not None, "chats have one"
        about: Document = {"use_conversation": True, "conversation_id": asked.conversation[0]}
        asked.tries += 1
        if asked.shape == "plain":
            asked.phase = WAITING
            told = await self._wire.chat(asked.agent, asked.text, key=asked.key, **about)
            asked.said, asked.told = told["message"], told
        else:
            asked.phase, pieces, told = BEFORE_FIRST, [], {}
            async for told in self._wire.stream(asked.agent, asked.text, key=asked.key, **about):
                asked.phase = STREAMING
                if told.get("type") == "error":
                    raise Away
                pieces.append(told["message"])
            asked.said, asked.told = "".join(pieces), told
        asked.phase = _BETWEEN

    async def _compare_repeat(self, asked: Asked) -> None:
        """The same key has the same answer, over whatever restarts."""
        first_said, first_told = asked.said, asked.told
        while True:
            try:
                await self._try(asked)
                break
            except Away:
                await asyncio.sleep(0.02)
        same = first_said == asked.said and first_told["message_id"] == asked.told["message_id"]
        if not same:
            self._faults.append(f"{asked.text!r} was answered {first_said!r} and then {asked.said!r}")

    async def _command(self, asked: Asked) -> None:
        """Start it, and look until it has ended."""
        assert asked.key is not None, "commands have one"
        asked.phase, asked.tries = BEFORE_FIRST, 1
        execution = await self._wire.begin(asked.agent, asked.text, key=asked.key)
        asked.phase = IN_COMMAND
        while (told := await self._wire.look(execution))["progress"]["status"] not in _ENDS:  # noqa: ASYNC110 - another process ends it
            await asyncio.sleep(0.02)
        asked.phase = _BETWEEN
        asked.said, asked.told = told["result"], told
        if await self._wire.begin(asked.agent, asked.text, key=asked.key) != execution:
            self._faults.append(f"{asked.text!r} was begun twice under one key")

    # ------------------------------------------------------------------ comparing

    async def compare(self, report: Report) -> None:
        """Hold what was told against what is stored, and against the file outside."""
        report.wrong += self._faults
        turns = {
            place: await self._turns(place) for _, place in {a.conversation for a in self._asked if a.conversation}
        }
        for asked in self._asked:
            report.questions += 1
            report.repeats += asked.tries - 1
            if not asked.is_answer(asked.said):
                report.wrong.append(f"{asked.text!r} was answered {asked.said!r}")
            if asked.conversation is not None:
                _compare_turns(asked, turns[asked.conversation[1]], report)
            if asked.tool is not None:
                ran = self._server.tool_runs(asked.tool)
                report.tools += ran
                report.twice += ran > 1
                report.interrupted += asked.said != asked.answer
                if asked.said == asked.answer and not ran:
                    report.wrong.append(f"{asked.text!r} is said to be done, and its tool never ran")
        await self._compare_runs(report)

    async def _turns(self, thread: str) -> list[tuple[str, str]]:
        """(question, answer) of a conversation, as another wire shows them."""
        answer = await self._own.send("GET", f"{V1}/threads/{thread}/items?limit=1000")
        assert answer.status_code == 200, f"the conversation {thread} is not there: {answer.status_code}"
        said = [(item["role"], _text(item)) for item in answer.json()["items"] if item["kind"] == "message"]
        pairs = list(zip(said[::2], said[1::2], strict=False))
        assert len(said) == 2 * len(pairs), f"the conversation {thread} has half a turn"
        assert all((one[0], two[0]) == ("user", "assistant") for one, two in pairs), f"{thread} is out of order"
        return [(one[1], two[1]) for one, two in pairs]

    async def _compare_runs(self, report: Report) -> None:
        """One run for each key; without a key none goes on that nobody waits for."""
        listed: list[Any] = (await self._own.send("GET", f"{V1}/runs?limit=1000")).json()["runs"]
        tops = [run for run in listed if not run.get("parent")]
        report.runs += len(tops)
        keyed = sum(asked.key is not None for asked in self._asked)
        tries = sum(asked.tries for asked in self._asked if asked.key is None)
        unkeyed = len(self._asked) - keyed
        if not keyed + unkeyed <= len(tops) <= keyed + tries:
            report.wrong.append(f"{len(tops)} runs for {keyed} keys and {tries} tries without one")
        if open_runs := [run["status"] for run in tops if run["status"] not in _OVER]:
            report.wrong.append(f"runs that nobody waits for are {open_runs}")


def _compare_turns(asked: Asked, turns: list[tuple[str, str]], report: Report) -> None:
    found = [answer for question, answer in turns if question == asked.text]
    report.lost += asked.said not in found
    most = asked.tries if asked.key is None else 1
    report.doubled += max(0, len(found) - most)
    if any(not asked.is_answer(answer) for answer in found):
        report.wrong.append(f"{asked.text!r} is stored with {found!r}")


def _text(item: Document) -> str:
    """What a user or an assistant said."""
    body = item["body"]
    return str(body["text"]) if "text" in body else "".join(part.get("text", "") for part in body["parts"])


def _numbers(n: int) -> str:
    return " ".join(map(str, range(1, n + 1)))
