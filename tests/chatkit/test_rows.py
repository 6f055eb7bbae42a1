"""Rows ⇄ items: each row of the core reads as exactly one ChatKit item, or as a hidden one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, get_args

import pytest

from dragoman.chatkit.file_rows import attachment_blob, attachment_of
from dragoman.chatkit.rows import EXTRA, HIDDEN_KINDS, item_of, item_row, row_ids, thread_of, thread_row, wire_id
from dragoman.chatkit.store import is_hidden
from dragoman.chatkit.types import (
    ClientToolCallItem,
    FileAttachment,
    GeneratedImageItem,
    ImageAttachment,
    LockedStatus,
    TaskItem,
    ThreadItem,
    ThreadMetadata,
    UserMessageItem,
    WidgetItem,
    WorkflowItem,
)
from dragoman.core.ids import new_id
from dragoman.core.records import Blob, Item, ItemKind, Thread
from dragoman.testing.chatkit import every_item

pytestmark = pytest.mark.requirement("CHK-33")

NOON = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
UUID = "01a1fc6b-10f7-7285-bbb9-51128b304ed5"
HEX = UUID.replace("-", "")


def row(kind: ItemKind, body: dict[str, Any], *, id: str = UUID, role: Any = "assistant", **more: Any) -> Item:
    return Item(id, kind, role, NOON.timestamp(), body, **more)


def call(state: str = "input-available", **more: Any) -> Item:
    body = {"call": "call_1", "name": "add", "input": {"a": 1}, "state": state, **more}
    return row("tool_call", body, id="call_1")


# --------------------------------------------------------------------------- ids


@pytest.mark.parametrize(
    ("type", "expected"),
    [
        ("thread", "thr_"),
        ("assistant_message", "msg_"),
        ("client_tool_call", "tc_"),
        ("workflow", "wf_"),
        ("task", "tsk_"),
        ("sdk_hidden_context", "shcx_"),
        ("attachment", "atc_"),
    ],
)
def test_an_id_of_ours_is_spelt_with_the_prefix_of_its_type(type: str, expected: str) -> None:
    assert wire_id(UUID, type) == expected + HEX
    assert row_ids(expected + HEX) == (UUID, expected + HEX)


@pytest.mark.parametrize("id", ["mine", "call_1", "x" * 36, ""])
def test_an_id_that_is_none_of_ours_is_kept(id: str) -> None:
    assert wire_id(id, "thread") == id
    assert row_ids(id) == (id,)


# --------------------------------------------------------------------------- reading


def test_messages_of_other_faces_read_as_messages() -> None:
    parts = [{"type": "text", "text": "look"}, {"type": "file", "url": "blob:b", "media_type": "a/b", "name": "x.bin"}]
    asked = item_of(row("message", {"parts": parts}, role="user"), "thr_1")
    assert isinstance(asked, UserMessageItem)
    assert (asked.id, asked.thread_id, asked.created_at) == (f"msg_{HEX}", "thr_1", NOON)
    assert [part.model_dump() for part in asked.content] == [{"type": "input_text", "text": "look"}]
    assert [(one.id, one.name, one.type) for one in asked.attachments] == [("b", "x.bin", "file")]
    said = item_of(row("message", {"text": "no", "refusal": True}), "thr_1")
    assert said.model_dump(mode="json")["content"] == [{"type": "output_text", "text": "no", "annotations": []}]


def test_images_of_a_message_show_a_preview_only_if_there_is_one() -> None:
    parts = [{"type": "file", "url": f"blob:{UUID}", "media_type": "image/png"}]
    parts.append({"type": "file", "url": "https://example.org/a.png", "media_type": "image/png", "name": "a.png"})
    message = row("message", {"parts": parts}, role="user")
    plain, shown = item_of(message, "t"), item_of(message, "t", preview=lambda id: f"https://files.test/{id}")
    assert isinstance(plain, UserMessageItem)
    assert isinstance(shown, UserMessageItem)
    assert [one.type for one in plain.attachments] == ["file", "image"]
    first = shown.attachments[0]
    assert isinstance(first, ImageAttachment)
    assert (first.id, str(first.preview_url)) == (f"atc_{HEX}", f"https://files.test/{UUID}")


def test_reasoning_reads_as_a_thought() -> None:
    item = item_of(row("reasoning", {"text": "hm"}), "t")
    assert isinstance(item, WorkflowItem)
    assert item.id == f"wf_{HEX}"
    assert item.workflow.type == "reasoning"
    (task,) = item.workflow.tasks
    assert task.model_dump(exclude_none=True) == {"type": "thought", "content": "hm", "status_indicator": "complete"}


@pytest.mark.parametrize(
    ("state", "more", "expected"),
    [
        ("input-available", {}, ("loading", None)),
        ("output-available", {"output": {"sum": 5}}, ("complete", '{"sum": 5}')),
        ("output-available", {"output": "five"}, ("complete", "five")),
        ("output-error", {"error": "it broke"}, ("complete", "The tool failed.")),
        ("output-denied", {}, ("complete", "denied")),
    ],
)
def test_a_tool_of_the_server_reads_as_one_task(state: str, more: dict[str, Any], expected: Any) -> None:
    item = item_of(call(state, **more), "t")
    assert isinstance(item, WorkflowItem)
    (task,) = item.workflow.tasks
    assert task.type == "custom"
    assert task.title == "add"
    assert (task.status_indicator, task.content) == expected


def test_a_long_output_is_cut() -> None:
    item = item_of(call("output-available", output="x" * 9999), "t")
    assert isinstance(item, WorkflowItem)
    task = item.workflow.tasks[0]
    assert task.type == "custom"
    assert task.content == "x" * 500 + "…"


@pytest.mark.parametrize(
    ("state", "more", "expected"),
    [
        ("input-available", {}, ("pending", None)),
        ("output-available", {"output": [1]}, ("completed", [1])),
        ("output-error", {"error": "no"}, ("completed", {"error": "no"})),
        ("output-denied", {"error": "superseded"}, ("completed", {"error": "superseded"})),
    ],
)
def test_a_tool_of_the_client_reads_as_its_call(state: str, more: dict[str, Any], expected: Any) -> None:
    item = item_of(call(state, client=True, **more), "t")
    assert isinstance(item, ClientToolCallItem)
    assert (item.id, item.call_id, item.name, item.arguments) == ("call_1", "call_1", "add", {"a": 1})
    assert (item.status, item.output) == expected


@pytest.mark.requirement("CHK-28")
def test_what_waits_for_a_human_reads_as_a_widget() -> None:
    for item in (call("approval-requested", approval={"id": "a"}), call(client=True, widget={"type": "Card"})):
        shown = item_of(item, "t")
        assert isinstance(shown, WidgetItem)
        assert shown.id == "call_1"


def test_sources_and_images_read_as_what_they_are() -> None:
    web = item_of(row("source", {"id": "1", "url": "https://a.test", "title": "A"}), "t")
    paper = item_of(row("source", {"id": "2", "media_type": "application/pdf", "title": "B", "name": "b.pdf"}), "t")
    assert isinstance(web, TaskItem)
    assert isinstance(paper, TaskItem)
    assert web.task.type == "web_search"
    assert web.task.sources[0].url == "https://a.test"
    assert paper.task.type == "file"
    assert paper.task.sources[0].filename == "b.pdf"
    for kind in ("image", "file"):
        image = item_of(row(kind, {"url": "https://a.test/i.png", "media_type": "image/png"}), "t")
        assert isinstance(image, GeneratedImageItem)
        assert image.image is not None
        assert image.image.url == "https://a.test/i.png"


@pytest.mark.requirement("CHK-17")
@pytest.mark.parametrize("kind", get_args(ItemKind))
@pytest.mark.parametrize("body", [{}, {"text": "x"}, {"url": "x", "media_type": "text/plain"}, {"type": 7}])
def test_every_row_reads_as_one_item_whatever_is_in_it(kind: ItemKind, body: dict[str, Any]) -> None:
    if kind == "tool_call":
        body = {"call": "c", "name": "n", "input": {}, "state": "input-available"} | body
    item = item_of(row(kind, body), "t")
    assert item.thread_id == "t"
    assert is_hidden(item) or kind not in HIDDEN_KINDS


# --------------------------------------------------------------------------- storing


@pytest.mark.parametrize("item", every_item("t"), ids=lambda item: item.type)
def test_what_a_server_stores_comes_back_as_it_was(item: ThreadItem) -> None:
    stored = item_row(item)
    assert item_of(stored, "t") == item
    again = item_row(item, existing=stored)
    assert (again.kind, again.role, again.body) == (stored.kind, stored.role, stored.body)
    assert item_of(again, "t") == item


@pytest.mark.parametrize("item", every_item("t"), ids=lambda item: item.type)
def test_other_faces_understand_what_was_stored(item: ThreadItem) -> None:
    bare = replace(item_row(item), extra={})
    assert item_of(bare, "t").type in (item.type, "hidden_context_item")
    if not is_hidden(item):
        assert item_of(bare, "t").type == item.type


def test_a_message_is_told_to_a_model_with_its_mentions_and_files() -> None:
    content: Any = [
        {"type": "input_text", "text": "ask "},
        {"type": "input_tag", "id": "u1", "text": "Ann"},
        {"type": "input_text", "text": "!"},
    ]
    file = FileAttachment(id=f"atc_{HEX}", name="a.pdf", mime_type="application/pdf")
    item = UserMessageItem(id="m", thread_id="t", created_at=NOON, content=content, attachments=[file])
    assert item_row(item).body["parts"] == [
        {"type": "text", "text": "ask @Ann!"},
        {"type": "file", "url": f"blob:{UUID}", "media_type": "application/pdf", "name": "a.pdf"},
    ]


def test_a_call_of_the_engine_stays_one_when_a_server_shows_it_as_something_else() -> None:
    stored = call("approval-requested", approval={"id": "a"})
    shown = WidgetItem(id="call_1", thread_id="t", created_at=NOON, widget={"type": "Card", "children": []})  # type: ignore[arg-type]  # as a dict
    kept = item_row(shown, existing=stored)
    assert (kept.kind, kept.body) == ("tool_call", stored.body)
    assert item_of(kept, "t") == shown


def test_an_output_of_the_client_is_the_calls_output_for_every_face() -> None:
    stored = call(client=True)
    item = item_of(stored, "t")
    assert isinstance(item, ClientToolCallItem)
    done = item.model_copy(update={"status": "completed", "output": {"x": 1}})
    kept = item_row(done, existing=stored)
    assert kept.body == stored.body | {"state": "output-available", "output": {"x": 1}}


def test_the_addresses_of_images_are_signed_anew_on_every_reading() -> None:
    image = ImageAttachment(id=f"atc_{HEX}", name="a", mime_type="image/png", preview_url="https://old.test/")  # type: ignore[arg-type]  # as text
    item = UserMessageItem(id="m", thread_id="t", created_at=NOON, content=[], attachments=[image])
    read = item_of(item_row(item), "t", preview=lambda id: f"https://new.test/{id}")
    assert isinstance(read, UserMessageItem)
    assert isinstance(read.attachments[0], ImageAttachment)
    assert str(read.attachments[0].preview_url) == f"https://new.test/{UUID}"


# --------------------------------------------------------------------------- threads, attachments


def test_a_thread_of_another_face_has_no_title_rather_than_an_empty_one() -> None:
    thread = thread_of(Thread(UUID, "acme", "ann", NOON.timestamp(), 2.0, metadata={"kai": {"x": 1}}))
    assert (thread.id, thread.title, thread.created_at, thread.metadata) == (f"thr_{HEX}", None, NOON, {})
    assert thread.status.type == "active"


def test_a_thread_comes_back_as_it_was_and_leaves_other_dialects_alone() -> None:
    meta = ThreadMetadata(
        id=f"thr_{HEX}",
        created_at=NOON,
        title="T",
        status=LockedStatus(reason="later"),
        metadata={"secret": [1]},
        allowed_image_domains=["a.test"],
    )
    existing = Thread(UUID, "acme", "ann", 1.0, 2.0, 7, metadata={"kai": {"x": 1}}, visibility="public")
    stored = thread_row(meta, tenant="acme", owner="ann", now=9.0, existing=existing)
    assert (stored.number, stored.created, stored.updated, stored.visibility) == (7, 1.0, 9.0, "public")
    assert stored.metadata["kai"] == {"x": 1}
    assert stored.status == "locked"
    assert thread_of(stored) == meta.model_copy(update={"created_at": datetime.fromtimestamp(1.0, UTC)})
    assert thread_of(thread_row(meta, tenant="acme", owner="ann", now=9.0)) == meta


def test_a_status_that_another_face_sets_counts() -> None:
    kept = {EXTRA: {"status": {"type": "locked", "reason": "x"}}}
    assert thread_of(Thread(UUID, "a", "b", 1.0, 1.0, metadata=kept)).status.type == "active"
    assert thread_of(Thread(UUID, "a", "b", 1.0, 1.0, metadata=kept, status="locked")).status == LockedStatus(
        reason="x"
    )
    assert thread_of(Thread(UUID, "a", "b", 1.0, 1.0, status="archived")).status.type == "active"


def test_an_attachment_comes_back_as_it_was() -> None:
    file = FileAttachment(id=f"atc_{HEX}", name="a.txt", mime_type="text/plain", metadata={"k": 1})
    blob = attachment_blob(file, tenant="acme", owner="ann", now=1.0)
    assert blob.id == UUID
    assert attachment_of(blob) == file
    plain = Blob(new_id(1.0), "acme", "ann", "upload", "b.png", "image/png", 1.0)
    assert attachment_of(plain).type == "file"
    assert attachment_of(plain, preview=lambda id: f"https://a.test/{id}").type == "image"
