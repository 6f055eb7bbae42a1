"""What the events of a run become in a thread, without any SDK."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from tests.chatkit.agents.runs import (
    CALLER,
    WHEN,
    Run,
    a_context,
    delta,
    events_of,
    item_added,
    item_done,
    message,
    raw,
    sending,
    shapes,
    stored,
    text_part,
    thought,
    tool_call,
)

from dragoman.chatkit.agents import ClientToolCall, ResponseStreamConverter, accumulate_text, stream_agent_response
from dragoman.chatkit.types import (
    Annotation,
    AssistantMessageContent,
    AssistantMessageItem,
    ClientToolCallItem,
    CustomSummary,
    CustomTask,
    DurationSummary,
    FileSource,
    HiddenContextItem,
    ProgressUpdateEvent,
    ThoughtTask,
    ThreadItemAddedEvent,
    ThreadItemDoneEvent,
    ThreadItemRemovedEvent,
    ThreadItemReplacedEvent,
    ThreadItemUpdatedEvent,
    URLSource,
    WidgetItem,
    Workflow,
    WorkflowItem,
)
from dragoman.chatkit.widgets import Card, Text

pytestmark = pytest.mark.requirement("CHK-24")

MESSAGE = [
    "added assistant_message",
    "assistant_message.content_part.added",
    "assistant_message.content_part.text_delta",
    "assistant_message.content_part.done",
    "done assistant_message",
]


def a_widget(id: str = "w_1") -> WidgetItem:
    return WidgetItem(id=id, thread_id="thr_1", created_at=WHEN, widget=Card(children=[Text(value="hi")]))


def a_workflow(thread_id: str, id: str = "wf_1") -> WorkflowItem:
    work = Workflow(type="custom", tasks=[CustomTask(title="one")])
    return WorkflowItem(id=id, thread_id=thread_id, created_at=WHEN, workflow=work)


class InputGuardrailTripwireTriggered(Exception):
    """Known by its name, as where the SDK is not installed."""


# ---------------------------------------------------------------------- messages


async def test_a_message_keeps_the_models_id_from_first_to_last() -> None:
    events = await events_of(await a_context(), *message("hello"))
    assert shapes(events) == MESSAGE
    assert {event.item.id if hasattr(event, "item") else event.item_id for event in events} == {"m_1"}
    done = events[-1]
    assert isinstance(done, ThreadItemDoneEvent)
    assert isinstance(done.item, AssistantMessageItem)
    assert done.item.content == [AssistantMessageContent(text="hello")]
    assert done.item.created_at.utcoffset() is not None


@pytest.mark.requirement("CHK-25")
@pytest.mark.parametrize("placeholder", ["__fake_id__", "", None])
async def test_messages_of_a_model_without_ids_get_an_id_each(placeholder: Any) -> None:
    events = await events_of(await a_context(), *message("one", placeholder), *message("two", placeholder))
    assert shapes(events) == MESSAGE * 2
    ids = [event.item.id if hasattr(event, "item") else event.item_id for event in events]
    assert len(set(ids[:5])) == len(set(ids[5:])) == 1
    assert ids[0] != ids[5]
    assert all(id.startswith("msg_") for id in ids)


@pytest.mark.requirement("CHK-25")
async def test_messages_without_ids_may_be_written_at_the_same_time() -> None:
    one, two = message("one", "__fake_id__", 0), message("two", "__fake_id__", 1)
    woven = [step for pair in zip(one, two, strict=True) for step in pair]
    events = await events_of(await a_context(), *woven)
    ids = [event.item.id if hasattr(event, "item") else event.item_id for event in events]
    assert len(set(ids[0::2])) == len(set(ids[1::2])) == 1
    assert ids[0] != ids[1]


@pytest.mark.requirement("CHK-25")
async def test_an_id_that_comes_again_is_not_used_again() -> None:
    events = await events_of(await a_context(), *message("one", "m_1"), *message("two", "m_1"))
    first, second = [event.item.id for event in events if isinstance(event, ThreadItemDoneEvent)]
    assert first == "m_1"
    assert second.startswith("msg_")


async def test_a_message_that_only_ends_is_stored_under_its_id() -> None:
    events = await events_of(await a_context(), item_done("message", "m_7", content=[text_part("hi")]))
    assert [event.item.id for event in events] == ["m_7"]


async def test_a_message_keeps_the_moment_in_which_it_began() -> None:
    added, *_, done = await events_of(await a_context(), *message("hi"))
    assert isinstance(added, ThreadItemAddedEvent)
    assert isinstance(done, ThreadItemDoneEvent)
    assert added.item.created_at == done.item.created_at


async def test_a_refusal_is_plain_text() -> None:
    refusal = {"type": "refusal", "refusal": "no"}
    events = await events_of(await a_context(), item_done("message", "m_1", content=[refusal]))
    assert events[0].item.content == [AssistantMessageContent(text="no")]


async def test_what_means_nothing_here_is_left_out() -> None:
    steps = [
        SimpleNamespace(type="agent_updated_stream_event"),
        raw("response.created"),
        raw("response.content_part.added", part={"type": "reasoning_text"}, item_id="x", content_index=0),
        raw("response.function_call_arguments.delta", delta="{"),
        item_done("file_search_call", "fs_1"),
        item_done("image_generation_call", "ig_1", result=None),
        SimpleNamespace(type="run_item_stream_event", item=SimpleNamespace(type="message_output_item")),
    ]
    assert await events_of(await a_context(), *steps) == []


# ---------------------------------------------------------------------- annotations

CITATIONS: list[Any] = [
    {"type": "file_citation", "file_id": "f", "filename": "", "index": 0},
    SimpleNamespace(type="container_file_citation", filename="c.txt", start_index=0, end_index=3),
    {"type": "file_path", "file_id": "f", "index": 1},
    {"type": "url_citation", "url": "https://example.com", "title": "Example", "start_index": 1, "end_index": 5},
    {"type": "file_citation", "filename": "f.txt", "index": 7},
]
ANNOTATIONS = [
    Annotation(source=FileSource(filename="c.txt", title="c.txt"), index=3),
    Annotation(source=URLSource(url="https://example.com", title="Example"), index=5),
    Annotation(source=FileSource(filename="f.txt", title="f.txt"), index=7),
]


async def test_annotations_of_any_shape_are_counted_without_gaps() -> None:
    steps = [
        raw("response.output_text.annotation.added", annotation=each, item_id="m_1", content_index=0, output_index=0)
        for each in CITATIONS
    ]
    updates = [event.update for event in await events_of(await a_context(), *steps)]
    assert [update.annotation for update in updates] == ANNOTATIONS
    assert [update.annotation_index for update in updates] == [0, 1, 2]


async def test_a_finished_message_has_its_annotations() -> None:
    events = await events_of(await a_context(), item_done("message", "m_1", content=[text_part("hi", *CITATIONS)]))
    assert events[0].item.content[0].annotations == ANNOTATIONS


async def test_a_converter_decides_what_a_citation_becomes() -> None:
    class Mine(ResponseStreamConverter):
        async def url_citation_to_annotation(self, url_citation: Any) -> Annotation | None:
            return Annotation(source=URLSource(url=url_citation.url, title="mine"), index=url_citation.start_index)

        async def container_file_citation_to_annotation(self, container_file_citation: Any) -> Annotation | None:
            return None

    done = item_done("message", "m_1", content=[text_part("hi", *CITATIONS)])
    events = await events_of(await a_context(), done, converter=Mine())
    found = events[0].item.content[0].annotations
    assert [(each.source.title, each.index) for each in found] == [("mine", 1), ("f.txt", 7)]


# ---------------------------------------------------------------------- images


async def test_an_image_grows_and_is_done() -> None:
    partial = {"item_id": "ig_1", "partial_image_b64": "AAA", "partial_image_index": 1}
    steps = [
        item_added("image_generation_call", "ig_1"),
        raw("response.image_generation_call.partial_image", **partial),
        item_done("image_generation_call", "ig_1", result="BBB"),
    ]
    context = await a_context()
    added, grown, done = await events_of(context, *steps, converter=ResponseStreamConverter(partial_images=4))
    assert isinstance(added, ThreadItemAddedEvent)
    assert added.item.image is None
    assert grown.update.progress == pytest.approx(0.25)
    assert grown.update.image.url == "data:image/png;base64,AAA"
    assert done.item.image.url == "data:image/png;base64,BBB"
    assert added.item.id == grown.item_id == done.item.id
    assert context.generated_image_item is None


@pytest.mark.parametrize(("expected", "index", "progress"), [(None, 3, 0.0), (0, 3, 0.0), (2, 1, 0.5), (2, 9, 1.0)])
def test_progress_is_counted_against_the_images_to_come(expected: int | None, index: int, progress: float) -> None:
    converter = ResponseStreamConverter(partial_images=expected)
    assert converter.partial_image_index_to_progress(index) == progress


async def test_images_nobody_announced_are_left_out() -> None:
    steps = [
        raw("response.image_generation_call.partial_image", item_id="x", partial_image_b64="A", partial_image_index=0),
        item_done("image_generation_call", "ig_1", result="BBB"),
    ]
    assert await events_of(await a_context(), *steps) == []


# ---------------------------------------------------------------------- reasoning and workflows


async def test_the_first_thought_is_streamed_and_the_next_ones_added() -> None:
    steps = [
        item_added("reasoning", "rs_1"),
        thought("delta", "Thin"),
        thought("delta", "king"),
        thought("done", "Thinking."),
        thought("delta", "More", 1),
        thought("done", "More.", 1),
    ]
    events = await events_of(await a_context(), *steps, *message("hi"))
    assert shapes(events) == [
        "added workflow",
        "workflow.task.added",
        "workflow.task.updated",
        "workflow.task.updated",
        "workflow.task.added",
        "done workflow",
        *MESSAGE,
    ]
    told = [event.update.task.content for event in events[1:5]]
    assert told == ["Thin", "Thinking", "Thinking.", "More."]
    work = events[5].item.workflow
    assert work.tasks == [ThoughtTask(content="Thinking."), ThoughtTask(content="More.")]
    assert work.summary == DurationSummary(duration=0)
    assert not work.expanded


async def test_thoughts_without_a_workflow_are_left_out() -> None:
    assert await events_of(await a_context(), thought("delta", "a"), thought("done", "a")) == []


async def test_what_a_tool_shows_ends_the_workflow_but_hidden_things_do_not() -> None:
    context = await a_context()
    hidden = HiddenContextItem(id="h_1", thread_id="thr_1", created_at=WHEN, content="psst")
    told = shapes(
        await events_of(
            context,
            sending(context.add_workflow_task, CustomTask(title="one")),
            sending(context.stream, ThreadItemDoneEvent(item=hidden)),
            sending(context.stream_progress, "still here"),
            sending(context.stream, ThreadItemDoneEvent(item=a_widget())),
        )
    )
    assert told == ["added workflow", "done hidden_context_item", "progress_update", "done workflow", "done widget"]


async def test_a_summary_survives_the_end_that_a_message_brings() -> None:
    context = await a_context()
    await context.start_workflow(Workflow(type="custom", tasks=[], summary=CustomSummary(title="mine"), expanded=True))
    events = await events_of(context, *message("hi"))
    assert shapes(events) == ["done workflow", *MESSAGE]
    assert events[0].item.workflow.summary == CustomSummary(title="mine")
    assert not events[0].item.workflow.expanded


async def test_a_workflow_that_a_tool_sends_itself_becomes_the_open_one() -> None:
    context = await a_context()
    mine = a_workflow("thr_1", "wf_mine")
    events = await events_of(context, sending(context.stream, ThreadItemAddedEvent(item=mine)), *message("hi"))
    assert shapes(events) == ["added workflow", "done workflow", *MESSAGE]
    assert events[1].item.id == "wf_mine"


@pytest.mark.requirement("CHK-25")
async def test_a_task_that_comes_while_the_end_of_its_workflow_is_not_read_yet_replaces_the_workflow() -> None:
    context = await a_context()
    first, late = (sending(context.add_workflow_task, CustomTask(title=title)) for title in ("first", "late"))
    events = await events_of(context, first, *message("hi"), late)  # the run never waits, so the tool is far ahead
    assert shapes(events) == ["added workflow", "done workflow", *MESSAGE, "replaced workflow"]
    last = events[-1]
    assert isinstance(last, ThreadItemReplacedEvent)
    assert isinstance(last.item, WorkflowItem)
    assert [task.title for task in last.item.workflow.tasks] == ["first", "late"]
    assert last.item.workflow.summary is not None


async def test_an_open_workflow_is_stored_and_the_next_turn_goes_on_with_it() -> None:
    context = await a_context()
    await events_of(context, sending(context.add_workflow_task, CustomTask(title="one")))
    [first] = await stored(context)
    assert isinstance(first, WorkflowItem)
    await events_of(context, sending(context.add_workflow_task, CustomTask(title="two")))
    [second] = await stored(context)
    assert isinstance(second, WorkflowItem)
    assert second.id == first.id
    assert [task.title for task in second.workflow.tasks] == ["one", "two"]
    events = await events_of(context, *message("hi"))
    assert shapes(events) == ["done workflow", *MESSAGE]
    assert events[0].item.id == first.id


@pytest.mark.requirement("CHK-25")
async def test_a_workflow_before_a_client_tool_call_goes_on_as_well() -> None:
    def a_call(thread_id: str) -> ClientToolCallItem:
        return ClientToolCallItem(
            id="tc_1", thread_id=thread_id, created_at=WHEN, call_id="c", name="n", arguments={}, status="completed"
        )

    context = await a_context(a_workflow, a_call)
    await events_of(context)
    assert context.workflow_item is not None
    assert context.workflow_item.id == "wf_1"
    far = await a_context(a_workflow, a_call, lambda thread_id: a_call(thread_id).model_copy(update={"id": "tc_2"}))
    await events_of(far)
    assert far.workflow_item is None


@pytest.mark.requirement("CHK-25")
async def test_a_workflow_that_is_open_over_two_runs_of_one_answer_is_stored_once() -> None:
    context = await a_context()
    await events_of(context, sending(context.add_workflow_task, CustomTask(title="one")))
    hidden = HiddenContextItem(id="h_1", thread_id="thr_1", created_at=WHEN, content="meanwhile")
    await context.store.add_thread_item("thr_1", hidden, context=CALLER)
    await events_of(context, sending(context.add_workflow_task, CustomTask(title="two")))
    first, second = await stored(context)
    assert [task.title for task in first.workflow.tasks] == ["one", "two"]
    assert second.id == "h_1"


@pytest.mark.requirement("CHK-25")
async def test_a_model_that_counts_its_messages_anew_in_each_turn_overwrites_none() -> None:
    context = await a_context()
    [*_, first] = await events_of(context, *message("one", "m_1"))
    await context.store.add_thread_item("thr_1", first.item, context=CALLER)
    second = await events_of(context, *message("two", "m_1"))
    ids = {event.item.id if hasattr(event, "item") else event.item_id for event in second}
    assert len(ids) == 1
    assert "m_1" not in ids


# ---------------------------------------------------------------------- client tools


async def test_a_client_tool_call_comes_last_under_the_models_ids() -> None:
    context = await a_context()
    context.client_tool_call = ClientToolCall(name="pick", arguments={"a": 1})
    calls = [tool_call("pick", "call_1", "fc_1"), tool_call("other", "call_2", "fc_2")]
    events = await events_of(context, *calls, *message("hi"))
    assert shapes(events) == [*MESSAGE, "done client_tool_call"]
    item = events[-1].item
    assert (item.id, item.call_id, item.status, item.arguments) == ("fc_1", "call_1", "pending", {"a": 1})


async def test_a_client_tool_whose_function_has_another_name_takes_the_last_call() -> None:
    context = await a_context()
    context.client_tool_call = ClientToolCall(name="pick", arguments={})
    [event] = await events_of(context, tool_call("f", "call_1", "fc_1"), tool_call("g", "call_2", "fc_2"))
    assert event.item.call_id == "call_2"


@pytest.mark.requirement("CHK-25")
@pytest.mark.parametrize("calls", [[], [tool_call("pick", "call_1", "__fake_id__")], [tool_call("pick", "", None)]])
async def test_ids_that_are_missing_are_made(calls: list[Any]) -> None:
    context = await a_context()
    context.client_tool_call = ClientToolCall(name="pick", arguments={})
    [event] = await events_of(context, *calls)
    item = event.item
    assert item.id.startswith("tc_")
    assert item.call_id.startswith("tc_") or item.call_id == "call_1"


# ---------------------------------------------------------------------- guardrails and endings


async def test_a_tripwire_removes_all_that_was_shown_and_is_raised() -> None:
    context = await a_context()
    events = []
    steps = [
        sending(context.stream, ThreadItemDoneEvent(item=a_widget())),
        item_added("reasoning", "rs_1"),
        *message("hi"),
        item_added("image_generation_call", "ig_1"),
        tool_call("f", "call_1", "fc_1"),
    ]
    gate = asyncio.Event()
    run = Run(*steps, gate.wait, sending(context.stream_progress, "never"), InputGuardrailTripwireTriggered())

    async def read() -> None:
        async for event in stream_agent_response(context, run):
            events.append(event)
            if isinstance(event, ThreadItemAddedEvent) and event.item.type == "generated_image":
                gate.set()

    with pytest.raises(InputGuardrailTripwireTriggered):
        await read()
    shown = {event.item.id for event in events if isinstance(event, ThreadItemAddedEvent | ThreadItemDoneEvent)}
    removed = [event.item_id for event in events if isinstance(event, ThreadItemRemovedEvent)]
    assert sorted(removed) == sorted(shown | {"fc_1"})
    assert "progress_update" not in shapes(events)
    assert context._events.empty()
    assert context.client_tool_call is None


async def test_any_other_error_comes_after_what_was_sent_before_it() -> None:
    context = await a_context()
    run = Run(*message("hi"), sending(context.stream_progress, "last words"), LookupError())
    events = []

    async def read() -> None:
        async for event in stream_agent_response(context, run):
            events.append(event)

    with pytest.raises(LookupError):
        await read()
    assert shapes(events) == [*MESSAGE, "progress_update"]


async def test_leaving_a_stream_ends_the_run() -> None:
    context = await a_context()
    run = Run(*message("hi"), asyncio.Event().wait)
    events = stream_agent_response(context, run)
    async for _ in events:
        break
    await events.aclose()
    assert run.is_closed


async def test_a_cancelled_task_ends_the_run() -> None:
    context = await a_context()
    begun = asyncio.Event()

    async def forever() -> None:
        begun.set()
        await asyncio.Event().wait()

    run = Run(*message("hi"), forever)

    async def read() -> None:
        async for _ in stream_agent_response(context, run):
            pass

    task = asyncio.create_task(read())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert run.is_closed


async def test_a_run_that_is_cancelled_from_inside_cancels_its_reader() -> None:
    with pytest.raises(asyncio.CancelledError):
        await events_of(await a_context(), asyncio.CancelledError())


async def test_the_run_is_read_in_one_task_from_beginning_to_end() -> None:
    tasks = set()

    class Watching(Run):
        async def stream_events(self) -> Any:
            tasks.add(asyncio.current_task())
            try:
                async for event in super().stream_events():
                    tasks.add(asyncio.current_task())
                    yield event
            finally:
                tasks.add(asyncio.current_task())

    context = await a_context()
    async for _ in stream_agent_response(context, Watching(*message("a"), *message("b"))):
        pass
    assert len(tasks) == 1


# ---------------------------------------------------------------------- order


async def test_events_of_tools_stand_where_they_were_sent() -> None:
    context = await a_context()
    steps: list[Any] = []
    for number in range(5):
        steps += [delta(f"{number}"), *[sending(context.stream_progress, f"{number}{letter}") for letter in "abc"]]
    told = [
        event.text if isinstance(event, ProgressUpdateEvent) else event.update.delta
        for event in await events_of(context, *steps)
    ]
    assert told == [f"{number}{letter}" for number in range(5) for letter in ["", "a", "b", "c"]]


async def test_a_run_that_never_waits_is_not_read_whole_before_its_first_event_is_out() -> None:
    read = 0

    class Eager:
        async def stream_events(self) -> AsyncIterator[Any]:
            nonlocal read
            for read in range(5000):  # noqa: B007  # told by how far it came
                yield delta("x")

    answer = stream_agent_response(await a_context(), Eager())
    await anext(answer)
    assert read < 200
    assert sum([1 async for _ in answer]) == 4999


async def test_two_answers_may_share_a_context() -> None:
    context = await a_context()
    steps = [step for number in range(20) for step in (delta("x"), sending(context.stream_progress, f"{number}"))]
    both = await asyncio.gather(events_of(context, *steps), events_of(context, *steps))
    events = [event for one in both for event in one]
    assert sum(isinstance(event, ProgressUpdateEvent) for event in events) == 40
    assert sum(isinstance(event, ThreadItemUpdatedEvent) for event in events) == 40


async def test_another_answer_may_follow_with_the_same_context() -> None:
    context = await a_context()
    assert shapes(await events_of(context, *message("one", "m_1"))) == MESSAGE
    assert shapes(await events_of(context, *message("two", "m_2"))) == MESSAGE


# ---------------------------------------------------------------------- text into a widget


async def test_accumulated_text_grows_in_copies_of_the_widget() -> None:
    base = Text(key="k", value="", streaming=True)
    found = [each async for each in accumulate_text(Run(*message("Hello, "), delta("world")).stream_events(), base)]
    assert [each.value for each in found] == ["", "Hello, ", "Hello, world", "Hello, world"]
    assert [each.streaming for each in found] == [True, True, True, False]
    assert {each.key for each in found} == {"k"}
    assert base.value == ""


async def test_the_caller_is_the_one_of_the_context() -> None:
    context = await a_context()
    await events_of(context, sending(context.add_workflow_task, CustomTask(title="one")))
    page = await context.store.load_thread_items("thr_1", None, 5, "asc", "somebody else")
    assert page.data == []
    assert len(await stored(context)) == 1
    assert context.request_context == CALLER
