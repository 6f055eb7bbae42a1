"""`ChatKitServer.process`: what each streaming operation stores, sends and refuses."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import ValidationError
from tests.chatkit.scripted import Scripted, answer, begin, envelope, events, message, new_thread, said, stored

from dragoman.chatkit.errors import BadTarget, NothingPending, NotSupported
from dragoman.chatkit.memory import MemoryStore
from dragoman.chatkit.server import DEFAULT_PAGE_SIZE, NonStreamingResult, StreamingResult
from dragoman.chatkit.store import AttachmentStore, NotFoundError
from dragoman.chatkit.types import (
    FileAttachment,
    HiddenContextItem,
    Page,
    Thread,
    ThreadItem,
    ThreadItemDoneEvent,
    ThreadMetadata,
    ThreadStreamEvent,
    UserMessageItem,
)
from dragoman.core.errors import BadRequest
from dragoman.testing.chatkit.examples import NOON


async def echo(thread: ThreadMetadata, asked: Any, context: Any) -> AsyncIterator[ThreadStreamEvent]:
    text = asked.content[0].text if asked is not None else "going on"
    item_id = f"msg_{len(text)}_{text[:8].replace(' ', '')}"
    yield ThreadItemDoneEvent(item=message(thread, text, item_id))


def types(found: list[dict[str, Any]]) -> list[str]:
    return [f"{one['type']} {one['item']['type']}" if "item" in one else one["type"] for one in found]


# ------------------------------------------------------------------------------------ results


@pytest.mark.requirement("CHK-04", "CHK-02")
async def test_a_stream_is_told_from_a_document_by_its_class_and_by_its_attribute() -> None:
    server = Scripted()
    stream = await server.process(envelope("threads.create", input=said("hi")), "ann")
    document = await server.process(envelope("threads.list"), "ann")
    assert isinstance(stream, StreamingResult)
    assert hasattr(stream, "json_events")
    assert not hasattr(document, "json_events")
    assert isinstance(document, NonStreamingResult)
    assert isinstance(document.json, bytes)
    assert [chunk async for chunk in stream]  # the result itself can be iterated too


@pytest.mark.requirement("CHK-04")
@pytest.mark.parametrize("kind", [str, bytes, bytearray])
async def test_a_request_may_be_text_or_bytes(kind: Any) -> None:
    raw = envelope("threads.list")
    result = await Scripted().process(raw.decode() if kind is str else kind(raw), "ann")
    assert isinstance(result, NonStreamingResult)


@pytest.mark.requirement("CHK-04")
async def test_no_document_has_nulls_for_what_is_absent() -> None:
    server = Scripted(echo)
    thread_id = await new_thread(server)
    for operation in ("threads.get_by_id", "items.list"):
        result = await server.process(envelope(operation, thread_id=thread_id), "ann")
        assert isinstance(result, NonStreamingResult)
        assert b"null" not in result.json


@pytest.mark.requirement("CHK-29")
@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b'{"type":"threads.nothing","params":{}}', b'{"type":"threads.create"}']
)
async def test_what_is_no_request_is_refused(raw: bytes) -> None:
    with pytest.raises(ValidationError):
        await Scripted().process(raw, "ann")


@pytest.mark.requirement("CHK-29")
async def test_fields_of_the_future_are_ignored() -> None:
    raw = {"type": "threads.list", "params": {"limit": 1, "someday": 1}, "metadata": {"a": 1}, "later": True}
    assert isinstance(await Scripted().process(json.dumps(raw), "ann"), NonStreamingResult)


# ------------------------------------------------------------------------------ new messages


@pytest.mark.requirement("CHK-05", "CHK-02")
async def test_a_new_thread_is_told_then_its_message_then_the_options_then_the_answer() -> None:
    server = Scripted(echo)
    found = await events(server, "threads.create", input=said("hi"))
    assert types(found) == [
        "thread.created",
        "thread.item.done user_message",
        "stream_options",
        "thread.item.done assistant_message",
    ]
    assert found[0]["thread"] == {
        "id": found[0]["thread"]["id"],
        "created_at": found[0]["thread"]["created_at"],
        "status": {"type": "active"},
        "metadata": {},
        "items": {"data": [], "has_more": False},
    }
    assert found[2]["stream_options"] == {"allow_cancel": True}
    thread_id = found[0]["thread"]["id"]
    assert [one.type for one in await stored(server, thread_id)] == ["user_message", "assistant_message"]


@pytest.mark.requirement("CHK-39")
async def test_times_are_aware_and_in_utc() -> None:
    found = await events(Scripted(echo), "threads.create", input=said("hi"))
    assert all(time.endswith("Z") for time in (found[0]["thread"]["created_at"], found[1]["item"]["created_at"]))


@pytest.mark.requirement("CHK-05")
async def test_an_unknown_attachment_is_refused_before_there_is_a_thread() -> None:
    server = Scripted(echo)
    with pytest.raises(NotFoundError):
        await events(server, "threads.create", input=said("hi", attachments=["atc_unknown"]))
    assert (await answer(server, "threads.list"))["data"] == []


@pytest.mark.requirement("CHK-05")
async def test_the_responder_gets_a_thread_without_items_and_what_it_changes_can_be_read_again() -> None:
    seen: list[type] = []

    async def respond(thread: ThreadMetadata, asked: Any, context: Any) -> AsyncIterator[ThreadStreamEvent]:
        seen.append(type(thread))
        thread.title = f"title {len(seen)}"
        async for event in echo(thread, asked, context):
            yield event

    class KeepsWholeThreads(MemoryStore):
        async def load_thread(self, thread_id: str, context: Any) -> ThreadMetadata:
            found = await super().load_thread(thread_id, context)
            return Thread(**dict(found), items=Page())

    server = Scripted(respond, store=KeepsWholeThreads())
    thread_id = await new_thread(server)
    await events(server, "threads.add_user_message", thread_id=thread_id, input=said("again"))
    assert seen == [ThreadMetadata, ThreadMetadata]
    assert (await answer(server, "threads.get_by_id", thread_id=thread_id))["title"] == "title 2"


@pytest.mark.requirement("CHK-06")
async def test_a_further_message_is_stored_and_answered_in_its_thread() -> None:
    seen: list[Any] = []

    async def respond(thread: ThreadMetadata, asked: UserMessageItem, context: Any) -> AsyncIterator[ThreadStreamEvent]:
        page = await server.store.load_thread_items(thread.id, None, 10, "asc", context)
        seen.append([item.id for item in page.data])
        async for event in echo(thread, asked, context):
            yield event

    server = Scripted(respond)
    thread_id = await new_thread(server, "alpha")
    found = await events(server, "threads.add_user_message", thread_id=thread_id, input=said("beta"))
    assert types(found) == ["thread.item.done user_message", "stream_options", "thread.item.done assistant_message"]
    assert [len(ids) for ids in seen] == [1, 3]


@pytest.mark.requirement("CHK-06", "CHK-30")
async def test_a_message_to_a_thread_of_somebody_else_is_not_found() -> None:
    server = Scripted(echo)
    thread_id = await new_thread(server)
    with pytest.raises(NotFoundError):
        await events(server, "threads.add_user_message", "ben", thread_id=thread_id, input=said("mine now"))
    assert len(await stored(server, thread_id)) == 2


@pytest.mark.requirement("CHK-07")
async def test_tags_quoted_text_and_inference_options_reach_the_responder_and_the_store() -> None:
    asked: list[UserMessageItem] = []

    async def respond(thread: ThreadMetadata, item: Any, context: Any) -> AsyncIterator[ThreadStreamEvent]:
        asked.append(item)
        async for event in echo(thread, item, context):
            yield event

    server = Scripted(respond)
    rich = said("look at ", quoted_text="this", inference_options={"model": "big", "tool_choice": {"id": "search"}})
    rich["content"].append({"type": "input_tag", "id": "t1", "text": "Ann", "group": "people", "interactive": True})
    thread_id = (await events(server, "threads.create", input=rich))[0]["thread"]["id"]
    (item,) = asked
    assert (item.quoted_text, item.inference_options.model) == ("this", "big")
    assert item.inference_options.tool_choice is not None
    assert item.inference_options.tool_choice.id == "search"
    assert item.content[1].model_dump() == {
        "type": "input_tag", "id": "t1", "text": "Ann", "data": {}, "group": "people", "interactive": True,
    }  # fmt: skip
    assert (await stored(server, thread_id))[0] == item


@pytest.mark.requirement("CHK-15", "CHK-02")
async def test_attachments_of_a_message_learn_their_thread_and_keep_their_metadata_private() -> None:
    server = Scripted(echo)
    file = FileAttachment(id="atc_1", name="a.txt", mime_type="text/plain", metadata={"secret": 1})
    await server.store.save_attachment(file, "ann")
    found = await events(server, "threads.create", input=said("read", attachments=["atc_1"]))
    thread_id = found[0]["thread"]["id"]
    (shown,) = found[1]["item"]["attachments"]
    assert shown == {"id": "atc_1", "name": "a.txt", "mime_type": "text/plain", "thread_id": thread_id, "type": "file"}
    kept = await server.store.load_attachment("atc_1", "ann")
    assert (kept.thread_id, kept.metadata) == (thread_id, {"secret": 1})


@pytest.mark.requirement("CHK-15")
async def test_an_attachment_store_can_refuse_a_file_before_the_thread_changes() -> None:
    class Strict(AttachmentStore[Any]):
        async def delete_attachment(self, attachment_id: str, context: Any) -> None: ...

        async def check(self, attachments: list[Any], context: Any) -> None:
            raise BadTarget(f"{attachments[0].id} was never uploaded")

    server = Scripted(echo, files=Strict())
    thread_id = await new_thread(server)
    await server.store.save_attachment(FileAttachment(id="atc_1", name="a", mime_type="text/plain"), "ann")
    with pytest.raises(BadTarget, match="atc_1 was never uploaded"):
        await events(server, "threads.add_user_message", thread_id=thread_id, input=said("x", attachments=["atc_1"]))
    assert len(await stored(server, thread_id)) == 2
    assert (await server.store.load_attachment("atc_1", "ann")).thread_id is None


# ---------------------------------------------------------------------------------- retries


@pytest.mark.requirement("CHK-08", "CHK-02")
async def test_a_retry_deletes_everything_newer_and_answers_the_message_again() -> None:
    server = Scripted(echo)
    thread_id = await new_thread(server, "first")
    target = (await stored(server, thread_id))[0]
    for number in range(DEFAULT_PAGE_SIZE * 6):
        hidden = HiddenContextItem(id=f"h{number}", thread_id=thread_id, created_at=NOON, content="note")
        await server.store.add_thread_item(thread_id, hidden, "ann")
    found = await events(server, "threads.retry_after_item", thread_id=thread_id, item_id=target.id)
    assert types(found) == ["stream_options", "thread.item.done assistant_message"]
    assert [one.type for one in await stored(server, thread_id)] == ["user_message", "assistant_message"]


@pytest.mark.requirement("CHK-08", "CHK-02")
async def test_a_retry_keeps_what_is_older() -> None:
    server = Scripted(echo)
    thread_id = await new_thread(server, "first")
    await events(server, "threads.add_user_message", thread_id=thread_id, input=said("second"))
    second = (await stored(server, thread_id))[2]
    await events(server, "threads.add_user_message", thread_id=thread_id, input=said("third one"))
    await events(server, "threads.retry_after_item", thread_id=thread_id, item_id=second.id)
    texts = [one.content[0].text for one in await stored(server, thread_id)]
    assert texts == ["first", "first", "second", "second"]


@pytest.mark.requirement("CHK-08", "CHK-02")
async def test_a_retry_of_what_is_no_user_message_is_refused_and_deletes_nothing() -> None:
    server = Scripted(echo)
    thread_id = await new_thread(server)
    for target, error in (((await stored(server, thread_id))[1].id, BadTarget), ("msg_unknown", NotFoundError)):
        with pytest.raises(error):
            await events(server, "threads.retry_after_item", thread_id=thread_id, item_id=target)
    with pytest.raises(ValueError, match="is not a user message"):
        await events(
            server, "threads.retry_after_item", thread_id=thread_id, item_id=(await stored(server, thread_id))[1].id
        )
    assert len(await stored(server, thread_id)) == 2


@pytest.mark.requirement("CHK-08", "CHK-29")
def test_errors_for_callers_are_also_what_the_published_package_raises() -> None:
    assert issubclass(BadTarget, ValueError)
    assert issubclass(BadTarget, BadRequest)
    assert issubclass(NothingPending, ValueError)
    assert issubclass(NotSupported, RuntimeError)


@pytest.mark.requirement("CHK-04")
async def test_a_stream_does_nothing_until_it_is_iterated() -> None:
    server = Scripted(echo)
    result = await begin(server, "threads.create", input=said("hi"))
    assert (await answer(server, "threads.list"))["data"] == []
    assert result.run_id is None
    await result.aclose()
    assert (await answer(server, "threads.list"))["data"] == []


@pytest.mark.requirement("CHK-08")
async def test_a_retry_of_a_message_of_another_thread_deletes_nothing_although_the_store_finds_it() -> None:
    class ByIdAlone(MemoryStore[Any]):
        async def load_item(self, thread_id: str, item_id: str, context: Any) -> ThreadItem:
            for thread in (await self.load_threads(10, None, "asc", context)).data:
                for item in (await self.load_thread_items(thread.id, None, 10, "asc", context)).data:
                    if item.id == item_id:
                        return item
            raise NotFoundError

    server = Scripted(store=ByIdAlone())
    here, there = await new_thread(server), await new_thread(server)
    (target,) = await stored(server, there)
    with pytest.raises(NotFoundError):
        await events(server, "threads.retry_after_item", thread_id=here, item_id=target.id)
    assert len(await stored(server, here)) == 1
