"""Events → the rows that go into the same transaction.

A `Projector` belongs to one run and remembers what later rows need of earlier events (when a
step began, what it used). It reads the state after the events were folded in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from dragoman.core import events as ev
from dragoman.core.ids import derived_id
from dragoman.core.records import Approval, Item, ItemStatus, Run, Step, Thread
from dragoman.core.usage import Usage
from dragoman.core.writes import (
    AppendEvents,
    ChangeRun,
    ChangeThread,
    DecideApproval,
    PutApproval,
    PutItem,
    PutStep,
    PutThread,
    Write,
)
from dragoman.engine.state import KNOWLEDGE_STEP, Block, Call, Extra, RunState


class Projector:
    """The rows of one run. `run` gets its thread's number once that is known.

    A turn aside (see `core.turns.Turn`) leaves nothing in its thread until it completes, and then all of it.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self._drops_failed = not run.options.get("keep_failed", True)
        self._aside = bool(run.options.get("aside")) and run.thread is None and run.thread_id is not None
        self._ttl: float | None = run.options.get("thread_ttl")
        self._steps: dict[str, Step] = {}

    def see(self, event: ev.Event) -> Step | None:
        """Take note of an event; the step row it changes, if any."""
        step, body = event.step, event.body
        if step is None:
            return None
        match body:
            case ev.StepStarted():
                model = body.name if body.kind == "model" else None
                self._steps[step] = Step(
                    self.run.id,
                    step,
                    body.kind,
                    body.name,
                    "running",
                    event.time,
                    attempt=body.attempt,
                    model=model,
                )
            case ev.StepRestarted():
                self._steps[step] = replace(
                    self._steps[step],
                    attempt=body.attempt,
                    started=event.time,
                    usage=Usage(),
                    cost=None,
                    status="running",
                )
            case ev.StepCompleted():
                self._steps[step] = replace(self._steps[step], status="completed", ended=event.time)
            case ev.StepFailed():
                error = {"code": body.code, "message": body.message}
                self._steps[step] = replace(
                    self._steps[step],
                    status="cancelled" if body.code == "cancelled" else "failed",
                    ended=event.time,
                    error=error,
                )
            case ev.UsageCounted():
                made = self._steps[step]
                cost = made.cost if body.cost is None else body.cost + (made.cost or 0.0)
                self._steps[step] = replace(made, usage=made.usage + body.usage, cost=cost)
            case _:
                return None
        return self._steps[step]

    def writes(self, state: RunState, events: Sequence[ev.Event]) -> list[Write]:
        """Everything that these events do to the store, themselves included."""
        writes: list[Write] = []
        steps: dict[tuple[str, int], Step] = {}
        run_changes: dict[str, Any] = {}
        touched: set[str] = set()
        failed: str | None = None
        ending: ev.EventBody | None = None
        for event in events:
            if isinstance(event.body, ev.StepRestarted) and (broken := self._steps.get(event.step or "")) is not None:
                error = {"code": event.body.code, "message": event.body.message}
                steps[broken.step, broken.attempt] = replace(broken, status="failed", ended=event.time, error=error)
            if (step := self.see(event)) is not None:
                steps[step.step, step.attempt] = step
            body = event.body
            match body:
                case ev.BlockDelta() | ev.ToolInputDelta():
                    continue
                case ev.StepCompleted() | ev.StepFailed() if event.step in state.step_numbers or (
                    event.step == KNOWLEDGE_STEP
                ):
                    touched.update(entry.id for entry in state.of_step(event.step or ""))
                    failed = event.step if isinstance(body, ev.StepFailed) else None
                case ev.ToolApprovalRequested():
                    call = state.calls[body.call]
                    touched.add(call.id)
                    writes.append(PutApproval(self._approval(call, body, event.time)))
                case ev.ToolApprovalDecided():
                    touched.add(body.call)
                    writes.append(_decision(body, event.time))
                case ev.ToolOutput() | ev.ToolFailed():
                    touched.add(body.call)
                case ev.ToolDenied():
                    call = state.calls[body.call]
                    touched.add(call.id)
                    if call.approval is not None and call.approved is None:
                        decision = {"reason": body.reason, "channel": "system"}
                        writes.append(DecideApproval(call.approval, False, decision, event.time))
                case ev.UsageCounted():
                    run_changes["usage"] = state.usage
                    if state.cost is not None:
                        run_changes["cost"] = state.cost
                case _:
                    run_changes |= run_changes_of(body, event.time)
                    if isinstance(body, ev.FINAL):
                        ending = body
        now = events[-1].time
        if failed is not None and self._drops_failed and isinstance(ending, ev.RunFailed):
            touched -= {entry.id for entry in state.of_step(failed)}
        if self.run.thread is not None and (ending is not None or touched):
            writes += [*self._items(state, touched, ending, now), self._moved(self.run.thread, now)]
        elif self._aside and isinstance(ending, ev.RunCompleted):
            writes += self._turn(state, ending, now)
            run_changes["thread"] = 0
        if run_changes:
            writes.append(ChangeRun(self.run.id, run_changes))
        writes.extend(PutStep(step) for step in steps.values())
        writes.append(AppendEvents(tuple(events)))
        return writes

    def _turn(self, state: RunState, ending: ev.EventBody, now: float) -> list[Write]:
        """All of a turn that ran aside: its thread if there is none yet, the prompt, the answer."""
        return [
            PutThread(self._new_thread(now), tenant_wide=False, join=True),
            PutItem(0, prompt_of(self.run), True),
            *self._items(state, {entry.id for entry in state.entries}, ending, now),
            self._moved(0, now),
        ]

    def _moved(self, thread: int, now: float) -> Write:
        """The thread was written to, and lives on from now."""
        return ChangeThread(thread, {"updated": now} | ({} if self._ttl is None else {"expires": now + self._ttl}))

    def _new_thread(self, now: float) -> Thread:
        run, made = self.run, self.run.options.get("new_thread", {})
        return Thread(str(run.thread_id), run.tenant, run.owner, run.created, now, **made)

    def _items(self, state: RunState, touched: set[str], ending: ev.EventBody | None, now: float) -> list[Write]:
        thread = self.run.thread or 0
        cut: ItemStatus = "completed" if ending is None or isinstance(ending, ev.RunCompleted) else "interrupted"
        writes: list[Write] = []
        for entry in state.entries:
            if entry.id in touched:
                item = item_of(state, entry, cut if isinstance(entry, Block) else "completed", now)
                if item is not None:
                    writes.append(PutItem(thread, item, replace=True))
        has_items = any(not isinstance(entry, Call) or entry.has_input for entry in state.entries)
        if ending is not None and (cut == "interrupted" or not has_items):
            mark = Item(
                derived_id(self.run.id, "end"),
                "end_of_turn",
                "assistant",
                now,
                {},
                status=cut,
                answer=state.answer,
                run=self.run.id,
                step=state.rounds,
            )
            writes.append(PutItem(thread, mark, replace=True))
        return writes

    def _approval(self, call: Call, body: ev.ToolApprovalRequested, now: float) -> Approval:
        run = self.run
        request = {"name": call.name, "input": call.input}
        return Approval(body.approval, run.tenant, run.owner, run.id, call.id, now, body.expires, request)


def prompt_of(run: Run) -> Item:
    """The message of a turn aside, which its run holds until then."""
    body = {"parts": run.input["parts"]}
    return Item(
        run.input["message"], "message", "user", run.created, body, run=run.id, extra=run.input.get("extra", {})
    )


def item_of(state: RunState, entry: Block | Call | Extra, status: ItemStatus, now: float) -> Item | None:
    """The item that an entry of an answer is stored as; None for a call whose arguments are not known yet."""
    kind: Any
    body: dict[str, Any]
    match entry:
        case Block():
            kind, body = ("reasoning" if entry.kind == "reasoning" else "message"), {"text": entry.text}
            if entry.kind == "refusal":
                body["refusal"] = True
            if entry.provider is not None:
                body["provider"] = entry.provider
        case Call():
            if not entry.has_input:
                return None
            kind, body, status = "tool_call", _call_body(entry), "completed"
        case Extra():
            kind, body = entry.kind, entry.body
    number = state.step_numbers.get(entry.step or "", 0)
    return Item(
        entry.id,
        kind,
        "assistant",
        entry.created or now,
        body,
        status=status,
        answer=state.answer,
        run=state.run,
        step=number,
    )


def _decision(body: ev.ToolApprovalDecided, now: float) -> Write:
    kept = {"reason": body.reason, "channel": body.channel, "input": body.input, "answers": body.answers}
    decision = {name: value for name, value in kept.items() if value is not None}
    return DecideApproval(body.approval, body.approved, decision, now, body.by)


def _call_body(call: Call) -> dict[str, Any]:
    body: dict[str, Any] = {"call": call.id, "name": call.name, "input": call.input, "state": call.phase}
    if call.outcome == "output":
        body["output"] = call.output
    elif call.outcome is not None and call.output is not None:
        body["error"] = call.output
    if call.raw is not None:
        body["raw"] = call.raw
    if call.client:
        body["client"] = True
    if call.provider is not None:
        body["provider"] = call.provider
    if call.widget is not None:
        body["widget"] = call.widget
    if call.approval is not None:
        approval: dict[str, Any] = {"id": call.approval}
        if call.approved is not None or call.outcome == "denied":
            approval["approved"] = bool(call.approved)
            approval["system"] = call.by_system or call.approved is None
        if call.reason is not None:
            approval["reason"] = call.reason
        body["approval"] = approval
    return body


def run_changes_of(body: ev.EventBody, now: float) -> dict[str, Any]:
    """What an event changes in the row of any run."""
    match body:
        case ev.RunStarted():
            return {"status": "running", "executor": body.executor} | ({} if body.resumed else {"started": now})
        case ev.RunPaused():
            return {"status": "paused"}
        case ev.RunResumed():
            return {"status": "running"}
        case ev.RunCompleted():
            return {"status": "completed", "ended": now}
        case ev.RunFailed():
            error: dict[str, Any] = {"code": body.code, "message": body.message}
            error |= {name: value for name in ("ref", "status") if (value := getattr(body, name)) is not None}
            return {"status": "failed", "ended": now, "error": error}
        case ev.RunCancelled():
            return {"status": "cancelled", "ended": now, "error": {"code": "cancelled", "message": body.reason}}
        case _:
            return {}
