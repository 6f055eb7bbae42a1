"""Scopes: what makes calls of one piece of work one session, to be recorded or replayed.

`trace_scope` awaits, `trace_scope_sync` blocks; `trace` makes a scope of a function, or joins the one
it is called in. `place` decides for a call, at the moment it is made, which session it belongs to
and which place it has there. The scope is a context variable, so tasks and threads that copy the
context share it. Knows nothing of how a recording answers; that is in `cassette`.
"""

from __future__ import annotations

import functools
import inspect
import os
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ParamSpec, TypeVar, cast

from dragoman.noukai.cassette import Cassette, Claim
from dragoman.noukai.exceptions import ReplayDisabledError, ReplayInvalidSessionError
from dragoman.noukai.sessions import fetch_session
from dragoman.noukai.transport import AnyTransport
from dragoman.noukai.types import (
    CALL_INDEX_HEADER,
    REPLAY_VARIABLE,
    SESSION_HEADER,
    Address,
    Trigger,
    is_session_id,
)
from dragoman.transport.io import run_blocking

P = ParamSpec("P")
R = TypeVar("R")


class ScopeMode(StrEnum):
    """What a scope does with the calls in it."""

    NORMAL = "normal"
    CAPTURE = "capture"
    REPLAY = "replay"


@dataclass(slots=True)
class ScopeState:
    """A scope that is open. `session_id` is None in normal mode."""

    mode: ScopeMode
    session_id: str | None
    cassette: Cassette | None = None
    calls: Counter[tuple[Address, Trigger]] = field(default_factory=Counter)

    def take_place(self, flow: Address, trigger: Trigger) -> int:
        """The number of this call among its like, from 0."""
        place = self.calls[flow, trigger]
        self.calls[flow, trigger] += 1
        return place


_ACTIVE: ContextVar[ScopeState | None] = ContextVar("dragoman_noukai_scope", default=None)


def current_session_id() -> str | None:
    """The id of the session that the active scope records or replays; None without one."""
    scope = _ACTIVE.get()
    return scope.session_id if scope else None


def current_scope() -> ScopeState | None:
    """The active scope."""
    return _ACTIVE.get()


def replay_allowed() -> bool:
    """Whether NOUKAI_REPLAY_ENABLED is 1, true, yes or on, in any case."""
    return os.environ.get(REPLAY_VARIABLE, "").strip().lower() in ("1", "true", "yes", "on")


# ---------------------------------------------------------------------------------- place of a call


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a call belongs: its session, the headers that say so, and the recording if one answers."""

    session_id: str | None
    call_index: int | None = None
    claim: Claim | None = None

    @property
    def headers(self) -> dict[str, str]:
        """Of the first request of a call."""
        found = self.session_headers
        if self.call_index is not None:
            found[CALL_INDEX_HEADER] = str(self.call_index)
        return found

    @property
    def session_headers(self) -> dict[str, str]:
        """Of the requests that go on with it."""
        return {SESSION_HEADER: self.session_id} if self.session_id else {}


def place(transport: AnyTransport, flow: Address, trigger: Trigger, session_id: str | None) -> Placement:
    """Decide for a call that is being made. The argument goes before the client's, both before the scope's.

    Raises ValueError for an id that no session can have.
    """
    scope = _ACTIVE.get()
    chosen = session_id if session_id is not None else transport.options.session_id
    if chosen and not is_session_id(chosen):
        raise ValueError(f"a session id is 1 to 128 of A-Za-z0-9._~:-, but neither '.' nor '..'; got {chosen!r}")
    if scope is not None and scope.cassette is not None:
        other = session_id if session_id and session_id != scope.session_id else None
        claim = scope.cassette.claim(transport, flow, trigger, scope.take_place(flow, trigger), other)
        return Placement(other or scope.session_id, claim=claim)
    own = scope.session_id if scope is not None else None
    if chosen is None:
        chosen = own
    index = scope.take_place(flow, trigger) if scope is not None and chosen and chosen == own else None
    return Placement(chosen or None, index)


# ------------------------------------------------------------------------------------------ scopes


class _Opening:
    """A scope before, while and after it is open; both context managers are made of it."""

    def __init__(
        self, replay_session_id: str | None, capture: bool, transport: AnyTransport | None, strict: bool
    ) -> None:
        if replay_session_id and not replay_allowed():
            if strict:
                raise ReplayDisabledError(f"replay of {replay_session_id!r} needs {REPLAY_VARIABLE}=1")
            replay_session_id = None
        self._transport = transport
        self._replayed = replay_session_id
        self._token: Token[ScopeState | None] | None = None
        if replay_session_id:
            self.state = ScopeState(ScopeMode.REPLAY, replay_session_id)
        elif capture:
            self.state = ScopeState(ScopeMode.CAPTURE, str(uuid.uuid4()))
        else:
            self.state = ScopeState(ScopeMode.NORMAL, None)

    async def open(self, blocking: bool) -> ScopeState:
        self._tell("scope_open")
        if self._replayed:
            if not is_session_id(self._replayed):
                raise ReplayInvalidSessionError(f"{self._replayed!r} cannot be the id of a session", status_code=400)
            if self._transport is None or self._transport.blocking != blocking:
                kind = "trace_scope_sync needs that of a Noukai" if blocking else "trace_scope that of an AsyncNoukai"
                raise TypeError(f"a replay needs transport=client._transport; {kind}")
            session = await fetch_session(self._transport, self._replayed)
            self.state.cassette = Cassette(session)
        self._token = _ACTIVE.set(self.state)
        return self.state

    def close(self, failed: bool) -> None:
        """Leave the scope; without a failure every recording must have been used."""
        try:
            if self._token is not None:
                _ACTIVE.reset(self._token)
        except ValueError:
            pass  # closed in a copy of the context it was opened in, where nothing is to be undone
        finally:
            self._token = None
            self._tell("scope_close")
        if self.state.cassette is not None and not failed:
            self.state.cassette.check_leftovers()

    def _tell(self, phase: str) -> None:
        if self._transport is not None:
            told = {"phase": phase, "mode": self.state.mode.value, "session_id": self.state.session_id}
            self._transport.emit(told)


class trace_scope:
    """`async with trace_scope() as state:` makes the calls within one session.

    They are recorded under a fresh id; with `capture=False` they are not. `replay_session_id` answers
    them from that session instead, without any live call, if NOUKAI_REPLAY_ENABLED allows it; else it
    is ignored, or with `strict=True` refused (ReplayDisabledError). `transport` is `client._transport`;
    a replay needs it, and the log events of the scope. Raises ReplayError subclasses on entering, and
    ReplayLeftoverError on leaving if not every recording was used.
    """

    def __init__(
        self,
        *,
        replay_session_id: str | None = None,
        capture: bool = True,
        transport: AnyTransport | None = None,
        strict: bool = False,
    ) -> None:
        self._opening = _Opening(replay_session_id, capture, transport, strict)

    async def __aenter__(self) -> ScopeState:
        return await self._opening.open(blocking=False)

    async def __aexit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._opening.close(failed=kind is not None)


class trace_scope_sync:
    """`with trace_scope_sync() as state:`, as `trace_scope` for the blocking client."""

    def __init__(
        self,
        *,
        replay_session_id: str | None = None,
        capture: bool = True,
        transport: AnyTransport | None = None,
        strict: bool = False,
    ) -> None:
        self._opening = _Opening(replay_session_id, capture, transport, strict)

    def __enter__(self) -> ScopeState:
        return run_blocking(self._opening.open(blocking=True))

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._opening.close(failed=kind is not None)


def trace(function: Callable[P, R]) -> Callable[P, R]:
    """Make each call of a function, plain or async, a session of its own.

    Within a scope it joins that one, so that a middleware and the decorator agree on the session.
    """
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def awaiting(*args: P.args, **kwargs: P.kwargs) -> Any:
            if _ACTIVE.get() is not None:
                return await cast(Awaitable[Any], function(*args, **kwargs))
            async with trace_scope():
                return await cast(Awaitable[Any], function(*args, **kwargs))

        return cast(Callable[P, R], awaiting)

    @functools.wraps(function)
    def blocking(*args: P.args, **kwargs: P.kwargs) -> R:
        if _ACTIVE.get() is not None:
            return function(*args, **kwargs)
        with trace_scope_sync():
            return function(*args, **kwargs)

    return blocking


# the names of 0.5
replay, replay_scope, replay_scope_sync = trace, trace_scope, trace_scope_sync
