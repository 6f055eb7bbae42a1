"""Messages and their streams: framing, profiles, memory, edits, repetitions, policies."""

import asyncio
import re

import pytest
from tests.kai.chunk_rules import check_stream, text_of, types
from tests.server.kai_app import Gate, Kai, fresh, kai_app, message_body, page_body, page_message

from dragoman.core.messages import ModelItem, ModelText
from dragoman.demo.app import demo_app
from dragoman.engine.agents import Agent
from dragoman.engine.app import App
from dragoman.engine.tools import tool
from dragoman.testing import ScriptedModel, tool_call


@pytest.fixture
async def kai():
    async with kai_app() as started:
        yield started


def texts(messages, role="assistant"):
    return [
        "".join(part.get("text", "") for part in message["parts"] if part["type"] == "text")
        for message in messages
        if message["role"] == role
    ]


@pytest.mark.requirement("KAI-35")
async def test_a_stream_has_its_headers_and_is_ascii(kai: Kai):
    answer = await kai.user().say(fresh(), "echo: \u2028 \u0085 😀 žluť")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["x-vercel-ai-ui-message-stream"] == "v1"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-accel-buffering"] == "no"
    assert "content-encoding" not in answer.headers
    assert re.fullmatch(r"[0-9a-f-]{36}", answer.headers["x-dragoman-run"])
    assert answer.body.isascii()
    assert answer.body.startswith(b": ")
    assert text_of(answer.chunks) == "\u2028 \u0085 😀 žluť"


@pytest.mark.requirement("KAI-36", "KAI-37")
@pytest.mark.parametrize("text", ["echo: hi", "tool: add 2 3", "reason: why", "fail: x", "widget: form", "nonsense"])
async def test_every_command_gives_a_well_formed_stream_in_both_profiles(kai: Kai, text):
    plain = await kai.user().say(fresh(), text)
    check_stream(plain.chunks, ui=False)
    page = kai.user(browser=True)
    strict = await page.post("/api/chat", page_body(fresh(), page_message(text)))
    check_stream(strict.chunks, ui=True)


@pytest.mark.requirement("KAI-37")
async def test_the_form_of_the_body_alone_makes_a_browser(kai: Kai):
    answer = await kai.user().post("/api/chat", page_body(fresh(), page_message("tool: add 1 1")))
    check_stream(answer.chunks, ui=True)
    assert "finish-step" in types(answer.chunks)
    answer = await kai.user(browser=True).say(fresh(), "tool: add 1 1")
    assert "finish-step" in types(answer.chunks)


@pytest.mark.requirement("KAI-38")
async def test_what_was_streamed_is_stored_and_remembered(kai: Kai):
    alice, chat = kai.user(), fresh()
    first = await alice.say(chat, "echo: one")
    assert text_of(first.chunks) == "one"
    stored = await alice.messages(chat)
    assert [message["role"] for message in stored] == ["user", "assistant"]
    assert stored[1]["id"] == first.chunks[0]["messageId"]
    assert text_of((await alice.say(chat, "recall")).chunks) == "echo: one"
    assert text_of((await alice.say(fresh(), "recall")).chunks) != "echo: one"


@pytest.mark.requirement("KAI-38")
async def test_each_delta_is_one_chunk_and_comes_when_it_is_made():
    gate = Gate()
    async with kai_app(demo_app(sleep=gate.sleep)) as kai:
        answer = await kai.user().begin(fresh(), "slow: 3 1000")
        for step in (1, 2, 3):
            gate.let()
            await answer.until_chunk("text-delta", step)
            assert types(answer.so_far).count("text-delta") == step
        assert text_of((await answer.end()).chunks) == "1 2 3"


@pytest.mark.requirement("KAI-39")
async def test_a_read_only_tool_runs_within_the_stream_and_its_output_is_an_object(kai: Kai):
    alice, chat = kai.user(), fresh()
    answer = await alice.say(chat, "tool: add 2 3")
    output = next(chunk for chunk in answer.chunks if chunk["type"] == "tool-output-available")
    assert (output["output"], output["toolName"]) == ({"result": 5}, "add")
    part = next(part for part in (await alice.messages(chat))[1]["parts"] if part["type"] == "tool-add")
    assert part["output"] == {"result": 5}


@pytest.mark.requirement("KAI-46")
async def test_a_failure_keeps_the_text_and_marks_the_message(kai: Kai):
    alice, chat = kai.user(), fresh()
    answer = await alice.say(chat, "fail: out of cheese")
    error = next(chunk for chunk in answer.chunks if chunk["type"] == "error")
    assert (error["code"], "out of cheese" in error["message"]) == ("model_error:chat", True)
    stored = await alice.messages(chat)
    assert stored[1]["metadata"] == {"interrupted": True}
    assert texts(stored) != [""]
    assert text_of((await alice.say(chat, "recall")).chunks) == "fail: out of cheese"


@pytest.mark.requirement("KAI-46")
async def test_errors_that_are_not_exposed_show_a_reference():
    async with kai_app(errors={"expose": False}) as kai:
        answer = await kai.user().say(fresh(), "fail: secret host")
        error = next(chunk for chunk in answer.chunks if chunk["type"] == "error")
        assert "secret host" not in str(error)
        assert "reference" in error["errorText"]


@pytest.mark.requirement("KAI-47")
async def test_reasoning_is_streamed_and_stored_before_the_text(kai: Kai):
    alice, chat = kai.user(), fresh()
    answer = await alice.say(chat, "reason: why")
    kinds = types(answer.chunks)
    assert kinds.index("reasoning-end") < kinds.index("text-start")
    assert [part["type"] for part in (await alice.messages(chat))[1]["parts"]] == ["step-start", "reasoning", "text"]


@pytest.mark.requirement("KAI-59")
async def test_metadata_and_branch_are_kept_and_hidden_messages_count_for_the_model(kai: Kai):
    alice, chat = kai.user(), fresh()
    body = message_body(chat, "echo: quiet", branchId=77)
    body["message"]["metadata"] = {"hidden": True, "requestContext": {"path": "/storage"}}
    await alice.post("/api/chat", body)
    assert (await alice.messages(chat))[0]["metadata"] == body["message"]["metadata"]
    thread = await kai.services.store.thread("demo", chat)
    assert thread.branch == "77"
    assert text_of((await alice.say(chat, "recall")).chunks) == "echo: quiet"


@pytest.mark.requirement("KAI-60")
async def test_aliases_choose_agent_and_reasoning():
    plain, deep = ScriptedModel(["plain"], name="p"), ScriptedModel(["deep", "deep"], name="d")
    other = ScriptedModel(["other", "other"], name="o")
    app = App("t", agents=[Agent("one", model=plain, reasoning_model=deep), Agent("two", model=other)])
    aliases = {"gpt": {"agent": "one", "reasoning": True}, "second": "two"}
    async with kai_app(app, kai={"models": {"aliases": aliases}}) as kai:
        said = {
            alias: text_of((await kai.user().say(fresh(), "hi", selectedChatModel=alias)).chunks)
            for alias in ("chat-model", "chat-model-reasoning", "gpt", "second", "two")
        }
        assert said == {
            "chat-model": "plain",
            "chat-model-reasoning": "deep",
            "gpt": "deep",
            "second": "other",
            "two": "other",
        }
        refused = await kai.user().say(fresh(), "hi", selectedChatModel="three")
        assert (refused.status, refused.json["code"]) == (400, "bad_request:api")
        assert "chat-model-reasoning" in refused.json["message"]


@pytest.mark.requirement("KAI-60")
async def test_an_unknown_alias_may_mean_the_first_agent():
    async with kai_app(kai={"models": {"unknown": "default"}}) as kai:
        assert text_of((await kai.user().say(fresh(), "echo: x", selectedChatModel="?")).chunks) == "x"


# --------------------------------------------------------------------------- one run per chat


@pytest.mark.requirement("KAI-61")
async def test_a_new_message_supersedes_the_run_and_keeps_its_part():
    gate = Gate()
    async with kai_app(demo_app(sleep=gate.sleep)) as kai:
        alice, chat = kai.user(), fresh()
        first = await alice.begin(chat, "slow: 9 1000")
        gate.let(2)
        await first.until_chunk("text-delta", 2)
        assert text_of((await alice.say(chat, "echo: hi")).chunks) == "hi"
        assert (await first.end()).chunks[-1] == {"type": "abort", "reason": "superseded"}
        stored = await alice.messages(chat)
        assert [message["role"] for message in stored] == ["user", "assistant", "user", "assistant"]
        assert texts(stored) == ["1 2", "hi"]
        assert stored[1]["metadata"] == {"interrupted": True}


@pytest.mark.requirement("KAI-61")
async def test_a_busy_chat_may_reject():
    gate = Gate()
    async with kai_app(demo_app(sleep=gate.sleep), kai={"busy": "reject"}) as kai:
        alice, chat = kai.user(), fresh()
        first = await alice.begin(chat, "slow: 2 1000")
        refused = await alice.say(chat, "echo: hi")
        assert (refused.status, refused.json["code"]) == (409, "conflict:chat")
        gate.let(2)
        assert text_of((await first.end()).chunks) == "1 2"
        assert len(await alice.messages(chat)) == 2
        assert (await alice.get("/api/usage")).json["messagesUsed"] == 1


@pytest.mark.requirement("KAI-61")
async def test_a_busy_chat_may_queue():
    gate = Gate()
    async with kai_app(demo_app(sleep=gate.sleep), kai={"busy": "queue"}) as kai:
        alice, chat = kai.user(), fresh()
        first = await alice.begin(chat, "slow: 2 1000")
        second = asyncio.create_task(alice.say(chat, "recall"))
        gate.let(2)
        assert text_of((await first.end()).chunks) == "1 2"
        assert text_of((await second).chunks) == "slow: 2 1000"


@pytest.mark.requirement("KAI-61")
async def test_messages_at_the_same_time_leave_question_and_answer_in_turn(kai: Kai):
    alice, chat = kai.user(), fresh()
    await asyncio.gather(*(alice.say(chat, f"echo: {n}") for n in range(6)))
    stored = await alice.messages(chat)
    assert [message["role"] for message in stored] == ["user", "assistant"] * 6
    assert len({message["id"] for message in stored}) == 12


# --------------------------------------------------------------------------- browsers


@pytest.mark.requirement("KAI-62")
async def test_a_page_uses_its_own_ids_and_the_stored_history_wins(kai: Kai):
    page, chat = kai.user(browser=True), "aB3dE6gH9jK2mN5p"
    first = page_message("echo: true", message_id="Zy8xW7vU6tS5rQ4p")
    await page.post("/api/chat", page_body(chat, first))
    lie = [page_message("echo: a lie"), page_message("a lie", role="assistant"), page_message("recall")]
    answer = await page.post("/api/chat", page_body(chat, *lie))
    assert text_of(answer.chunks) == "echo: true"
    stored = await page.messages(chat)
    assert [message["id"] for message in stored][::2] == [first["id"], lie[-1]["id"]]
    assert "a lie" not in str(stored)


@pytest.mark.requirement("KAI-62")
async def test_a_tool_of_the_page_gets_its_result_from_the_page(kai: Kai):
    page, chat = kai.user(browser=True), fresh()
    question = page_message('client: pick {"x": 1}')
    answer = await page.post("/api/chat", page_body(chat, question))
    assert answer.chunks[-1]["finishReason"] == "tool-calls"
    asked = next(chunk for chunk in answer.chunks if chunk["type"] == "tool-input-available")
    part = {
        "type": "tool-pick",
        "toolCallId": asked["toolCallId"],
        "state": "output-available",
        "input": {"x": 1},
        "output": {"picked": 7},
    }
    told = page_message(role="assistant", parts=[part], message_id=answer.chunks[0]["messageId"])
    body = page_body(chat, question, told, messageId=told["id"])
    answer = await page.post("/api/chat", body)
    assert answer.chunks[0]["messageId"] == told["id"]
    assert "7" in text_of(answer.chunks)
    check_stream(answer.chunks, ui=True, known_calls=(asked["toolCallId"],))
    again = await page.post("/api/chat", body)
    assert again.chunks[-1]["finishReason"] == "stop"
    assert len(await page.messages(chat)) == 2


@pytest.mark.requirement("KAI-62")
async def test_the_output_of_a_servers_tool_cannot_be_sent(kai: Kai):
    page, chat = kai.user(browser=True), fresh()
    answer = await page.post("/api/chat", page_body(chat, page_message("approve: create_bucket x")))
    call = next(chunk for chunk in answer.chunks if chunk["type"] == "tool-approval-request")["toolCallId"]
    part = {"type": "tool-create_bucket", "toolCallId": call, "state": "output-available", "output": {"name": "evil"}}
    refused = await page.post("/api/chat", page_body(chat, page_message(role="assistant", parts=[part])))
    assert (refused.status, refused.json["code"]) == (400, "bad_request:api")
    assert (await page.messages(chat))[1]["parts"][1]["state"] == "approval-requested"


@pytest.mark.requirement("KAI-62")
async def test_an_output_that_only_repeats_what_the_server_told_is_no_decision(kai: Kai):
    page, chat = kai.user(browser=True), fresh()
    await page.post("/api/chat", page_body(chat, page_message("tool: add 1 2")))
    stored = await page.messages(chat)
    refused = await page.post("/api/chat", page_body(chat, *stored))
    assert (refused.status, refused.json["code"]) == (400, "bad_request:api")


@pytest.mark.requirement("KAI-63")
async def test_regenerate_replaces_the_answer_and_counts(kai: Kai):
    page, chat, question = kai.user(browser=True), fresh(), page_message("echo: again")
    first = await page.post("/api/chat", page_body(chat, question))
    old = first.chunks[0]["messageId"]
    second = await page.post("/api/chat", page_body(chat, question, messageId=old) | {"trigger": "regenerate-message"})
    assert text_of(second.chunks) == "again"
    stored = await page.messages(chat)
    assert [message["id"] for message in stored] == [question["id"], second.chunks[0]["messageId"]]
    assert stored[1]["id"] != old
    assert (await page.get("/api/usage")).json["messagesUsed"] == 2


@pytest.mark.requirement("KAI-63")
async def test_regenerating_an_older_answer_drops_what_came_after(kai: Kai):
    page, chat, question = kai.user(browser=True), fresh(), page_message("echo: one")
    await page.post("/api/chat", page_body(chat, question))
    await page.say(chat, "echo: two")
    await page.post("/api/chat", page_body(chat, question) | {"trigger": "regenerate-message"})
    assert texts(await page.messages(chat)) == ["one"]


@pytest.mark.requirement("KAI-63")
async def test_regenerating_a_message_that_never_arrived_sends_it(kai: Kai):
    page, chat, question = kai.user(browser=True), fresh(), page_message("echo: at last")
    answer = await page.post("/api/chat", page_body(chat, question) | {"trigger": "regenerate-message"})
    assert text_of(answer.chunks) == "at last"
    assert (await page.messages(chat))[0]["id"] == question["id"]


@pytest.mark.requirement("KAI-63")
async def test_an_edit_cuts_the_chat_behind_it(kai: Kai):
    page, chat, question = kai.user(browser=True), fresh(), page_message("echo: one")
    await page.post("/api/chat", page_body(chat, question))
    await page.say(chat, "echo: two")
    edited = page_message("echo: changed", message_id=question["id"])
    answer = await page.post("/api/chat", page_body(chat, edited, messageId=question["id"]))
    assert text_of(answer.chunks) == "changed"
    assert texts(await page.messages(chat)) == ["changed"]
    unknown = page_message("echo: new", message_id=fresh("m"))
    await page.post("/api/chat", page_body(chat, unknown, messageId=unknown["id"]))
    assert texts(await page.messages(chat)) == ["changed", "new"]


@pytest.mark.requirement("KAI-64")
async def test_a_repeated_message_is_answered_from_what_is_stored(kai: Kai):
    alice, chat = kai.user(), fresh()
    body = message_body(chat, "tool: add 20 3")
    first, second = await alice.post("/api/chat", body), await alice.post("/api/chat", body)
    assert text_of(second.chunks) == "23"
    assert second.chunks[0] == first.chunks[0]
    check_stream(second.chunks, ui=False)
    assert len(await alice.messages(chat)) == 2
    assert (await alice.get("/api/usage")).json["messagesUsed"] == 1
    body["message"]["parts"] = [{"type": "text", "text": "other"}]
    refused = await alice.post("/api/chat", body)
    assert (refused.status, refused.json["code"]) == (409, "conflict:message")


@pytest.mark.requirement("KAI-64")
async def test_a_repetition_joins_the_run_that_is_under_way():
    gate = Gate()
    async with kai_app(demo_app(sleep=gate.sleep)) as kai:
        alice, body = kai.user(), message_body(fresh(), "slow: 3 1000")
        first = await alice.open("POST", "/api/chat", body)
        gate.let()
        await first.until_chunk("text-delta")
        second = await alice.open("POST", "/api/chat", body)
        gate.let(2)
        assert text_of((await second.end()).chunks) == text_of((await first.end()).chunks) == "1 2 3"


@pytest.mark.requirement("KAI-64")
async def test_a_repetition_of_a_failed_message_runs_again(kai: Kai):
    alice, body = kai.user(), message_body(fresh(), "fail: once")
    first, second = await alice.post("/api/chat", body), await alice.post("/api/chat", body)
    assert first.chunks[0] != second.chunks[0]
    assert len(await alice.messages(body["id"])) == 2


@pytest.mark.requirement("KAI-65")
async def test_usage_is_told_once_for_all_model_calls(kai: Kai):
    answer = await kai.user().say(fresh(), "tool: add 2 3")
    told = [chunk for chunk in answer.chunks if chunk["type"] == "data-usage"]
    assert len(told) == 1
    data = told[0]["data"]
    assert told[0]["transient"] is True
    assert data["totalTokens"] == data["promptTokens"] + data["completionTokens"] > 0
    assert all(isinstance(number, int) for number in data.values())


# --------------------------------------------------------------------------- tools and items


@pytest.mark.requirement("KAI-67")
async def test_a_failing_tool_and_bad_arguments_reach_client_and_model():
    @tool(read_only=True)
    def broken(x: int) -> int:
        """Breaks."""
        raise ValueError("it broke")

    model = ScriptedModel([[tool_call("broken", x=1)], [tool_call("broken", x="many")], "sorry"])
    async with kai_app(App("t", agents=[Agent("a", model=model, tools=[broken])])) as kai:
        alice, chat = kai.user(), fresh()
        answer = await alice.say(chat, "go")
        check_stream(answer.chunks, ui=False)
        errors = [chunk for chunk in answer.chunks if chunk["type"] == "tool-output-error"]
        assert errors[0]["errorText"] == "it broke"
        wrong = next(chunk for chunk in answer.chunks if chunk["type"] == "tool-input-error")
        assert "x" in wrong["errorText"]
        assert text_of(answer.chunks) == "sorry"
        parts = [part for part in (await alice.messages(chat))[1]["parts"] if part["type"] == "tool-broken"]
        assert [part["state"] for part in parts] == ["output-error", "output-error"]
        assert "it broke" in str(model.requests[1].messages[-1])


@pytest.mark.requirement("KAI-73")
async def test_files_reach_the_model_and_come_back(kai: Kai):
    page, chat = kai.user(browser=True), fresh()
    file = {"type": "file", "mediaType": "text/plain", "url": "https://x.example/notes.txt", "filename": "notes.txt"}
    question = page_message(parts=[file, {"type": "text", "text": "files"}])
    answer = await page.post("/api/chat", page_body(chat, question))
    assert text_of(answer.chunks) == "notes.txt"
    assert (await page.messages(chat))[0]["parts"] == question["parts"]


@pytest.mark.requirement("KAI-73")
async def test_sources_files_and_data_of_a_model_are_chunks_and_parts():
    said = [
        ModelItem("source", {"id": "s1", "url": "https://x.example", "title": "X"}),
        ModelItem("file", {"url": "data:,x", "media_type": "text/plain"}),
        ModelItem("data", {"name": "chart", "data": {"y": [1]}}),
        ModelText("see"),
    ]
    async with kai_app(App("t", agents=[Agent("a", model=ScriptedModel([said]))])) as kai:
        page, chat = kai.user(browser=True), fresh()
        answer = await page.post("/api/chat", page_body(chat, page_message("go")))
        check_stream(answer.chunks, ui=True)
        told = [chunk for chunk in answer.chunks if chunk["type"] in ("source-url", "file", "data-chart")]
        assert [part for part in (await page.messages(chat))[1]["parts"][1:] if part["type"] != "text"] == told


@pytest.mark.requirement("KAI-73")
async def test_a_new_chat_tells_its_title_once(kai: Kai):
    alice, chat = kai.user(), fresh()
    answer = await alice.say(chat, "echo: a\n  long   story")
    title = [chunk for chunk in answer.chunks if chunk["type"] == "data-chat-title"]
    assert title == [{"type": "data-chat-title", "data": "echo: a long story", "transient": True}]
    assert (await alice.get(f"/api/chat/{chat}")).json["title"] == "echo: a long story"
    assert "data-chat-title" not in types((await alice.say(chat, "echo: b")).chunks)


@pytest.mark.requirement("KAI-73")
async def test_a_chat_is_named_after_its_question_and_without_one_after_its_file(kai: Kai):
    alice = kai.user(browser=True)
    file = {"type": "file", "mediaType": "text/plain", "url": "https://x.example/notes.txt", "filename": "notes.txt"}
    for parts, title in (([file, {"type": "text", "text": "files"}], "files"), ([file], "notes.txt")):
        chat = fresh()
        await alice.post("/api/chat", page_body(chat, page_message(parts=parts)))
        assert (await alice.get(f"/api/chat/{chat}")).json["title"] == title


@pytest.mark.requirement("KAI-73")
async def test_a_title_follows_its_question_until_somebody_gives_another(kai: Kai):
    alice, chat, question = kai.user(browser=True), fresh(), page_message("echo: one")

    async def edit(text: str, message_id: str) -> str:
        edited = page_message(text, message_id=message_id)
        await alice.post("/api/chat", page_body(chat, edited, messageId=message_id))
        return str((await alice.get(f"/api/chat/{chat}")).json["title"])

    await alice.post("/api/chat", page_body(chat, question))
    second = page_message("echo: one")
    await alice.post("/api/chat", page_body(chat, second))
    assert await edit("echo: two", second["id"]) == "echo: one"
    assert await edit("echo: three", question["id"]) == "echo: three"
    renamed = await alice.call("PATCH", f"/dragoman/v1/threads/{chat}", {"title": "Mine"})
    assert renamed.status == 200
    assert await edit("echo: four", question["id"]) == "Mine"
