"""Limits of one caller: requests a minute, answers at once, sizes, messages a day (stackspot.md 2.7, 3.2.13)."""

from __future__ import annotations

import pytest
from tests.server.stackspot.spot_app import Gate, spot_app

RATE = "INFERENCE_3008_CHAT_RATE_LIMIT_EXCEEDED"


@pytest.mark.requirement("STK-P08")
async def test_requests_of_a_minute_are_counted_for_each_caller() -> None:
    now = [1_700_000_000.0]
    async with spot_app(clock=lambda: now[0], stackspot__limits__requests_per_minute=2) as spot:
        caller, other = await spot.caller(), await spot.caller("demo-bob")
        assert [(await caller.chat("echo: x")).status for _ in range(2)] == [200, 200]
        now[0] += 20.5
        refused = await caller.chat("echo: x")
        assert (refused.status, refused.json["code"]) == (429, RATE)
        assert refused.headers["retry-after"] == "40"
        assert (await other.chat("echo: x")).status == 200
        now[0] += 39.5
        assert (await caller.chat("echo: x")).status == 200


async def test_streams_are_refused_as_json_too() -> None:
    async with spot_app(clock=lambda: 1_700_000_000.0, stackspot__limits__requests_per_minute=1) as spot:
        caller = await spot.caller()
        await caller.chat("echo: x")
        refused = await caller.stream("echo: x")
        assert refused.status == 429
        assert refused.headers["content-type"] == "application/json"


@pytest.mark.requirement("STK-P08")
async def test_so_many_answers_of_a_caller_may_be_under_way() -> None:
    gate = Gate()
    async with spot_app(gate=gate, stackspot__limits__parallel=2) as spot:
        caller, other = await spot.caller(), await spot.caller("demo-bob")
        plain = caller.begin("slow: 1 1000")
        stream = caller.begin("slow: 1 1000", streaming=True)
        await spot.count("demo", 2)
        refused = await caller.chat("echo: x")
        assert (refused.status, refused.json["code"], refused.headers["retry-after"]) == (429, RATE, "1")
        assert (await other.chat("echo: x")).status == 200
        gate.let(2)
        assert (await plain.end()).status == (await stream.end()).status == 200
        assert (await caller.chat("echo: x")).status == 200


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_place_is_free_again_whatever_became_of_the_answer(streaming: bool) -> None:
    gate = Gate()
    async with spot_app(gate=gate, stackspot__limits__parallel=1) as spot:
        caller = await spot.caller()
        for prompt in ("echo: x", "fail: oops", "echo: x"):
            assert (await caller.chat(prompt, streaming=streaming)).status in (200, 502)
        assert (await caller.chat("echo: x", upload_ids=["01JZ8Q4N5V7X3W1T9R2P6M0KHC"])).status == 404
        reply = caller.begin("slow: 1 1000", streaming=streaming)
        await spot.run("demo", "running")
        await reply.leave()
        assert (await caller.chat("echo: x", streaming=streaming)).status == 200


async def test_a_keyed_answer_keeps_its_place_after_its_client_has_gone() -> None:
    gate = Gate()
    async with spot_app(gate=gate, stackspot__limits__parallel=1) as spot:
        caller = await spot.caller()
        reply = caller.begin("slow: 1 1000", headers={"idempotency_key": "one"})
        await spot.run("demo", "running")
        await reply.leave()
        assert (await caller.chat("echo: x")).status == 429
        gate.let()
        await spot.run("demo", "completed")
        async with spot.soon():
            while (await caller.chat("echo: x")).status == 429:
                pass


async def test_a_repeat_needs_no_place() -> None:
    gate = Gate()
    async with spot_app(gate=gate, stackspot__limits__parallel=1) as spot:
        caller = await spot.caller()
        first = caller.begin("slow: 1 1000", headers={"idempotency_key": "one"})
        await spot.run("demo", "running")
        second = caller.begin("slow: 1 1000", headers={"idempotency_key": "one"})
        gate.let()
        assert (await first.end()).json["message_id"] == (await second.end()).json["message_id"]


@pytest.mark.requirement("STK-P08")
async def test_a_prompt_that_is_too_long_is_the_callers_fault() -> None:
    async with spot_app(stackspot__limits__prompt=10, stackspot__limits__body=1000) as spot:
        caller = await spot.caller()
        assert (await caller.chat("echo: 1234")).status == 200
        refused = await caller.chat("echo: 12345")
        assert (refused.status, refused.json["code"]) == (400, "INFERENCE_6001_LLM_MODEL_BAD_REQUEST")
        large = await caller.chat("x" * 2000)
        assert (large.status, large.json["code"]) == (413, "PAYLOAD_TOO_LARGE")


async def test_the_messages_of_a_day_are_counted_over_all_wires() -> None:
    async with spot_app() as spot:
        caller = await spot.caller("demo-limit2-carol")
        assert [(await caller.chat("echo: x")).status for _ in range(2)] == [200, 200]
        refused = await caller.chat("echo: x")
        assert (refused.status, refused.json["code"]) == (403, "QUOTA_EXCEEDED"), "a minute later it is no better"
