"""Conversations: whose they are, what is kept, what is not (stackspot.md 3.2.8)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.server.stackspot.spot_app import Caller, Gate, Spot, spot_app, text_of

from dragoman.core.ids import canonical, is_ulid
from dragoman.server.auth import demo_user

CONVERSATION = "01JZ8Q4N5V7X3W1T9R2P6M0KHC"


async def said(caller: Caller, prompt: str, id: str | None = CONVERSATION, **more: Any) -> dict[str, Any]:
    reply = await caller.chat(prompt, use_conversation=True, conversation_id=id, **more)
    assert reply.status == 200, reply.body
    answer: dict[str, Any] = reply.json
    return answer


async def threads(spot: Spot, client: str = "demo") -> list[Any]:
    page = await spot.services.store.threads("demo", demo_user(client), limit=100)
    return list(page.rows)


@pytest.mark.requirement("STK-50")
async def test_a_conversation_without_an_id_gets_one_and_its_history_is_used() -> None:
    async with spot_app() as spot:
        caller = await spot.caller()
        first = await said(caller, "echo: alpha", None)
        assert is_ulid(first["conversation_id"])
        assert first["conversation_id"].isupper()
        second = await said(caller, "recall", first["conversation_id"])
        assert (second["message"], second["conversation_id"]) == ("echo: alpha", first["conversation_id"])


@pytest.mark.requirement("STK-51", "STK-52")
async def test_a_clients_own_ulid_is_kept_and_compared_without_case() -> None:
    async with spot_app() as spot:
        caller = await spot.caller()
        assert (await said(caller, "echo: alpha", CONVERSATION.lower()))["conversation_id"] == CONVERSATION
        assert (await said(caller, "recall"))["message"] == "echo: alpha"
        assert (await said(caller, "recall", canonical(CONVERSATION)))["conversation_id"] == CONVERSATION
        assert [thread.id for thread in await threads(spot)] == [canonical(CONVERSATION)]


@pytest.mark.requirement("STK-57")
@pytest.mark.parametrize(
    "id",
    [
        *("not-a-ulid", "", "81JZ8Q4N5V7X3W1T9R2P6M0KHC", "01JZ8Q4N5V7X3W1T9R2P6M0KHU", "../x"),
        *("01JZ8Q4N5V7X3W1T9R2P6M0\u212aHC", "01JZ8Q4N5V7X3W1T9R2P6M0KH\u017f", "x" * 100_000),
    ],
)
async def test_an_id_that_is_no_ulid_means_a_new_conversation(id: str) -> None:
    async with spot_app() as spot:
        caller = await spot.caller()
        told = [(await said(caller, "echo: alpha", id))["conversation_id"] for _ in range(2)]
        assert all(map(is_ulid, told))
        assert len(set(told)) == 2


@pytest.mark.requirement("STK-50")
async def test_without_a_conversation_nothing_is_read_or_stored() -> None:
    async with spot_app() as spot:
        caller = await spot.caller()
        await said(caller, "echo: alpha")
        reply = await caller.chat("recall", use_conversation=False, conversation_id=CONVERSATION)
        assert reply.json["conversation_id"] is None
        assert "alpha" not in reply.json["message"]
        assert (await said(caller, "recall"))["message"] == "echo: alpha"
        assert len(await threads(spot)) == 1


@pytest.mark.requirement("STK-54")
async def test_streams_are_part_of_conversations() -> None:
    async with spot_app() as spot:
        caller = await spot.caller()
        await caller.stream("echo: alpha", use_conversation=True, conversation_id=CONVERSATION)
        reply = await caller.stream("recall", use_conversation=True, conversation_id=CONVERSATION)
        assert text_of(reply) == "echo: alpha"


@pytest.mark.requirement("STK-50")
async def test_agents_share_the_conversations_of_their_caller() -> None:
    async with spot_app() as spot:
        caller = await spot.caller()
        await said(caller, "echo: alpha")
        assert (await said(caller, "recall", agent="demo-openai"))["message"] == "echo: alpha"


@pytest.mark.requirement("STK-56", "STK-P05")
async def test_the_same_id_of_two_callers_is_two_conversations() -> None:
    async with spot_app() as spot:
        first, second = await spot.caller("demo-alice"), await spot.caller("demo-bob")
        await said(first, "echo: alpha")
        told = await said(second, "recall")
        assert told["conversation_id"] == CONVERSATION
        assert "alpha" not in told["message"]
        await said(second, "echo: beta")
        assert (await said(second, "recall"))["message"] == "echo: beta"
        assert (await said(first, "recall"))["message"] == "echo: alpha"


@pytest.mark.requirement("STK-56", "STK-P05")
async def test_answers_tell_nothing_of_anothers_conversation() -> None:
    async with spot_app() as spot:
        first, second = await spot.caller("demo-alice"), await spot.caller("demo-bob")
        await said(first, "echo: alpha")
        told = [await said(second, "recall", id) for id in (CONVERSATION, CONVERSATION[:-3] + "ZZZ")]
        same = [{name: one[name] for name in one.keys() - {"message_id", "conversation_id"}} for one in told]
        assert same[0] == same[1]


@pytest.mark.requirement("STK-55")
async def test_turns_at_the_same_time_are_all_accepted_and_see_what_was_stored() -> None:
    gate = Gate()
    async with spot_app(gate=gate) as spot:
        caller = await spot.caller()
        await said(caller, "echo: alpha")
        slow = caller.begin("slow: 1 1000", use_conversation=True, conversation_id=CONVERSATION)
        await spot.run("demo", "running")
        assert (await said(caller, "recall"))["message"] == "echo: alpha"
        gate.let()
        assert (await slow.end()).json["message"] == "1"
        replies = await asyncio.gather(*(said(caller, f"echo: {n}") for n in range(8)))
        assert [reply["message"] for reply in replies] == [str(n) for n in range(8)]
        assert len(await threads(spot)) == 1


@pytest.mark.requirement("STK-55")
async def test_a_new_conversation_may_begin_with_many_turns_at_once() -> None:
    async with spot_app() as spot:
        caller = await spot.caller()
        replies = await asyncio.gather(*(said(caller, f"echo: {n}") for n in range(8)))
        assert {reply["conversation_id"] for reply in replies} == {CONVERSATION}
        assert len(await threads(spot)) == 1


@pytest.mark.requirement("STK-58")
async def test_turns_that_failed_leave_nothing() -> None:
    async with spot_app() as spot:
        caller = await spot.caller()
        await said(caller, "echo: alpha")
        for streaming in (False, True):
            await caller.chat("fail: oops", streaming=streaming, use_conversation=True, conversation_id=CONVERSATION)
        assert (await said(caller, "recall"))["message"] == "echo: alpha"
        thread = (await threads(spot))[0]
        items = (await spot.services.store.items(thread.number)).rows
        assert [item.role for item in items] == ["user", "assistant"] * 2


@pytest.mark.requirement("STK-58")
async def test_a_conversation_whose_first_turn_fails_does_not_come_to_be() -> None:
    async with spot_app() as spot:
        caller = await spot.caller()
        await caller.chat("fail: oops", use_conversation=True, conversation_id=CONVERSATION)
        assert await threads(spot) == []
        assert (await said(caller, "echo: alpha"))["conversation_id"] == CONVERSATION


async def test_a_conversation_is_kept_for_so_long_after_its_last_turn() -> None:
    now = [1_700_000_000.0]
    async with spot_app(clock=lambda: now[0], stackspot__retention_days=2, stackspot__token_seconds=10**6) as spot:
        caller = await spot.caller()
        await said(caller, "echo: alpha")
        now[0] += 86400
        await said(caller, "echo: beta")
        assert (await threads(spot))[0].expires == now[0] + 2 * 86400


async def test_a_thread_of_another_wire_goes_on_here() -> None:
    async with spot_app() as spot:
        kai = spot.bare()
        body = {
            "id": canonical(CONVERSATION),
            "message": {"id": "m-1", "role": "user", "parts": [{"type": "text", "text": "echo: alpha"}]},
            "selectedChatModel": "chat-model",
        }
        answer = await kai.post("/api/chat", body, x_storageapi_token="demo-alice")
        assert answer.status == 200, answer.body
        assert (await said(await spot.caller("demo-alice"), "recall"))["message"] == "echo: alpha"


@pytest.mark.requirement("STK-56")
async def test_two_callers_who_begin_one_id_at_once_each_read_their_own_elsewhere() -> None:
    gate, users = Gate(), ("demo-alice", "demo-bob")
    async with spot_app(gate=gate) as spot:
        callers = [await spot.caller(user) for user in users]
        begun = [one.begin("slow: 1 1", use_conversation=True, conversation_id=CONVERSATION) for one in callers]
        for user in users:
            await spot.run(user, "running")
        gate.let(2)
        assert [(await reply.end()).status for reply in begun] == [200, 200]
        for user in users:
            path = f"/dragoman/v1/threads/{canonical(CONVERSATION)}/items"
            assert (await spot.bare(user).send("GET", path).end()).status == 200
