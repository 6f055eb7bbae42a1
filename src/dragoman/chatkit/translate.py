"""A run's events → this wire's events, for one reader; pure.

What streams here equals what is read later: each finished item is made by `rows.item_of` from the very row that the
engine stores with the same events. Knows neither HTTP nor engine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from pydantic_core import to_json

from dragoman.chatkit.errors import ErrorCode
from dragoman.chatkit.rows import Preview, item_of, moment, reasoning_workflow, wire_id
from dragoman.chatkit.store import is_hidden
from dragoman.chatkit.texts import DEFAULT_ERROR_MESSAGE
from dragoman.chatkit.types import (
    AssistantMessageContent,
    AssistantMessageContentPartAdded,
    AssistantMessageItem,
    ErrorEvent,
    ProgressUpdateEvent,
    ThoughtTask,
    ThreadItem,
    ThreadItemAddedEvent,
    ThreadItemDoneEvent,
    ThreadItemRemovedEvent,
    ThreadItemReplacedEvent,
    ThreadItemUpdatedEvent,
    ThreadStreamEvent,
    Workflow,
    WorkflowItem,
    WorkflowTaskAdded,
    WorkflowTaskUpdated,
)
from dragoman.chatkit.under_way import Call, Entry
from dragoman.core import events as ev
from dragoman.core.ids import derived_id
from dragoman.core.records import Item, ItemKind

Out: TypeAlias = list[ThreadStreamEvent | bytes]
"""Events, and frames of text deltas that are ready to be sent."""

_DELTA = b'"update":{"type":"assistant_message.content_part.text_delta","content_index":0,"delta":'
_END = b"}}\n\n"
_GROWTH = 1.05
"""A thought is told again when it is longer by this factor, so that a long one costs what it is long."""


class StreamTranslator:
    """Makes one reader's events of one run's events.

    `thread_id` is the wire's. `calls` are the stored tool calls of a run that is taken up after a pause. `expose` lets
    the text of failures through, `keeps_failed` says that the text of a failed model call stays (`Turn.keep_failed`).
    `done` says whether the stream is complete: the run ended or waits for somebody.
    """

    def __init__(
        self,
        run: str,
        thread_id: str,
        *,
        calls: Sequence[Item] = (),
        expose: bool = False,
        keeps_failed: bool = False,
        preview: Preview | None = None,
    ) -> None:
        self.done = False
        self._has_failed = False
        self._run = run
        self._thread = thread_id
        self._expose = expose
        self._keeps_failed = keeps_failed
        self._preview = preview
        self._entries: dict[str, Entry] = {}
        self._calls: dict[str, Call] = {}
        self._has_items = self._had_items = False
        self._dispatched = False
        for row in calls:
            is_running = row.body.get("state") == "input-available" and not row.body.get("client")
            self._calls[row.id] = Call(dict(row.body), row.created, None, "added" if is_running else "done")
            self._has_items = True

    def feed(self, event: ev.Event) -> Out:
        """What follows from one event; nothing once the stream is done."""
        body = event.body
        if type(body) is ev.BlockDelta:
            return self._delta(body)
        if self.done:
            return []
        told = _HANDLERS.get(type(body))
        return _visible(told(self, event, body)) if told is not None else []

    def flush(self) -> Out:
        """To be asked after each batch of events: forms that wait beside tools that still run."""
        return _visible(self._forms()) if self._dispatched and not self.done else []

    # ------------------------------------------------------------------- text and reasoning

    def _delta(self, body: ev.BlockDelta) -> Out:
        entry = self._entries.get(body.block)
        if entry is None or self.done:
            return []
        entry.pieces.append(body.delta)
        if entry.head is not None:
            return [entry.head + to_json(body.delta) + _END]
        entry.length += len(body.delta)
        if entry.length <= entry.told * _GROWTH:
            return []
        entry.told = entry.length
        entry.pieces[:] = ["".join(entry.pieces)]
        return [self._update(entry, WorkflowTaskUpdated(task_index=0, task=_thought(entry.pieces[0])))]

    def _block_started(self, event: ev.Event, body: ev.BlockStarted) -> Out:
        if body.kind == "reasoning":
            entry = self._enter(event, body.block, "reasoning", "workflow")
            item = WorkflowItem(**self._shape(entry), workflow=Workflow(type="reasoning", tasks=[]))
            thought = WorkflowTaskAdded(task_index=0, task=_thought(""))
            return [ThreadItemAddedEvent(item=item), self._update(entry, thought)]
        entry = self._enter(event, body.block, "message", "assistant_message")
        entry.head = b'data: {"type":"thread.item.updated","item_id":' + to_json(entry.wire) + b"," + _DELTA
        message = AssistantMessageItem(**self._shape(entry), content=[])
        part = AssistantMessageContentPartAdded(content_index=0, content=AssistantMessageContent(text=""))
        return [ThreadItemAddedEvent(item=message), self._update(entry, part)]

    def _block_ended(self, event: ev.Event, body: ev.BlockEnded) -> Out:
        """A thought is complete before the model call that it belongs to; what it is stored as comes with that."""
        entry = self._entries.get(body.block)
        if entry is None or entry.head is not None:
            return []
        task = _thought("".join(entry.pieces), done=True)
        return [self._update(entry, WorkflowTaskUpdated(task_index=0, task=task))]

    def _enter(self, event: ev.Event, id: str, kind: ItemKind, type: str) -> Entry:
        entry = self._entries[id] = Entry(id, kind, wire_id(id, type), event.time)
        self._has_items = True
        return entry

    def _shape(self, entry: Entry) -> dict[str, Any]:
        return {"id": entry.wire, "thread_id": self._thread, "created_at": moment(entry.created)}

    def _update(self, entry: Entry, update: Any) -> ThreadItemUpdatedEvent:
        return ThreadItemUpdatedEvent(item_id=entry.wire, update=update)

    # ------------------------------------------------------------------- other items

    def _item_added(self, event: ev.Event, body: ev.ItemAdded) -> Out:
        kind: Any = body.kind
        entry = self._enter(event, body.item, kind, "end_of_turn")
        entry.body = body.body
        item = self._entry_item(entry)
        entry.wire, entry.shown = item.id, not is_hidden(item)
        return [ThreadItemAddedEvent(item=item)]

    def _item_changed(self, event: ev.Event, body: ev.ItemChanged) -> Out:
        entry = self._entries.get(body.item)
        if entry is not None:  # it is done with its step, and then is what it has become
            entry.body = body.body
            return []
        kind: Any = body.kind
        return [ThreadItemReplacedEvent(item=self._item(Item(body.item, kind, "assistant", event.time, body.body)))]

    def _item_removed(self, event: ev.Event, body: ev.ItemRemoved) -> Out:
        entry = self._entries.pop(body.item, None)
        if entry is not None and not entry.shown:
            return []
        return [ThreadItemRemovedEvent(item_id=entry.wire if entry is not None else wire_id(body.item, "widget"))]

    def _entry_item(self, entry: Entry) -> ThreadItem:
        return self._item(Item(entry.id, entry.kind, "assistant", entry.created, entry.row_body()))

    def _item(self, row: Item) -> ThreadItem:
        return item_of(row, self._thread, preview=self._preview)

    # ------------------------------------------------------------------- steps

    def _step_started(self, event: ev.Event, body: ev.StepStarted) -> Out:
        if body.kind == "model":
            self._entries.clear()
            self._dispatched = False
            self._had_items = self._has_items
            return []
        call = self._calls.get((event.step or "").removeprefix("tool:"))
        if call is None:
            return []
        out: Out = [*self._forms(before=call.body["call"]), ProgressUpdateEvent(text=body.name)]
        if call.state == "unknown":
            call.state, call.last = "added", self._call_item(call)
            out.append(ThreadItemAddedEvent(item=call.last))
        return out

    def _step_completed(self, event: ev.Event, body: ev.StepCompleted) -> Out:
        if (event.step or "").startswith("tool:"):
            return []
        self._dispatched = True
        return self._finish_entries()

    def _step_restarted(self, event: ev.Event, body: ev.StepRestarted) -> Out:
        if (event.step or "").startswith("tool:"):
            return []
        gone = [entry.wire for entry in self._entries.values() if entry.shown]
        self._entries.clear()
        self._has_items = self._had_items
        self._calls = {id: call for id, call in self._calls.items() if call.step != event.step}
        return [ThreadItemRemovedEvent(item_id=wire) for wire in gone]

    def _finish_entries(self) -> Out:
        done = [ThreadItemDoneEvent(item=self._entry_item(entry)) for entry in self._entries.values()]
        self._entries.clear()
        return [*done]

    # ------------------------------------------------------------------- tools

    def _tool_started(self, event: ev.Event, body: ev.ToolStarted) -> Out:
        told = {"call": body.call, "name": body.name, "input": {}, "state": "input-available"}
        self._calls[body.call] = Call(told, event.time, event.step)
        return []

    def _tool_input(self, event: ev.Event, body: ev.ToolInput) -> Out:
        call = self._calls.get(body.call)
        if call is not None:
            self._has_items = True
            call.body |= {"name": body.name, "input": body.input}
            call.body |= {"client": True} if body.client else {}
            call.body |= {"widget": body.widget} if body.widget is not None else {}
        return []

    def _asked(self, event: ev.Event, body: ev.ToolApprovalRequested) -> Out:
        return self._settle(body.call, {"state": "approval-requested", "approval": {"id": body.approval}})

    def _decided(self, event: ev.Event, body: ev.ToolApprovalDecided) -> Out:
        approval = {"id": body.approval, "approved": body.approved, "system": body.channel == "system"}
        approval |= {"reason": body.reason} if body.reason is not None else {}
        changes: dict[str, Any] = {"state": "approval-responded", "approval": approval}
        return self._settle(body.call, changes | ({"input": body.input} if body.input is not None else {}))

    def _output(self, event: ev.Event, body: ev.ToolOutput) -> Out:
        call = self._calls.get(body.call)
        if body.preliminary:
            return self._preliminary(call, body) if call is not None and call.state == "added" else []
        return self._settle(body.call, {"state": "output-available", "output": body.output})

    def _preliminary(self, call: Call, body: ev.ToolOutput) -> Out:
        told = self._call_item(call, {"state": "output-available", "output": body.output})
        if not isinstance(told, WorkflowItem):
            return []
        task = told.workflow.tasks[0].model_copy(update={"status_indicator": "loading"})
        return [ThreadItemUpdatedEvent(item_id=told.id, update=WorkflowTaskUpdated(task_index=0, task=task))]

    def _failed(self, event: ev.Event, body: ev.ToolFailed) -> Out:
        return self._settle(body.call, {"state": "output-error", "error": body.message})

    def _denied(self, event: ev.Event, body: ev.ToolDenied) -> Out:
        changes: dict[str, Any] = {"state": "output-denied"}
        changes |= {"error": body.reason} if body.reason is not None else {}
        call = self._calls.get(body.call)
        approval = call.body.get("approval") if call is not None else None
        if approval and approval.get("approved") is None:
            reason = {"reason": body.reason} if body.reason is not None else {}
            changes["approval"] = {**approval, "approved": False, "system": True, **reason}
        return self._settle(body.call, changes)

    def _settle(self, id: str, changes: Mapping[str, Any]) -> Out:
        """The call as it is now: done if it was not, replaced if it is shown otherwise."""
        call = self._calls.get(id)
        if call is None or self._is_dropped(call):
            return []
        call.body |= changes
        item = self._call_item(call)
        before, call.last = call.last, item
        if call.state != "done":
            call.state = "done"
            return [*self._forms(before=id), ThreadItemDoneEvent(item=item)]
        if item == before or item.type == "client_tool_call":
            return []
        return [ThreadItemReplacedEvent(item=item)]

    def _is_dropped(self, call: Call) -> bool:
        """Whether a model call that failed never had its calls stored."""
        return self._has_failed and not self._keeps_failed and call.state == "unknown"

    def _call_item(self, call: Call, changes: Mapping[str, Any] | None = None) -> ThreadItem:
        body = {**call.body, **(changes or {})}
        return self._item(Item(body["call"], "tool_call", "assistant", call.created, body))

    def _forms(self, before: str | None = None) -> Out:
        """Forms that wait and are not shown yet; with `before` those of earlier calls."""
        out: Out = []
        for id, call in self._calls.items():
            if id == before:
                break
            if call.is_form and call.is_open and call.state == "unknown":
                out += self._show(call)
        return out

    def _show(self, call: Call) -> Out:
        call.state, call.last = "done", self._call_item(call)
        return [ThreadItemDoneEvent(item=call.last)]

    # ------------------------------------------------------------------- the run itself

    def _paused(self, event: ev.Event, body: ev.RunPaused) -> Out:
        out = self._forms()
        for id in body.calls:  # the client acts on these, so nothing follows them
            call = self._calls.get(id)
            if call is not None and call.state == "unknown" and call.body.get("client") and call.is_open:
                out += self._show(call)
        self.done = True
        return out

    def _model_broke(self, event: ev.Event, body: ev.StepFailed) -> Out:
        self._has_failed |= not (event.step or "").startswith("tool:") and body.code != "cancelled"
        return []

    def _completed(self, event: ev.Event, body: ev.RunCompleted) -> Out:
        self.done = True
        return [] if self._has_items else [self._mark(event)]

    def _run_failed(self, event: ev.Event, body: ev.RunFailed) -> Out:
        kept = self._finish_entries() if self._keeps_failed else []
        self.done = True
        return [*kept, self._mark(event), failure(body, expose=self._expose)]

    def _cancelled(self, event: ev.Event, body: ev.RunCancelled) -> Out:
        kept = self._finish_entries()
        self.done = True
        return [*kept, self._mark(event)]

    def _mark(self, event: ev.Event) -> ThreadItemDoneEvent:
        mark = Item(derived_id(self._run, "end"), "end_of_turn", "assistant", event.time, {})
        return ThreadItemDoneEvent(item=self._item(mark))


def _visible(out: Out) -> Out:
    """Without events of hidden items; a row that does not read as one of this wire's is hidden too."""
    return [one for one in out if isinstance(one, bytes) or not (hasattr(one, "item") and is_hidden(one.item))]


def failure(body: ev.RunFailed, *, expose: bool) -> ErrorEvent:
    """What a reader is told of a run that failed; the text of the failure only with `expose`."""
    if expose and body.message:
        return ErrorEvent(code="custom", message=body.message, allow_retry=True)
    return ErrorEvent(code=ErrorCode.STREAM_ERROR, message=DEFAULT_ERROR_MESSAGE, allow_retry=True)


def _thought(text: str, *, done: bool = False) -> ThoughtTask:
    return ThoughtTask.model_validate(reasoning_workflow(text, done=done)["tasks"][0])


_HANDLERS: Mapping[type[ev.EventBody], Callable[[StreamTranslator, ev.Event, Any], Out]] = {
    ev.BlockStarted: StreamTranslator._block_started,
    ev.BlockEnded: StreamTranslator._block_ended,
    ev.ItemAdded: StreamTranslator._item_added,
    ev.ItemChanged: StreamTranslator._item_changed,
    ev.ItemRemoved: StreamTranslator._item_removed,
    ev.StepStarted: StreamTranslator._step_started,
    ev.StepCompleted: StreamTranslator._step_completed,
    ev.StepRestarted: StreamTranslator._step_restarted,
    ev.StepFailed: StreamTranslator._model_broke,
    ev.ToolStarted: StreamTranslator._tool_started,
    ev.ToolInput: StreamTranslator._tool_input,
    ev.ToolApprovalRequested: StreamTranslator._asked,
    ev.ToolApprovalDecided: StreamTranslator._decided,
    ev.ToolOutput: StreamTranslator._output,
    ev.ToolFailed: StreamTranslator._failed,
    ev.ToolDenied: StreamTranslator._denied,
    ev.RunPaused: StreamTranslator._paused,
    ev.RunCompleted: StreamTranslator._completed,
    ev.RunFailed: StreamTranslator._run_failed,
    ev.RunCancelled: StreamTranslator._cancelled,
}
"""What follows from which event; of the others nothing does."""
