"""What a stepped or traced run tells: nine kinds of events.

`event_type` is the wire's word, `type` the documented one. Frames that lack what older servers
always sent are accepted: run and execution ids stand in for one another. Knows no bytes; `codec` has them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Literal, Self, TypeAlias

from pydantic import Field, PrivateAttr, model_validator

from dragoman.noukai.models import CostText, TokenBreakdown, WireModel


class Event(WireModel):
    """What all events have."""

    event_type: str

    @property
    def type(self) -> str:
        """The documented name of the kind."""
        return self.event_type


class RunEvent(Event):
    """An event that names its run, in one spelling or both."""

    run_id: str | None = None
    execution_id: str | None = None

    @model_validator(mode="after")
    def _name_twice(self) -> Self:
        self.run_id = self.run_id or self.execution_id
        self.execution_id = self.execution_id or self.run_id
        return self


class RunStarted(RunEvent):
    """The run exists; `execution_id` names it from here on."""

    event_type: Literal["run_started", "flow_started"] = "run_started"
    flow_id: str | None = None
    step_count: int | None = None

    @property
    def type(self) -> str:
        return "run_started"


class StepStarted(RunEvent):
    """A step begins; `step_index` counts from 0 over the whole flow."""

    event_type: Literal["step_started"] = "step_started"
    step_id: str
    name: str | None = None
    step_index: int = 0


class StepInput(RunEvent):
    """What the step was given."""

    event_type: Literal["step_input"] = "step_input"
    step_id: str
    input_data: Any = None


class StepOutput(RunEvent):
    """A piece of the step's output; of a model step, one delta of its text."""

    event_type: Literal["step_output"] = "step_output"
    step_id: str
    output_data: Any = None


class StepCompleted(RunEvent):
    """A step has ended well; `cost_usd` is decimal text."""

    event_type: Literal["step_completed"] = "step_completed"
    step_id: str
    name: str | None = None
    step_index: int = 0
    output: Any = None
    duration_ms: int | None = None
    tokens: TokenBreakdown | None = None
    cost_usd: CostText = None


class StepFailed(RunEvent):
    """A step has failed, and the run with it; `error` has `code` and `message`. There is no output."""

    event_type: Literal["step_error"] = "step_error"
    step_id: str
    name: str | None = None
    error: Any = None
    output: Any = None
    duration_ms: int | None = None
    tokens: TokenBreakdown | None = None


class StepPaused(RunEvent):
    """The segment is over; `step_index` is that of the step that has just ended."""

    event_type: Literal["step_paused"] = "step_paused"
    step_id: str | None = None
    step_index: int = 0


class Staged:
    """The answer of `ToolCallsRequired.resume`: nothing, whether it is awaited or not."""

    def __await__(self) -> Generator[Any, None, None]:
        yield from ()


class ToolCallsRequired(RunEvent):
    """The step waits for tools of the caller."""

    event_type: Literal["step_paused_for_tool_calls"] = "step_paused_for_tool_calls"
    step_id: str
    step_index: int = 0
    iterations_used: int = 0
    tool_call_messages: list[dict[str, Any]] = Field(default_factory=list)
    tool_calls: list[dict[str, Any]] = Field(default_factory=list)
    accumulated_outputs: dict[str, Any] = Field(default_factory=dict)
    _stage: Callable[[list[dict[str, Any]]], None] | None = PrivateAttr(default=None)

    @property
    def type(self) -> str:
        return "tool_calls_required"

    def resume(self, *, tool_results: list[dict[str, Any]]) -> Staged:
        """Hand over results; the iterator sends them when it is asked for the next event.

        `await` it or not, as the client is. Raises RuntimeError for an event that came from no
        stream that waits for it.
        """
        if self._stage is None:
            raise RuntimeError("only an event of a stream that waits for tools can be resumed")
        self._stage(list(tool_results))
        return Staged()


class FlowCompleted(RunEvent):
    """The run is over."""

    event_type: Literal["flow_completed"] = "flow_completed"
    result: Any = None
    summary: dict[str, Any] | None = None


StreamEvent: TypeAlias = (
    RunStarted
    | StepStarted
    | StepInput
    | StepOutput
    | StepCompleted
    | StepFailed
    | StepPaused
    | ToolCallsRequired
    | FlowCompleted
)

KINDS: dict[str, type[RunEvent]] = {
    "run_started": RunStarted,
    "flow_started": RunStarted,
    "step_started": StepStarted,
    "step_input": StepInput,
    "step_output": StepOutput,
    "step_completed": StepCompleted,
    "step_error": StepFailed,
    "step_paused": StepPaused,
    "step_paused_for_tool_calls": ToolCallsRequired,
    "flow_completed": FlowCompleted,
}
"""Wire word → class."""
