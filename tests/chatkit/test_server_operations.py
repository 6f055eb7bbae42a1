"""`ChatKitServer.process`: the operations that answer with one document."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.chatkit.scripted import Scripted, answer, envelope, events, message, new_thread, said, stored

from dragoman.chatkit.endpoint import Endpoint
from dragoman.chatkit.errors import BadTarget, NotSupported
from dragoman.chatkit.memory import MemoryStore
from dragoman.chatkit.store import AttachmentStore, NotFoundError, Store
from dragoman.chatkit.types import (
    Attachment,
    AttachmentCreateParams,
    AttachmentUploadDescriptor,
    AudioInput,
    FileAttachment,
    HiddenContextItem,
    SDKHiddenContextItem,
    SyncCustomActionResponse,
    ThreadItemDoneEvent,
    ThreadMetadata,
    ThreadStreamEvent,
    TranscriptionResult,
    WidgetItem,
)
from dragoman.chatkit.widgets import DynamicWidgetRoot
from dragoman.testing.chatkit.examples import NOON


async def echo(thread: ThreadMetadata, asked: Any, context: Any) -> AsyncIterator[ThreadStreamEvent]:
    thread.metadata["private"] = "yes"
    yield ThreadItemDoneEvent(item=message(thread, "answer"))


async def fill(server: Scripted, thread_id: str, count: int) -> list[str]:
    """Messages with two hidden items after each; the ids that a client may see, oldest first."""
    thread = await server.store.load_thread(thread_id, "ann")
    shown = [item.id for item in await stored(server, thread_id)]
    for number in range(count):
        shown.append(f"msg_{number}")
        await server.store.add_thread_item(thread_id, message(thread, "x", shown[-1]), "ann")
        common: dict[str, Any] = {"thread_id": thread_id, "created_at": NOON, "content": "note"}
        await server.store.add_thread_item(thread_id, HiddenContextItem(**common, id=f"h{number}"), "ann")
        await server.store.add_thread_item(thread_id, SDKHiddenContextItem(**common, id=f"s{number}"), "ann")
    return shown


async def walk(server: Scripted, operation: str, order: str, **params: Any) -> list[str]:
    """The ids of all pages of three; all pages but the last are full."""
    ids: list[str] = []
    after = None
    while True:
        page = await answer(server, operation, limit=3, order=order, after=after, **params)
        ids += [row["id"] for row in page["data"]]
        if not page["has_more"]:
            assert "after" not in page
            return ids
        assert len(page["data"]) == 3
        after = page["after"]


class OfTheInterface(MemoryStore):
    load_visible_items = Store.load_visible_items


# ------------------------------------------------------------------------------------- threads


@pytest.mark.requirement("CHK-09", "CHK-10", "CHK-17")
@pytest.mark.parametrize("store", [MemoryStore, OfTheInterface])
async def test_a_thread_comes_with_its_oldest_items_and_a_cursor_that_goes_on(store: type[MemoryStore]) -> None:
    server = Scripted(echo, store=store())
    thread_id = await new_thread(server)
    shown = await fill(server, thread_id, 25)
    thread = await answer(server, "threads.get_by_id", thread_id=thread_id)
    first = [item["id"] for item in thread["items"]["data"]]
    assert (first, thread["items"]["has_more"]) == (shown[:20], True)
    rest = await answer(server, "items.list", thread_id=thread_id, order="asc", after=thread["items"]["after"])
    assert first + [item["id"] for item in rest["data"]] == shown


@pytest.mark.requirement("CHK-09")
async def test_the_metadata_of_a_thread_is_stored_and_never_sent() -> None:
    server = Scripted(echo)
    thread_id = await new_thread(server)
    assert (await server.store.load_thread(thread_id, "ann")).metadata == {"private": "yes"}
    shown = [await answer(server, "threads.get_by_id", thread_id=thread_id)]
    shown += (await answer(server, "threads.list"))["data"]
    shown.append(await answer(server, "threads.update", thread_id=thread_id, title="new"))
    assert [thread["metadata"] for thread in shown] == [{}, {}, {}]


@pytest.mark.requirement("CHK-09", "CHK-02")
@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_threads_are_listed_in_pages_without_their_items(order: str) -> None:
    server = Scripted(echo)
    made = [await new_thread(server) for _ in range(7)]
    assert await walk(server, "threads.list", order) == (made if order == "asc" else made[::-1])
    page = await answer(server, "threads.list")
    assert [thread["items"] for thread in page["data"]] == [{"data": [], "has_more": False}] * 7


@pytest.mark.requirement("CHK-09", "CHK-02")
@pytest.mark.parametrize("limit", [None, 0])
async def test_a_page_of_unstated_size_has_twenty_rows(limit: int | None) -> None:
    server = Scripted(echo)
    thread_id = await new_thread(server)
    await fill(server, thread_id, 25)
    page = await answer(server, "items.list", thread_id=thread_id, limit=limit)
    assert (len(page["data"]), page["has_more"]) == (20, True)


@pytest.mark.requirement("CHK-09")
async def test_a_title_is_changed_and_kept() -> None:
    server = Scripted(echo)
    thread_id = await new_thread(server)
    assert (await answer(server, "threads.update", thread_id=thread_id, title="new"))["title"] == "new"
    kept = await server.store.load_thread(thread_id, "ann")
    assert (kept.title, kept.metadata) == ("new", {"private": "yes"})


@pytest.mark.requirement("CHK-09")
async def test_a_deleted_thread_is_gone_and_deleting_it_again_is_silent_here() -> None:
    server = Scripted(echo)
    thread_id = await new_thread(server)
    assert await answer(server, "threads.delete", thread_id=thread_id) == {}
    assert await answer(server, "threads.delete", thread_id=thread_id) == {}
    with pytest.raises(NotFoundError, match=f"Thread {thread_id} not found"):
        await answer(server, "threads.get_by_id", thread_id=thread_id)


@pytest.mark.requirement("CHK-09", "CHK-10", "CHK-11", "CHK-30")
@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("threads.get_by_id", {}),
        ("threads.update", {"title": "mine"}),
        ("items.list", {}),
        ("items.feedback", {"item_ids": [], "kind": "positive"}),
        ("threads.sync_custom_action", {"action": {"type": "x"}}),
    ],
)
async def test_a_thread_of_somebody_else_is_as_unknown_as_one_that_never_was(
    operation: str, params: dict[str, Any]
) -> None:
    server = Scripted(echo)
    thread_id = await new_thread(server)
    for asked in (thread_id, thread_id[:-1] + "x"):
        with pytest.raises(NotFoundError) as caught:
            await answer(server, operation, "ben", thread_id=asked, **params)
        assert str(caught.value) == f"Thread {asked} not found"
    assert (await server.store.load_thread(thread_id, "ann")).title is None


# --------------------------------------------------------------------------------------- items


@pytest.mark.requirement("CHK-10", "CHK-17", "CHK-02")
@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("store", [MemoryStore, OfTheInterface])
async def test_pages_of_items_are_full_and_without_hidden_ones(order: str, store: type[MemoryStore]) -> None:
    server = Scripted(echo, store=store())
    thread_id = await new_thread(server)
    shown = await fill(server, thread_id, 10)
    assert await walk(server, "items.list", order, thread_id=thread_id) == (shown if order == "asc" else shown[::-1])


@pytest.mark.requirement("CHK-10")
async def test_a_page_that_ends_with_the_last_row_has_no_more() -> None:
    server = Scripted(echo)
    thread_id = await new_thread(server)
    shown = await fill(server, thread_id, 1)
    page = await answer(server, "items.list", thread_id=thread_id, limit=len(shown), order="asc")
    assert (len(page["data"]), page["has_more"], page.get("after")) == (3, False, None)


@pytest.mark.requirement("CHK-10")
async def test_an_unknown_cursor_is_not_found() -> None:
    server = Scripted(echo)
    thread_id = await new_thread(server)
    with pytest.raises(NotFoundError):
        await answer(server, "items.list", thread_id=thread_id, after="msg_unknown")
    with pytest.raises(NotFoundError):
        await answer(server, "threads.list", after="thr_unknown")


# ------------------------------------------------------------------------------------ feedback


@pytest.mark.requirement("CHK-11", "CHK-02")
async def test_feedback_is_stored_and_told_to_the_hook() -> None:
    told: list[Any] = []

    class Listening(Scripted):
        async def add_feedback(self, thread_id: str, item_ids: list[str], feedback: Any, context: Any) -> None:
            told.append((thread_id, item_ids, feedback, context))

    server = Listening(echo)
    thread_id = await new_thread(server)
    params = {"thread_id": thread_id, "item_ids": ["msg_answer"], "kind": "negative"}
    assert await answer(server, "items.feedback", **params) == {}
    assert told == [(thread_id, ["msg_answer"], "negative", "ann")]
    (kept,) = await server.store.load_feedback("ann")
    assert (kept["item_id"], kept["kind"]) == ("msg_answer", "negative")


@pytest.mark.requirement("CHK-11", "CHK-17")
async def test_feedback_on_what_a_client_cannot_see_is_not_found_and_kept_by_nobody() -> None:
    server = Scripted(echo)
    thread_id = await new_thread(server)
    await fill(server, thread_id, 1)
    for unseen in ("h0", "s0", "msg_unknown"):
        params = {"thread_id": thread_id, "item_ids": ["msg_answer", unseen], "kind": "positive"}
        with pytest.raises(NotFoundError, match=f"Item {unseen} not found"):
            await answer(server, "items.feedback", **params)
    assert await server.store.load_feedback("ann") == []


# ------------------------------------------------------------------------------- sync actions


class Reacting(Scripted):
    """Shows a card; a click changes its text."""

    def __init__(self) -> None:
        super().__init__(show_card)

    async def sync_action(self, thread: ThreadMetadata, action: Any, sender: Any, context: Any) -> Any:
        if action.type == "nothing":
            return SyncCustomActionResponse()
        thread.title = f"clicked by {context}"
        changed = sender.model_copy(update={"widget": card(action.payload["text"])})
        return SyncCustomActionResponse(updated_item=changed)


def card(text: str) -> DynamicWidgetRoot:
    return DynamicWidgetRoot.model_validate({"type": "Card", "children": [{"type": "Text", "value": text}]})


async def show_card(thread: ThreadMetadata, asked: Any, context: Any) -> AsyncIterator[ThreadStreamEvent]:
    item = WidgetItem(id="msg_card", thread_id=thread.id, created_at=NOON, widget=card("before"))
    yield ThreadItemDoneEvent(item=item)


@pytest.mark.requirement("CHK-12", "CHK-02")
async def test_what_a_sync_action_changes_is_answered_and_stored() -> None:
    server = Reacting()
    thread_id = await new_thread(server)
    clicked = {"type": "write", "payload": {"text": "after"}}
    found = await answer(server, "threads.sync_custom_action", thread_id=thread_id, item_id="msg_card", action=clicked)
    assert found["updated_item"]["widget"]["children"][0]["value"] == "after"
    kept = (await answer(server, "items.list", thread_id=thread_id))["data"][0]
    assert kept == found["updated_item"]
    assert (await server.store.load_thread(thread_id, "ann")).title == "clicked by ann"


@pytest.mark.requirement("CHK-12")
async def test_a_sync_action_may_change_nothing() -> None:
    server = Reacting()
    thread_id = await new_thread(server)
    assert await answer(server, "threads.sync_custom_action", thread_id=thread_id, action={"type": "nothing"}) == {}


# --------------------------------------------------------------------- attachments, dictation


class Files(AttachmentStore[Any]):
    def __init__(self) -> None:
        self.deleted: list[str] = []

    async def create_attachment(self, input: AttachmentCreateParams, context: Any) -> Attachment:
        upload = AttachmentUploadDescriptor(
            url="https://files.example/up", method="PUT", headers={"x-size": str(input.size)}
        )
        return FileAttachment(
            id="atc_1", name=input.name, mime_type=input.mime_type, upload_descriptor=upload, metadata={"private": 1}
        )

    async def delete_attachment(self, attachment_id: str, context: Any) -> None:
        self.deleted.append(attachment_id)


@pytest.mark.requirement("CHK-15", "CHK-02")
async def test_an_announced_attachment_says_where_its_bytes_go_and_is_saved() -> None:
    server = Scripted(echo, files=Files())
    found = await answer(server, "attachments.create", name="a.txt", size=3, mime_type="text/plain")
    assert found == {
        "id": "atc_1",
        "name": "a.txt",
        "mime_type": "text/plain",
        "type": "file",
        "upload_descriptor": {"url": "https://files.example/up", "method": "PUT", "headers": {"x-size": "3"}},
    }
    assert (await server.store.load_attachment("atc_1", "ann")).metadata == {"private": 1}


@pytest.mark.requirement("CHK-15", "CHK-02")
async def test_a_deleted_attachment_is_gone_from_both_stores() -> None:
    files = Files()
    server = Scripted(echo, files=files)
    await answer(server, "attachments.create", name="a.txt", size=3, mime_type="text/plain")
    assert await answer(server, "attachments.delete", attachment_id="atc_1") == {}
    assert files.deleted == ["atc_1"]
    with pytest.raises(NotFoundError):
        await server.store.load_attachment("atc_1", "ann")


@pytest.mark.requirement("CHK-15", "CHK-02")
async def test_an_attachment_that_only_its_place_knows_is_deleted_there() -> None:
    files = Files()
    assert await answer(Scripted(echo, files=files), "attachments.delete", attachment_id="atc_9") == {}
    assert files.deleted == ["atc_9"]


@pytest.mark.requirement("CHK-15", "CHK-30")
async def test_over_the_wire_a_file_of_somebody_else_is_not_deleted_although_its_place_does_not_ask_whose_it_is() -> (
    None
):
    files = Files()
    server = Scripted(echo, files=files)
    await answer(server, "attachments.create", name="a.txt", size=3, mime_type="text/plain")
    served = Endpoint(server)
    for id in ("atc_1", "atc_9"):
        assert (await served.post(envelope("attachments.delete", attachment_id=id), "ben")).status == 404
    assert files.deleted == []
    assert (await served.post(envelope("attachments.delete", attachment_id="atc_1"), "ann")).status == 200


@pytest.mark.requirement("CHK-15")
async def test_deleting_a_thread_deletes_the_files_of_its_messages_and_no_others() -> None:
    files = Files()
    server = Scripted(echo, files=files)
    await answer(server, "attachments.create", name="a.txt", size=3, mime_type="text/plain")
    await server.store.save_attachment(FileAttachment(id="atc_2", name="b", mime_type="text/plain"), "ann")
    first = (await events(server, "threads.create", input=said("read", attachments=["atc_1"])))[0]
    await answer(server, "threads.delete", thread_id=first["thread"]["id"])
    assert files.deleted == ["atc_1"]
    with pytest.raises(NotFoundError):
        await server.store.load_attachment("atc_1", "ann")
    assert (await server.store.load_attachment("atc_2", "ann")).id == "atc_2"


@pytest.mark.requirement("CHK-15", "CHK-02")
@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("attachments.create", {"name": "a", "size": 1, "mime_type": "text/plain"}),
        ("attachments.delete", {"attachment_id": "atc_1"}),
    ],
)
async def test_without_a_place_for_files_there_are_none(operation: str, params: dict[str, Any]) -> None:
    with pytest.raises(RuntimeError, match="give it an attachment_store") as caught:
        await answer(Scripted(echo), operation, **params)
    assert isinstance(caught.value, NotSupported)


class Listening(Scripted):
    async def transcribe(self, audio_input: AudioInput, context: Any) -> TranscriptionResult:
        return TranscriptionResult(text=f"{audio_input.media_type} {audio_input.data.decode()}")


@pytest.mark.requirement("CHK-16", "CHK-02")
async def test_speech_reaches_the_hook_as_bytes() -> None:
    spoken = base64.b64encode(b"hello").decode()
    found = await answer(Listening(), "input.transcribe", audio_base64=spoken, mime_type="audio/webm;codecs=opus")
    assert found == {"text": "audio/webm hello"}


@pytest.mark.requirement("CHK-16")
@pytest.mark.parametrize("spoken", ["not base64!", "abc", "ä"])
async def test_speech_that_is_not_base64_is_refused(spoken: str) -> None:
    with pytest.raises(BadTarget, match="audio_base64 is not base64"):
        await answer(Listening(), "input.transcribe", audio_base64=spoken, mime_type="audio/webm")


@pytest.mark.requirement("CHK-16", "CHK-29")
async def test_speech_without_a_hook_is_not_supported() -> None:
    with pytest.raises(NotImplementedError, match=r"implement transcribe\(\)"):
        await answer(Scripted(), "input.transcribe", audio_base64="", mime_type="audio/webm")
