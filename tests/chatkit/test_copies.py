"""Deep copies: equal to the original, and sharing nothing that can be changed with it."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import BaseModel, PrivateAttr

from dragoman.chatkit.processing.copies import Snapshot, copied
from dragoman.chatkit.types import (
    Annotation,
    AssistantMessageContent,
    AssistantMessageItem,
    LockedStatus,
    ThreadMetadata,
    URLSource,
    WidgetItem,
)
from dragoman.chatkit.widgets import Card, DynamicWidgetRoot, Text

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def thread() -> ThreadMetadata:
    return ThreadMetadata(id="t", created_at=NOON, status=LockedStatus(reason="a"), metadata={"a": [{"b": 1}]})


def test_a_copy_is_equal_and_knows_which_fields_were_set() -> None:
    original = thread()
    copy = copied(original)
    assert copy == original
    assert copy.model_fields_set == original.model_fields_set
    assert type(copy) is ThreadMetadata


def test_what_is_changed_in_the_original_stays_in_the_copy() -> None:
    original = thread()
    copy = copied(original)
    original.title = "new"
    original.metadata["a"][0]["b"] = 2
    original.metadata["c"] = 3
    assert isinstance(original.status, LockedStatus)
    original.status.reason = "b"
    assert copy == thread()


def test_messages_and_their_annotations_are_copied() -> None:
    note = Annotation(source=URLSource(title="t", url="https://example.org"), index=1)
    content = AssistantMessageContent(text="hi", annotations=[note])
    item = AssistantMessageItem(id="m", thread_id="t", created_at=NOON, content=[content])
    copy = copied(item)
    content.text = "changed"
    content.annotations.clear()
    note.index = 2
    assert copy.content[0].text == "hi"
    assert copy.content[0].annotations[0].index == 1


def test_unknown_fields_of_widgets_are_copied_too() -> None:
    root = DynamicWidgetRoot.model_validate({"type": "Card", "children": [], "future": {"list": [1]}})
    copy = copied(root)
    extra = root.model_extra
    assert extra is not None
    extra["future"]["list"].append(2)
    assert copy.model_dump()["future"] == {"list": [1]}


def test_a_widget_in_an_item_is_copied() -> None:
    text = Text(value="hi")
    item = WidgetItem(id="w", thread_id="t", created_at=NOON, widget=Card(children=[text]))
    before = item.model_dump_json()
    copy = copied(item)
    item.widget.children.clear()  # type: ignore[union-attr]  # a Card has a list
    text.value = "changed"
    assert copy.model_dump_json() == before


def test_a_model_of_the_users_with_private_state_is_copied_as_pydantic_does_it() -> None:
    class Mine(BaseModel):
        names: list[str]
        _seen: list[str] = PrivateAttr(default_factory=list)

    original = Mine(names=["a"])
    original._seen.append("x")
    copy = copied(original)
    original._seen.append("y")
    original.names.append("b")
    assert (copy.names, copy._seen) == (["a"], ["x"])


def test_a_snapshot_tells_every_change_of_the_thread() -> None:
    original = thread()
    before = Snapshot(original)
    assert not before.is_outdated
    original.title = "new"
    assert before.is_outdated
    original.title = None
    assert not before.is_outdated
    original.metadata["a"][0]["b"] = 2
    assert before.is_outdated


def test_a_snapshot_tells_changes_within_the_status_and_in_what_was_replaced() -> None:
    original = thread()
    before = Snapshot(original)
    assert isinstance(original.status, LockedStatus)
    original.status.reason = "b"
    assert before.is_outdated
    before = Snapshot(original)
    original.status = LockedStatus(reason="b")
    assert not before.is_outdated
    original.status.reason = "c"
    assert before.is_outdated


def test_changes_are_done_to_what_somebody_else_has_changed_too() -> None:
    original, fresh = thread(), thread()
    before = Snapshot(original)
    original.status = LockedStatus(reason="mine")
    original.metadata |= {"mine": 1}
    del original.metadata["a"]
    fresh.title = "theirs"
    fresh.metadata |= {"theirs": 2}
    before.merge(fresh)
    assert original.title == "theirs"
    assert original.status == LockedStatus(reason="mine")
    assert original.metadata == {"mine": 1, "theirs": 2}
