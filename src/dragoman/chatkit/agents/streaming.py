"""Turns the run of an agent into the events of a thread.

`stream_agent_response` takes the streaming result of the OpenAI Agents SDK, or anything with a
`stream_events()` that yields the like. It knows the events of the Responses API by their shape and
imports no SDK.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel

from dragoman.chatkit.agents.context import AgentContext, closed, now, snapshot
from dragoman.chatkit.agents.converter import ResponseStreamConverter, annotation_of, content_of
from dragoman.chatkit.agents.merging import Merged, Sent
from dragoman.chatkit.agents.reading import NO_CALL, FunctionCall, field, function_call, is_tripwire, listed, real_id
from dragoman.chatkit.store import find_item
from dragoman.chatkit.types import (
    AssistantMessageContent,
    AssistantMessageContentPartAdded,
    AssistantMessageContentPartAnnotationAdded,
    AssistantMessageContentPartDone,
    AssistantMessageContentPartTextDelta,
    AssistantMessageItem,
    ClientToolCallItem,
    GeneratedImage,
    GeneratedImageItem,
    GeneratedImageUpdated,
    ThoughtTask,
    ThreadItem,
    ThreadItemAddedEvent,
    ThreadItemDoneEvent,
    ThreadItemRemovedEvent,
    ThreadItemReplacedEvent,
    ThreadItemUpdate,
    ThreadItemUpdatedEvent,
    ThreadStreamEvent,
    Workflow,
    WorkflowItem,
    WorkflowTaskAdded,
    WorkflowTaskUpdated,
)
from dragoman.chatkit.widgets import WidgetComponentBase

DEFAULT_CONVERTER = ResponseStreamConverter()
NOT_SHOWN_AFTER = frozenset({"client_tool_call", "hidden_context_item", "sdk_hidden_context"})
"""Items that do not end the workflow before them."""

TTextWidget = TypeVar("TTextWidget", bound=WidgetComponentBase)


class StreamingThoughtTracker(BaseModel):
    """The thought that is being streamed: whose it is, and the task that shows it."""

    item_id: str
    index: int
    task: ThoughtTask


class _Answer:
    """What one answer has brought forth so far; `read` says what one event of the model means."""

    def __init__(self, context: AgentContext[Any], converter: ResponseStreamConverter) -> None:
        self.context = context
        self.converter = converter
        self.produced: dict[str, None] = {}
        self._ids: dict[tuple[object, object], str] = {}
        self._latest: dict[object, str] = {}
        self._began: dict[str, datetime] = {}
        self._done: set[str] = set()
        self._closed: dict[str, WorkflowItem] = {}
        self._annotations: Counter[tuple[str, int]] = Counter()
        self._calls: list[FunctionCall] = []
        self._thought: StreamingThoughtTracker | None = None

    # ------------------------------------------------------------------ workflows

    async def adopt(self) -> None:
        """Go on with the workflow that the last turn left open, also from before a client tool call."""
        context = self.context
        page = await context.store.load_thread_items(context.thread.id, None, 2, "desc", context.request_context)
        items = list(page.data)
        if items and items[0].type == "client_tool_call":
            items = items[1:]
        if items and isinstance(items[0], WorkflowItem):
            context.workflow_item = items[0]

    def ended_workflow(self) -> list[ThreadStreamEvent]:
        """The end of the open workflow; one whose `added` still waits began after this, and stays."""
        item = self.context.workflow_item
        if item is None or item.id in self.context._announced:
            return []
        self.context.workflow_item = None
        self._closed[item.id] = closed(item)
        return [ThreadItemDoneEvent(item=snapshot(item))]

    async def keep_workflow(self) -> None:
        """Store the workflow that is still open; the next turn goes on with it."""
        context, item = self.context, self.context.workflow_item
        if item is None:
            return
        is_stored = await self._stored(item.id) is not None
        save = context.store.save_item if is_stored else context.store.add_thread_item
        await save(context.thread.id, item, context.request_context)

    # ------------------------------------------------------------------ events of the context

    def sent(self, event: ThreadStreamEvent) -> list[ThreadStreamEvent]:
        """What a tool sent, after the end of the workflow that it puts an end to."""
        if isinstance(event, ThreadItemUpdatedEvent) and event.item_id in self._closed:
            # the tool ran ahead of what is read here: its task is in the workflow, and that was done before
            return [ThreadItemReplacedEvent(item=snapshot(self._closed[event.item_id]))]
        if not isinstance(event, (ThreadItemAddedEvent, ThreadItemDoneEvent)):
            return [event]
        context, item = self.context, event.item
        before: list[ThreadStreamEvent] = []
        current = context.workflow_item
        if current is not None and current.id != item.id and item.type not in NOT_SHOWN_AFTER:
            before = self.ended_workflow()
        if isinstance(item, WorkflowItem):
            self._follow(item, is_done=isinstance(event, ThreadItemDoneEvent))
        self.produced[item.id] = None
        return [*before, event]

    def _follow(self, item: WorkflowItem, *, is_done: bool) -> None:
        context = self.context
        if is_done:
            if context.workflow_item is not None and context.workflow_item.id == item.id:
                context.workflow_item = None
            return
        context._announced.discard(item.id)
        if context.workflow_item is None and item.id not in context._ended:
            context.workflow_item = item

    # ------------------------------------------------------------------ ids

    async def _begin(self, raw: object, index: object) -> str:
        """The id of a new message: the model's own, unless it is a placeholder or was used before."""
        given = real_id(raw)
        if given is None or given in self._done or await self._stored(given) is not None:
            given = self.context.generate_id("message")
        self._ids[raw, index] = self._latest[raw] = given
        self.produced[given] = None
        return given

    async def _stored(self, item_id: str) -> ThreadItem | None:
        """The thread's item: a workflow that goes on, a message of a model that counts anew each turn."""
        return await find_item(self.context.store, self.context.thread.id, item_id, self.context.request_context)

    async def _id(self, event: object) -> str:
        """The id of the message that an update belongs to."""
        raw = field(event, "item_id")
        known = self._ids.get((raw, field(event, "output_index"))) or self._latest.get(raw)
        return known or await self._begin(raw, field(event, "output_index"))

    # ------------------------------------------------------------------ events of the model

    async def run_event(self, event: object) -> list[ThreadStreamEvent]:
        match field(event, "type"):
            case "run_item_stream_event":
                item = field(event, "item")
                if field(item, "type") == "tool_call_item" and (call := function_call(field(item, "raw_item"))):
                    self._calls.append(call)
                    if call.item_id is not None:
                        self.produced[call.item_id] = None
                return []
            case "raw_response_event":
                data = field(event, "data")
                read = READERS.get(field(data, "type"))
                return await read(self, data) if read else []
            case _:
                return []

    async def item_added(self, event: object) -> list[ThreadStreamEvent]:
        item, context = field(event, "item"), self.context
        match field(item, "type"):
            case "reasoning" if context.workflow_item is None:
                workflow = WorkflowItem(
                    id=context.generate_id("workflow"),
                    thread_id=context.thread.id,
                    created_at=now(),
                    workflow=Workflow(type="reasoning", tasks=[]),
                )
                context.workflow_item = workflow
                self.produced[workflow.id] = None
                return [ThreadItemAddedEvent(item=snapshot(workflow))]
            case "message":
                own = await self._begin(field(item, "id"), field(event, "output_index"))
                message = await self._message(own, item)
                return [*self.ended_workflow(), ThreadItemAddedEvent(item=message)]
            case "image_generation_call":
                context.generated_image_item = GeneratedImageItem(
                    id=context.generate_id("message"), thread_id=context.thread.id, created_at=now(), image=None
                )
                self.produced[context.generated_image_item.id] = None
                return [ThreadItemAddedEvent(item=context.generated_image_item.model_copy())]
            case _:
                return []

    async def item_done(self, event: object) -> list[ThreadStreamEvent]:
        item, context = field(event, "item"), self.context
        match field(item, "type"):
            case "message":
                raw, index = field(item, "id"), field(event, "output_index")
                own = self._ids.get((raw, index)) or self._latest.get(raw)
                if own is None or own in self._done:
                    own = await self._begin(raw, index)
                self._done.add(own)
                return [ThreadItemDoneEvent(item=await self._message(own, item))]
            case "image_generation_call" if field(item, "result") and context.generated_image_item is not None:
                shown, context.generated_image_item = context.generated_image_item, None
                image_id = field(item, "id")
                url = await self.converter.base64_image_to_url(image_id=image_id, base64_image=field(item, "result"))
                image = GeneratedImage(id=image_id, url=url)
                return [ThreadItemDoneEvent(item=shown.model_copy(update={"image": image}))]
            case _:
                return []

    async def _message(self, own: str, item: object) -> AssistantMessageItem:
        content = [await content_of(part, self.converter) for part in listed(field(item, "content"))]
        began = self._began.setdefault(own, now())
        return AssistantMessageItem(id=own, thread_id=self.context.thread.id, created_at=began, content=content)

    async def part_added(self, event: object) -> list[ThreadStreamEvent]:
        part = field(event, "part")
        if field(part, "type") == "reasoning_text":
            return []
        content = await content_of(part, self.converter)
        added = AssistantMessageContentPartAdded(content_index=field(event, "content_index"), content=content)
        return [updated(await self._id(event), added)]

    async def text_delta(self, event: object) -> list[ThreadStreamEvent]:
        index, delta = field(event, "content_index"), field(event, "delta")
        return [updated(await self._id(event), AssistantMessageContentPartTextDelta(content_index=index, delta=delta))]

    async def text_done(self, event: object) -> list[ThreadStreamEvent]:
        content = AssistantMessageContent(text=field(event, "text"), annotations=[])
        index = field(event, "content_index")
        return [updated(await self._id(event), AssistantMessageContentPartDone(content_index=index, content=content))]

    async def annotation_added(self, event: object) -> list[ThreadStreamEvent]:
        annotation = await annotation_of(field(event, "annotation"), self.converter)
        if annotation is None:
            return []
        own, part = await self._id(event), field(event, "content_index")
        index = self._annotations[own, part]
        self._annotations[own, part] += 1
        added = AssistantMessageContentPartAnnotationAdded(
            content_index=part, annotation_index=index, annotation=annotation
        )
        return [updated(own, added)]

    async def partial_image(self, event: object) -> list[ThreadStreamEvent]:
        shown = self.context.generated_image_item
        if shown is None:
            return []
        index, image_id = field(event, "partial_image_index"), field(event, "item_id")
        url = await self.converter.base64_image_to_url(
            image_id=image_id, base64_image=field(event, "partial_image_b64"), partial_image_index=index
        )
        shown.image = GeneratedImage(id=image_id, url=url)
        progress = self.converter.partial_image_index_to_progress(index)
        return [updated(shown.id, GeneratedImageUpdated(image=shown.image, progress=progress))]

    async def thought_delta(self, event: object) -> list[ThreadStreamEvent]:
        """Only the first thought of a fresh reasoning workflow is shown as it grows."""
        item = self.context.workflow_item
        if item is None:
            return []
        if item.workflow.type == "reasoning" and not item.workflow.tasks:
            task = ThoughtTask(content=field(event, "delta"))
            self._thought = StreamingThoughtTracker(
                item_id=field(event, "item_id"), index=field(event, "summary_index"), task=task
            )
            item.workflow.tasks.append(self._thought.task)
            return [task_added(item)]
        place = self._thought_place(item, event)
        if self._thought is None or place is None:
            return []
        self._thought.task.content += field(event, "delta")
        return [task_updated(item, place)]

    async def thought_done(self, event: object) -> list[ThreadStreamEvent]:
        item = self.context.workflow_item
        if item is None:
            return []
        place = self._thought_place(item, event)
        if self._thought is None or place is None:
            item.workflow.tasks.append(ThoughtTask(content=field(event, "text")))
            return [task_added(item)]
        self._thought.task.content = field(event, "text")
        self._thought = None
        return [task_updated(item, place)]

    def _thought_place(self, item: WorkflowItem, event: object) -> int | None:
        """Where in the workflow the streamed thought stands, if this event is about it."""
        thought = self._thought
        if thought is None or (thought.item_id, thought.index) != (
            field(event, "item_id"),
            field(event, "summary_index"),
        ):
            return None
        return next((place for place, task in enumerate(item.workflow.tasks) if task is thought.task), None)

    # ------------------------------------------------------------------ the end

    def client_tool_call(self) -> ClientToolCallItem | None:
        """The call that the client shall answer, under the ids that the model gave it."""
        wanted, context = self.context.client_tool_call, self.context
        if wanted is None:
            return None
        named = [call for call in self._calls if call.name == wanted.name]
        _, call_id, item_id = (named or self._calls or [NO_CALL])[-1]
        return ClientToolCallItem(
            id=item_id or context.generate_id("tool_call"),
            thread_id=context.thread.id,
            created_at=now(),
            status="pending",
            call_id=call_id or context.generate_id("tool_call"),
            name=wanted.name,
            arguments=wanted.arguments,
        )


def updated(item_id: str, update: ThreadItemUpdate) -> ThreadItemUpdatedEvent:
    return ThreadItemUpdatedEvent(item_id=item_id, update=update)


def task_added(item: WorkflowItem) -> ThreadItemUpdatedEvent:
    """The last task of a workflow, as new."""
    task = item.workflow.tasks[-1].model_copy(deep=True)
    return updated(item.id, WorkflowTaskAdded(task=task, task_index=len(item.workflow.tasks) - 1))


def task_updated(item: WorkflowItem, place: int) -> ThreadItemUpdatedEvent:
    task = item.workflow.tasks[place].model_copy(deep=True)
    return updated(item.id, WorkflowTaskUpdated(task=task, task_index=place))


READERS: dict[str, Callable[[_Answer, object], Any]] = {
    "response.output_item.added": _Answer.item_added,
    "response.output_item.done": _Answer.item_done,
    "response.content_part.added": _Answer.part_added,
    "response.output_text.delta": _Answer.text_delta,
    "response.output_text.done": _Answer.text_done,
    "response.output_text.annotation.added": _Answer.annotation_added,
    "response.image_generation_call.partial_image": _Answer.partial_image,
    "response.reasoning_summary_text.delta": _Answer.thought_delta,
    "response.reasoning_summary_text.done": _Answer.thought_done,
}
"""What the events of the Responses API mean; all others mean nothing here."""


async def stream_agent_response(
    context: AgentContext[Any], result: Any, *, converter: ResponseStreamConverter = DEFAULT_CONVERTER
) -> AsyncGenerator[ThreadStreamEvent, None]:
    """The events of a run, and between them those that its tools send through the context.

    `result` is what `Runner.run_streamed` of the Agents SDK gives. A workflow that is still open at
    the end is stored, and the next turn goes on with it. If a guardrail trips, everything that this
    run has shown is removed and the guardrail's error raised.
    """
    answer = _Answer(context, converter)
    await answer.adopt()
    merged = Merged(result.stream_events(), context._events, is_urgent=is_tripwire)
    try:
        while (found := await merged.next()) is not None:
            events = answer.sent(found.event) if isinstance(found, Sent) else await answer.run_event(found.value)
            for event in events:
                yield event
    except Exception as error:
        if is_tripwire(error):
            for item_id in answer.produced:
                yield ThreadItemRemovedEvent(item_id=item_id)
            merged.discard()
        raise
    finally:
        await merged.leave()
    await answer.keep_workflow()
    call = answer.client_tool_call()
    if call is not None:
        yield ThreadItemDoneEvent(item=call)


async def accumulate_text(events: AsyncIterator[Any], base_widget: TTextWidget) -> AsyncGenerator[TTextWidget, None]:
    """A Text or Markdown widget, then a copy of it for each delta of a run's text, last one that streams no more."""
    text = ""
    yield base_widget
    async for event in events:
        data = field(event, "data")
        if field(event, "type") == "raw_response_event" and field(data, "type") == "response.output_text.delta":
            text += field(data, "delta")
            yield base_widget.model_copy(update={"value": text})
    yield base_widget.model_copy(update={"value": text, "streaming": False})
