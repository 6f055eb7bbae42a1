"""Connections that go away, runs that go on, and runs that are stopped."""

from __future__ import annotations

import asyncio

from tests.interop.scenarios.registry import scenario
from tests.interop.scenarios.stage import (
    ONE_TURN,
    Stage,
    calls,
    collect,
    eventually,
    leave_after,
    message_ids,
    of_type,
    reasons,
    refused,
    roles,
    said,
    same,
    text,
    waiting,
)
from tests.interop.wire import fresh, user_token

LONG = "slow: 20 150"
"""An answer that is still going on when its first reader has left and the next has come, also on a busy machine."""

COUNTED = " ".join(str(number) for number in range(1, 21))


@scenario.requirement("KAI-13", "KAI-48")
async def resume_stream_replays_the_whole_answer_and_follows_it(stage: Stage) -> None:
    async with stage.client() as client:
        chat = fresh()
        seen = await leave_after(client.send_message(chat, LONG), 2)
        events = await collect(client.resume_stream(chat))
        detail = await client.get_chat(chat)
    same((text(events), reasons(events)), (COUNTED, ["stop"]))
    assert text(events).startswith(seen)
    same((roles(detail), said(detail.messages[1])), (ONE_TURN, text(events)))
    same(message_ids(events), {detail.messages[1].id})


@scenario.requirement("KAI-13", "KAI-48")
async def where_nothing_runs_there_is_nothing_to_resume(stage: Stage) -> None:
    async with stage.client() as client:
        chat, _ = await client.chat("echo: x")
        same(await collect(client.resume_stream(chat)), [])
        same(await collect(client.resume_stream(fresh())), [])
        asked = await waiting(client, "r0")
        same(await collect(client.resume_stream(asked.chat)), [])


@scenario.requirement("KAI-48")
async def an_answer_is_completed_and_stored_without_any_reader(stage: Stage) -> None:
    async with stage.client() as client:
        chat = fresh()
        await leave_after(client.send_message(chat, LONG), 1)
        same(roles(await client.get_chat(chat)), ["user"])  # what is not over is not told as a message

        async def complete() -> bool:
            messages = (await client.get_chat(chat)).messages
            return len(messages) == 2 and said(messages[1]) == COUNTED

        await eventually(complete)
        same(await collect(client.resume_stream(chat)), [])


@scenario.requirement("KAI-13", "KAI-48")
async def several_readers_resume_the_same_run(stage: Stage) -> None:
    token, chat = user_token(), fresh()
    async with stage.client(token) as first, stage.client(token) as second:
        await leave_after(first.send_message(chat, LONG), 1)
        both = await asyncio.gather(*(collect(client.resume_stream(chat)) for client in (first, second)))
    same([text(events) for events in both], [COUNTED] * 2)
    same(len(message_ids(both[0] + both[1])), 1)


async def abandoned(stage: Stage, token: str) -> str:
    """A chat whose client heard the beginning of the answer and then lost patience."""
    async with stage.client(token, stream_timeout=0.5) as hasty:
        for _ in range(5):  # on a busy machine its patience may end before anything is heard
            chat, heard = fresh(), 0
            try:
                async for _event in hasty.send_message(chat, "slow: 2 1500"):
                    heard += 1
            except (stage.kai.KaiTimeoutError, stage.http.TimeoutException):
                if heard:
                    return chat
            else:
                raise AssertionError("the client waited longer than it was told to")
    raise AssertionError("the client never heard anything")


@scenario.requirement("KAI-48")
async def a_client_that_loses_patience_does_not_hurt_the_run(stage: Stage) -> None:
    token = user_token()
    chat = await abandoned(stage, token)
    async with stage.client(token) as client:

        async def complete() -> bool:
            return [said(message) for message in (await client.get_chat(chat)).messages[1:]] == ["1 2"]

        await eventually(complete)


@scenario.requirement("KAI-48", "KAI-54")
async def a_private_run_cannot_be_read_by_others_and_a_public_one_can(stage: Stage) -> None:
    async with stage.client() as client, stage.client() as other:
        private, public = fresh(), fresh()
        await leave_after(client.send_message(private, LONG), 1)
        await refused(stage.kai.KaiForbiddenError, other.resume_stream(private), "forbidden:chat")
        await leave_after(client.send_message(public, LONG, visibility="public"), 1)
        same(text(await collect(other.resume_stream(public))), COUNTED)


@scenario.requirement("KAI-48", "KAI-10")
async def the_resumed_stream_of_a_continuation_is_complete_in_itself(stage: Stage) -> None:
    async with stage.client() as client:
        for _ in range(3):  # on a busy machine the tool, which takes a second, may be done before we are back
            asked = await waiting(client, "slow-r1")
            continuation = client.confirm_tool(*asked.by_call)
            await anext(continuation)
            await continuation.aclose()
            if events := await collect(client.resume_stream(asked.chat)):
                break
    same([event.input for event in calls(events, "input-available")], [{"name": "slow-r1"}])
    same([event.tool_call_id for event in calls(events, "output-available")], [asked.call])
    same((text(events), reasons(events)), ("created slow-r1", ["stop"]))
    same(message_ids(events), message_ids(asked.events))


@scenario.requirement("KAI-49")
async def stop_ends_the_run_and_its_streams_and_keeps_what_was_said(stage: Stage) -> None:
    token, chat = user_token(), fresh()
    async with stage.client(token) as client:
        await leave_after(client.send_message(chat, "slow: 400 50"), 2)
        reader = asyncio.create_task(collect(client.resume_stream(chat)))
        stopped = await stage.send(token, "POST", f"/api/chat/{chat}/stop")
        same((stopped.status, stopped.json), (200, {"success": True}))
        events = await asyncio.wait_for(reader, 10)
        assert not events or events[-1].type == "abort", events[-1]
        same(await collect(client.resume_stream(chat)), [])
        detail = await client.get_chat(chat)
        assert said(detail.messages[1]).startswith("1 2"), said(detail.messages[1])
        same(detail.messages[1].metadata["interrupted"], True)
        same((await client.chat("echo: on", chat_id=chat))[1], "on")
        again = await stage.send(token, "POST", f"/api/chat/{chat}/stop")
        same((again.status, again.json), (200, {"success": True}))


@scenario.requirement("KAI-49", "KAI-54")
async def a_stranger_cannot_stop_a_run(stage: Stage) -> None:
    async with stage.client() as client:
        chat = fresh()
        await leave_after(client.send_message(chat, LONG), 1)
        refusal = await stage.send(user_token(), "POST", f"/api/chat/{chat}/stop")
        same((refusal.status, refusal.code), (403, "forbidden:chat"))
        events = await collect(client.resume_stream(chat))
    same((text(events), of_type(events, "abort")), (COUNTED, []))
