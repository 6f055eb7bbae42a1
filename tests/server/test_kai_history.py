"""Stored chats: reading, listing, deleting, votes, and who may do what."""

import pytest
from tests.server.kai_app import Kai, fresh, kai_app, message_body

from dragoman.server.auth import demo_user


@pytest.fixture
async def kai():
    async with kai_app() as started:
        yield started


async def chats(user, count):
    """Ids of new chats, newest first."""
    made = [fresh() for _ in range(count)]
    for chat in made:
        await user.say(chat, f"echo: {chat}")
    return made[::-1]


async def listed(user, **query):
    answer = (await user.get("/api/history", **query)).json
    return [chat["id"] for chat in answer["chats"]], answer["hasMore"]


@pytest.mark.requirement("KAI-50")
async def test_a_chat_is_its_summary_and_its_messages(kai: Kai):
    alice, chat = kai.user(), fresh()
    streamed = await alice.say(chat, "tool: add 2 3")
    told = (await alice.get(f"/api/chat/{chat}")).json
    assert set(told) == {"id", "title", "createdAt", "updatedAt", "visibility", "userId", "messages"}
    assert told["createdAt"] <= told["updatedAt"]
    assert told["createdAt"].endswith("Z")
    assert told["userId"] == demo_user("demo-alice")
    assert "alice" not in told["userId"]
    answer = told["messages"][1]
    assert answer["id"] == streamed.chunks[0]["messageId"]
    assert answer["parts"][0] == {"type": "step-start"}
    assert [part["type"] for part in answer["parts"]] == ["step-start", "tool-add", "step-start", "text"]
    assert "null" not in (await alice.get(f"/api/chat/{chat}")).body.decode()


@pytest.mark.requirement("KAI-50")
async def test_an_unknown_chat_is_not_found(kai: Kai):
    for name in (fresh(), "%2F", "a%20b", "x" * 200):
        answer = await kai.user().get(f"/api/chat/{name}")
        assert (answer.status, answer.json["code"]) == (404, "not_found:chat")


@pytest.mark.requirement("KAI-50")
async def test_a_long_title_is_cut(kai: Kai):
    alice, chat = kai.user(), fresh()
    await alice.say(chat, "echo: " + "word " * 100)
    title = (await alice.get(f"/api/chat/{chat}")).json["title"]
    assert len(title) <= 80
    assert title.startswith("echo: word word")


# --------------------------------------------------------------------------- lists


@pytest.mark.requirement("KAI-51")
async def test_history_pages_in_both_directions(kai: Kai):
    alice = kai.user()
    assert await listed(alice) == ([], False)
    ids = await chats(alice, 7)
    assert await listed(alice, limit=3) == (ids[:3], True)
    assert await listed(alice, limit=3, starting_after=ids[2]) == (ids[3:6], True)
    assert await listed(alice, limit=3, starting_after=ids[5]) == (ids[6:], False)
    assert await listed(alice, limit=2, ending_before=ids[5]) == (ids[3:5], True)
    assert await listed(alice, limit=9, ending_before=ids[2]) == (ids[:2], False)
    assert await listed(alice, limit=7) == (ids, False)
    assert await listed(alice, limit=5000) == (ids, False)
    assert await listed(alice, starting_after="", ending_before="") == (ids, False)


@pytest.mark.requirement("KAI-51")
async def test_the_place_of_a_deleted_chat_stays_known(kai: Kai):
    alice = kai.user()
    ids = await chats(alice, 5)
    for chat in ids[:3]:
        await alice.call("DELETE", "/api/chat", id=chat)
    assert await listed(alice, limit=2, starting_after=ids[1]) == (ids[3:], False)


@pytest.mark.requirement("KAI-51")
async def test_bad_paging_is_refused(kai: Kai):
    alice, bob = kai.user("alice"), kai.user("bob")
    (mine,), (theirs,) = await chats(alice, 1), await chats(bob, 1)
    for query in ({"limit": 0}, {"limit": -1}, {"limit": "many"}, {"starting_after": mine, "ending_before": mine}):
        answer = await alice.get("/api/history", **query)
        assert (answer.status, answer.json["code"]) == (400, "bad_request:api")
    for cursor in (theirs, fresh()):
        for way in ("starting_after", "ending_before"):
            answer = await alice.get("/api/history", **{way: cursor})
            assert (answer.status, answer.json["code"]) == (404, "not_found:history")


@pytest.mark.requirement("KAI-51")
async def test_pages_built_on_the_template_swap_the_cursors():
    async with kai_app(kai={"history": {"cursors": "template"}}) as kai:
        alice = kai.user()
        ids = await chats(alice, 3)
        assert await listed(alice, ending_before=ids[0]) == (ids[1:], False)
        assert await listed(alice, starting_after=ids[2]) == (ids[:2], False)


# --------------------------------------------------------------------------- deletion


@pytest.mark.requirement("KAI-52")
async def test_a_deleted_chat_is_gone_with_its_votes(kai: Kai):
    alice, chat = kai.user(), fresh()
    await alice.say(chat, "echo: x")
    summary = (await alice.call("DELETE", "/api/chat", id=chat)).json
    assert summary["id"] == chat
    assert "messages" not in summary
    for method, path, query, code in (
        ("GET", f"/api/chat/{chat}", {}, "not_found:chat"),
        ("GET", "/api/vote", {"chatId": chat}, "not_found:vote"),
        ("DELETE", "/api/chat", {"id": chat}, "not_found:chat"),
    ):
        answer = await alice.call(method, path, **query)
        assert (answer.status, answer.json["code"]) == (404, code)
    assert await listed(alice) == ([], False)
    assert (await alice.call("DELETE", "/api/chat")).json["code"] == "bad_request:api"


@pytest.mark.requirement("KAI-52")
async def test_all_chats_of_one_user_can_be_deleted_at_once(kai: Kai):
    alice, bob = kai.user("alice"), kai.user("bob")
    await chats(alice, 3)
    theirs = await chats(bob, 1)
    assert (await alice.call("DELETE", "/api/history")).json == {"deletedCount": 3}
    assert await listed(alice) == ([], False)
    assert await listed(bob) == (theirs, False)
    assert (await alice.call("DELETE", "/api/history")).json == {"deletedCount": 0}


# --------------------------------------------------------------------------- votes


@pytest.mark.requirement("KAI-53")
async def test_one_vote_per_message_and_the_second_replaces_the_first(kai: Kai):
    alice, chat = kai.user(), fresh()
    await alice.say(chat, "echo: x")
    question, answer = [message["id"] for message in await alice.messages(chat)]
    assert (await alice.get("/api/vote", chatId=chat)).json == []
    for word in ("up", "down"):
        body = {"chatId": chat, "messageId": answer, "type": word}
        vote = (await alice.call("PATCH", "/api/vote", body)).json
        assert set(vote) == {"id", "chatId", "messageId", "type", "isUpvoted", "createdAt"}
        assert (vote["type"], vote["isUpvoted"]) == (word, word == "up")
    stored = (await alice.get("/api/vote", chatId=chat)).json
    assert [(vote["messageId"], vote["type"]) for vote in stored] == [(answer, "down")]
    body = {"chatId": chat, "messageId": question, "type": "up"}
    assert (await alice.call("PATCH", "/api/vote", body)).status == 200
    assert len((await alice.get("/api/vote", chatId=chat)).json) == 2


@pytest.mark.requirement("KAI-53")
async def test_bad_votes_are_refused(kai: Kai):
    alice, bob, chat = kai.user("alice"), kai.user("bob"), fresh()
    await alice.say(chat, "echo: x")
    message = (await alice.messages(chat))[1]["id"]
    good = {"chatId": chat, "messageId": message, "type": "up"}
    cases = [
        (alice, good | {"messageId": fresh()}, 404, "not_found:vote"),
        (alice, good | {"chatId": fresh()}, 404, "not_found:vote"),
        (alice, good | {"type": "sideways"}, 400, "bad_request:api"),
        (alice, {"chatId": chat, "type": "up"}, 400, "bad_request:api"),
        (alice, [], 400, "bad_request:api"),
        (bob, good, 403, "forbidden:vote"),
    ]
    for user, body, status, code in cases:
        answer = await user.call("PATCH", "/api/vote", body)
        assert (answer.status, answer.json["code"]) == (status, code)
    assert (await bob.get("/api/vote", chatId=chat)).json["code"] == "forbidden:vote"
    assert (await alice.get("/api/vote")).json["code"] == "bad_request:api"
    assert (await alice.get("/api/vote", chatId=chat)).json == []


@pytest.mark.requirement("KAI-53", "KAI-63")
async def test_a_vote_goes_with_the_answer_it_was_for(kai: Kai):
    page, chat = kai.user(browser=True), fresh()
    body = {
        "id": chat,
        "messages": [{"id": fresh("m"), "role": "user", "parts": [{"type": "text", "text": "echo: x"}]}],
    }
    await page.post("/api/chat", body)
    answer = (await page.messages(chat))[1]["id"]
    await page.call("PATCH", "/api/vote", {"chatId": chat, "messageId": answer, "type": "up"})
    await page.post("/api/chat", body | {"trigger": "regenerate-message", "messageId": answer})
    assert (await page.get("/api/vote", chatId=chat)).json == []


# --------------------------------------------------------------------------- isolation


@pytest.mark.requirement("KAI-54")
async def test_a_private_chat_is_closed_to_others_in_every_way(kai: Kai):
    alice, bob, chat = kai.user("alice"), kai.user("bob"), fresh()
    await alice.say(chat, "echo: secret")
    before = await alice.messages(chat)
    cases = [
        ("GET", f"/api/chat/{chat}", None, {}),
        ("GET", f"/api/chat/{chat}/stream", None, {}),
        ("POST", f"/api/chat/{chat}/stop", None, {}),
        ("POST", "/api/chat", message_body(chat, "recall"), {}),
        ("DELETE", "/api/chat", None, {"id": chat}),
    ]
    for method, path, body, query in cases:
        answer = await bob.call(method, path, body, **query)
        assert (answer.status, answer.json["code"]) == (403, "forbidden:chat")
        assert "secret" not in answer.body.decode()
    assert await listed(bob) == ([], False)
    assert await alice.messages(chat) == before


@pytest.mark.requirement("KAI-54")
async def test_a_public_chat_is_read_by_others_and_written_by_its_owner(kai: Kai):
    alice, bob, chat = kai.user("alice"), kai.user("bob"), fresh()
    await alice.say(chat, "echo: open", selectedVisibilityType="public")
    told = (await bob.get(f"/api/chat/{chat}")).json
    assert told["visibility"] == "public"
    assert told["messages"][1]["parts"][1]["text"] == "open"
    assert (await bob.say(chat, "echo: x")).json["code"] == "forbidden:chat"
    assert (await bob.call("DELETE", "/api/chat", id=chat)).status == 403
    vote = {"chatId": chat, "messageId": told["messages"][1]["id"], "type": "up"}
    assert (await bob.call("PATCH", "/api/vote", vote)).status == 403
    assert await listed(bob) == ([], False)
    await alice.say(chat, "echo: again", selectedVisibilityType="private")
    assert (await bob.get(f"/api/chat/{chat}")).status == 200
