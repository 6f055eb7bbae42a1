"""Rows: what the store keeps. `writes` says how they change.

Every record names its tenant or hangs on one that does. Times are float seconds since the epoch;
bodies are JSON values.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Generic, Literal, NamedTuple, TypeAlias, TypeVar

from dragoman.core.usage import Usage

RunStatus: TypeAlias = Literal["queued", "running", "paused", "completed", "failed", "cancelled"]
RunKind: TypeAlias = Literal["chat", "execute", "step", "job", "command", "completion"]
Visibility: TypeAlias = Literal["private", "public"]
ItemKind: TypeAlias = Literal[
    "message",
    "reasoning",
    "tool_call",
    "file",
    "source",
    "widget",
    "workflow",
    "task",
    "image",
    "structured_input",
    "data",
    "hidden",
    "end_of_turn",
]
ItemStatus: TypeAlias = Literal["completed", "interrupted", "in_progress"]

ACTIVE: frozenset[str] = frozenset({"queued", "running", "paused"})
"""States of a run that has not ended."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Thread:
    """A lasting conversation. `number` orders threads and is given by the store (0 before)."""

    id: str
    tenant: str
    owner: str
    created: float
    updated: float
    number: int = 0
    title: str = ""
    visibility: Visibility = "private"
    branch: str | None = None
    status: str = "active"
    metadata: dict[str, Any] = field(default_factory=dict)
    expires: float | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of a thread. `pos` orders items and is given by the store (0 before).

    `answer` is shared by all items that one question brought forth; `step` counts the model
    calls of that answer from 1, so that readers can show where one ends and the next begins.
    `extra` is what one dialect alone knows.

    Body by kind: `message` of a user `{parts: [{type: "text", text} | {type: "file", url,
    media_type, name?}]}`; `message` and `reasoning` of an assistant `{text, provider?}`; `tool_call`
    `{call, name, input, state, output?, error?, raw?, client?, provider?, widget?, approval?: {id, approved?, reason?, system?}}`
    (the item's id is the call's id) with
    `state` one of `input-available`, `approval-requested`, `approval-responded`,
    `output-available`, `output-error`, `output-denied`; the others as in `messages.ModelItem`.
    """

    id: str
    kind: ItemKind
    role: Literal["user", "assistant", "system"]
    created: float
    body: dict[str, Any]
    pos: int = 0
    status: ItemStatus = "completed"
    answer: str | None = None
    run: str | None = None
    step: int = 0
    extra: dict[str, Any] = field(default_factory=dict)


FLOW_OPTIONS = (
    "flow_version",
    "tree",
    "overrides",
    "input_overrides",
    "tools",
    "tool_choice",
    "remaining",
    "trace",
    "capture",
    "client_tools",
    "call_index",
    "input_hash",
    "max_seconds",
    "metadata",
    "traceparent",
    "keep_result",
)
"""What the options of a flow's run may hold: `flow_version` is the number (0: draft), `tree` the frozen steps as
`flows.encode_node` spells them, `remaining` whether it runs on to its end, `capture` one of off, metadata_only,
redacted, full, `keep_result` that a repetition must find the result; the others are as in `flows.FlowCall`."""


@dataclass(frozen=True, slots=True)
class Run:
    """One execution. `number` is given by the store (0 before); `thread` is the thread's number.

    `version` is the frozen code version, `input` and `options` what it was started with (enough
    to go on after a crash), `last_seq` the highest committed event, `error` `{code, message}`. `first_token` is the time
    at which a model said its first word, or began its first tool call; the store sees it in the events.

    A flow's run has the flow's name (`project/slug`), `queue` and `priority` if it is a job (higher
    goes first), `result` once it has completed, `input` as in `flows.FlowCall`
    (`{message, messages, parameters, attachments}`), and in `options` the words of `FLOW_OPTIONS`.
    A turn's has `{message?, metadata?}`; one aside also `{parts, extra?}`, and gets its thread when it completes,
    and `history` where its caller keeps the conversation; one whose message was edited, or answered anew, has its
    `parts` from then on. A completion that asks a model itself has `options["completion"]`: `{model, tools, options}`.
    """

    id: str
    tenant: str
    owner: str
    kind: RunKind
    name: str
    created: float
    number: int = 0
    version: str = ""
    thread: int | None = None
    thread_id: str | None = None
    session: str | None = None
    face: str = "own"
    status: RunStatus = "queued"
    answer: str | None = None
    input: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)
    cost: float | None = None
    error: dict[str, Any] | None = None
    started: float | None = None
    ended: float | None = None
    last_seq: int = 0
    queue: str | None = None
    executor: str | None = None
    lease: float | None = None
    priority: int = 0
    result: Any = None
    first_token: float | None = None

    @property
    def is_active(self) -> bool:
        return self.status in ACTIVE


class RunFigure(NamedTuple):
    """A run as an overview counts it, which takes very many: so it is a plain tuple. `is_flow` is 0 where an agent ran."""

    created: float
    started: float | None
    ended: float | None
    first_token: float | None
    status: RunStatus
    face: str
    name: str
    is_flow: int
    prompt_tokens: int | None
    completion_tokens: int | None
    cost: float | None


@dataclass(frozen=True, slots=True)
class ModelFigure:
    """What the calls of one model came to, each attempt of a step being one."""

    model: str
    calls: int
    failed: int
    prompt_tokens: int
    completion_tokens: int
    cost: float | None


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a run's trace: one attempt of one step. Input and output as the capture mode allows.

    `step` is the key's id and inner part (`say`, `say/model:1`), `index` the loop index, -1 where it has
    none. `place` is the index of the top-level step it is or lies in. `input_bytes` and `output_bytes` are the sizes of
    the whole as JSON; `truncated`: what is kept of one of them is cut.
    """

    run: str
    step: str
    kind: str
    name: str
    status: Literal["running", "completed", "failed", "cancelled"]
    started: float
    index: int = -1
    attempt: int = 1
    ended: float | None = None
    model: str | None = None
    usage: Usage = field(default_factory=Usage)
    cost: float | None = None
    input: Any = None
    output: Any = None
    error: dict[str, Any] | None = None
    place: int | None = None
    input_bytes: int | None = None
    output_bytes: int | None = None
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """Runs that a client has grouped for capture and replay; ids are the client's, unique in a tenant.

    Made by its first run. At `expires` its runs go and `tombstone` is set: the time up to which it
    is known that there was one.
    """

    tenant: str
    id: str
    created: float
    updated: float
    first_run: str | None = None
    last_run: str | None = None
    expires: float | None = None
    tombstone: float | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Approval:
    """A question to a human, decided at most once. `request` is `{name, input}`."""

    id: str
    tenant: str
    owner: str
    run: str
    call: str
    created: float
    expires: float
    request: dict[str, Any]
    state: Literal["pending", "approved", "denied"] = "pending"
    decision: dict[str, Any] | None = None
    decided: float | None = None
    by: str | None = None


BlobState: TypeAlias = Literal["pending", "ready", "gone"]


@dataclass(frozen=True, slots=True)
class Blob:
    """A file: this row, and bytes of the same id in a `ports.Blobs`.

    `pending`: declared, its bytes have not come (all) yet. `ready`: whole; `size` is that of the bytes and `digest`
    their SHA-256 in hex. `gone`: nobody may read it any more, and a sweep deletes bytes and row.
    `thread` is a thread's number once the file is part of a message; `expires` is set until then.
    `size` of a pending one is the declared size in bytes (None: not declared).
    """

    id: str
    tenant: str
    owner: str
    purpose: str
    name: str
    type: str
    created: float
    size: int | None = None
    digest: str | None = None
    state: BlobState = "pending"
    thread: int | None = None
    expires: float | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Vote:
    """Up or down on one answer by one user."""

    thread: int
    answer: str
    user: str
    up: bool
    created: float
    id: str = ""


@dataclass(frozen=True, slots=True)
class Setting:
    """A value that a user or tenant changed; `owner` is empty for the tenant's own."""

    tenant: str
    owner: str
    name: str
    value: Any
    created: float
    updated: float


@dataclass(frozen=True, slots=True)
class Key:
    """An API key; only `hash` (SHA-256 hex of the secret) is kept."""

    id: str
    hash: str
    tenant: str
    user: str
    scopes: tuple[str, ...]
    created: float
    name: str = ""
    projects: tuple[str, ...] | None = None
    rate_limit: tuple[int, float] | None = None
    budget: float | None = None
    expires: float | None = None
    revoked: float | None = None


@dataclass(frozen=True, slots=True)
class Counter:
    """A quota or rate window: `used` within the window that ends at `resets`."""

    used: int
    resets: float


@dataclass(frozen=True, slots=True)
class Repeat:
    """A kept answer for an idempotency key; `digest` tells a repeat from a clash."""

    tenant: str
    owner: str
    key: str
    digest: str
    run: str | None
    answer: Any
    created: float
    expires: float


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Rows in order, and whether more follow in the direction that was asked for."""

    rows: tuple[T, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class Keep:
    """What a sweep leaves alone: what is over at `now` goes, marks, repeats and counters included.

    Threads that were last written to before `threads_since` go as well, and so do runs without a
    thread or session that ended before `runs_since`; None keeps them. The runs of a session go when it expires; its
    tombstone is kept for `tombstone_seconds` more.
    """

    now: float
    threads_since: float | None = None
    runs_since: float | None = None
    tombstone_seconds: float = 90 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Removed:
    """How much a sweep or an erasure has taken away; false if nothing. `keys` were revoked."""

    threads: int = 0
    items: int = 0
    runs: int = 0
    events: int = 0
    steps: int = 0
    approvals: int = 0
    votes: int = 0
    blobs: int = 0
    settings: int = 0
    counters: int = 0
    repeats: int = 0
    marks: int = 0
    keys: int = 0
    sessions: int = 0
    passages: int = 0

    def __add__(self, other: Removed) -> Removed:
        return Removed(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))

    def __bool__(self) -> bool:
        return any(getattr(self, one.name) for one in fields(self))
