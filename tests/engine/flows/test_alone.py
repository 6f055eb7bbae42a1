"""`App.run`: a flow without server and store."""

import asyncio
from typing import Any

import pytest

from dragoman.core.errors import BadRequest, NotFound, RunFailed, UsageError
from dragoman.core.messages import ModelRequest
from dragoman.engine.app import App
from dragoman.engine.flows.authoring import Flow, client_tool, loop, model_step, step
from dragoman.engine.flows.context import FlowContext, StepError


async def model(request: ModelRequest) -> Any:
    yield "heard "
    yield request.messages[-1].text


@step
async def twice(ctx: FlowContext, times: int = 2) -> list[Any]:
    return [await ctx.step("one", lambda: ctx.output) for _ in range(times)]


@step
def broken(ctx: FlowContext) -> None:
    raise StepError("no paper", "PAPER", 507)


ASK = client_tool("ask", arguments=lambda ctx: {"city": ctx.message})


async def test_a_flow_runs_here_and_gives_its_result() -> None:
    made = Flow("p/f", [model_step("m", model="named"), twice])
    app = App("t", flows=[made], models={"named": model})
    assert await app.run("p/f", "hi") == ["heard hi", "heard hi"]
    assert await app.run(made, "hi", overrides={"twice": {"times": 1}}) == ["heard hi"]


async def test_a_model_may_be_passed_in() -> None:
    async def other(request: ModelRequest) -> Any:
        yield "other"

    app = App("t", flows=[Flow("p/f", [model_step("m", model="named")])])
    assert await app.run("p/f", "hi", models={"named": other}) == "other"
    with pytest.raises(UsageError):
        await app.run("p/f", "hi")


async def test_the_callers_tools_are_functions() -> None:
    async def ask(city: str) -> str:
        return f"in {city}"

    app = App("t", flows=[Flow("p/f", [loop("l", [ASK], times=2)])])
    assert await app.run("p/f", "Bern", tools={"ask": ask}) == "in Bern"
    with pytest.raises(UsageError, match="tool 'ask'"):
        await app.run("p/f", "Bern", tools={"other": ask})
    with pytest.raises(RunFailed) as failed:
        await app.run("p/f", "Bern")
    assert failed.value.code == "TOOLS_NOT_ENABLED"


async def test_a_failure_names_the_step_and_keeps_its_code() -> None:
    app = App("t", flows=[Flow("p/f", [broken])])
    with pytest.raises(RunFailed, match="step 'broken': no paper") as failed:
        await app.run("p/f", "hi")
    assert (failed.value.code, failed.value.status, bool(failed.value.run_id)) == ("PAPER", 507, True)


async def test_calls_that_do_not_fit_are_refused() -> None:
    app = App("t", flows=[Flow("p/f", [twice])])
    for call, error in (
        (app.run("p/none", "hi"), NotFound),
        (app.run("p/f"), BadRequest),
        (app.run("p/f", "hi", version=9), NotFound),
        (app.run("p/f", "hi", overrides={"twice": {"x": 1}}), BadRequest),
    ):
        with pytest.raises(error):
            await call


def test_it_needs_no_more_than_a_loop() -> None:
    app = App("t", flows=[Flow("p/f", [twice])])
    assert asyncio.run(app.run("p/f", "x", parameters={"a": 1})) == ["x", "x"]


async def test_many_at_once_do_not_meet() -> None:
    app = App("t", flows=[Flow("p/f", [step(lambda ctx: ctx.message, name="s")])])
    assert await asyncio.gather(*(app.run("p/f", str(n)) for n in range(20))) == [str(n) for n in range(20)]


async def test_a_run_that_is_given_up_ends_its_work() -> None:
    reached, ended = asyncio.Event(), asyncio.Event()

    @step
    async def waits(ctx: FlowContext) -> None:
        try:
            reached.set()
            await asyncio.Event().wait()
        finally:
            ended.set()

    task = asyncio.create_task(App("t", flows=[Flow("p/f", [waits])]).run("p/f", "hi"))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()
