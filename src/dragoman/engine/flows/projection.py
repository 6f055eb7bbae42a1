"""Events of a flow's run → the rows that go into the same transaction: its trace, and what its row says.

Inputs and outputs go into the trace as the capture mode allows; the journal itself is scrubbed when the
run ends (`last_writes` of the course).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from dragoman.core import events as ev
from dragoman.core.flows import CaptureMode
from dragoman.core.records import Run, Step
from dragoman.core.steps import inner_key, split_key
from dragoman.core.usage import Usage
from dragoman.core.writes import AppendEvents, ChangeRun, PutStep, Write
from dragoman.engine.capture import NOT_KEPT, effective, keeps_payloads, kept, quotes
from dragoman.engine.flows.state import FlowState
from dragoman.engine.masking import MASKING, Masking
from dragoman.engine.projection import run_changes_of


class FlowProjector:
    """The rows of one run of a flow."""

    def __init__(self, run: Run, masking: Masking = MASKING) -> None:
        self.run = run
        self._masking = masking
        self._steps: dict[str, Step] = {}
        self._texts: dict[str, list[str]] = {}

    @property
    def mode(self) -> CaptureMode:
        """What is kept of inputs and outputs."""
        mode: CaptureMode = self.run.options.get("capture", "redacted")
        return mode

    @property
    def trace(self) -> bool:
        """Whether the caller wants a full trace where the mode leaves that to callers."""
        return bool(self.run.options.get("trace"))

    def see(self, event: ev.Event) -> list[Step]:
        """Take note of an event; the rows of the trace that it changes."""
        key, body = event.step, event.body
        if key is None:
            return []
        match body:
            case ev.BlockDelta() | ev.ToolInputDelta():
                if isinstance(body, ev.BlockDelta) and key in self._texts:
                    self._texts[key].append(body.delta)
                return []
            case ev.StepStarted():
                return self._started(event, key, body)
            case ev.StepRestarted():
                return self._restarted(event, key, body)
            case _ if key not in self._steps:
                return []
            case ev.StepInput(input=given):
                return [self._put(key, self._with_input(self._steps[key], given))]
            case ev.StepCompleted() | ev.StepFailed():
                return self._ended(event, key, body)
            case ev.UsageCounted():
                return self._counted(key, body)
            case ev.ToolOutput(call=call, output=output) if not body.preliminary:
                return self._tool_ended(key, call, output)
            case ev.ToolInput(call=call, name=name, input=given):
                tool = self._tool_key(key, call)
                self._steps[tool] = self._with_input(self._row(event, tool, "tool", name), given)
                return []  # not begun yet
            case _:
                return []

    def _row(self, event: ev.Event, key: str, kind: str, name: str) -> Step:
        id, index, inner = split_key(key)
        outer = self._steps.get(key.partition("/")[0]) if inner is not None else None
        return Step(
            self.run.id,
            id if inner is None else inner_key(id, inner),
            kind,
            name,
            "running",
            event.time,
            -1 if index is None else index,
            place=outer.place if outer is not None else None,
        )

    def _started(self, event: ev.Event, key: str, body: ev.StepStarted) -> list[Step]:
        row = replace(self._row(event, key, body.kind, body.name), attempt=body.attempt)
        known = self._steps.get(key)
        if known is not None and body.kind == "tool":  # its arguments came before
            row = replace(known, started=event.time, place=row.place)
        outer = key.partition("/")[0]
        if body.kind == "flow":
            row = replace(row, place=body.index)
        elif body.kind == "model":
            row = replace(row, model=body.name)
            self._texts[key] = []
            self._put(outer, replace(self._steps[outer], model=body.name))
        self._steps[key] = row
        return [row, self._steps[outer]] if body.kind == "model" else [row]

    def _restarted(self, event: ev.Event, key: str, body: ev.StepRestarted) -> list[Step]:
        error = {"code": body.code, "message": self._told(body.message)}
        broken = self._steps[key]
        if broken.status == "running":
            broken = replace(broken, status="failed", ended=event.time, error=error)
        if key in self._texts:
            self._texts[key] = []
        fresh = replace(
            broken, attempt=body.attempt, status="running", started=event.time, ended=None, error=None, output=None
        )
        fresh = replace(fresh, usage=Usage(), cost=None, output_bytes=None)
        return [broken, self._put(key, fresh)]

    def _ended(self, event: ev.Event, key: str, body: ev.StepCompleted | ev.StepFailed) -> list[Step]:
        row = replace(self._steps[key], ended=event.time)
        if isinstance(body, ev.StepFailed):
            error: dict[str, Any] = {"code": body.code, "message": self._told(body.message, quoted=quotes(body))}
            error |= {name: value for name in ("ref", "status") if (value := getattr(body, name)) is not None}
            row = replace(row, status="cancelled" if body.code == "cancelled" else "failed", error=error)
        elif row.kind == "flow":
            row = self._with_output(replace(row, status="completed"), body.output)
        elif (text := self._texts.pop(key, None)) is not None:
            row = self._with_output(replace(row, status="completed"), "".join(text))
        else:
            row = replace(row, status="completed")
        self._texts.pop(key, None)
        return [self._put(key, row)]

    def _tool_ended(self, key: str, call: str, output: Any) -> list[Step]:
        tool = self._tool_key(key, call)
        if tool in self._steps:
            self._put(tool, self._with_output(self._steps[tool], output))
        return []  # a step.completed follows where it ran here

    @staticmethod
    def _tool_key(key: str, call: str) -> str:
        return inner_key(key.partition("/")[0], f"tool:{call}")

    def _counted(self, key: str, body: ev.UsageCounted) -> list[Step]:
        outer = key.partition("/")[0]
        changed = []
        for one in dict.fromkeys((key, outer)):
            row = self._steps.get(one)
            if row is not None:
                cost = row.cost if body.cost is None else body.cost + (row.cost or 0.0)
                changed.append(self._put(one, replace(row, usage=row.usage + body.usage, cost=cost)))
        return changed

    def _with_input(self, row: Step, given: Any) -> Step:
        made = kept(given, self.mode, trace=self.trace, masking=self._masking)
        return replace(row, input=made.value, input_bytes=made.size, truncated=row.truncated or made.truncated)

    def _with_output(self, row: Step, output: Any) -> Step:
        made = kept(output, self.mode, trace=self.trace, masking=self._masking)
        return replace(row, output=made.value, output_bytes=made.size, truncated=row.truncated or made.truncated)

    def _told(self, message: str, *, quoted: bool = False) -> str:
        """The message of an error as the trace tells it; `quoted`: it is the text of an exception."""
        if quoted and not keeps_payloads(self.mode, self.trace):
            return NOT_KEPT
        return message if effective(self.mode, self.trace) == "full" else self._masking.masked_text(message)

    def _put(self, key: str, row: Step) -> Step:
        self._steps[key] = row
        return row

    def writes(self, state: FlowState, events: Sequence[ev.Event]) -> list[Write]:
        """Everything that these events do to the store, themselves included."""
        rows: dict[tuple[str, int, int], Step] = {}
        changes: dict[str, Any] = {}
        for event in events:
            if isinstance(event.body, ev.RunResumed) and event.body.options:
                options = {**self.run.options, **event.body.options}
                self.run = replace(self.run, options=options)
                changes["options"] = options
            for row in self.see(event):
                rows[row.step, row.index, row.attempt] = row
            if isinstance(event.body, ev.UsageCounted):
                changes["usage"] = state.usage
                if state.cost is not None:
                    changes["cost"] = state.cost
            elif event.step is None:
                changes |= run_changes_of(event.body, event.time)
        writes: list[Write] = []
        if changes:
            writes.append(ChangeRun(self.run.id, changes))
        writes.extend(PutStep(row) for row in rows.values())
        writes.append(AppendEvents(tuple(events)))
        return writes
