"""`ctx.step`: journalled once, whatever happens to the function around it."""

import asyncio
from typing import Any

from tests.engine.flows.stage import Stage, told

from dragoman.core import events as ev
from dragoman.core.errors import UsageError
from dragoman.engine.flows.authoring import Flow, flow, loop, step
from dragoman.engine.flows.context import FlowContext, StepError


async def test_inner_steps_are_steps_of_their_own(stage: Stage) -> None:
    @flow("p/f")
    async def report(ctx: FlowContext) -> list[Any]:
        one = await ctx.step("one", lambda x: x + 1, 1)
        two = await ctx.step("two", asyncio.sleep, 0, result={"a": (1, 2)})
        again = await ctx.step("one", lambda x: x + 2, 1)
        return [one, two, again]

    await stage.open(report)
    started = await stage.start()
    events = await stage.until(started)
    assert events[-1].body == ev.RunCompleted(result=[2, {"a": [1, 2]}, 3])
    assert [e.step for e in events if isinstance(e.body, ev.StepCompleted)] == ["one", "two", "one[1]", "report"]
    rows = [(r.step, r.index, r.place, r.output) for r in await stage.trace(started)]
    assert rows == [
        ("report", -1, 0, [2, {"a": [1, 2]}, 3]),
        ("one", -1, 0, 2),
        ("two", -1, 0, {"a": [1, 2]}),
        ("one", 1, 0, 3),
    ]


async def test_after_a_crash_finished_inner_steps_come_from_the_journal(stage: Stage) -> None:
    def make(gate: bool) -> Flow:
        async def slow() -> str:
            stage.ran.append("slow")
            stage.reached.set()
            if gate:
                await stage.gate.wait()
            return "S"

        def quick(n: int) -> int:
            stage.ran.append(f"quick {n}")
            return n

        def fails() -> None:
            stage.ran.append("fails")
            raise StepError("no luck", "UNLUCKY")

        @flow("p/f")
        async def report(ctx: FlowContext) -> list[Any]:
            first = await asyncio.gather(*(ctx.step("quick", quick, n) for n in range(3)))
            try:
                await ctx.step("fails", fails)
            except StepError as error:
                first.append(error.code)
            first.append(await ctx.step("slow", slow))
            return first

        return report

    await stage.open(make(gate=True))
    started = await stage.start()
    await stage.reached.wait()
    assert sorted(stage.ran) == ["fails", "quick 0", "quick 1", "quick 2", "slow"]
    stage.ran.clear()
    await stage.crash(make(gate=False))
    events = await stage.until(started)
    assert events[-1].body == ev.RunCompleted(result=[0, 1, 2, "UNLUCKY", "S"])
    assert stage.ran == ["slow"], "nothing that had finished ran again"
    restarted = [(e.step, e.body.attempt, e.body.code) for e in events if isinstance(e.body, ev.StepRestarted)]
    assert restarted == [("report", 2, "interrupted"), ("slow", 2, "interrupted")]
    rows = [(r.step, r.index, r.attempt, r.status) for r in await stage.trace(started)]
    assert ("slow", -1, 1, "failed") in rows
    assert ("slow", -1, 2, "completed") in rows


async def test_another_attempt_of_the_function_keeps_what_was_done_and_tries_what_failed(stage: Stage) -> None:
    def note(name: str, attempt: int) -> str:
        stage.ran.append(name)
        if name == "b" and attempt == 1:
            raise ValueError("inside information")
        return name

    @step(retries=1, backoff=0)
    async def both(ctx: FlowContext) -> str:
        return str(await ctx.step("a", note, "a", 1)) + str(await ctx.step("b", note, "b", ctx.attempt))

    await stage.open(Flow("p/f", [both]))
    events = await stage.until(await stage.start())
    assert events[-1].body == ev.RunCompleted(result="ab")
    assert stage.ran == ["a", "b", "b"]
    assert "inside" not in str([e.body for e in events if isinstance(e.body, ev.StepRestarted)])


async def test_an_inner_step_is_tried_again_by_itself(stage: Stage) -> None:
    def shaky() -> str:
        stage.ran.append("x")
        if len(stage.ran) < 3:
            raise StepError("shaky", "SHAKY")
        return "done"

    @flow("p/f")
    async def one(ctx: FlowContext) -> Any:
        return await ctx.step("shaky", shaky, retries=2)

    await stage.open(one)
    started = await stage.start()
    assert await stage.end(started) == ev.RunCompleted(result="done")
    rows = [(r.step, r.attempt, r.status) for r in await stage.trace(started)]
    assert rows[1:] == [("shaky", 1, "failed"), ("shaky", 2, "failed"), ("shaky", 3, "completed")]


async def test_a_failure_that_nobody_catches_is_the_steps_and_keeps_its_secrets(stage: Stage) -> None:
    @flow("p/f")
    async def one(ctx: FlowContext) -> Any:
        return await ctx.step("x", lambda: {}["secret"])

    @flow("p/g")
    async def two(ctx: FlowContext) -> Any:
        raise_it = StepError("no paper", "PAPER", status=507)

        def fail() -> None:
            raise raise_it

        return await ctx.step("x", fail)

    await stage.open(one, two)
    body = await stage.end(await stage.start())
    assert isinstance(body, ev.RunFailed)
    assert (body.code, bool(body.ref)) == ("STEP_FAILED", True)
    assert await stage.end(await stage.start("p/g")) == ev.RunFailed("PAPER", "no paper", status=507)


async def test_what_is_left_running_ends_with_its_function(stage: Stage) -> None:
    cut = asyncio.Event()

    async def forever() -> None:
        stage.reached.set()
        try:
            await asyncio.Event().wait()
        finally:
            cut.set()

    @flow("p/f")
    async def one(ctx: FlowContext) -> str:
        task = asyncio.ensure_future(ctx.step("x", forever))
        await stage.reached.wait()
        return f"left {task.done()}"

    await stage.open(one)
    started = await stage.start()
    events = await stage.until(started)
    assert events[-1].body == ev.RunCompleted(result="left False")
    await cut.wait()
    assert "step.failed x" in told(events)


async def test_names_are_checked(stage: Stage) -> None:
    @flow("p/f")
    async def one(ctx: FlowContext) -> list[str]:
        told = []
        for name in ("one", "a/b", "", 5):
            try:
                await ctx.step(name, lambda: 1)  # type: ignore[arg-type]  # that is the test
            except UsageError as error:
                told.append(error.message)
        return told

    @step
    def plain(ctx: FlowContext) -> Any:
        return ctx.step("x", lambda: 1)

    await stage.open(one, Flow("p/g", [plain]))
    assert len(await stage.result()) == 4
    assert isinstance(await stage.end(await stage.start("p/g")), ev.RunFailed)


async def test_inner_steps_in_a_loop_count_on(stage: Stage) -> None:
    @step
    async def body(ctx: FlowContext) -> Any:
        return [await ctx.step("x", lambda: ctx.index), await ctx.step("x", lambda: "b")]

    await stage.open(Flow("p/f", [loop("l", [body], times=2)]))
    events = await stage.until(await stage.start())
    assert [e.step for e in events if isinstance(e.body, ev.StepCompleted)] == [
        "x",
        "x[1]",
        "body[0]",
        "x[2]",
        "x[3]",
        "body[1]",
        "l",
    ]
    assert events[-1].body == ev.RunCompleted(result=[1, "b"])


async def test_what_a_function_does_to_a_result_changes_nothing(stage: Stage) -> None:
    @flow("p/f")
    async def one(ctx: FlowContext) -> Any:
        got = await ctx.step("x", lambda: [1])
        got.append(2)
        return got

    await stage.open(one)
    events = await stage.until(await stage.start())
    assert [e.body.output for e in events if isinstance(e.body, ev.StepCompleted)] == [[1], [1, 2]]


async def test_without_an_engine_the_function_is_just_called() -> None:
    assert await FlowContext().step("x", lambda a, b=1: a + b, 1, b=2) == 3
