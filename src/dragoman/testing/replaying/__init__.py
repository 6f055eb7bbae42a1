"""Replays a cassette through the code of an app as it is now, and tells what comes out otherwise.

The app's own agents and flows run, in an engine and a store of this process that nobody else sees.
Models answer from the recording, by position; so do tools that are not read-only. The network is cut.
What is compared is in `comparing`; a difference is for a human to judge, so nothing here decides whether it is right.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dragoman.core.cassette import outcome, transcript
from dragoman.core.errors import DragomanError, UsageError
from dragoman.core.events import Event
from dragoman.core.ports import Store
from dragoman.core.records import ACTIVE
from dragoman.core.redact import redact, redact_text
from dragoman.engine.app import App
from dragoman.engine.embedded import EmbeddedEngine
from dragoman.store.sqlite import open_store
from dragoman.testing.cassette import Cassette
from dragoman.testing.replaying.comparing import (
    NOTHING,
    Difference,
    compare_agents,
    compare_nodes,
    compare_outcomes,
    told,
)
from dragoman.testing.replaying.driving import Drive
from dragoman.testing.replaying.network import cut_network
from dragoman.testing.replaying.playback import MISS, Playback, Playbacks
from dragoman.testing.replaying.understudies import with_understudies


@dataclass(frozen=True, slots=True)
class Replayed:
    """One run of a cassette and what it came to now: `document` is its new transcript, None where it could not be started."""

    recorded: Mapping[str, Any]
    document: Mapping[str, Any] | None
    differences: tuple[Difference, ...]

    @property
    def name(self) -> str:
        """How it is called in what is told."""
        return _label(self.recorded)


@dataclass(frozen=True, slots=True)
class Replay:
    """A replayed cassette. `differences` are those of the definitions first, then of the runs in order.

    `remarks` say what is worth knowing and is no difference; `wanted` what the code wanted of the network.
    """

    cassette: Cassette
    runs: tuple[Replayed, ...]
    definitions: tuple[Difference, ...]
    remarks: tuple[str, ...]
    wanted: tuple[str, ...]

    @property
    def differences(self) -> tuple[Difference, ...]:
        return (*self.definitions, *(each for run in self.runs for each in run.differences))

    def told(self) -> str:
        """What differs, in short, for people; empty if nothing does."""
        return told(self.differences)


async def replay(cassette: Cassette, app: App) -> Replay:
    """Replay every run of the cassette, in order. The event loop has to be one of asyncio's own for the network to be cut.

    Raises UsageError for an app that cannot be run at all; what goes wrong within a run is a difference.
    """
    if not cassette.executions and cassette.exchanges:
        raise UsageError("the cassette holds what a client exchanged, and no runs: replay it by the client's `replay=`")
    playbacks = Playbacks()
    clock = _Clock()
    runs: list[Replayed] = []
    remarks: list[str] = []
    with cut_network() as wanted:
        store = await open_store(":memory:", clock=clock)
        try:
            engine = EmbeddedEngine(with_understudies(app, playbacks), store, clock=clock, executor="replay")
            await engine.open()
            try:
                seen: set[tuple[str, str]] = set()
                for document in cassette.executions:
                    if (why := _unplayable(document)) is not None:
                        remarks.append(f"{_label(document)} was left out: {why}")
                        continue
                    playback = Playback(document)
                    playbacks.expect(playback)
                    clock.set(float(document.get("created", 0.0)))
                    question = (str(document.get("thread")), str(document["given"].get("message")))
                    runs.append(await _replayed(engine, store, playback, again=question in seen))
                    if "thread" in document:
                        seen.add(question)
                    remarks += [f"{_label(document)}: {remark}" for remark in playback.remarks]
            finally:
                await engine.close(grace=1.0)
        finally:
            await store.close()
    definitions = tuple(_definitions(cassette, app))
    remarks += [*_unknown_code(cassette), *_changed_tools(cassette, app)]
    return Replay(cassette, tuple(runs), definitions, tuple(remarks), tuple(wanted))


def replay_blocking(cassette: Cassette, app: App) -> Replay:
    """`replay` for code that does not await; also inside a running event loop, which waits meanwhile."""
    ended: list[Replay | BaseException] = []

    def work() -> None:
        try:
            # not the loop that others may have installed: how uvloop connects cannot be seen
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                ended.append(runner.run(replay(cassette, app)))
        except BaseException as error:
            ended.append(error)

    thread = threading.Thread(target=work, name="dragoman-replay", daemon=True)  # Ctrl-C ends it
    thread.start()
    thread.join()
    if isinstance(ended[0], BaseException):
        raise ended[0]
    return ended[0]


def find_app(spec: str) -> App:
    """The `App` that `module:name` names; a function of that name is called for it. Raises UsageError.

    Modules are found from the working directory first.
    """
    module, _, name = spec.partition(":")
    if not module or not name:
        raise UsageError(f"expected MODULE:APP such as app:app, got {spec!r}")
    if (here := os.getcwd()) not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
        if not isinstance(found, App) and callable(found):
            found = found()
    except DragomanError:
        raise
    except Exception as error:
        raise UsageError(f"{spec!r} cannot be loaded: {type(error).__name__}: {error}") from error
    if not isinstance(found, App):
        raise UsageError(f"{spec!r} is no dragoman.App but {type(found).__name__}")
    return found


# ---------------------------------------------------------------------------------------------- one run


async def _replayed(engine: EmbeddedEngine, store: Store, playback: Playback, *, again: bool) -> Replayed:
    recorded = playback.document
    label = _label(recorded)
    try:
        run_id = await Drive(engine, playback, again=again).to_end()
    except DragomanError as error:
        said = {"code": error.code, "message": redact_text(error.message)}
        return Replayed(recorded, None, (Difference((label, "cannot be run"), _ended(recorded), said),))
    except (TypeError, ValueError, LookupError, AttributeError) as error:  # what the app's code raises ends its run
        raise UsageError(f"{label} is broken in this cassette: {type(error).__name__}: {error}") from error
    run = await store.run(run_id)
    assert run is not None, "it was started"
    question = {"parts": recorded["given"].get("parts")}
    document = transcript(run, await _events(store, run_id), label=recorded["run"], question=question)
    cut = recorded["status"] == "cancelled"
    before, after = outcome(recorded), outcome(document)
    if playback.missed:
        for part in ("answer", "result", "error", "status"):
            before[part] = after[part] = None  # whatever came of it came of the miss
        for made in (*after["steps"], *after["tools"]):
            made.pop("error", None) if _is_miss(made.get("error")) else None
    elif playback.left:
        before["answer"] = after["answer"] = None  # the leftover says it
    found = compare_outcomes(label, before, after, cut=cut)
    found += [Difference((label, "replay miss"), NOTHING, missed) for missed in playback.missed]
    if playback.left and not playback.missed and not cut:
        count = len(recorded["answers"])
        found.append(
            Difference((label, "replay leftover"), f"{count} model calls", f"{count - playback.left} model calls")
        )
    return Replayed(recorded, document, tuple(found))


def _is_miss(error: Any) -> bool:
    return (isinstance(error, Mapping) and error.get("code") == MISS) or (
        isinstance(error, str) and "has no recording" in error
    )


async def _events(store: Store, run: str) -> list[Event]:
    found: list[Event] = []
    while events := await store.events(run, after=found[-1].seq if found else 0):
        found += events
    return found


def _unplayable(document: Mapping[str, Any]) -> str | None:
    if document["status"] in ACTIVE - {"paused"}:
        return "it had not ended when the session was exported"
    if "thread" in document and not document["given"].get("parts"):
        return "its question was edited away since"
    return None


def _label(document: Mapping[str, Any]) -> str:
    return f"{document['name']} ({document['run']})"


def _ended(document: Mapping[str, Any]) -> str:
    return str(document["status"])


class _Clock:
    """The time of the recording, and what has passed since a run began; it never goes back."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._base = 0.0

    def __call__(self) -> float:
        return self._base + time.monotonic() - self._since

    def set(self, now: float) -> None:
        self._base, self._since = max(now, self()), time.monotonic()


# ---------------------------------------------------------------------------------------------- definitions


def _definitions(cassette: Cassette, app: App) -> Iterator[Difference]:
    """What the code of the agents and flows that were recorded says otherwise; each thing once."""
    now = redact(app.definitions())
    told: set[str] = set()
    for document in cassette.executions:
        before = cassette.definitions(document.get("app_version", ""))
        if before is None:
            continue
        for name, agent in before["agents"].items():
            if name not in told and (name == document["name"] or _calls(before, document["name"])):
                told.add(name)
                yield from compare_agents(name, agent, now["agents"].get(name))
        flow = before["flows"].get(document["name"], {})
        number = str(document.get("flow_version"))
        if number in flow and document["name"] not in told:
            told.add(document["name"])
            nodes = now["flows"].get(document["name"], {}).get(number)
            if nodes is not None:  # one that is gone shows as a run that cannot be run
                yield from compare_nodes(document["name"], flow[number], nodes)


def _calls(definitions: Mapping[str, Any], name: str) -> bool:
    """Whether the flow of this name has an agent's step."""

    def any_agent(nodes: Any) -> bool:
        return any(
            node["kind"] == "agent" or any_agent(node.get("children", ())) or any_agent(node.get("otherwise", ()))
            for node in nodes
        )

    return any(any_agent(nodes) for nodes in definitions["flows"].get(name, {}).values())


def _unknown_code(cassette: Cassette) -> Iterator[str]:
    versions = {document.get("app_version", "") for document in cassette.executions}
    for version in sorted(version for version in versions if cassette.definitions(version) is None):
        yield f"what the code of version {version!r} said was not kept, so prompts and schemas are not compared"


def _changed_tools(cassette: Cassette, app: App) -> list[str]:
    """Tools whose code has changed and was not run, since they write."""
    now = app.definitions()["agents"]
    found: dict[str, None] = {}
    for document in cassette.executions:
        before = (cassette.definitions(document.get("app_version", "")) or {}).get("agents", {})
        used = {tool["name"] for tool in document["tools"]}
        for agent, one in before.items():
            for name, made in one.get("tools", {}).items():
                other = now.get(agent, {}).get("tools", {}).get(name)
                if other is None or name not in used or other["read_only"] or other["digest"] == made["digest"]:
                    continue
                found[f"the code of tool {name!r} has changed; it writes, so it was not run"] = None
    return list(found)
