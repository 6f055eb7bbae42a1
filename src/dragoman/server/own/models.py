"""What Dragoman's own wire says: the bodies of `/dragoman/v1`, as models and as encoders of rows.

The models are read by the OpenAPI document and check what comes in; what goes out is encoded by
plain functions beside them, and a test holds the two together. Times are seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from dragoman.core.failures import told_error
from dragoman.core.ids import ID_PATTERN
from dragoman.core.principal import Principal
from dragoman.core.records import Item, Run, Thread
from dragoman.core.turns import AgentInfo, Decision
from dragoman.engine.files import BLOB
from dragoman.kai.history import is_hidden
from dragoman.server.own.overview import first_token_seconds

Id = Annotated[str, StringConstraints(pattern=f"^{ID_PATTERN.pattern}$")]

FLOW_KINDS: frozenset[str] = frozenset({"execute", "step", "job"})
"""Kinds of runs that belong to their tenant and not to a user."""


class In(BaseModel):
    """A request body: unknown fields are ignored, so that older servers take newer clients."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Out(BaseModel):
    model_config = ConfigDict(extra="forbid")


# --------------------------------------------------------------------------- in


class TextIn(In):
    type: Literal["text"]
    text: str = Field(min_length=1)


class FileIn(In):
    type: Literal["file"]
    url: str = Field(min_length=1)
    media_type: str = Field(min_length=1)
    name: str | None = None


PartIn = Annotated[TextIn | FileIn, Field(discriminator="type")]


class MessageIn(In):
    """`text` is short for one text part. `id` makes the message safe to send twice."""

    id: Id | None = None
    text: str | None = Field(None, min_length=1)
    parts: list[PartIn] | None = Field(None, min_length=1, max_length=32)

    @model_validator(mode="after")
    def _one_of(self) -> MessageIn:
        if (self.text is None) == (self.parts is None):
            raise ValueError("expected either 'text' or 'parts'")
        return self

    def content(self) -> tuple[dict[str, Any], ...]:
        """The parts as the engine takes them."""
        if self.parts is None:
            return ({"type": "text", "text": self.text},)
        return tuple(part.model_dump(exclude_none=True) for part in self.parts)


class StartRun(In):
    """A question to an agent (the first, if none is named), in a thread of one's own or a new one.

    `client_tools`: whoever reads the answer can run tools of its own and hand in their output. `forms`: it can show the
    widgets of tools that ask a human something, and hand in what was filled in as their output.
    """

    message: MessageIn
    agent: str | None = None
    thread: Id | None = None
    busy: Literal["reject", "supersede", "queue"] = "reject"
    reasoning: bool = False
    client_tools: bool = False
    forms: bool = False
    title: str | None = Field(None, min_length=1, max_length=200)
    visibility: Literal["private", "public"] = "private"
    metadata: dict[str, Any] = Field(default_factory=dict)


class DecisionIn(In):
    """An answer to one waiting call, named by `call` or `approval`.

    `approved` with perhaps `reason`, `input` (changed arguments) and `answers`; or, for a tool that
    the client runs, its `output` or `error`.
    """

    call: str | None = None
    approval: str | None = None
    approved: bool | None = None
    reason: str | None = None
    input: dict[str, Any] | None = None
    answers: dict[str, Any] | None = None
    output: Any = None
    error: str | None = None

    @model_validator(mode="after")
    def _complete(self) -> DecisionIn:
        if (self.call is None) == (self.approval is None):
            raise ValueError("expected either 'call' or 'approval'")
        result = self.is_result
        if result == (self.approved is not None):
            raise ValueError("expected either 'approved', or 'output' or 'error' of a tool that the client runs")
        return self

    @property
    def is_result(self) -> bool:
        return "output" in self.model_fields_set or self.error is not None

    def decision(self) -> Decision:
        """As the engine takes it."""
        return Decision(
            approved=self.approved if self.approved is not None else True,
            call=self.call,
            approval=self.approval,
            reason=self.reason,
            input=self.input,
            answers=self.answers,
            output=self.output,
            error=self.error,
            is_result=self.is_result,
        )


class Decisions(In):
    decisions: list[DecisionIn] = Field(min_length=1, max_length=100)


class SignIn(In):
    """An API key, or what the app's own `authenticate` takes as a bearer token.

    Without one, the demo signs in its own user, for browsers on its machine.
    """

    key: str | None = Field(None, min_length=1, max_length=512)


# --------------------------------------------------------------------------- out


class ErrorBody(Out):
    code: str
    message: str
    request_id: str | None


class ErrorOut(Out):
    error: ErrorBody


class UsageOut(Out):
    """Tokens as the providers report them; null: nobody did."""

    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None


class RunOut(Out):
    """`agent` or `flow` names what runs. `flow_version` is the number of the flow's version, 0 for the draft;
    `priority` that of a job: higher ones go first. `user` is whose it is, told to that user and to admins.
    `first_token`: seconds from the start to a model's first word or tool call; null as long as there was none."""

    id: str
    kind: Literal["chat", "execute", "step", "job", "command", "completion"]
    agent: str | None
    flow: str | None
    flow_version: int | None
    version: str
    status: Literal["queued", "running", "paused", "completed", "failed", "cancelled"]
    thread: str | None
    session: str | None
    priority: int
    answer: str | None
    face: str
    user: str | None
    created: float
    started: float | None
    ended: float | None
    first_token: float | None
    last_seq: int
    usage: UsageOut
    cost: float | None
    error: dict[str, Any] | None


class RunDetailOut(RunOut):
    """`result` is what a flow gave, as far as its capture mode keeps it."""

    result: Any


class StartedOut(RunDetailOut):
    """`after`: the answer's events are those behind this seq."""

    outcome: Literal["started", "attached", "answered"]
    after: int


class CancelledOut(RunOut):
    """`cancelled` is false for a run that had ended before."""

    cancelled: bool


class DecidedOut(RunOut):
    """`after`: what follows from the decisions are the events behind this seq."""

    outcome: Literal["accepted", "repeated"]
    calls: list[str]
    after: int


class RunList(Out):
    runs: list[RunOut]
    more: bool
    next: str | None


class EventOut(Out):
    run: str
    seq: int
    time: float
    type: str
    step: str | None = None
    payload: dict[str, Any]


class EventList(Out):
    events: list[EventOut]
    more: bool
    next: int


class ThreadOut(Out):
    id: str
    title: str
    visibility: Literal["private", "public"]
    status: str
    branch: str | None
    mine: bool
    created: float
    updated: float
    active_run: str | None = None


class ThreadList(Out):
    threads: list[ThreadOut]
    more: bool
    next: str | None


class ItemOut(Out):
    """`hidden`: whoever sent it wants it kept out of views; the agent has read it."""

    id: str
    pos: int
    kind: str
    role: Literal["user", "assistant", "system"]
    status: Literal["completed", "interrupted", "in_progress"]
    answer: str | None
    run: str | None
    step: int
    created: float
    hidden: bool
    body: dict[str, Any]


class ItemList(Out):
    items: list[ItemOut]
    more: bool
    next: int | None


class ToolOut(Out):
    name: str
    description: str
    parameters: dict[str, Any]
    read_only: bool
    needs_approval: bool
    client: bool


class AgentOut(Out):
    name: str
    model: str
    tools: list[ToolOut]


class AgentList(Out):
    agents: list[AgentOut]


class MeOut(Out):
    tenant: str
    user: str
    scopes: list[str]
    key: str | None
    message_limit: int | None


class SignedInOut(MeOut):
    """`expires`: when the browser must sign in again; null if no cookie is needed, as each request says who asks."""

    expires: float | None


# --------------------------------------------------------------------------- rows → bodies


def is_of_flow(run: Run) -> bool:
    """Whether a flow ran, and not an agent: a command may be either."""
    return run.kind in FLOW_KINDS or "tree" in run.options


def encode_run(run: Run, *, expose: bool) -> dict[str, Any]:
    """`RunOut`. What a run was started with stays inside: it may hold what the caller may not see.

    `expose`: this reader may see the text of a model's exception.
    """
    is_flow = is_of_flow(run)
    return {
        "id": run.id,
        "kind": run.kind,
        "agent": None if is_flow else run.name,
        "flow": run.name if is_flow else None,
        "flow_version": run.options.get("flow_version") if is_flow else None,
        "version": run.version,
        "status": run.status,
        "thread": run.thread_id,
        "session": run.session,
        "priority": run.priority,
        "answer": run.answer,
        "face": run.face,
        "user": run.owner or None,
        "created": run.created,
        "started": run.started,
        "ended": run.ended,
        "first_token": None
        if run.first_token is None
        else first_token_seconds(run.created, run.started, run.first_token),
        "last_seq": run.last_seq,
        "usage": {**asdict(run.usage), "total_tokens": run.usage.total_tokens},
        "cost": run.cost,
        "error": told_error(run.error, expose=expose),
    }


def encode_thread(thread: Thread, principal: Principal) -> dict[str, Any]:
    """`ThreadOut`, without `active_run`."""
    return {
        "id": thread.id,
        "title": thread.title,
        "visibility": thread.visibility,
        "status": thread.status,
        "branch": thread.branch,
        "mine": thread.owner == principal.user,
        "created": thread.created,
        "updated": thread.updated,
    }


def shown_body(kind: str, body: dict[str, Any]) -> dict[str, Any]:
    """The body of an item for a client: of a passage it is told where it stands, not what it says."""
    return {name: value for name, value in body.items() if name != "text"} if kind == "source" else body


def addressed(body: dict[str, Any], address: Callable[[str], str]) -> dict[str, Any]:
    """The body, where each file of the store has, beside its `url`, the `address` that it can be fetched from for a while."""
    told = dict(body)
    if isinstance(parts := body.get("parts"), list):
        told["parts"] = [addressed(part, address) if isinstance(part, dict) else part for part in parts]
    url = body.get("url")
    if isinstance(url, str) and url.startswith(BLOB) and (found := address(url)):
        told["address"] = found
    return told


def encode_item(item: Item, address: Callable[[str], str]) -> dict[str, Any]:
    """`ItemOut`; `address` makes the URL of a stored file one that can be fetched."""
    return {
        "id": item.id,
        "pos": item.pos,
        "kind": item.kind,
        "role": item.role,
        "status": item.status,
        "answer": item.answer,
        "run": item.run,
        "step": item.step,
        "created": item.created,
        "hidden": is_hidden(item),
        "body": addressed(shown_body(item.kind, item.body), address),
    }


def encode_agent(agent: AgentInfo) -> dict[str, Any]:
    """`AgentOut`. Instructions stay inside."""
    return {
        "name": agent.name,
        "model": agent.model,
        "tools": [
            {
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.parameters,
                "read_only": tool.name in agent.read_only,
                "needs_approval": tool.name in agent.needs_approval,
                "client": tool.name in agent.client_tools,
            }
            for tool in agent.tools
        ],
    }


def encode_me(principal: Principal) -> dict[str, Any]:
    """`MeOut`."""
    return {
        "tenant": principal.tenant,
        "user": principal.user,
        "scopes": sorted(principal.scopes),
        "key": principal.key_id,
        "message_limit": principal.message_limit,
    }
