"""A flow's journal as this wire tells it: core events in, frames out; what they add up to as documents.

One fold serves every reading: a segment's stream, the live trace, the plain answer of `execute` and the
pause of a session. Feeding the same events gives the same frames, so a repeated segment is told alike.
Only top-level steps are steps on the wire, for a client counts them to know its place; what lies in
a loop or a branch is told as `step_progress`, which clients pass over. Knows no bytes but a frame's, no
HTTP and no store.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, TypeAlias

from pydantic_core import to_json

from dragoman.core import events as ev
from dragoman.core.failures import told
from dragoman.core.steps import split_key
from dragoman.core.usage import Usage
from dragoman.wire.sse import encode_event

Frame: TypeAlias = dict[str, Any]
"""The JSON object of one frame; its `eventType` is the name of the event, too."""

State: TypeAlias = Literal["running", "segment", "tools", "completed", "failed", "cancelled"]

CREDITS_EXHAUSTED = "CREDITS_EXHAUSTED"
CANCELLED = "CANCELLED"
_CREDITS_SAID = "the credits were used up during the run"
NOWHERE = "run"
"""What stands for the step of a run that failed without having any."""

_CODES = {
    "model_error": "PROVIDER_ERROR",
    "transport": "PROVIDER_ERROR",
    "connection_failed": "PROVIDER_ERROR",
    "connection_lost": "PROVIDER_ERROR",
    "protocol": "PROVIDER_ERROR",
    "remote": "PROVIDER_ERROR",
    "rate_limited": "PROVIDER_ERROR",
    "unavailable": "PROVIDER_ERROR",
    "circuit_open": "PROVIDER_ERROR",
    "unauthorized": "BYOK_KEY_REJECTED",
    "forbidden": "BYOK_KEY_REJECTED",
    "timeout": "STEP_TIMEOUT",
    "gateway_timeout": "STEP_TIMEOUT",
    "agent_gone": "STALE_TREE",
    "internal": "INTERNAL_ERROR",
}
"""Codes of the engine and of models → codes of the wire; a step's own are capitals already."""

_LINE_ENDS = ((b"\xe2\x80\xa8", b"\\u2028"), (b"\xe2\x80\xa9", b"\\u2029"), (b"\xc2\x85", b"\\u0085"))
"""What some readers of lines take for the end of one, and how JSON says it otherwise."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What of a run stays the same: its id, its flow's, and the top-level steps as (id, name)."""

    run: str
    flow: str
    steps: tuple[tuple[str, str], ...]

    @property
    def count(self) -> int:
        return len(self.steps)

    def place(self, step: str) -> int | None:
        """The index of a top-level step."""
        return next((place for place, (id, _) in enumerate(self.steps) if id == step), None)


def plan_of(run: str, flow: str, tree: Iterable[Mapping[str, Any]]) -> Plan:
    """The plan of a run with this frozen tree (see `records.FLOW_OPTIONS`)."""
    return Plan(run, flow, tuple((node["id"], node.get("name") or node["id"]) for node in tree))


@dataclass(slots=True)
class _Open:
    """The top-level step under way."""

    id: str
    name: str
    place: int
    began: float
    streamed: bool = False
    usage: Usage = field(default_factory=Usage)
    cost: Decimal | None = None
    message: Any = None
    turns: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a run ended without a result, and at which step."""

    code: str
    message: str
    step: str
    status: int | None = None


class FlowFold:
    """Takes a run's events in order; `state` and what goes with it are as of the latest.

    `outputs` has what top-level steps gave, `rounds` counts the pauses for the caller's tools. `expose`
    lets the text of exceptions through.
    """

    def __init__(self, plan: Plan, *, expose: bool = False) -> None:
        self.plan = plan
        self.state: State = "running"
        self.seq = 0
        self.outputs: dict[str, Any] = {}
        self.rounds = 0
        self.result: Any = None
        self.failure: Failure | None = None
        self._expose = expose
        self._open: _Open | None = None
        self._last: tuple[str, int] | None = None
        self._began: float | None = None
        self._blocks: set[str] = set()
        self._calls: dict[str, dict[str, Any]] = {}
        self._pending: tuple[str, ...] = ()

    @property
    def stopped(self) -> bool:
        """Whether nothing follows by itself: the run has ended or waits."""
        return self.state != "running"

    @property
    def ended(self) -> bool:
        return self.state in ("completed", "failed", "cancelled")

    def feed(self, event: ev.Event) -> list[Frame]:
        """The frames that this event means."""
        self.seq = event.seq
        body = event.body
        match body:
            case ev.RunCreated():
                return [self._frame("run_started", flowId=self.plan.flow, stepCount=self.plan.count)]
            case ev.RunStarted():
                self._began = self._began if self._began is not None else event.time
            case ev.RunPaused():
                return self._paused(body)
            case ev.RunResumed():
                self.state = "running"
            case ev.RunCompleted():
                self.state, self.result = "completed", body.result
                return [self._completed(event.time, body.result, "completed", {})]
            case ev.RunFailed():
                self.state = "failed"
                return self._failed(event.time, body)
            case ev.RunCancelled():
                self.state = "cancelled"
                return self._failed(event.time, ev.RunFailed("cancelled", body.reason))
            case _:
                if event.step is not None:
                    return self._step(event, event.step)
        return []

    # ------------------------------------------------------------------ steps

    def _step(self, event: ev.Event, key: str) -> list[Frame]:
        id, index, inner = split_key(key)
        place = self.plan.place(id) if index is None else None
        if place is not None and inner is None:
            frames = self._top(event, id, place)
            if frames is not None:
                return frames
        self._inside(event.body)
        match event.body:
            case ev.BlockStarted(block, "text" | "refusal") if place is not None:
                self._blocks.add(block)
            case ev.BlockDelta(block, delta) if block in self._blocks and self._open is not None:
                self._open.streamed = True
                return [self._frame("step_output", stepId=self._open.id, outputData=delta)]
            case ev.StepStarted() | ev.StepCompleted() | ev.StepFailed() if inner is None:
                status = {"step.started": "running", "step.completed": "completed"}.get(event.type, "failed")
                return [self._frame("step_progress", stepId=id, loopIndex=index, status=status)]
            case _:
                pass
        return []

    def _top(self, event: ev.Event, id: str, place: int) -> list[Frame] | None:
        """The frames of a top-level step's own event; None for one that says something of its inside."""
        match event.body:
            case ev.StepStarted(name=name):
                self._open = _Open(id, name or id, place, event.time)
                return [self._frame("step_started", stepId=id, name=self._open.name, stepIndex=place)]
            case ev.StepInput(given):
                if self._open is not None:
                    self._open.message = given.get("message")
                return [self._frame("step_input", stepId=id, inputData=given)]
            case ev.StepRestarted(attempt, code, _):
                if self._open is not None:
                    self._open.began, self._open.streamed = event.time, False
                return [self._frame("step_progress", stepId=id, status="restarted", attempt=attempt, code=code)]
            case ev.StepCompleted(output=output):
                return self._step_completed(event.time, id, place, output)
            case ev.StepFailed() as failed:
                return [self._error(id, failed)]
        return None

    def _step_completed(self, time: float, id: str, place: int, output: Any) -> list[Frame]:
        step = self._open if self._open is not None and self._open.id == id else _Open(id, id, place, time)
        self.outputs[id] = output
        self._open, self._last = None, (id, place)
        whole = [] if step.streamed else [self._frame("step_output", stepId=id, outputData=output)]
        return [
            *whole,
            self._frame(
                "step_completed",
                stepId=id,
                name=step.name,
                stepIndex=place,
                output=output,
                durationMs=millis(time - step.began),
                tokens=token_counts(step.usage),
                costUsd=None if step.cost is None else plain_decimal(step.cost),
            ),
        ]

    def _inside(self, body: ev.EventBody) -> None:
        """Note what happens in the open step: its usage, and the calls of the caller's tools."""
        step = self._open
        match body:
            case ev.UsageCounted() if step is not None:
                step.usage += body.usage
                if body.cost is not None:
                    step.cost = (step.cost or Decimal(0)) + Decimal(repr(body.cost))
            case ev.ToolInput(call, name, given):
                self._calls[call] = tool_call(call, name, given)
            case ev.ToolOutput(call, _, output) if call in self._pending and step is not None:
                step.turns.append({"role": "tool", "toolCallId": call, "content": as_text(output)})
            case _:
                pass

    # ------------------------------------------------------------------ pauses and ends

    def _paused(self, body: ev.RunPaused) -> list[Frame]:
        if body.reason == "segment":
            self.state = "segment"
            id, place = self._last or (self.plan.steps[0][0] if self.plan.steps else NOWHERE, 0)
            return [self._frame("step_paused", stepId=id, stepIndex=place, nextStepIndex=place + 1)]
        self.state, self._pending = "tools", body.calls
        self.rounds += 1
        step = self._open
        if step is None:  # no journal of ours says so, but a reader must not break on it
            id, name = self.plan.steps[0] if self.plan.steps else (NOWHERE, NOWHERE)
            step = self._open = _Open(id, name, 0, 0.0)
        if not step.turns:
            step.turns.append({"role": "user", "content": as_text(step.message)})
        step.turns.append({"role": "assistant", "content": None, "toolCalls": self._pending_calls()})
        pause = self.pause()
        paused_at = pause.pop("pausedAtStep")
        return [self._frame("step_paused_for_tool_calls", stepId=paused_at, stepIndex=step.place, **pause)]

    def _pending_calls(self) -> list[dict[str, Any]]:
        return [self._calls.get(call) or tool_call(call, "", {}) for call in self._pending]

    def pause(self) -> dict[str, Any]:
        """What a caller must know to answer the tools that the run waits for."""
        step = self._open
        return {
            "pausedAtStep": step.id if step is not None else NOWHERE,
            "iterationsUsed": self.rounds,
            "toolCallMessages": list(step.turns) if step is not None else [],
            "toolCalls": self._pending_calls(),
            "accumulatedOutputs": dict(self.outputs),
        }

    def _failed(self, time: float, body: ev.RunFailed) -> list[Frame]:
        frames = [self._error(self._where(), body)] if self.failure is None else []
        failed = self.failure.step if self.failure is not None else NOWHERE
        return [*frames, self._completed(time, None, "failed", {"failed_at_step": failed})]

    def _where(self) -> str:
        """The step at which a run ended that failed outside of one: the open one, the next, or the last."""
        if self._open is not None:
            return self._open.id
        after = self._last[1] + 1 if self._last is not None else 0
        if after < self.plan.count:
            return self.plan.steps[after][0]
        return self.plan.steps[-1][0] if self.plan.steps else NOWHERE

    def _error(self, step: str, body: ev.StepFailed | ev.RunFailed) -> Frame:
        code, message = wire_error(body.code, told(body.message, body.ref, expose=self._expose))
        self.failure = Failure(code, message, step, body.status)
        name = next((name for id, name in self.plan.steps if id == step), step)
        return self._frame("step_error", stepId=step, name=name, error={"code": code, "message": message})

    def _completed(self, time: float, result: Any, status: str, more: dict[str, Any]) -> Frame:
        began = self._began if self._began is not None else time
        summary = {**more, "stepCount": self.plan.count, "durationMs": millis(time - began)}
        return self._frame("flow_completed", result=result, status=status, summary=summary)

    def _frame(self, kind: str, **fields: Any) -> Frame:
        return {"eventType": kind, "runId": self.plan.run, "executionId": self.plan.run, **fields}

    # ------------------------------------------------------------------ documents

    def completed_document(self, result: Any) -> dict[str, Any]:
        """The answer of `execute` for a run that has completed."""
        return {
            "status": "completed",
            "result": result,
            "executionId": self.plan.run,
            "flowId": self.plan.flow,
            "blockCount": self.plan.count,
        }

    def pause_document(self) -> dict[str, Any]:
        """The answer of `execute` for a run that waits for the caller's tools."""
        return {
            "status": "tool_calls_required",
            "executionId": self.plan.run,
            **self.pause(),
            "flowId": self.plan.flow,
            "blockCount": self.plan.count,
        }


def wire_error(code: str, message: str) -> tuple[str, str]:
    """Code and message of a failure in the words of this wire."""
    if code == "cancelled":
        return (CREDITS_EXHAUSTED, _CREDITS_SAID) if message == CREDITS_EXHAUSTED else (CANCELLED, message)
    return (code if code.isupper() else _CODES.get(code, code.upper()) or "INTERNAL_ERROR"), message


def encode_frame(frame: Frame, *, id: str | None = None) -> bytes:
    """The bytes of one frame: `event:`, one line of JSON, LF line ends."""
    try:
        data = to_json(frame, inf_nan_mode="null")
    except ValueError:  # half a surrogate pair, which UTF-8 cannot say
        data = json.dumps(frame, separators=(",", ":")).encode()
    for raw, escaped in _LINE_ENDS:
        data = data.replace(raw, escaped)
    return encode_event(data, event=frame["eventType"], id=id)


def tool_call(call: str, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """A call as OpenAI's dialect spells it; the arguments are JSON text."""
    arguments = json.dumps(dict(given), ensure_ascii=False)
    return {"id": call, "type": "function", "function": {"name": name, "arguments": arguments}}


def as_text(value: Any) -> str:
    """Text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def tool_results(messages: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """The results that a caller sends after the messages of the pause: (call id, text), as they come.

    What stands before is an echo of what the server told, which counts for nothing.
    """
    last = max((place for place, each in enumerate(messages) if _asks(each)), default=-1)
    found: list[tuple[str, str]] = []
    for each in messages[last + 1 :]:
        call = each.get("toolCallId", each.get("tool_call_id"))
        if isinstance(call, str) and call:
            found.append((call, as_text(each["output"] if "output" in each else each.get("content"))))
    return found


def _asks(message: Mapping[str, Any]) -> bool:
    return message.get("role") == "assistant" and bool(message.get("toolCalls") or message.get("tool_calls"))


def millis(seconds: float) -> int:
    """Whole milliseconds, none of them negative: a clock may have been set back."""
    return max(0, round(seconds * 1000))


def plain_decimal(amount: Decimal) -> str:
    """An amount as digits, without an exponent."""
    return f"{amount:f}"


def token_counts(usage: Usage) -> dict[str, int] | None:
    """Counts of tokens; None where nobody reported any."""
    if usage.total_tokens is None:
        return None
    return {
        "prompt": usage.prompt_tokens or 0,
        "completion": usage.completion_tokens or 0,
        "total": usage.total_tokens,
    }
