"""The items of an answer that are not done yet, kept up to date beside the stream; no I/O.

When an answer is cancelled, this is what there is of it. All copies are private: neither does a responder's item
change with them, nor they with it. A text is kept as its pieces, so that a long answer costs what it is long.
"""

from __future__ import annotations

from typing import Any

from dragoman.chatkit.processing.copies import copied
from dragoman.chatkit.types import (
    Annotation,
    AssistantMessageContent,
    AssistantMessageContentPartAdded,
    AssistantMessageContentPartAnnotationAdded,
    AssistantMessageContentPartDone,
    AssistantMessageContentPartTextDelta,
    AssistantMessageItem,
    GeneratedImageItem,
    GeneratedImageUpdated,
    ThreadItem,
    WidgetItem,
    WidgetRootUpdated,
    WorkflowItem,
    WorkflowTaskAdded,
    WorkflowTaskUpdated,
)

__all__ = ["PendingItems"]


class _Part:
    """One content part of a message that grows."""

    __slots__ = ("annotations", "texts")

    def __init__(self, content: AssistantMessageContent | None = None) -> None:
        self.texts: list[str] = [content.text] if content is not None else []
        self.annotations: list[Annotation] = [copied(one) for one in content.annotations] if content is not None else []

    def content(self) -> AssistantMessageContent:
        if len(self.texts) > 1:
            self.texts[:] = ["".join(self.texts)]
        return AssistantMessageContent(text="".join(self.texts), annotations=list(self.annotations))


class _Message:
    """An assistant message that grows."""

    __slots__ = ("item", "parts")

    def __init__(self, item: AssistantMessageItem) -> None:
        self.item = item
        self.parts = [_Part(content) for content in item.content]

    def part(self, index: int) -> _Part:
        """The part, and before it those that are missing."""
        while len(self.parts) <= index:
            self.parts.append(_Part())
        return self.parts[index]

    def update(self, update: Any) -> None:
        match update:
            case AssistantMessageContentPartTextDelta():
                index = update.content_index
                part = self.parts[index] if index < len(self.parts) else self.part(index)
                part.texts.append(update.delta)
            case AssistantMessageContentPartAdded() | AssistantMessageContentPartDone():
                self.part(update.content_index)
                self.parts[update.content_index] = _Part(update.content)
            case AssistantMessageContentPartAnnotationAdded():
                annotations = self.part(update.content_index).annotations
                annotations.insert(update.annotation_index, copied(update.annotation))
            case _:
                pass

    def snapshot(self) -> AssistantMessageItem:
        copy = copied(self.item)
        copy.content = [copied(part.content()) for part in self.parts]
        return copy


class _Other:
    """An item of another type; of these a workflow's tasks, a widget's root and an image are updated."""

    __slots__ = ("item",)

    def __init__(self, item: ThreadItem) -> None:
        self.item = item

    def update(self, update: Any) -> None:
        item = self.item
        match update:
            case WorkflowTaskAdded() if isinstance(item, WorkflowItem):
                item.workflow.tasks.append(copied(update.task))
            case WorkflowTaskUpdated() if isinstance(item, WorkflowItem):
                if 0 <= update.task_index < len(item.workflow.tasks):
                    item.workflow.tasks[update.task_index] = copied(update.task)
            case WidgetRootUpdated() if isinstance(item, WidgetItem):
                item.widget = copied(update.widget)
            case GeneratedImageUpdated() if isinstance(item, GeneratedImageItem):
                item.image = copied(update.image)
            case _:
                pass

    def snapshot(self) -> ThreadItem:
        return copied(self.item)


class PendingItems:
    """What was added and is not done, removed or replaced, in the order of its adding."""

    def __init__(self) -> None:
        self.open: dict[str, _Message | _Other] = {}
        """By id; each has `update`, which changes nothing if the update is for items of another type."""

    def __contains__(self, item_id: str) -> bool:
        return item_id in self.open

    def add(self, item: ThreadItem) -> None:
        copy = copied(item)
        self.open[item.id] = _Message(copy) if isinstance(copy, AssistantMessageItem) else _Other(copy)

    def update(self, item_id: str, update: Any) -> None:
        """Apply an update; one of an item that is not pending, or of another type, changes nothing."""
        found = self.open.get(item_id)
        if found is not None:
            found.update(update)

    def settle(self, item_id: str) -> None:
        self.open.pop(item_id, None)

    def items(self) -> list[ThreadItem]:
        """Copies of what there is by now."""
        return [one.snapshot() for one in self.open.values()]
