"""Repeats: one key, one model run, one answer, also after a restart (stackspot.md 3.2.12)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.server.stackspot.spot_app import Gate, Reply, events, spot_app, text_of

from dragoman.core.errors import DragomanError
from dragoman.core.messages import ModelRequest
from dragoman.engine.agents import Agent
from dragoman.engine.app import App

ONE = {"idempotency_key": "one"}
CONVERSATION = "01JZ8Q4N5V7X3W1T9R2P6M0KHC"


def counting(answers: list[Any]) -> App:
    """An agent that gives these answers, one each run; an exception is raised."""
    left = iter(answers)

    async def model(request: ModelRequest) -> AsyncIterator[Any]:
        answer = next(left)
        if isinstance(answer, Exception):
            raise answer
        yield answer

    return App("counting", agents=[Agent("demo", model=model), Agent("other", model=model)])


def known(reply: Reply) -> tuple[Any, ...]:
    return reply.json["message"], reply.json["message_id"], reply.json["conversation_id"]


async def test_a_repeat_gets_the_stored_answer() -> None:
    async with spot_app(counting(["first", "second"])) as spot:
        caller = await spot.caller()
        told = [known(await caller.chat("x", headers=ONE, use_conversation=True)) for _ in range(2)]
        assert told[0] == told[1]
        assert told[0][0] == "first"
        assert known(await caller.chat("x", headers={"idempotency_key": "two"}))[0] == "second"


async def test_without_a_key_each_call_is_its_own() -> None:
    async with spot_app(counting(["first", "second"])) as spot:
        caller = await spot.caller()
        assert [known(await caller.chat("x"))[0] for _ in range(2)] == ["first", "second"]


async def test_a_repeat_may_be_told_in_another_way() -> None:
    async with spot_app(counting(["first", "second"])) as spot:
        caller = await spot.caller()
        plain = await caller.chat("x", headers=ONE, use_conversation=True)
        stream = await caller.stream("x", headers=ONE)
        assert text_of(stream) == "first"
        last = json.loads(events(stream)[-2].data)
        assert last["conversation_id"] == plain.json["conversation_id"]
        assert last["tokens"] == plain.json["tokens"]


async def test_a_repeat_that_has_learnt_its_conversation_is_still_the_same_call() -> None:
    async with spot_app(counting(["first", "second"])) as spot:
        caller = await spot.caller()
        first = known(await caller.chat("x", headers=ONE, use_conversation=True))
        again = await caller.chat("x", headers=ONE, use_conversation=True, conversation_id=CONVERSATION)
        assert known(again) == first


async def test_the_same_key_for_something_else_is_a_conflict() -> None:
    async with spot_app(counting(["first", "second"])) as spot:
        caller = await spot.caller()
        await caller.chat("x", headers=ONE)
        refused = await caller.chat("y", headers=ONE)
        assert (refused.status, refused.json["code"]) == (409, "IDEMPOTENCY_CONFLICT")
        assert known(await caller.chat("x", agent="other", headers=ONE))[0] == "second", "agents are asked apart"


async def test_keys_belong_to_their_caller() -> None:
    async with spot_app(counting(["first", "second"])) as spot:
        one, two = await spot.caller("demo-alice"), await spot.caller("demo-bob")
        assert known(await one.chat("x", headers=ONE))[0] == "first"
        assert known(await two.chat("x", headers=ONE))[0] == "second"


async def test_a_repeat_waits_for_the_answer_that_is_under_way() -> None:
    gate = Gate()
    async with spot_app(gate=gate) as spot:
        caller = await spot.caller()
        replies = [caller.begin("slow: 2 1000", headers=ONE, streaming=n % 2 == 1) for n in range(4)]
        await spot.run("demo", "running")
        gate.let(2)
        for reply in replies:
            await reply.end()
        assert [reply.json["message"] for reply in replies[::2]] == ["1 2"] * 2
        assert [text_of(reply) for reply in replies[1::2]] == ["1 2"] * 2
        assert len({reply.headers["x-dragoman-run"] for reply in replies}) == 1


@pytest.mark.parametrize("streaming", [False, True])
async def test_with_a_key_the_run_goes_on_without_its_client(streaming: bool) -> None:
    gate = Gate()
    async with spot_app(gate=gate) as spot:
        caller = await spot.caller()
        body = {"use_conversation": True, "conversation_id": CONVERSATION}
        reply = caller.begin("slow: 2 1000", headers=ONE, streaming=streaming, **body)
        await spot.run("demo", "running")
        await reply.leave()
        assert (await spot.run()).status == "running"
        gate.let(2)
        await spot.run("demo", "completed")
        again = await caller.chat("slow: 2 1000", headers=ONE, **body)
        assert known(again)[::2] == ("1 2", CONVERSATION)
        assert (await caller.chat("recall", **body)).json["message"] == "slow: 2 1000"


async def test_the_answer_is_known_after_a_restart(tmp_path: Path) -> None:
    async with spot_app(data=tmp_path) as spot:
        caller = await spot.caller()
        first = known(await caller.chat("count: 3", headers=ONE, use_conversation=True))
    async with spot_app(data=tmp_path) as spot:
        caller = await spot.caller()
        assert known(await caller.chat("count: 3", headers=ONE, use_conversation=True)) == first
        assert text_of(await caller.stream("count: 3", headers=ONE)) == "1 2 3"
        assert len(await spot.runs((await spot.run()).owner)) == 1


async def test_an_answer_that_a_restart_has_interrupted_is_made_all_the_same(tmp_path: Path) -> None:
    gate = Gate()
    async with spot_app(data=tmp_path, gate=gate) as spot:
        caller = await spot.caller()
        reply = caller.begin("slow: 3 1000", headers=ONE, streaming=True)
        gate.let()
        await reply.until(lambda: text_of(reply) == "1")
        unkeyed = (await spot.caller("demo-bob")).begin("slow: 3 1000", use_conversation=True)
        await spot.run("demo-bob", "running")
        stop = asyncio.ensure_future(spot.application.stop())
        await asyncio.gather(stop, reply.end(), unkeyed.end())
        assert events(reply)[-1].event == "error"
        assert unkeyed.status == 503
    async with spot_app(data=tmp_path, gate=gate) as spot:
        caller = await spot.caller()
        assert (await spot.run("demo-bob", "cancelled")).status == "cancelled", "nobody can fetch that one"
        again = caller.begin("slow: 3 1000", headers=ONE, streaming=True)
        gate.let(3)
        await again.end()
        assert text_of(again) == "1 2 3"
        assert len(await spot.runs((await spot.run()).owner)) == 1


async def test_after_a_failure_the_same_key_is_another_try() -> None:
    async with spot_app(counting([DragomanError("a bad moment"), RuntimeError("another"), "third", "fourth"])) as spot:
        caller = await spot.caller()
        statuses = [(await caller.chat("x", headers=ONE)).status for _ in range(2)]
        assert statuses == [502, 502]
        assert [known(await caller.chat("x", headers=ONE))[0] for _ in range(2)] == ["third", "third"]


async def test_a_key_is_forgotten_after_its_time() -> None:
    now = [1_700_000_000.0]
    async with spot_app(counting(["first", "second"]), clock=lambda: now[0]) as spot:
        caller = await spot.caller()
        assert known(await caller.chat("x", headers=ONE))[0] == "first"
        now[0] += 599
        assert known(await caller.chat("x", headers=ONE))[0] == "first"
        now[0] += 2
        assert known(await caller.chat("x", headers=ONE))[0] == "second"


@pytest.mark.parametrize("key", ["a b", "x" * 256, "ü"])
async def test_a_key_that_cannot_be_one_is_refused(key: str) -> None:
    async with spot_app() as spot:
        refused = await (await spot.caller()).chat("echo: x", headers={"idempotency_key": key})
        assert (refused.status, refused.json["code"]) == (400, "VALIDATION_ERROR")
