"""`ChatKitServer.process`: what clients answer to a question, a tool call or a widget."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.chatkit.scripted import Scripted, envelope, events, message, new_thread, nothing, stored

from dragoman.chatkit.errors import BadTarget, NothingPending, NotSupported
from dragoman.chatkit.memory import MemoryStore
from dragoman.chatkit.server import ChatKitServer, StreamingResult
from dragoman.chatkit.store import NotFoundError
from dragoman.chatkit.types import (
    ClientToolCallItem,
    HiddenContextItem,
    StructuredInputFreeform,
    StructuredInputItem,
    StructuredInputMultipleChoice,
    StructuredInputMultipleChoiceOption,
    ThreadItemDoneEvent,
    ThreadMetadata,
    ThreadStreamEvent,
    WidgetItem,
)
from dragoman.chatkit.widgets import DynamicWidgetRoot
from dragoman.core.errors import Conflict
from dragoman.testing.chatkit.examples import NOON


async def echo(thread: ThreadMetadata, asked: Any, context: Any) -> AsyncIterator[ThreadStreamEvent]:
    text = asked.content[0].text if asked is not None else "going on"
    item_id = f"msg_{len(text)}_{text[:8].replace(' ', '')}"
    yield ThreadItemDoneEvent(item=message(thread, text, item_id))


def types(found: list[dict[str, Any]]) -> list[str]:
    return [f"{one['type']} {one['item']['type']}" if "item" in one else one["type"] for one in found]


# ------------------------------------------------------------------------------- client tools


def call(thread_id: str, number: int = 1) -> ClientToolCallItem:
    return ClientToolCallItem(
        id=f"tc_{number}",
        thread_id=thread_id,
        created_at=NOON,
        call_id=f"call_{number}",
        name="look",
        arguments={"n": 1},
    )


async def ask_client(thread: ThreadMetadata, asked: Any, context: Any) -> AsyncIterator[ThreadStreamEvent]:
    if asked is not None:
        yield ThreadItemDoneEvent(item=call(thread.id))
        hidden = HiddenContextItem(id="msg_note", thread_id=thread.id, created_at=NOON, content="seen")
        yield ThreadItemDoneEvent(item=hidden)
    else:
        yield ThreadItemDoneEvent(item=message(thread, "thanks"))


@pytest.mark.requirement("CHK-13", "CHK-02")
async def test_the_output_of_a_client_tool_is_stored_and_the_answer_goes_on_although_a_hidden_item_came_after() -> None:
    server = Scripted(ask_client)
    thread_id = await new_thread(server)
    found = await events(server, "threads.add_client_tool_output", thread_id=thread_id, result={"n": 2})
    assert types(found) == ["stream_options", "thread.item.done assistant_message"]
    (done,) = [one for one in await stored(server, thread_id) if isinstance(one, ClientToolCallItem)]
    assert (done.status, done.output) == ("completed", {"n": 2})


@pytest.mark.requirement("CHK-13")
@pytest.mark.parametrize("result", [None, "text", 0, [1, None]])
async def test_an_output_may_be_any_json(result: Any) -> None:
    server = Scripted(ask_client)
    thread_id = await new_thread(server)
    await events(server, "threads.add_client_tool_output", thread_id=thread_id, result=result)
    (done,) = [one for one in await stored(server, thread_id) if isinstance(one, ClientToolCallItem)]
    assert (done.status, done.output) == ("completed", result)


@pytest.mark.requirement("CHK-13")
async def test_an_output_that_nobody_waits_for_is_a_conflict() -> None:
    server = Scripted(ask_client)
    thread_id = await new_thread(server)
    await events(server, "threads.add_client_tool_output", thread_id=thread_id, result=1)
    with pytest.raises(NothingPending) as caught:
        await events(server, "threads.add_client_tool_output", thread_id=thread_id, result=2)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, Conflict)


@pytest.mark.requirement("CHK-13")
async def test_the_newest_call_gets_the_output_and_others_that_wait_are_deleted() -> None:
    server = Scripted(ask_client)
    thread_id = await new_thread(server)
    await server.store.add_thread_item(thread_id, call(thread_id, 2), "ann")
    await events(server, "threads.add_client_tool_output", thread_id=thread_id, result="newest")
    calls = [one for one in await stored(server, thread_id) if isinstance(one, ClientToolCallItem)]
    assert [(one.id, one.output) for one in calls] == [("tc_2", "newest")]


# --------------------------------------------------------------------------- structured input


async def ask_user(thread: ThreadMetadata, asked: Any, context: Any) -> AsyncIterator[ThreadStreamEvent]:
    if asked is None:
        yield ThreadItemDoneEvent(item=message(thread, "noted"))
        return
    options = [StructuredInputMultipleChoiceOption(value=value) for value in ("red", "blue")]
    inputs = [
        StructuredInputMultipleChoice(id="one", question="Which?", options=options),
        StructuredInputMultipleChoice(id="many", question="Which ones?", options=options, multiple=True),
        StructuredInputFreeform(id="why", question="Why?"),
    ]
    yield ThreadItemDoneEvent(
        item=StructuredInputItem(id="msg_ask", thread_id=thread.id, created_at=NOON, inputs=inputs)
    )


async def submit(server: Scripted, thread_id: str, **submission: Any) -> list[dict[str, Any]]:
    return await events(
        server, "threads.add_structured_input", thread_id=thread_id, item_id="msg_ask", input=submission
    )


@pytest.mark.requirement("CHK-14", "CHK-02")
async def test_answers_replace_the_questions_before_the_answer_goes_on() -> None:
    server = Scripted(ask_user)
    thread_id = await new_thread(server)
    answers = {
        "one": {"values": ["red", "blue"]},
        "many": {"values": ["red", "green"]},
        "why": {"values": ["because"]},
        "unknown": {"values": ["x"]},
    }
    found = await submit(server, thread_id, answers=answers)
    assert types(found) == [
        "stream_options",
        "thread.item.replaced structured_input",
        "thread.item.done assistant_message",
    ]
    item = found[1]["item"]
    assert item["status"] == "answered"
    assert [one["answer"]["values"] for one in item["inputs"]] == [["red"], ["red", "green"], ["because"]]
    kept = await server.store.load_item(thread_id, "msg_ask", "ann")
    assert kept.model_dump(mode="json", exclude_none=True) == item


@pytest.mark.requirement("CHK-14", "CHK-02")
@pytest.mark.parametrize(
    "submission",
    [
        {"status": "skipped", "answers": {"one": {"values": ["red"]}}},
        {"answers": {}},
        {"answers": {"one": {"skipped": True, "values": ["red"]}, "many": {"values": []}}},
    ],
)
async def test_what_is_not_answered_counts_as_skipped(submission: dict[str, Any]) -> None:
    server = Scripted(ask_user)
    thread_id = await new_thread(server)
    item = (await submit(server, thread_id, **submission))[1]["item"]
    assert item["status"] == submission.get("status", "answered")
    assert [one["answer"]["skipped"] for one in item["inputs"]] == [True, True, True]


@pytest.mark.requirement("CHK-14")
async def test_questions_are_answered_once() -> None:
    server = Scripted(ask_user)
    thread_id = await new_thread(server)
    await submit(server, thread_id, answers={})
    with pytest.raises(NothingPending, match="msg_ask is not pending"):
        await submit(server, thread_id, answers={"why": {"values": ["late"]}})


@pytest.mark.requirement("CHK-14")
async def test_answers_to_what_asks_nothing_are_a_bad_target() -> None:
    server = Scripted(echo)
    thread_id = await new_thread(server)
    item_id = (await stored(server, thread_id))[0].id
    with pytest.raises(BadTarget, match="asks no questions"):
        await events(server, "threads.add_structured_input", thread_id=thread_id, item_id=item_id, input={})


# ------------------------------------------------------------------------------------ actions


async def show_card(thread: ThreadMetadata, asked: Any, context: Any) -> AsyncIterator[ThreadStreamEvent]:
    card = DynamicWidgetRoot.model_validate({"type": "Card", "children": [{"type": "Text", "value": "before"}]})
    yield ThreadItemDoneEvent(item=WidgetItem(id="msg_card", thread_id=thread.id, created_at=NOON, widget=card))


@pytest.mark.requirement("CHK-12", "CHK-02")
async def test_an_action_gets_the_widget_that_it_came_from_out_of_the_store() -> None:
    seen: list[Any] = []

    async def act(thread: ThreadMetadata, action: Any, sender: Any, context: Any) -> AsyncIterator[ThreadStreamEvent]:
        seen.append((action.type, action.payload, sender and sender.id, context))
        yield ThreadItemDoneEvent(item=message(thread, "done", f"msg_{len(seen)}"))

    server = Scripted(show_card, action=act)
    thread_id = await new_thread(server)
    clicked = {"type": "buy", "payload": {"n": 1, "none": None}}
    found = await events(server, "threads.custom_action", thread_id=thread_id, item_id="msg_card", action=clicked)
    assert types(found) == ["stream_options", "thread.item.done assistant_message"]
    await events(server, "threads.custom_action", thread_id=thread_id, action={"type": "page"})
    assert seen == [("buy", {"n": 1, "none": None}, "msg_card", "ann"), ("page", None, None, "ann")]


class Speechless(ChatKitServer[Any]):
    def respond(
        self, thread: ThreadMetadata, input_user_message: Any, context: Any
    ) -> AsyncIterator[ThreadStreamEvent]:
        return nothing(thread, input_user_message, context)


async def act_on(server: ChatKitServer[Any], operation: str, thread_id: str, item_id: str | None = None) -> None:
    result = await server.process(
        envelope(operation, thread_id=thread_id, item_id=item_id, action={"type": "x"}), "ann"
    )
    assert isinstance(result, StreamingResult)
    await anext(result.json_events)


@pytest.mark.requirement("CHK-12")
@pytest.mark.parametrize("operation", ["threads.custom_action", "threads.sync_custom_action"])
async def test_an_action_from_what_is_no_widget_is_refused(operation: str) -> None:
    server = Scripted(echo, action=lambda *_: pytest.fail("must not be asked"))
    thread_id = await new_thread(server)
    item_id = (await stored(server, thread_id))[0].id
    with pytest.raises(BadTarget):
        await act_on(server, operation, thread_id, item_id)
    with pytest.raises(NotFoundError):
        await act_on(server, operation, thread_id, "msg_unknown")


@pytest.mark.requirement("CHK-12", "CHK-29")
@pytest.mark.parametrize("operation", ["threads.custom_action", "threads.sync_custom_action"])
async def test_an_action_without_a_hook_is_not_supported_and_says_which_hook(operation: str) -> None:
    server = Speechless(MemoryStore())
    thread_id = await new_thread(server)
    with pytest.raises(NotSupported, match=r"implement (sync_)?action\(\)") as caught:
        await act_on(server, operation, thread_id)
    assert isinstance(caught.value, NotImplementedError)
