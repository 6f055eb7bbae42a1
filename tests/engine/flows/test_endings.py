"""What is under way when a run ends, or the server: it is told, it is let finish, and nothing hangs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.engine.flows.stage import LONG, Stage

from dragoman import Flow, step
from dragoman.core import events as ev
from dragoman.core.cassette import transcript
from dragoman.core.errors import Unavailable

pytestmark = pytest.mark.requirement("NOU-88")


async def test_a_function_that_cleans_up_by_an_inner_step_after_its_run_was_cancelled_does_not_hang(
    stage: Stage,
) -> None:
    said: list[BaseException] = []
    over = asyncio.Event()

    @step
    async def work(ctx: Any) -> None:
        try:
            stage.reached.set()
            await stage.gate.wait()
        finally:
            try:
                await ctx.step("clean", str, "x")
            except BaseException as error:
                said.append(error)
                raise
            finally:
                over.set()

    await stage.open(Flow("p/f", [work]))
    started = await stage.start()
    async with asyncio.timeout(LONG):
        await stage.reached.wait()
        assert await stage.engine.cancel(started.run.id)
        await over.wait()
    assert isinstance(said[0], Unavailable)


@pytest.mark.parametrize("failures", [0, 1])
async def test_a_step_that_is_under_way_when_the_server_stops_may_finish_in_any_attempt(
    stage: Stage, failures: int
) -> None:
    @step(retries=1, backoff=0.001)
    async def work(ctx: Any) -> str:
        if ctx.attempt <= failures:
            raise OSError("not yet")
        stage.reached.set()
        await stage.gate.wait()
        stage.ran.append("finished")
        return "done"

    await stage.open(Flow("p/f", [work]))
    started = await stage.start()
    async with asyncio.timeout(LONG):
        await stage.reached.wait()
        closing = asyncio.ensure_future(stage.engine.close(grace=LONG))
        await asyncio.sleep(0)
        stage.gate.set()
        await closing
    await stage.open(Flow("p/f", [work]))
    assert (await stage.end(started)) == ev.RunCompleted(result="done")
    assert stage.ran == ["finished"]


async def test_very_many_attempts_do_not_overflow(stage: Stage) -> None:
    @step(retries=1100, backoff=0)
    async def work(ctx: Any) -> int:
        if ctx.attempt <= 1100:
            raise OSError("not yet")
        return int(ctx.attempt)

    await stage.open(Flow("p/f", [work]))
    assert await stage.result() == 1101


async def test_no_text_of_a_users_exception_is_in_a_restart_or_a_cassette(stage: Stage) -> None:
    secret = "host db.internal refused"

    class Sly:
        def __str__(self) -> str:
            raise ValueError(secret)

    @step(retries=1, backoff=0)
    async def work(ctx: Any) -> None:
        await ctx.step("inner", fails, retries=1)

    def fails() -> None:
        raise OSError(secret)

    @step
    async def gives(ctx: Any) -> Any:
        return {"x": Sly()}

    await stage.open(Flow("p/f", [work]), Flow("p/g", [gives]))
    started = await stage.start()
    events = await stage.until(started)
    restarts = [event.body for event in events if isinstance(event.body, ev.StepRestarted)]
    assert len(restarts) == 4
    assert secret not in repr(restarts)
    failures = [event.body for event in events if isinstance(event.body, ev.StepFailed | ev.RunFailed)]
    assert all(body.ref is not None for body in failures if secret in body.message)
    assert secret not in repr(transcript(await stage.run(started), events))
    assert secret not in str(await stage.result("p/g"))
