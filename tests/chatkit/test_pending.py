"""The private copies of items that are not done yet."""

from __future__ import annotations

import time
from typing import Any

import pytest

from dragoman.chatkit.pending import PendingItems
from dragoman.chatkit.types import (
    Annotation,
    AssistantMessageContent,
    AssistantMessageContentPartAdded,
    AssistantMessageContentPartAnnotationAdded,
    AssistantMessageContentPartDone,
    AssistantMessageContentPartTextDelta,
    AssistantMessageItem,
    CustomTask,
    FileSource,
    GeneratedImage,
    GeneratedImageItem,
    GeneratedImageUpdated,
    ThreadItem,
    WidgetItem,
    WidgetRootUpdated,
    Workflow,
    WorkflowItem,
    WorkflowTaskAdded,
    WorkflowTaskUpdated,
)
from dragoman.chatkit.widgets import DynamicWidgetRoot
from dragoman.testing.chatkit.examples import NOON, said

pytestmark = pytest.mark.requirement("CHK-19", "CHK-02")


def delta(text: str, index: int = 0) -> AssistantMessageContentPartTextDelta:
    return AssistantMessageContentPartTextDelta(content_index=index, delta=text)


def note(name: str) -> Annotation:
    return Annotation(source=FileSource(filename=name, title=name))


def after(item: ThreadItem, *updates: Any) -> Any:
    """The copy of an item after updates."""
    pending = PendingItems()
    pending.add(item)
    for update in updates:
        pending.update(item.id, update)
    (copy,) = pending.items()
    return copy


def test_deltas_are_appended_to_their_part_and_missing_parts_are_made() -> None:
    copy = after(said("a", "m"), delta("b"), delta("d", 2), delta("c"))
    assert [part.text for part in copy.content] == ["abc", "", "d"]


def test_a_part_that_is_added_or_done_is_set_whole() -> None:
    whole = AssistantMessageContent(text="whole", annotations=[note("a")])
    for update in (AssistantMessageContentPartAdded, AssistantMessageContentPartDone):
        copy = after(said("x", "m"), delta("y"), update(content_index=1, content=whole), delta("!", 1))
        assert [part.text for part in copy.content] == ["xy", "whole!"]
        assert copy.content[1].annotations == whole.annotations


def test_an_annotation_is_inserted_at_its_index_or_appended_beyond_the_end() -> None:
    def added(index: int, name: str) -> AssistantMessageContentPartAnnotationAdded:
        return AssistantMessageContentPartAnnotationAdded(
            content_index=0, annotation_index=index, annotation=note(name)
        )

    copy = after(said("x", "m"), added(0, "a"), added(0, "b"), added(9, "c"))
    assert [one.source.title for one in copy.content[0].annotations] == ["b", "a", "c"]


def test_tasks_of_a_workflow_are_added_and_changed() -> None:
    flow = WorkflowItem(id="wf", thread_id="t", created_at=NOON, workflow=Workflow(type="custom", tasks=[]))
    copy = after(
        flow,
        WorkflowTaskAdded(task_index=0, task=CustomTask(title="a")),
        WorkflowTaskAdded(task_index=1, task=CustomTask(title="b")),
        WorkflowTaskUpdated(task_index=0, task=CustomTask(title="c")),
        WorkflowTaskUpdated(task_index=7, task=CustomTask(title="nowhere")),
    )
    assert [task.title for task in copy.workflow.tasks] == ["c", "b"]


def test_a_widget_takes_its_new_root_and_an_image_its_new_picture() -> None:
    root = DynamicWidgetRoot.model_validate({"type": "Card", "children": []})
    widget = WidgetItem(id="w", thread_id="t", created_at=NOON, widget=root)
    changed = DynamicWidgetRoot.model_validate({"type": "ListView", "children": []})
    assert after(widget, WidgetRootUpdated(widget=changed)).widget == changed
    image = GeneratedImageItem(id="i", thread_id="t", created_at=NOON)
    picture = GeneratedImage(id="p", url="https://images.example/p.png")
    assert after(image, GeneratedImageUpdated(image=picture)).image == picture


def test_an_update_of_another_type_or_another_item_changes_nothing() -> None:
    task = WorkflowTaskAdded(task_index=0, task=CustomTask(title="a"))
    assert after(said("a", "m"), task) == said("a", "m")
    pending = PendingItems()
    pending.update("unknown", delta("x"))
    assert pending.items() == []


def test_copies_are_isolated_in_both_directions() -> None:
    item, part = said("a", "m"), AssistantMessageContent(text="part", annotations=[note("a")])
    pending = PendingItems()
    pending.add(item)
    pending.update("m", AssistantMessageContentPartAdded(content_index=1, content=part))
    item.content[0].text = "changed by the responder"
    part.annotations.clear()
    (copy,) = pending.items()
    assert isinstance(copy, AssistantMessageItem)
    assert [one.text for one in copy.content] == ["a", "part"]
    assert len(copy.content[1].annotations) == 1
    copy.content[0].text = "changed by the hook"
    assert pending.items()[0] != copy
    assert len(item.content) == 1


def test_a_workflow_is_isolated_as_well() -> None:
    workflow = Workflow(type="custom", tasks=[CustomTask(title="first")])
    item = WorkflowItem(id="w", thread_id="t", created_at=NOON, workflow=workflow)
    pending = PendingItems()
    pending.add(item)
    workflow.tasks.clear()
    pending.update("w", WorkflowTaskAdded(task_index=1, task=CustomTask(title="second")))
    (copy,) = pending.items()
    assert isinstance(copy, WorkflowItem)
    assert [task.title for task in copy.workflow.tasks if isinstance(task, CustomTask)] == ["first", "second"]
    assert item.workflow.tasks == []


def test_what_is_settled_is_no_longer_pending() -> None:
    pending = PendingItems()
    for item_id in ("a", "b"):
        pending.add(said("x", item_id))
    pending.settle("a")
    pending.settle("unknown")
    assert ([item.id for item in pending.items()], "a" in pending, "b" in pending) == (["b"], False, True)


@pytest.mark.requirement("CHK-42")
def test_a_long_text_costs_what_it_is_long_and_not_its_square() -> None:
    def seconds(count: int) -> float:
        pending, piece = PendingItems(), delta("word ")
        pending.add(said("", "m"))
        begun = time.process_time()
        for _ in range(count):
            pending.update("m", piece)
        assert len(pending.items()[0].content[0].text) == 5 * count  # type: ignore[union-attr]  # a message
        return time.process_time() - begun

    seconds(1000)
    assert min(seconds(80_000) for _ in range(3)) < 16 * min(seconds(10_000) for _ in range(3))
