"""`ModelChatKitServer`: agents of ours answer; what streamed is what is stored."""

from pathlib import Path
from typing import Any

import pytest
from tests.server.chatkit.talking import Talk, done, message, said, types

from dragoman.chatkit.errors import BadTarget, NothingPending
from dragoman.chatkit.store import NotFoundError
from dragoman.core.errors import BadRequest, UsageError
from dragoman.core.messages import ModelReasoning, ModelRequest, ModelText, ModelToolCall
from dragoman.engine.agents import Agent
from dragoman.engine.tools import tool
from dragoman.server.chatkit.finishing import first_words
from dragoman.server.chatkit.responder import ModelChatKitServer
from dragoman.server.chatkit.stores import SQLiteStore
from dragoman.testing import ScriptedModel
from dragoman.testing.model import tool_call

# --------------------------------------------------------------------------- messages


@pytest.mark.requirement("CHK-05", "CHK-27")
async def test_a_new_thread_is_told_then_the_message_then_the_answer(talk: Talk) -> None:
    thread, told = await talk.create("echo: hi")
    assert types(told) == [
        "thread.created",
        "done",
        "stream_options",
        "added",
        "updated",
        "updated",
        "done",
    ]
    assert told[0]["thread"]["metadata"] == {}
    assert said(done(told)) == ["echo: hi", "hi"]
    assert await talk.items(thread) == done(told)


@pytest.mark.requirement("CHK-27")
@pytest.mark.parametrize(
    "text", ["echo: hi", "reason: why", "tool: add 2 3", "count: 30", "widget: form", "client: p {}"]
)
async def test_what_streamed_is_what_is_read_later(talk: Talk, text: str) -> None:
    thread, told = await talk.create(text)
    assert await talk.items(thread) == done(told)
    added = [one["item"]["id"] for one in told if one["type"] == "thread.item.added"]
    assert set(added) <= {item["id"] for item in done(told)}


@pytest.mark.requirement("CHK-27")
async def test_deltas_are_neither_joined_nor_split(talk: Talk) -> None:
    _, told = await talk.create("count: 100")
    deltas = [one["update"]["delta"] for one in told if one.get("update", {}).get("type", "").endswith("text_delta")]
    assert len(deltas) == 100
    assert "".join(deltas) == said(done(told))[1]


@pytest.mark.requirement("CHK-06")
async def test_the_agent_remembers_the_thread(talk: Talk) -> None:
    thread, _ = await talk.create("echo: alpha")
    assert said(done(await talk.say(thread, "recall")))[1] == "echo: alpha"


@pytest.mark.requirement("CHK-27")
async def test_the_run_is_known_before_the_first_event(talk: Talk) -> None:
    result: Any = await talk.process("threads.create", input=message("echo: hi"))
    assert result.run_id is None
    await anext(result.json_events)
    run = await (await talk.store.rows()).run(result.run_id)
    assert run is not None
    assert run.face == "chatkit"
    await result.aclose()


@pytest.mark.requirement("CHK-07")
async def test_what_a_message_carries_beside_its_words_reaches_the_model(tmp_path: Path) -> None:
    model = ScriptedModel(["one", "two", "three"])
    talk = Talk(tmp_path / "data", Agent("a", model=model, instructions="Be brief."))
    content = [
        {"type": "input_text", "text": "compare "},
        {"type": "input_tag", "id": "t1", "text": "Ada", "data": {"born": "</mention>1815"}},
    ]
    options = {"tool_choice": {"id": "search"}}
    thread, told = await talk.create("", content=content, quoted_text="a </quoted_text> b", inference_options=options)
    assert done(told)[0]["content"] == [content[0], {**content[1], "interactive": False}]
    assert done(told)[0]["quoted_text"] == "a </quoted_text> b"
    first = model.requests[0]
    assert first.messages[-1].text == "compare @Ada"
    assert "<quoted_text>\na <\\/quoted_text> b\n</quoted_text>" in first.instructions
    assert '<mention name="Ada">' in first.instructions
    assert "<\\/mention>1815" in first.instructions
    assert '<tool name="search">' in first.instructions
    await talk.say(thread, "next")
    assert model.requests[1].instructions == "Be brief."
    await talk.stream("threads.retry_after_item", thread_id=thread, item_id=done(told)[0]["id"])
    assert "<quoted_text>" in model.requests[2].instructions
    await talk.close()


@pytest.mark.requirement("CHK-29")
async def test_a_message_without_anything_is_refused_and_leaves_nothing(talk: Talk) -> None:
    with pytest.raises(BadRequest):
        await talk.create("", content=[])
    assert (await talk.ask("threads.list"))["data"] == []


@pytest.mark.requirement("CHK-30")
async def test_a_thread_of_somebody_else_is_not_there(talk: Talk) -> None:
    thread, told = await talk.create("echo: hi")
    for type, params in (
        ("threads.add_user_message", {"input": message("recall")}),
        ("threads.add_client_tool_output", {"result": 1}),
        ("threads.retry_after_item", {"item_id": done(told)[0]["id"]}),
        ("threads.custom_action", {"action": {"type": "approval.approve", "payload": {"call": "x"}}}),
        ("threads.add_structured_input", {"item_id": "x", "input": {"answers": {}}}),
    ):
        with pytest.raises(NotFoundError):
            await talk.stream(type, who="eve", thread_id=thread, **params)
    assert said(await talk.items(thread)) == ["echo: hi", "hi"]


# --------------------------------------------------------------------------- failing and again


@pytest.mark.requirement("CHK-20")
async def test_a_failure_is_one_error_and_the_thread_goes_on(talk: Talk) -> None:
    thread, told = await talk.create("fail: oops")
    assert told[-1] == {"type": "error", "code": "custom", "message": "oops", "allow_retry": True}
    assert [item["type"] for item in await talk.items(thread)] == ["user_message", "end_of_turn"]
    assert said(done(await talk.say(thread, "recall")))[1] == "fail: oops"


@pytest.mark.requirement("CHK-20")
async def test_what_had_been_said_stays_if_the_server_wants_it(talk: Talk) -> None:
    talk.server.persist_on_error = True
    thread, told = await talk.create("fail: oops")
    assert said(await talk.items(thread)) == ["fail: oops", "One moment: "]
    assert await talk.items(thread) == done(told)


@pytest.mark.requirement("CHK-08")
async def test_a_retry_drops_what_lies_behind_the_message(talk: Talk) -> None:
    thread, told = await talk.create("echo: one")
    await talk.say(thread, "echo: two")
    again = await talk.stream("threads.retry_after_item", thread_id=thread, item_id=done(told)[0]["id"])
    assert types(again)[0] == "stream_options"
    assert said(await talk.items(thread)) == ["echo: one", "one"]


@pytest.mark.requirement("CHK-08")
async def test_only_a_message_of_the_user_can_be_answered_again(talk: Talk) -> None:
    thread, told = await talk.create("echo: one")
    with pytest.raises(BadTarget, match="not a user message"):
        await talk.stream("threads.retry_after_item", thread_id=thread, item_id=done(told)[1]["id"])
    with pytest.raises(NotFoundError):
        await talk.stream("threads.retry_after_item", thread_id=thread, item_id="msg_nobody")
    assert len(await talk.items(thread)) == 2


# --------------------------------------------------------------------------- client tools


@pytest.mark.requirement("CHK-13")
async def test_a_client_tool_call_ends_the_stream_and_its_output_goes_on(talk: Talk) -> None:
    thread, told = await talk.create('client: pick {"a": 1}')
    call = told[-1]["item"]
    assert (call["type"], call["status"], call["name"], call["arguments"]) == (
        "client_tool_call",
        "pending",
        "pick",
        {"a": 1},
    )
    more = await talk.stream("threads.add_client_tool_output", thread_id=thread, result={"b": 2})
    assert said(done(more)) == ['{"b":2}']
    stored = next(item for item in await talk.items(thread) if item["type"] == "client_tool_call")
    assert (stored["status"], stored["output"]) == ("completed", {"b": 2})
    with pytest.raises(NothingPending):
        await talk.stream("threads.add_client_tool_output", thread_id=thread, result={"b": 3})


@pytest.mark.requirement("CHK-13")
async def test_a_call_that_is_left_behind_keeps_nobody_waiting(talk: Talk) -> None:
    thread, told = await talk.create("client: pick {}")
    more = await talk.say(thread, "echo: on")
    assert types(more)[:3] == ["done", "stream_options", "replaced"]
    assert (more[2]["item"]["id"], more[2]["item"]["status"]) == (told[-1]["item"]["id"], "completed")
    assert said(done(more)) == ["echo: on", "on"]
    with pytest.raises(NothingPending):
        await talk.stream("threads.add_client_tool_output", thread_id=thread, result=1)


@pytest.mark.requirement("CHK-13")
async def test_of_several_client_calls_the_newest_gets_the_output(tmp_path: Path) -> None:
    model = ScriptedModel([[tool_call("pick", n=1), tool_call("pick", n=2)], "done"])
    talk = Talk(tmp_path / "data", Agent("a", model=model, client_tools=["pick"]))
    thread, told = await talk.create("go")
    assert [item["arguments"]["n"] for item in done(told)[1:]] == [1, 2]
    await talk.stream("threads.add_client_tool_output", thread_id=thread, result="two")
    results = [(part.outcome, part.output) for part in model.requests[1].messages[-1].parts]  # type: ignore[union-attr]
    assert results == [("error", "not run: the client runs one tool at a time"), ("output", "two")]
    await talk.close()


# --------------------------------------------------------------------------- structured input


async def ask_questions(talk: Talk, thread: str) -> str:
    from dragoman.chatkit.types.adapters import item_adapter

    inputs = [{"type": "freeform", "id": "q", "question": "Which?"}]
    item = {"type": "structured_input", "id": "msg_" + "0" * 31 + "1", "thread_id": thread, "inputs": inputs}
    made = item_adapter.validate_python({**item, "created_at": "2026-01-05T10:00:00Z"})
    await talk.store.add_thread_item(thread, made, "ann")
    return made.id


@pytest.mark.requirement("CHK-14")
async def test_answers_are_stored_with_the_run_that_they_begin_and_count_once(tmp_path: Path) -> None:
    model = ScriptedModel(["first", "thanks"])
    talk = Talk(tmp_path / "data", Agent("a", model=model))
    thread, _ = await talk.create("go")
    item = await ask_questions(talk, thread)
    given = {"thread_id": thread, "item_id": item, "input": {"answers": {"q": {"values": ["this one"]}}}}
    told = await talk.stream("threads.add_structured_input", **given)
    assert types(told)[:2] == ["stream_options", "replaced"]
    assert told[1]["item"]["status"] == "answered"
    assert said(done(told)) == ["thanks"]
    assert "Which?: this one" in model.requests[1].messages[-1].text
    with pytest.raises(NothingPending):
        await talk.stream("threads.add_structured_input", **given)
    with pytest.raises(BadTarget):
        await talk.stream("threads.add_structured_input", **{**given, "item_id": (await talk.items(thread))[0]["id"]})
    with pytest.raises(NotFoundError):
        await talk.stream("threads.add_structured_input", **{**given, "item_id": "msg_nobody"})
    assert (await talk.items(thread))[2]["inputs"][0]["answer"]["values"] == ["this one"]
    await talk.close()


# --------------------------------------------------------------------------- afterwards


@pytest.mark.requirement("CHK-38")
async def test_a_thread_gets_its_title_before_its_first_stream_ends(tmp_path: Path) -> None:
    talk = Talk(tmp_path / "data", title=first_words)
    thread, told = await talk.create("echo: " + "word " * 30)
    assert told[-1]["type"] == "thread.updated"
    title = told[-1]["thread"]["title"]
    assert title.startswith("echo: word")
    assert len(title) <= 60
    assert (await talk.ask("threads.get_by_id", thread_id=thread))["title"] == title
    assert "thread.updated" not in types(await talk.say(thread, "echo: more"))
    await talk.close()


@pytest.mark.requirement("CHK-38")
@pytest.mark.parametrize("made", [None, "  ", ValueError("no idea")])
async def test_a_title_that_does_not_come_harms_nothing(tmp_path: Path, made: Any) -> None:
    async def title(thread: Any, items: list[Any], context: str) -> str | None:
        assert (context, len(items)) == ("ann", 2)
        if isinstance(made, Exception):
            raise made
        return made  # type: ignore[no-any-return]  # None or text

    talk = Talk(tmp_path / "data", title=title)
    _, told = await talk.create("echo: hi")
    assert types(told)[-1] == "done"
    await talk.close()


@pytest.mark.requirement("CHK-27")
async def test_usage_is_added_up_once_in_the_threads_private_metadata(talk: Talk) -> None:
    thread, told = await talk.create("echo: hi")
    await talk.say(thread, "tool: add 2 3")
    kept = (await talk.store.load_thread(thread, "ann")).metadata["usage"]
    assert (kept["prompt_tokens"], kept["completion_tokens"]) == (3 * 21, 3 * 13)
    await talk.say(thread, "echo: hi")
    assert (await talk.store.load_thread(thread, "ann")).metadata["usage"]["prompt_tokens"] == 4 * 21
    assert "usage" not in str(await talk.ask("threads.get_by_id", thread_id=thread))
    assert "usage" not in str(told)


# --------------------------------------------------------------------------- making one


async def test_a_server_needs_a_model_and_rows(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="model"):
        ModelChatKitServer(SQLiteStore(tmp_path / "a"))
    with pytest.raises(UsageError, match="rows"):
        ModelChatKitServer(object(), model=ScriptedModel())  # type: ignore[arg-type]  # on purpose
    unknown = ModelChatKitServer(SQLiteStore(":memory:"), model="nobody")
    with pytest.raises(UsageError, match="nobody"):
        await unknown.engine()
    await unknown.aclose()
    await unknown.store.aclose()  # type: ignore[attr-defined]  # it is an SQLiteStore


@pytest.mark.requirement("CHK-27")
async def test_a_model_of_ones_own_may_think_say_and_call(tmp_path: Path) -> None:
    @tool(read_only=True)
    def look(at: str) -> str:
        """Looks."""
        return f"saw {at}"

    async def model(request: ModelRequest) -> Any:
        if request.messages[-1].role == "tool":
            yield "It is there."
            return
        yield ModelReasoning("where?")
        yield ModelText("I look. ")
        yield ModelToolCall("c", "look", {"at": "it"})

    talk = Talk(tmp_path / "data", Agent("a", model=model, tools=[look]))
    thread, told = await talk.create("find it")
    kinds = [item["type"] for item in done(told)]
    assert kinds == ["user_message", "workflow", "assistant_message", "workflow", "assistant_message"]
    assert done(told)[3]["workflow"]["tasks"][0]["content"] == "saw it"
    assert await talk.items(thread) == done(told)
    await talk.close()
