"""50 deciders race, 10 forge, the server dies once: each tool ran once.

Three calls wait for a human. When the server is killed, the tool of the first has run, that of
the second is under way, and the third still waits. Deciders do not know of each other and ask
again when the server is away; forgers come in between with what must never count.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx2

from prove.reading import PATIENCE, V1, Client, Reading
from prove.server import Server
from prove.verdict import Ground, Verdict

DECIDERS = 50
FORGERS = 10
GUARD = "decided-once"
BUCKETS = ("ms0-first", "ms400-second", "ms100-third")


@dataclass(frozen=True, slots=True)
class Question:
    """A call that waits: its bucket, its run, the call's id and its approval's."""

    bucket: str
    reading: Reading
    call: str
    approval: str
    thread: str


async def prove(ground: Ground) -> Verdict:
    made = random.Random(ground.seed)
    server = Server(ground.folder, guard=ground.guard)
    try:
        await server.start()
        async with _users(server.url) as (owner, stranger):
            return await _race(ground, server, owner, stranger, made)
    finally:
        server.close()


@asynccontextmanager
async def _users(url: str) -> AsyncIterator[tuple[Client, Client]]:
    """The owner, and another user of the same tenant."""
    users = Client(url, "acme.owner"), Client(url, "acme.stranger")
    try:
        yield users
    finally:
        for user in users:
            await user.aclose()


async def _race(ground: Ground, server: Server, owner: Client, stranger: Client, made: random.Random) -> Verdict:
    questions = [await _ask(owner, bucket) for bucket in BUCKETS]
    forged = _forgeries(owner, stranger, questions)
    before = await asyncio.gather(*(forge() for forge in forged))
    # the first is decided and done, the second decided and under way, the third is left alone
    racers = [asyncio.create_task(_decide(owner, questions[n % 2])) for n in range(DECIDERS // 2)]
    await _until(lambda: server.tool_runs(BUCKETS[0]) > 0 and server.tool_runs(BUCKETS[1]) > 0)
    await asyncio.sleep(made.uniform(0.0, 0.2))
    server.kill()
    racers += [asyncio.create_task(_decide(owner, questions[n % 3])) for n in range(DECIDERS - len(racers))]
    await server.start()
    between = await asyncio.gather(*(forge() for forge in forged[:-1]))  # that input would not even be looked at
    answers = await asyncio.gather(*racers)
    after = await asyncio.gather(*(forge() for forge in [*forged[:-1], *_opposites(owner, questions)]))
    refused = [answer.status_code for answer in (*before, *between, *after)]
    for question in questions:
        async for _ in owner.follow(question.reading):
            pass
    runs = {bucket: server.tool_runs(bucket) for bucket in BUCKETS}
    outcomes = Counter(f"{answer.status_code} {answer.json().get('outcome', '')}".strip() for answer in answers)
    ground.say(f"{DECIDERS} deciders over three calls; one kill -9 in the middle; then the rest")
    ground.say(f"their answers: {', '.join(f'{count} x {what}' for what, count in sorted(outcomes.items()))}")
    ground.say(f"{len(forged)} forgers, before, between and after: {dict(sorted(Counter(refused).items()))}")
    ground.say(f"runs of the tools, counted in a file: {', '.join(f'{name} {n}' for name, n in runs.items())}")
    verdict = Verdict()
    verdict.expect(set(runs.values()) == {1}, f"the tools ran {sorted(runs.values())} times")
    verdict.expect(set(refused) <= {400, 403, 404, 409}, f"forged decisions were answered with {sorted(set(refused))}")
    verdict.expect({answer.status_code for answer in answers} == {200}, f"deciders were answered with {dict(outcomes)}")
    for question in questions:
        count = Counter(event["type"] for event in question.reading.events())["tool.approval_decided"]
        verdict.expect(count == 1, f"{question.bucket} has {count} decisions in its journal")
    return verdict


async def _ask(owner: Client, bucket: str) -> Question:
    """A run that waits for approval of this bucket."""
    reading = await owner.ask(f"approve: create_bucket {bucket}", message=f"m-{bucket}")
    async for event in owner.follow(reading):
        if event["type"] == "run.paused":
            break
    asked = next(event for event in reading.events() if event["type"] == "tool.approval_requested")
    thread = (await owner.send("GET", f"{V1}/runs/{reading.run}")).json()["thread"]
    return Question(bucket, reading, asked["payload"]["call"], asked["payload"]["approval"], thread)


async def _decide(owner: Client, question: Question) -> httpx2.Response:
    decision = {"call": question.call, "approved": True}
    return await owner.send("POST", f"{V1}/runs/{question.reading.run}/approvals", {"decisions": [decision]})


Forgery = Callable[[], Awaitable[httpx2.Response]]


def _forgeries(owner: Client, stranger: Client, questions: list[Question]) -> list[Forgery]:
    """Ten ways to decide what one must not: as a stranger, for another thread, with made-up ids or input that does not fit."""
    first, second, third = questions
    yes = {"approved": True}
    made_up = "00000000-0000-7000-8000-000000000000"
    side = {"approved": True, "toolUseId": first.call}

    def own_face(who: Client, run: str, **decision: object) -> Forgery:
        return lambda: who.send("POST", f"{V1}/runs/{run}/approvals", {"decisions": [decision]})

    return [
        own_face(stranger, first.reading.run, call=first.call, **yes),
        own_face(stranger, second.reading.run, approval=second.approval, **yes),
        lambda: stranger.send("POST", f"/api/chat/{third.thread}/approval", {**side, "toolUseId": third.call}),
        own_face(owner, second.reading.run, call=first.call, **yes),
        lambda: owner.send("POST", f"/api/chat/{third.thread}/approval", side),
        own_face(owner, third.reading.run, approval=first.approval, **yes),
        own_face(owner, third.reading.run, call=made_up, **yes),
        own_face(owner, third.reading.run, approval=made_up, **yes),
        own_face(owner, made_up, call=third.call, **yes),
        own_face(owner, third.reading.run, call=third.call, input={"nome": 7}, **yes),
    ]


def _opposites(owner: Client, questions: list[Question]) -> list[Forgery]:
    """A no to each call that was approved."""

    def no(question: Question) -> Forgery:
        body = {"decisions": [{"call": question.call, "approved": False}]}
        return lambda: owner.send("POST", f"{V1}/runs/{question.reading.run}/approvals", body)

    return [no(question) for question in questions]


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110 - another process makes it so
            await asyncio.sleep(0.005)
