"""The facts of a run, as the journal keeps them.

An `Event` is an envelope (run, seq, time, step) around one body; the bodies form a closed
union, told apart by their class and on disk by `type`. Live streams, history, traces and
replay are readings of these. `docs/events.md` holds the table generated from this module.

Order within a run: `run.created`, `run.started`, then steps; a block is started before it
gets deltas and ended before its step is; a tool call is started, gets its input, perhaps an
approval, and exactly one of output, failed, denied (none where a completion hands its calls to
whoever asked); the last event is one of
`run.completed`, `run.failed`, `run.cancelled`.

The `step` of an event is a key as `core.steps` makes it: in a flow the step's id, with its loop
index where it has one; what an agent step does inside has a key of its own below that one.
"""

from __future__ import annotations

import types
import typing
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal, TypeAlias

from dragoman.core.errors import ProtocolError
from dragoman.core.usage import Usage

BlockKind: TypeAlias = Literal["text", "reasoning", "refusal"]
FinishReason: TypeAlias = Literal["stop", "length", "content-filter", "tool-calls", "error", "other"]


@dataclass(frozen=True, slots=True)
class RunCreated:
    """The run was accepted. `version` names the code that runs it; `answer` the answer's id."""

    type: ClassVar[str] = "run.created"
    kind: str
    name: str
    version: str
    answer: str
    thread: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class RunStarted:
    """An executor took the run; again after a restart."""

    type: ClassVar[str] = "run.started"
    executor: str
    resumed: bool = False


@dataclass(frozen=True, slots=True)
class RunPaused:
    """The run waits for somebody; `calls` are the tool calls without an answer.

    `segment`: a flow that is run step by step waits to be told to go on.
    """

    type: ClassVar[str] = "run.paused"
    reason: Literal["approval", "client_tool", "segment"]
    calls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunResumed:
    """What the run waited for has come, in part or whole.

    In a flow, `step` is the index of the top-level step that goes on, `options` what the caller
    has changed for the rest of the run (see `flows.Continue`), and `digest` tells whether the same is given again.
    """

    type: ClassVar[str] = "run.resumed"
    step: int | None = None
    options: dict[str, Any] | None = None
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class RunCompleted:
    """The run reached its end; `result` is what a flow gave, any JSON."""

    type: ClassVar[str] = "run.completed"
    finish: FinishReason = "stop"
    result: Any = None


@dataclass(frozen=True, slots=True)
class RunFailed:
    """The run ended with an error. `ref` finds the full text in the log; `status` is the HTTP status a step asks for."""

    type: ClassVar[str] = "run.failed"
    code: str
    message: str
    retryable: bool = False
    ref: str | None = None
    status: int | None = None


@dataclass(frozen=True, slots=True)
class RunCancelled:
    """Somebody ended the run: `stopped`, `superseded`, `deleted`, `disconnected` or free text."""

    type: ClassVar[str] = "run.cancelled"
    reason: str


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A unit of work begins; `name` is the model, tool or flow step, or the knowledge sources that are searched.

    `index` counts the model calls of an answer from 1; of a flow's step it is the place among the
    top-level steps, from 0 (that of the one it lies in, for a step inside another).
    """

    type: ClassVar[str] = "step.started"
    kind: Literal["model", "tool", "flow", "knowledge"]
    name: str
    attempt: int = 1
    index: int = 0


@dataclass(frozen=True, slots=True)
class StepRestarted:
    """The step begins anew; what attempt `attempt - 1` sent is void.

    `code` and `message` tell how that attempt ended: `interrupted` by a crash, or by the error after
    which the step is tried again.
    """

    type: ClassVar[str] = "step.restarted"
    attempt: int
    code: str = "interrupted"
    message: str = "the server stopped while this was under way"


@dataclass(frozen=True, slots=True)
class StepInput:
    """What a flow's step is given: a JSON object with `message`, `output` of the step before, and so on."""

    type: ClassVar[str] = "step.input"
    input: dict[str, Any]


@dataclass(frozen=True, slots=True)
class StepChosen:
    """What a condition or a loop of a flow has decided: whether the branch is taken, or what a loop runs over."""

    type: ClassVar[str] = "step.chosen"
    value: Any


@dataclass(frozen=True, slots=True)
class StepCompleted:
    """The step is done; `output` is what a flow's step gave, any JSON."""

    type: ClassVar[str] = "step.completed"
    finish: FinishReason = "stop"
    output: Any = None


@dataclass(frozen=True, slots=True)
class StepFailed:
    """The step ended with an error. `ref` finds its full text in the log; `status` is the HTTP status it asks for."""

    type: ClassVar[str] = "step.failed"
    code: str
    message: str
    ref: str | None = None
    status: int | None = None


@dataclass(frozen=True, slots=True)
class BlockStarted:
    """A stretch of text, reasoning or refusal begins."""

    type: ClassVar[str] = "block.started"
    block: str
    kind: BlockKind


@dataclass(frozen=True, slots=True)
class BlockDelta:
    """More of the block, exactly as the model gave it."""

    type: ClassVar[str] = "block.delta"
    block: str
    delta: str


@dataclass(frozen=True, slots=True)
class BlockEnded:
    """The block is complete. `provider` is what the model's provider wants back with it (a signature)."""

    type: ClassVar[str] = "block.ended"
    block: str
    provider: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ToolStarted:
    """The model began a tool call."""

    type: ClassVar[str] = "tool.started"
    call: str
    name: str


@dataclass(frozen=True, slots=True)
class ToolInputDelta:
    """A piece of the call's JSON arguments."""

    type: ClassVar[str] = "tool.input_delta"
    call: str
    delta: str


@dataclass(frozen=True, slots=True)
class ToolInput:
    """The call's arguments. `error` is set where they do not fit the tool; then `raw` may hold the text.

    `client` marks a tool that the client runs; `widget` is the form that such a tool shows to a human, in the words of
    ChatKit's widgets; `provider` is what the model's provider wants back with the call.
    """

    type: ClassVar[str] = "tool.input"
    call: str
    name: str
    input: dict[str, Any]
    error: str | None = None
    raw: str | None = None
    client: bool = False
    provider: dict[str, Any] | None = None
    widget: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ToolApprovalRequested:
    """A human must allow this call. `expires` is seconds since the epoch."""

    type: ClassVar[str] = "tool.approval_requested"
    call: str
    approval: str
    expires: float


@dataclass(frozen=True, slots=True)
class ToolApprovalDecided:
    """The one decision. `input` is set where the human changed the arguments.

    `channel` is `reply` when the answer to the decision itself carries the continuation,
    `side` when whoever reads the run already gets it, `system` for expiry and the like.
    """

    type: ClassVar[str] = "tool.approval_decided"
    call: str
    approval: str
    approved: bool
    reason: str | None = None
    by: str | None = None
    channel: Literal["reply", "side", "system"] = "side"
    input: dict[str, Any] | None = None
    answers: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ToolOutput:
    """What the tool returned: any JSON. A `preliminary` one is followed by another."""

    type: ClassVar[str] = "tool.output"
    call: str
    name: str
    output: Any
    preliminary: bool = False


@dataclass(frozen=True, slots=True)
class ToolFailed:
    """The tool raised, was interrupted, or got arguments that do not fit."""

    type: ClassVar[str] = "tool.failed"
    call: str
    name: str
    message: str


@dataclass(frozen=True, slots=True)
class ToolDenied:
    """The call was not allowed: by a human, a permission, expiry, or a newer message."""

    type: ClassVar[str] = "tool.denied"
    call: str
    name: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class ItemAdded:
    """An item that is neither a block nor a tool call joined the answer (file, source, data, widget …)."""

    type: ClassVar[str] = "item.added"
    item: str
    kind: str
    body: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ItemChanged:
    """An item has a new body."""

    type: ClassVar[str] = "item.changed"
    item: str
    kind: str
    body: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ItemRemoved:
    """An item is gone."""

    type: ClassVar[str] = "item.removed"
    item: str


@dataclass(frozen=True, slots=True)
class UsageCounted:
    """Tokens of one model call, as the provider reports them, and its cost in US dollars: what the provider says, else by
    the prices of the model. What neither tells is left out."""

    type: ClassVar[str] = "usage"
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost: float | None = None

    @property
    def usage(self) -> Usage:
        """The counts as one value."""
        return Usage(
            self.prompt_tokens,
            self.completion_tokens,
            self.cache_read_tokens,
            self.cache_write_tokens,
            self.reasoning_tokens,
        )


EventBody: TypeAlias = (
    RunCreated
    | RunStarted
    | RunPaused
    | RunResumed
    | RunCompleted
    | RunFailed
    | RunCancelled
    | StepStarted
    | StepRestarted
    | StepInput
    | StepChosen
    | StepCompleted
    | StepFailed
    | BlockStarted
    | BlockDelta
    | BlockEnded
    | ToolStarted
    | ToolInputDelta
    | ToolInput
    | ToolApprovalRequested
    | ToolApprovalDecided
    | ToolOutput
    | ToolFailed
    | ToolDenied
    | ItemAdded
    | ItemChanged
    | ItemRemoved
    | UsageCounted
)

BODIES: dict[str, type[EventBody]] = {cls.type: cls for cls in typing.get_args(EventBody)}
"""Type word → class, for decoding and for the documentation."""

FINAL: tuple[type[EventBody], ...] = (RunCompleted, RunFailed, RunCancelled)
"""The bodies that end a run."""


@dataclass(frozen=True, slots=True)
class Event:
    """One numbered fact: `seq` counts 1, 2, 3 … within the run without gaps.

    `time` is seconds since the epoch, `step` the id of the step it belongs to.
    """

    run: str
    seq: int
    time: float
    body: EventBody
    step: str | None = None

    @property
    def type(self) -> str:
        return self.body.type


def _is_tuple(hint: Any) -> bool:
    if isinstance(hint, types.UnionType):
        return any(_is_tuple(arm) for arm in typing.get_args(hint))
    return typing.get_origin(hint) is tuple


_FIELDS: dict[type[EventBody], tuple[tuple[str, Any], ...]] = {
    cls: tuple((f.name, f.default) for f in fields(cls)) for cls in BODIES.values()
}
_TUPLES: dict[type[EventBody], tuple[str, ...]] = {
    cls: names
    for cls in BODIES.values()
    if (names := tuple(name for name, hint in typing.get_type_hints(cls).items() if _is_tuple(hint)))
}


def encode_body(body: EventBody) -> dict[str, Any]:
    """The payload as a JSON object; fields that hold their default are left out."""
    payload: dict[str, Any] = {}
    for name, default in _FIELDS[type(body)]:
        value = getattr(body, name)
        if value != default:
            payload[name] = list(value) if isinstance(value, tuple) else value
    return payload


def decode_body(kind: str, payload: dict[str, Any]) -> EventBody:
    """The inverse of `encode_body`; fields of a newer version are ignored.

    Raises ProtocolError for an unknown type or a missing field.
    """
    cls = BODIES.get(kind)
    if cls is None:
        raise ProtocolError(f"unknown event type {kind!r}; this journal was written by a newer version")
    if cls not in _TUPLES:
        try:
            return cls(**payload)
        except TypeError:
            pass  # a field too many or too few: the long way tells
    known = {name: payload[name] for name, _ in _FIELDS[cls] if name in payload}
    for name in _TUPLES.get(cls, ()):
        if name in known:
            known[name] = tuple(known[name])
    try:
        return cls(**known)
    except TypeError as error:
        raise ProtocolError(f"event {kind!r} does not have the fields it needs: {error}") from error


def encode_event(event: Event) -> dict[str, Any]:
    """The whole event as the JSON object that Dragoman's own face sends."""
    data: dict[str, Any] = {"run": event.run, "seq": event.seq, "time": event.time, "type": event.type}
    if event.step is not None:
        data["step"] = event.step
    data["payload"] = encode_body(event.body)
    return data


def decode_event(data: dict[str, Any]) -> Event:
    """The inverse of `encode_event`. Raises ProtocolError for anything else."""
    try:
        body = decode_body(data["type"], data.get("payload", {}))
        return Event(data["run"], data["seq"], data["time"], body, data.get("step"))
    except (KeyError, TypeError, AttributeError) as error:
        raise ProtocolError(f"not an event: {error!r}") from error
