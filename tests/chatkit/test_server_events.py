"""What a responder's events mean: what is stored, what is sent, and what an error becomes."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.chatkit.scripted import Scripted, begin, decoded, delta, envelope, events, message, new_thread, said, stored

from dragoman.chatkit.errors import CustomStreamError, ErrorCode, StreamError
from dragoman.chatkit.memory import MemoryStore
from dragoman.chatkit.server import DEFAULT_ERROR_MESSAGE
from dragoman.chatkit.store import NotFoundError
from dragoman.chatkit.types import (
    ClientEffectEvent,
    CustomTask,
    HiddenContextItem,
    NoticeEvent,
    Page,
    ProgressUpdateEvent,
    SDKHiddenContextItem,
    StreamOptions,
    Thread,
    ThreadItem,
    ThreadItemAddedEvent,
    ThreadItemDoneEvent,
    ThreadItemRemovedEvent,
    ThreadItemReplacedEvent,
    ThreadItemUpdatedEvent,
    ThreadMetadata,
    ThreadStreamEvent,
    ThreadUpdatedEvent,
    WidgetItem,
    WidgetRootUpdated,
    Workflow,
    WorkflowItem,
)
from dragoman.chatkit.widgets import DynamicWidgetRoot
from dragoman.testing.chatkit.examples import NOON

Events = AsyncIterator[ThreadStreamEvent]


async def told(server: Scripted, text: str = "hello") -> list[dict[str, Any]]:
    """The events of an answer, from its options on."""
    found = await events(server, "threads.create", input=said(text))
    assert [one["type"] for one in found[:3]] == ["thread.created", "thread.item.done", "stream_options"]
    return found[3:]


async def rows(server: Scripted) -> list[ThreadItem]:
    """What is stored of the only thread, its first message aside."""
    (thread,) = (await server.store.load_threads(2, None, "asc", "ann")).data
    return (await stored(server, thread.id))[1:]


def failing(error: Exception, *before: ThreadStreamEvent) -> Scripted:
    async def respond(thread: ThreadMetadata, asked: Any, context: Any) -> Events:
        yield ThreadItemAddedEvent(item=message(thread))
        yield delta("half an ans")
        raise error

    return Scripted(respond)


# ------------------------------------------------------------------------------------- items


@pytest.mark.requirement("CHK-20", "CHK-05")
async def test_an_item_is_stored_when_it_is_done_and_not_before() -> None:
    async def respond(thread: ThreadMetadata, asked: Any, context: Any) -> Events:
        yield ThreadItemAddedEvent(item=message(thread))
        yield delta("hi")
        assert await rows(server) == []
        yield ThreadItemDoneEvent(item=message(thread, "hi"))
        assert len(await rows(server)) == 1

    server = Scripted(respond)
    found = await told(server)
    assert [one["type"] for one in found] == ["thread.item.added", "thread.item.updated", "thread.item.done"]
    assert found[1] == {
        "type": "thread.item.updated",
        "item_id": "msg_answer",
        "update": {
            "type": "assistant_message.content_part.text_delta",
            "content_index": 0,
            "delta": "hi",
        },
    }


@pytest.mark.requirement("CHK-02")
async def test_a_removed_item_is_deleted_and_a_replaced_one_saved_in_its_place() -> None:
    async def respond(thread: ThreadMetadata, asked: Any, context: Any) -> Events:
        for item_id in ("msg_a", "msg_b", "msg_c"):
            yield ThreadItemDoneEvent(item=message(thread, item_id, item_id))
        yield ThreadItemRemovedEvent(item_id="msg_a")
        yield ThreadItemReplacedEvent(item=message(thread, "replaced", "msg_b"))

    server = Scripted(respond)
    found = await told(server)
    assert [one["type"] for one in found[3:]] == ["thread.item.removed", "thread.item.replaced"]
    kept = [(item.id, item.content[0].text) for item in await rows(server)]  # type: ignore[union-attr]  # messages
    assert kept == [("msg_b", "replaced"), ("msg_c", "msg_c")]


@pytest.mark.requirement("CHK-02")
async def test_what_is_transient_is_passed_on_and_stored_nowhere() -> None:
    async def respond(thread: ThreadMetadata, asked: Any, context: Any) -> Events:
        yield ProgressUpdateEvent(text="working", icon="search")
        yield NoticeEvent(level="info", message="**note**")
        yield ClientEffectEvent(name="confetti", data={"n": 1})

    server = Scripted(respond)
    assert await told(server) == [
        {"type": "progress_update", "icon": "search", "text": "working"},
        {"type": "notice", "level": "info", "message": "**note**"},
        {"type": "client_effect", "name": "confetti", "data": {"n": 1}},
    ]
    assert await rows(server) == []


@pytest.mark.requirement("CHK-17")
@pytest.mark.parametrize("kind", [HiddenContextItem, SDKHiddenContextItem])
async def test_hidden_items_are_stored_and_leave_in_no_event(kind: Any) -> None:
    async def respond(thread: ThreadMetadata, asked: Any, context: Any) -> Events:
        def hidden(item_id: str, text: str) -> Any:
            return kind(id=item_id, thread_id=thread.id, created_at=NOON, content=text)

        yield ThreadItemAddedEvent(item=hidden("h1", "secret"))
        yield ThreadItemUpdatedEvent(item_id="h1", update=delta("secret").update)
        yield ThreadItemDoneEvent(item=hidden("h1", "secret"))
        yield ThreadItemReplacedEvent(item=hidden("h1", "secret 2"))
        yield ThreadItemDoneEvent(item=hidden("h2", "secret"))
        yield ThreadItemRemovedEvent(item_id="h2")
        yield ThreadUpdatedEvent(thread=Thread(**dict(thread), items=Page(data=[hidden("h3", "secret")])))

    server = Scripted(respond)
    found = await told(server)
    assert [one["type"] for one in found] == ["thread.updated"]
    assert found[0]["thread"]["items"]["data"] == []
    assert [(item.id, item.content) for item in await rows(server)] == [("h1", "secret 2")]  # type: ignore[union-attr]


@pytest.mark.requirement("CHK-12", "CHK-21")
async def test_a_new_root_of_a_widget_that_was_shown_earlier_is_stored() -> None:
    def card(text: str) -> DynamicWidgetRoot:
        return DynamicWidgetRoot.model_validate({"type": "Card", "children": [{"type": "Text", "value": text}]})

    async def respond(thread: ThreadMetadata, asked: Any, context: Any) -> Events:
        if asked.content[0].text == "show":
            item = WidgetItem(id="msg_card", thread_id=thread.id, created_at=NOON, widget=card("before"))
            yield ThreadItemDoneEvent(item=item)
            return
        yield ThreadItemUpdatedEvent(item_id="msg_card", update=WidgetRootUpdated(widget=card("after")))
        yield ThreadItemUpdatedEvent(item_id="msg_unknown", update=WidgetRootUpdated(widget=card("nowhere")))

    server = Scripted(respond)
    thread_id = await new_thread(server, "show")
    found = await events(server, "threads.add_user_message", thread_id=thread_id, input=said("change"))
    assert [one["item_id"] for one in found[2:]] == ["msg_card", "msg_unknown"]
    kept = await server.store.load_item(thread_id, "msg_card", "ann")
    assert isinstance(kept, WidgetItem)
    assert kept.widget.model_dump()["children"][0]["value"] == "after"


@pytest.mark.requirement("CHK-25")
async def test_a_workflow_that_goes_on_from_an_earlier_answer_is_saved_and_not_added_twice() -> None:
    async def respond(thread: ThreadMetadata, asked: Any, context: Any) -> Events:
        text = asked.content[0].text
        flow = Workflow(type="custom", tasks=[CustomTask(title=text)])
        yield ThreadItemDoneEvent(item=WorkflowItem(id="wf_1", thread_id=thread.id, created_at=NOON, workflow=flow))

    server = Scripted(respond)
    thread_id = await new_thread(server, "first")
    found = await events(server, "threads.add_user_message", thread_id=thread_id, input=said("second"))
    assert found[-1]["type"] == "thread.item.done"
    flows = [item for item in await stored(server, thread_id) if item.type == "workflow"]
    assert [item.workflow.tasks[0].title for item in flows] == ["second"]


# ----------------------------------------------------------------------------------- thread


@pytest.mark.requirement("CHK-18", "CHK-02")
async def test_a_change_of_the_thread_is_saved_and_told_after_the_event_that_it_came_with() -> None:
    async def respond(thread: ThreadMetadata, asked: Any, context: Any) -> Events:
        yield ThreadItemDoneEvent(item=message(thread, "a", "msg_a"))
        thread.title = "in between"
        yield ThreadItemDoneEvent(item=message(thread, "b", "msg_b"))
        assert (await server.store.load_thread(thread.id, context)).title == "in between"
        yield ThreadItemDoneEvent(item=message(thread, "c", "msg_c"))
        thread.metadata["nested"] = {"n": 1}

    server = Scripted(respond)
    found = await told(server)
    kinds = ["thread.item.done"] * 2 + ["thread.updated", "thread.item.done", "thread.updated"]
    assert [one["type"] for one in found] == kinds
    assert (found[2]["thread"]["title"], found[4]["thread"]["metadata"]) == ("in between", {})
    (kept,) = (await server.store.load_threads(2, None, "asc", "ann")).data
    assert (kept.title, kept.metadata) == ("in between", {"nested": {"n": 1}})


@pytest.mark.requirement("CHK-18", "CHK-20")
async def test_a_change_of_the_thread_is_told_after_an_error_too() -> None:
    async def respond(thread: ThreadMetadata, asked: Any, context: Any) -> Events:
        thread.title = "before it broke"
        raise CustomStreamError("broken")
        yield delta("never")

    assert [one["type"] for one in await told(Scripted(respond))] == ["error", "thread.updated"]


@pytest.mark.requirement("CHK-04")
async def test_the_options_of_a_stream_can_be_chosen() -> None:
    class Unstoppable(Scripted):
        def get_stream_options(self, thread: ThreadMetadata, context: Any) -> StreamOptions:
            return StreamOptions(allow_cancel=False)

    found = await events(Unstoppable(), "threads.create", input=said("hi"))
    assert found[2] == {"type": "stream_options", "stream_options": {"allow_cancel": False}}


# ----------------------------------------------------------------------------------- errors


@pytest.mark.requirement("CHK-20", "CHK-02")
@pytest.mark.parametrize(
    ("error", "event"),
    [
        (CustomStreamError("Sorry."), {"code": "custom", "message": "Sorry.", "allow_retry": False}),
        (CustomStreamError("Sorry.", allow_retry=True), {"code": "custom", "message": "Sorry.", "allow_retry": True}),
        (StreamError(ErrorCode.STREAM_ERROR), {"code": "stream.error", "allow_retry": True}),
        (StreamError(ErrorCode.STREAM_ERROR, allow_retry=False), {"code": "stream.error", "allow_retry": False}),
        (
            KeyError("password=hunter2"),
            {"code": "stream.error", "message": DEFAULT_ERROR_MESSAGE, "allow_retry": True},
        ),
    ],
)
async def test_an_error_becomes_one_event_at_the_end(error: Exception, event: dict[str, Any]) -> None:
    server = failing(error)
    found = await told(server)
    assert found[-1] == {"type": "error", **event}
    assert [one["type"] for one in found].count("error") == 1


@pytest.mark.requirement("CHK-20")
async def test_unexpected_errors_are_logged_with_their_cause(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "dragoman.chatkit"):
        await told(failing(ValueError("for the log")))
    (record,) = caplog.records
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "for the log"


@pytest.mark.requirement("CHK-20")
async def test_after_an_error_nothing_of_the_answer_is_stored_and_the_thread_goes_on() -> None:
    server = failing(ValueError("broken"))
    thread_id = await new_thread(server)
    assert [item.type for item in await stored(server, thread_id)] == ["user_message"]
    found = await events(server, "threads.add_user_message", thread_id=thread_id, input=said("again"))
    assert found[-1]["type"] == "error"
    assert [item.type for item in await stored(server, thread_id)] == ["user_message", "user_message"]


@pytest.mark.requirement("CHK-20")
async def test_the_text_of_a_failed_answer_is_stored_where_that_is_wanted() -> None:
    server = failing(ValueError("broken"))
    server.persist_on_error = True
    await told(server)
    (kept,) = await rows(server)
    assert kept.content[0].text == "half an ans"  # type: ignore[union-attr]  # a message


class Refusing(MemoryStore[Any]):
    """Writes fail while `what` says so."""

    what = ""

    async def add_thread_item(self, thread_id: str, item: ThreadItem, context: Any) -> None:
        if self.what == "items" and item.type != "user_message":
            raise OSError("disk full")
        await super().add_thread_item(thread_id, item, context)

    async def save_thread(self, thread: ThreadMetadata, context: Any) -> None:
        if self.what == "titles" and thread.title:
            raise OSError("disk full")
        await super().save_thread(thread, context)


@pytest.mark.requirement("CHK-20")
@pytest.mark.parametrize("what", ["items", "titles"])
@pytest.mark.parametrize("at_the_end", [False, True])
async def test_a_store_that_fails_in_mid_stream_ends_it_with_an_error_and_no_crash(what: str, at_the_end: bool) -> None:
    async def respond(thread: ThreadMetadata, asked: Any, context: Any) -> Events:
        store.what = what
        thread.title = None if at_the_end else "new"
        yield ThreadItemDoneEvent(item=message(thread, "answer"))
        thread.title = "at the end"

    store = Refusing()
    server = Scripted(respond, store=store)
    found = await told(server)
    told_error = {"type": "error", "code": "stream.error", "message": DEFAULT_ERROR_MESSAGE, "allow_retry": True}
    assert [one for one in found if one["type"] == "error"] == [told_error]
    store.what = ""
    (thread,) = (await store.load_threads(2, None, "asc", "ann")).data
    assert (await events(server, "threads.add_user_message", thread_id=thread.id, input=said("again")))[0]


@pytest.mark.requirement("CHK-20")
async def test_an_event_that_cannot_be_encoded_is_an_error_event() -> None:
    async def respond(thread: ThreadMetadata, asked: Any, context: Any) -> Events:
        yield ClientEffectEvent(name="bad", data={"what": object()})

    found = await told(Scripted(respond))
    assert [one["code"] for one in found] == ["stream.error"]


@pytest.mark.requirement("CHK-20")
async def test_a_responder_that_fails_before_it_is_one_is_an_error_event_too() -> None:
    def respond(thread: ThreadMetadata, asked: Any, context: Any) -> Events:
        raise CustomStreamError("not today")

    assert [one["message"] for one in await told(Scripted(respond))] == ["not today"]


@pytest.mark.requirement("CHK-18", "CHK-20")
async def test_a_change_of_the_thread_is_saved_although_the_client_leaves_with_the_error() -> None:
    async def respond(thread: ThreadMetadata, asked: Any, context: Any) -> Events:
        for event in ():
            yield event
        thread.title = "set"
        raise CustomStreamError("Sorry.")

    server = Scripted(respond)
    result = await begin(server, "threads.create", input=said("hi"))
    async for chunk in result.json_events:
        if decoded(chunk)["type"] == "error":
            break
    await result.aclose()
    (thread,) = (await server.store.load_threads(2, None, "asc", "ann")).data
    assert thread.title == "set"


class OfAnotherKind(MemoryStore[Any]):
    """Says in a way of its own that there is no such item."""

    async def load_item(self, thread_id: str, item_id: str, context: Any) -> ThreadItem:
        try:
            return await super().load_item(thread_id, item_id, context)
        except NotFoundError:
            raise KeyError(item_id) from None


@pytest.mark.requirement("CHK-02", "CHK-25")
async def test_a_store_may_say_in_its_own_way_that_there_is_no_such_item() -> None:
    async def respond(thread: ThreadMetadata, asked: Any, context: Any) -> Events:
        root = DynamicWidgetRoot.model_validate({"type": "Card", "children": []})
        yield ThreadItemUpdatedEvent(item_id="msg_unknown", update=WidgetRootUpdated(widget=root))
        flow = Workflow(type="custom", tasks=[CustomTask(title="work")])
        yield ThreadItemDoneEvent(item=WorkflowItem(id="wf_1", thread_id=thread.id, created_at=NOON, workflow=flow))

    server = Scripted(respond, store=OfAnotherKind())
    assert [one["type"] for one in await told(server)] == ["thread.item.updated", "thread.item.done"]
    assert [item.type for item in await rows(server)] == ["workflow"]


@pytest.mark.requirement("CHK-18", "CHK-09")
async def test_a_rename_while_an_answer_is_under_way_is_not_undone_by_it() -> None:
    async def respond(thread: ThreadMetadata, asked: Any, context: Any) -> Events:
        await rename(thread.id)
        thread.metadata["turns"] = 1
        yield ThreadItemDoneEvent(item=message(thread, "hi"))

    async def rename(thread_id: str) -> None:
        await server.process(envelope("threads.update", thread_id=thread_id, title="theirs"), "ann")

    server = Scripted(respond)
    found = await told(server)
    assert found[-1]["thread"]["title"] == "theirs"
    (kept,) = (await server.store.load_threads(2, None, "asc", "ann")).data
    assert (kept.title, kept.metadata) == ("theirs", {"turns": 1})


@pytest.mark.requirement("CHK-18")
async def test_a_change_of_a_thread_that_was_deleted_meanwhile_does_not_bring_it_back() -> None:
    async def respond(thread: ThreadMetadata, asked: Any, context: Any) -> Events:
        await server.store.delete_thread(thread.id, "ann")
        thread.title = "back"
        yield NoticeEvent(level="info", message="hi")

    server = Scripted(respond)
    assert (await told(server))[-1]["type"] == "error"
    assert (await server.store.load_threads(2, None, "asc", "ann")).data == []
