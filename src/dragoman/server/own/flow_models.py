"""What Dragoman's own wire says of flows, jobs, sessions and traces: the models, and the encoders beside them.

The other half of `models`, held together with it by the OpenAPI document. Times are seconds
since the epoch; offsets and durations are seconds as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints

from dragoman.core.flow_graph import count_steps, flow_graph
from dragoman.core.flows import CaptureMode, Continue, FlowInfo, Node
from dragoman.core.messages import ToolSpec
from dragoman.core.records import Session
from dragoman.core.redact import redact
from dragoman.server.http import is_https
from dragoman.server.own.models import Id, In, Out, RunDetailOut, RunOut, UsageOut

MOST_TOOLS = 64
MOST_ATTACHMENTS = 10
MOST_VERSION = 1_000_000_000
"""Largest number of a version, and of a priority either way."""


def _no_dots(id: str) -> str:
    if id in (".", ".."):
        raise ValueError("it stands in paths, so it is neither '.' nor '..'")
    return id


SessionId = Annotated[Id, AfterValidator(_no_dots)]
Overrides = dict[str, dict[str, Any]]
VersionNumber = Annotated[int, Field(ge=1, le=MOST_VERSION)]


# --------------------------------------------------------------------------- in


class ToolIn(In):
    """A tool that the caller runs; `parameters` is a JSON Schema of an object."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
    description: str = ""
    parameters: dict[str, Any] = Field(default_factory=lambda: {"type": "object", "properties": {}})

    def spec(self) -> ToolSpec:
        """As the engine takes it."""
        return ToolSpec(self.name, self.description, self.parameters)


def _is_address(url: str) -> str:
    if not is_https(url):
        raise ValueError("expected an https address without credentials")
    return url


def _is_media_type(text: str) -> str:
    if not text.isprintable():
        raise ValueError("expected a media type")
    return text


class AttachmentIn(In):
    """A file by reference: an https address, which the server never fetches."""

    url: Annotated[str, AfterValidator(_is_address)] = Field(min_length=1)
    media_type: Annotated[str, AfterValidator(_is_media_type)] = Field(min_length=1)


class UtteranceIn(In):
    """One message of a conversation that the caller carries."""

    role: Literal["user", "assistant", "system"]
    content: str


class StartFlow(In):
    """A call of a flow. `message` or `messages`, which the caller's own conversation ends with.

    `version` is a published number, `draft` or `production`. `overrides` changes the configuration of steps, `input_overrides`
    what they are given, both by step id. `tools` are the caller's: a step that calls one makes the run pause until the output
    is handed in. `stepwise`: the run pauses after each top-level step. `capture` says how much of the payloads is kept.
    """

    message: str | None = None
    messages: list[UtteranceIn] = Field(default_factory=list)
    parameters: dict[str, Any] = Field(default_factory=dict)
    attachments: list[AttachmentIn] = Field(default_factory=list, max_length=MOST_ATTACHMENTS)
    version: VersionNumber | Literal["draft", "production"] | None = None
    overrides: Overrides = Field(default_factory=dict)
    input_overrides: Overrides = Field(default_factory=dict)
    tools: list[ToolIn] = Field(default_factory=list, max_length=MOST_TOOLS)
    tool_choice: Any = None
    client_tools: bool = True
    stepwise: bool = False
    trace: bool = False
    capture: CaptureMode | None = None
    session: SessionId | None = None
    max_seconds: float | None = Field(None, gt=0, le=30 * 86400.0, allow_inf_nan=False)
    metadata: dict[str, Any] = Field(default_factory=dict)


class SubmitJob(StartFlow):
    """The same, to be run when a worker is free; a higher `priority` goes first."""

    priority: int = Field(0, ge=-MOST_VERSION, le=MOST_VERSION)


class ContinueRun(In):
    """What a paused run of a flow is given: `outputs` of all calls it waits for, by call, or nothing after a step.

    `step` is the index of the top-level step that the caller believes to be next. The others change what the run was started with.
    """

    outputs: dict[str, Any] | None = None
    step: int | None = Field(None, ge=0, le=MOST_VERSION)
    stepwise: bool | None = None
    overrides: Overrides | None = None
    input_overrides: Overrides | None = None
    tools: list[ToolIn] | None = Field(None, max_length=MOST_TOOLS)
    tool_choice: Any = None
    client_tools: bool | None = None
    trace: bool | None = None

    def given(self) -> Continue:
        """As the engine takes it."""
        return Continue(
            outputs=self.outputs,
            step=self.step,
            remaining=None if self.stepwise is None else not self.stepwise,
            overrides=self.overrides,
            input_overrides=self.input_overrides,
            tools=None if self.tools is None else tuple(tool.spec() for tool in self.tools),
            tool_choice=self.tool_choice,
            client_tools=self.client_tools,
            trace=self.trace,
        )


# --------------------------------------------------------------------------- out: flows


class NodeOut(Out):
    """One step. `config` holds the keywords that a caller may override, with their defaults; `open`: others are taken too.

    `children` are the steps of a loop or of a condition that holds, `otherwise` those of one that does not.
    """

    id: str
    name: str
    kind: Literal["function", "model", "agent", "client_tool", "loop", "when"]
    config: dict[str, Any]
    open: bool
    model: str | None
    digest: str
    children: list[NodeOut]
    otherwise: list[NodeOut]


class GraphNodeOut(Out):
    id: str
    name: str
    kind: Literal["start", "end", "function", "model", "agent", "client_tool", "loop", "when"]
    place: int | None
    parent: str | None
    branch: bool | None


class GraphEdgeOut(Out):
    source: str
    target: str
    kind: Literal["next", "yes", "no", "each", "again", "done"]


class GraphOut(Out):
    nodes: list[GraphNodeOut]
    edges: list[GraphEdgeOut]


class VersionOut(Out):
    """`version` 0 is the draft."""

    version: int
    production: bool
    nodes: list[NodeOut]
    graph: GraphOut


class FlowOut(Out):
    """`steps` counts those of the version that runs if none is asked for; `capture` is null for the server's own mode."""

    name: str
    id: str
    description: str
    production: int | None
    versions: list[int]
    has_draft: bool
    steps: int
    requires_message: bool
    capture: CaptureMode | None


class FlowDetailOut(FlowOut):
    tree: list[VersionOut]


class FlowList(Out):
    flows: list[FlowOut]


class ContinuedOut(RunDetailOut):
    """`after`: the continuation is the events behind this seq."""

    outcome: Literal["resumed", "repeated"]
    after: int


# --------------------------------------------------------------------------- out: sessions


class SessionOut(Out):
    """`first_run` and `last_run` are ids; a thread that is read as a session has `thread` set."""

    id: str
    created: float
    updated: float
    expires: float | None
    first_run: str | None
    last_run: str | None
    thread: bool


class SessionDetailOut(SessionOut):
    """`runs`: oldest first."""

    runs: list[RunOut]
    more: bool
    next: str | None


class SessionList(Out):
    sessions: list[SessionOut]
    more: bool
    next: str | None


# --------------------------------------------------------------------------- out: traces


class AttemptOut(Out):
    """One try of a step; `code` and `message` tell how it failed."""

    attempt: int
    status: Literal["running", "completed", "failed", "cancelled"]
    start: float
    duration: float | None
    code: str | None
    message: str | None


class TraceStepOut(Out):
    """One run of one step. `key` tells it from the others of the run; `parent` is the key of the one that it lies in.

    `index` counts the runs of a step that runs more than once. `start` is seconds after the run was accepted. What `input` and
    `output` hold is the capture mode's to say; `left_out`: the answer would have grown too large, ask with `?step=KEY`.
    """

    key: str
    id: str
    index: int | None
    parent: str | None
    place: int | None
    kind: str
    name: str
    status: Literal["running", "completed", "failed", "cancelled"]
    start: float
    duration: float | None
    model: str | None
    usage: UsageOut
    cost: float | None
    input: Any
    output: Any
    input_bytes: int | None
    output_bytes: int | None
    truncated: bool
    left_out: bool
    attempts: list[AttemptOut]


class WaitOut(Out):
    """A time in which the run did nothing: in the queue, for tools of the client, approvals, the next segment, or a restart."""

    reason: Literal["queue", "client_tool", "approval", "segment", "interrupted"]
    start: float
    duration: float | None
    calls: list[WaitCallOut]


class WaitCallOut(Out):
    call: str
    name: str | None
    step: str | None


class TraceEdgeOut(Out):
    """`target` began after `source` had ended and because of it; `again`: a loop's next round."""

    source: str
    target: str
    kind: Literal["next", "again"]


class TraceOut(Out):
    """A run as a timeline. `last_seq`: what is told here is what happened up to this event."""

    run: RunOut
    capture: CaptureMode | None
    begin: float
    duration: float | None
    last_seq: int
    steps: list[TraceStepOut]
    edges: list[TraceEdgeOut]
    waits: list[WaitOut]


# --------------------------------------------------------------------------- words → bodies


def encode_flow(flow: FlowInfo) -> dict[str, Any]:
    """`FlowOut`."""
    number = 0 if flow.production is None else flow.production
    return {
        "name": flow.name,
        "id": flow.id,
        "description": flow.description,
        "production": flow.production,
        "versions": sorted(version for version in flow.versions if version > 0),
        "has_draft": 0 in flow.versions,
        "steps": count_steps(flow.versions.get(number, ())),
        "requires_message": flow.requires_message,
        "capture": flow.capture,
    }


def encode_flow_detail(flow: FlowInfo, *, instructions: bool) -> dict[str, Any]:
    """`FlowDetailOut`; without `instructions`, those of models are not told."""
    tree = [
        {
            "version": version,
            "production": version == flow.production,
            "nodes": [_node(node, instructions=instructions) for node in nodes],
            "graph": _graph(nodes),
        }
        for version, nodes in sorted(flow.versions.items())
    ]
    return {**encode_flow(flow), "tree": tree}


def _node(node: Node, *, instructions: bool) -> dict[str, Any]:
    config: Mapping[str, Any] = redact(dict(node.config))
    if not instructions and config.get("instructions"):
        config = {**config, "instructions": None}
    return {
        "id": node.id,
        "name": node.name,
        "kind": node.kind,
        "config": config,
        "open": node.open,
        "model": node.model,
        "digest": node.digest,
        "children": [_node(child, instructions=instructions) for child in node.children],
        "otherwise": [_node(child, instructions=instructions) for child in node.otherwise],
    }


def _graph(nodes: tuple[Node, ...]) -> dict[str, Any]:
    graph = flow_graph(nodes)
    return {
        "nodes": [
            {
                "id": node.id,
                "name": node.name,
                "kind": node.kind,
                "place": node.place,
                "parent": node.parent,
                "branch": node.branch,
            }
            for node in graph.nodes
        ],
        "edges": [{"source": edge.source, "target": edge.target, "kind": edge.kind} for edge in graph.edges],
    }


def encode_session(session: Session) -> dict[str, Any]:
    """`SessionOut`."""
    return {
        "id": session.id,
        "created": session.created,
        "updated": session.updated,
        "expires": session.expires,
        "first_run": session.first_run,
        "last_run": session.last_run,
        "thread": False,
    }
