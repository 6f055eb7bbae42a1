"""Whoever started a run, or let it go on, reads what happened, also where the store keeps less of it in the end."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
from tests.engine.flows.stage import LONG, Stage

from dragoman import Flow, client_tool, step
from dragoman.core import events as ev
from dragoman.core.flows import CaptureMode
from dragoman.core.records import Repeat
from dragoman.core.turns import Continued, Started
from dragoman.engine.journal import KEPT

pytestmark = pytest.mark.requirement("NOU-87")

PIECES = 3 * KEPT


@step
async def spoken(ctx: Any) -> Any:
    for number in range(PIECES):
        yield f"{number} "


ask = client_tool("ask", result=lambda ctx, output: output)
FLOWS = [Flow("p/f", [spoken]), Flow("p/ask", [ask])]


async def ended(stage: Stage, told: Started | Continued) -> None:
    """Wait, without reading what is told, until the run has ended."""
    while (run := await stage.store.run(told.run.id)) is not None and run.is_active:
        await stage.store.check()


async def live(told: Started | Continued) -> list[ev.Event]:
    assert told.live is not None
    tail, seen = told.live.tail(after=told.after), list[ev.Event]()
    while events := await tail.next(LONG):
        assert len(events) <= KEPT, "a slow reader takes it in pieces"
        seen += events
    return seen


def text(events: list[ev.Event]) -> str:
    return "".join(event.body.delta for event in events if isinstance(event.body, ev.BlockDelta))


@pytest.mark.parametrize("mode", ["off", "full"])
async def test_who_started_a_run_reads_all_of_it_however_late(stage: Stage, mode: CaptureMode) -> None:
    await stage.open(*FLOWS)
    started = await stage.start(capture=mode)
    await ended(stage, started)
    whole = "".join(f"{number} " for number in range(PIECES))
    seen = await live(started)
    assert text(seen) == whole
    assert seen[-1].body == ev.RunCompleted(result=whole)
    assert [event.seq for event in seen] == list(range(1, len(seen) + 1))
    others = await stage.until(started)
    assert text(others) == (whole if mode == "full" else ""), "others get what is kept"


async def test_who_let_a_run_go_on_reads_what_came_of_it(stage: Stage) -> None:
    await stage.open(*FLOWS)
    started = await stage.start("p/ask", capture="off")
    (call,) = await stage.paused(started)
    told = await stage.go_on(started, {call: "the answer"})
    again = await stage.go_on(started, {call: "the answer"})
    await ended(stage, told)
    assert (await live(told))[-1].body == ev.RunCompleted(result="the answer")
    assert again.outcome == "repeated"
    if again.live is not None:  # it had not ended yet
        assert (await live(again))[-1].body == ev.RunCompleted(result="the answer")
    late = await stage.go_on(started, {call: "the answer"})
    assert (late.outcome, late.live) == ("repeated", None)


async def test_a_repeated_call_reads_live_while_the_run_is_active_and_the_store_afterwards(stage: Stage) -> None:
    await stage.open(*FLOWS)
    repeat = Repeat("t", "", "once", "digest", None, None, 0.0, 9e12)
    started = await stage.start("p/ask", capture="off", repeat=repeat)
    (call,) = await stage.paused(started)
    attached = await stage.start("p/ask", capture="off", repeat=repeat)
    assert attached.outcome == "attached"
    await ended(stage, await stage.go_on(started, {call: "the answer"}))
    assert (await live(attached))[-1].body == ev.RunCompleted(result="the answer")
    answered = await stage.start("p/ask", capture="off", repeat=repeat)
    assert (answered.outcome, answered.live, answered.run.result) == ("answered", None, "the answer")


async def test_nothing_of_an_ended_run_is_held_once_nobody_reads_it(stage: Stage) -> None:
    await stage.open(*FLOWS)
    started = await stage.start(capture="off")
    await ended(stage, started)
    feed = weakref.ref(started.live.feed)  # type: ignore[union-attr]
    del started
    while stage.engine.moving:
        await stage.store.check()
    gc.collect()
    assert feed() is None
