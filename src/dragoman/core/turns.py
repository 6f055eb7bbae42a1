"""What is said to the engine, and what it answers: the words of the port `Engine`.

A face makes a `Turn` or a `Decision` of what it was sent; what comes back names the run, and reads its journal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from dragoman.core.events import Event
from dragoman.core.messages import Message, ToolSpec
from dragoman.core.records import Item, Repeat, Run, Visibility


@dataclass(frozen=True, slots=True)
class NewThread:
    """How to make the thread if its id is not known yet."""

    title: str = ""
    visibility: Visibility = "private"
    branch: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Quota:
    """A counter that accepting the turn moves on; see `writes.Count`."""

    name: str
    limit: int | None
    resets: float


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model is asked itself, without an agent: one call, whose tool calls are the asker's to carry out.

    `model` is a name that the app defines or that leads to a provider; `options` go to it with the request.
    """

    model: str
    tools: tuple[ToolSpec, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Turn:
    """One question to an agent, as a face hands it to the engine.

    `parts` is the user message's content as in `records.Item`. `mode`: `new` appends a message;
    `edit` replaces the stored message `message_id` and drops what follows it; `regenerate` keeps
    the user message `message_id` (None: the last one), drops what follows it and answers anew (`parts` is empty);
    `continue` answers what the thread holds by now, without a message (`parts` is empty).
    A `thread_id` of None makes a thread with a fresh id. `client_tools` says whether whoever reads the answer can run tools of its own and send the output back,
    `forms` whether it can show the widgets of form tools; where not, such tools are not offered. `keep_failed`: what a
    failed model call had said stays, marked as interrupted; else it is dropped.
    `busy` says what to do with an active run of the thread. A `new` message whose id the thread
    has already is a repetition: see `Started.outcome`.

    `permissions`: tool name → `always_allow` | `always_ask` | `blocked`. `approvals`: `ask`, or
    `deny` where the face cannot ask, or `hide` to not offer such tools at all.
    `approval_ttl` seconds until a pending approval counts as denied with `approval_reason`.
    `instructions` are appended to the agent's own. `item` is stored with the turn, in place of the one with its id:
    what a `continue` answers. Files of the owner that `parts` name as `blob:ID` become the thread's.

    `aside`: the turn (mode `new`) runs beside whatever else the thread does, and is never its active run. It sees what
    the thread holds when it starts. Prompt and answer are stored together in the commit that completes the run, which
    makes the thread if the owner has none of this id; before, and if it fails or is cancelled, the thread has nothing
    of it. With a `thread_id` of None there is no thread at all. Nobody can be asked then: `approvals` `ask` means
    `deny`, and neither client's tools nor forms are offered.
    `repeat` is the idempotency record to keep with the run: see `Engine.start`. `resume`: a run that a crash has
    stopped goes on; if not, it ends as cancelled. `thread_ttl`: the thread expires so many seconds after its last turn.
    `knowledge`: the agent's knowledge sources are searched for the message's text, and what is found goes to the model.
    `history`, for a turn aside without a thread: what was said before, which its caller keeps. `completion`: a model is
    asked itself; then `agent` is what the run is called, `history` the whole conversation, and `parts` only tell people
    what was asked.
    """

    tenant: str
    owner: str
    agent: str
    thread_id: str | None = None
    message_id: str | None = None
    parts: tuple[dict[str, Any], ...] = ()
    message_extra: dict[str, Any] = field(default_factory=dict)
    mode: Literal["new", "edit", "regenerate", "continue"] = "new"
    new_thread: NewThread = field(default_factory=NewThread)
    reasoning: bool = False
    instructions: tuple[str, ...] = ()
    permissions: Mapping[str, str] = field(default_factory=dict)
    approvals: Literal["ask", "deny", "hide"] = "ask"
    client_tools: bool = False
    forms: bool = False
    keep_failed: bool = True
    approval_ttl: float = 24 * 3600.0
    approval_reason: str = "expired"
    busy: Literal["supersede", "reject", "queue"] = "supersede"
    quota: Quota | None = None
    face: str = "own"
    kind: Literal["chat", "completion", "command"] = "chat"
    max_seconds: float = 600.0
    metadata: dict[str, Any] = field(default_factory=dict)
    item: Item | None = None
    aside: bool = False
    repeat: Repeat | None = None
    resume: bool = True
    thread_ttl: float | None = None
    knowledge: bool = False
    history: tuple[Message, ...] = ()
    completion: Completion | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """What became of a `Turn`. `after`: a reader of this answer begins behind this seq.

    `started`: a new run. `attached`: the same message came before and its run is still active.
    `answered`: the same message came before and its answer is stored. `live` is for runs of flows: see `Live`; None
    where the run had ended before.
    """

    run: Run
    outcome: Literal["started", "attached", "answered"]
    after: int = 0
    live: Live | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Decision:
    """A human's answer to one pending tool call, named by `call` or by `approval` id.

    `input` replaces the arguments; `answers` is handed to the tool. `output` and `error` answer a
    client-side tool instead.
    """

    approved: bool = True
    call: str | None = None
    approval: str | None = None
    reason: str | None = None
    input: dict[str, Any] | None = None
    answers: dict[str, Any] | None = None
    output: Any = None
    error: str | None = None
    is_result: bool = False


@dataclass(frozen=True, slots=True)
class Decided:
    """What became of decisions. `after`: the continuation is what follows this seq.

    `accepted`: at least one decision was new. `repeated`: all had been decided the same way
    before (or the call never needed one); the run may be active or over.
    """

    run: Run
    outcome: Literal["accepted", "repeated"]
    calls: tuple[str, ...]
    after: int = 0


@dataclass(frozen=True, slots=True)
class Continued:
    """What became of a `Continue`. `after`: the continuation is what follows this seq.

    `resumed`: the run goes on. `repeated`: the same was given before, and what follows is stored or under way.
    `live`: see `Live`; None where the run had ended before.
    """

    run: Run
    outcome: Literal["resumed", "repeated"]
    after: int = 0
    live: Live | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class AgentInfo:
    """What faces may tell about an agent. `knowledge` names the sources bound to it."""

    name: str
    model: str
    instructions: str
    tools: tuple[ToolSpec, ...]
    read_only: frozenset[str]
    needs_approval: frozenset[str]
    client_tools: frozenset[str]
    forms: frozenset[str] = frozenset()
    knowledge: tuple[str, ...] = ()


class Tail(Protocol):
    """A reader of one run's journal: first what is stored, then what comes."""

    async def next(self, timeout: float | None = None) -> Sequence[Event]:
        """The next events, at least one; empty when the run has ended (or its thread is deleted) and all was read.

        Raises builtin TimeoutError after `timeout` seconds without an event; then call again.
        Raises Unavailable (code `closing`) when this engine shuts down: the run goes on elsewhere or later.
        """
        ...


class Live(Protocol):
    """The journal of a run for whoever started it or let it go on.

    What is read from here is what happened, however slow the reader is, also where the capture mode leaves
    less of it in the store once the run has ended. It holds the run's events from then on, so let go of it.
    """

    def tail(self, *, after: int = 0) -> Tail:
        """A reader of what follows this seq."""
        ...
