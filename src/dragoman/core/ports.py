"""The seams of the house: what one room may ask of another without knowing it.

`Model` answers, `Store` keeps, `Engine` runs, `Clock` tells the time. Rooms are written
against these; the composition root (`dragoman.server`) plugs implementations together.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from dragoman.core.events import Event
from dragoman.core.flows import Continue, FlowCall, FlowInfo
from dragoman.core.messages import ModelEvent, ModelRequest
from dragoman.core.records import (
    Approval,
    Blob,
    Counter,
    Item,
    ItemKind,
    Keep,
    Key,
    ModelFigure,
    Page,
    Removed,
    Repeat,
    Run,
    RunFigure,
    RunKind,
    RunStatus,
    Session,
    Setting,
    Step,
    Thread,
    Vote,
)
from dragoman.core.turns import AgentInfo, Continued, Decided, Decision, Started, Tail, Turn
from dragoman.core.writes import Write

Clock: TypeAlias = Callable[[], float]
"""Seconds since the epoch, as a float."""


@runtime_checkable
class Model(Protocol):
    """Anything that answers a `ModelRequest` with an async stream.

    A plain `str` in the stream counts as `ModelText`. Closing the iterator (`aclose`) or
    cancelling the task that reads it stops the call. Errors: any exception fails the step; a
    `DragomanError` keeps its `code` and `retryable`.
    """

    def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent | str]: ...


@dataclass(frozen=True, slots=True)
class Embedded:
    """One vector for each text, in order; `tokens` is what the model counted, None if it did not."""

    vectors: Sequence[Sequence[float]]
    tokens: int | None = None


@runtime_checkable
class Embedder(Protocol):
    """Anything that turns texts into vectors. Errors are as with `Model`."""

    async def embed(self, texts: Sequence[str], *, dimensions: int | None = None) -> Embedded:
        """`dimensions` asks for vectors of another length; a model that has only one raises BadRequest."""
        ...


class Store(Protocol):
    """The journal and the rows around it.

    `commit` is the only way to change anything. Reads never show half a commit. Every read
    that starts from an id of the outside names the tenant. Pages are keyset pages: cost grows
    with what is read, not with what is stored.
    """

    async def commit(self, *writes: Write) -> None:
        """Do all writes in one transaction, in order; durable when it returns.

        Raises StaleWrite, LimitExceeded or ProtocolError as the writes' docstrings say, and then
        nothing of this commit has happened.
        """
        ...

    async def thread(self, tenant: str, id: str, *, owner: str | None = None) -> Thread | None:
        """The thread with this id; with `owner`, only if it is this owner's."""
        ...

    async def thread_by_number(self, number: int) -> Thread | None: ...

    async def threads(
        self,
        tenant: str,
        owner: str | None,
        *,
        limit: int,
        after: str | None = None,
        before: str | None = None,
        oldest: bool = False,
    ) -> Page[Thread]:
        """Newest first (by number); `owner=None` means all of the tenant. `oldest`: from the other end, oldest first,
        and `after=X` are those that are newer than X; `before` is not for then.

        `after=X`: those that follow X (older). `before=X`: the up to `limit` ones directly before X
        (newer), in the same order; `more` then speaks of that direction. X may be a deleted thread
        whose mark is still kept. Raises NotFound for an X that this owner never had.
        """
        ...

    async def items(
        self,
        thread: int,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int = 1000,
        newest: bool = False,
        without: Sequence[ItemKind] = (),
    ) -> Page[Item]:
        """Items with after < pos < before, in order of pos; `newest` takes them from the end, newest first.

        Items of the kinds in `without` are left out; pages are full all the same.
        """
        ...

    async def item(self, thread: int, id: str) -> Item | None: ...

    async def run(self, id: str, *, tenant: str | None = None) -> Run | None:
        """The run; with `tenant`, only if it is this tenant's."""
        ...

    async def runs(
        self,
        tenant: str,
        *,
        owner: str | None = None,
        thread: int | None = None,
        status: Sequence[RunStatus] | None = None,
        name: str | None = None,
        kind: RunKind | None = None,
        session: str | None = None,
        face: str | None = None,
        since: float | None = None,
        until: float | None = None,
        text: str | None = None,
        limit: int = 50,
        after: str | None = None,
    ) -> Page[Run]:
        """Newest first; `after` is a run id. Raises NotFound for an unknown `after`.

        since <= created < until. `text`: it is part of the run's id, name, thread id or session, whatever the case of
        its ASCII letters.
        """
        ...

    async def run_figures(
        self,
        tenant: str,
        *,
        since: float,
        until: float,
        owner: str | None = None,
        projects: Sequence[str] | None = None,
        limit: int,
    ) -> Sequence[RunFigure]:
        """The runs with since <= created < until, newest first. `projects`: of flows' runs only those of these projects."""
        ...

    async def model_figures(
        self,
        tenant: str,
        *,
        since: float,
        until: float,
        owner: str | None = None,
        projects: Sequence[str] | None = None,
    ) -> Sequence[ModelFigure]:
        """What the models were asked in those runs, in no order."""
        ...

    async def unfinished(self) -> Sequence[Run]:
        """All active runs of all tenants, oldest first, but for jobs that wait in a queue: what a restarted engine
        takes up."""
        ...

    async def queued(self, *, limit: int) -> Sequence[Run]:
        """Jobs that wait in the queue, of all tenants: the highest priority first, then the oldest."""
        ...

    async def queue_length(self) -> int:
        """How many jobs wait in the queue."""
        ...

    async def steps(self, run: str) -> Sequence[Step]:
        """The run's trace, in the order in which its steps began."""
        ...

    async def session(self, tenant: str, id: str) -> Session | None: ...

    async def has_session_elsewhere(self, tenant: str, id: str) -> bool:
        """Whether another tenant has a session of this id."""
        ...

    async def sessions(self, tenant: str, *, limit: int = 50, after: str | None = None) -> Page[Session]:
        """Those that have not expired, the one last written to first; `after` is a session's id.

        Raises NotFound for an unknown `after`.
        """
        ...

    async def session_runs(self, tenant: str, id: str, *, after: int = 0, limit: int = 1000) -> Page[Run]:
        """The session's runs with number > after, oldest first."""
        ...

    async def events(self, run: str, *, after: int = 0, limit: int = 1000) -> Sequence[Event]:
        """Events with seq > after, in order. May return more than `limit` to keep a row whole."""
        ...

    async def approval(self, id: str, *, tenant: str | None = None) -> Approval | None: ...

    async def approvals(self, run: str) -> Sequence[Approval]:
        """All approvals of a run, in order of creation."""
        ...

    async def pending_approvals(self, *, before: float | None = None, limit: int = 100) -> Sequence[Approval]:
        """Pending approvals that expire before a time, soonest first."""
        ...

    async def votes(self, thread: int, user: str | None = None) -> Sequence[Vote]:
        """Votes of a thread, oldest first."""
        ...

    async def tenant_votes(
        self, tenant: str, *, owner: str | None = None, limit: int = 1000
    ) -> Sequence[tuple[Thread, Vote]]:
        """Votes in all threads of a tenant, or of one owner in it; those in the newest thread first."""
        ...

    async def setting(self, tenant: str, owner: str, name: str) -> Setting | None: ...

    async def counter(self, tenant: str, owner: str, name: str, *, now: float) -> Counter | None:
        """The counter's open window, or None if there is none at `now`."""
        ...

    async def key(self, id: str) -> Key | None: ...

    async def keys(self, tenant: str | None = None) -> Sequence[Key]: ...

    async def repeat(self, tenant: str, owner: str, key: str, *, now: float) -> Repeat | None: ...

    async def blob(self, id: str, *, tenant: str, owner: str | None = None) -> Blob | None:
        """The file's row; with `owner`, only if it is this owner's. One that is `gone` is None."""
        ...

    async def thread_blobs(self, thread: int) -> Sequence[Blob]:
        """The files of a thread, oldest first."""
        ...

    async def dead_blobs(self, *, now: float, limit: int = 100) -> Sequence[Blob]:
        """Rows of all tenants whose bytes are to be deleted: those that are `gone`, and those that expired before `now`."""
        ...

    async def passages(
        self, tenant: str, sources: Sequence[str], query: str, *, limit: int, near: Near | None = None
    ) -> Sequence[Passage]:
        """What `Knowledge.search` gives, from the passages that writes have put. All of them where there are no more
        than `limit`; where nothing of a source has the words, the beginnings of its newest documents. With `near`,
        what points the same way is found beside what has the words."""
        ...

    async def passages_without(self, space: str, dimensions: int | None) -> int:
        """How many passages, of all tenants, have no vector of this model, of this length where it is given."""
        ...

    async def secret(self, name: str) -> bytes:
        """A random 32-byte secret of this store, made at first use and kept (signing, hashing)."""
        ...

    def sweep(self, keep: Keep) -> AsyncIterator[Removed]:
        """Delete what is over, whole runs at a time, in short transactions; what each of them removed.

        Whoever iterates sets the pace. A pass takes some thousands of each kind; another finds the rest.
        """
        ...

    def erase(self, tenant: str, owner: str) -> AsyncIterator[Removed]:
        """Delete all of a user's and revoke the keys, likewise, until nothing is left."""
        ...

    async def changes_beside(self) -> int:
        """A number that is another one as soon as another process has committed."""
        ...

    async def check(self) -> None:
        """A cheap read and write path check for readiness; raises Unavailable."""
        ...

    async def close(self) -> None:
        """Finish pending commits and release everything; idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: how many bytes, and their SHA-256 in hex."""

    size: int
    digest: str


class Blobs(Protocol):
    """The bytes of files, by blob id; their rows are the store's.

    Files may be larger than memory: bytes come and go in chunks.
    """

    async def write(self, id: str, chunks: AsyncIterator[bytes], *, limit: int | None = None) -> Written:
        """Keep these bytes; all or nothing: a failure on the way leaves nothing behind, and what was there before stays.

        Raises PayloadTooLarge as soon as there are more than `limit`, and whatever `chunks` raises.
        """
        ...

    def read(self, id: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from `start` up to `end` (exclusive). Raises NotFound (`not_found:blob`)."""
        ...

    async def size(self, id: str) -> int | None:
        """How many bytes there are; None if there is no such file."""
        ...

    async def delete(self, id: str) -> None:
        """Delete the bytes; nothing happens if there are none."""
        ...


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of a document of a knowledge source: `number` counts from 1 in its document, whose name is `name`.

    A higher `score` fits better; only the order of one search means anything.
    """

    source: str
    blob: str
    number: int
    name: str
    text: str
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class Near:
    """Where a question points. `space` names the model that the vector is from; others' vectors say nothing to it."""

    space: str
    vector: Sequence[float]


class Knowledge(Protocol):
    """Documents of knowledge sources, cut into passages that can be searched."""

    async def add(self, tenant: str, source: str, blob: Blob, text: str) -> int:
        """Keep what the file says as a document of the source, in place of what it said before; how many passages.

        Raises NotFound (`not_found:blob`) if the file has gone in the meantime, and BadRequest
        (`bad_request:knowledge`) where no documents are taken.
        """
        ...

    async def remove(self, tenant: str, source: str, blob_id: str) -> None:
        """Forget the document; nothing happens if there is none."""
        ...

    async def search(self, tenant: str, sources: Sequence[str], query: str, *, limit: int) -> Sequence[Passage]:
        """The passages that fit best, the best first. `query` is any text; each source with a document gives at least
        one passage, as far as `limit` allows."""
        ...


class Engine(Protocol):
    """Runs agents and flows. Everything it acknowledges is committed first.

    Errors: NotFound (no such run, thread, call; `code` says which: `not_found:thread`,
    `not_found:run`, `not_found:call`, `not_found:approval`, `not_found:message`), Conflict
    (`conflict:busy`, `conflict:message`, `conflict:approval`, `conflict:thread`), Forbidden (`forbidden:thread`: the
    thread is another owner's), BadRequest (`bad_request:input`, `bad_request:agent`), LimitExceeded, Unavailable (503; code
    `closing` once the engine shuts down: ask again later).
    """

    async def start(self, turn: Turn) -> Started:
        """Store the turn and run it.

        With `repeat`: the same key and digest give the run of the first turn (`attached` while it is active, else
        `answered`, however it ended), another digest Conflict (`conflict:repeat`).
        """
        ...

    async def start_flow(self, call: FlowCall) -> Started:
        """Start a run of a flow, or put it in the queue; its row is committed when this returns.

        With `repeat`: the same key and digest give the run of the first call (`attached` while it is active,
        else `answered`), another digest Conflict (`conflict:repeat`). Raises NotFound (`not_found:flow`,
        `not_found:version`), BadRequest (`bad_request:message`: none, though the flow needs one;
        `bad_request:overrides`: of a step or keyword that there is not; `bad_request:input`), Unavailable
        (`unavailable:queue`, `unavailable:runs`).
        """
        ...

    async def continue_flow(self, tenant: str, run_id: str, given: Continue) -> Continued:
        """Let a paused run of a flow go on.

        Raises NotFound (`not_found:run`), BadRequest (`bad_request:step`: past or beyond the cursor;
        `bad_request:outputs`: not exactly those of the pending calls, or none though calls are pending),
        Conflict (`conflict:run`: it is moving, or was given something else before; `conflict:rounds`: too many rounds of tool calls; `conflict:tree`: the flow's
        code does not have the run's steps any more, and the run has ended as failed, STALE_TREE).
        """
        ...

    def flows(self) -> Sequence[FlowInfo]: ...

    def flow(self, name: str) -> FlowInfo | None: ...

    async def decide(
        self,
        tenant: str,
        owner: str,
        thread_id: str,
        decisions: Sequence[Decision],
        *,
        by: str | None = None,
        channel: Literal["reply", "side"] = "side",
    ) -> Decided:
        """Decide pending calls of the thread; each at most once, the first wins.

        All decisions are checked before the first is stored: an unknown call is NotFound, an
        opposite or superseded one Conflict, changed arguments that do not fit the tool BadRequest.
        """
        ...

    async def cancel(self, run_id: str, *, reason: str = "stopped") -> bool:
        """End the run; returns once its last event is committed. False if it had ended before."""
        ...

    async def delete_thread(self, tenant: str, owner: str, thread_id: str) -> Thread:
        """Cancel what runs in it, then delete it; gives the thread as it was."""
        ...

    async def delete_threads(self, tenant: str, owner: str) -> int:
        """Delete all threads of an owner; gives their number."""
        ...

    def tail(self, run_id: str, *, after: int = 0) -> Tail: ...

    def events(self, run_id: str, *, after: int = 0) -> AsyncIterator[Event]:
        """`tail`, one event at a time, to the run's end."""
        ...

    async def active_run(self, thread: Thread) -> Run | None:
        """The thread's run that has not ended, if any."""
        ...

    def agents(self) -> Sequence[AgentInfo]: ...

    async def open(self) -> None:
        """Take up unfinished runs of the store and start timers."""
        ...

    async def close(self, *, grace: float = 5.0) -> None:
        """Stop executing; unfinished runs stay in the journal and go on at the next `open`."""
        ...


Authenticator: TypeAlias = Callable[[Mapping[str, str]], Awaitable[Any]]
"""A user's callable: request headers (lower-case names) → Principal, or None to refuse."""
