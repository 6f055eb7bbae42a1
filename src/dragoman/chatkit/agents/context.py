"""What tools and agents hold in their hands while they answer: the thread, its store, a way to the client.

An `AgentContext` is made per answer and given to the framework that runs the agent, for the OpenAI
Agents SDK as the `context` of the run. What its methods stream waits in a queue, from which
`stream_agent_response` takes it in between the events of the run. It knows no framework.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, PrivateAttr, SkipValidation

from dragoman.chatkit.store import Store, StoreItemType
from dragoman.chatkit.types import (
    CustomSummary,
    DurationSummary,
    GeneratedImageItem,
    IconName,
    ProgressUpdateEvent,
    Task,
    ThreadItemAddedEvent,
    ThreadItemDoneEvent,
    ThreadItemUpdatedEvent,
    ThreadMetadata,
    ThreadStreamEvent,
    Workflow,
    WorkflowItem,
    WorkflowTaskAdded,
    WorkflowTaskUpdated,
)
from dragoman.chatkit.widget_stream import stream_widget
from dragoman.chatkit.widgets import WidgetRoot

TContext = TypeVar("TContext")


class ClientToolCall(BaseModel):
    """A tool that the client shall run; a server tool sets it on its context and ends the turn."""

    name: str
    arguments: dict[str, Any]


class AgentContext(BaseModel, Generic[TContext]):
    """The thread, store and caller of one answer, and the events that tools send beside the model's.

    Meant to be subclassed with fields of your own. `workflow_item` is the workflow that is open now.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    thread: ThreadMetadata
    store: Annotated[Store[TContext], SkipValidation]
    request_context: TContext
    previous_response_id: str | None = None
    client_tool_call: ClientToolCall | None = None
    workflow_item: WorkflowItem | None = None
    generated_image_item: GeneratedImageItem | None = None
    _events: asyncio.Queue[ThreadStreamEvent] = PrivateAttr(default_factory=asyncio.Queue)
    _announced: set[str] = PrivateAttr(default_factory=set)
    """Workflows whose `added` waits in the queue: they began after what is ahead of it."""
    _ended: set[str] = PrivateAttr(default_factory=set)

    def generate_id(self, type: StoreItemType, thread: ThreadMetadata | None = None) -> str:
        """A fresh id from the store, for an item of this thread (or of `thread`)."""
        if type == "thread":
            return self.store.generate_thread_id(self.request_context)
        return self.store.generate_item_id(type, thread or self.thread, self.request_context)

    async def stream(self, event: ThreadStreamEvent) -> None:
        """Send any event to the client, after those that were sent before it."""
        if isinstance(event, ThreadItemAddedEvent) and isinstance(event.item, WorkflowItem):
            self._announced.add(event.item.id)
        await self._events.put(event)

    async def stream_widget(self, widget: WidgetRoot | AsyncIterable[WidgetRoot], copy_text: str | None = None) -> None:
        """Show a widget, or each state of one as it comes."""
        async for event in stream_widget(self.thread, widget, copy_text, self.generate_id):
            await self.stream(event)

    async def stream_progress(self, text: str, icon: IconName | None = None) -> None:
        """Say in a few words what is going on; the next event takes the place of it."""
        await self.stream(ProgressUpdateEvent(text=text, icon=icon))

    async def start_workflow(self, workflow: Workflow) -> None:
        """Open a workflow. One that is no reasoning and has no task is shown with its first task."""
        self.workflow_item = self._new_workflow(workflow)
        if workflow.type == "reasoning" or workflow.tasks:
            await self.stream(ThreadItemAddedEvent(item=snapshot(self.workflow_item)))

    async def add_workflow_task(self, task: Task) -> None:
        """Add a task to the open workflow; without one, a custom workflow is opened."""
        item = self.workflow_item = self.workflow_item or self._new_workflow(Workflow(type="custom", tasks=[]))
        tasks = item.workflow.tasks
        tasks.append(task)
        if item.workflow.type != "reasoning" and len(tasks) == 1:
            await self.stream(ThreadItemAddedEvent(item=snapshot(item)))
            return
        update = WorkflowTaskAdded(task=task.model_copy(deep=True), task_index=len(tasks) - 1)
        await self.stream(ThreadItemUpdatedEvent(item_id=item.id, update=update))

    async def update_workflow_task(self, task: Task, task_index: int) -> None:
        """Put `task` in the place of task number `task_index`; ValueError if no workflow is open."""
        if self.workflow_item is None:
            raise ValueError("no workflow is open: call start_workflow or add_workflow_task first")
        self.workflow_item.workflow.tasks[task_index] = task
        update = WorkflowTaskUpdated(task=task.model_copy(deep=True), task_index=task_index)
        await self.stream(ThreadItemUpdatedEvent(item_id=self.workflow_item.id, update=update))

    async def end_workflow(
        self, summary: CustomSummary | DurationSummary | None = None, expanded: bool = False
    ) -> None:
        """Close the open workflow with this summary, else the one it has, else the seconds it took."""
        if self.workflow_item is None:
            return
        ended, self.workflow_item = self.workflow_item, None
        self._ended.add(ended.id)
        await self.stream(ThreadItemDoneEvent(item=closed(ended, summary, expanded=expanded)))

    def _new_workflow(self, workflow: Workflow) -> WorkflowItem:
        return WorkflowItem(
            id=self.generate_id("workflow"), thread_id=self.thread.id, created_at=now(), workflow=workflow
        )


def now() -> datetime:
    return datetime.now(UTC)


def snapshot(item: WorkflowItem) -> WorkflowItem:
    """The item as it is now: an event that waits must not change with the workflow."""
    return item.model_copy(deep=True)


def closed(
    item: WorkflowItem, summary: CustomSummary | DurationSummary | None = None, *, expanded: bool = False
) -> WorkflowItem:
    """The same item, summed up; a duration is in whole seconds and counts from the item's creation."""
    if summary is not None:
        item.workflow.summary = summary
    elif item.workflow.summary is None:
        began = item.created_at.astimezone(UTC)  # takes a time without zone as local
        item.workflow.summary = DurationSummary(duration=max(0, int((now() - began).total_seconds())))
    item.workflow.expanded = expanded
    return item
