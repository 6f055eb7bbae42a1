"""What a tool may do with its context, and what of it the client is told."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.chatkit.agents.runs import CALLER, a_context, events_of, sending, shapes, stored

from dragoman.chatkit.agents import AgentContext
from dragoman.chatkit.agents.context import now
from dragoman.chatkit.types import (
    CustomSummary,
    CustomTask,
    DurationSummary,
    ProgressUpdateEvent,
    ThreadItemDoneEvent,
    Workflow,
    WorkflowItem,
)
from dragoman.chatkit.widgets import Card, Text

pytestmark = pytest.mark.requirement("CHK-24")


async def test_ids_come_from_the_store() -> None:
    context = await a_context()
    assert context.generate_id("message").startswith("msg_")
    assert context.generate_id("workflow").startswith("wf_")
    assert context.generate_id("thread").startswith("thr_")


async def test_each_context_has_a_queue_of_its_own() -> None:
    one, other = await a_context(), await a_context()
    await one.stream(ProgressUpdateEvent(text="looking"))
    assert shapes(await events_of(other)) == []
    assert shapes(await events_of(one)) == ["progress_update"]


async def test_a_subclass_may_have_fields_of_its_own() -> None:
    class Mine(AgentContext[str]):
        note: str

    parent = await a_context()
    mine = Mine(thread=parent.thread, store=parent.store, request_context=CALLER, note="here")
    assert mine.note == "here"
    assert mine.thread is parent.thread


async def test_progress_is_told_with_its_icon() -> None:
    context = await a_context()
    await context.stream_progress("searching", icon="search")
    assert await events_of(context) == [ProgressUpdateEvent(text="searching", icon="search")]


async def test_a_widget_is_one_event_and_states_of_one_are_streamed() -> None:
    context = await a_context()

    async def states():
        yield Card(children=[Text(id="t", value="He")])
        yield Card(children=[Text(id="t", value="Hello")])

    await context.stream_widget(Card(children=[Text(value="hi")]), copy_text="hi")
    await context.stream_widget(states())
    events = await events_of(context)
    assert shapes(events) == ["done widget", "added widget", "widget.streaming_text.value_delta", "done widget"]


async def test_a_workflow_without_tasks_is_shown_with_its_first_task() -> None:
    context = await a_context()
    await context.start_workflow(Workflow(type="custom", tasks=[]))
    assert context._events.empty()
    await context.add_workflow_task(CustomTask(title="one"))
    await context.add_workflow_task(CustomTask(title="two"))
    await context.update_workflow_task(CustomTask(title="two", content="done"), 1)
    await context.end_workflow(CustomSummary(title="all"), expanded=True)
    events = await events_of(context)
    assert shapes(events) == ["added workflow", "workflow.task.added", "workflow.task.updated", "done workflow"]
    last = events[-1]
    assert isinstance(last, ThreadItemDoneEvent)
    assert isinstance(last.item, WorkflowItem)
    assert last.item.workflow.summary == CustomSummary(title="all")
    assert last.item.workflow.expanded
    assert await stored(context) == []


async def test_a_reasoning_workflow_is_shown_at_once() -> None:
    context = await a_context()
    await context.start_workflow(Workflow(type="reasoning", tasks=[]))
    await context.add_workflow_task(CustomTask(title="one"))
    await context.end_workflow()
    assert shapes(await events_of(context)) == ["added workflow", "workflow.task.added", "done workflow"]


async def test_events_that_wait_tell_what_was_true_when_they_were_sent() -> None:
    context = await a_context()
    await context.add_workflow_task(CustomTask(title="one"))
    await context.add_workflow_task(CustomTask(title="two"))
    await context.end_workflow()
    added = (await events_of(context))[0]
    assert [task.title for task in added.item.workflow.tasks] == ["one"]


async def test_a_task_without_workflow_opens_one() -> None:
    context = await a_context()
    await context.add_workflow_task(CustomTask(title="one"))
    assert context.workflow_item is not None
    assert context.workflow_item.workflow.type == "custom"


async def test_no_task_can_be_updated_without_a_workflow() -> None:
    context = await a_context()
    with pytest.raises(ValueError, match="no workflow is open"):
        await context.update_workflow_task(CustomTask(title="one"), 0)


async def test_no_workflow_can_be_ended_twice() -> None:
    context = await a_context()
    await context.add_workflow_task(CustomTask(title="one"))
    await context.end_workflow()
    await context.end_workflow()
    assert shapes(await events_of(context)) == ["added workflow", "done workflow"]


async def test_a_summary_is_kept_and_otherwise_whole_seconds_are_counted() -> None:
    context = await a_context()
    await context.start_workflow(Workflow(type="custom", tasks=[], summary=CustomSummary(title="mine")))
    await context.end_workflow()
    context.workflow_item = WorkflowItem(
        id="wf_1",
        thread_id="thr_1",
        created_at=now() - timedelta(seconds=5.5),
        workflow=Workflow(type="custom", tasks=[]),
    )
    await context.end_workflow()
    kept, counted = [event.item.workflow.summary for event in await events_of(context)]
    assert kept == CustomSummary(title="mine")
    assert counted == DurationSummary(duration=5)


async def test_a_workflow_that_ended_before_another_began_is_ended_once() -> None:
    context = await a_context()
    for title in ("one", "two"):
        await context.add_workflow_task(CustomTask(title=title))
        await context.end_workflow()
    await context.add_workflow_task(CustomTask(title="three"))
    told = shapes(await events_of(context, sending(context.stream_progress, "now")))
    assert told == [*["added workflow", "done workflow"] * 2, "added workflow", "progress_update"]
    assert [item.workflow.tasks[0].title for item in await stored(context)] == ["three"]
