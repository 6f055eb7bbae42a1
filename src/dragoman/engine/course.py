"""What the driver asks of the run that it drives, whatever kind of run it is.

A course knows what follows from what (`decide`, `evolve`), what goes into the store (`writes`), and
how a command is carried out (`work`). An agent's answer is one kind (`answering`), a flow another (`flows.course`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from dragoman.core.events import Event
from dragoman.core.records import Run
from dragoman.core.writes import Write
from dragoman.engine.asking import Asked
from dragoman.engine.inputs import Outcome


class State(Protocol):
    """What the driver must know of where a run stands."""

    @property
    def status(self) -> str: ...

    @property
    def is_final(self) -> bool: ...

    @property
    def last_seq(self) -> int: ...

    @property
    def active_since(self) -> float: ...


class Inbox(Protocol):
    """Where work tells what happened."""

    def put(self, given: Any) -> None:
        """Tell it, without waiting for the commit."""
        ...

    def ask(self, what: Any) -> asyncio.Future[Any]:
        """Tell it, and get the course's answer behind the commit."""
        ...

    async def breathe(self) -> None:
        """Let others run, and wait while the journal is far behind; after each of many pieces."""
        ...


@dataclass(frozen=True, slots=True)
class Work:
    """What carries out a command. `lost` is what happened if it ends without telling: users' code may raise
    CancelledError itself. An `idle` one is not begun any more, or cut at once, when the engine closes."""

    coroutine: Coroutine[Any, Any, None]
    lost: Any
    idle: bool = False


@dataclass(frozen=True, slots=True)
class LastWrites:
    """What the commit that ends a run does besides. `was`: all events of the run, where the store keeps less of them."""

    writes: Sequence[Write] = ()
    was: Sequence[Event] | None = None


class Course(Protocol):
    """One run, as the driver sees it."""

    run: Run
    max_seconds: float | None

    @property
    def state(self) -> State: ...

    def decide(self, given: Any) -> Outcome:
        """What follows from an input."""
        ...

    def evolve(self, event: Event) -> None:
        """Fold one event into the state."""
        ...

    def see(self, event: Event) -> None:
        """Fold one stored event in, for a run that is taken up."""
        ...

    def admit(self, asked: Asked) -> tuple[Any, Any]:
        """The input that a request amounts to (None: nothing), and the answer to give once that is stored.

        Raises a DragomanError for a request that cannot be met.
        """
        ...

    def writes(self, events: Sequence[Event]) -> list[Write]:
        """Everything that these events do to the store, themselves included."""
        ...

    async def last_writes(self, events: Sequence[Event]) -> LastWrites:
        """What the commit of these events, which end the run, does besides."""
        ...

    def work(self, command: Any, inbox: Inbox) -> Work:
        """How a command is carried out."""
        ...
