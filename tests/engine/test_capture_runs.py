"""The capture modes in whole runs: the engine goes on from real payloads, and what is left says what the mode says."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from dragoman import Flow, StepError, client_tool, step
from dragoman.core import events as ev
from dragoman.core.flows import CaptureMode, Continue, FlowCall
from dragoman.core.records import Repeat, Run
from dragoman.engine.app import App
from dragoman.engine.embedded import EmbeddedEngine
from dragoman.engine.masking import Masking
from dragoman.store import SQLiteStore, open_store

pytestmark = pytest.mark.requirement("NOU-87")

MAIL = "ann@example.org"
MODES: list[CaptureMode] = ["off", "metadata_only", "redacted", "full"]


@step
def first(ctx: Any) -> dict[str, Any]:
    return {"to": ctx.message, "api_key": "hunter2"}


@step
def second(ctx: Any, sign: str = "!") -> str:
    return f"{ctx.output['to']} has {ctx.output['api_key']}{sign}"


@step
def last(ctx: Any) -> str:
    return f"{ctx.message}: {ctx.output}"


@step
async def spoken(ctx: Any) -> Any:
    for piece in ("write to ann@", "example", ".org", " now"):
        yield piece


@step
def fails(ctx: Any) -> None:
    raise StepError(f"nobody is called {ctx.message}")


FLOWS = [
    Flow("a/two", [first, second]),
    Flow("a/tool", [client_tool("ask", arguments=lambda ctx: {"who": ctx.message}), last]),
    Flow("a/spoken", [spoken]),
    Flow("a/fails", [fails]),
    Flow("a/own", [first], capture="off"),
]


class Place:
    """An engine over a store of its own."""

    def __init__(self, store: SQLiteStore, engine: EmbeddedEngine) -> None:
        self.store = store
        self.engine = engine

    async def ended(self, run_id: str) -> list[ev.Event]:
        """What a live reader gets until the run ends."""
        return [event async for event in self.engine.events(run_id)]

    async def call(self, flow: str, mode: CaptureMode | None = None, **more: Any) -> Run:
        """A run of the flow that has ended."""
        call = FlowCall("acme", flow, **{"message": MAIL, "capture": mode} | more)
        started = await self.engine.start_flow(call)
        await self.ended(started.run.id)
        run = await self.store.run(started.run.id)
        assert run is not None
        return run

    def stored(self, run: Run) -> str:
        """Everything that the tables hold of the run, as one text."""
        db = sqlite3.connect(self.store.directory / "dragoman.db")
        rows = [
            *db.execute("SELECT * FROM runs WHERE number = ?", (run.number,)),
            *db.execute("SELECT * FROM events WHERE run = ?", (run.number,)),
            *db.execute("SELECT * FROM steps WHERE run = ?", (run.number,)),
        ]
        db.close()
        return repr(rows)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    store = await open_store(tmp_path)
    engine = EmbeddedEngine(App("test", flows=FLOWS), store, masking=Masking(patterns=["hunter[0-9]"]))
    await engine.open()
    yield Place(store, engine)
    await engine.close()
    await store.close()


@pytest.mark.parametrize("mode", MODES)
async def test_what_is_left_of_a_run_is_what_the_mode_says(place: Place, mode: CaptureMode) -> None:
    run = await place.call("a/two", mode, overrides={"second": {"sign": f" {MAIL}"}})
    assert run.status == "completed"
    one, two = await place.store.steps(run.id)
    left = place.stored(run)
    assert (MAIL in left, "hunter2" in left) == (mode == "full", mode == "full")
    assert ("[redacted]" in left) == (mode == "redacted")
    match mode:
        case "off":
            assert (one.input, one.output, one.input_bytes, one.output_bytes) == (None, None, None, None)
        case "metadata_only":
            assert (one.input, one.output) == (None, None)
            assert one.input_bytes
            assert one.output_bytes == len(f'{{"to":"{MAIL}","api_key":"hunter2"}}')
        case "redacted":
            assert one.output == {"to": "[redacted]", "api_key": "[redacted]"}
            assert (two.output, run.result) == ("[redacted] has [redacted] [redacted]",) * 2
        case "full":
            assert two.output == run.result == f"{MAIL} has hunter2 {MAIL}"
    seqs = [event.seq for event in await place.store.events(run.id)]
    assert seqs == list(range(1, run.last_seq + 1))


@pytest.mark.parametrize("mode", MODES)
async def test_trace_true_lifts_metadata_only_and_no_other(place: Place, mode: CaptureMode) -> None:
    run = await place.call("a/two", mode, trace=True)
    assert (MAIL in place.stored(run)) == (mode in ("metadata_only", "full"))


async def test_the_mode_is_the_calls_then_the_flows_then_the_servers(place: Place) -> None:
    assert MAIL not in place.stored(await place.call("a/own"))
    assert MAIL in place.stored(await place.call("a/own", "full"))
    assert "[redacted]" in place.stored(await place.call("a/two"))


@pytest.mark.parametrize("mode", MODES)
async def test_a_run_that_waits_for_a_tool_goes_on_from_real_payloads_also_after_a_restart(
    place: Place, mode: CaptureMode
) -> None:
    started = await place.engine.start_flow(FlowCall("acme", "a/tool", message=MAIL, capture=mode))
    run = await _paused(place, started.run.id)
    await place.engine.close()
    place.engine = EmbeddedEngine(App("test", flows=FLOWS), place.store)
    await place.engine.open()
    (call,) = [event.body for event in await place.store.events(run.id) if isinstance(event.body, ev.ToolInput)]
    await place.engine.continue_flow("acme", run.id, Continue(outputs={call.call: f"it is {MAIL}"}))
    last = (await place.ended(run.id))[-1].body
    assert isinstance(last, ev.RunCompleted)
    ended = await place.store.run(run.id)
    assert ended is not None
    assert ended.status == "completed"
    assert (MAIL in place.stored(ended)) == (mode == "full")


async def _paused(place: Place, run_id: str) -> Run:
    async for event in place.engine.events(run_id):
        if isinstance(event.body, ev.RunPaused):
            break
    run = await place.store.run(run_id)
    assert run is not None
    assert run.status == "paused"
    return run


async def test_a_text_that_came_in_pieces_is_masked_as_a_whole(place: Place) -> None:
    run = await place.call("a/spoken", "redacted")
    deltas = [e.body.delta for e in await place.store.events(run.id) if isinstance(e.body, ev.BlockDelta)]
    assert "".join(deltas) == "write to [redacted] now"
    assert run.result == "write to [redacted] now"


@pytest.mark.parametrize("mode", MODES)
async def test_messages_of_errors_stay_and_are_masked(place: Place, mode: CaptureMode) -> None:
    run = await place.call("a/fails", mode)
    assert run.status == "failed"
    assert run.error is not None
    (line,) = await place.store.steps(run.id)
    assert line.error is not None
    shown = MAIL if mode == "full" else "[redacted]"
    assert line.error["message"] == f"nobody is called {shown}"
    assert [e.body.message for e in await place.store.events(run.id) if isinstance(e.body, ev.StepFailed)] == [
        f"nobody is called {shown}"
    ]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("more", [{"kind": "job"}, {"repeat": True}], ids=["job", "repeat"])
async def test_who_polls_or_repeats_gets_the_answer_as_it_was(
    place: Place, mode: CaptureMode, more: dict[str, Any]
) -> None:
    if "repeat" in more:
        more = {"repeat": Repeat("acme", "", "once", "digest", None, None, 0.0, 9e12)}
    run = await place.call("a/two", mode, **more)
    assert run.result == f"{MAIL} has hunter2!"


BIG = "a payload of which nothing may be left, "


@step
def swells(ctx: Any) -> list[str]:
    return [f"{ctx.message}{number}" for number in range(500)]


@step
async def says(ctx: Any) -> Any:
    for number in range(300):
        yield f"{ctx.message}{number}"


@step(retries=1, backoff=0)
async def breaks(ctx: Any) -> None:
    await ctx.step("inner", str, ctx.message)
    raise ValueError(f"cannot use {ctx.message}")


@pytest.mark.parametrize("mode", ["off", "metadata_only"])
@pytest.mark.parametrize("kind", ["execute", "job"])
@pytest.mark.parametrize("ends", ["completed", "failed"])
async def test_after_the_end_no_byte_of_the_payloads_is_on_the_disk(
    tmp_path: Path, mode: CaptureMode, kind: Any, ends: str
) -> None:
    store = await open_store(tmp_path)
    flow = Flow("a/big", [swells, says, client_tool("ask", arguments=lambda ctx: {"who": ctx.message})])
    engine = EmbeddedEngine(App("test", flows=[flow, Flow("a/breaks", [swells, breaks])]), store)
    await engine.open()
    call = FlowCall("acme", "a/big" if ends == "completed" else "a/breaks", message=BIG, capture=mode, kind=kind)
    started = await engine.start_flow(call)
    async for event in engine.events(started.run.id):
        if isinstance(event.body, ev.RunPaused):
            output = Continue(outputs=dict.fromkeys(event.body.calls, "done"))
            await engine.continue_flow("acme", started.run.id, output)
    run = await store.run(started.run.id)
    assert run is not None
    assert run.status == ends
    db = sqlite3.connect(tmp_path / "dragoman.db")
    assert db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    db.close()
    left = _bytes_in(tmp_path)
    assert b"acme" in left
    assert BIG.encode() not in left
    await engine.close()
    await store.close()


def _bytes_in(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.iterdir() if path.is_file())


async def test_what_who_polls_a_failed_job_gets_is_kept_but_no_text_of_an_exception(place: Place) -> None:
    told = await place.call("a/fails", "off", kind="job")
    assert told.error is not None
    assert told.error["message"] == f"nobody is called {MAIL}"
    alone = await place.call("a/fails", "off")
    assert alone.error is not None
    assert alone.error["message"] == "nobody is called [redacted]"
