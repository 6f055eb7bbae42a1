"""Flows as data: what faces ask of the engine, what a run keeps of its steps, what pages draw.

Nothing here runs anything: flows are declared in `dragoman.engine.flows`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from dragoman.core.messages import ToolSpec
from dragoman.core.records import Repeat

NodeKind: TypeAlias = Literal["function", "model", "agent", "client_tool", "loop", "when"]
CaptureMode: TypeAlias = Literal["off", "metadata_only", "redacted", "full"]


@dataclass(frozen=True, slots=True)
class Node:
    """One step of a flow's version, as data: what a run keeps of it, and what pages draw.

    `config` holds the keywords that a caller may override, with their defaults; `open`: any other
    keyword is taken as well. `children` are the steps of a loop or of a taken branch, `otherwise`
    those of the other branch. `digest` changes when the step's code or configuration does.
    """

    id: str
    name: str
    kind: NodeKind
    config: Mapping[str, Any] = field(default_factory=dict)
    open: bool = False
    model: str | None = None
    children: tuple[Node, ...] = ()
    otherwise: tuple[Node, ...] = ()
    digest: str = ""


def encode_node(node: Node) -> dict[str, Any]:
    """The node as a JSON object; empty fields are left out."""
    data: dict[str, Any] = {"id": node.id, "name": node.name, "kind": node.kind}
    for name in ("config", "open", "model", "digest"):
        if value := getattr(node, name):
            data[name] = dict(value) if name == "config" else value
    for name in ("children", "otherwise"):
        if nodes := getattr(node, name):
            data[name] = [encode_node(one) for one in nodes]
    return data


def decode_node(data: Mapping[str, Any]) -> Node:
    """The inverse of `encode_node`."""
    return Node(
        data["id"],
        data["name"],
        data["kind"],
        config=data.get("config", {}),
        open=data.get("open", False),
        model=data.get("model"),
        children=tuple(decode_node(one) for one in data.get("children", ())),
        otherwise=tuple(decode_node(one) for one in data.get("otherwise", ())),
        digest=data.get("digest", ""),
    )


@dataclass(frozen=True, slots=True)
class FlowInfo:
    """What faces may tell about a flow. `id` is the same for all versions.

    `versions` maps the published numbers, and 0 for the draft, to their steps. `production` is None where
    nothing is published. `capture` is the flow's own mode, None for the server's.
    """

    name: str
    id: str
    versions: Mapping[int, tuple[Node, ...]]
    production: int | None
    description: str = ""
    requires_message: bool = True
    capture: CaptureMode | None = None


@dataclass(frozen=True, slots=True)
class FlowCall:
    """One call of a flow, as a face hands it to the engine.

    `version` is a published number, 0 for the draft, None for the production version (the draft if
    nothing is published). `overrides` and `input_overrides` are by step id. `tools` are tools that the
    caller runs (`client_tools`: whether it can); `remaining` False makes the run pause after each top-level step.
    `repeat` is the idempotency record to keep with the run; `capture` wins over the flow's own mode and `trace` over
    `metadata_only`. `kind` `job`: the run waits in the queue until a worker takes it, by `priority` (higher first).
    A `command` is one whose result is fetched later.
    """

    tenant: str
    flow: str
    owner: str = ""
    kind: Literal["execute", "step", "job", "command"] = "execute"
    version: int | None = None
    message: str | None = None
    messages: tuple[dict[str, Any], ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    attachments: tuple[dict[str, Any], ...] = ()
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    input_overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: Any = None
    client_tools: bool = True
    remaining: bool = True
    trace: bool = False
    capture: CaptureMode | None = None
    session: str | None = None
    call_index: int | None = None
    input_hash: str | None = None
    priority: int = 0
    repeat: Repeat | None = None
    max_seconds: float | None = None
    face: str = "own"
    metadata: dict[str, Any] = field(default_factory=dict)
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Continue:
    """What a paused flow run is given so that it goes on.

    `outputs` answers client tools, by call id: exactly the pending ones. `step` is the index of the top-level
    step that the caller believes comes next (None: whichever). The others, where not None, replace what the run was started with.
    """

    outputs: Mapping[str, Any] | None = None
    step: int | None = None
    remaining: bool | None = None
    overrides: Mapping[str, Mapping[str, Any]] | None = None
    input_overrides: Mapping[str, Mapping[str, Any]] | None = None
    tools: tuple[ToolSpec, ...] | None = None
    tool_choice: Any = None
    client_tools: bool | None = None
    trace: bool | None = None
