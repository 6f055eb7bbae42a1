"""What the server keeps: chats, history, votes, and who may see them."""

from __future__ import annotations

from typing import Any

from tests.interop.scenarios.registry import scenario
from tests.interop.scenarios.stage import (
    ONE_TURN,
    Stage,
    ask,
    calls,
    collect,
    leave_after,
    message_ids,
    raised,
    refused,
    roles,
    said,
    same,
    tool_part,
)
from tests.interop.wire import fresh, kai_body, user_token


@scenario.requirement("KAI-12", "KAI-50")
async def get_chat_gives_the_conversation(stage: Stage) -> None:
    token = user_token()
    async with stage.client(token) as client:
        chat = fresh()
        events = await ask(client, chat, "echo: stored")
        detail = await client.get_chat(chat)
        other = await client.get_chat((await client.chat("echo: x"))[0])
    same((detail.id, detail.visibility, roles(detail)), (chat, "private", ONE_TURN))
    same([said(message) for message in detail.messages], ["echo: stored", "stored"])
    times = [detail.created_at, detail.updated_at, *(message.created_at for message in detail.messages)]
    assert all(time.tzinfo is not None for time in times), times
    assert times[2] <= times[3] <= times[1], times
    assert detail.title
    assert detail.user_id
    assert token not in detail.user_id, detail.user_id
    same(other.user_id, detail.user_id)
    same({detail.messages[1].id}, message_ids(events))


@scenario.requirement("KAI-50", "KAI-18")
async def a_stored_tool_part_is_what_was_streamed(stage: Stage) -> None:
    async with stage.client() as client:
        chat = fresh()
        events = await ask(client, chat, "tool: add 2 3")
        detail = await client.get_chat(chat)
    parts = detail.messages[1].parts
    same([part["type"] for part in parts], ["step-start", "tool-add", "step-start", "text"])
    (output,) = calls(events, "output-available")
    same(
        parts[1],
        {
            "type": "tool-add",
            "toolCallId": output.tool_call_id,
            "state": "output-available",
            "input": {"a": 2, "b": 3},
            "output": output.output,
        },
    )
    same(parts[3], {"type": "text", "text": "5", "state": "done"})
    same(tool_part(detail), parts[1])


async def talks(client: Any, count: int) -> list[str]:
    """The ids of new chats, newest first."""
    return [(await client.chat(f"echo: chat {place}"))[0] for place in range(count)][::-1]


def page(history: Any) -> tuple[list[str], bool]:
    return [chat.id for chat in history.chats], history.has_more


@scenario.requirement("KAI-14", "KAI-51")
async def history_pages_forwards_and_backwards(stage: Stage) -> None:
    async with stage.client() as client:
        same(page(await client.get_history()), ([], False))
        ids = await talks(client, 7)
        first = await client.get_history(limit=3)
        same(page(first), (ids[:3], True))
        assert all(chat.title and chat.created_at.tzinfo for chat in first.chats), first
        same(page(await client.get_history(limit=3, starting_after=ids[2])), (ids[3:6], True))
        same(page(await client.get_history(limit=3, starting_after=ids[5])), (ids[6:], False))
        same(page(await client.get_history(starting_after=ids[6])), ([], False))
        same(page(await client.get_history(limit=2, ending_before=ids[5])), (ids[3:5], True))
        same(page(await client.get_history(limit=5, ending_before=ids[5])), (ids[:5], False))
        same(page(await client.get_history(limit=7)), (ids, False))
        same(page(await client.get_history(limit=5000)), (ids, False))


@scenario.requirement("KAI-14", "KAI-51", "KAI-52")
async def all_of_history_comes_once_even_while_it_is_deleted(stage: Stage) -> None:
    async with stage.client() as client:
        ids = await talks(client, 5)
        for size in (1, 2, 5, 100):
            same([chat.id async for chat in client.get_all_history(batch_size=size)], ids)
        met = []
        async for chat in client.get_all_history(batch_size=2):
            met.append(chat.id)
            await client.delete_chat(chat.id)
        same(met, ids)
        same(page(await client.get_history()), ([], False))


@scenario.requirement("KAI-14", "KAI-51", "KAI-16")
async def pages_that_make_no_sense_are_refused(stage: Stage) -> None:
    kai, token = stage.kai, user_token()
    async with stage.client(token) as client, stage.client() as other:
        mine, foreign = (await client.chat("echo: x"))[0], (await other.chat("echo: x"))[0]
        both = client.get_history(starting_after=mine, ending_before=mine)
        await refused(kai.KaiBadRequestError, both, "bad_request:api")
        for unknown in (fresh(), foreign):
            await refused(kai.KaiNotFoundError, client.get_history(starting_after=unknown), "not_found:history")
            await refused(kai.KaiNotFoundError, client.get_history(ending_before=unknown), "not_found:history")
        for limit in (0, -1):
            await refused(kai.KaiBadRequestError, client.get_history(limit=limit), "bad_request:api")
    many = await stage.send(token, "GET", "/api/history", limit="many")
    same((many.status, many.code), (400, "bad_request:api"))


@scenario.requirement("KAI-12", "KAI-52")
async def delete_chat_takes_everything_with_it(stage: Stage) -> None:
    kai = stage.kai
    async with stage.client() as client:
        chat, _ = await client.chat("echo: x")
        answer = (await client.get_chat(chat)).messages[1].id
        await client.upvote(chat, answer)
        same(await client.delete_chat(chat), None)
        for gone in (
            client.get_chat(chat),
            client.get_votes(chat),
            client.delete_chat(chat),
            client.upvote(chat, answer),
        ):
            await refused(kai.KaiNotFoundError, gone, "not_found:")
        same(page(await client.get_history()), ([], False))


@scenario.requirement("KAI-12", "KAI-52")
async def deleting_a_chat_ends_what_runs_in_it(stage: Stage) -> None:
    async with stage.client() as client:
        chat = fresh()
        await leave_after(client.send_message(chat, "slow: 400 50"), 1)
        await client.delete_chat(chat)
        await refused(stage.kai.KaiNotFoundError, client.get_chat(chat))
        same(await collect(client.resume_stream(chat)), [])


@scenario.requirement("KAI-52")
async def all_chats_of_a_user_and_no_others_are_deleted_at_once(stage: Stage) -> None:
    token = user_token()
    async with stage.client(token) as client, stage.client() as other:
        await talks(client, 3)
        kept = await talks(other, 1)
        deleted = await stage.send(token, "DELETE", "/api/history")
        same((deleted.status, deleted.json), (200, {"deletedCount": 3}))
        same(page(await client.get_history()), ([], False))
        same(page(await other.get_history()), (kept, False))


@scenario.requirement("KAI-15", "KAI-53")
async def a_message_has_one_vote_and_the_last_one_counts(stage: Stage) -> None:
    token = user_token()
    async with stage.client(token) as client:
        chat, _ = await client.chat("echo: x")
        answer = (await client.get_chat(chat)).messages[1].id
        same(await client.get_votes(chat), [])
        for vote, word in ((client.upvote, "up"), (client.downvote, "down")):
            given = await vote(chat, answer)
            same((given.chat_id, given.message_id, given.type), (chat, answer, word))
            same([(each.message_id, each.type) for each in await client.get_votes(chat)], [(answer, word)])
        same((await client.vote(chat, answer, "up")).type, "up")
        same((await client.vote(chat, answer, stage.kai.VoteType.DOWN)).type, "down")
    (raw,) = (await stage.send(token, "GET", "/api/vote", chatId=chat)).json
    same((raw["type"], raw["isUpvoted"], raw["chatId"], raw["messageId"]), ("down", False, chat, answer))


@scenario.requirement("KAI-15", "KAI-53", "KAI-54")
async def votes_on_what_is_missing_or_foreign_or_no_vote_are_refused(stage: Stage) -> None:
    kai, token = stage.kai, user_token()
    async with stage.client(token) as client, stage.client() as stranger:
        chat, _ = await client.chat("echo: x")
        answer = (await client.get_chat(chat)).messages[1].id
        await refused(kai.KaiNotFoundError, client.upvote(chat, fresh()), "not_found:vote")
        await refused(kai.KaiNotFoundError, client.upvote(fresh(), answer), "not_found:vote")
        await refused(kai.KaiNotFoundError, client.get_votes(fresh()), "not_found:vote")
        await refused(kai.KaiForbiddenError, stranger.downvote(chat, answer), "forbidden:vote")
        await refused(kai.KaiForbiddenError, stranger.get_votes(chat), "forbidden:vote")
        await raised(ValueError, client.vote(chat, answer, "sideways"))
        for body in ({"chatId": chat, "messageId": answer, "type": "sideways"}, {"chatId": chat, "type": "up"}, []):
            answered = await stage.send(token, "PATCH", "/api/vote", body)
            same((answered.status, answered.code), (400, "bad_request:api"))
        same(await client.get_votes(chat), [])


@scenario.requirement("KAI-54")
async def a_private_chat_is_closed_to_other_users(stage: Stage) -> None:
    error = stage.kai.KaiForbiddenError
    async with stage.client() as client, stage.client() as stranger:
        chat, _ = await client.chat("echo: secret")
        await refused(error, stranger.get_chat(chat), "forbidden:chat")
        await refused(error, stranger.send_message(chat, "recall"), "forbidden:chat")
        await refused(error, stranger.chat("recall", chat_id=chat), "forbidden:chat")
        await refused(error, stranger.delete_chat(chat), "forbidden:chat")
        same(page(await stranger.get_history()), ([], False))
        same([said(message) for message in (await client.get_chat(chat)).messages], ["echo: secret", "secret"])


@scenario.requirement("KAI-54")
async def a_public_chat_can_be_read_but_not_changed_by_others(stage: Stage) -> None:
    kai = stage.kai
    async with stage.client() as client, stage.client() as other:
        chat, _ = await client.chat("echo: open", visibility=kai.VisibilityType.PUBLIC)
        detail = await other.get_chat(chat)
        same((detail.visibility, said(detail.messages[1])), ("public", "open"))
        await refused(kai.KaiForbiddenError, other.send_message(chat, "echo: x"), "forbidden:chat")
        await refused(kai.KaiForbiddenError, other.upvote(chat, detail.messages[1].id), "forbidden:vote")
        await refused(kai.KaiForbiddenError, other.delete_chat(chat), "forbidden:chat")
        same(page(await other.get_history()), ([], False))


@scenario.requirement("KAI-64", "KAI-06")
async def a_message_id_that_comes_twice_is_a_repetition_or_a_conflict(stage: Stage) -> None:
    token, chat = user_token(), fresh()
    body = kai_body(chat, "tool: add 20 3")
    first = (await stage.send(token, "POST", "/api/chat", body)).chunks
    again = (await stage.send(token, "POST", "/api/chat", body)).chunks
    same((first[0]["messageId"], again[-1]), (again[0]["messageId"], first[-1]))
    body["message"]["parts"][0]["text"] = "echo: other"
    conflict = await stage.send(token, "POST", "/api/chat", body)
    same((conflict.status, conflict.code), (409, "conflict:message"))
    async with stage.client(token) as client:
        detail = await client.get_chat(chat)
    same((roles(detail), said(detail.messages[1])), (ONE_TURN, "23"))
