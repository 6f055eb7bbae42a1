"""Where a flow's run stands, folded from its events and from nothing else.

The frames are the place in the tree: the flow itself, and each loop and branch that is entered. At most
one step of the tree that is no loop or branch is open; what its function calls by `ctx.step`, and the agent inside
it, hang on it. `evolve` alone changes a state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from dragoman.core import events as ev
from dragoman.core.flows import Node
from dragoman.core.steps import split_key
from dragoman.core.usage import Usage
from dragoman.engine import state as agent
from dragoman.engine.flows.tree import looped, walk


@dataclass(slots=True)
class Frame:
    """The flow itself (`node` is None), or a loop or branch that is entered.

    `at` is the next of the steps in it, 0 between two rounds. `chosen` is what a branch or loop has decided at first,
    `stop` what `until` said after the last round.
    """

    node: Node | None
    key: str
    place: int
    steps: tuple[Node, ...]
    at: int = 0
    has_chosen: bool = False
    chosen: Any = None
    stop: bool | None = None
    rounds: int = 0
    outputs: list[Any] = field(default_factory=list)


@dataclass(slots=True)
class InnerStep:
    """One `ctx.step` of the open step's function; a `void` failure is one of an attempt that is over."""

    attempt: int = 1
    status: Literal["running", "completed", "failed", "void"] = "running"
    output: Any = None
    error: ev.StepFailed | None = None


@dataclass(slots=True)
class ClientCall:
    """The call of a client tool step."""

    id: str
    name: str
    answered: bool = False
    output: Any = None


@dataclass(slots=True)
class OpenStep:
    """The step under way. `failures` counts the attempts that failed; `before` the runs of each id when it began.

    `agent` is where the agent of a model or agent step stands.
    """

    node: Node
    key: str
    place: int
    attempt: int = 1
    failures: int = 0
    input: dict[str, Any] | None = None
    block: str | None = None
    pieces: list[str] = field(default_factory=list)
    before: Mapping[str, int] = field(default_factory=dict)
    inner: dict[str, InnerStep] = field(default_factory=dict)
    call: ClientCall | None = None
    agent: agent.RunState | None = None


@dataclass(frozen=True, slots=True)
class Resumed:
    """The last time the run was told to go on; `calls` are those it had waited for."""

    seq: int
    step: int | None
    digest: str | None
    calls: tuple[str, ...]


@dataclass(slots=True)
class FlowState:
    """One run of a flow. `tree` and `options` are the run's own; `pauses` counts those for the caller's tools.

    `previous` is the output of the step before, if there was one. `stepped`: a top-level step has ended since the
    run was started or told to go on.
    """

    run: str
    tree: tuple[Node, ...]
    options: dict[str, Any]
    status: Literal["new", "running", "paused", "completed", "failed", "cancelled"] = "new"
    last_seq: int = 0
    active_since: float = 0.0
    frames: list[Frame] = field(default_factory=list)
    open: OpenStep | None = None
    outputs: dict[str, Any] = field(default_factory=dict)
    previous: Any = None
    has_previous: bool = False
    stepped: bool = False
    runs: dict[str, int] = field(default_factory=dict)
    pending: tuple[str, ...] = ()
    pauses: int = 0
    resumed: Resumed | None = None
    usage: Usage = field(default_factory=Usage)
    cost: float | None = None
    result: Any = None
    nodes: dict[str, Node] = field(default_factory=dict)
    looped: frozenset[str] = frozenset()

    @classmethod
    def of(cls, run: str, tree: Sequence[Node], options: Mapping[str, Any]) -> FlowState:
        """The state before the first event."""
        state = cls(run, tuple(tree), dict(options))
        state.frames = [Frame(None, "", 0, state.tree)]
        state.nodes = {node.id: node for node in walk(tree)}
        state.looped = frozenset(looped(tree))
        return state

    @property
    def is_final(self) -> bool:
        return self.status in ("completed", "failed", "cancelled")

    @property
    def cursor(self) -> int:
        """The index of the top-level step that is under way or comes next."""
        return self.frames[0].at

    @property
    def place(self) -> int:
        """The index of the top-level step in which something is under way or comes next."""
        return self.frames[1].place if len(self.frames) > 1 else self.cursor

    @property
    def begun(self) -> int:
        """How many top-level steps are done or under way."""
        under_way = self.open is not None or len(self.frames) > 1
        return self.cursor + under_way


def evolve(state: FlowState, event: ev.Event) -> None:
    """Fold one event into the state."""
    state.last_seq = event.seq
    if event.step is None:
        _evolve_run(state, event)
        return
    if isinstance(event.body, ev.UsageCounted):
        state.usage += event.body.usage
        if event.body.cost is not None:
            state.cost = event.body.cost + (state.cost or 0.0)
    id, _, inner = split_key(event.step)
    if inner is not None:
        open_step = state.open
        if open_step is not None and open_step.agent is not None:
            if open_step.agent.status == "new":
                open_step.agent.status = "running"
            agent.evolve(open_step.agent, ev.Event(event.run, event.seq, event.time, event.body, inner))
    elif id in state.nodes:
        _evolve_step(state, event, event.step, state.nodes[id])
    else:
        _evolve_inner(state, event.body, event.step, id)


def _evolve_run(state: FlowState, event: ev.Event) -> None:
    match event.body:
        case ev.RunStarted(resumed=resumed):
            state.status = "running"
            if not resumed:
                state.active_since = event.time
        case ev.RunPaused(reason=reason, calls=calls):
            state.status, state.pending = "paused", calls
            state.pauses += reason == "client_tool"
            _tell_agent(state, "paused")
        case ev.RunResumed() as body:
            state.status, state.active_since, state.stepped = "running", event.time, False
            state.resumed = Resumed(event.seq, body.step, body.digest, state.pending)
            state.pending = ()
            state.options |= body.options or {}
            _tell_agent(state, "running")
        case ev.RunCompleted(result=result):
            state.status, state.result = "completed", result
        case ev.RunFailed():
            state.status = "failed"
        case ev.RunCancelled():
            state.status = "cancelled"


def _tell_agent(state: FlowState, status: Literal["running", "paused"]) -> None:
    if state.open is not None and state.open.agent is not None:
        state.open.agent.status = status


def _evolve_step(state: FlowState, event: ev.Event, key: str, node: Node) -> None:
    body, open_step = event.body, state.open
    match body:
        case ev.StepStarted():
            _start(state, node, key)
        case ev.StepChosen(value=value):
            _choose(state.frames[-1], value)
        case ev.StepCompleted(output=output):
            if open_step is not None and open_step.key == key:
                state.open = None
            else:
                state.frames.pop()
            _finish(state, node, output)
        case _ if open_step is None or open_step.key != key:
            pass  # a loop or branch that failed
        case ev.StepInput(input=given):
            open_step.input = given
        case ev.StepRestarted():
            _restart(open_step, body)
        case ev.BlockStarted(block=block):
            open_step.block = block
        case ev.BlockDelta(delta=delta):
            open_step.pieces.append(delta)
        case ev.BlockEnded():
            open_step.block = None
        case ev.ToolInput(call=call, name=name):
            open_step.call = ClientCall(call, name)
        case ev.ToolOutput(output=output) if open_step.call is not None:
            open_step.call.answered, open_step.call.output = True, output
        case _:
            pass


def _start(state: FlowState, node: Node, key: str) -> None:
    frame, place = state.frames[-1], state.place
    if node.kind in ("loop", "when"):
        state.frames.append(Frame(node, key, place, node.children if node.kind == "loop" else ()))
    else:
        state.open = OpenStep(node, key, place, before=dict(state.runs))
        if node.kind in ("model", "agent"):
            state.open.agent = agent.RunState(state.run)
    state.runs[node.id] = state.runs.get(node.id, 0) + 1
    frame.stop = None


def _choose(frame: Frame, value: Any) -> None:
    if frame.node is not None and frame.node.kind == "when":
        frame.has_chosen, frame.chosen = True, value
        frame.steps = frame.node.children if value else frame.node.otherwise
    elif isinstance(value, bool):
        frame.stop = value
    else:
        frame.has_chosen, frame.chosen = True, value


def _finish(state: FlowState, node: Node, output: Any) -> None:
    state.outputs[node.id] = state.previous = output
    state.has_previous = True
    frame = state.frames[-1]
    frame.at += 1
    if frame.node is None:
        state.stepped = True
    elif frame.node.kind == "loop" and frame.at >= len(frame.steps):
        frame.at, frame.rounds = 0, frame.rounds + 1
        if isinstance(frame.chosen, list):
            frame.outputs.append(output)


def _restart(open_step: OpenStep, body: ev.StepRestarted) -> None:
    open_step.attempt = body.attempt
    open_step.block, open_step.pieces = None, []
    if body.code != "interrupted":
        open_step.failures += 1
        # another attempt tries what failed in the last one; after a crash the function must see what it saw
        for one in open_step.inner.values():
            one.status = "void" if one.status == "failed" else one.status


def _evolve_inner(state: FlowState, body: ev.EventBody, key: str, id: str) -> None:
    if state.open is None:
        return
    inner = state.open.inner
    match body:
        case ev.StepStarted():
            inner[key] = InnerStep(body.attempt)
            state.runs[id] = state.runs.get(id, 0) + 1
        case ev.StepRestarted():
            inner[key] = InnerStep(body.attempt)
        case ev.StepCompleted():
            inner[key].status, inner[key].output = "completed", body.output
        case ev.StepFailed():
            inner[key].status, inner[key].error = "failed", body
        case _:
            pass
