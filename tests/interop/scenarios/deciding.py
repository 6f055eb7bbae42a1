"""Tool approval through the clients' methods: forms A, B, C and D, and what must not be possible."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.interop.scenarios.registry import scenario
from tests.interop.scenarios.stage import (
    ONE_TURN,
    TWO_TURNS,
    Stage,
    approval_of,
    ask,
    calls,
    collect,
    eventually,
    message_ids,
    of_type,
    reasons,
    refused,
    roles,
    said,
    same,
    text,
    tool_part,
    waiting,
)
from tests.interop.wire import fresh


@scenario.requirement("KAI-40")
async def a_call_that_waits_ends_the_stream_with_tool_calls_and_is_stored(stage: Stage) -> None:
    async with stage.client() as client:
        asked = await waiting(client, "b1")
        same(reasons(asked.events), ["tool-calls"])
        part = tool_part(await client.get_chat(asked.chat))
    same((part["state"], part["approval"]), ("approval-requested", {"id": asked.approval}))
    same((part["type"], part["toolCallId"], part["input"]), ("tool-create_bucket", asked.call, {"name": "b1"}))


@scenario.requirement("KAI-10", "KAI-40")
async def confirm_tool_runs_the_tool_and_continues_the_same_answer(stage: Stage) -> None:
    async with stage.client() as client:
        asked = await waiting(client, "b2")
        events = await collect(client.confirm_tool(*asked.by_call))
        (output,) = calls(events, "output-available")
        same((output.tool_call_id, output.tool_name), (asked.call, "create_bucket"))
        same(output.output, {"name": "b2", "status": "created"})
        same((text(events), reasons(events)), ("created b2", ["stop"]))
        detail = await client.get_chat(asked.chat)
        same((await client.chat("recall", chat_id=asked.chat))[1], "approve: create_bucket b2")
    same((roles(detail), said(detail.messages[1])), (ONE_TURN, "created b2"))
    same(tool_part(detail)["state"], "output-available")
    same(message_ids(asked.events + events), {detail.messages[1].id})


@scenario.requirement("KAI-10", "KAI-40")
async def deny_tool_keeps_the_tool_from_running(stage: Stage) -> None:
    async with stage.client() as client:
        asked = await waiting(client, "b3")
        events = await collect(client.deny_tool(*asked.by_call))
        same((text(events), reasons(events), calls(events, "output-available")), ("denied", ["stop"], []))
        part = tool_part(await client.get_chat(asked.chat))
    same((part["state"], part["approval"]), ("output-denied", {"id": asked.approval, "approved": False}))


@scenario.requirement("KAI-10", "KAI-40")
async def confirm_tool_works_inside_the_loop_over_the_first_stream(stage: Stage) -> None:
    for mount in ("", "/agent"):
        inner: list[Any] = []
        outer: list[Any] = []
        async with stage.client(mount=mount) as client:
            chat = fresh()
            async for event in client.send_message(chat, "approve: create_bucket b4"):
                outer.append(event)
                if event.type == "tool-call" and event.state == "input-available":
                    inner = await collect(client.confirm_tool(chat, event.tool_call_id, event.tool_name))
        same((text(inner), reasons(inner), of_type(inner + outer, "error")), ("created b4", ["stop"], []))
        same(len(reasons(outer)), 1)


@scenario.requirement("KAI-10", "KAI-40")
async def send_tool_result_takes_the_documented_words_only(stage: Stage) -> None:
    async with stage.client() as client:
        asked = await waiting(client, "b5")
        for word in ("maybe", "", "confirmed?"):
            unclear = client.send_tool_result(*asked.by_call, word)
            await refused(stage.kai.KaiBadRequestError, unclear, "bad_request:")
        same(tool_part(await client.get_chat(asked.chat))["state"], "approval-requested")
        same(text(await collect(client.send_tool_result(*asked.by_call, "confirmed"))), "created b5")
        for word, answer in (("YES", "created b6"), ("rejected", "denied")):
            asked = await waiting(client, "b6")
            same(text(await collect(client.send_tool_result(*asked.by_call, word))), answer)


@scenario.requirement("KAI-21", "KAI-41", "KAI-42", since="0.9")
async def approve_tool_and_reject_tool_decide_by_the_approval(stage: Stage) -> None:
    async with stage.client() as client:
        asked = await waiting(client, "v1")
        events = await collect(client.approve_tool(asked.chat, asked.approval))
        same((text(events), reasons(events)), ("created v1", ["stop"]))
        same(roles(await client.get_chat(asked.chat)), ONE_TURN)
        asked = await waiting(client, "v2")
        events = await collect(client.reject_tool(asked.chat, asked.approval, reason="not today"))
        same((text(events), calls(events, "output-available")), ("denied", []))
        detail = await client.get_chat(asked.chat)
    same(roles(detail), ONE_TURN)
    told = {"id": asked.approval, "approved": False, "reason": "not today"}
    same((tool_part(detail)["state"], tool_part(detail)["approval"]), ("output-denied", told))


@scenario.requirement("KAI-21", "KAI-41", "KAI-42", since="0.9")
async def approve_tool_works_as_soon_as_the_request_is_heard(stage: Stage) -> None:
    inner: list[Any] = []
    async with stage.client() as client:
        chat = fresh()
        async for event in client.send_message(chat, "approve: create_bucket v3"):
            if event.type == "tool-approval-request":
                decided = client.send_tool_approval_response(chat, approval_of(event), True, reason="fine")
                inner = await collect(decided)
        same(tool_part(await client.get_chat(chat))["approval"]["reason"], "fine")
    same((text(inner), reasons(inner)), ("created v3", ["stop"]))


@scenario.requirement("KAI-21", "KAI-41", "KAI-42", since="0.9")
async def an_approval_that_nobody_asked_for_is_not_found(stage: Stage) -> None:
    async with stage.client() as client:
        chat, _ = await client.chat("tool: add 1 1")
        error = await refused(stage.kai.KaiError, client.approve_tool(chat, "no-such-approval"))
        assert error.code in ("approval:not_found", "not_found:approval"), error
        same(roles(await client.get_chat(chat)), ONE_TURN)


@scenario.requirement("KAI-22", "KAI-43", since="0.12")
async def submit_approval_continues_the_stream_that_is_open(stage: Stage) -> None:
    for approved, answer in ((True, "created d1"), (False, "denied")):
        events: list[Any] = []
        async with stage.client() as client:
            chat = fresh()
            async for event in client.send_message(chat, "approve: create_bucket d1"):
                events.append(event)
                if event.type == "tool-approval-request":
                    told = await client.submit_approval(chat, event.tool_call_id, approved)
                    same((told.success, told.tool_use_id, told.approved), (True, event.tool_call_id, approved))
            same(roles(await client.get_chat(chat)), ONE_TURN)
        same((text(events), reasons(events)), (answer, ["stop"]))
        same(len(calls(events, "output-available")), int(approved))


@scenario.requirement("KAI-22", "KAI-43", "KAI-70", since="0.12")
async def the_second_mount_holds_the_stream_for_a_slow_human(stage: Stage) -> None:
    events: list[Any] = []
    async with stage.client(mount="/agent") as client:
        chat = fresh()
        async for event in client.send_message(chat, "approve: create_bucket d2"):
            events.append(event)
            if event.type == "tool-approval-request":
                await asyncio.sleep(1.5)  # longer than the first mount holds
                await client.submit_approval(chat, event.tool_call_id, True)
    same((text(events), reasons(events)), ("created d2", ["stop"]))


@scenario.requirement("KAI-22", "KAI-43", since="0.12")
async def submit_approval_may_change_the_input(stage: Stage) -> None:
    events: list[Any] = []
    async with stage.client() as client:
        chat = fresh()
        async for event in client.send_message(chat, "approve: create_bucket d3"):
            events.append(event)
            if event.type == "tool-approval-request":
                call = event.tool_call_id
                changed = {"name": "changed"}
                bad = client.submit_approval(chat, call, True, updated_input={"name": 5})
                await refused(stage.kai.KaiBadRequestError, bad, "bad_request:")
                await client.submit_approval(chat, call, True, updated_input=changed, answers={"q": "a"}, reason="r")
        part = tool_part(await client.get_chat(chat))
    same((text(events), part["input"], part["approval"]["reason"]), ("created changed", changed, "r"))
    same(calls(events, "input-available")[-1].input, changed)


@scenario.requirement("KAI-22", "KAI-43", since="0.12")
async def a_late_submit_approval_runs_the_tool_in_the_background(stage: Stage) -> None:
    async with stage.client() as client:
        asked = await waiting(client, "d4")
        await client.submit_approval(asked.chat, asked.call, True)

        async def done() -> bool:
            return said((await client.get_chat(asked.chat)).messages[-1]) == "created d4"

        await eventually(done)
        same(await collect(client.resume_stream(asked.chat)), [])


@scenario.requirement("KAI-22", "KAI-43", "KAI-45", since="0.12")
async def submit_approval_repeats_without_harm_and_refuses_the_rest(stage: Stage) -> None:
    kai = stage.kai
    async with stage.client() as client, stage.client() as stranger:
        asked = await waiting(client, "d5")
        await refused(kai.KaiForbiddenError, stranger.submit_approval(asked.chat, asked.call, True), "forbidden:")
        await client.submit_approval(asked.chat, asked.call, False, reason="no")
        told = await client.submit_approval(asked.chat, asked.call, False)
        same((told.success, told.approved), (True, False))
        await refused(kai.KaiError, client.submit_approval(asked.chat, asked.call, True), "conflict:approval")
        await refused(kai.KaiNotFoundError, client.submit_approval(asked.chat, "no-such-call", True), "not_found:tool")
        await refused(kai.KaiNotFoundError, client.submit_approval(fresh(), asked.call, True), "not_found:chat")


@scenario.requirement("KAI-45")
async def a_second_confirm_runs_nothing_and_the_opposite_is_a_conflict(stage: Stage) -> None:
    async with stage.client() as client:
        asked = await waiting(client, "s1")
        await collect(client.confirm_tool(*asked.by_call))
        again = await collect(client.confirm_tool(*asked.by_call))
        same((of_type(again, "error"), reasons(again)), ([], ["stop"]))
        await refused(stage.kai.KaiError, client.deny_tool(*asked.by_call), "conflict:approval")
        detail = await client.get_chat(asked.chat)
    same((roles(detail), said(detail.messages[1])), (ONE_TURN, "created s1"))


@scenario.requirement("KAI-45")
async def of_many_confirms_at_once_one_runs_the_tool(stage: Stage) -> None:
    async with stage.client() as client:
        asked = await waiting(client, "slow-s2")
        together = (collect(client.confirm_tool(*asked.by_call)) for _ in range(4))
        outcomes = await asyncio.gather(*together, return_exceptions=True)
        detail = await client.get_chat(asked.chat)
    strange = [outcome for outcome in outcomes if not isinstance(outcome, (list, stage.kai.KaiError))]
    same(strange, [])
    assert any(isinstance(outcome, list) and text(outcome) == "created slow-s2" for outcome in outcomes), outcomes
    same((said(detail.messages[1]), tool_part(detail)["state"]), ("created slow-s2", "output-available"))


@scenario.requirement("KAI-45")
async def confirm_and_deny_at_once_leave_one_winner(stage: Stage) -> None:
    async with stage.client() as client:
        asked = await waiting(client, "s3")
        yes, no = await asyncio.gather(
            collect(client.confirm_tool(*asked.by_call)),
            collect(client.deny_tool(*asked.by_call)),
            return_exceptions=True,
        )
        detail = await client.get_chat(asked.chat)
    won, lost = (yes, no) if isinstance(yes, list) else (no, yes)
    assert isinstance(lost, stage.kai.KaiError), f"both were accepted: {yes!r} {no!r}"
    same(str(lost.code), "conflict:approval")
    same(text(won), said(detail.messages[1]))
    same(text(won), "created s3" if won is yes else "denied")


@scenario.requirement("KAI-45")
async def calls_that_nobody_made_cannot_be_confirmed(stage: Stage) -> None:
    kai = stage.kai
    async with stage.client() as client:
        chat, _ = await client.chat("echo: x")
        await refused(kai.KaiNotFoundError, client.confirm_tool(chat, "no-call", "create_bucket"), "not_found:tool")
        await refused(kai.KaiNotFoundError, client.confirm_tool(fresh(), "no-call", "create_bucket"), "not_found:chat")
        same(roles(await client.get_chat(chat)), ONE_TURN)


@scenario.requirement("KAI-45", "KAI-54")
async def a_stranger_cannot_decide_and_the_owner_still_can(stage: Stage) -> None:
    async with stage.client() as client, stage.client() as stranger:
        asked = await waiting(client, "s4")
        await refused(stage.kai.KaiForbiddenError, stranger.confirm_tool(*asked.by_call), "forbidden:chat")
        if hasattr(stranger, "approve_tool"):
            deciding = stranger.approve_tool(asked.chat, asked.approval)
            await refused(stage.kai.KaiForbiddenError, deciding, "forbidden:chat")
        mine, _ = await stranger.chat("echo: mine")
        foreign = stranger.confirm_tool(mine, asked.call, asked.tool)
        await refused(stage.kai.KaiNotFoundError, foreign, "not_found:tool")
        same(tool_part(await client.get_chat(asked.chat))["state"], "approval-requested")
        same(text(await collect(client.confirm_tool(*asked.by_call))), "created s4")


@scenario.requirement("KAI-45")
async def a_new_message_supersedes_a_call_that_waits(stage: Stage) -> None:
    async with stage.client() as client:
        asked = await waiting(client, "s5")
        same(text(await ask(client, asked.chat, "echo: never mind")), "never mind")
        await refused(stage.kai.KaiError, client.confirm_tool(*asked.by_call), "conflict:approval")
        detail = await client.get_chat(asked.chat)
    same(roles(detail), TWO_TURNS)
    part = tool_part(detail)
    same((part["state"], part["approval"]["reason"]), ("output-denied", "superseded"))
