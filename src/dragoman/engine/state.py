"""The state of one run, folded from its events and from nothing else.

`evolve` is the only function that changes it, so a run taken up after a crash has the state it
had before. The driver owns one `RunState`; the reducer reads it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from dragoman.core import events as ev
from dragoman.core.usage import Usage


@dataclass(slots=True)
class Block:
    """A stretch of text, reasoning or refusal, as far as it has come."""

    id: str
    kind: ev.BlockKind
    step: str | None
    pieces: list[str] = field(default_factory=list)
    open: bool = True
    provider: dict[str, Any] | None = None
    created: float = 0.0

    @property
    def text(self) -> str:
        return "".join(self.pieces)


@dataclass(slots=True)
class Call:
    """One tool call. `settled` is the seq of its answer, `decided` of the decision, 0 before."""

    id: str
    name: str
    step: str | None
    pieces: list[str] = field(default_factory=list)
    has_input: bool = False
    input: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    raw: str | None = None
    client: bool = False
    provider: dict[str, Any] | None = None
    widget: dict[str, Any] | None = None
    approval: str | None = None
    approved: bool | None = None
    by_system: bool = False
    reason: str | None = None
    answers: dict[str, Any] = field(default_factory=dict)
    decided: int = 0
    running: bool = False
    attempt: int = 1
    outcome: Literal["output", "error", "denied"] | None = None
    output: Any = None
    settled: int = 0
    created: float = 0.0

    @property
    def is_pending(self) -> bool:
        """Whether somebody outside must answer: a human's decision or a client's output."""
        if self.outcome is not None or self.running or not self.has_input:
            return False
        return self.client or (self.approval is not None and self.approved is None)

    @property
    def phase(self) -> str:
        """The state word of the stored item (see `records.Item`)."""
        if self.outcome is not None:
            return {"output": "output-available", "error": "output-error", "denied": "output-denied"}[self.outcome]
        if self.approval is None:
            return "input-available"
        return "approval-requested" if self.approved is None else "approval-responded"


@dataclass(slots=True)
class Extra:
    """An item beside text and tools."""

    id: str
    kind: str
    step: str | None
    body: dict[str, Any]
    created: float = 0.0


@dataclass(slots=True)
class RunState:
    """Where a run stands. `model_step` is the open model call, if one is under way; `search_attempt` counts while
    knowledge is searched, and is 0 else.

    `entries` holds blocks, calls and extras of the answer in order; `rounds` counts model calls;
    `active_since` is the time from which `max_seconds` counts.
    """

    run: str
    answer: str = ""
    thread_id: str | None = None
    status: Literal["new", "running", "paused", "completed", "failed", "cancelled"] = "new"
    last_seq: int = 0
    rounds: int = 0
    model_step: str | None = None
    model_attempt: int = 1
    search_attempt: int = 0
    active_since: float = 0.0
    entries: list[Block | Call | Extra] = field(default_factory=list)
    blocks: dict[str, Block] = field(default_factory=dict)
    calls: dict[str, Call] = field(default_factory=dict)
    open_block: Block | None = None
    step_numbers: dict[str, int] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)
    cost: float | None = None

    @property
    def is_final(self) -> bool:
        return self.status in ("completed", "failed", "cancelled")

    def of_step(self, step: str) -> list[Block | Call | Extra]:
        """What one model call brought forth, in order."""
        return [entry for entry in self.entries if entry.step == step]

    def unsettled(self) -> list[Call]:
        """Calls that still want an answer."""
        return [call for call in self.calls.values() if call.outcome is None and call.has_input]


KNOWLEDGE_STEP = "knowledge"
"""The step id of the search for knowledge."""


def tool_step(call: str) -> str:
    """The step id of a tool's execution."""
    return f"tool:{call}"


def evolve(state: RunState, event: ev.Event) -> None:
    """Fold one event into the state."""
    state.last_seq = event.seq
    body = event.body
    match body:
        case ev.BlockDelta():
            state.blocks[body.block].pieces.append(body.delta)
        case ev.ToolInputDelta():
            state.calls[body.call].pieces.append(body.delta)
        case ev.BlockStarted() | ev.BlockEnded() | ev.ItemAdded() | ev.ItemChanged() | ev.ItemRemoved():
            _evolve_entry(state, body, event)
        case (
            ev.ToolStarted()
            | ev.ToolInput()
            | ev.ToolApprovalRequested()
            | ev.ToolApprovalDecided()
            | ev.ToolOutput()
            | ev.ToolFailed()
            | ev.ToolDenied()
        ):
            _evolve_call(state, body, event)
        case ev.StepStarted() | ev.StepRestarted() | ev.StepCompleted() | ev.StepFailed():
            _evolve_step(state, body, event.step or "")
        case ev.UsageCounted():
            state.usage += body.usage
            if body.cost is not None:
                state.cost = body.cost + (state.cost or 0.0)
        case _:
            _evolve_run(state, body, event.time)


def _evolve_run(state: RunState, body: ev.EventBody, time: float) -> None:
    match body:
        case ev.RunCreated():
            state.answer, state.thread_id = body.answer, body.thread
        case ev.RunStarted():
            state.status = "running"
            if not body.resumed:
                state.active_since = time
        case ev.RunPaused():
            state.status = "paused"
        case ev.RunResumed():
            state.status, state.active_since = "running", time
        case ev.RunCompleted():
            state.status = "completed"
        case ev.RunFailed():
            state.status = "failed"
        case ev.RunCancelled():
            state.status = "cancelled"


def _evolve_entry(state: RunState, body: ev.EventBody, event: ev.Event) -> None:
    match body:
        case ev.BlockStarted():
            block = Block(body.block, body.kind, event.step, created=event.time)
            state.blocks[body.block] = state.open_block = block
            state.entries.append(block)
        case ev.BlockEnded():
            block = state.blocks[body.block]
            block.open, block.provider = False, body.provider
            state.open_block = None
        case ev.ItemAdded():
            state.entries.append(Extra(body.item, body.kind, event.step, body.body, event.time))
        case ev.ItemChanged():
            for entry in state.entries:
                if isinstance(entry, Extra) and entry.id == body.item:
                    entry.body = body.body
        case ev.ItemRemoved():
            state.entries = [entry for entry in state.entries if entry.id != body.item]


def _evolve_call(state: RunState, body: ev.EventBody, event: ev.Event) -> None:
    match body:
        case ev.ToolStarted():
            call = Call(body.call, body.name, event.step, created=event.time)
            state.calls[body.call] = call
            state.entries.append(call)
        case ev.ToolInput():
            call = state.calls[body.call]
            call.has_input, call.input = True, body.input
            call.error, call.raw, call.client, call.provider = body.error, body.raw, body.client, body.provider
            call.widget = body.widget
        case ev.ToolApprovalRequested():
            state.calls[body.call].approval = body.approval
        case ev.ToolApprovalDecided():
            call = state.calls[body.call]
            call.approved, call.reason, call.decided = body.approved, body.reason, event.seq
            call.by_system = body.channel == "system"
            call.answers = body.answers or {}
            if body.input is not None:
                call.input = body.input
        case ev.ToolOutput():
            if not body.preliminary:
                _settle(state.calls[body.call], "output", body.output, event.seq)
        case ev.ToolFailed():
            _settle(state.calls[body.call], "error", body.message, event.seq)
        case ev.ToolDenied():
            call = state.calls[body.call]
            _settle(call, "denied", body.reason, event.seq)
            if call.reason is None:
                call.reason = body.reason


def _settle(call: Call, outcome: Literal["output", "error", "denied"], output: Any, seq: int) -> None:
    call.outcome, call.output, call.settled, call.running = outcome, output, seq, False


def _evolve_step(state: RunState, body: ev.EventBody, step: str) -> None:
    if step == KNOWLEDGE_STEP:
        state.search_attempt = body.attempt if isinstance(body, ev.StepStarted | ev.StepRestarted) else 0
        return
    call = state.calls.get(step.removeprefix("tool:")) if step.startswith("tool:") else None
    match body:
        case ev.StepStarted():
            if call is not None:
                call.running = True
            elif body.kind == "model":
                state.rounds += 1
                state.model_step, state.model_attempt = step, body.attempt
                state.step_numbers[step] = state.rounds
        case ev.StepRestarted():
            if call is not None:
                call.attempt = body.attempt
            else:
                state.model_attempt = body.attempt
                state.entries = [entry for entry in state.entries if entry.step != step]
                state.blocks = {b.id: b for b in state.blocks.values() if b.step != step}
                state.calls = {c.id: c for c in state.calls.values() if c.step != step}
                state.open_block = None
        case ev.StepCompleted():
            if call is None:
                state.model_step = None
        case ev.StepFailed():
            if call is None:
                state.model_step = None
