"""What a crash, a restart, a cancel or a deletion leaves: every run goes on or ends, and nothing finished runs again."""

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.engine.flows.stage import LONG, Stage, told
from tests.engine.scripted_store import ScriptedStore, fails_with

from dragoman.core import events as ev
from dragoman.core.errors import Conflict, Unavailable
from dragoman.core.messages import ModelRequest
from dragoman.engine.flows.authoring import Flow, client_tool, loop, model_step, step, when
from dragoman.engine.flows.context import FlowContext


def noting(stage: Stage, name: str) -> Any:
    def work(ctx: FlowContext) -> str:
        stage.ran.append(name)
        return f"{ctx.output}{name}"

    return step(work, name=name)


def waiting(stage: Stage, name: str) -> Any:
    async def work(ctx: FlowContext) -> str:
        stage.ran.append(name)
        stage.reached.set()
        await stage.gate.wait()
        return f"{ctx.output}{name}"

    return step(work, name=name)


async def test_after_a_crash_a_run_goes_on_at_the_first_unfinished_step(stage: Stage) -> None:
    await stage.open(Flow("p/f", [noting(stage, "a"), waiting(stage, "b"), noting(stage, "c")]))
    started = await stage.start()
    await stage.reached.wait()
    stage.gate.set()
    await stage.crash(Flow("p/f", [noting(stage, "a"), noting(stage, "b"), noting(stage, "c")]))
    events = await stage.until(started)
    assert events[-1].body == ev.RunCompleted(result="hiabc")
    assert stage.ran == ["a", "b", "b", "c"]
    assert [(e.step, e.body) for e in events if isinstance(e.body, ev.StepRestarted)] == [("b", ev.StepRestarted(2))]
    rows = [(r.step, r.attempt, r.status) for r in await stage.trace(started)]
    assert rows == [("a", 1, "completed"), ("b", 1, "failed"), ("b", 2, "completed"), ("c", 1, "completed")]


async def test_a_crash_inside_loops_and_branches(stage: Stage) -> None:
    def make(*, wait: bool) -> Flow:
        def work(ctx: FlowContext) -> Any:
            stage.ran.append(f"{ctx.index}{ctx.item}")
            return ctx.item

        async def blocks(ctx: FlowContext) -> Any:
            if wait and ctx.item == "y":
                stage.reached.set()
                await stage.gate.wait()
            return f"{ctx.output}{ctx.index}"

        body = [step(work, name="work"), when("w", lambda ctx: True, [step(blocks, name="blocks")])]
        return Flow("p/f", [loop("l", body, over=lambda ctx: ["x", "y", "z"]), noting(stage, "end")])

    await stage.open(make(wait=True))
    started = await stage.start()
    await stage.reached.wait()
    await stage.crash(make(wait=False))
    assert await stage.end(started) == ev.RunCompleted(result="['x0', 'y1', 'z2']end")
    assert stage.ran == ["0x", "1y", "2z", "end"]


async def test_a_crash_while_a_loop_decides(stage: Stage) -> None:
    def make(*, wait: bool) -> Flow:
        async def until(ctx: FlowContext) -> bool:
            stage.reached.set()
            if wait:
                await stage.gate.wait()
            return bool(ctx.index == 1)

        return Flow("p/f", [loop("l", [noting(stage, "a")], until=until)])

    await stage.open(make(wait=True))
    started = await stage.start()
    await stage.reached.wait()
    await stage.crash(make(wait=False))
    assert await stage.end(started) == ev.RunCompleted(result="hiaa")


async def test_a_model_call_that_a_crash_cut_begins_anew_and_its_text_is_void(stage: Stage) -> None:
    async def model(request: ModelRequest) -> AsyncIterator[str]:
        stage.ran.append("asked")
        yield "some"
        if len(stage.ran) == 1:
            stage.reached.set()
            await stage.gate.wait()
        yield " text"

    made = Flow("p/f", [model_step("m", model=model, prompt=lambda ctx: "p")])
    await stage.open(made)
    started = await stage.start()
    await stage.reached.wait()
    await stage.until(started, ev.BlockDelta)
    await stage.crash(made)
    events = await stage.until(started)
    assert events[-1].body == ev.RunCompleted(result="some text")
    assert "step.restarted m/model:1" in told(events)
    assert told(events).count("step.input m") == 1
    rows = [(r.step, r.attempt, r.status, r.output) for r in await stage.trace(started)]
    assert ("m/model:1", 2, "completed", "some text") in rows
    assert ("m", 1, "completed", "some text") in rows


async def test_a_pause_survives_a_crash(stage: Stage) -> None:
    made = Flow("p/f", [noting(stage, "a"), client_tool("c", result=lambda ctx, out: f"{out}!"), noting(stage, "b")])
    await stage.open(made)
    started = await stage.start(remaining=False)
    await stage.until(started, ev.RunPaused)
    await stage.crash(made)
    (call,) = await stage.paused(await stage.go_on(started, step=1))
    await stage.crash(made)
    continued = await stage.go_on(started, {call: "out"}, remaining=True)
    assert await stage.end(continued) == ev.RunCompleted(result="out!b")
    assert stage.ran == ["a", "b"]
    await stage.crash(made)
    assert (await stage.go_on(started, {call: "out"}, remaining=True)).outcome == "repeated"


async def test_a_crash_between_the_answer_of_a_tool_and_what_is_made_of_it(stage: Stage) -> None:
    def make(*, wait: bool) -> Flow:
        async def result(ctx: FlowContext, output: Any) -> Any:
            stage.reached.set()
            if wait:
                await stage.gate.wait()
            return f"{output}!"

        return Flow("p/f", [client_tool("c", result=result)])

    await stage.open(make(wait=True))
    started = await stage.start()
    (call,) = await stage.paused(started)
    await stage.go_on(started, {call: 1})
    await stage.reached.wait()
    await stage.crash(make(wait=False))
    assert await stage.end(started) == ev.RunCompleted(result="1!")


async def test_a_graceful_end_lets_a_step_finish_and_begins_no_other(stage: Stage) -> None:
    await stage.open(Flow("p/f", [waiting(stage, "a"), noting(stage, "b")]))
    started = await stage.start()
    await stage.reached.wait()
    closing = asyncio.create_task(stage.engine.close(grace=LONG))
    await asyncio.sleep(0)
    stage.gate.set()
    await closing
    assert stage.ran == ["a"]
    stored = await stage.store.events(started.run.id)
    assert told(stored)[-1] == "step.completed a"
    with pytest.raises(Unavailable):
        await stage.start()
    await stage.open(Flow("p/f", [waiting(stage, "a"), noting(stage, "b")]))
    events = await stage.until(started)
    assert events[-1].body == ev.RunCompleted(result="hiab")
    assert not [e for e in events if isinstance(e.body, ev.StepRestarted)]


async def test_a_fault_of_the_store_is_overcome(stage: Stage) -> None:
    store = ScriptedStore(stage.store)
    stage.store = store  # type: ignore[assignment]  # hands every call on to the real store
    await stage.open(Flow("p/f", [waiting(stage, "a"), noting(stage, "b")]))
    started = await stage.start()
    await stage.reached.wait()
    store.before["commit"] = [fails_with(OSError("disk full"))]
    stage.gate.set()
    assert await stage.end(started) == ev.RunCompleted(result="hiab")


async def test_a_run_that_others_delete_is_let_go(stage: Stage) -> None:
    await stage.open(Flow("p/f", [waiting(stage, "a")]))
    started = await stage.start()
    await stage.reached.wait()
    reader = asyncio.create_task(stage.until(started))
    await asyncio.sleep(0)
    stage.engine._drivers.abandon(started.run.id)
    stage.gate.set()
    assert stage.engine.moving in (0, 1)
    reader.cancel()


# --------------------------------------------------------------------------- code that changes


async def test_steps_not_begun_may_change_what_they_do(stage: Stage) -> None:
    await stage.open(Flow("p/f", [waiting(stage, "a"), noting(stage, "b")]))
    started = await stage.start()
    await stage.reached.wait()
    stage.gate.set()
    await stage.crash(Flow("p/f", [noting(stage, "a"), step(lambda ctx: "new b", name="b"), noting(stage, "c")]))
    assert await stage.end(started) == ev.RunCompleted(result="new b"), "the run keeps its tree"


@pytest.mark.parametrize("change", ["gone", "kind", "order", "version", "flow"])
async def test_steps_that_were_begun_and_are_gone_end_the_run(stage: Stage, change: str) -> None:
    a, b, c = waiting(stage, "a"), noting(stage, "b"), noting(stage, "c")
    await stage.open(Flow("p/f", [b, a, c]))
    started = await stage.start()
    await stage.reached.wait()
    flows = {
        "gone": [Flow("p/f", [b, c])],
        "kind": [Flow("p/f", [b, client_tool("a"), c])],
        "order": [Flow("p/f", [a, b, c])],
        "version": [Flow("p/f", versions={2: [b, a, c]})],
        "flow": [],
    }[change]
    await stage.crash(*flows)
    body = await stage.end(started)
    assert isinstance(body, ev.RunFailed)
    assert body.code == "STALE_TREE"
    if change in ("gone", "kind"):
        assert "'a'" in body.message
    assert [(r.step, r.status) for r in await stage.trace(started)] == [("b", "completed"), ("a", "failed")]


async def test_a_run_that_comes_to_a_step_that_is_gone_ends_there(stage: Stage) -> None:
    await stage.open(Flow("p/f", [waiting(stage, "a"), noting(stage, "b")]))
    started = await stage.start()
    await stage.reached.wait()
    stage.gate.set()
    await stage.crash(Flow("p/f", [noting(stage, "a")]))
    body = await stage.end(started)
    assert isinstance(body, ev.RunFailed)
    assert (body.code, "'b'" in body.message) == ("STALE_TREE", True)


async def test_a_paused_run_whose_steps_are_gone_is_refused_and_ends(stage: Stage) -> None:
    await stage.open(Flow("p/f", [client_tool("c"), noting(stage, "b")]))
    started = await stage.start()
    (call,) = await stage.paused(started)
    await stage.crash(Flow("p/f", [noting(stage, "b")]))
    with pytest.raises(Conflict) as refused:
        await stage.go_on(started, {call: 1})
    assert refused.value.code == "conflict:tree"
    assert (await stage.run(started)).status == "failed"


# --------------------------------------------------------------------------- cancelling


@pytest.mark.requirement("NOU-14")
async def test_a_cancel_reaches_the_step_and_ends_all_that_is_open(stage: Stage) -> None:
    stopped = asyncio.Event()

    @step
    async def forever(ctx: FlowContext) -> None:
        try:
            await ctx.step("inner", waits)
        finally:
            stopped.set()

    async def waits() -> None:
        stage.reached.set()
        await asyncio.Event().wait()

    await stage.open(Flow("p/f", [loop("l", [forever], times=2)]))
    started = await stage.start()
    await stage.reached.wait()
    assert await stage.engine.cancel(started.run.id, reason="enough")
    await stopped.wait()
    events = await stage.until(started)
    assert told(events)[-4:] == ["step.failed inner", "step.failed forever[0]", "step.failed l", "run.cancelled"]
    assert {r.status for r in await stage.trace(started)} == {"cancelled"}
    run = await stage.run(started)
    assert (run.status, run.error) == ("cancelled", {"code": "cancelled", "message": "enough"})
    assert not await stage.engine.cancel(started.run.id)


async def test_a_cancel_does_not_wait_for_a_thread(stage: Stage) -> None:
    inside, leave = threading.Event(), threading.Event()

    @step
    def blocks(ctx: FlowContext) -> str:
        inside.set()
        leave.wait(LONG)
        return "late"

    await stage.open(Flow("p/f", [blocks]))
    started = await stage.start()
    await asyncio.to_thread(inside.wait, LONG)
    assert await stage.engine.cancel(started.run.id)
    assert isinstance(await stage.end(started), ev.RunCancelled)
    leave.set()
    assert (await stage.run(started)).status == "cancelled"


async def test_a_paused_run_can_be_cancelled(stage: Stage) -> None:
    await stage.open(Flow("p/f", [noting(stage, "a"), client_tool("c")]))
    started = await stage.start(remaining=False)
    await stage.until(started, ev.RunPaused)
    assert await stage.engine.cancel(started.run.id)
    assert isinstance(await stage.end(started), ev.RunCancelled)
    second = await stage.start()
    await stage.paused(second)
    assert await stage.engine.cancel(second.run.id)
    assert told(await stage.until(second))[-3:] == ["tool.denied c", "step.failed c", "run.cancelled"]
    with pytest.raises(Conflict):
        await stage.go_on(second)


async def test_a_model_call_is_cancelled_with_its_run(stage: Stage) -> None:
    closed = asyncio.Event()

    async def model(request: ModelRequest) -> AsyncIterator[str]:
        try:
            yield "some"
            await asyncio.Event().wait()
        finally:
            closed.set()

    await stage.open(Flow("p/f", [model_step("m", model=model)]))
    started = await stage.start()
    await stage.until(started, ev.BlockDelta)
    assert await stage.engine.cancel(started.run.id)
    await closed.wait()
    assert told(await stage.until(started))[-4:] == [
        "block.ended m/model:1",
        "step.failed m/model:1",
        "step.failed m",
        "run.cancelled",
    ]
