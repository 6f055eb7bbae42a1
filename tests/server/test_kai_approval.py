"""Approval: five forms, what wins, what is refused, and how long a stream stays open."""

import asyncio

import pytest
from tests.kai.chunk_rules import check_stream, text_of, types
from tests.server.kai_app import (
    Gate,
    Kai,
    control_body,
    fresh,
    kai_app,
    message_body,
    page_body,
    page_message,
    word,
)

from dragoman.demo.app import demo_app
from dragoman.engine.agents import Agent
from dragoman.engine.app import App
from dragoman.engine.tools import tool
from dragoman.testing import FakeClock, ScriptedModel, tool_call

CLOSE = {"approval": {"mode": "close"}}
HOLD = {"approval": {"mode": "hold"}}


@pytest.fixture
async def kai():
    """Streams end at once when a call waits."""
    async with kai_app(kai=CLOSE) as started:
        yield started


@pytest.fixture
async def holding():
    """Streams wait for the decision."""
    async with kai_app(kai=HOLD) as started:
        yield started


def approval_request(chunks):
    return next(chunk for chunk in chunks if chunk["type"] == "tool-approval-request")


async def pending(user, chat, name="b1"):
    """(call, approval, chunks) of a call that waits, its stream over."""
    answer = await user.say(chat, f"approve: create_bucket {name}")
    asked = approval_request(answer.chunks)
    return asked["toolCallId"], asked["approvalId"], answer.chunks


async def tool_part(user, chat):
    parts = [part for message in await user.messages(chat) for part in message["parts"]]
    return next(part for part in parts if part["type"].startswith("tool-"))


def responded(call, approval, approved, **more):
    return {
        "type": "tool-create_bucket",
        "toolCallId": call,
        "state": "approval-responded",
        "input": {"name": "evil"},
        "output": {"name": "evil"},
        "approval": {"id": approval, "approved": approved, **more},
    }


async def form_a(user, chat, call, approval, approved):
    return await user.post("/api/chat", control_body(chat, word(call, "confirmed" if approved else "denied")))


async def form_b(user, chat, call, approval, approved):
    return await user.post("/api/chat", control_body(chat, responded(call, approval, approved), role="assistant"))


async def form_c(user, chat, call, approval, approved):
    part = {"type": "tool-approval-response", "approvalId": approval, "approved": approved}
    return await user.post("/api/chat", control_body(chat, part))


async def form_e(user, chat, call, approval, approved):
    stored = await user.messages(chat)
    told = page_message(role="assistant", parts=[responded(call, approval, approved)], message_id=stored[1]["id"])
    return await user.post("/api/chat", page_body(chat, stored[0], told, messageId=told["id"]))


FORMS = [
    pytest.param(form_a, marks=pytest.mark.requirement("KAI-40"), id="A"),
    pytest.param(form_b, marks=pytest.mark.requirement("KAI-41"), id="B"),
    pytest.param(form_c, marks=pytest.mark.requirement("KAI-42"), id="C"),
    pytest.param(form_e, marks=pytest.mark.requirement("KAI-44"), id="E"),
]


@pytest.mark.requirement("KAI-40")
async def test_a_call_that_waits_is_stored_before_it_is_told(kai: Kai):
    alice, chat = kai.user(), fresh()
    call, approval, chunks = await pending(alice, chat)
    assert chunks[-1] == {"type": "finish", "finishReason": "tool-calls"}
    assert "tool-output-available" not in types(chunks)
    assert await tool_part(alice, chat) == {
        "type": "tool-create_bucket",
        "toolCallId": call,
        "state": "approval-requested",
        "input": {"name": "b1"},
        "approval": {"id": approval},
    }


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("approved", [True, False])
async def test_every_form_decides_and_its_answer_is_the_continuation(kai: Kai, form, approved):
    alice, chat = kai.user(), fresh()
    call, approval, before = await pending(alice, chat)
    answer = await form(alice, chat, call, approval, approved)
    assert answer.chunks[0] == before[0]
    check_stream(answer.chunks, ui=form is form_e, known_calls=(call,))
    kind = "tool-output-available" if approved else "tool-output-denied"
    assert types(answer.chunks)[1] == kind
    assert text_of(answer.chunks) == ("created b1" if approved else "denied")
    assert answer.chunks[-1]["finishReason"] == "stop"
    assert [message["role"] for message in await alice.messages(chat)] == ["user", "assistant"]
    part = await tool_part(alice, chat)
    assert part["state"] == ("output-available" if approved else "output-denied")
    assert part["input"] == {"name": "b1"}
    assert part["approval"]["approved"] is approved


@pytest.mark.requirement("KAI-41")
async def test_a_denial_keeps_its_reason_and_the_model_hears_it(kai: Kai):
    alice, chat = kai.user(), fresh()
    call, approval, _ = await pending(alice, chat)
    part = responded(call, approval, False, reason="not today")
    await alice.post("/api/chat", control_body(chat, part, role="assistant"))
    assert (await tool_part(alice, chat))["approval"] == {"id": approval, "approved": False, "reason": "not today"}


@pytest.mark.requirement("KAI-40")
async def test_another_word_is_refused_and_the_call_stays_pending(kai: Kai):
    alice, chat = kai.user(), fresh()
    call, *_ = await pending(alice, chat)
    refused = await alice.post("/api/chat", control_body(chat, word(call, "maybe")))
    assert (refused.status, refused.json["code"]) == (400, "bad_request:api")
    assert (await tool_part(alice, chat))["state"] == "approval-requested"


# --------------------------------------------------------------------------- form D and holding


async def submit(user, chat, call, approved=True, *, mount="", **more):
    body = {"toolUseId": call, "approved": approved, **more}
    return await user.post(f"{mount}/api/chat/{chat}/approval", body)


@pytest.mark.requirement("KAI-43", "KAI-70")
@pytest.mark.parametrize("approved", [True, False])
async def test_a_submitted_approval_continues_the_stream_that_is_held(holding: Kai, approved):
    alice, chat = holding.user(), fresh()
    stream = await alice.begin(chat, "approve: create_bucket d1")
    asked = await stream.until_chunk("tool-approval-request")
    assert not stream.ended
    answer = await submit(alice, chat, asked["toolCallId"], approved)
    assert answer.json == {"success": True, "toolUseId": asked["toolCallId"], "approved": approved}
    assert answer.headers["x-dragoman-run"] == stream.headers["x-dragoman-run"]
    chunks = (await stream.end()).chunks
    check_stream(chunks, ui=False)
    assert text_of(chunks) == ("created d1" if approved else "denied")
    assert types(chunks).count("finish") == 1
    assert types(chunks).count("data-usage") == 1


@pytest.mark.requirement("KAI-43")
async def test_changed_input_is_checked_shown_and_stored(holding: Kai):
    alice, chat = holding.user(), fresh()
    stream = await alice.begin(chat, "approve: create_bucket d2")
    call = (await stream.until_chunk("tool-approval-request"))["toolCallId"]
    refused = await submit(alice, chat, call, updatedInput={"name": 5})
    assert (refused.status, refused.json["code"]) == (400, "bad_request:api")
    assert (await tool_part(alice, chat))["state"] == "approval-requested"
    await submit(alice, chat, call, updatedInput={"name": "changed"}, reason="r")
    chunks = (await stream.end()).chunks
    inputs = [chunk["input"] for chunk in chunks if chunk["type"] == "tool-input-available"]
    assert inputs == [{"name": "d2"}, {"name": "changed"}]
    assert text_of(chunks) == "created changed"
    assert (await tool_part(alice, chat))["input"] == {"name": "changed"}


@pytest.mark.requirement("KAI-43")
async def test_changed_input_in_a_message_is_shown_in_the_continuation(kai: Kai):
    alice, chat = kai.user(), fresh()
    call, *_ = await pending(alice, chat)
    part = word(call, "confirmed") | {"updatedInput": {"name": "changed"}}
    answer = await alice.post("/api/chat", control_body(chat, part))
    assert types(answer.chunks)[1:3] == ["tool-input-available", "tool-output-available"]
    assert text_of(answer.chunks) == "created changed"


@pytest.mark.requirement("KAI-43", "KAI-48")
async def test_a_late_approval_runs_in_the_background_and_can_be_followed():
    gate = Gate()
    async with kai_app(demo_app(sleep=gate.sleep), kai=CLOSE) as kai:
        alice, chat = kai.user(), fresh()
        call, *_ = await pending(alice, chat, "slow-d3")
        assert (await submit(alice, chat, call)).json["approved"] is True
        follower = await alice.open("GET", f"/api/chat/{chat}/stream")
        assert follower.status == 200
        gate.let()
        chunks = (await follower.end()).chunks
        check_stream(chunks, ui=False)
        assert "tool-input-available" in types(chunks)
        assert text_of(chunks) == "created slow-d3"


@pytest.mark.requirement("KAI-43")
@pytest.mark.parametrize("body", [b"{", [], {}, {"toolUseId": "x", "approved": "yes"}])
async def test_a_malformed_approval_is_refused(kai: Kai, body):
    alice, chat = kai.user(), fresh()
    await pending(alice, chat)
    refused = await alice.post(f"/api/chat/{chat}/approval", body)
    assert (refused.status, refused.json["code"]) == (400, "bad_request:api")


@pytest.mark.requirement("KAI-70")
async def test_hybrid_holds_for_a_while_and_then_ends():
    async with kai_app(kai={"approval": {"mode": "hybrid", "hold_seconds": 0.05}}) as kai:
        _, _, chunks = await pending(kai.user(), fresh())
        assert chunks[-1] == {"type": "finish", "finishReason": "tool-calls"}


@pytest.mark.requirement("KAI-70")
async def test_a_clock_that_is_set_back_does_not_prolong_a_hold():
    now = [1_700_000_000.0]
    async with kai_app(clock=lambda: now[0], kai={"approval": {"mode": "hybrid", "hold_seconds": 0.05}}) as kai:
        alice, chat = kai.user(), fresh()
        await pending(alice, chat)
        now[0] -= 3600
        again = await alice.get(f"/api/chat/{chat}/stream")
        assert again.chunks[-1] == {"type": "finish", "finishReason": "tool-calls"}


@pytest.mark.requirement("KAI-70")
async def test_hybrid_lets_a_decision_in_time_continue_the_stream():
    async with kai_app(kai={"approval": {"mode": "hybrid", "hold_seconds": 30.0}}) as kai:
        alice, chat = kai.user(), fresh()
        stream = await alice.begin(chat, "approve: create_bucket h")
        call = (await stream.until_chunk("tool-approval-request"))["toolCallId"]
        await submit(alice, chat, call)
        assert text_of((await stream.end()).chunks) == "created h"


@pytest.mark.requirement("KAI-70")
async def test_a_held_stream_whose_time_is_over_goes_on_with_a_denial():
    async with kai_app(kai={"approval": {"mode": "hold", "timeout": 0.1}}) as kai:
        alice, chat = kai.user(), fresh()
        answer = await alice.say(chat, "approve: create_bucket late")
        assert text_of(answer.chunks) == "denied"
        assert (await tool_part(alice, chat))["approval"]["reason"] == "timeout"


@pytest.mark.requirement("KAI-70")
async def test_a_held_stream_has_heartbeats():
    async with kai_app(kai=HOLD, limits={"heartbeat_seconds": 0.02}) as kai:
        stream = await kai.user().begin(fresh(), "approve: create_bucket h")
        await stream.until(lambda: stream.body.count(b"\n\n: ") >= 2)
        await stream.leave()


@pytest.mark.requirement("KAI-70")
async def test_the_second_mount_holds_whatever_the_first_one_does(kai: Kai):
    alice, chat = kai.user(), fresh()
    stream = await alice.begin(chat, "approve: create_bucket m", mount="/agent")
    call = (await stream.until_chunk("tool-approval-request"))["toolCallId"]
    await submit(alice, chat, call, mount="/agent")
    assert text_of((await stream.end()).chunks) == "created m"
    assert (await alice.get("/agent/api/history")).json["chats"][0]["id"] == chat


@pytest.mark.requirement("KAI-70")
async def test_a_browser_is_never_held(holding: Kai):
    page = holding.user(browser=True)
    answer = await page.post("/api/chat", page_body(fresh(), page_message("approve: create_bucket p")))
    check_stream(answer.chunks, ui=True)
    assert answer.chunks[-1]["finishReason"] == "tool-calls"


@pytest.mark.requirement("KAI-70")
async def test_with_approval_off_such_tools_are_not_offered():
    model = ScriptedModel(["no tools"])

    @tool
    def write() -> str:
        """Writes."""
        return "x"

    @tool(read_only=True)
    def look() -> str:
        """Looks."""
        return "x"

    app = App("t", agents=[Agent("a", model=model, tools=[write, look])])
    async with kai_app(app, kai={"approval": {"mode": "off"}}) as kai:
        await kai.user().say(fresh(), "hi")
        assert [spec.name for spec in model.requests[0].tools] == ["look"]


# --------------------------------------------------------------------------- safety


@pytest.mark.requirement("KAI-45")
async def test_the_same_decision_again_is_harmless_and_the_opposite_a_conflict(kai: Kai):
    alice, chat = kai.user(), fresh()
    call, approval, _ = await pending(alice, chat)
    await form_a(alice, chat, call, approval, True)
    again = await form_a(alice, chat, call, approval, True)
    assert types(again.chunks) == ["start", "tool-output-available", "finish"]
    assert again.chunks[-1]["finishReason"] == "stop"
    assert (await submit(alice, chat, call)).status == 200
    for form in (form_a, form_b, form_c):
        refused = await form(alice, chat, call, approval, False)
        assert (refused.status, refused.json["code"]) == (409, "conflict:approval")
    assert (await submit(alice, chat, call, approved=False)).status == 409
    assert len(await alice.messages(chat)) == 2


@pytest.mark.requirement("KAI-39", "KAI-45")
async def test_confirming_a_call_that_never_asked_is_harmless(kai: Kai):
    alice, chat = kai.user(), fresh()
    answer = await alice.say(chat, "tool: add 2 3")
    call = next(chunk for chunk in answer.chunks if chunk["type"] == "tool-input-start")["toolCallId"]
    late = await form_a(alice, chat, call, "", True)
    assert types(late.chunks) == ["start", "tool-output-available", "finish"]
    assert len(await alice.messages(chat)) == 2


@pytest.mark.requirement("KAI-45")
async def test_of_many_confirms_at_once_one_runs_the_tool():
    runs = []

    @tool
    async def write(name: str) -> dict[str, str]:
        """Writes."""
        runs.append(name)
        return {"name": name}

    model = ScriptedModel([[tool_call("write", name="x")], "done"])
    async with kai_app(App("t", agents=[Agent("a", model=model, tools=[write])]), kai=CLOSE) as kai:
        alice, chat = kai.user(), fresh()
        answer = await alice.say(chat, "go")
        call = approval_request(answer.chunks)["toolCallId"]
        answers = await asyncio.gather(*(form_a(alice, chat, call, "", True) for _ in range(5)))
        assert runs == ["x"]
        assert all(answer.status == 200 for answer in answers)
        assert any(text_of(answer.chunks) == "done" for answer in answers)


@pytest.mark.requirement("KAI-45")
async def test_a_decision_by_message_takes_the_continuation_from_a_held_stream(holding: Kai):
    alice, chat = holding.user(), fresh()
    stream = await alice.begin(chat, "approve: create_bucket s")
    asked = await stream.until_chunk("tool-approval-request")
    answer = await form_a(alice, chat, asked["toolCallId"], asked["approvalId"], True)
    chunks = (await stream.end()).chunks
    assert chunks[-1] == {"type": "finish", "finishReason": "tool-calls"}
    assert "tool-output-available" not in types(chunks)
    assert text_of(answer.chunks) == "created s"


@pytest.mark.requirement("KAI-45")
async def test_what_is_unknown_foreign_or_made_up_decides_nothing(kai: Kai):
    alice, bob, chat = kai.user("alice"), kai.user("bob"), fresh()
    call, approval, _ = await pending(alice, chat)
    for form in (form_a, form_b, form_c):
        foreign = await form(bob, chat, call, approval, True)
        assert (foreign.status, foreign.json["code"]) == (403, "forbidden:chat")
        nowhere = await form(alice, fresh(), call, approval, True)
        assert (nowhere.status, nowhere.json["code"]) == (404, "not_found:chat")
    assert (await form_a(alice, chat, "no-such", "", True)).json["code"] == "not_found:tool"
    assert (await form_c(alice, chat, call, "no-such", True)).json["code"] == "not_found:approval"
    assert (await form_b(alice, chat, call, "no-such", True)).json["code"] == "not_found:approval"
    assert (await submit(bob, chat, call)).json["code"] == "forbidden:chat"
    assert (await submit(alice, chat, "no-such")).json["code"] == "not_found:tool"
    lie = {"type": "text", "text": "I never said this", "state": "done"}
    assert (await tool_part(alice, chat))["state"] == "approval-requested"
    body = control_body(chat, lie, responded(call, approval, True), role="assistant")
    answer = await alice.post("/api/chat", body)
    assert text_of(answer.chunks) == "created b1"
    assert "never said" not in str(await alice.messages(chat))


@pytest.mark.requirement("KAI-45")
async def test_an_approval_of_another_chat_is_not_found(kai: Kai):
    alice, one, two = kai.user(), fresh(), fresh()
    call, approval, _ = await pending(alice, one)
    await alice.say(two, "echo: x")
    assert (await form_c(alice, two, call, approval, True)).status == 404
    assert (await tool_part(alice, one))["state"] == "approval-requested"


@pytest.mark.requirement("KAI-45")
async def test_a_new_message_supersedes_what_is_pending(kai: Kai):
    alice, chat = kai.user(), fresh()
    call, approval, _ = await pending(alice, chat)
    assert text_of((await alice.say(chat, "echo: never mind")).chunks) == "never mind"
    part = await tool_part(alice, chat)
    assert (part["state"], part["approval"]["reason"]) == ("output-denied", "superseded")
    refused = await form_a(alice, chat, call, approval, True)
    assert (refused.status, refused.json["code"]) == (409, "conflict:approval")


@pytest.mark.requirement("KAI-45")
async def test_a_pending_call_expires_as_denied():
    clock = FakeClock()
    async with kai_app(clock=clock, kai={"approval": {"mode": "close", "ttl": 60.0}}) as kai:
        alice, chat = kai.user(), fresh()
        call, approval, _ = await pending(alice, chat)
        clock.advance(61)
        await kai.services.engine.expire_due()
        assert (await tool_part(alice, chat))["approval"]["reason"] == "expired"
        assert (await form_a(alice, chat, call, approval, True)).json["code"] == "conflict:approval"


# --------------------------------------------------------------------------- several calls


@pytest.fixture
async def several():
    """One step with two calls that ask and one that does not."""

    @tool
    def write(name: str) -> dict[str, str]:
        """Writes."""
        return {"wrote": name}

    @tool(read_only=True)
    def look(name: str) -> str:
        """Looks."""
        return name

    calls = [tool_call("write", name="one"), tool_call("look", name="x"), tool_call("write", name="two")]
    app = App("t", agents=[Agent("a", model=ScriptedModel([calls, "all done"]), tools=[write, look])])
    async with kai_app(app, kai=CLOSE) as started:
        yield started


@pytest.mark.requirement("KAI-66")
async def test_calls_that_need_no_approval_run_before_the_pause_and_each_decision_is_streamed(several: Kai):
    alice, chat = several.user(), fresh()
    first = (await alice.say(chat, "go")).chunks
    check_stream(first, ui=False)
    asked = [chunk for chunk in first if chunk["type"] == "tool-approval-request"]
    assert len(asked) == 2
    outputs = [chunk["toolName"] for chunk in first if chunk["type"] == "tool-output-available"]
    assert outputs == ["look"]
    assert first[-1]["finishReason"] == "tool-calls"
    one, two = (chunk["toolCallId"] for chunk in asked)
    second = (await form_a(alice, chat, one, "", True)).chunks
    assert types(second) == ["start", "tool-output-available", "data-usage", "finish"]
    assert second[-1]["finishReason"] == "tool-calls"
    again = (await form_a(alice, chat, one, "", True)).chunks
    assert (types(again)[1], again[-1]["finishReason"]) == ("tool-output-available", "tool-calls")
    third = (await form_a(alice, chat, two, "", False)).chunks
    assert types(third)[1] == "tool-output-denied"
    assert text_of(third) == "all done"
    states = [part["state"] for part in (await alice.messages(chat))[1]["parts"] if part["type"].startswith("tool-")]
    assert states == ["output-available", "output-available", "output-denied"]


@pytest.mark.requirement("KAI-66")
async def test_one_message_may_decide_several_calls(several: Kai):
    alice, chat = several.user(), fresh()
    first = (await alice.say(chat, "go")).chunks
    asked = [chunk for chunk in first if chunk["type"] == "tool-approval-request"]
    parts = [
        {"type": "tool-write", "state": "approval-responded", "approval": {"id": chunk["approvalId"], "approved": True}}
        for chunk in asked
    ]
    answer = await alice.post("/api/chat", control_body(chat, *parts, role="assistant"))
    assert types(answer.chunks).count("tool-output-available") == 2
    assert text_of(answer.chunks) == "all done"


@pytest.mark.requirement("KAI-66")
async def test_a_call_can_be_decided_while_another_still_runs(holding: Kai):
    release = asyncio.Event()

    @tool
    def write(name: str) -> dict[str, str]:
        """Writes."""
        return {"wrote": name}

    @tool(read_only=True)
    async def look() -> str:
        """Looks."""
        await release.wait()
        return "x"

    model = ScriptedModel([[tool_call("write", name="one"), tool_call("look")], "all done"])
    async with kai_app(App("t", agents=[Agent("a", model=model, tools=[write, look])]), kai=HOLD) as kai:
        alice, chat = kai.user(), fresh()
        stream = await alice.begin(chat, "go")
        asked = await stream.until_chunk("tool-approval-request")
        assert (await tool_part(alice, chat))["state"] == "approval-requested"
        await submit(alice, chat, asked["toolCallId"])
        await stream.until_chunk("tool-output-available")
        release.set()
        assert text_of((await stream.end()).chunks) == "all done"


@pytest.mark.requirement("KAI-45")
async def test_an_earlier_decision_again_attaches_although_a_later_call_was_decided_since():
    release = asyncio.Event()

    @tool
    async def write(name: str) -> dict[str, str]:
        """Writes."""
        if name == "two":
            await release.wait()
        return {"wrote": name}

    calls = [[tool_call("write", name="one")], [tool_call("write", name="two")], "all done"]
    app = App("t", agents=[Agent("a", model=ScriptedModel(calls), tools=[write])])
    async with kai_app(app, kai=CLOSE) as kai:
        alice, chat = kai.user(), fresh()
        one = approval_request((await alice.say(chat, "go")).chunks)["toolCallId"]
        two = approval_request((await form_a(alice, chat, one, "", True)).chunks)["toolCallId"]
        later = await alice.open("POST", "/api/chat", control_body(chat, word(two, "confirmed")))
        again = await alice.open("POST", "/api/chat", control_body(chat, word(one, "confirmed")))
        await again.until_chunk("tool-approval-request")
        release.set()
        assert text_of((await later.end()).chunks) == "all done"
        assert text_of((await again.end()).chunks) == "all done"


@pytest.mark.requirement("KAI-40")
async def test_the_chat_goes_on_after_an_approval(kai: Kai):
    alice, chat = kai.user(), fresh()
    call, approval, _ = await pending(alice, chat)
    await form_a(alice, chat, call, approval, True)
    answer = await alice.post("/api/chat", message_body(chat, "recall"))
    assert text_of(answer.chunks) == "approve: create_bucket b1"
