"""Quotas, usage, settings, tools and suggestions."""

import pytest
from tests.kai.chunk_rules import text_of, types
from tests.server.kai_app import Kai, fresh, kai_app, message_body, page_body, page_message

from dragoman.engine.agents import Agent
from dragoman.engine.app import App
from dragoman.engine.tools import tool
from dragoman.testing import FakeClock, ScriptedModel

NOON = 1_800_014_400.0 - 1_800_014_400.0 % 86400 + 43200
"""Some noon, UTC."""


@pytest.fixture
async def kai():
    async with kai_app() as started:
        yield started


@pytest.mark.requirement("KAI-55")
async def test_a_quota_is_spent_and_comes_back_with_the_next_day():
    clock = FakeClock(NOON)
    async with kai_app(clock=clock) as kai:
        limited, chat = kai.user("limit2-x"), fresh()
        for n in (1, 2):
            assert (await limited.say(chat, f"echo: {n}")).status == 200
            assert (await limited.get("/api/usage")).json["messagesUsed"] == n
        refused = await limited.say(chat, "echo: 3")
        assert (refused.status, refused.json["code"]) == (429, "rate_limit:chat")
        assert refused.headers["retry-after"] == "43200"
        assert len(await limited.messages(chat)) == 4
        assert (await limited.get("/api/usage")).json["messagesUsed"] == 2
        clock.advance(43200)
        assert (await limited.get("/api/usage")).json["messagesUsed"] == 0
        assert (await limited.say(chat, "echo: 4")).status == 200


@pytest.mark.requirement("KAI-55")
async def test_a_refused_message_does_not_stop_the_run_that_is_active():
    async with kai_app() as kai:
        limited, chat = kai.user("limit1-x"), fresh()
        stream = await limited.begin(chat, "approve: create_bucket q")
        call = (await stream.until_chunk("tool-approval-request"))["toolCallId"]
        assert (await limited.say(chat, "echo: x")).status == 429
        answer = await limited.post(f"/api/chat/{chat}/approval", {"toolUseId": call, "approved": True})
        assert answer.status == 200
        assert text_of((await stream.end()).chunks) == "created q"


@pytest.mark.requirement("KAI-55")
async def test_usage_says_limit_and_end_of_the_window():
    async with kai_app(clock=FakeClock(NOON)) as kai:
        usage = (await kai.user("limit9-x").get("/api/usage")).json
        assert usage == {"messagesUsed": 0, "messagesLimit": 9, "resetDate": "2027-01-16T00:00:00.000Z"}
        assert (await kai.user().get("/api/usage")).json["messagesLimit"] > 10_000


@pytest.mark.requirement("KAI-55")
async def test_repetitions_decisions_and_refusals_do_not_count_and_a_setting_may_limit_everybody():
    async with kai_app(kai={"limits": {"messages_per_day": 2}, "approval": {"mode": "close"}}) as kai:
        alice, chat = kai.user(), fresh()
        body = message_body(chat, "approve: create_bucket q")
        first = await alice.post("/api/chat", body)
        await alice.post("/api/chat", body)
        call = next(chunk for chunk in first.chunks if chunk["type"] == "tool-approval-request")["toolCallId"]
        await alice.post(f"/api/chat/{chat}/approval", {"toolUseId": call, "approved": False})
        await alice.say(chat, "")
        usage = (await alice.get("/api/usage")).json
        assert (usage["messagesUsed"], usage["messagesLimit"]) == (1, 2)
        await alice.say(chat, "echo: x")
        question = page_message("echo: y")
        again = page_body(chat, question) | {"trigger": "regenerate-message"}
        assert (await alice.post("/api/chat", again)).status == 429


# --------------------------------------------------------------------------- settings


@pytest.mark.requirement("KAI-56")
async def test_project_settings_are_shared_and_change_only_what_is_sent(kai: Kai):
    alice, bob = kai.user("alice"), kai.user("bob")
    told = (await alice.get("/api/settings")).json
    assert set(told) == {"projectId", "customInstructions", "createdAt", "updatedAt"}
    assert (told["projectId"], told["customInstructions"]) == ("demo", None)
    await alice.call("PATCH", "/api/settings", {"customInstructions": "be brief"})
    assert (await alice.call("PATCH", "/api/settings", {})).json["customInstructions"] == "be brief"
    assert (await bob.get("/api/settings")).json["customInstructions"] == "be brief"
    cleared = await alice.call("PATCH", "/api/settings", {"customInstructions": None})
    assert cleared.json["customInstructions"] is None


@pytest.mark.requirement("KAI-56")
async def test_project_settings_may_need_a_scope():
    async with kai_app(kai={"project_settings": "admin"}) as kai:
        refused = await kai.user().call("PATCH", "/api/settings", {"customInstructions": "x"})
        assert (refused.status, refused.json["code"]) == (403, "forbidden:api")
        assert (await kai.user("you").call("PATCH", "/api/settings", {"customInstructions": "x"})).status == 200


@pytest.mark.requirement("KAI-56")
async def test_user_settings_merge_reset_and_are_ones_own(kai: Kai):
    alice, bob = kai.user("alice"), kai.user("bob")
    told = (await alice.get("/api/settings/user")).json
    assert (told["customInstructions"], told["toolPermissions"]) == (None, None)
    assert told["userId"]
    change = {"customInstructions": "mine", "toolPermissions": {"add": "blocked"}}
    await alice.call("PATCH", "/api/settings/user", change)
    told = await alice.call("PATCH", "/api/settings/user", {"toolPermissions": {"create_bucket": "always_ask"}})
    assert told.json["toolPermissions"] == {"add": "blocked", "create_bucket": "always_ask"}
    assert told.json["customInstructions"] == "mine"
    assert (await bob.get("/api/settings/user")).json["toolPermissions"] is None
    told = await alice.call("PATCH", "/api/settings/user", {"toolPermissions": None})
    assert told.json["toolPermissions"] is None
    assert told.json["createdAt"] <= told.json["updatedAt"]


@pytest.mark.requirement("KAI-56")
@pytest.mark.parametrize("path", ["/api/settings", "/api/settings/user"])
@pytest.mark.parametrize("body", [b"{", [], b"null", {"customInstructions": 5}, {"customInstructions": "x" * 20_001}])
async def test_bad_settings_are_refused(kai: Kai, path, body):
    answer = await kai.user().call("PATCH", path, body)
    assert (answer.status, answer.json["code"]) == (400, "bad_request:api")


@pytest.mark.requirement("KAI-56")
async def test_permissions_decide_about_approval(kai: Kai):
    alice = kai.user()

    async def permit(**permissions):
        await alice.call("PATCH", "/api/settings/user", {"toolPermissions": permissions or None})

    await permit(create_bucket="always_allow")
    allowed = (await alice.say(fresh(), "approve: create_bucket free")).chunks
    assert (text_of(allowed), "tool-approval-request" in types(allowed)) == ("created free", False)
    await permit(create_bucket="blocked")
    blocked = (await alice.say(fresh(), "approve: create_bucket never")).chunks
    assert (text_of(blocked), "tool-output-denied" in types(blocked)) == ("denied", True)
    await permit()
    await permit(add="always_ask")
    asked = (await alice.say(fresh(), "tool: add 1 2")).chunks
    assert asked[-1]["finishReason"] == "tool-calls"


@pytest.mark.requirement("KAI-56")
async def test_instructions_of_project_and_user_reach_the_model_in_this_order():
    model = ScriptedModel(["ok"])
    app = App("t", agents=[Agent("a", model=model, instructions="base")])
    async with kai_app(app) as kai:
        alice = kai.user()
        await alice.call("PATCH", "/api/settings", {"customInstructions": "of the project"})
        await alice.call("PATCH", "/api/settings/user", {"customInstructions": "of alice"})
        await alice.say(fresh(), "hi")
        assert model.requests[0].instructions == "base\n\nof the project\n\nof alice"


# --------------------------------------------------------------------------- tools, suggestions


@pytest.mark.requirement("KAI-57")
async def test_all_tools_are_listed_blocked_ones_included(kai: Kai):
    alice = kai.user()
    await alice.call("PATCH", "/api/settings/user", {"toolPermissions": {"add": "blocked"}})
    told = {one["name"]: one for one in (await alice.get("/api/settings/tools")).json["tools"]}
    assert told["add"] == {"name": "add", "description": "Adds two numbers.", "readOnly": True}
    assert told["create_bucket"]["readOnly"] is False


@pytest.mark.requirement("KAI-57")
async def test_a_tool_of_two_agents_is_listed_once():
    @tool(read_only=True)
    def look() -> str:
        return "x"

    agents = [Agent(name, model=ScriptedModel([]), tools=[look]) for name in ("a", "b")]
    async with kai_app(App("t", agents=agents)) as kai:
        listed = (await kai.user().get("/api/settings/tools")).json["tools"]
        assert listed == [{"name": "look", "description": "look", "readOnly": True}]


@pytest.mark.requirement("KAI-58")
@pytest.mark.parametrize("context", ["dashboard", "job-detail", "configuration-detail"])
@pytest.mark.parametrize("own", [True, False])
async def test_suggestions_come_highest_priority_first(context, own):
    app = None if own else App("t", agents=[Agent("a", model=ScriptedModel([]))])
    async with kai_app(app) as kai:
        told = (await kai.user().post("/api/suggestions", {"context": context, "data": {"id": 1}})).json
        assert told["suggestionSessionId"]
        assert 1 <= len(told["suggestions"]) <= 6
        priorities = [one["priority"] for one in told["suggestions"]]
        assert priorities == sorted(priorities, reverse=True)
        for one in told["suggestions"]:
            assert set(one) == {"id", "label", "prompt", "priority", "category", "reasoning"}
            assert all(isinstance(one[field], str) and one[field] for field in set(one) - {"priority"})


@pytest.mark.requirement("KAI-58")
async def test_an_app_may_suggest_texts_and_its_faults_give_an_empty_list():
    async def suggest(context, data, principal):
        if data.get("fail"):
            raise ValueError("no")
        return [f"Look at {data['name']}", {"label": "Two", "prompt": "two", "priority": 5}]

    app = App("t", agents=[Agent("a", model=ScriptedModel([]))], suggestions=suggest)
    async with kai_app(app) as kai:
        alice = kai.user()
        told = (await alice.post("/api/suggestions", {"context": "dashboard", "data": {"name": "x"}})).json
        assert [one["label"] for one in told["suggestions"]] == ["Two", "Look at x"]
        failed = await alice.post("/api/suggestions", {"context": "dashboard", "data": {"fail": True}})
        assert (failed.status, failed.json["suggestions"]) == (200, [])


@pytest.mark.requirement("KAI-58")
@pytest.mark.parametrize(
    "body", [b"{", {"context": "dashboard"}, {"context": "dashboard", "data": 3}, {"context": "x", "data": {}}]
)
async def test_bad_suggestion_requests_are_refused(kai: Kai, body):
    answer = await kai.user().post("/api/suggestions", body)
    assert (answer.status, answer.json["code"]) == (400, "bad_request:api")
