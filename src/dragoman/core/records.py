"""Rows: what the store keeps, and the writes it is asked for.

Every record names its tenant or hangs on one that does. The `Write` union is the whole
vocabulary of change: a `commit` of several writes is one transaction, all or nothing, and a
conditional write that does not hold raises `StaleWrite` or `LimitExceeded` and undoes the
whole commit. Times are float seconds since the epoch; bodies are JSON values.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from dragoman.core.events import Event
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
    `{call, name, input, state, output?, error?, raw?, client?, provider?, approval?: {id, approved?, reason?, system?}}`
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
`ports.encode_node` spells them, `remaining` whether it runs on to its end, `capture` one of off, metadata_only,
redacted, full, `keep_result` that a repetition must find the result; the others are as in `ports.FlowCall`."""


@dataclass(frozen=True, slots=True)
class Run:
    """One execution. `number` is given by the store (0 before); `thread` is the thread's number.

    `version` is the frozen code version, `input` and `options` what it was started with (enough
    to go on after a crash), `last_seq` the highest committed event, `error` `{code, message}`.

    A flow's run has the flow's name (`project/slug`), `queue` and `priority` if it is a job (higher
    goes first), `result` once it has completed, `input` as in `ports.FlowCall`
    (`{message, messages, parameters, attachments}`), and in `options` the words of `FLOW_OPTIONS`.
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

    @property
    def is_active(self) -> bool:
        return self.status in ACTIVE


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

    def __add__(self, other: Removed) -> Removed:
        return Removed(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))

    def __bool__(self) -> bool:
        return any(getattr(self, one.name) for one in fields(self))


# --------------------------------------------------------------------------- writes
#
# `thread=0` in PutItem, ChangeThread, RemoveItems and in PutRun's run means the thread that a PutThread
# earlier in the same commit has made (its number is not known before).


@dataclass(frozen=True, slots=True)
class PutThread:
    """Insert a thread. StaleWrite("thread_id") if its tenant has that id already (any owner)
    while `tenant_wide` is set, else if its (tenant, owner) has it."""

    thread: Thread
    tenant_wide: bool = True


@dataclass(frozen=True, slots=True)
class ChangeThread:
    """Set the fields given (any of title, visibility, branch, status, metadata, updated, expires).

    StaleWrite("thread_gone") if there is no such thread.
    """

    thread: int
    changes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class DeleteThread:
    """Delete the thread with items, runs, events, steps, approvals, votes and blobs.

    A mark of its place is kept until `forget_at`, so that cursors go on working.
    StaleWrite("thread_gone") if there is no such thread.
    """

    thread: int
    forget_at: float


@dataclass(frozen=True, slots=True)
class PutItem:
    """Append an item at the end of the thread, or replace the one with its id (keeps pos, created).

    Without `replace`, an id that the thread has already is StaleWrite("item_id").
    With `replace`, an item that does not exist yet is appended.
    StaleWrite("thread_gone") if the thread does not exist.
    """

    thread: int
    item: Item
    replace: bool = False


@dataclass(frozen=True, slots=True)
class RemoveItems:
    """Delete all items of a thread from `from_pos` on (inclusive), and the votes on their answers."""

    thread: int
    from_pos: int


@dataclass(frozen=True, slots=True)
class PutRun:
    """Insert a run."""

    run: Run


@dataclass(frozen=True, slots=True)
class ChangeRun:
    """Set the fields given (status, usage, cost, error, started, ended, executor, lease, queue, priority, options, input, result).

    With `only_if`, StaleWrite("run_status") unless the status is one of these.
    """

    run: str
    changes: dict[str, Any]
    only_if: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class AppendEvents:
    """Append events of one run; their seqs continue `last_seq` without a gap (else ProtocolError).

    The run's `last_seq` moves along. Consecutive deltas of one block (or of one tool input)
    become one row; readers get every event back as it was.
    """

    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class ReplaceEvents:
    """Give stored events of one run other bodies of the same types: what a capture mode does not keep goes.

    Done once, in the commit that ends the run; seqs, times, steps and the number of events stay.
    """

    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class PutSession:
    """Insert a session, or move on the one of this (tenant, id): `updated`, `last_run` and `expires`.

    A tombstone becomes a session again, as if it had never been.
    """

    session: Session


@dataclass(frozen=True, slots=True)
class PutStep:
    """Insert or replace a step by (run, step, index, attempt)."""

    step: Step


@dataclass(frozen=True, slots=True)
class PutApproval:
    """Insert an approval; (run, call) is unique."""

    approval: Approval


@dataclass(frozen=True, slots=True)
class DecideApproval:
    """Decide, by one conditional update; StaleWrite("approval") unless it is still pending."""

    approval: str
    approved: bool
    decision: dict[str, Any]
    decided: float
    by: str | None = None


@dataclass(frozen=True, slots=True)
class PutVote:
    """Insert or replace the vote of (thread, answer, user)."""

    vote: Vote


@dataclass(frozen=True, slots=True)
class PutSetting:
    """Insert or replace (tenant, owner, name); `created` of the first is kept."""

    setting: Setting


@dataclass(frozen=True, slots=True)
class Count:
    """Add `amount` to the counter (tenant, owner, name); a window that is over starts anew.

    Raises LimitExceeded with `retry_after` when `limit` would be passed; nothing is counted then.
    """

    tenant: str
    owner: str
    name: str
    now: float
    resets: float
    amount: int = 1
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class PutKey:
    """Insert a key."""

    key: Key


@dataclass(frozen=True, slots=True)
class RevokeKey:
    """Mark a key as revoked."""

    key: str
    at: float


@dataclass(frozen=True, slots=True)
class PutRepeat:
    """Insert an idempotency record; StaleWrite("repeat") if the key is there and has not expired."""

    repeat: Repeat


Write: TypeAlias = (
    PutThread
    | ChangeThread
    | DeleteThread
    | PutItem
    | RemoveItems
    | PutRun
    | ChangeRun
    | AppendEvents
    | ReplaceEvents
    | PutSession
    | PutStep
    | PutApproval
    | DecideApproval
    | PutVote
    | PutSetting
    | Count
    | PutKey
    | RevokeKey
    | PutRepeat
)
