"""`chat()`, history, and votes."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from pydantic import ValidationError
from tests.kai.shells import BASE, FINISH, Shell, answer, body_of, scripted, sse, streamed

from dragoman.kai import KaiError, KaiNotFoundError, KaiStreamError, VoteType
from dragoman.transport.scripted import Reply, ScriptedIO
from dragoman.wire.http import Request, Response

HI = {"type": "text-delta", "delta": "Hi"}
ERROR = {"type": "error", "errorText": "no model", "message": "no model", "code": "offline:chat"}

# ------------------------------------------------------------------------------------- chat()


@pytest.mark.requirement("KAI-11")
async def test_chat_joins_all_text(shell: Shell) -> None:
    client = shell.client(scripted(streamed(HI, {"type": "text", "text": " you"}, {"type": "finish-step"}, HI, FINISH)))
    chat_id, text = await shell.call(client.chat, "x", chat_id="mine")
    assert (chat_id, text) == ("mine", "Hi youHi")


@pytest.mark.requirement("KAI-11")
async def test_chat_makes_an_id_if_none_is_given(shell: Shell) -> None:
    io = scripted(streamed(FINISH))
    chat_id, text = await shell.call(shell.client(io).chat, "x", visibility="public", branch_id=4)
    assert (uuid.UUID(chat_id).version, text) == (4, "")
    body = body_of(io)
    assert (body["id"], body["selectedVisibilityType"], body["branchId"]) == (chat_id, "public", 4)


@pytest.mark.requirement("KAI-11")
async def test_an_error_event_raises_with_the_text_so_far(shell: Shell) -> None:
    io = scripted(Reply([sse(HI, ERROR)[:-14], 3600.0]))
    with pytest.raises(KaiStreamError) as caught:
        await shell.call(shell.client(io).chat, "x")
    error = caught.value
    assert (error.message, error.code, error.partial_text) == ("no model", "offline:chat", "Hi")
    assert error.partial.events == 2
    assert io.open_streams == []


@pytest.mark.requirement("KAI-11")
async def test_an_error_event_may_be_overlooked(shell: Shell) -> None:
    client = shell.client(scripted(streamed(HI, ERROR)))
    assert (await shell.call(client.chat, "x", raise_on_error=False))[1] == "Hi"


@pytest.mark.requirement("KAI-11", "KAI-17")
async def test_chat_does_not_pass_off_half_an_answer_as_whole(shell: Shell) -> None:
    client = shell.client(scripted(streamed(HI)))
    with pytest.raises(KaiStreamError) as caught:
        await shell.call(client.chat, "x")
    assert (caught.value.code, caught.value.partial_text) == ("stream:truncated", "Hi")
    lenient = shell.client(scripted(streamed(HI), streamed(HI)), strict_end=False)
    assert (await shell.call(lenient.chat, "x"))[1] == "Hi"
    with pytest.raises(KaiStreamError):
        await shell.call(lenient.chat, "x", strict_end=True)


@pytest.mark.requirement("KAI-12")
async def test_a_chat_has_its_messages_and_whatever_else_the_server_says(shell: Shell) -> None:
    message = {"id": "m", "role": "user", "parts": [{"type": "text", "text": "x"}], "metadata": {"hidden": True}}
    client = shell.client(scripted(answer({"id": "c", "title": None, "messages": [message], "later": {"a": 1}})))
    detail = await shell.call(client.get_chat, "c")
    assert (detail.id, detail.title, detail.later) == ("c", None, {"a": 1})
    assert detail.messages[0].metadata == {"hidden": True}


@pytest.mark.requirement("KAI-12")
async def test_deleting_accepts_any_2xx_and_gives_nothing(shell: Shell) -> None:
    client = shell.client(scripted(answer("gone"), answer("", 204), answer({"code": "not_found:chat"}, 404)))
    assert await shell.call(client.delete_chat, "c") is None
    assert await shell.call(client.delete_chat, "c") is None
    with pytest.raises(KaiNotFoundError):
        await shell.call(client.delete_chat, "c")


# ------------------------------------------------------------------------------------ history


class Pages:
    """A history of numbered chats, newest first; `wrong_way` reads the cursor as newer-than."""

    def __init__(self, count: int, *, wrong_way: bool = False) -> None:
        self.ids = [f"c{number}" for number in range(count, 0, -1)]
        self.wrong_way = wrong_way

    def __call__(self, request: Request) -> Response:
        query = dict(pair.split("=") for pair in request.url.partition("?")[2].split("&"))
        limit, after = int(query["limit"]), query.get("starting_after")
        rows = self.ids
        if after is not None:
            place = rows.index(after)
            rows = rows[:place] if self.wrong_way else rows[place + 1 :]
        return answer({"chats": [{"id": id} for id in rows[:limit]], "hasMore": len(rows) > limit or self.wrong_way})


@pytest.mark.requirement("KAI-14")
@pytest.mark.parametrize("count", [0, 1, 3, 4, 7])
async def test_all_history_is_every_chat_once(shell: Shell, count: int) -> None:
    pages = Pages(count)
    chats = await shell.events(shell.client(ScriptedIO(pages)).get_all_history, batch_size=3)
    assert [chat.id for chat in chats] == pages.ids


@pytest.mark.requirement("KAI-14")
async def test_pages_are_fetched_as_they_are_read(shell: Shell) -> None:
    io = ScriptedIO(Pages(9))
    assert (await shell.first(shell.client(io).get_all_history, 3)).id == "c9"
    assert len(io.requests) == 1


@pytest.mark.requirement("KAI-14")
async def test_a_server_whose_cursors_go_in_circles_is_noticed(shell: Shell) -> None:
    seen: list[Any] = []
    client = shell.client(ScriptedIO(Pages(9, wrong_way=True)))
    with pytest.raises(KaiError, match="circles") as caught:
        await shell.events(client.get_all_history, batch_size=3, into=seen)
    assert caught.value.code == "history:cursor_loop"
    assert [chat.id for chat in seen] == ["c9", "c8", "c7"]


@pytest.mark.requirement("KAI-14")
async def test_an_empty_page_ends_the_history_whatever_it_claims(shell: Shell) -> None:
    client = shell.client(scripted(answer({"chats": [], "hasMore": True})))
    assert await shell.events(client.get_all_history) == []


@pytest.mark.requirement("KAI-14")
async def test_a_page_needs_both_fields(shell: Shell) -> None:
    page = {"chats": [{"id": "a", "createdAt": "2026-01-01T00:00:00.000Z"}], "hasMore": True}
    client = shell.client(scripted(answer(page), answer({"chats": []})))
    history = await shell.call(client.get_history)
    assert (history.has_more, history.chats[0].created_at.year) == (True, 2026)
    with pytest.raises(KaiError) as caught:
        await shell.call(client.get_history)
    assert caught.value.code == "http:invalid_body"


# -------------------------------------------------------------------------------------- votes

VOTE = {"id": "v", "chatId": "c", "messageId": "m", "type": "up", "createdAt": "2026-01-01T00:00:00Z"}


@pytest.mark.requirement("KAI-15")
@pytest.mark.parametrize("wrap", [lambda rows: rows, lambda rows: {"votes": rows}], ids=["list", "object"])
async def test_votes_come_in_two_forms(shell: Shell, wrap: Any) -> None:
    rows = [VOTE, {"chatId": "c", "messageId": "m2", "isUpvoted": False}]
    votes = await shell.call(shell.client(scripted(answer(wrap(rows)))).get_votes, "c")
    assert [(vote.message_id, vote.type) for vote in votes] == [("m", "up"), ("m2", "down")]


@pytest.mark.requirement("KAI-15")
@pytest.mark.parametrize("body", ["no", {}, {"votes": 5}, [5], [{"chatId": "c"}], 7])
async def test_anything_else_is_no_list_of_votes(shell: Shell, body: Any) -> None:
    with pytest.raises(KaiError) as caught:
        await shell.call(shell.client(scripted(answer(body))).get_votes, "c")
    assert caught.value.code == "http:invalid_body"


@pytest.mark.requirement("KAI-15")
async def test_a_vote_is_the_one_that_the_server_stored(shell: Shell) -> None:
    io = scripted(answer(VOTE), answer(VOTE | {"type": "down"}))
    client = shell.client(io)
    assert (await shell.call(client.upvote, "c", "m")).id == "v"
    assert (await shell.call(client.downvote, "c", "m")).type == "down"
    assert [body_of(io, index)["type"] for index in (0, 1)] == ["up", "down"]
    assert io.requests[0].url == f"{BASE}/api/vote"


@pytest.mark.requirement("KAI-15")
@pytest.mark.parametrize("body", ["Message voted", "", "{}", "null"])
async def test_any_2xx_means_that_the_vote_counts(shell: Shell, body: str) -> None:
    vote = await shell.call(shell.client(scripted(answer(body))).vote, "c", "m", VoteType.DOWN)
    assert (vote.id, vote.chat_id, vote.message_id, vote.type) == (None, "c", "m", "down")


@pytest.mark.requirement("KAI-15")
async def test_another_word_is_refused_before_sending(shell: Shell) -> None:
    io = scripted()
    with pytest.raises(ValidationError, match="'up' or 'down'") as caught:
        await shell.call(shell.client(io).vote, "c", "m", "sideways")
    assert isinstance(caught.value, ValueError)
    assert io.requests == []
