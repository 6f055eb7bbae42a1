"""Each proof's guard, and how to take it out: what `BREAK=1` does.

A proof that still holds without its guard proves nothing. One function per guard, each takes out
exactly one promise and leaves the rest as it is.
"""

from __future__ import annotations

import asyncio
import functools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from dragoman.ai.backwards import chunks
from dragoman.ai.pipeline import base, plan
from dragoman.core.errors import NotFound
from dragoman.core.records import Run
from dragoman.core.turns import Decision
from dragoman.core.writes import AppendEvents, PutRun
from dragoman.engine import decisions
from dragoman.engine.state import Call as ToolCall
from dragoman.server.chatkit import rows_store
from dragoman.server.http import Call
from dragoman.server.openai import runs
from dragoman.server.own import access
from dragoman.store import statements
from dragoman.store.sqlite import SQLiteStore
from dragoman.testing import replaying
from dragoman.testing.replaying import network, understudies
from dragoman.testing.replaying.comparing import Difference

LATE_SECONDS = 0.1


def is_broken() -> bool:
    """Whether `BREAK=1` was asked for."""
    return os.environ.get("BREAK", "") not in ("", "0")


def commit_before_seen() -> None:
    """Events are shown at once and written a tenth of a second later; whoever reads the rows waits for that."""
    writing: list[asyncio.Task[None]] = []
    commit = SQLiteStore.commit

    async def later(store: SQLiteStore, due: float, before: asyncio.Task[None] | None, writes: tuple[Any, ...]) -> None:
        if before is not None:
            await before
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        await commit(store, *writes)

    async def early(self: SQLiteStore, *writes: Any) -> None:
        kinds = {type(write) for write in writes}
        if AppendEvents not in kinds or PutRun in kinds:
            await commit(self, *writes)
            return
        before = writing.pop() if writing else None
        writing.append(asyncio.create_task(later(self, time.monotonic() + LATE_SECONDS, before, writes)))

    def patient(read: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(read)
        async def reading(*args: Any, **options: Any) -> Any:
            if writing:
                await asyncio.wait([writing[-1]])
            return await read(*args, **options)

        return reading

    _replace(SQLiteStore, "commit", early)
    for name in ("items", "item", "run", "approval", "events"):
        _replace(SQLiteStore, name, patient(getattr(SQLiteStore, name)))


def decided_once() -> None:
    """Every decision counts as new as long as the run is not over, in the engine and in the store."""

    def always(call: ToolCall, decision: Decision, agent: object, *, final: bool) -> bool:
        return not final and call.approval is not None

    _replace(decisions, "_is_new", always)
    condition = " AND state = 'pending'"
    if condition not in statements.DECIDE_APPROVAL:
        raise LookupError("the condition of DECIDE_APPROVAL is not where it was; mend prove/guards.py")
    _replace(statements, "DECIDE_APPROVAL", statements.DECIDE_APPROVAL.replace(condition, ""))


def owner_check() -> None:
    """The own face shows any run to anybody."""

    async def anybodys(self: Any, call: Call) -> Run:
        run: Run | None = await self._store.run(call.params["run"])
        if run is None:
            raise NotFound("There is no such run.", code="not_found:run")
        return run

    _replace(access.Access, "_run", anybodys)


def manifest_decides() -> None:
    """Streams are read by the rules of the wire that most providers speak, whatever their manifest says."""
    first = "choices[0].delta"
    rules = plan.default_rules(content=f"{first}.content", tools=f"{first}.tool_calls", usage="usage")

    def the_usual(manifest: Any) -> plan.Plan:
        return plan.plan_of_rules(rules, reason=manifest)

    _replace(base, "compile_plan", the_usual)


def recording_answers() -> None:
    """A replay asks the app's own models, and lets them out into the network."""
    _replace(understudies, "_model", lambda model, playbacks: model)
    _replace(network, "_audit", lambda event, arguments: None)


def difference_fails() -> None:
    """A replay finds no agent to say anything else than it said."""

    def same(name: str, before: object, after: object) -> Iterator[Difference]:
        yield from ()

    _replace(replaying, "compare_agents", same)


def kept_goes_on() -> None:
    """A caller who leaves ends the run of its answer, also of one that is kept."""

    async def abandon(context: Any, answering: Any) -> None:
        place, answering.place = answering.place, None
        await context.services.engine.cancel(answering.run.id, reason="disconnected")
        if place is not None:
            place.release()

    _replace(runs, "abandon", abandon)


class _NoPlaces(dict[str, int]):
    """Calls that all stand in the first place."""

    def setdefault(self, key: str, default: int = 0) -> int:
        return super().setdefault(key, 0)


def calls_apart() -> None:
    """The gateway's chunks give all calls of an answer one place, by which readers tell them apart."""
    begun = chunks.ChunkEncoder._begun

    def without_places(self: chunks.ChunkEncoder, index: int) -> bytes:
        made = begun(self, index)
        self._candidates[index].calls = _NoPlaces()
        return made

    _replace(chunks.ChunkEncoder, "_begun", without_places)


def one_id() -> None:
    """ChatKit's spelling of an id is taken for the id."""
    _replace(rows_store, "row_ids", lambda id: (id,))


def _replace(owner: object, name: str, value: object) -> None:
    """Raises LookupError where nothing of that name is, so that a guard that moved is noticed."""
    if not hasattr(owner, name):
        raise LookupError(f"{owner!r} has no {name!r} any more; mend prove/guards.py")
    _replaced.append((owner, name, getattr(owner, name)))
    setattr(owner, name, value)


_replaced: list[tuple[object, str, object]] = []


GUARDS: dict[str, Callable[[], None]] = {
    "commit-before-seen": commit_before_seen,
    "decided-once": decided_once,
    "owner-check": owner_check,
    "manifest-decides": manifest_decides,
    "recording-answers": recording_answers,
    "difference-fails": difference_fails,
    "one-id": one_id,
    "calls-apart": calls_apart,
    "kept-goes-on": kept_goes_on,
}


@contextmanager
def taken_out(name: str) -> Iterator[None]:
    """Take a guard out of this process, and put it back: for a proof that needs no other process."""
    before = list(_replaced)
    try:
        take_out(name)
        yield
    finally:
        while len(_replaced) > len(before):
            owner, attribute, value = _replaced.pop()
            setattr(owner, attribute, value)


def take_out(name: str) -> None:
    """Take one guard out of this process."""
    GUARDS[name]()
