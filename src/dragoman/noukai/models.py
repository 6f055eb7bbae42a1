"""The documents of the wire besides stream events: requests, results, jobs, traces, sessions.

Attributes are snake_case, wire names camelCase; both are accepted when a model is made, unknown
fields survive, and values that a newer server may widen (statuses) are plain text. Knows no network;
a paused result carries the operation that continues it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr
from pydantic.alias_generators import to_camel

from dragoman.noukai.types import RESERVED_OUTPUT_KEYS


class WireModel(BaseModel):
    """A document of the wire."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="allow", protected_namespaces=())


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


CostText: TypeAlias = Annotated[str | None, BeforeValidator(_as_text)]
"""An amount as decimal text; a number of a careless server becomes one."""


class ChatMessage(WireModel):
    """One turn of `messages`; `role` is `user`, `assistant` or `tool`."""

    role: str
    content: Any = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None
    name: str | None = None


# -------------------------------------------------------------------------------------- requests


class ExecuteRequest(WireModel):
    """The body of `execute` and `jobs`; a resume has the run's id, its step and the tool messages."""

    message: str | None = None
    messages: list[ChatMessage] | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    block_overrides: dict[str, dict[str, Any]] | None = None
    attachments: list[dict[str, Any]] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: Any = None
    execution_id: str | None = None
    paused_at_step: str | None = None
    iterations_used: int = 0
    tool_call_messages: list[dict[str, Any]] | None = None
    accumulated_outputs: dict[str, Any] = Field(default_factory=dict)
    trace: bool = False


class StepRequest(WireModel):
    """The body of `step`: the first segment brings the input, later ones where to go on."""

    execution_id: str | None = None
    step_index: int = 0
    accumulated_outputs: dict[str, Any] = Field(default_factory=dict)
    message: str | None = None
    messages: list[ChatMessage] | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    attachments: list[dict[str, Any]] | None = None
    input_overrides: dict[str, Any] = Field(default_factory=dict)
    block_overrides: dict[str, dict[str, Any]] | None = None
    run_remaining: bool = False
    tools: list[dict[str, Any]] | None = None
    tool_choice: Any = None
    tool_call_messages: list[dict[str, Any]] | None = None
    iterations_used: int = 0
    trace: bool = False


# --------------------------------------------------------------------------------------- results


class ExecuteResult(WireModel):
    """A run that has ended; `result` is what its last step gave."""

    status: Literal["completed", "failed"]
    result: Any = None
    flow_id: str
    block_count: int
    execution_id: str | None = None
    _session_id: str | None = PrivateAttr(default=None)

    @property
    def output(self) -> Any:
        """The same as `result`."""
        return self.result

    @property
    def session_id(self) -> str | None:
        """The session that this call was recorded in, or replayed from."""
        return self._session_id

    @property
    def requires_tool_calls(self) -> bool:
        return False


Resume: TypeAlias = Callable[[list[dict[str, Any]]], Awaitable[Any]]


class PausedResult(WireModel):
    """A run that waits for tools of the caller. Answer each of `tool_calls` with `resume`.

    An entry of `tool_results` has the call's id under `tool_call_id` or `toolCallId` and the value,
    text or JSON, under `output` or `content`.
    """

    status: Literal["tool_calls_required"] = "tool_calls_required"
    execution_id: str
    paused_at_step: str
    iterations_used: int
    tool_call_messages: list[dict[str, Any]]
    tool_calls: list[dict[str, Any]]
    accumulated_outputs: dict[str, Any] = Field(default_factory=dict)
    flow_id: str
    block_count: int
    _session_id: str | None = PrivateAttr(default=None)
    _resume: Resume | None = PrivateAttr(default=None)

    @property
    def session_id(self) -> str | None:
        """The session that this call was recorded in, or replayed from."""
        return self._session_id

    @property
    def requires_tool_calls(self) -> bool:
        return True

    async def resume(self, *, tool_results: list[dict[str, Any]]) -> ExecuteResult | PausedResult:
        """Send results, with the options of the original call, and wait for what follows.

        Raises RuntimeError for an object that no call returned, and as `execute` does.
        """
        result: ExecuteResult | PausedResult = await self._continuation()(tool_results)
        return result

    def resume_sync(self, *, tool_results: list[dict[str, Any]]) -> ExecuteResult | PausedResult:
        """`resume` of the blocking client; raises TypeError here, for this result came from the awaiting one."""
        self._continuation()
        raise TypeError("this result came from AsyncNoukai: use `await result.resume(tool_results=...)`")

    def _continuation(self) -> Resume:
        if self._resume is None:
            raise RuntimeError("a manually constructed result cannot be resumed, only one that a call returned")
        return self._resume


class JobAccepted(WireModel):
    """The answer to a submitted job."""

    execution_id: str
    status: str
    flow_id: str
    block_count: int
    _session_id: str | None = PrivateAttr(default=None)

    @property
    def session_id(self) -> str | None:
        """The session that the job was recorded in."""
        return self._session_id


class JobStatus(WireModel):
    """A job at a moment: `pending`, `running`, `completed` or `failed`; `error` is one text.

    With tools (see `execute_async`) also `tool_calls_required`, with the fields of a pause.
    """

    execution_id: str
    status: str
    result: Any = None
    error: str | None = None
    paused_at_step: str | None = None
    iterations_used: int = 0
    tool_call_messages: list[dict[str, Any]] = Field(default_factory=list)
    tool_calls: list[dict[str, Any]] = Field(default_factory=list)
    accumulated_outputs: dict[str, Any] = Field(default_factory=dict)

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self.status in ("completed", "failed", "cancelled")


# ---------------------------------------------------------------------------------------- traces


class TokenBreakdown(WireModel):
    """Counts of tokens."""

    prompt: int = 0
    completion: int = 0
    total: int = 0


class StepTrace(WireModel):
    """One attempt of a step; times are ISO 8601 in UTC, `cost_usd` decimal text."""

    step_id: str
    attempt: int = 1
    loop_index: int | None = None
    status: str
    started_at: str | None = None
    completed_at: str | None = None
    duration_ms: int | None = None
    model_used: str | None = None
    tokens: TokenBreakdown | None = None
    cost_usd: CostText = None
    input_context: Any = None
    output_context: Any = None
    error_context: Any = None
    input_size_bytes: int | None = None
    output_size_bytes: int | None = None
    truncated: bool = False


class StepAttempts(WireModel):
    """All attempts of a step, in their order."""

    step_id: str
    attempts: list[StepTrace]


class RunSummary(WireModel):
    """A run as a whole; `trigger_type` is `execute`, `step` or `job`."""

    id: str
    flow_id: str
    status: str
    trigger_type: str | None = None
    started_at: str | None = None
    completed_at: str | None = None
    duration_ms: int | None = None
    step_count: int | None = None


class Trace(WireModel):
    """A run and the latest attempt of each of its steps."""

    flow_run: RunSummary
    steps: list[StepTrace] = Field(default_factory=list)

    @property
    def summary(self) -> RunSummary:
        """The same as `flow_run`."""
        return self.flow_run


# -------------------------------------------------------------------------------------- sessions


def plain_output(snapshot: Any) -> Any:
    """A recorded output without the keys that recording added."""
    if isinstance(snapshot, dict) and any(key in snapshot for key in RESERVED_OUTPUT_KEYS):
        return {key: value for key, value in snapshot.items() if key not in RESERVED_OUTPUT_KEYS}
    return snapshot


class SessionStep(WireModel):
    """What was recorded of one step."""

    step_id: str
    name: str | None = None
    attempt: int = 1
    loop_index: int | None = None
    status: str = "completed"
    started_at: str | None = None
    completed_at: str | None = None
    duration_ms: int | None = None
    input_snapshot: Any = None
    output_snapshot: Any = None
    error_snapshot: dict[str, Any] | None = None
    truncated: bool = False

    @property
    def output(self) -> Any:
        """What the step gave."""
        return plain_output(self.output_snapshot)


class SessionExecution(WireModel):
    """One recorded run. `slug` is bare, None if the flow was deleted since; `pause` waits for tools."""

    execution_id: str
    flow_id: str | None = None
    slug: str | None = None
    trigger_type: str | None = None
    status: str
    started_at: str | None = None
    completed_at: str | None = None
    trace_capture_mode: str | None = None
    snapshots_available: bool
    steps: list[SessionStep] = Field(default_factory=list)
    error_at_step: str | None = None
    org: str | None = None
    project: str | None = None
    version: int | None = None
    call_index: int | None = None
    input_hash: str | None = None
    pause: PausedResult | None = None

    @property
    def result(self) -> Any:
        """What the last step gave."""
        return self.steps[-1].output if self.steps else None


class SessionResponse(WireModel):
    """A recorded session: its runs in the order in which they were called."""

    session_id: str
    executions: list[SessionExecution] = Field(default_factory=list)
