"""The backends that the conformance suite runs over, and makers of rows for it.

`test_conformance_*` know only `core.ports.Store`: a new backend joins by one more `Backend`
here and passes the same tests. The other files are about SQLite itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dragoman.core.events import BlockDelta, Event, EventBody
from dragoman.core.ports import Store
from dragoman.core.records import Approval, Item, Key, Repeat, Run, Setting, Step, Thread, Vote
from dragoman.core.writes import PutApproval, PutItem, PutRun, PutThread
from dragoman.store import SQLiteStore, open_store


@dataclass(slots=True)
class ScriptedTime:
    """A clock that stands still until it is set."""

    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True, slots=True)
class Backend:
    """A kind of store and where this test's one lies; `lasting` ones can be opened again."""

    path: str | Path
    clock: ScriptedTime
    lasting: bool = True

    async def open(self) -> SQLiteStore:
        return await open_store(self.path, clock=self.clock)


def make_backend(kind: str, folder: Path, clock: ScriptedTime) -> Backend:
    match kind:
        case "directory":
            return Backend(folder / "data", clock)
        case "file":
            return Backend(folder / "own-name.db", clock)
        case "memory":
            return Backend(":memory:", clock, lasting=False)
    raise AssertionError(kind)


@pytest.fixture
def clock() -> ScriptedTime:
    return ScriptedTime()


@pytest.fixture(params=["directory", "file", "memory"])
def backend(request: pytest.FixtureRequest, tmp_path: Path, clock: ScriptedTime) -> Backend:
    return make_backend(request.param, tmp_path, clock)


@pytest.fixture(params=["directory", "file"])
def lasting_backend(request: pytest.FixtureRequest, tmp_path: Path, clock: ScriptedTime) -> Backend:
    return make_backend(request.param, tmp_path, clock)


@pytest.fixture
async def store(backend: Backend) -> AsyncIterator[SQLiteStore]:
    store = await backend.open()
    yield store
    await store.close()


@pytest.fixture
async def lasting_store(lasting_backend: Backend) -> AsyncIterator[SQLiteStore]:
    store = await lasting_backend.open()
    yield store
    await store.close()


class Make:
    """Rows with everything that a test does not care about filled in."""

    def thread(self, id: str = "t", **more: Any) -> Thread:
        return Thread(**{"id": id, "tenant": "acme", "owner": "ann", "created": 1.0, "updated": 2.0} | more)

    def item(self, id: str = "m", text: str = "hi", **more: Any) -> Item:
        return Item(**{"id": id, "kind": "message", "role": "user", "created": 1.5, "body": {"text": text}} | more)

    def run(self, id: str = "r", **more: Any) -> Run:
        known = {"id": id, "tenant": "acme", "owner": "ann", "kind": "chat", "name": "helper", "created": 1.0}
        return Run(**known | more)

    def approval(self, id: str = "a", **more: Any) -> Approval:
        known = {"id": id, "tenant": "acme", "owner": "ann", "run": "r", "call": "c", "created": 1.0, "expires": 9.0}
        return Approval(**known | {"request": {"name": "add", "input": {"a": 1}}} | more)

    def step(self, step: str = "s1", **more: Any) -> Step:
        known = {"run": "r", "step": step, "kind": "model", "name": "gpt", "status": "running", "started": 1.0}
        return Step(**known | more)

    def vote(self, answer: str = "m", user: str = "ann", **more: Any) -> Vote:
        return Vote(**{"thread": 1, "answer": answer, "user": user, "up": True, "created": 1.0, "id": "v"} | more)

    def setting(self, value: Any = None, **more: Any) -> Setting:
        known = {"tenant": "acme", "owner": "ann", "name": "tone", "created": 1.0, "updated": 1.0}
        return Setting(**known | {"value": value} | more)

    def key(self, id: str = "k", **more: Any) -> Key:
        known = {"id": id, "hash": "00", "tenant": "acme", "user": "ann", "scopes": ("use",), "created": 1.0}
        return Key(**known | more)

    def repeat(self, key: str = "once", **more: Any) -> Repeat:
        known = {"tenant": "acme", "owner": "ann", "key": key, "digest": "d", "run": None, "answer": {"n": 1}}
        return Repeat(**known | {"created": 10.0, "expires": 20.0} | more)

    def event(self, seq: int, body: EventBody | None = None, *, run: str = "r", **more: Any) -> Event:
        return Event(**{"run": run, "seq": seq, "time": seq / 8, "body": body or BlockDelta("b", f"{seq} ")} | more)

    def events(self, *seqs: int, run: str = "r") -> tuple[Event, ...]:
        return tuple(self.event(seq, run=run) for seq in seqs)


@pytest.fixture
def make() -> Make:
    return Make()


@pytest.fixture
async def thread(store: Store, make: Make) -> Thread:
    """A stored thread with two items, a run and a pending approval."""
    await store.commit(
        PutThread(make.thread()),
        PutItem(0, make.item("m1")),
        PutItem(0, make.item("m2", role="assistant", answer="m2", run="r")),
        PutRun(make.run(thread=0, thread_id="t")),
        PutApproval(make.approval()),
    )
    stored = await store.thread("acme", "t")
    assert stored is not None
    return stored
